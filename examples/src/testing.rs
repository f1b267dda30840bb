//! For tests of services in process: routers are called, and gRPC runs over a pipe in memory.

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio_stream::StreamExt;
use tonic::service::RoutesBuilder;
use tonic::transport::{Channel, Endpoint, Server};
use tower::ServiceExt;

/// What `router` answers.
pub async fn ask(router: Router, method: &str, path: &str, body: &str) -> Response<Body> {
    let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
    router.oneshot(request).await.unwrap()
}

/// The body of an answer.
pub async fn json_of(answer: Response<Body>) -> Value {
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// Runs `test` with a channel whose other end is served by `services`.
pub async fn with_channel<F: Future>(services: RoutesBuilder, test: impl FnOnce(Channel) -> F) {
    let (near, far) = tokio::io::duplex(64 * 1024);
    let server = Server::builder()
        .add_routes(services.routes())
        .serve_with_incoming(tokio_stream::once(Ok::<_, std::io::Error>(far)).chain(tokio_stream::pending()));
    let mut near = Some(near);
    let connector = tower::service_fn(move |_| {
        let io = near.take().ok_or_else(|| std::io::Error::other("there is one pipe"));
        async move { io.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://service").connect_with_connector_lazy(connector);
    tokio::select! {
        _ = server => panic!("the server ended"),
        _ = test(channel) => {}
    }
}
