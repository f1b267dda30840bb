//! The table as it is printed.

use std::fmt::Write;

use super::result::Outcome;

/// One case, a line for each peer: median (least-most).
pub fn of(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "\n{:<10} {:<8} {:>24} {:>22} {:>24} {:>26} {:>22} {:>18}\n",
        "case",
        "peer",
        "requests/s",
        "p50 us",
        "p99 us",
        "p99.9 us",
        "pair's CPU us/request",
        rss_title(outcomes)
    );
    for outcome in outcomes {
        let spread = &outcome.spread;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "{:<10} {:<8} {:>24} {:>22} {:>24} {:>26} {:>22} {:>18}",
            outcome.case,
            outcome.peer,
            figure(outcome.rps, spread.rps),
            figure(outcome.p50_us, spread.p50_us),
            figure(outcome.p99_us, spread.p99_us),
            figure(outcome.p999_us, spread.p999_us),
            figure(outcome.cpu_us, spread.cpu_us),
            figure(outcome.rss_mb, spread.rss_mb),
        );
        text += &if outcome.failed > 0 { format!("  {} FAILED\n", outcome.failed) } else { "\n".to_owned() };
    }
    text
}

fn rss_title(outcomes: &[Outcome]) -> &'static str {
    if outcomes.first().is_some_and(|outcome| outcome.case == "idle") { "KB/connection" } else { "pair's RSS MB" }
}

fn figure(median: f64, [least, most]: [f64; 2]) -> String {
    let digits = if most >= 1000.0 { 0 } else { 1 };
    format!("{median:.digits$} ({least:.digits$}-{most:.digits$})")
}
