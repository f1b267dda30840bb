//! Tunnels over HTTP/2: CONNECT, and extended CONNECT (RFC 8441), which WebSocket uses there. Both ends are the h2 crate's.

use bytes::Bytes;
use h2::{RecvStream, SendStream, client::ResponseFuture, ext::Protocol, server};
use http::{Method, Request, Response, StatusCode};
use tokio::{net::TcpListener, task::spawn_local};
use weft_api::AppProtocol;

use super::fixture::{Proxy, Side, run};

/// Whether the app says that it takes extended CONNECT.
#[derive(Clone, Copy)]
enum Offers {
    Extended,
    Plain,
}

#[test]
fn websocket_over_http2_is_a_tunnel() {
    for side in [Side::Outbound, Side::Inbound] {
        run(async || {
            let mut request = Request::builder().method(Method::CONNECT).uri("http://a/chat").body(()).unwrap();
            request.extensions_mut().insert(Protocol::from_static("websocket"));
            let (answer, tunnel) = connect(side, Offers::Extended, request).await;
            let answer = answer.await.unwrap();
            assert_eq!(answer.headers().get("weft-proxy-error"), None);
            assert_eq!(answer.headers()["seen"], "http://a/chat websocket");
            echoes(answer, tunnel).await;
        });
    }
}

#[test]
fn connect_over_http2_is_a_tunnel() {
    for side in [Side::Outbound, Side::Inbound] {
        run(async || {
            let request = Request::builder().method(Method::CONNECT).uri("db:5432").body(()).unwrap();
            let (answer, tunnel) = connect(side, Offers::Plain, request).await;
            let answer = answer.await.unwrap();
            assert_eq!(answer.headers().get("weft-proxy-error"), None);
            assert_eq!(answer.headers()["seen"], "db:5432 -");
            echoes(answer, tunnel).await;
        });
    }
}

#[test]
fn an_app_that_does_not_offer_extended_connect_is_not_asked() {
    run(async || {
        let mut request = Request::builder().method(Method::CONNECT).uri("http://a/chat").body(()).unwrap();
        request.extensions_mut().insert(Protocol::from_static("websocket"));
        let (answer, _tunnel) = connect(Side::Outbound, Offers::Plain, request).await;
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::NOT_IMPLEMENTED);
        assert_eq!(answer.headers()["weft-proxy-error"], "unsupported");
    });
}

/// Sends a request to an app that answers a tunnel with an echo.
async fn connect(side: Side, offers: Offers, request: Request<()>) -> (ResponseFuture, SendStream<Bytes>) {
    let (proxy, listener) = (Proxy::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let address = listener.local_addr().unwrap();
    spawn_local(async move {
        let mut builder = server::Builder::new();
        if matches!(offers, Offers::Extended) {
            builder.enable_connect_protocol();
        }
        let mut connection = builder.handshake::<_, Bytes>(listener.accept().await.unwrap().0).await.unwrap();
        while let Some(Ok((request, respond))) = connection.accept().await {
            spawn_local(echo(request, respond));
        }
    });
    let io = proxy.client(side, address, AppProtocol::Http2).await;
    let (send, connection) = h2::client::handshake(io).await.unwrap();
    spawn_local(async move {
        let _keep = proxy;
        let _ = connection.await;
    });
    let mut send = send.ready().await.unwrap();
    // The proxy says by its SETTINGS what it takes.
    super::fixture::eventually("SETTINGS", || send.is_extended_connect_protocol_enabled()).await;
    send.send_request(request, false).unwrap()
}

async fn echo(request: Request<RecvStream>, mut respond: server::SendResponse<Bytes>) {
    let protocol = request.extensions().get::<Protocol>().map_or("-", Protocol::as_str);
    let seen = format!("{} {protocol}", request.uri());
    let mut back = respond.send_response(Response::builder().header("seen", seen).body(()).unwrap(), false).unwrap();
    let mut body = request.into_body();
    while let Some(Ok(data)) = body.data().await {
        let _ = body.flow_control().release_capacity(data.len());
        back.send_data(data, false).unwrap();
    }
    back.send_data(Bytes::from_static(b"bye"), true).unwrap();
}

async fn echoes(answer: Response<RecvStream>, mut tunnel: SendStream<Bytes>) {
    assert_eq!(answer.status(), StatusCode::OK);
    let mut body = answer.into_body();
    for word in ["ping", "pong"] {
        tunnel.send_data(Bytes::from_static(word.as_bytes()), false).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), word);
    }
    tunnel.send_data(Bytes::new(), true).unwrap();
    assert_eq!(body.data().await.unwrap().unwrap(), "bye");
    assert!(body.data().await.is_none());
}
