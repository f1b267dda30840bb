//! The inbound path, top to bottom: what happens to a connection that comes to this pod.
//!
//! 1. `listen` accepted it. Straight to the mesh port it is another proxy's; redirected from elsewhere, it is a client
//!    outside of the mesh.
//! 2. `mesh` proves who the peer is and takes its streams. A client outside of the mesh is served by `client`, whose
//!    streams come here as well.
//! 3. `authz` decides on the stream's target port.
//! 4. `server` takes the stream to the app, at the pod's own address.

use std::{net::SocketAddr, pin::pin, rc::Rc};

use tokio::{net::TcpStream, time::Instant};
use tracing::debug;
use weft_api::AppProtocol;

use crate::{
    access::Caller,
    address::OrigDst,
    authz::{self, Denied},
    client,
    error::{Reason, chain},
    listen::{Connection, OriginalDestination},
    mesh::{Incoming, Link, Protocol, Refusal},
    origin::{AppTarget, Origin},
    server::{self, Delivery},
    tcp,
    telemetry::Direction,
    worker::Worker,
};

/// Serves a connection to this pod until it is over.
pub async fn serve(worker: Rc<Worker>, connection: Connection) {
    let Ok(orig_dst) = OriginalDestination::Kernel.of(&connection.stream, connection.client) else { return };
    // The process waits for it: links drain and idle clients are sent away when it leaves.
    let _hold = worker.shared.drain.hold();
    let ports = &worker.shared.config.ports;
    match orig_dst.0.port() {
        port if port == ports.inbound => from_peer(&worker, connection).await,
        port if ports.own().contains(&port) => worker.shared.metrics.error(Direction::Inbound, Reason::Loop),
        _ => from_outside(&worker, connection, orig_dst.0).await,
    }
}

/// Another proxy: each of its streams is a request or a connection to the app.
async fn from_peer(worker: &Rc<Worker>, connection: Connection) {
    let Connection { stream, client, presence: _presence } = connection;
    let shared = &worker.shared;
    let Ok(local) = stream.local_addr() else { return };
    let Ok(_peer) = shared.peers.enter(client.0.ip()) else { return refuse(worker, &stream) };
    let Some(current) = shared.identity.current() else {
        return shared.metrics.error(Direction::Inbound, Reason::Handshake);
    };
    let wait = shared.config.timeouts.handshake;
    let Ok(handshake) = shared.handshakes.begin(client.0.ip(), wait).await else { return refuse(worker, &stream) };
    let link = Link::server(current.tls.server(), worker.link_limits(current.expires));
    worker.links.accepted(&link);
    let established = link.clone();
    let run = link.run_server(stream, {
        let worker = worker.clone();
        move |incoming| {
            let address = SocketAddr::new(local.ip(), incoming.open.target_port);
            admit(&worker, incoming, address, Some(Caller { client, orig_dst: OrigDst(address) }));
        }
    });
    let mut run = pin!(run);
    let end = tokio::select! {
        biased;
        () = established.established() => {
            drop(handshake);
            let mut leaving = pin!(shared.drain.leaving());
            tokio::select! {
                biased;
                end = &mut run => end,
                () = &mut leaving => {
                    established.drain();
                    run.await
                }
            }
        }
        end = &mut run => end,
    };
    if !end.established {
        debug!(error = chain(&end.cause), client.addr = %client, "handshake failed");
        shared.metrics.error(Direction::Inbound, Reason::Handshake);
    }
}

/// Sends away who has had its share: a reset costs nothing more afterwards.
fn refuse(worker: &Worker, stream: &TcpStream) {
    worker.shared.metrics.error(Direction::Inbound, Reason::Overloaded);
    tcp::reset_on_close(stream);
}

/// A client outside of the mesh.
async fn from_outside(worker: &Rc<Worker>, connection: Connection, address: SocketAddr) {
    let Connection { stream, client, presence: _presence } = connection;
    let Ok(_client) = worker.shared.outside.enter(client.0.ip()) else { return refuse(worker, &stream) };
    let wait = Instant::now() + worker.shared.config.timeouts.discovery;
    let Some(policy) = worker.shared.directory.inbound().port_by(address.port(), wait).await else {
        debug!(client.addr = %client, orig_dst = %address, "no policy known yet");
        worker.shared.metrics.error(Direction::Inbound, Reason::DiscoveryTimeout);
        return tcp::reset_on_close(&stream);
    };
    let origin = Origin::App(AppTarget { address, policy });
    client::serve(worker, (&origin, Caller { client, orig_dst: OrigDst(address) }), stream).await;
}

/// A stream to the app: refused, or delivered. `address` is the pod's own, with the port that the client wants; `caller`
/// is who is named in the access log, unless the stream is logged where it came from.
pub fn admit(worker: &Rc<Worker>, incoming: Incoming, address: SocketAddr, caller: Option<Caller>) {
    let (shared, port) = (&worker.shared, address.port());
    let refuse = |incoming: &Incoming, refusal: Refusal| {
        shared.metrics.error(Direction::Inbound, refusal.reason());
        incoming.stream.refuse(refusal);
    };
    if shared.config.ports.own().contains(&port) || shared.config.interception.skipped_inbound_ports.contains(port) {
        return refuse(&incoming, Refusal::Loop);
    }
    let Some(policy) = shared.directory.inbound().port(port) else { return refuse(&incoming, Refusal::NotDelivered) };
    if evades(policy.protocol, incoming.open.protocol) {
        return refuse(&incoming, Refusal::Unsupported);
    }
    let client = incoming.stream.peer();
    let access =
        caller.map(|caller| worker.inbound_access(&policy, caller, incoming.open.protocol)).unwrap_or_default();
    access.identity(client.as_ref());
    if let Err(denied) = authz::check(&policy.rule, port, client.as_ref()) {
        debug!(error = %denied, orig_dst = %address, "call refused");
        let refusal = match denied {
            Denied::MtlsRequired { .. } => Refusal::MtlsRequired,
            Denied::NotAllowed { .. } => Refusal::Denied,
        };
        access.failed(refusal.reason());
        return refuse(&incoming, refusal);
    }
    let Some(permit) = shared.inbound_in_flight.acquire() else {
        access.failed(Reason::Overloaded);
        return refuse(&incoming, Refusal::Overloaded);
    };
    let counted = worker.counted(&policy, client.as_ref(), (port, incoming.open.protocol));
    let connect_deadline = shared.config.timeouts.connect_inbound;
    let delivery =
        Delivery { client, counted, access, permit: Some(permit), ..Delivery::of(incoming, address, connect_deadline) };
    server::deliver(worker, delivery);
}

/// Whether a stream of bytes goes to a port that is declared to speak HTTP: what is checked there, stripped and added would
/// be evaded. No client of the mesh opens one, as it has the declaration from the same Service.
fn evades(declared: AppProtocol, protocol: Protocol) -> bool {
    matches!(declared, AppProtocol::Http1 | AppProtocol::Http2)
        && matches!(protocol, Protocol::Opaque | Protocol::Undecided)
}
