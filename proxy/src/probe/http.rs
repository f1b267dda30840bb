//! GET as the kubelet does it: 200 to 399 is good, certificates are not verified, redirects are followed on this pod only.

use std::{net::IpAddr, num::NonZeroU16, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header, uri::PathAndQuery};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use weft_api::probe::HttpGet;
use weft_certs::unverified_client;

use super::{ProbeError, connect};

/// As many as the kubelet follows.
pub(super) const MOST_REDIRECTS: usize = 10;
/// The body says nothing, and is read this far so that the app is not cut off in the middle of it.
const MOST_BODY: usize = 10 * 1024;

pub(super) async fn get(address: IpAddr, probe: &HttpGet, agent: Option<HeaderValue>) -> Result<(), ProbeError> {
    let mut request = probe.request(&host_of(address))?;
    let fields = request.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let (false, Some(agent)) = (fields.contains_key(header::USER_AGENT), agent) {
        fields.insert(header::USER_AGENT, agent);
    }
    for _ in 0..=MOST_REDIRECTS {
        let answer = exchange(address, &request).await?;
        let status = answer.status();
        match onward(request.uri(), &answer) {
            Some(next) => {
                // A path alone leaves the Host as the probe has it.
                if next.authority() != request.uri().authority() {
                    let host = next.authority().map_or_else(String::new, ToString::to_string);
                    request
                        .headers_mut()
                        .insert(header::HOST, HeaderValue::from_str(&host).map_err(http::Error::from)?);
                }
                *request.uri_mut() = next;
            }
            None if is_good(status) => return Ok(()),
            None => return Err(ProbeError::Status { status }),
        }
    }
    Err(ProbeError::Redirects)
}

fn is_good(status: StatusCode) -> bool {
    (200..400).contains(&status.as_u16())
}

/// An address as it stands in a URL.
fn host_of(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Where an answer leads, if that is on this pod; anything else is an answer as it stands.
fn onward(here: &Uri, answer: &Response<Bytes>) -> Option<Uri> {
    if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers().get(header::LOCATION)?.to_str().ok()?;
    if location.starts_with("http://") || location.starts_with("https://") {
        return location.parse().ok().filter(|next: &Uri| next.host() == here.host());
    }
    let path = match location {
        elsewhere if elsewhere.starts_with("//") => return None,
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => here.path().rsplit_once('/').map_or("", |(folder, _)| folder).to_owned() + "/" + relative,
    };
    let mut parts = here.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

async fn exchange(address: IpAddr, request: &Request<()>) -> Result<Response<Bytes>, ProbeError> {
    let tls = request.uri().scheme_str() == Some("https");
    let usual = if tls { 443 } else { 80 };
    let port = request.uri().port_u16().and_then(NonZeroU16::new).or(NonZeroU16::new(usual));
    let io = connect(address, port.unwrap_or(NonZeroU16::MIN)).await?;
    if !tls {
        return talk(io, request).await;
    }
    let connector = TlsConnector::from(Arc::clone(unverified_client()));
    talk(connector.connect(ServerName::IpAddress(address.into()), io).await.map_err(ProbeError::Tls)?, request).await
}

/// One request and its answer. The connection lives within this future, and ends with it.
async fn talk(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: &Request<()>,
) -> Result<Response<Bytes>, ProbeError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    let target = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let mut sent = Request::get(target).body(Empty::<Bytes>::new())?;
    *sent.headers_mut() = request.headers().clone();
    let answer = async {
        let (head, body) = sender.send_request(sent).await?.into_parts();
        // How the body ends does not matter.
        let _read = Limited::new(body, MOST_BODY).collect().await;
        Ok(Response::from_parts(head, Bytes::new()))
    };
    tokio::pin!(answer, connection);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        _ended = &mut connection => answer.await,
    }
}
