//! The control socket: one task per connection, one request per connection.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use nix::sys::signal::Signal;
use tokio::net::UnixListener;

use super::exec::{self, Exec};
use super::find::FindError;
use super::mesh;
use super::state::Sandbox;
use crate::manifest::{ManifestError, Manifests};
use crate::net::connect_from;
use crate::process::StartError;
use crate::protocol::{PodName, Request, Response};
use crate::wire::Wire;

/// The socket's name in the run folder.
pub(crate) const SOCKET: &str = "control.sock";

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("pod {pod} has no container {container}")]
    NoContainer { pod: PodName, container: String },
    #[error("container {container} of pod {pod} does not run")]
    NotRunning { pod: PodName, container: String },
    #[error("exec needs standard input, output and error")]
    Streams,
    #[error("{0} is no signal")]
    NoSignal(i32),
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("only routes and policies can change while a sandbox runs, not Pods, Deployments or Services")]
    NotAPolicy,
    #[error("there is no {kind} {namespace}/{name}")]
    NoPolicy { kind: String, namespace: String, name: String },
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no pod is meshed (label weft.dev/inject: enabled), so there is no control plane")]
    NoMesh,
    #[error("the control plane's pod stays: `weft sandbox scale weft-control-plane 0` stops it, and 1 starts it again")]
    ControlPlaneStays,
    #[error("a signal goes to what an exec on the same connection has started")]
    NoExec,
}

pub(super) fn serve(sandbox: &Rc<Sandbox>) -> io::Result<()> {
    let listener = UnixListener::bind(sandbox.folder.join(SOCKET))?;
    let sandbox = sandbox.clone();
    tokio::task::spawn_local(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of descriptors, most likely: let others end first.
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            };
            let sandbox = sandbox.clone();
            tokio::task::spawn_local(async move {
                if let Err(error) = converse(&sandbox, Wire::new(stream)).await {
                    tracing::debug!(%error, "a control connection ended");
                }
            });
        }
    });
    Ok(())
}

async fn converse(sandbox: &Rc<Sandbox>, mut wire: Wire) -> io::Result<()> {
    let Some((request, descriptors)) = wire.receive::<Request>().await? else {
        return Ok(());
    };
    let answer = match request {
        Request::Connect { from, to } => match connect(sandbox, from, to).await {
            Ok(socket) => return wire.send(&Response::Done, &[socket.as_fd()]).await,
            Err(error) => Err(error),
        },
        Request::Exec { pod, container, command, env } => {
            exec::run(sandbox, Exec { pod, container, command, env }, descriptors, &mut wire).await
        }
        other => answer(sandbox, other).await,
    };
    let response = answer.unwrap_or_else(|error| Response::Failed(crate::error::chain(&error)));
    wire.send(&response, &[]).await
}

async fn answer(sandbox: &Rc<Sandbox>, request: Request) -> Result<Response, RequestError> {
    match request {
        Request::List => return Ok(Response::Listing(sandbox.listing())),
        Request::Find(name) => return Ok(Response::Pod(sandbox.pod(&name)?.describe())),
        Request::Delete(name) => {
            let pod = sandbox.pod(&name)?;
            if pod.workload.is_none() {
                return Err(RequestError::ControlPlaneStays);
            }
            pod.stop.cancel();
            sandbox.reconcile();
            pod.gone.cancelled().await;
        }
        Request::Scale { deployment, replicas } if is_control_plane(&deployment) => {
            let signal = (replicas == 0).then_some(Signal::SIGTERM);
            sandbox.mesh.as_ref().ok_or(RequestError::NoMesh)?.hold(signal);
        }
        Request::Scale { deployment, replicas } => {
            let index = sandbox.deployment(&deployment)?;
            sandbox.manifests.borrow_mut().workloads[index].replicas = Some(replicas);
            sandbox.reconcile();
        }
        Request::Kill { pod, container, signal } => kill(sandbox, pod, container, signal)?,
        Request::Apply(text) => return apply(sandbox, &text),
        Request::Remove { kind, namespace, name } => {
            let policies = &mut sandbox.manifests.borrow_mut().policies;
            let before = policies.len();
            policies.retain(|policy| (&policy.kind, &policy.namespace, &policy.name) != (&kind, &namespace, &name));
            if policies.len() == before {
                return Err(RequestError::NoPolicy { kind, namespace, name });
            }
            sandbox.touch();
        }
        Request::Ready => {
            let mut ready = sandbox.ready.subscribe();
            // The sender lives as long as the sandbox.
            while !*ready.borrow_and_update() {
                let _ = ready.changed().await;
            }
        }
        Request::Down => {
            sandbox.stop.cancel();
            // The end of this connection, with the whole process, is the answer.
            std::future::pending::<()>().await;
        }
        Request::StopControlPlane(signal) => {
            let signal = Signal::try_from(signal).map_err(|_| RequestError::NoSignal(signal))?;
            sandbox.mesh.as_ref().ok_or(RequestError::NoMesh)?.hold(Some(signal));
        }
        Request::StartControlPlane => sandbox.mesh.as_ref().ok_or(RequestError::NoMesh)?.hold(None),
        Request::Signal(_) => return Err(RequestError::NoExec),
        Request::Exec { .. } | Request::Connect { .. } => return Err(RequestError::Streams),
    }
    Ok(Response::Done)
}

fn is_control_plane(name: &PodName) -> bool {
    name.name == mesh::CONTROL_PLANE && name.namespace.as_deref().is_none_or(|namespace| namespace == mesh::NAMESPACE)
}

async fn connect(
    sandbox: &Rc<Sandbox>,
    from: Option<PodName>,
    to: std::net::SocketAddr,
) -> Result<OwnedFd, RequestError> {
    let pod = from.map(|name| sandbox.pod(&name)).transpose()?;
    let network = pod.as_ref().map(|pod| pod.network().ok_or(StartError::NoNetwork)).transpose()?;
    Ok(connect_from(network, to).await?.into_std()?.into())
}

fn kill(sandbox: &Sandbox, pod: PodName, container: String, signal: i32) -> Result<(), RequestError> {
    let found = sandbox.pod(&pod)?;
    let Some(running) = found.containers.iter().find(|other| other.spec.name == container) else {
        return Err(RequestError::NoContainer { pod, container });
    };
    let signal = Signal::try_from(signal).map_err(|_| RequestError::NoSignal(signal))?;
    let Some((pid, _)) = running.process.get() else {
        return Err(RequestError::NotRunning { pod, container });
    };
    nix::sys::signal::kill(pid, signal).map_err(io::Error::from)?;
    Ok(())
}

fn apply(sandbox: &Sandbox, text: &str) -> Result<Response, RequestError> {
    let mut added = Manifests::default();
    added.add(text, "the manifest")?;
    if !added.workloads.is_empty() || !added.services.is_empty() {
        return Err(RequestError::NotAPolicy);
    }
    let policies = &mut sandbox.manifests.borrow_mut().policies;
    for policy in added.policies {
        let key =
            |policy: &crate::manifest::Policy| (policy.kind.clone(), policy.namespace.clone(), policy.name.clone());
        policies.retain(|other| key(other) != key(&policy));
        policies.push(policy);
    }
    sandbox.touch();
    Ok(Response::Warned(added.warnings))
}
