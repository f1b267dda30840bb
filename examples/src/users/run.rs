//! The service as a program.

use std::sync::Arc;

use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;

use super::{Users, UsersGrpc, router};
use crate::faults::Faults;
use crate::proto::user_service_server::UserServiceServer;
use crate::serve;

/// Serves REST on `PORT` (8080) and gRPC on `GRPC_PORT` (9090) until it is told to stop.
///
/// # Errors
/// A setting that cannot be used, or a port that is taken.
pub async fn run() -> anyhow::Result<()> {
    let (users, faults) = (Arc::new(Users::new()), Arc::new(Faults::from_env()?));
    let rest = serve::listen(serve::port("PORT", 8080)?).await?;
    let grpc = serve::listen(serve::port("GRPC_PORT", 9090)?).await?;

    let stop = CancellationToken::new();
    let rest = serve::rest(rest, router(users.clone(), faults.clone()), stop.clone());
    let grpc = tonic::transport::Server::builder()
        .add_service(UserServiceServer::new(UsersGrpc::new(users, faults)))
        .serve_with_incoming_shutdown(TcpListenerStream::new(grpc), stop.clone().cancelled_owned());
    serve::until_signal(stop, async { tokio::try_join!(rest, async { Ok(grpc.await?) }).map(|_| ()) }).await
}
