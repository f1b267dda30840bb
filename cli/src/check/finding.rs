//! What one check has found: a line of the table, an element of the JSON.

use std::fmt;

use serde::Serialize;

use super::facts::Unknown;

/// What is looked at, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// The cluster, whatever runs in it.
    Cluster,
    /// What installing needs.
    Install,
    /// Weft's own pods, and the kinds that it reads.
    ControlPlane,
    /// The webhooks.
    Injector,
    /// Roots, issuers, and what is trusted.
    Certificates,
    /// Pods with sidecars, or without those that they should have.
    Workloads,
}

/// How it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// Not yet, and nothing is wrong: `--wait` waits for it.
    Starting,
    /// Cannot be told: a right is missing, or what would say it is not there.
    Unknown,
    /// Works, and should be looked at.
    Warning,
    /// Does not work.
    Failed,
}

/// What one check has found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What it belongs to.
    pub group: Group,
    /// What was checked, as the sentence that should be true.
    pub check: &'static str,
    /// Whether it is.
    pub verdict: Verdict,
    /// The figure, or the cause.
    pub detail: String,
    /// What to do next; none where all is well.
    pub next: Option<String>,
}

/// A check, before its verdict.
#[derive(Clone, Copy)]
pub struct Check(pub Group, pub &'static str);

impl Check {
    /// As it should be.
    pub fn pass(self, detail: impl fmt::Display) -> Finding {
        self.finding(Verdict::Passed, detail, None)
    }

    /// Works, and should be looked at.
    pub fn warn(self, detail: impl fmt::Display, next: impl fmt::Display) -> Finding {
        self.finding(Verdict::Warning, detail, Some(next.to_string()))
    }

    /// Does not work.
    pub fn fail(self, detail: impl fmt::Display, next: impl fmt::Display) -> Finding {
        self.finding(Verdict::Failed, detail, Some(next.to_string()))
    }

    /// Not yet.
    pub fn starting(self, detail: impl fmt::Display, next: impl fmt::Display) -> Finding {
        self.finding(Verdict::Starting, detail, Some(next.to_string()))
    }

    /// The cluster did not say. That it could not is a failure; that this user may not ask is none.
    pub fn unknown(self, unknown: &Unknown) -> Finding {
        if unknown.is_outage() { self.fail(unknown, unknown.next()) } else { self.untold(unknown, unknown.next()) }
    }

    /// What would say it is not there.
    pub fn untold(self, why: impl fmt::Display, next: impl fmt::Display) -> Finding {
        self.finding(Verdict::Unknown, format!("cannot be told: {why}"), Some(next.to_string()))
    }

    fn finding(self, verdict: Verdict, detail: impl fmt::Display, next: Option<String>) -> Finding {
        Finding { group: self.0, check: self.1, verdict, detail: detail.to_string(), next }
    }
}

/// So many names are shown; more are counted.
pub const SHOWN: usize = 5;

/// Names in a line.
pub fn some<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
