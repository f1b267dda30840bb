//! Serves an app's client connection: finds out what it speaks; each request, or the connection itself, goes to a stream.
//!
//! Which stream is the business of `call.rs`. The other end of a stream, where a server is, is `server/`, here or beside
//! that server.

mod first;
mod http1;
mod http2;
mod opaque;
mod prefixed;

use std::rc::Rc;

use tokio::net::TcpStream;
use weft_api::AppProtocol;

use crate::{
    access::Caller, detect::Detected, mesh, origin::Origin, relay::AppConn, tcp, telemetry::Protocol, worker::Worker,
};
use first::First;

/// Serves the connection until it is over.
pub async fn serve(worker: &Rc<Worker>, (origin, caller): (&Origin, Caller), io: TcpStream) {
    let mut conn = AppConn::new(io);
    let first = match origin.protocol() {
        AppProtocol::Http1 => First::Said(Detected::Http1),
        AppProtocol::Http2 => First::Said(Detected::Http2),
        AppProtocol::Tls => First::Said(Detected::Tls),
        AppProtocol::Opaque => First::Said(Detected::Opaque),
        AppProtocol::Detect if origin.is_opaque_port(&worker.shared.config) => First::Said(Detected::Opaque),
        AppProtocol::Detect => first::words(worker, origin, &mut conn).await,
    };
    let detected = match first {
        First::Said(detected) => detected,
        First::Gone => return,
        First::Unreachable(reason) => {
            worker.count_error(origin, reason);
            return tcp::reset_on_close(conn.socket());
        }
        First::ServerSpoke(connected) => {
            worker.shared.metrics.detected(Protocol::Opaque);
            let access = worker.access(origin, caller, mesh::Protocol::Opaque);
            return opaque::serve_on(worker, &mut conn, connected, access).await;
        }
    };
    match detected {
        Detected::Http1 => {
            worker.shared.metrics.detected(Protocol::Http1);
            http1::serve(worker, (origin, caller), &mut conn).await;
        }
        Detected::Http2 => {
            worker.shared.metrics.detected(Protocol::Http2);
            http2::serve(worker, (origin, caller), prefixed::Prefixed::new(conn)).await;
        }
        Detected::Tls => {
            worker.shared.metrics.detected(Protocol::Tls);
            opaque::serve(worker, (origin, caller), &mut conn).await;
        }
        Detected::Opaque | Detected::More => {
            worker.shared.metrics.detected(Protocol::Opaque);
            opaque::serve(worker, (origin, caller), &mut conn).await;
        }
    }
}
