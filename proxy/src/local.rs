//! Streams that stay within this worker: a link to itself, without TLS.
//!
//! Whoever serves a client only knows streams. The server of a stream may be beside another proxy, or reached from here;
//! this is the way to the latter, so that there is one way to serve each kind of client and one to reach each kind of
//! server.

use std::{
    cell::RefCell,
    net::SocketAddr,
    rc::{Rc, Weak},
};

use tokio::task::spawn_local;

use crate::{
    error::Reason,
    inbound,
    mesh::{self, Incoming, Link, Open, Stream},
    server::{self, Delivery},
    worker::Worker,
};

/// Bytes on their way between the two ends, at most.
const PIPE: usize = 256 << 10;

/// A link of a worker to itself, made when it is first used.
pub struct Local {
    worker: Weak<Worker>,
    serve: fn(&Rc<Worker>, Incoming),
    link: RefCell<Option<Rc<Link>>>,
}

impl Local {
    /// A link whose streams go to `serve`.
    pub fn new(worker: Weak<Worker>, serve: fn(&Rc<Worker>, Incoming)) -> Self {
        Self { worker, serve, link: RefCell::new(None) }
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// [`Reason::Overloaded`] when there are too many.
    pub fn open(&self, open: &Open) -> Result<Stream, Reason> {
        let mut link = self.link.borrow_mut();
        let link = match &mut *link {
            // Streams whose apps do not read hold up none that come later; each is a client's connection, and these are capped.
            Some(link) if !link.is_ending() && !link.state().blocked => link,
            vacant => vacant.insert(self.connect().ok_or(Reason::Draining)?),
        };
        link.open(open).map_err(|_| Reason::Overloaded)
    }

    fn connect(&self) -> Option<Rc<Link>> {
        let worker = self.worker.upgrade()?;
        let limits = mesh::Limits { streams: worker.shared.config.limits.in_flight, ..mesh::Limits::default() };
        let (here, there) = tokio::io::duplex(PIPE);
        let (opener, acceptor) = Link::within(limits);
        let serve = self.serve;
        spawn_local(opener.clone().run_client(here));
        spawn_local(acceptor.run_server(there, move |incoming| serve(&worker, incoming)));
        Some(opener)
    }

    /// To an endpoint that is not meshed. It was counted where the stream was opened.
    pub fn deliver_directly(worker: &Rc<Worker>, incoming: Incoming) {
        let Some(ip) = incoming.open.target else { return };
        let address = SocketAddr::new(ip, incoming.open.target_port);
        let connect_deadline = worker.shared.config.timeouts.connect_outbound;
        server::deliver(worker, Delivery::of(incoming, address, connect_deadline));
    }

    /// To the app, for a client outside of the mesh.
    pub fn admit_to_app(worker: &Rc<Worker>, incoming: Incoming) {
        let Some(ip) = incoming.open.target else { return };
        let address = SocketAddr::new(ip, incoming.open.target_port);
        inbound::admit(worker, incoming, address, None);
    }
}
