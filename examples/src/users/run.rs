//! The service as a program.

use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;

use super::{MIGRATIONS, UsersGrpc, router};
use crate::client::Client;
use crate::db::Db;
use crate::faults::Faults;
use crate::proto::user_service_server::UserServiceServer;
use crate::{serve, settings};

/// Serves REST on `PORT` (8080) and gRPC on `GRPC_PORT` (9090) until it is told to stop, over `DATABASE_URL`; asks the
/// orders service at `ORDERS_URL` (`http://orders:8080`) for the orders of a user.
///
/// # Errors
/// A setting that cannot be used, a port that is taken, or a database that does not answer.
pub async fn run() -> anyhow::Result<()> {
    let faults = Arc::new(Faults::from_env()?);
    let orders: String = settings::parsed("ORDERS_URL", "http://orders:8080".into(), "a URL")?;
    let orders = Client::new(&orders).context("ORDERS_URL cannot be used")?;
    let db = Db::from_env("users", &MIGRATIONS).await?;
    let rest = serve::listen(serve::port("PORT", 8080)?).await?;
    let grpc = serve::listen(serve::port("GRPC_PORT", 9090)?).await?;

    let stop = CancellationToken::new();
    let rest = serve::rest(rest, router(db.clone(), faults.clone()), stop.clone());
    let mut services = RoutesBuilder::default();
    services.add_service(UserServiceServer::new(UsersGrpc::new(db.clone(), orders, faults)));
    let grpc = serve::grpc(grpc, services, db, stop.clone());
    serve::until_signal(stop, async { tokio::try_join!(rest, grpc).map(|_| ()) }).await
}
