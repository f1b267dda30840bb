//! The port on loopback, and who may look through it.

use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint, Uri};
use weft_api::pb::tap_client::TapClient;
use weft_certs::{CertificateRequest, Issuer, KeyPair, Leaf, Root, TrustBundle, Validity, control_client};

use super::*;
use crate::telemetry::{AccessLog, Direction, Entry, Metrics, Observers, Traces};

struct Given {
    root: Root,
    issuer: Issuer,
    address: SocketAddr,
    observers: Observers,
    _port: JoinSet<Result<(), Infallible>>,
}

fn id(namespace: &str, service_account: &str) -> SpiffeId {
    SpiffeId::new("cluster.local", namespace, service_account).unwrap()
}

fn hour() -> Validity {
    Validity::lasting(SystemTime::now(), Duration::from_secs(3600))
}

impl Given {
    /// The port of a proxy beside shop/users.
    async fn new() -> Self {
        let root = Root::generate(hour()).unwrap();
        let issuer = Issuer::generate(&root, hour()).unwrap();
        let config = Config::read(|name| match name {
            "WEFT_POD_NAMESPACE" => Some("shop".into()),
            "WEFT_POD_NAME" => Some("users-1".into()),
            "WEFT_POD_SERVICE_ACCOUNT" => Some("users".into()),
            "WEFT_POD_ADDRESSES" => Some("10.0.0.1".into()),
            "WEFT_CONTROL_PLANE_ADDRESS" => Some("127.0.0.1:1".into()),
            "WEFT_TRUST_BUNDLE_FILE" => Some("/none".into()),
            "WEFT_JOIN_TOKEN_FILE" => Some("/none".into()),
            _ => None,
        });
        let config = config.unwrap();
        let identity = IdentityStore::new(&config, &Metrics::new(10)).unwrap();
        let observers = Observers { access_log: AccessLog::off(), taps: Taps::default(), traces: Traces::default() };
        let port = TapPort::new(&config, identity.clone(), observers.taps.clone()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(port.serve(listener, CancellationToken::new()));
        let given = Self { root, issuer, address, observers, _port: tasks };
        identity.update_leaf(&given.leaf(&id("shop", "users")), given.bundle()).unwrap();
        given
    }

    fn bundle(&self) -> TrustBundle {
        TrustBundle::new([self.root.certificate().clone()]).unwrap()
    }

    fn leaf(&self, id: &SpiffeId) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let request = CertificateRequest::new(&key, id).unwrap();
        Leaf::new(self.issuer.issue(request.der(), id, hour()).unwrap(), key).unwrap()
    }

    /// What this caller is told when it asks to look on.
    async fn observe(&self, caller: Option<SpiffeId>) -> Result<tonic::Streaming<ObserveResponse>, Status> {
        let leaf = caller.map(|caller| self.leaf(&caller));
        let tls = control_client(&self.bundle(), leaf.as_ref(), &id("shop", "users")).unwrap();
        let address = self.address;
        let connector = tower::service_fn(move |_: Uri| {
            let tls = TlsConnector::from(tls.clone());
            async move {
                let io = TcpStream::connect(address).await?;
                tls.connect(ServerName::IpAddress(address.ip().into()), io).await.map(TokioIo::new)
            }
        });
        let channel: Result<Channel, _> = Endpoint::from_static("http://proxy").connect_with_connector(connector).await;
        let channel = channel.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(TapClient::new(channel).observe(ObserveRequest::default()).await?.into_inner())
    }
}

fn entry() -> Entry<'static> {
    Entry {
        began: SystemTime::now(),
        elapsed: Duration::from_millis(3),
        direction: Direction::Inbound,
        client: crate::address::ClientAddr("10.0.0.9:1".parse().unwrap()),
        orig_dst: crate::address::OrigDst("10.0.0.1:80".parse().unwrap()),
        endpoint: None,
        service: "shop/users",
        route: "",
        protocol: "HTTP/1.1",
        method: "GET",
        path: "/users/1?token=secret",
        status: 200,
        grpc_status: None,
        received: 0,
        sent: 0,
        identity: Some("spiffe://cluster.local/ns/shop/sa/orders"),
        error: None,
        trace: None,
    }
}

#[tokio::test]
async fn the_control_plane_sees_requests_as_they_end_until_it_goes_away() {
    let given = Given::new().await;
    let mut seen = given.observe(Some(id("weft", "weft-control-plane"))).await.unwrap();
    given.observers.record(&entry());
    let message = seen.message().await.unwrap().unwrap();
    assert_eq!(message.requests[0].path, "/users/1");
    assert_eq!(message.requests[0].identity, "spiffe://cluster.local/ns/shop/sa/orders");
    drop(seen);
    let gone = async {
        while given.observers.any() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), gone).await.expect("the tap ends with its stream");
}

#[tokio::test]
async fn nobody_else_is_let_in_whether_of_the_mesh_or_not() {
    let given = Given::new().await;
    for caller in [Some(id("shop", "orders")), Some(id("shop", "weft-control-plane")), None] {
        let refused = given.observe(caller.clone()).await;
        assert!(refused.is_err(), "{caller:?} was let in");
        assert!(!given.observers.any());
    }
}
