//! Commands as a user types them, each with an end.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
    time::timeout,
};

/// Longer than anything that a test waits for takes, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// The exit code; -1 for a signal.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// The JSON on its last line.
    pub fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }
}

/// A command that runs; it is killed when this value goes.
pub struct Running {
    what: String,
    child: Child,
}

impl Running {
    /// Starts it, with a text on its standard input.
    pub async fn start(mut command: Command, stdin: Option<&str>) -> Self {
        let what = words(&command);
        let from = if stdin.is_some() { Stdio::piped() } else { Stdio::null() };
        command.stdin(from).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        if let (Some(text), Some(mut pipe)) = (stdin, child.stdin.take()) {
            pipe.write_all(text.as_bytes()).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        Self { what, child }
    }

    /// Starts it with a standard input that is open until `end_input`.
    pub fn start_interactive(mut command: Command) -> Self {
        let what = words(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        Self { what, child }
    }

    /// Closes its standard input.
    pub fn end_input(&mut self) {
        drop(self.child.stdin.take());
    }

    /// Waits for its end.
    pub async fn output(self) -> Output {
        let Self { what, child } = self;
        let ended = timeout(PATIENCE, child.wait_with_output()).await;
        let output = ended.unwrap_or_else(|_| panic!("not over within {PATIENCE:?}: {what}"));
        let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Output { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Waits for its end, which must be one of success.
    pub async fn success(self) -> Output {
        let what = self.what.clone();
        let output = self.output().await;
        assert_eq!(output.code, 0, "{what}\n{}{}", output.stdout, output.stderr);
        output
    }
}

/// A command as it would be typed, without its environment, which is nobody's business in a log.
fn words(command: &Command) -> String {
    let command = command.as_std();
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
