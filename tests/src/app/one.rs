//! One request, and connections for more.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

/// A request to be sent.
pub struct One {
    /// host:port.
    pub target: String,
    /// With its query.
    pub path: String,
    /// Fields, as name=value.
    pub header: Vec<String>,
    /// The method.
    pub method: String,
    /// The body.
    pub body: String,
    /// Speak HTTP/2.
    pub http2: bool,
    /// How long to say nothing at first.
    pub after: Duration,
}

/// What came back.
#[derive(Serialize)]
pub struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    /// Whether the status says so.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl One {
    /// Sends it on a connection of its own.
    pub async fn send(self) -> anyhow::Result<Answer> {
        let io = TcpStream::connect(&self.target).await?;
        tokio::time::sleep(self.after).await;
        let mut client = Client::on(io, self.http2).await?;
        let mut request =
            Request::builder().method(self.method.as_str()).uri(format!("http://{}{}", self.target, self.path));
        for header in &self.header {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            request = request.header(name, value);
        }
        let response = client.send(request.body(Full::from(self.body))?).await?;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }
}

/// A connection, and the task that drives it.
pub struct Client {
    sender: Sender,
    _driver: AbortOnDropHandle<()>,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Client {
    /// Connects.
    pub async fn connect(target: &str, http2: bool) -> anyhow::Result<Self> {
        Self::on(TcpStream::connect(target).await?, http2).await
    }

    async fn on(io: TcpStream, http2: bool) -> anyhow::Result<Self> {
        let io = TokioIo::new(io);
        if http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
            let driver = drive(async move { drop(connection.await) });
            return Ok(Self { sender: Sender::Http2(sender), _driver: driver });
        }
        let (sender, connection) = http1::handshake(io).await?;
        let driver = drive(async move { drop(connection.await) });
        Ok(Self { sender: Sender::Http1(sender), _driver: driver })
    }

    /// Sends a request and waits for the head of the answer.
    pub async fn send(&mut self, mut request: Request<Full<Bytes>>) -> anyhow::Result<Response<Incoming>> {
        match &mut self.sender {
            Sender::Http1(sender) => {
                let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
                let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
                *request.uri_mut() = path.parse()?;
                request.headers_mut().entry("host").or_insert(host.parse()?);
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
            Sender::Http2(sender) => {
                sender.ready().await?;
                Ok(sender.send_request(request).await?)
            }
        }
    }

    /// Whether another request can be sent.
    pub fn is_open(&self) -> bool {
        match &self.sender {
            Sender::Http1(sender) => !sender.is_closed(),
            Sender::Http2(sender) => !sender.is_closed(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the handle aborts the task when its owner is dropped")]
fn drive(connection: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(connection))
}
