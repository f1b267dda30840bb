//! The server's side: takes requests from the client's side and sends them to the server.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context;
use http::{HeaderValue, Request, Response, Uri, header::HOST};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio_rustls::TlsAcceptor;

use super::http::{CONNECTION_WINDOW, Here, STREAM_WINDOW, STREAMS, begin, remove_hop_by_hop, version};
use super::{Options, Protocol};
use crate::thread;

/// The worker's connections to the server.
struct App {
    address: SocketAddr,
    http2: bool,
    /// Those that have had a request; one that is ready can have another.
    http1_connections: RefCell<Vec<http1::SendRequest<Incoming>>>,
    http2_connection: RefCell<Option<http2::SendRequest<Incoming>>>,
}

pub async fn serve(options: &Options, tls: Arc<ServerConfig>) -> anyhow::Result<()> {
    let app = Rc::new(App {
        address: options.forward,
        http2: options.protocol == Protocol::Http2,
        http1_connections: RefCell::default(),
        http2_connection: RefCell::default(),
    });
    let tls = TlsAcceptor::from(tls);
    thread::accept(thread::listen(options.listen)?, move |connection| {
        let (app, tls) = (app.clone(), tls.clone());
        async move {
            let io = TokioIo::new(tls.accept(connection).await?);
            let service = service_fn(move |request| forward(app.clone(), request));
            let mut server = hyper::server::conn::http2::Builder::new(Here);
            server.max_concurrent_streams(STREAMS).initial_stream_window_size(STREAM_WINDOW);
            server.initial_connection_window_size(CONNECTION_WINDOW).max_frame_size(128 * 1024);
            Ok(server.serve_connection(io, service).await?)
        }
    })
    .await
}

async fn forward(app: Rc<App>, mut request: Request<Incoming>) -> anyhow::Result<Response<Incoming>> {
    *request.version_mut() = version(app.http2);
    if app.http2 {
        return Ok(app.http2().await?.send_request(request).await?);
    }
    let authority = request.uri().authority().context("no authority")?;
    let host = HeaderValue::from_str(authority.as_str())?;
    request.headers_mut().insert(HOST, host);
    let path = request.uri().path_and_query().context("no path")?.clone();
    *request.uri_mut() = Uri::from(path);
    let mut connection = app.http1().await?;
    let mut response = connection.send_request(request).await?;
    app.http1_connections.borrow_mut().push(connection);
    remove_hop_by_hop(response.headers_mut());
    *response.version_mut() = version(true);
    Ok(response)
}

impl App {
    async fn http1(&self) -> anyhow::Result<http1::SendRequest<Incoming>> {
        {
            let mut pool = self.http1_connections.borrow_mut();
            if let Some(ready) = pool.iter().rposition(http1::SendRequest::is_ready) {
                return Ok(pool.swap_remove(ready));
            }
            pool.retain(|connection| !connection.is_closed());
        }
        let (connection, run) = http1::handshake(TokioIo::new(thread::connect(self.address).await?)).await?;
        tokio::task::spawn_local(async move {
            // Its end shows in its next request.
            let _ = run.await;
        });
        Ok(connection)
    }

    async fn http2(&self) -> anyhow::Result<http2::SendRequest<Incoming>> {
        if let Some(open) = self.http2_connection.borrow().as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        let sender = begin(TokioIo::new(thread::connect(self.address).await?)).await?;
        *self.http2_connection.borrow_mut() = Some(sender.clone());
        Ok(sender)
    }
}
