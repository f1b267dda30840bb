//! The server: answers what it is asked to, and writes down the ids that it got.
//!
//! A line of the record: when (microseconds since 1970), which pod, the method, the id.

use std::{
    convert::Infallible,
    fs::{File, OpenOptions},
    io::{ErrorKind, Write},
    net::SocketAddr,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::Semaphore,
    task::{JoinSet, LocalSet, spawn_local},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{one::Client, unary};

/// How long what is in flight may take once the app is told to end.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long it goes on as before once it is told to end. A request that meets a connection which the app closes at that
/// instant has failed: no proxy can know that the app has not read it. So an app that is to lose none lets the word spread.
const NOTICE: Duration = Duration::from_millis(500);

/// What an app is started with.
pub struct Serve {
    /// The file that ids of requests are appended to.
    pub record: Option<PathBuf>,
    /// Whom a request for /chain is passed on to.
    pub next: Option<String>,
    /// Requests for /work that are worked on at a time.
    pub capacity: usize,
}

/// What every request knows of the app.
#[derive(Clone)]
struct App {
    record: Arc<Option<File>>,
    pod: Arc<str>,
    /// Cancelled: nothing new is taken, though the process stays.
    closed: CancellationToken,
    next: Option<Arc<str>>,
    capacity: Arc<Semaphore>,
}

/// Serves until it is killed.
pub async fn serve(
    http: SocketAddr,
    (echo, greet): (SocketAddr, SocketAddr),
    Serve { record, next, capacity }: Serve,
) -> anyhow::Result<()> {
    let record = record.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
    let pod = std::env::var("POD_NAME").unwrap_or_default().into();
    let app = App {
        record: Arc::new(record),
        pod,
        closed: CancellationToken::new(),
        next: next.map(Into::into),
        capacity: Arc::new(Semaphore::new(capacity)),
    };
    let (http, echo, greet) =
        (TcpListener::bind(http).await?, TcpListener::bind(echo).await?, TcpListener::bind(greet).await?);
    let mut connections = JoinSet::new();
    let mut terminated = signal(SignalKind::terminate())?;
    let leaving = CancellationToken::new();
    LocalSet::new()
        .run_until(async move {
            let mut told = pin!(async {
                terminated.recv().await;
                sleep(NOTICE).await;
            });
            let is_told = loop {
                tokio::select! {
                    () = &mut told => break true,
                    () = app.closed.cancelled() => break false,
                    Ok((io, client)) = http.accept() => {
                        connections.spawn_local(serve_http(io, client, app.clone(), leaving.clone()));
                    }
                    Ok((io, _)) = echo.accept() => drop(connections.spawn_local(serve_echo(io))),
                    Ok((io, _)) = greet.accept() => drop(connections.spawn_local(serve_greeting(io))),
                    Some(_) = connections.join_next() => {}
                }
            };
            // As a well-behaved app: nothing new is taken, what is in flight is finished.
            drop((http, echo, greet));
            leaving.cancel();
            let _ = tokio::time::timeout(PATIENCE, async { while connections.join_next().await.is_some() {} }).await;
            if !is_told {
                told.await;
            }
            Ok(())
        })
        .await
}

async fn serve_http(io: TcpStream, client: SocketAddr, app: App, leaving: CancellationToken) {
    let service = service_fn(move |request| answer(request, client, app.clone()));
    let builder = Builder::new(TokioExecutor::new());
    let mut connection = pin!(builder.serve_connection_with_upgrades(TokioIo::new(io), service));
    // A client that breaks off is a test's business.
    tokio::select! {
        // A request that has come already is taken before the connection is closed.
        biased;
        _ = connection.as_mut() => {}
        () = leaving.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn answer(mut request: Request<Incoming>, client: SocketAddr, app: App) -> std::io::Result<Answer> {
    if request.method() == Method::CONNECT || request.uri().path() == "/switch" {
        let (on, is_connect) = (hyper::upgrade::on(&mut request), request.method() == Method::CONNECT);
        spawn_local(async move {
            if let Ok(upgraded) = on.await {
                serve_echo(TokioIo::new(upgraded)).await;
            }
        });
        return Ok(switched(is_connect));
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    app.note(&parts);
    let path = parts.uri.path();
    if unary::is_call(&parts) {
        return Ok(unary::answer(path, &body));
    }
    if path == "/close" {
        app.closed.cancel();
    }
    if path == "/broken" {
        // The connection ends; a client that asked for it has been told to continue by then.
        tokio::time::sleep(Duration::from_millis(100)).await;
        return Err(ErrorKind::BrokenPipe.into());
    }
    if let Some(milliseconds) = path.strip_prefix("/slow/").and_then(|text| text.parse().ok()) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    if path == "/chain" {
        return Ok(app.pass_on(&parts).await);
    }
    if let Some(milliseconds) = path.strip_prefix("/work/").and_then(|text| text.parse().ok()) {
        let _place = app.capacity.acquire().await;
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    let status = path.strip_prefix("/status/").and_then(|text| text.parse().ok());
    let status = status.and_then(|code: u16| StatusCode::from_u16(code).ok()).unwrap_or(StatusCode::OK);
    if let Some(size) = path.strip_prefix("/bytes/").and_then(|text| text.parse().ok()) {
        return Ok(Response::new(Full::from(vec![b'x'; size]).boxed_unsync()));
    }
    let body = if parts.method == Method::HEAD { String::new() } else { seen(&parts, &body, client, &app.pod) };
    let mut response = Response::new(Full::from(body).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert("weft-spoofed", http::HeaderValue::from_static("by the app"));
    Ok(response)
}

/// The request as it came, for the client to judge.
fn seen(parts: &http::request::Parts, body: &[u8], client: SocketAddr, pod: &str) -> String {
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let seen = serde_json::json!({
        "pod": pod,
        "client": client.to_string(),
        "method": parts.method.as_str(),
        "path": parts.uri.to_string(),
        "version": format!("{:?}", parts.version),
        "headers": headers,
        "body": String::from_utf8_lossy(body),
    });
    seen.to_string()
}

impl App {
    /// The answer of the next in the chain; the last one has none, and fails.
    async fn pass_on(&self, parts: &http::request::Parts) -> Answer {
        let id = parts.headers.get("x-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        let status = match &self.next {
            None => Err(StatusCode::SERVICE_UNAVAILABLE),
            Some(next) => next_in_chain(next, id).await.map_err(|_| StatusCode::BAD_GATEWAY),
        };
        let mut response = Response::new(Full::from(id.to_owned()).boxed_unsync());
        *response.status_mut() = status.unwrap_or_else(|status| status);
        response
    }

    /// Writes down that a request with an id has come.
    fn note(&self, parts: &http::request::Parts) {
        let (Some(id), Some(mut file)) = (parts.headers.get("x-id"), self.record.as_ref().as_ref()) else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let line = format!("{now} {} {} {}\n", self.pod, parts.method, id.to_str().unwrap_or_default());
        // One write to a file that is appended to: the lines of several pods do not mix.
        let _ = file.write_all(line.as_bytes());
    }
}

async fn next_in_chain(next: &str, id: &str) -> anyhow::Result<StatusCode> {
    let request = Request::get(format!("http://{next}/chain")).header("x-id", id);
    let response = Client::connect(next, false).await?.send(request.body(Full::default())?).await?;
    Ok(response.status())
}

/// The connection belongs to another protocol from here on.
fn switched(is_connect: bool) -> Answer {
    let mut response = Response::new(Full::default().boxed_unsync());
    if !is_connect {
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert("connection", http::HeaderValue::from_static("upgrade"));
        response.headers_mut().insert("upgrade", http::HeaderValue::from_static("echo"));
    }
    response
}

async fn serve_echo(io: impl AsyncRead + AsyncWrite) {
    let (mut from, mut to) = tokio::io::split(io);
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
