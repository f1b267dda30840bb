//! `weft sandbox exec`: a command in a pod with this terminal's input and output.

use std::os::fd::AsFd;
use std::process::ExitCode;

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use weft_sandbox::{Command, Sandbox};

use super::Target;

/// Signals that are passed on to the command.
const PASSED_ON: [SignalKind; 6] = [
    SignalKind::interrupt(),
    SignalKind::terminate(),
    SignalKind::hangup(),
    SignalKind::quit(),
    SignalKind::user_defined1(),
    SignalKind::user_defined2(),
];

/// The arguments of `exec`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// The container whose environment and folder the command gets; the first without this
    #[arg(short, long)]
    container: Option<String>,
    /// The pod
    pod: String,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// Runs the command; its exit code is ours.
pub async fn run(sandbox: &Sandbox, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut signals = passed_on()?;
    let env = std::env::var("TERM").map(|term| ("TERM".to_owned(), term));
    let command = Command {
        pod: arguments.target.named(&arguments.pod),
        container: arguments.container,
        words: arguments.command,
        env: env.into_iter().collect(),
    };
    let streams = [
        std::io::stdin().as_fd().try_clone_to_owned()?,
        std::io::stdout().as_fd().try_clone_to_owned()?,
        std::io::stderr().as_fd().try_clone_to_owned()?,
    ];
    let mut running = sandbox.start_command(command, streams).await?;
    loop {
        tokio::select! {
            code = running.wait() => return Ok(ExitCode::from(u8::try_from(code?).unwrap_or(u8::MAX))),
            Some(kind) = signals.recv() => running.signal(kind.as_raw_value()).await?,
        }
    }
}

/// Every signal that is to be passed on, as it comes.
fn passed_on() -> anyhow::Result<mpsc::Receiver<SignalKind>> {
    let (sender, receiver) = mpsc::channel(PASSED_ON.len());
    for kind in PASSED_ON {
        let mut signals = signal(kind)?;
        let sender = sender.clone();
        // Lives as long as this process, which ends with the command.
        #[expect(clippy::disallowed_methods, reason = "ends with the process, which does nothing else")]
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                // Full: that many are on their way already.
                let _ = sender.try_send(kind);
            }
        });
    }
    Ok(receiver)
}
