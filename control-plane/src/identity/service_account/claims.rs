//! What a token says of itself, unproven: only to tell its holder what is wrong with it, once it has been refused.

use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use serde::Deserialize;

use super::{AUDIENCE, TokenRefused};

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    aud: Audiences,
    exp: Option<u64>, // seconds since the epoch
}

/// RFC 7519, section 4.1.3: one or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

impl Default for Audiences {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

/// What is likely wrong with a token that the API server has not accepted.
pub(super) fn fault(token: &str, now: SystemTime) -> TokenRefused {
    let Some(claims) = read(token) else { return TokenRefused::Unknown };
    let is_for_us = match &claims.aud {
        Audiences::One(one) => one == AUDIENCE,
        Audiences::Many(all) => all.iter().any(|one| one == AUDIENCE),
    };
    if !is_for_us {
        return TokenRefused::Audience;
    }
    let end = claims.exp.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    if end.is_some_and(|end| end <= now) { TokenRefused::Expired } else { TokenRefused::Unknown }
}

/// The middle part of a JSON web token.
fn read(token: &str) -> Option<Claims> {
    let mut text = token.split('.').nth(1)?.replace('-', "+").replace('_', "/");
    text.extend(std::iter::repeat_n('=', (4 - text.len() % 4) % 4));
    // The Kubernetes type for bytes is base64 with padding, so no library of our own is needed for it.
    let bytes: ByteString = serde_json::from_value(text.into()).ok()?;
    serde_json::from_slice(&bytes.0).ok()
}
