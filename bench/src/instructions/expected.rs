//! What a request cost when it was last agreed on, and what to think of what it costs now.

use std::collections::BTreeMap;
use std::fmt;
use std::process::Command;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// How far from the expected number a count may be, in percent: some ten times what it varies by from run to run.
const TOLERANCE: u64 = 3;

/// The file that is checked in.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Expected {
    /// What the numbers depend on besides the code.
    pub made_with: MadeWith,
    /// Of both proxies together, for each request of a case.
    pub instructions: BTreeMap<String, u64>,
}

/// Versions of what decides which instructions there are. Of a processor only its family: valgrind shows the same
/// extensions to programs on all that have AVX2.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct MadeWith {
    rustc: String,
    libc: String,
    valgrind: String,
    processor: String,
}

impl MadeWith {
    /// What is there now.
    pub fn here() -> anyhow::Result<Self> {
        Ok(Self {
            rustc: version("rustc")?,
            libc: first_line(&version("ldd")?),
            valgrind: version("valgrind")?,
            processor: std::env::consts::ARCH.to_owned(),
        })
    }
}

fn version(program: &str) -> anyhow::Result<String> {
    let told = Command::new(program).arg("--version").output();
    let told = told.with_context(|| format!("{program} does not start: it is needed here"))?;
    Ok(String::from_utf8_lossy(&told.stdout).trim().to_owned())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// What to think of a case's count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing has changed that counts.
    Same,
    /// A request costs more than is allowed.
    TooMany,
    /// It costs so much less that the expected number hides the next regression.
    Fewer,
    /// There is no expected number.
    New,
}

impl Verdict {
    /// Of `counted` beside `expected`.
    pub fn of(counted: u64, expected: Option<u64>) -> Self {
        let Some(expected) = expected else { return Self::New };
        let off = counted.abs_diff(expected) * 100 > expected * TOLERANCE;
        match counted > expected {
            _ if !off => Self::Same,
            true => Self::TooMany,
            false => Self::Fewer,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "",
            Self::TooMany => "TOO MANY: more than 3 % above",
            Self::Fewer => "fewer: renew the numbers (--update)",
            Self::New => "new: add its number (--update)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_more_than_three_percent_off_is_told() {
        for (counted, verdict) in [
            (1_000, Verdict::Same),
            (1_030, Verdict::Same),
            (1_031, Verdict::TooMany),
            (970, Verdict::Same),
            (969, Verdict::Fewer),
        ] {
            assert_eq!(Verdict::of(counted, Some(1_000)), verdict, "{counted}");
        }
        assert_eq!(Verdict::of(1, None), Verdict::New);
    }
}
