//! What is printed of a status.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use weft_control_plane::rotation::{Phase, Status};

/// Names that are printed; the rest is counted.
const NAMES: usize = 20;

/// The certificates with their lives, then who is behind.
pub fn table(status: &Status) -> String {
    let mut text = format!("{:<14}  {:<16}  {}\n", "certificate", "key", "is over");
    for certificate in status.roots.iter().chain([&status.issuer]) {
        let id = &certificate.id[..certificate.id.len().min(16)];
        let end = left(certificate.expires_unix_seconds, SystemTime::now());
        // Writing to a String cannot go wrong.
        let _ = writeln!(text, "{:<14}  {id:<16}  {end}", certificate.role);
    }
    if !status.issuer_is_replaced {
        text += "The issuer is not Weft's: renew it where it was made, before it is over.\n";
    }
    let _ = writeln!(text, "\nrotation of the root: {}", words(status.phase));
    if let Some(refused) = &status.refused {
        let _ = writeln!(text, "it is not carried out: {refused}");
    }
    let _ = write!(text, "{} proxies, {} behind", status.proxies, status.behind);
    text + &behind(status)
}

/// Who is behind, a line for each.
pub fn behind(status: &Status) -> String {
    let mut text = String::new();
    for one in status.names.iter().take(NAMES) {
        let _ = write!(text, "\n  {} {}", one.who, one.why.as_str());
    }
    if status.behind > NAMES {
        let _ = write!(text, "\n  and {} more", status.behind - NAMES);
    }
    text
}

/// The phase, as the one who waits for it wants to know it.
pub fn words(phase: Phase) -> &'static str {
    match phase {
        Phase::Settled => "none under way",
        Phase::Requested => "asked for",
        Phase::Trusting => "the new root is made known to every proxy",
        Phase::Issuing => "a new issuer is made under the new root",
        Phase::Renewing => "every leaf is renewed under it",
    }
}

fn left(expires_unix_seconds: u64, now: SystemTime) -> String {
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let Some(left) = Duration::from_secs(expires_unix_seconds).checked_sub(now) else { return "it is over".to_owned() };
    let (days, hours, minutes) = (left.as_secs() / 86_400, left.as_secs() / 3600, left.as_secs() / 60);
    match (days, hours) {
        (2.., _) => format!("in {days} days"),
        (_, 2..) => format!("in {hours} hours"),
        _ => format!("in {minutes} minutes"),
    }
}
