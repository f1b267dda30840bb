//! The table and the JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::finding::{Finding, Group, Verdict};

#[derive(Serialize)]
struct Json<'a> {
    ok: bool,
    checks: &'a [Finding],
}

/// As one JSON object: `ok`, and the `checks`.
///
/// # Errors
/// The library does not write it.
pub fn json(findings: &[Finding]) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&Json { ok: ok(findings), checks: findings })
}

/// Whether nothing has failed.
pub fn ok(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.verdict != Verdict::Failed)
}

/// As a table with a line for each check, and under those that are not well what to do next.
pub fn table(findings: &[Finding], colour: bool) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut group = None;
    for finding in findings {
        if group != Some(finding.group) {
            let gap = if group.is_some() { "\n" } else { "" };
            // Writing to a String cannot go wrong.
            let _ = writeln!(text, "{gap}{}", title(finding.group));
            group = Some(finding.group);
        }
        let _ = writeln!(text, "{} {:width$}  {}", mark(finding.verdict, colour), finding.check, finding.detail);
        if let Some(next) = &finding.next {
            let _ = writeln!(text, "  next: {next}");
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let _ = write!(text, "\n{} checks: {} failed", findings.len(), count(Verdict::Failed));
    for (verdict, word) in
        [(Verdict::Warning, "to look at"), (Verdict::Starting, "starting"), (Verdict::Unknown, "cannot be told")]
    {
        match count(verdict) {
            0 => {}
            some => text += &format!(", {some} {word}"),
        }
    }
    text.push('\n');
    text
}

fn title(group: Group) -> &'static str {
    match group {
        Group::Cluster => "cluster",
        Group::Install => "what an installation needs",
        Group::ControlPlane => "control plane",
        Group::Injector => "injector",
        Group::Certificates => "certificates",
        Group::Workloads => "workloads",
    }
}

fn mark(verdict: Verdict, colour: bool) -> String {
    let (mark, code) = match verdict {
        Verdict::Passed => ("√", 32),
        Verdict::Starting => ("…", 33),
        Verdict::Unknown => ("?", 33),
        Verdict::Warning => ("‼", 33),
        Verdict::Failed => ("×", 31),
    };
    if colour { format!("\x1b[{code}m{mark}\x1b[0m") } else { mark.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Check;
    use super::*;

    fn findings() -> Vec<Finding> {
        let check = |check| Check(Group::Cluster, check);
        vec![
            check("it is there").pass("v1"),
            check("it works").warn("slow", "wait"),
            Check(Group::Injector, "it").fail("a", "b"),
        ]
    }

    #[test]
    fn the_table_has_a_line_for_each_check_and_what_is_next_for_those_that_need_it() {
        let table = table(&findings(), false);
        let expected = "cluster\n√ it is there  v1\n‼ it works     slow\n  next: wait\n\ninjector\n× it           a\n  next: b\n\n";
        assert_eq!(table, expected.to_owned() + "3 checks: 1 failed, 1 to look at\n");
    }

    #[test]
    fn what_cannot_be_told_is_not_taken_for_a_warning() {
        let unknown = [Check(Group::Cluster, "it is there").untold("nobody answers", "ask")];
        let expected = "cluster\n? it is there  cannot be told: nobody answers\n  next: ask\n\n";
        assert_eq!(table(&unknown, false), expected.to_owned() + "1 checks: 0 failed, 1 cannot be told\n");
        assert!(json(&unknown).unwrap().contains("\"verdict\": \"unknown\""));
    }

    #[test]
    fn only_a_failure_is_not_ok() {
        let all = findings();
        assert!(!ok(&all) && ok(&all[..2]));
        let json: serde_json::Value = serde_json::from_str(&json(&all).unwrap()).unwrap();
        assert_eq!((&json["ok"], &json["checks"][1]["verdict"]), (&false.into(), &"warning".into()));
    }
}
