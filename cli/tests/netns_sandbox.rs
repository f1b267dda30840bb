//! The contract of `weft sandbox` as seen from outside: its lines, its exit codes, and its end.
//!
//! Needs root or user namespaces; where neither is allowed the tests fail and say so.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime};

const MANIFEST: &str = "
{kind: Pod, metadata: {name: a, namespace: one, labels: {app: a}},
 spec: {containers: [{name: c, command: [sleep, infinity], resources: {limits: {cpu: 1}}}]}}
---
{kind: Pod, metadata: {name: a, namespace: two}, spec: {containers: [{name: c, command: [sh, -c, 'echo hello; sleep 1000']}]}}
---
{kind: Service, metadata: {name: a, namespace: one}, spec: {selector: {app: a}, ports: [{port: 80}]}}
";

/// A sandbox of this test alone, which is ended whatever happens.
struct Sandbox {
    name: String,
    manifest: tempfile::NamedTempFile,
}

impl Sandbox {
    fn new(name: &str) -> Self {
        let mut manifest = tempfile::NamedTempFile::new().unwrap();
        manifest.write_all(MANIFEST.as_bytes()).unwrap();
        Self { name: format!("cli-{name}-{}", std::process::id()), manifest }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
        command.arg("sandbox").args(["--name", &self.name]).args(words);
        command
    }

    fn run(&self, words: &[&str]) -> Output {
        self.command(words).stdin(Stdio::null()).output().unwrap()
    }

    /// In the foreground, until it says `ready`.
    fn up(&self) -> (Child, Vec<String>) {
        let file = self.manifest.path().to_str().unwrap();
        let mut up = self.command(&["up", "-f", file]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(up.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut before: Vec<String> = Vec::new();
        for line in lines {
            if line == "ready" {
                return (up, before);
            }
            before.push(line);
        }
        let _ = up.wait();
        panic!("THIS TEST CANNOT RUN HERE, or up is broken; see its error above: {before:?}");
    }

    fn pids(&self) -> Vec<u64> {
        let output = self.run(&["ls", "--output", "json"]);
        let listing: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let pods = listing["pods"].as_array().unwrap();
        assert!(pods.iter().all(|pod| pod["ready"] == true && pod["meshed"] == false), "{listing}");
        assert_eq!(listing["services"][0]["ports"][0], 80);
        pods.iter().flat_map(|pod| pod["pids"].as_array().unwrap()).map(|pid| pid.as_u64().unwrap()).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).stderr(Stdio::null()).status();
    }
}

fn alive(pid: u64) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

fn eventually(what: &str, check: impl Fn() -> bool) {
    let begun = SystemTime::now();
    while !check() {
        assert!(begun.elapsed().unwrap() < Duration::from_secs(10), "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn up_says_where_and_when_and_ends_with_a_signal() {
    let sandbox = Sandbox::new("signal");
    let (mut up, before) = sandbox.up();
    assert!(before[0].starts_with("one/a:80 http://127.0.0.1:"), "{before:?}");
    let pids = sandbox.pids();
    assert_eq!(pids.len(), 2);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(up.id().cast_signed()), nix::sys::signal::SIGTERM).unwrap();
    assert!(up.wait().unwrap().success());
    assert!(!pids.into_iter().any(alive));
}

#[test]
fn nothing_runs_on_after_kill_9() {
    let sandbox = Sandbox::new("kill");
    let (mut up, _) = sandbox.up();
    let pids = sandbox.pids();
    up.kill().unwrap();
    up.wait().unwrap();
    eventually("the pods die with up", || !pids.iter().copied().any(alive));
    assert!(!sandbox.run(&["ls"]).status.success());
    let (mut again, _) = sandbox.up();
    assert!(sandbox.run(&["down"]).status.success());
    assert!(again.wait().unwrap().success(), "down ends up in good order");
}

#[test]
fn exec_passes_input_output_and_exit_code_and_asks_which_namespace() {
    let sandbox = Sandbox::new("exec");
    let file = sandbox.manifest.path().to_str().unwrap();
    let up = sandbox.run(&["up", "--detach", "-f", file]);
    let errors = String::from_utf8_lossy(&up.stderr);
    assert!(up.status.success(), "THIS TEST CANNOT RUN HERE, or up is broken: {errors}");
    let warning = "warning: Pod one/a: the field spec.containers[0].resources is not honoured\n";
    assert_eq!(errors, warning);

    let mut cat = sandbox.command(&["exec", "-n", "one", "a", "--", "sh", "-c", "cat; exit 9"]);
    let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    cat.stdin.take().unwrap().write_all(b"through").unwrap();
    let output = cat.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(9), b"through".as_slice()));

    let unclear = sandbox.run(&["exec", "a", "--", "true"]);
    let errors = String::from_utf8_lossy(&unclear.stderr).into_owned();
    assert!(errors.contains("pod a is in the namespaces one and two: choose one with -n"), "{errors}");
    assert_eq!(sandbox.run(&["logs", "-n", "two", "a"]).stdout, b"hello\n");
    assert!(sandbox.run(&["down"]).status.success());
}
