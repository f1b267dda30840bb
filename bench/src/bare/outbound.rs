//! The client's side: takes requests, and sends them over the worker's one connection to the server's side.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::Context;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, Uri, header::HOST};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::http::{CONNECTION_WINDOW, Here, STREAM_WINDOW, STREAMS, begin, remove_hop_by_hop, version};
use super::{Options, Protocol};
use crate::thread;

/// The worker's connection to the other proxy, made when it is first needed.
struct Link {
    tls: TlsConnector,
    peer: SocketAddr,
    open: RefCell<Option<SendRequest<Incoming>>>,
}

pub async fn serve(options: &Options, tls: Arc<ClientConfig>) -> anyhow::Result<()> {
    let link = Rc::new(Link { tls: tls.into(), peer: options.forward, open: RefCell::default() });
    let http2 = options.protocol == Protocol::Http2;
    thread::accept(thread::listen(options.listen)?, move |connection| {
        let link = link.clone();
        let service = service_fn(move |request| forward(link.clone(), request, http2));
        let io = TokioIo::new(connection);
        async move {
            if http2 {
                let mut server = hyper::server::conn::http2::Builder::new(Here);
                server.max_concurrent_streams(STREAMS).initial_stream_window_size(STREAM_WINDOW);
                server.initial_connection_window_size(CONNECTION_WINDOW);
                return Ok(server.serve_connection(io, service).await?);
            }
            Ok(hyper::server::conn::http1::Builder::new().serve_connection(io, service).await?)
        }
    })
    .await
}

async fn forward(link: Rc<Link>, mut request: Request<Incoming>, http2: bool) -> anyhow::Result<Response<Incoming>> {
    remove_hop_by_hop(request.headers_mut());
    if !http2 {
        *request.uri_mut() = absolute(&request)?;
        request.headers_mut().remove(HOST);
    }
    *request.version_mut() = version(true);
    let mut response = link.sender().await?.send_request(request).await?;
    *response.version_mut() = version(http2);
    Ok(response)
}

/// HTTP/2 wants scheme and authority where HTTP/1.1 has a path and Host.
fn absolute(request: &Request<Incoming>) -> anyhow::Result<Uri> {
    let host = request.headers().get(HOST).map(HeaderValue::as_bytes).context("no host")?;
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::try_from(host)?);
    Ok(Uri::from_parts(parts)?)
}

impl Link {
    async fn sender(&self) -> anyhow::Result<SendRequest<Incoming>> {
        if let Some(open) = self.open.borrow().as_ref().filter(|open| !open.is_closed()) {
            return Ok(open.clone());
        }
        let connection = thread::connect(self.peer).await?;
        let tls = self.tls.connect(ServerName::IpAddress(self.peer.ip().into()), connection).await?;
        let sender = begin(TokioIo::new(tls)).await?;
        *self.open.borrow_mut() = Some(sender.clone());
        Ok(sender)
    }
}
