//! From this machine's loopback to a Service, as `kubectl port-forward` would: from within one of its ready pods.

use std::cell::Cell;
use std::net::SocketAddr;
use std::os::fd::FromRawFd;
use std::rc::Rc;

use tokio::net::{TcpListener, TcpStream};

use super::state::Sandbox;
use crate::net::connect_from;
use crate::picture;
use crate::protocol::Listener;

/// Accepts on every inherited listener.
pub(super) fn serve(sandbox: &Rc<Sandbox>) -> std::io::Result<()> {
    for listener in &sandbox.listeners {
        // SAFETY: the descriptor was inherited for this and is used nowhere else.
        let socket = unsafe { std::net::TcpListener::from_raw_fd(listener.descriptor) };
        socket.set_nonblocking(true)?;
        let socket = TcpListener::from_std(socket)?;
        let relay = Rc::new(Relay { sandbox: sandbox.clone(), listener: listener.clone(), turn: Cell::new(0) });
        tokio::task::spawn_local(async move {
            loop {
                let Ok((client, _)) = socket.accept().await else {
                    // Out of descriptors, most likely: let others end first.
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    continue;
                };
                tokio::task::spawn_local(relay.clone().carry(client));
            }
        });
    }
    Ok(())
}

struct Relay {
    sandbox: Rc<Sandbox>,
    listener: Listener,
    turn: Cell<usize>,
}

impl Relay {
    /// Carries one connection until both ends have closed; closes it at once where no pod is ready.
    async fn carry(self: Rc<Self>, mut client: TcpStream) {
        match self.dial().await {
            Ok(mut pod) => {
                // An end that resets ends both; there is nobody to tell.
                let _ = tokio::io::copy_bidirectional(&mut client, &mut pod).await;
            }
            Err(error) => tracing::info!(%error, service = self.listener.service, "a relayed connection was closed"),
        }
    }

    async fn dial(&self) -> std::io::Result<TcpStream> {
        let Listener { namespace, service, port, .. } = &self.listener;
        let mut services = self.sandbox.services.iter().map(|service| &service.spec);
        let service = services.find(|spec| spec.namespace == *namespace && spec.name == *service);
        let port = service.and_then(|spec| spec.ports.iter().find(|other| other.port == *port));
        let (Some(service), Some(port)) = (service, port) else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let live = self.sandbox.live();
        let behind = |pod: &&Rc<_>| is_behind(service, pod);
        let ready: Vec<_> = live.iter().filter(behind).collect();
        let turn = self.turn.replace(self.turn.get().wrapping_add(1));
        let pod = ready.get(turn.checked_rem(ready.len()).unwrap_or(0)).ok_or(std::io::ErrorKind::ConnectionRefused)?;
        let port = picture::target(port, &pod.template).ok_or(std::io::ErrorKind::NotFound)?;
        let [address, _] = pod.addresses();
        connect_from(pod.network(), SocketAddr::new(address, port)).await
    }
}

fn is_behind(service: &crate::manifest::Service, pod: &super::pod::Pod) -> bool {
    pod.ready() && pod.namespace == service.namespace && service.selects(&pod.template.labels)
}
