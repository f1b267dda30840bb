//! A client of bytes: its connection goes to one stream, to one endpoint, for as long as it lasts.

use std::rc::Rc;

use crate::{
    access::{Access, Caller},
    call,
    mesh::Protocol,
    origin::Origin,
    relay::AppConn,
    tcp,
    telemetry::TcpSeries,
    worker::Worker,
};

/// Carries the connection's bytes until it is over.
pub async fn serve(worker: &Rc<Worker>, (origin, caller): (&Origin, Caller), conn: &mut AppConn) {
    let access = worker.access(origin, caller, Protocol::Opaque);
    match call::connect(worker, origin, Protocol::Opaque).await {
        Ok(connected) => serve_on(worker, conn, connected, access).await,
        Err(reason) => {
            worker.count_error(origin, reason);
            access.failed(reason);
            tcp::reset_on_close(conn.socket());
        }
    }
}

/// The same, on a stream that is there already.
pub async fn serve_on(worker: &Rc<Worker>, conn: &mut AppConn, connected: call::Connected, access: Access) {
    if let Some(endpoint) = connected.endpoint() {
        access.endpoint(endpoint);
    }
    let timer = worker.timers.timer();
    let end = {
        let (mut rd, mut wr) = conn.split();
        let counters = tcp::Counters { connection: connected.series.as_ref().map(TcpSeries::opened), access };
        tcp::relay((&mut rd, &mut wr), &connected.stream, &timer, worker.silence(), &counters).await
    };
    if matches!(end, tcp::End::PeerReset | tcp::End::Silent) {
        tcp::reset_on_close(conn.socket());
    }
}
