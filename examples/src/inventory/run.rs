//! The service as a program.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use super::{InventoryGrpc, MIGRATIONS, StockWork};
use crate::db::Db;
use crate::faults::Faults;
use crate::participant::{self, Participant};
use crate::proto::inventory_service_server::InventoryServiceServer;
use crate::serve;

/// Serves gRPC on `GRPC_PORT` (9090) until it is told to stop, over `DATABASE_URL`. What stays in doubt for longer than
/// `IN_DOUBT_PATIENCE` (5s) is asked of the coordinator at `COORDINATOR_URL` (`http://orders:9090`).
///
/// # Errors
/// A setting that cannot be used, a port that is taken, or a database that does not answer.
pub async fn run() -> anyhow::Result<()> {
    let faults = Arc::new(Faults::from_env()?);
    let recovery = participant::Recovery::from_env()?;
    let db = Db::from_env("inventory", &MIGRATIONS).await?;
    let participant = Arc::new(Participant::open(db.clone(), StockWork).await?);
    let listener = serve::listen(serve::port("GRPC_PORT", 9090)?).await?;

    let stop = CancellationToken::new();
    let mut services = RoutesBuilder::default();
    services.add_service(InventoryServiceServer::new(InventoryGrpc::new(db.clone(), faults.clone())));
    services.add_service(participant::service(participant.clone(), faults));
    let serving = async {
        tokio::select! {
            ended = serve::grpc(listener, services, db, stop.clone()) => ended,
            never = recovery.run(&participant) => match never {},
        }
    };
    serve::until_signal(stop.clone(), serving).await
}
