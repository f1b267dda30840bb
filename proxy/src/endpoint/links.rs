//! The links of one worker: its connections to the proxies of meshed endpoints.
//!
//! One per endpoint, another only when one is full, draining or its socket does not take what is to be sent. A link that
//! ends is forgotten; streams tell their own fate.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::{Rc, Weak},
    sync::Arc,
};

use tokio::task::spawn_local;
use tracing::{debug, warn};
use weft_certs::WrongIdentity;

use super::{ConnectError, connect};
use crate::{
    address::EndpointAddr,
    balance::Endpoint,
    error::{Reason, chain},
    hash::QuickMap,
    mesh::{Link, LinkEnd, LinkError, Open, Stream},
    worker::Worker,
};

/// The port that every proxy takes mesh connections on.
pub const MESH_PORT: u16 = 4143;
/// Connections to one endpoint from one worker, at most.
const MOST: usize = 4;

/// Links by endpoint.
#[derive(Default)]
pub struct Links {
    by_endpoint: RefCell<QuickMap<u64, Vec<Rc<Link>>>>,
    /// Links that peers opened to this pod.
    from_peers: RefCell<Vec<Weak<Link>>>,
}

impl Links {
    /// Opens a stream to a meshed endpoint, on a link that is there or a new one. Does not wait: the link may be under
    /// way still.
    ///
    /// # Errors
    /// [`Reason::Handshake`] while this proxy has no certificate, [`Reason::Overloaded`] when all links are full.
    pub fn open(&self, worker: &Rc<Worker>, endpoint: &Arc<Endpoint>, open: &Open) -> Result<Stream, Reason> {
        let mut by_endpoint = self.by_endpoint.borrow_mut();
        let links = by_endpoint.entry(endpoint.id).or_default();
        let with_room = links.iter().position(|link| link.is_open() && !link.state().blocked);
        // Those that only finish their last streams do not count: they may be many after a change of certificates.
        let in_use = links.iter().filter(|link| !link.is_ending()).count();
        let link = match with_room {
            Some(at) => &links[at],
            None if in_use < MOST => {
                links.push(dial(worker, endpoint)?);
                &links[links.len() - 1]
            }
            // All wait for their sockets: so does this stream, rather than to fail.
            None => links.iter().find(|link| link.is_open()).ok_or(Reason::Overloaded)?,
        };
        link.open(open).map_err(|_| Reason::Overloaded)
    }

    fn forget(&self, endpoint: u64, link: &Rc<Link>) {
        let mut by_endpoint = self.by_endpoint.borrow_mut();
        let Some(links) = by_endpoint.get_mut(&endpoint) else { return };
        links.retain(|other| !Rc::ptr_eq(other, link));
        if links.is_empty() {
            by_endpoint.remove(&endpoint);
        }
    }

    /// A peer has connected: its link ends with the others.
    pub fn accepted(&self, link: &Rc<Link>) {
        let mut links = self.from_peers.borrow_mut();
        links.retain(|link| link.strong_count() > 0);
        links.push(Rc::downgrade(link));
    }

    /// Peers open no new streams to this pod; what is open is finished.
    pub fn drain(&self) {
        for link in self.from_peers.borrow().iter().filter_map(Weak::upgrade) {
            link.drain();
        }
    }
}

fn dial(worker: &Rc<Worker>, endpoint: &Arc<Endpoint>) -> Result<Rc<Link>, Reason> {
    let current = worker.shared.identity.current().ok_or(Reason::Handshake)?;
    let expected = endpoint.identity.as_ref().ok_or(Reason::Handshake)?;
    let address = SocketAddr::new(endpoint.addr.0.ip(), MESH_PORT);
    let link =
        Link::client(current.tls.client_for(expected), EndpointAddr(address), worker.link_limits(current.expires));
    spawn_local({
        let (worker, link, id) = (worker.clone(), link.clone(), endpoint.id);
        async move {
            let limit = worker.shared.config.timeouts.connect_outbound;
            match connect(address, worker.dial(), limit).await {
                Ok(io) => report(address, &link.clone().run_client(io).await),
                Err(ConnectError::Deadline { .. }) => link.dead(LinkError::ConnectTimeout),
                Err(ConnectError::Refused { source, .. } | ConnectError::Local { source, .. }) => {
                    link.dead(LinkError::Connect(source.kind()));
                }
            }
            worker.links.forget(id, &link);
        }
    });
    Ok(link)
}

/// Says why an endpoint was not believed: its streams only know the kind of failure.
fn report(address: SocketAddr, end: &LinkEnd) {
    if end.established {
        return;
    }
    match end.cause.wrong_identity() {
        Some(WrongIdentity { expected, actual }) => {
            warn!(endpoint.addr = %address, %expected, %actual, "endpoint refused: it proved another identity");
        }
        None => debug!(error = chain(&end.cause), endpoint.addr = %address, "handshake failed"),
    }
}
