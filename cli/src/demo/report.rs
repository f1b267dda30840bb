//! What the demo's client has seen, in the lines that it writes: the judge of requests is the client, not the proxy.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// Everything since the client's start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Requests that have ended.
    pub requests: u64,
    /// Of these, without an answer or with one other than 2xx.
    pub failures: u64,
    /// What the failures were, with their numbers.
    pub reasons: BTreeMap<String, u64>,
    /// From when the request was due to the end of the answer, in milliseconds.
    pub p50_ms: f64,
    /// The same.
    pub p99_ms: f64,
}

/// A line is far shorter; there may be few reasons only.
const TAIL: u64 = 16 << 10;

/// The last whole line of the client's log, if there is one yet.
pub fn last(log: &Path) -> Option<Report> {
    let mut file = File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut tail = String::new();
    file.read_to_string(&mut tail).ok()?;
    last_line(&tail)
}

fn last_line(text: &str) -> Option<Report> {
    let (whole, _) = text.rsplit_once('\n')?;
    whole.lines().rev().find_map(|line| serde_json::from_str(line).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_counts_and_others_are_passed_over() {
        let line = |requests| serde_json::to_string(&Report { requests, ..Report::default() }).unwrap();
        let text = format!("{}\n{}\nsomething else\n{}", line(1), line(2), &line(3)[..9]);
        assert_eq!(last_line(&text).unwrap().requests, 2);
        assert_eq!(last_line(""), None);
        assert_eq!(last_line("waiting\n"), None);
    }
}
