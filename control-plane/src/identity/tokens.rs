//! Join tokens: the proof of identity where there is no Kubernetes. Single use, bound to one identity, and they expire.
//!
//! They lie in a folder of the state folder, which `weft token create` and the control plane share: one file per token,
//! named by the token's hash, so that whoever reads the folder learns no token. The hash needs no salt: a token is 256
//! random bits.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use weft_certs::{SpiffeId, SpiffeIdError, sha256_hex};

use super::files::{self, FileError};

const PREFIX: &str = "weft-join-";

/// A token that cannot be made or is not good.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The folder cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system gave no random bytes.
    #[error("no random bytes are to be had")]
    NoRandomness,
    /// There is no such token: it never was, has been used, or was removed after its time.
    #[error("the join token is unknown or has been used")]
    Unknown,
    /// Its time is over.
    #[error("the join token has expired")]
    Expired,
    /// Its file is damaged.
    #[error("the join token's record is damaged")]
    Damaged(#[source] serde_json::Error),
    /// Its file names no workload.
    #[error("the join token's record names no workload")]
    NoWorkload(#[source] SpiffeIdError),
}

#[derive(Serialize, Deserialize)]
struct Record {
    identity: String,
    expires_unix_seconds: u64,
}

/// Makes a token by which a proxy gets its first certificate, as `identity`, within `ttl` from now.
///
/// `folder` is the control plane's state folder (`WEFT_STATE_DIR`). Tokens that have expired are cleared away.
///
/// # Errors
/// The folder cannot be written to.
pub fn create(folder: &Path, identity: &SpiffeId, ttl: Duration) -> Result<String, TokenError> {
    let folder = tokens_folder(folder);
    files::private_folder(&folder)?;
    sweep(&folder, SystemTime::now());
    let mut bytes = [0; 32];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| TokenError::NoRandomness)?;
    let secret: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("{PREFIX}{secret}");
    let expires = unix_seconds(SystemTime::now() + ttl);
    let record = Record { identity: identity.to_string(), expires_unix_seconds: expires };
    let text = serde_json::to_string(&record).map_err(TokenError::Damaged)?;
    files::put(&path_of(&folder, &token), &text, 0o600)?;
    Ok(token)
}

/// A token that is good and not yet used up.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) identity: SpiffeId,
    path: PathBuf,
}

/// Looks a token up. It stays good until its claim is redeemed.
pub(crate) fn find(folder: &Path, token: &str, now: SystemTime) -> Result<Claim, TokenError> {
    let path = path_of(&tokens_folder(folder), token);
    let text = files::text(&path)?.ok_or(TokenError::Unknown)?;
    let record: Record = serde_json::from_str(&text).map_err(TokenError::Damaged)?;
    if unix_seconds(now) >= record.expires_unix_seconds {
        let _gone = fs::remove_file(&path);
        return Err(TokenError::Expired);
    }
    let identity = record.identity.parse().map_err(TokenError::NoWorkload)?;
    Ok(Claim { identity, path })
}

impl Claim {
    /// Uses the token up. Of several that try at once, one succeeds: the one that removes the file.
    pub(crate) fn redeem(self) -> Result<(), TokenError> {
        fs::remove_file(&self.path).map_err(|_| TokenError::Unknown)
    }
}

fn tokens_folder(folder: &Path) -> PathBuf {
    folder.join("tokens")
}

fn path_of(folder: &Path, token: &str) -> PathBuf {
    folder.join(sha256_hex(token.as_bytes()))
}

fn unix_seconds(moment: SystemTime) -> u64 {
    moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Removes what has expired. What cannot be read or removed is left: it is refused when it is used.
fn sweep(folder: &Path, now: SystemTime) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let record = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Record>(&bytes).ok());
        if record.is_some_and(|record| unix_seconds(now) >= record.expires_unix_seconds) {
            let _gone = fs::remove_file(&path);
        }
    }
}
