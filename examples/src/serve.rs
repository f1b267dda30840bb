//! How a service runs: listeners, logs, and an end that finishes what is in flight.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{info, warn};
use utoipa::openapi::OpenApi;

use crate::db::Db;
use crate::problem::{self, Problem};
use crate::proto;
use crate::settings::{self, SettingError};

const DRAIN_DEADLINE: Duration = Duration::from_secs(10);
/// How old the answer "ready" over gRPC may be.
const READY_EVERY: Duration = Duration::from_secs(1);

/// Logs to standard error, one line an event.
pub fn log() {
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(colours).with_target(false).init();
}

/// A port from the environment.
///
/// # Errors
/// A value that is no port.
pub fn port(name: &'static str, default: u16) -> Result<u16, SettingError> {
    settings::parsed(name, default, "a port from 1 to 65535")
}

/// Listens on `port` of every address, or of `HOST` alone where that is set.
///
/// # Errors
/// A `HOST` that is no address, or a port that is taken.
pub async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let any = (Ipv6Addr::UNSPECIFIED, port).into();
    let host = settings::parsed("HOST", Ipv6Addr::UNSPECIFIED.into(), "an address")?;
    let listener = match TcpListener::bind(SocketAddr::new(host, port)).await {
        // A machine without IPv6 has no `::`.
        Err(_) if SocketAddr::new(host, port) == any => TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await,
        other => other,
    };
    listener.with_context(|| format!("cannot listen on port {port}"))
}

/// What every REST service has besides its own routes: `/health`, and problems for what it does not know.
///
/// `/health` is added last, so that no middleware of the routes (such as faults) touches it.
pub fn with_basics(routes: Router) -> Router {
    routes
        .route("/health", get(|| async { axum::Json(serde_json::json!({ "status": "ok" })) }))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
}

/// `/ready`: whether the service's database answers.
pub fn ready(db: &Db) -> Router {
    let db = db.clone();
    let answer = || async move {
        db.ready().await?;
        Ok::<_, Problem>(axum::Json(serde_json::json!({ "status": "ready" })))
    };
    Router::new().route("/ready", get(answer))
}

/// What a service without a database has besides its own routes: it is ready once it listens.
pub fn stateless(routes: Router, api: OpenApi) -> Router {
    let answer = || async { axum::Json(serde_json::json!({ "status": "ready" })) };
    with_basics(routes.merge(docs(api)).route("/ready", get(answer)))
}

/// `/openapi.json`, which describes the service, and `/docs`, a page to try it.
pub fn docs(api: OpenApi) -> Router {
    // The page's own links are relative to its folder.
    Router::new()
        .route("/openapi.json", get(|| async { axum::Json(api) }))
        .route("/docs", get(|| async { Redirect::permanent("/docs/") }))
        .route("/docs/", get(|| async { page("index.html") }))
        .route("/docs/{file}", get(|Path(file): Path<String>| async move { page(&file) }))
}

fn page(file: &str) -> Result<impl IntoResponse + use<>, Problem> {
    let config = Arc::new(utoipa_swagger_ui::Config::from("/openapi.json"));
    let Ok(Some(file)) = utoipa_swagger_ui::serve(file, config) else {
        return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is nothing at /docs/{file}")));
    };
    Ok(([(header::CONTENT_TYPE, file.content_type)], file.bytes.into_owned()))
}

/// Serves `services` until `stop`, then finishes what is in flight. Beside them stand reflection and the health service:
/// it says of the service "" that the program runs, and of "ready" whether its database answers.
///
/// # Errors
/// A listener that breaks.
pub async fn grpc(
    listener: TcpListener,
    services: RoutesBuilder,
    db: Db,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let (reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    info!(address = %listener.local_addr()?, "serving gRPC");
    let server = tonic::transport::Server::builder()
        .add_routes(services.routes().add_service(health).add_service(reflection))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned());
    tokio::select! {
        ended = server => Ok(ended?),
        () = report_ready(reporter, db) => Ok(()),
    }
}

async fn report_ready(reporter: HealthReporter, db: Db) {
    loop {
        let status = if db.ready().await.is_ok() { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status("ready", status).await;
        tokio::time::sleep(READY_EVERY).await;
    }
}

/// Serves `router` until `stop`, then finishes what is in flight.
///
/// # Errors
/// A listener that breaks.
pub async fn rest(listener: TcpListener, router: Router, stop: CancellationToken) -> anyhow::Result<()> {
    let address = listener.local_addr()?;
    info!(%address, "serving REST");
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).with_graceful_shutdown(stop.cancelled_owned()).await?;
    Ok(())
}

/// Runs `servers` until SIGTERM or SIGINT, then cancels `stop` and gives them 10 s to finish.
///
/// # Errors
/// The first error of `servers`, or no right to watch signals.
pub async fn until_signal<F>(stop: CancellationToken, servers: F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut servers = pin!(servers);
    tokio::select! {
        ended = &mut servers => return ended,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("stopping: finishing what is in flight");
    stop.cancel();
    if let Ok(ended) = tokio::time::timeout(DRAIN_DEADLINE, servers).await {
        return ended;
    }
    warn!(deadline = ?DRAIN_DEADLINE, "stopped with requests in flight");
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::migrate::Migrator;
    use tonic::transport::Channel;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus as Wire;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
    use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

    use super::*;

    /// Runs `test` with a channel to a gRPC server that has nothing of its own, and with its database.
    async fn with_server(test: impl AsyncFnOnce(Channel, Db)) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/test.db?mode=rwc", folder.path().display());
        let db = Db::open(&url, &Migrator::DEFAULT).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        let served = grpc(listener, RoutesBuilder::default(), db.clone(), stop.clone());
        let tested = async {
            test(Channel::from_shared(address).unwrap().connect().await.unwrap(), db).await;
            stop.cancel();
        };
        tokio::join!(async { served.await.unwrap() }, tested);
    }

    async fn health(channel: &Channel, service: &str) -> Wire {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(channel.clone()).check(request).await;
        answer.map_or(Wire::Unknown, |answer| answer.into_inner().status())
    }

    /// Waits, generously, until the service says so of "ready".
    async fn reached(channel: &Channel, wanted: Wire) {
        let asked = async {
            while health(channel, "ready").await != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), asked).await.unwrap();
    }

    #[tokio::test]
    async fn a_grpc_service_is_ready_while_its_database_answers_and_alive_without() {
        with_server(async |channel, db| {
            reached(&channel, Wire::Serving).await;
            db.pool.close().await;
            reached(&channel, Wire::NotServing).await;
            assert_eq!(health(&channel, "").await, Wire::Serving);
        })
        .await;
    }

    #[tokio::test]
    async fn reflection_tells_of_every_service_of_the_shop() {
        with_server(async |channel, _| {
            let message_request = Some(MessageRequest::ListServices(String::new()));
            let asked = ServerReflectionRequest { host: String::new(), message_request };
            let answers = ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::once(asked)).await;
            let answer: ServerReflectionResponse = answers.unwrap().into_inner().message().await.unwrap().unwrap();
            let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
                panic!("{answer:?}")
            };
            let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
            for name in ["UserService", "InventoryService", "PaymentService", "Participant", "grpc.health.v1.Health"] {
                assert!(names.contains(&name), "{names:?}");
            }
        })
        .await;
    }
}
