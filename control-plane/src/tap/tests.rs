//! The API as the API server calls it, over a cluster that says yes to some, and a proxy on loopback.

use std::{pin::Pin, sync::Mutex};

use axum::{body::Body, http::Request, response::Response};
use futures_util::{Stream, stream};
use http_body_util::BodyExt;
use hyper::server::conn::http2;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tonic::Status;
use tower::ServiceExt;
use weft_api::pb::{
    ObserveRequest, ObserveResponse, TapDirection, TappedRequest,
    tap_server::{Tap as Observed, TapServer},
};
use weft_certs::{CertificateRequest, KeyPair, Leaf, SpiffeId, identity_of};

use super::{front_proxy::fixture::front_proxy, *};
use crate::{
    fixture::{SHOP, mesh, objects},
    identity::AuthoritySettings,
    registry::Event,
    serve::HubSettings,
    telemetry::Metrics,
};

/// A cluster in which `jane` may tap, and nobody else.
struct Given {
    api: Api,
    reviews: Arc<Mutex<Vec<Value>>>,
    _folder: TempDir,
}

fn given(more: &str) -> Given {
    let folder = TempDir::new().unwrap();
    let identity = SpiffeId::control_plane("cluster.local", "weft").unwrap();
    let (leaf_lifetime, issuer_lifetime) = (Duration::from_secs(60), Duration::from_secs(3600));
    let settings = AuthoritySettings { identity, leaf_lifetime, issuer_lifetime };
    let authority = Arc::new(Authority::in_folder(settings, folder.path()).unwrap());
    let trust = authority.trust().borrow().clone();
    let hub = Hub::new(HubSettings { mesh: mesh(), trust, max_subscriptions: 1 }, Arc::new(Metrics::new().unwrap()));
    hub.change(vec![Event::Reset([objects(SHOP), objects(more)].concat())]);
    let reviews = Arc::new(Mutex::new(Vec::new()));
    let client = cluster(reviews.clone());
    let api = Api::new(client, hub, authority, ("cluster.local", Shutdown::default()));
    Given { api, reviews, _folder: folder }
}

fn cluster(reviews: Arc<Mutex<Vec<Value>>>) -> Client {
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let reviews = reviews.clone();
        async move {
            assert_eq!(request.uri().path(), "/apis/authorization.k8s.io/v1/subjectaccessreviews");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut review: Value = serde_json::from_slice(&body).unwrap();
            review["status"] = json!({"allowed": review["spec"]["user"] == "jane"});
            let answer = review.to_string().into_bytes();
            reviews.lock().unwrap().push(review);
            Ok::<_, Infallible>(Response::new(kube::client::Body::from(answer)))
        }
    });
    Client::new(service, "default")
}

impl Given {
    async fn ask(&self, user: &str, path: &str) -> Response {
        let router = self.api.clone().router().layer(Extension(Arc::new(front_proxy("ca"))));
        let request = Request::get(path).header("x-remote-user", user).header("x-remote-group", "devs");
        router.oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
    }

    /// Status and message of an answer that is a refusal.
    async fn refusal(&self, user: &str, path: &str) -> (u16, String) {
        let answer = self.ask(user, path).await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&body["kind"], &body["code"]), (&json!("Status"), &json!(status)));
        (status, body["message"].as_str().unwrap().to_owned())
    }
}

const WATCH: &str = "/apis/tap.weft.dev/v1alpha1/watch/namespaces/shop";

#[tokio::test]
async fn the_cluster_is_asked_whether_the_user_may_and_its_no_is_passed_on() {
    let given = given("");
    let (status, message) = given.refusal("john", &format!("{WATCH}/deployments/users/tap")).await;
    assert_eq!(status, 403);
    assert!(message.contains(r#"user "john" cannot watch deployments/tap"#), "{message}");
    let reviews = given.reviews.lock().unwrap();
    let attributes = json!({
        "verb": "watch", "group": "tap.weft.dev", "version": "v1alpha1", "namespace": "shop",
        "resource": "deployments", "subresource": "tap", "name": "users",
    });
    assert_eq!(reviews[0]["spec"]["resourceAttributes"], attributes);
    assert_eq!((&reviews[0]["spec"]["user"], &reviews[0]["spec"]["groups"]), (&json!("john"), &json!(["devs"])));
}

#[tokio::test]
async fn what_cannot_be_tapped_is_said_and_why() {
    let given = given("");
    for (path, code, said) in [
        ("secrets/users/tap", 404, "secrets cannot be tapped"),
        ("pods/none/tap", 404, "no pod behind pods/none"),
        ("pods/users-b/tap", 409, "has a sidecar"),
        ("pods/users-a/tap?color=red", 400, "\"color\" is no filter"),
        ("pods/users-a/tap?least_status=5xx", 400, "\"least_status\" is no filter with a value"),
    ] {
        let (status, message) = given.refusal("jane", &format!("{WATCH}/{path}")).await;
        assert_eq!(status, code, "{path}: {message}");
        assert!(message.contains(said), "{path}: {message}");
    }
    assert_eq!(given.refusal("", &format!("{WATCH}/pods/users-a/tap")).await.0, 401);
    assert!(given.reviews.lock().unwrap().iter().all(|review| review["spec"]["user"] == "jane"));
}

#[tokio::test]
async fn the_api_server_finds_out_what_there_is() {
    let given = given("");
    for path in ["/apis", "/apis/tap.weft.dev", "/apis/tap.weft.dev/v1alpha1", "/openapi/v2", "/openapi/v3"] {
        assert_eq!(given.ask("system:anonymous", path).await.status(), 200, "{path}");
    }
}

/// A proxy that tells of one request, and who looks on.
#[derive(Clone, Default)]
struct Proxied {
    wanted: Arc<Mutex<Vec<ObserveRequest>>>,
}

#[tonic::async_trait]
impl Observed for Proxied {
    type ObserveStream = Pin<Box<dyn Stream<Item = Result<ObserveResponse, Status>> + Send>>;

    async fn observe(
        &self,
        request: tonic::Request<ObserveRequest>,
    ) -> Result<tonic::Response<Self::ObserveStream>, Status> {
        self.wanted.lock().unwrap().push(request.into_inner());
        let told = |client: &str| TappedRequest {
            direction: TapDirection::Inbound.into(),
            method: "GET".into(),
            path: "/users/1".into(),
            status: 200,
            client: client.into(),
            identity: "spiffe://cluster.local/ns/other/sa/thief".into(),
            ..TappedRequest::default()
        };
        let requests = vec![told("10.1.0.2"), told("10.1.0.9")];
        Ok(tonic::Response::new(Box::pin(stream::iter([Ok(ObserveResponse { requests, dropped: 7 })]))))
    }
}

/// The proxy's port on loopback, and who has called.
async fn proxy(authority: &Authority, proxied: Proxied) -> (SocketAddr, JoinSet<SpiffeId>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (key, id) = (KeyPair::generate().unwrap(), SpiffeId::new("cluster.local", "shop", "near").unwrap());
    let request = CertificateRequest::new(&key, &id).unwrap();
    let chain = authority.issue(request.der(), &id).unwrap().chain.into_iter().map(Into::into).collect();
    let leaf = Leaf::new(chain, key).unwrap();
    let tls = weft_certs::control_server(&leaf, &authority.bundle()).unwrap();
    let mut served = JoinSet::new();
    served.spawn(async move {
        let (io, _) = listener.accept().await.unwrap();
        let io = tokio_rustls::TlsAcceptor::from(tls).accept(io).await.unwrap();
        let caller = identity_of(io.get_ref().1.peer_certificates().unwrap()).unwrap();
        let service = TowerToHyperService::new(TapServer::new(proxied));
        let _gone = http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), service).await;
        caller
    });
    (address, served)
}

fn near(port: u16) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: near, namespace: shop, annotations: {{weft.dev/injected: 'true'}}}}, \
         spec: {{serviceAccountName: near, containers: [{{name: a, ports: [{{name: weft-tap, containerPort: {port}}}]}}]}}, \
         status: {{podIP: 127.0.0.1}}}}"
    )
}

#[tokio::test]
async fn a_tap_tells_who_called_whom_and_what_was_lost() {
    let given = given("");
    let proxied = Proxied::default();
    let (address, mut served) = proxy(&given.api.authority, proxied.clone()).await;
    given.api.hub.change(vec![Event::Reset([objects(SHOP), objects(&near(address.port()))].concat())]);
    let answer = given.ask("jane", &format!("{WATCH}/pods/near/tap?method=GET&from=other/thief")).await;
    assert_eq!(answer.status(), 200);
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let lines: Vec<Line> = String::from_utf8(body.to_vec())
        .unwrap()
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0], Line::Tapping { pods: 1, left_out: 0 });
    let requests: Vec<_> =
        lines.iter().filter_map(|line| if let Line::Request(one) = line { Some(one) } else { None }).collect();
    assert_eq!(requests.len(), 1, "{lines:?}");
    assert_eq!((requests[0].from.pod.as_str(), requests[0].to.pod.as_str()), ("other/thief", "shop/near"));
    assert_eq!(requests[0].to.identity, "spiffe://cluster.local/ns/shop/sa/near");
    assert!(lines.contains(&Line::Dropped { requests: 7 }), "{lines:?}");
    assert!(lines.iter().any(|line| matches!(line, Line::Lost { pod, .. } if pod == "shop/near")), "{lines:?}");
    assert_eq!(proxied.wanted.lock().unwrap()[0].method, "GET");
    assert_eq!(served.join_next().await.unwrap().unwrap(), SpiffeId::control_plane("cluster.local", "weft").unwrap());
}

#[tokio::test]
async fn a_proxy_that_is_somebody_elses_is_not_believed() {
    let (given, stranger) = (given(""), given(""));
    let proxied = Proxied::default();
    let (address, _served) = proxy(&stranger.api.authority, proxied.clone()).await;
    given.api.hub.change(vec![Event::Reset([objects(SHOP), objects(&near(address.port()))].concat())]);
    let answer = given.ask("jane", &format!("{WATCH}/pods/near/tap")).await;
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.contains(r#"{"lost":{"pod":"shop/near""#) && !text.contains("request"), "{text}");
    assert!(proxied.wanted.lock().unwrap().is_empty());
}
