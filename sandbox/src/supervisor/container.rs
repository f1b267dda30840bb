//! One container: start, watch, probe, start again, end.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::pod::Pod;
use super::probe::{self, Verdict};
use super::state::Sandbox;
use crate::environment;
use crate::manifest;
use crate::process::{Ended, Program, StartError, Started, Streams, signal_group};
use crate::protocol;

/// Wait before the second restart in a row; doubles up to [`BACKOFF_MOST`], and begins anew after [`STEADY`].
const BACKOFF_LEAST: Duration = Duration::from_millis(500);
const BACKOFF_MOST: Duration = Duration::from_secs(30);
const STEADY: Duration = Duration::from_secs(60);
/// After so many ends in a row the user is told no more; the log and `ls` still show them.
const TOLD: u32 = 3;

pub(super) struct Container {
    pub(super) spec: manifest::Container,
    /// Whether it is the proxy beside the apps.
    pub(super) sidecar: bool,
    /// Shall not run for now.
    pub(super) held: watch::Sender<bool>,
    ready: watch::Sender<bool>,
    /// Its process, by our pid and by the machine's.
    pub(super) process: Cell<Option<(Pid, i32)>>,
    restarts: Cell<u32>,
    log: PathBuf,
    told: RefCell<u32>,
}

impl Container {
    pub(super) fn new(spec: manifest::Container, folder: &Path, sidecar: bool) -> Self {
        Self {
            sidecar,
            held: watch::Sender::new(false),
            log: folder.join(format!("{}.log", spec.name)),
            spec,
            ready: watch::Sender::new(false),
            process: Cell::new(None),
            restarts: Cell::new(0),
            told: RefCell::new(0),
        }
    }

    pub(super) fn describe(&self) -> protocol::Container {
        protocol::Container {
            name: self.spec.name.clone(),
            pid: self.process.get().map(|(_, host_pid)| host_pid),
            ready: self.is_ready(),
            restarts: self.restarts.get(),
            log: self.log.clone(),
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until it is ready. Cancel-safe.
    pub(super) async fn become_ready(&self) {
        wait_for(&self.ready, true).await;
    }

    fn set_ready(&self, sandbox: &Sandbox, ready: bool) {
        if self.ready.send_replace(ready) != ready {
            sandbox.touch();
        }
    }

    pub(super) fn streams(&self) -> std::io::Result<Streams> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        Ok(Streams(Stdio::null(), log.try_clone()?.into(), log.into()))
    }
}

/// Keeps the container running until `stop`, and ends its process then.
pub(super) async fn run(sandbox: Rc<Sandbox>, pod: Rc<Pod>, index: usize, stop: CancellationToken) {
    let container = &pod.containers[index];
    let mut backoff = Duration::ZERO;
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => return,
            () = wait_for(&container.held, false) => {}
        }
        let begun = Instant::now();
        let reason = match start(&sandbox, &pod, container) {
            Ok(started) => match watch(&sandbox, &pod, container, started, &stop).await {
                Some(ended) => format!("ended with {ended}"),
                None => return,
            },
            Err(error) => format!("did not start: {error}"),
        };
        if !*container.held.borrow() {
            tell(&sandbox, &pod, container, &reason);
        }
        backoff = if begun.elapsed() > STEADY { Duration::ZERO } else { backoff };
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(backoff) => {}
        }
        backoff = (backoff * 2).clamp(BACKOFF_LEAST, BACKOFF_MOST);
        container.restarts.set(container.restarts.get() + 1);
    }
}

async fn wait_for(state: &watch::Sender<bool>, wanted: bool) {
    // The sender is borrowed, so it lives: the wait cannot fail.
    let _ = state.subscribe().wait_for(|now| *now == wanted).await;
}

fn tell(sandbox: &Sandbox, pod: &Pod, container: &Container, reason: &str) {
    let mut told = container.told.borrow_mut();
    *told += 1;
    if *told <= TOLD {
        let (namespace, name, container) = (&pod.namespace, &pod.name, &container.spec.name);
        sandbox.warn(&format!(
            "pod {namespace}/{name}: container {container} {reason}; see `weft sandbox logs -n {namespace} {name} {container}`"
        ));
    }
}

/// The program of a container, or another command in its surroundings.
pub(super) fn program(
    sandbox: &Sandbox,
    pod: &Pod,
    container: &Container,
    command: Vec<String>,
) -> Result<Program, StartError> {
    let namespaces = pod.namespaces().cloned().ok_or(StartError::NoNetwork)?;
    let env = environment::of(|field| pod.field(field), &container.spec, &sandbox.build);
    Ok(Program {
        command,
        env,
        folder: std::env::current_dir()
            .unwrap_or_default()
            .join(container.spec.working_dir.as_deref().unwrap_or("".as_ref())),
        namespaces,
    })
}

fn start(sandbox: &Sandbox, pod: &Pod, container: &Container) -> Result<Started, StartError> {
    let mut program = program(sandbox, pod, container, Vec::new())?;
    program.command = container.spec.command.iter().map(|word| environment::expand(word, &program.env)).collect();
    let file = |program: &str| {
        let program = program.to_owned();
        move |source| StartError::Start { program, source }
    };
    if let Some(mesh) = sandbox.mesh.as_ref().filter(|_| container.sidecar) {
        mesh.write_token(pod).map_err(file("it without a join token"))?;
    }
    let streams = container.streams().map_err(file("it without a log"))?;
    let started = sandbox.processes.start(&program, streams)?;
    container.process.set(Some((started.pid, started.host_pid)));
    Ok(started)
}

/// How the process ended by itself, or `None` when it was ended because the pod stops.
async fn watch(
    sandbox: &Sandbox,
    pod: &Pod,
    container: &Container,
    mut started: Started,
    stop: &CancellationToken,
) -> Option<Ended> {
    let ended = tokio::select! {
        ended = &mut started.ended => Some(ended.unwrap_or(Ended::Killed(libc::SIGKILL))),
        () = stop.cancelled() => None,
        never = follow_probe(sandbox, pod, container) => match never {},
    };
    container.set_ready(sandbox, false);
    if ended.is_none() {
        end(&mut started, pod.template.grace).await;
    }
    // What the process has left behind in its session goes with it.
    signal_group(started.pid, Signal::SIGKILL);
    container.process.set(None);
    ended
}

/// SIGTERM to the process, and SIGKILL after `grace`.
async fn end(started: &mut Started, grace: Duration) {
    let _ = nix::sys::signal::kill(started.pid, Signal::SIGTERM);
    if tokio::time::timeout(grace, &mut started.ended).await.is_err() {
        signal_group(started.pid, Signal::SIGKILL);
        let _ = (&mut started.ended).await;
    }
}

async fn follow_probe(sandbox: &Sandbox, pod: &Pod, container: &Container) -> std::convert::Infallible {
    let (Some(readiness), Some(network)) = (&container.spec.readiness, pod.network()) else {
        container.set_ready(sandbox, true);
        return std::future::pending().await;
    };
    let [address, _] = pod.addresses();
    let mut verdict = Verdict::new();
    tokio::time::sleep(readiness.initial_delay).await;
    loop {
        let success = probe::succeeds(readiness, &container.spec, network, address).await;
        let ready = verdict.count(readiness, success);
        container.set_ready(sandbox, ready);
        tokio::time::sleep(probe::pause(readiness, ready)).await;
    }
}
