//! The service as a program.

use std::sync::Arc;

use futures_util::future::join;
use tokio_util::sync::CancellationToken;

use super::grpc::services;
use super::relay::relay;
use super::{MIGRATIONS, Orders, Partners, Urls, choreography, router, work};
use crate::db::Db;
use crate::events::nats;
use crate::faults::Faults;
use crate::serve;

/// Serves REST on `PORT` (8080) and gRPC on `GRPC_PORT` (9090) until it is told to stop. Asks the services at [`Urls::from_env`], and
/// publishes events to NATS at `NATS_URL` where that is set.
///
/// # Errors
/// A setting that cannot be used, a port that is taken, a database that does not answer.
pub async fn run() -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let (partners, faults) = (Partners::new(&Urls::from_env()?)?, Arc::new(Faults::from_env()?));
    let db = Db::from_env("orders", &MIGRATIONS).await?;
    let (orders, waiting) = Orders::new(db.clone(), partners, faults, stop.clone())?;
    let rest = serve::listen(serve::port("PORT", 8080)?).await?;
    let grpc = serve::listen(serve::port("GRPC_PORT", 9090)?).await?;

    let rest = serve::rest(rest, router(orders.clone()), stop.clone());
    let grpc = serve::grpc(grpc, services(orders.clone()), db, stop.clone());
    let worker = async {
        join(work(orders.clone(), waiting), choreography::perform(&orders)).await;
        Ok(())
    };
    let relay = async {
        if let Some(events) = nats::Events::from_env()? {
            relay(orders.clone(), events).await;
        }
        Ok(())
    };
    serve::until_signal(stop, async { tokio::try_join!(rest, grpc, worker, relay).map(|_| ()) }).await
}
