//! A server of bytes: one connection for each stream.

use std::rc::Rc;

use tokio::task::spawn_local;
use weft_certs::SpiffeId;

use super::{Counted, Delivery, refusal};
use crate::{
    authz, endpoint::connect, error::Reason, mesh::ResetCause, relay::AppConn, tcp, telemetry::Direction,
    worker::Worker,
};

pub(super) fn deliver(worker: &Rc<Worker>, delivery: Delivery) {
    spawn_local(connection(worker.clone(), delivery));
}

async fn connection(worker: Rc<Worker>, delivery: Delivery) {
    let Delivery { stream, address, client, counted, access, connect_deadline, permit: _permit, .. } = delivery;
    let io = match connect(address, worker.shared.config.interception.mark, connect_deadline).await {
        Ok(io) => io,
        Err(error) => {
            access.failed(refusal(&error).reason());
            return stream.refuse(refusal(&error));
        }
    };
    stream.accept();
    let timer = worker.timers.timer();
    let mut conn = AppConn::new(io);
    let (connection, guarded) = match counted {
        Counted::Connection(connection) => (Some(connection), true),
        Counted::Elsewhere | Counted::Request(_) => (None, false),
    };
    let end = {
        let (mut rd, mut wr) = conn.split();
        let counters = tcp::Counters { connection, access };
        let relay = tcp::relay((&mut rd, &mut wr), &stream, &timer, worker.silence(), &counters);
        tokio::select! {
            biased;
            () = revoked(&worker, address.port(), client.as_ref()), if guarded => {
                worker.shared.metrics.error(Direction::Inbound, Reason::Denied);
                stream.reset(ResetCause::Cancelled);
                tcp::End::PeerReset
            }
            end = relay => end,
        }
    };
    if matches!(end, tcp::End::PeerReset | tcp::End::Silent) {
        tcp::reset_on_close(conn.socket());
    }
}

/// Over when a change of policy no longer allows the client of a connection that is open.
async fn revoked(worker: &Rc<Worker>, port: u16, client: Option<&SpiffeId>) {
    let mut changes = worker.shared.directory.inbound().changes();
    loop {
        if changes.changed().await.is_err() {
            return std::future::pending().await;
        }
        let allowed = worker
            .shared
            .directory
            .inbound()
            .port(port)
            .is_some_and(|policy| authz::check(&policy.rule, port, client).is_ok());
        if !allowed {
            return;
        }
    }
}
