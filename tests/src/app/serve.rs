//! The server: answers what it is asked to, and writes down the ids that it got.

use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
    io::Write,
    net::SocketAddr,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    task::{JoinSet, LocalSet},
};
use tokio_util::sync::CancellationToken;

/// How long what is in flight may take once the app is told to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Serves until it is killed.
pub async fn serve(
    http: SocketAddr,
    (echo, greet): (SocketAddr, SocketAddr),
    record: Option<PathBuf>,
) -> anyhow::Result<()> {
    let record = record.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
    let record = Arc::new(record);
    let (http, echo, greet) =
        (TcpListener::bind(http).await?, TcpListener::bind(echo).await?, TcpListener::bind(greet).await?);
    let mut connections = JoinSet::new();
    let mut terminated = signal(SignalKind::terminate())?;
    let leaving = CancellationToken::new();
    LocalSet::new()
        .run_until(async move {
            loop {
                tokio::select! {
                    _ = terminated.recv() => break,
                    Ok((io, client)) = http.accept() => {
                        connections.spawn_local(serve_http(io, client, record.clone(), leaving.clone()));
                    }
                    Ok((io, _)) = echo.accept() => drop(connections.spawn_local(serve_echo(io))),
                    Ok((io, _)) = greet.accept() => drop(connections.spawn_local(serve_greeting(io))),
                    Some(_) = connections.join_next() => {}
                }
            }
            // As a well-behaved app: nothing new is taken, what is in flight is finished.
            drop((http, echo, greet));
            leaving.cancel();
            let _ = tokio::time::timeout(PATIENCE, async { while connections.join_next().await.is_some() {} }).await;
            Ok(())
        })
        .await
}

async fn serve_http(io: TcpStream, client: SocketAddr, record: Arc<Option<File>>, leaving: CancellationToken) {
    let service = service_fn(move |request| answer(request, client, record.clone()));
    let builder = Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    // A client that breaks off is a test's business.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = leaving.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    client: SocketAddr,
    record: Arc<Option<File>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    if let (Some(id), Some(mut file)) = (parts.headers.get("x-id"), record.as_ref().as_ref()) {
        let line = format!("{} {}\n", parts.method, id.to_str().unwrap_or_default());
        let _ = file.write_all(line.as_bytes());
    }
    let path = parts.uri.path();
    if let Some(milliseconds) = path.strip_prefix("/slow/").and_then(|text| text.parse().ok()) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    let status = path.strip_prefix("/status/").and_then(|text| text.parse().ok());
    let status = status.and_then(|code: u16| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK);
    if let Some(size) = path.strip_prefix("/bytes/").and_then(|text| text.parse().ok()) {
        return Ok(Response::new(Full::from(vec![b'x'; size])));
    }
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let seen = serde_json::json!({
        "pod": std::env::var("POD_NAME").unwrap_or_default(),
        "client": client.to_string(),
        "method": parts.method.as_str(),
        "path": parts.uri.to_string(),
        "version": format!("{:?}", parts.version),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    let body = if parts.method == Method::HEAD { String::new() } else { seen.to_string() };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert("weft-spoofed", http::HeaderValue::from_static("by the app"));
    Ok(response)
}

async fn serve_echo(io: TcpStream) {
    let (mut from, mut to) = io.into_split();
    // Ends with the client's half; the rest is what the client gets.
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// As SMTP does: the server speaks first. Then it echoes a line.
async fn serve_greeting(mut io: TcpStream) {
    let mut line = [0; 64];
    let _ = io.write_all(b"220 ready\r\n").await;
    if let Ok(n) = io.read(&mut line).await {
        let _ = io.write_all(&line[..n]).await;
    }
}
