use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use weft_api::pb::{self, certify_request::Proof};
use weft_certs::Peer;

use super::*;
use crate::identity::{Caller, Proofs};

const ADDRESS: &str = "10.1.0.7";

/// An API server that knows one pod, and what is to be said of every token.
struct Given {
    review: Value,
    pod: Value,
    code: StatusCode,
    reviews: AtomicUsize,
}

impl Given {
    fn new() -> Self {
        let extra = json!({
            "authentication.kubernetes.io/pod-name": ["users-1"],
            "authentication.kubernetes.io/pod-uid": ["u1"],
        });
        let user = json!({"username": "system:serviceaccount:shop:users", "extra": extra});
        Self {
            review: json!({"authenticated": true, "audiences": ["weft"], "user": user}),
            pod: json!({
                "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "users-1", "namespace": "shop", "uid": "u1"},
                "spec": {"containers": []}, "status": {"podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}, {"ip": "fd00::7"}]},
            }),
            code: StatusCode::OK,
            reviews: AtomicUsize::new(0),
        }
    }

    fn answer(&self, path: &str) -> Value {
        if path.ends_with("tokenreviews") {
            self.reviews.fetch_add(1, Ordering::Relaxed);
            return json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {},
                          "spec": {}, "status": self.review});
        }
        self.pod.clone()
    }

    fn accounts(self, known: KnownPods) -> (Arc<Self>, ServiceAccounts) {
        let given = Arc::new(self);
        let server = given.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let path = request.uri().path().to_owned();
                let _sent = request.into_body().collect().await;
                let text = server.answer(&path).to_string();
                let answer =
                    Response::builder().status(server.code).body(http_body_util::Full::new(bytes::Bytes::from(text)));
                Ok::<_, Infallible>(answer.unwrap())
            }
        });
        let metrics = Arc::new(Metrics::new().unwrap());
        let client = Client::new(service, "weft");
        (given, ServiceAccounts::new(&client, "cluster.local", 1000, known, metrics))
    }

    async fn identify(self, address: &str) -> Result<String, TokenRefused> {
        let (_, accounts) = self.accounts(nobody());
        accounts.identify("a.b.c", address.parse().unwrap()).await.map(|identity| identity.to_string())
    }
}

/// Nothing is known of any pod.
fn nobody() -> KnownPods {
    KnownPods { by_name: Box::new(|_| None), is_at: Box::new(|_, _| false) }
}

#[tokio::test]
async fn a_pods_token_proves_its_account_from_any_of_the_pods_addresses() {
    for address in [ADDRESS, "::ffff:10.1.0.7", "fd00::7"] {
        let identity = Given::new().identify(address).await.unwrap();
        assert_eq!(identity, "spiffe://cluster.local/ns/shop/sa/users", "{address}");
    }
}

#[tokio::test]
async fn a_token_from_another_address_is_refused_with_both_named() {
    let error = Given::new().identify("10.1.0.8").await.unwrap_err();
    assert_eq!((error.label(), error.is_transient()), ("other_address", false));
    assert!(error.to_string().contains("shop/users-1") && error.to_string().contains("10.1.0.8"), "{error}");
}

#[tokio::test]
async fn what_makes_a_token_worthless_is_said_each_in_its_own_way() {
    let refused = async |change: fn(&mut Given)| {
        let mut given = Given::new();
        change(&mut given);
        let error = given.identify(ADDRESS).await.unwrap_err();
        (error.label(), error.is_transient())
    };
    assert_eq!(refused(|given| given.review["authenticated"] = false.into()).await, ("token_unknown", false));
    assert_eq!(refused(|given| given.review["audiences"] = json!([])).await, ("token_audience", false));
    assert_eq!(
        refused(|given| given.review["user"]["username"] = "admin".into()).await,
        ("token_not_service_account", false)
    );
    assert_eq!(refused(|given| given.review["user"]["extra"] = json!({})).await, ("token_not_bound", false));
    assert_eq!(refused(|given| given.pod["metadata"]["uid"] = "u2".into()).await, ("pod_gone", false));
    assert_eq!(refused(|given| given.pod["status"]["phase"] = "Succeeded".into()).await, ("pod_gone", false));
    assert_eq!(refused(|given| given.pod["status"]["phase"] = "Failed".into()).await, ("pod_gone", false));
    assert_eq!(refused(|given| given.pod["spec"]["hostNetwork"] = true.into()).await, ("pod_host_network", false));
}

#[tokio::test]
async fn what_passes_by_itself_is_told_from_what_does_not() {
    let mut given = Given::new();
    given.pod["status"] = json!({});
    let error = given.identify(ADDRESS).await.unwrap_err();
    assert_eq!((error.label(), error.is_transient()), ("pod_without_address", true));
    let error = Given { code: StatusCode::INTERNAL_SERVER_ERROR, ..Given::new() }.identify(ADDRESS).await.unwrap_err();
    assert_eq!((error.label(), error.is_transient()), ("api_server", true));
}

#[tokio::test]
async fn a_good_token_is_asked_about_once_and_a_bad_one_each_time() {
    let (given, accounts) = Given::new().accounts(nobody());
    for _ in 0..3 {
        accounts.identify("a.b.c", ADDRESS.parse().unwrap()).await.unwrap();
    }
    assert_eq!(given.reviews.load(Ordering::Relaxed), 1);
    let mut bad = Given::new();
    bad.review["authenticated"] = false.into();
    let (bad, accounts) = bad.accounts(nobody());
    for _ in 0..3 {
        accounts.identify("a.b.c", ADDRESS.parse().unwrap()).await.unwrap_err();
    }
    assert_eq!(bad.reviews.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn an_address_has_one_token_in_the_line_and_leaves_the_rest_to_others() {
    let mut given = Given::new();
    given.review["authenticated"] = false.into();
    let (given, accounts) = given.accounts(nobody());
    let show = async |token, address: &str| {
        let refused = accounts.identify(token, address.parse().unwrap()).await.unwrap_err();
        (refused.label(), refused.is_transient())
    };
    let answers = tokio::join!(show("a.b.c", "10.1.0.8"), show("a.b.d", "::ffff:10.1.0.8"), show("a.b.e", ADDRESS));
    let asked = ("token_unknown", false);
    assert_eq!(answers, (asked, ("too_many_reviews", true), asked));
    assert_eq!(show("a.b.d", "10.1.0.8").await, asked, "its place is free again");
    assert_eq!(given.reviews.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_known_pod_is_not_asked_for_unless_it_is_another_of_that_name() {
    let known = |uid: &'static str| -> KnownPods {
        let pod = KnownPod { uid: uid.into(), addresses: vec!["10.9.9.9".parse().unwrap()] };
        KnownPods { by_name: Box::new(move |_| Some(pod.clone())), ..nobody() }
    };
    let (_, accounts) = Given::new().accounts(known("u1"));
    accounts.identify("a.b.c", "10.9.9.9".parse().unwrap()).await.unwrap();
    let (_, accounts) = Given::new().accounts(known("u2"));
    let error = accounts.identify("a.b.c", "10.9.9.9".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.label(), "other_address");
}

#[tokio::test]
async fn a_leaf_proves_who_calls_only_from_where_such_a_pod_is() {
    let is_at = |address: IpAddr, id: &SpiffeId| address.to_string() == ADDRESS && id.service_account() == "users";
    let (_, accounts) = Given::new().accounts(KnownPods { is_at: Box::new(is_at), ..nobody() });
    let proofs = Proofs::ServiceAccounts(Box::new(accounts));
    let renew = async |domain, account, address: &str| {
        let identity = SpiffeId::new(domain, "shop", account).unwrap();
        let peer = Some(Peer { identity, not_after: SystemTime::now() + Duration::from_secs(60) });
        let request = pb::CertifyRequest { csr_der: Vec::new(), proof: Some(Proof::Renewal(pb::Renewal {})) };
        let address = SocketAddr::new(address.parse().unwrap(), 5000);
        proofs.check(&request, &Caller { address, peer }).await.map(drop).map_err(|error| error.label())
    };
    assert_eq!(renew("cluster.local", "users", ADDRESS).await, Ok(()));
    assert_eq!(renew("cluster.local", "users", "::ffff:10.1.0.7").await, Ok(()));
    assert_eq!(renew("cluster.local", "users", "10.1.0.8").await, Err("leaf_elsewhere"));
    assert_eq!(renew("cluster.local", "orders", ADDRESS).await, Err("leaf_elsewhere"));
    assert_eq!(renew("example.org", "users", ADDRESS).await, Err("leaf_elsewhere"));
}

#[test]
fn what_is_wrong_with_a_token_is_read_from_its_claims() {
    // {"aud":["other"],"exp":9999999999}, {"aud":"weft","exp":1}, {"aud":["weft"],"exp":9999999999}
    for (claims, label) in [
        ("eyJhdWQiOlsib3RoZXIiXSwiZXhwIjo5OTk5OTk5OTk5fQ", "token_audience"),
        ("eyJhdWQiOiJ3ZWZ0IiwiZXhwIjoxfQ", "token_expired"),
        ("eyJhdWQiOlsid2VmdCJdLCJleHAiOjk5OTk5OTk5OTl9", "token_unknown"),
        ("not base64!", "token_unknown"),
        ("", "token_unknown"),
    ] {
        assert_eq!(claims::fault(&format!("head.{claims}.seal"), SystemTime::now()).label(), label, "{claims}");
    }
    assert_eq!(claims::fault("no dots", SystemTime::now()).label(), "token_unknown");
}
