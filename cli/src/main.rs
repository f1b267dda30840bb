//! `weft`: the command-line tool. Each subcommand is a module; this file only leads to them.

mod check;
mod cluster;
mod demo;
mod duration;
mod form;
mod identity;
mod inject;
mod install;
mod sandbox;
mod stop;
mod tap;
mod token;
mod uninstall;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Weft, a service mesh: try it on this machine, install it into a cluster, look into it.
#[derive(Parser)]
#[command(name = "weft", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check whether Weft works in a cluster, or can be installed there
    Check(check::Arguments),
    /// Watch a mesh of real services on this machine
    Demo(demo::Arguments),
    /// The client in the demo's sandbox
    #[command(hide = true)]
    DemoLoad(demo::load::Arguments),
    /// The mesh's certificates: look at them, replace the root
    Identity(identity::Arguments),
    /// Print what installs Weft into a cluster, for `kubectl apply -f -`
    Install(install::Arguments),
    /// Put sidecars into manifests, as the injector does into pods
    Inject(inject::Arguments),
    /// Run Kubernetes manifests on this machine, each pod in a network namespace
    Sandbox(sandbox::Arguments),
    /// Watch the requests of live pods in a cluster, one by one
    Tap(tap::Arguments),
    /// Join tokens, the proof of identity where there is no Kubernetes
    Token(token::Arguments),
    /// Print all that Weft has made in a cluster, for `kubectl delete -f -`
    Uninstall(uninstall::Arguments),
    /// What `sandbox up` starts: process 1 of a sandbox
    #[command(name = weft_sandbox::SUPERVISOR, hide = true)]
    SandboxSupervisor,
}

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    log();
    let done = match command {
        // Before any runtime or thread: a user namespace can be made by a process of one thread only.
        Command::SandboxSupervisor => return weft_sandbox::supervisor::run(),
        Command::Check(arguments) => run(check::run(arguments)),
        Command::Demo(arguments) => run(demo::run(arguments)),
        Command::DemoLoad(arguments) => run(demo::load::run(arguments)),
        Command::Identity(arguments) => run(identity::run(arguments)),
        Command::Install(arguments) => install::run(&arguments),
        Command::Inject(arguments) => inject::run(arguments),
        Command::Sandbox(arguments) => run(sandbox::run(arguments)),
        Command::Tap(arguments) => run(tap::run(arguments)),
        Command::Token(arguments) => token::run(arguments),
        Command::Uninstall(arguments) => run(uninstall::run(arguments)),
    };
    done.unwrap_or_else(|error| {
        if is_unread(&error) {
            return ExitCode::SUCCESS;
        }
        tell(&format!("error: {error:#}"));
        ExitCode::FAILURE
    })
}

/// Whether the reader of standard output has left, as `head` does when it has enough.
fn is_unread(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// To standard error. The client of the Kubernetes API logs every refusal, which is an answer to whoever asked.
fn log() {
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let wanted = Targets::new().with_default(LevelFilter::INFO).with_target("kube_client", LevelFilter::OFF);
    tracing_subscriber::registry().with(lines.with_filter(wanted)).init();
}

/// Runs a subcommand on a runtime of one thread.
fn run(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(command)
}

/// One line on standard output.
fn print(line: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}")
}

/// One line on standard error, for the user rather than for a log.
fn tell(line: &str) {
    use std::io::Write;
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}
