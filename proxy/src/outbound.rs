//! The outbound path, top to bottom: what happens to a connection that the app beside this proxy makes.
//!
//! 1. `listen` accepted it; where did the app want to go?
//! 2. `discover` tells what is there: a Service, a pod, something foreign, or nothing that is known.
//! 3. `client` finds out what it speaks (`detect`) and takes its requests.
//! 4. `call` leads each over `route`, `balance`, `retry` and `timeout`.
//! 5. `endpoint` has the connection to the peer's proxy, `mesh` carries the request there: `inbound.rs` goes on.

use std::rc::Rc;

use tokio::net::TcpStream;
use tracing::debug;

use crate::{
    access::{Access, Caller},
    client,
    discover::Target,
    endpoint::connect,
    error::Reason,
    listen::{Connection, OriginalDestination},
    mesh::Protocol,
    origin::{Nowhere, Origin},
    relay::AppConn,
    tcp,
    telemetry::{Direction, TcpLabels},
    worker::Worker,
};

/// Serves an intercepted connection until it is over.
pub async fn serve(worker: Rc<Worker>, connection: Connection) {
    let Connection { stream, client, presence: _presence } = connection;
    let Ok(orig_dst) = OriginalDestination::Kernel.of(&stream, client) else { return };
    // The process waits for it: idle clients are sent away when it leaves.
    let _hold = worker.shared.drain.hold();
    if worker.shared.config.ports.own().contains(&orig_dst.0.port()) {
        debug!(client.addr = %client, orig_dst = %orig_dst, "a port of the proxy's own was called");
        worker.shared.metrics.error(Direction::Outbound, Reason::Loop);
        return;
    }
    let caller = Caller { client, orig_dst };
    let wait = worker.shared.config.timeouts.discovery;
    let origin = match worker.shared.directory.resolve(orig_dst, wait).await {
        Ok(Target::Service(policy)) => Origin::Service(policy),
        Ok(Target::Pod(pod)) => Origin::Pod(pod),
        Ok(Target::Foreign) => return pass_through(&worker, stream, caller).await,
        Err(error) => {
            debug!(error = %error, client.addr = %client, orig_dst = %orig_dst, "no destination");
            Origin::Nowhere(Nowhere { orig_dst, reason: error.reason() })
        }
    };
    client::serve(&worker, (&origin, caller), stream).await;
}

/// To somewhere outside of the mesh: the bytes as they are.
async fn pass_through(worker: &Rc<Worker>, stream: TcpStream, caller: Caller) {
    let orig_dst = caller.orig_dst;
    let access = Access::new(&worker.shared.observers, (Direction::Outbound, caller), ("", ""), Protocol::Opaque);
    let config = &worker.shared.config;
    let mut client = AppConn::new(stream);
    let server = match connect(orig_dst.0, worker.dial(), config.timeouts.connect_outbound).await {
        Ok(server) => server,
        Err(error) => {
            debug!(error = %error, orig_dst = %orig_dst, "connect failed");
            worker.shared.metrics.error(Direction::Outbound, error.reason());
            access.failed(error.reason());
            return tcp::reset_on_close(client.socket());
        }
    };
    let mut server = AppConn::new(server);
    let labels = TcpLabels { direction: Direction::Outbound, namespace: "", service: "", mtls: false };
    let counters = tcp::Counters { connection: Some(worker.shared.metrics.tcp(labels).opened()), access };
    let timer = worker.timers.timer();
    match tcp::pass_through(&mut client, &mut server, &timer, worker.silence(), &counters).await {
        tcp::End::Closed => {}
        tcp::End::AppReset | tcp::End::PeerReset | tcp::End::Silent => {
            tcp::reset_on_close(client.socket());
            tcp::reset_on_close(server.socket());
        }
    }
}
