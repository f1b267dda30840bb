//! `exec`: a command in a pod, with the caller's own input and output.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::sys::signal::Signal;

use super::container;
use super::control::RequestError;
use super::state::Sandbox;
use crate::process::{Ended, Streams, signal_group};
use crate::protocol::{PodName, Request, Response};
use crate::wire::Wire;

/// What shall run, and where.
pub(super) struct Exec {
    pub(super) pod: PodName,
    pub(super) container: Option<String>,
    pub(super) command: Vec<String>,
    pub(super) env: Vec<(String, String)>,
}

/// Runs it to its end; the command dies with the connection.
pub(super) async fn run(
    sandbox: &Rc<Sandbox>,
    exec: Exec,
    streams: Vec<OwnedFd>,
    wire: &mut Wire,
) -> Result<Response, RequestError> {
    let Ok([input, output, errors]) = <[OwnedFd; 3]>::try_from(streams) else {
        return Err(RequestError::Streams);
    };
    let pod = sandbox.pod(&exec.pod)?;
    let wanted = exec.container.as_deref();
    let container = pod.containers.iter().find(|container| wanted.is_none_or(|name| container.spec.name == name));
    let container = container.ok_or_else(|| RequestError::NoContainer {
        container: exec.container.clone().unwrap_or_default(),
        pod: exec.pod.clone(),
    })?;
    let mut program = container::program(sandbox, &pod, container, exec.command)?;
    program.env.retain(|(name, _)| !exec.env.iter().any(|(other, _)| other == name));
    program.env.extend(exec.env);
    let mut started = sandbox.processes.start(&program, Streams(input.into(), output.into(), errors.into()))?;
    wire.send(&Response::Started { host_pid: started.host_pid }, &[]).await?;
    loop {
        tokio::select! {
            biased;
            ended = &mut started.ended => {
                let ended = ended.unwrap_or(Ended::Killed(libc::SIGKILL));
                return Ok(Response::Ended { code: ended.code() });
            }
            request = wire.receive::<Request>() => match request {
                Ok(Some((Request::Signal(signal), _))) => {
                    if let Ok(signal) = Signal::try_from(signal) {
                        signal_group(started.pid, signal);
                    }
                }
                _ => {
                    signal_group(started.pid, Signal::SIGKILL);
                    return Ok(Response::Done);
                }
            },
        }
    }
}
