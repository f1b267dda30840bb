//! `weft demo` from its start to its end, as a newcomer runs it.
//!
//! Needs root or user namespaces; where neither is allowed the tests fail and say so. Needs the programs that the demo
//! runs, as `make test` builds them.

#![expect(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::process::{Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn demo(name: &str, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command.arg("demo").args(["--name", &sandbox(name)]).args(words).stdin(Stdio::null());
    command
}

fn sandbox(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}

fn text(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn is_gone(name: &str) -> bool {
    let mut list = Command::new(env!("CARGO_BIN_EXE_weft"));
    !list.args(["sandbox", "--name", &sandbox(name), "ls"]).output().unwrap().status.success()
}

#[test]
fn the_demo_shows_rows_and_sums_up_what_its_client_saw() {
    let output = demo("demo-sum", &["--duration", "5s", "--json"]).output().unwrap();
    let (lines, errors) = text(&output);
    assert!(output.status.success(), "THIS TEST CANNOT RUN HERE, or the demo is broken: {errors}{lines}");
    assert!(lines.contains("  users   replicas ") && lines.contains("  orders  replicas "), "{lines}");
    assert!(lines.contains("try it:   curl http://127.0.0.1:"), "{lines}");

    let summary: serde_json::Value = serde_json::from_str(lines.lines().next_back().unwrap()).unwrap();
    let figure = |name: &str| summary[name].as_f64().unwrap_or_else(|| unreachable!("{name} is missing: {summary}"));
    assert!(figure("requests") >= 200.0, "{summary}");
    assert_eq!(figure("failures"), 0.0, "{summary}");
    assert_eq!(figure("mtls_share"), 1.0, "{summary}");
    assert!(figure("retries") >= 0.0 && figure("ejections") >= 0.0, "{summary}");
    assert!(figure("p50_ms") > 0.0 && figure("p99_ms") >= figure("p50_ms"), "{summary}");
    // 3 s where the machine is the demo's alone; other tests run beside this one.
    assert!((1.0..15_000.0).contains(&figure("first_row_ms")), "{summary}");
    assert!(is_gone("demo-sum"));
}

#[test]
fn a_signal_ends_the_demo_and_all_its_pods() {
    let mut demo = demo("demo-signal", &[]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(demo.stdout.take().unwrap()));
    let row = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("  users   replicas ")));
    assert!(row.is_some(), "THIS TEST CANNOT RUN HERE, or the demo is broken; see its error above");
    kill(Pid::from_raw(demo.id().cast_signed()), Signal::SIGINT).unwrap();
    let rest: Vec<_> = lines.map(Result::unwrap).collect();
    assert!(demo.wait().unwrap().success(), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("the client saw ")), "{rest:?}");
    assert!(is_gone("demo-signal"));
}

#[test]
fn arguments_that_cannot_be_used_are_answered_in_one_sentence() {
    let output = demo("demo-wrong", &["--duration", "20"]).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output).1.contains("write a time such as 20s or 2m"));
}
