//! What a user shows at each request: a JSON Web Token (RFC 7519), signed with HS256 by the edge itself.

use std::io::Read;
use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use axum::http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

/// How long a token is good for.
pub const LIFETIME: Duration = Duration::from_secs(3600);
/// What a browser keeps the token in.
pub const COOKIE: &str = "shop-session";
const ISSUER: &str = "shop-edge";
const SECRET_BYTES: usize = 32;

/// Makes tokens and reads them.
pub struct Tokens {
    sign: EncodingKey,
    check: DecodingKey,
    rules: Validation,
}

#[derive(Debug, Deserialize, Serialize)]
struct Claims {
    iss: String,
    sub: String,
    /// Seconds since 1970.
    exp: u64,
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// It is no token of this edge, or not any more.
    #[error("the token is not valid here; log in again: POST /login")]
    Invalid(#[from] jsonwebtoken::errors::Error),
    /// It names no user.
    #[error("the token names no user; log in again: POST /login")]
    NoUser,
}

impl Tokens {
    /// With the secret in `JWT_SECRET`, which the replicas of an edge share; without it, one of its own that ends with it.
    ///
    /// # Errors
    /// A secret of fewer than 32 bytes.
    pub fn from_env() -> anyhow::Result<Self> {
        if let Ok(secret) = std::env::var("JWT_SECRET") {
            return Self::new(secret.as_bytes());
        }
        let mut secret = [0; SECRET_BYTES];
        std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut secret))?;
        Self::new(&secret)
    }

    /// With this secret.
    ///
    /// # Errors
    /// A secret of fewer than 32 bytes (RFC 7518, section 3.2).
    pub fn new(secret: &[u8]) -> anyhow::Result<Self> {
        ensure!(secret.len() >= SECRET_BYTES, "JWT_SECRET must have {SECRET_BYTES} bytes or more");
        let mut rules = Validation::new(Algorithm::HS256);
        rules.set_issuer(&[ISSUER]);
        rules.set_required_spec_claims(&["exp", "iss", "sub"]);
        rules.leeway = 0;
        Ok(Self { sign: EncodingKey::from_secret(secret), check: DecodingKey::from_secret(secret), rules })
    }

    /// A token for `user` that is good for an hour from `now` on.
    ///
    /// # Errors
    /// A signature that cannot be made.
    pub fn issue(&self, user: i64, now: SystemTime) -> anyhow::Result<String> {
        let end = now.duration_since(SystemTime::UNIX_EPOCH).context("the clock stands before 1970")? + LIFETIME;
        let claims = Claims { iss: ISSUER.into(), sub: user.to_string(), exp: end.as_secs() };
        Ok(encode(&Header::new(Algorithm::HS256), &claims, &self.sign)?)
    }

    /// The user whose token is in `headers`, as `Authorization: Bearer` or as a cookie; `None` where there is no token.
    ///
    /// # Errors
    /// A token that was not made here, or is over.
    pub fn user(&self, headers: &HeaderMap) -> Result<Option<i64>, TokenError> {
        let Some(token) = bearer(headers).or_else(|| cookie(headers)) else { return Ok(None) };
        let claims = decode::<Claims>(token, &self.check, &self.rules)?.claims;
        claims.sub.parse().map(Some).map_err(|_| TokenError::NoUser)
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}
