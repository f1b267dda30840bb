//! A control plane as it runs, over TCP and TLS: join, watch, be told of a write, renew.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::{fs, net::SocketAddr, time::Duration};

use hyper_util::rt::TokioIo;
use rustls_pki_types::{CertificateDer, ServerName};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Status, Streaming,
    transport::{Channel, Endpoint},
};
use weft_api::pb::{
    self, certification_client::CertificationClient, certify_request::Proof, discovery_client::DiscoveryClient,
    watch_request::Message as Asked, watch_response::Message as Answer,
};
use weft_certs::{CertificateRequest, KeyPair, Leaf, SpiffeId, TrustBundle, control_client};
use weft_control_plane::{app::App, config::Config, identity::tokens};

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: NAME, namespace: shop}\nspec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}\n";

struct Rig {
    registry: TempDir,
    state: TempDir,
    address: SocketAddr,
    shutdown: weft_control_plane::shutdown::Shutdown,
}

impl Rig {
    async fn start() -> Self {
        let (registry, state) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let settings = [
            ("WEFT_REGISTRY_DIR", registry.path().display().to_string()),
            ("WEFT_STATE_DIR", state.path().display().to_string()),
            ("WEFT_LISTEN", "127.0.0.1:0".to_owned()),
            ("WEFT_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
        ];
        let variable = |name: &str| settings.iter().find(|(one, _)| *one == name).map(|(_, value)| value.clone());
        let app = App::start(Config::read(variable).unwrap()).await.unwrap();
        Self { registry, state, address: app.address(), shutdown: app.shutdown().clone() }
    }

    fn write(&self, name: &str) {
        let path = self.registry.path().join(format!("{name}.yaml"));
        fs::write(path, SERVICE.replace("NAME", name)).unwrap();
    }

    fn bundle(&self) -> TrustBundle {
        TrustBundle::from_pem(&fs::read_to_string(self.state.path().join("trust-bundle.pem")).unwrap()).unwrap()
    }

    /// A connection that believes the control plane, and no other identity.
    async fn channel(&self, leaf: Option<&Leaf>) -> Result<Channel, tonic::transport::Error> {
        let expected = SpiffeId::control_plane("cluster.local", "weft").unwrap();
        let tls = tokio_rustls::TlsConnector::from(control_client(&self.bundle(), leaf, &expected).unwrap());
        let address = self.address;
        let connector = tower::service_fn(move |_| {
            let tls = tls.clone();
            async move {
                let io = TcpStream::connect(address).await?;
                let io = tls.connect(ServerName::IpAddress(address.ip().into()), io).await?;
                Ok::<_, std::io::Error>(TokioIo::new(io))
            }
        });
        Endpoint::from_static("http://control-plane").connect_with_connector(connector).await
    }

    async fn certify(&self, proof: Proof, leaf: Option<&Leaf>) -> Result<Leaf, Status> {
        let key = KeyPair::generate().unwrap();
        let csr_der = CertificateRequest::new(&key, &users()).unwrap().into_der();
        let mut client = CertificationClient::new(self.channel(leaf).await.unwrap());
        let response = client.certify(pb::CertifyRequest { csr_der, proof: Some(proof) }).await?.into_inner();
        assert_eq!(response.bundle_version, self.bundle().version());
        let chain = response.chain_der.into_iter().map(CertificateDer::from).collect();
        Ok(Leaf::new(chain, key).unwrap())
    }

    async fn join(&self) -> Leaf {
        let token = tokens::create(self.state.path(), &users(), Duration::from_secs(60)).unwrap();
        self.certify(Proof::JoinToken(token), None).await.unwrap()
    }

    async fn watch(&self, leaf: Option<&Leaf>) -> (mpsc::Sender<pb::WatchRequest>, Streaming<pb::WatchResponse>) {
        let (requests, receiver) = mpsc::channel(4);
        let workload = pb::Workload {
            namespace: "shop".into(),
            pod: "users-a".into(),
            service_account: "users".into(),
            ..Default::default()
        };
        let hello = pb::Hello { workload: Some(workload), ..Default::default() };
        requests.send(pb::WatchRequest { message: Some(Asked::Hello(hello)) }).await.unwrap();
        let mut client = DiscoveryClient::new(self.channel(leaf).await.unwrap());
        (requests, client.watch(ReceiverStream::new(receiver)).await.unwrap().into_inner())
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.shutdown.stop();
    }
}

fn users() -> SpiffeId {
    SpiffeId::new("cluster.local", "shop", "users").unwrap()
}

async fn next(responses: &mut Streaming<pb::WatchResponse>) -> Result<Answer, Status> {
    let response = timeout(Duration::from_secs(10), responses.message()).await.expect("an answer in time")?;
    Ok(response.expect("the stream goes on").message.unwrap())
}

async fn until_service(responses: &mut Streaming<pb::WatchResponse>, name: &str) {
    loop {
        if let Answer::Resource(resource) = next(responses).await.unwrap()
            && resource.key.unwrap().name == name
        {
            return;
        }
    }
}

#[tokio::test]
async fn a_proxy_joins_watches_and_is_told_of_a_write_at_once() {
    let rig = Rig::start().await;
    rig.write("users");
    let leaf = rig.join().await;
    assert_eq!(leaf.identity(), &users());
    let (_requests, mut responses) = rig.watch(Some(&leaf)).await;
    until_service(&mut responses, "shop/users").await;
    while !matches!(next(&mut responses).await.unwrap(), Answer::Synced(_)) {}

    let mut quickest = Duration::MAX;
    for name in ["a", "b", "c", "d", "e"] {
        let written = Instant::now();
        rig.write(name);
        until_service(&mut responses, &format!("shop/{name}")).await;
        quickest = quickest.min(written.elapsed());
    }
    assert!(quickest < Duration::from_millis(100), "the quickest of five took {quickest:?}");
}

#[tokio::test]
async fn a_renewal_needs_the_leaf_and_a_stream_too() {
    let rig = Rig::start().await;
    let leaf = rig.join().await;
    let renewed = rig.certify(Proof::Renewal(pb::Renewal {}), Some(&leaf)).await.unwrap();
    assert_eq!(renewed.identity(), &users());
    let refused = rig.certify(Proof::Renewal(pb::Renewal {}), None).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let (_requests, mut responses) = rig.watch(None).await;
    assert_eq!(next(&mut responses).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn two_requests_with_one_token_get_one_certificate() {
    let rig = Rig::start().await;
    let token = tokens::create(rig.state.path(), &users(), Duration::from_secs(60)).unwrap();
    let ask = || rig.certify(Proof::JoinToken(token.clone()), None);
    let (one, other) = tokio::join!(ask(), ask());
    assert_eq!([one, other].iter().filter(|result| result.is_ok()).count(), 1);
}

#[tokio::test]
async fn too_many_requests_from_one_address_are_refused_before_their_proof_is_looked_at() {
    let rig = Rig::start().await;
    let leaf = rig.join().await;
    let mut client = CertificationClient::new(rig.channel(None).await.unwrap());
    let mut refused = Vec::new();
    for _ in 0..30 {
        let request = pb::CertifyRequest { csr_der: Vec::new(), proof: Some(Proof::JoinToken("none".into())) };
        refused.push(client.certify(request).await.unwrap_err().code());
    }
    assert_eq!(refused[0], Code::Unauthenticated);
    assert!(refused.contains(&Code::ResourceExhausted), "{refused:?}");
    let (_requests, mut responses) = rig.watch(Some(&leaf)).await;
    next(&mut responses).await.unwrap();
}

#[tokio::test]
async fn a_connection_has_two_watch_streams_and_no_more() {
    let rig = Rig::start().await;
    let mut client = DiscoveryClient::new(rig.channel(Some(&rig.join().await)).await.unwrap());
    let silent = || ReceiverStream::new(mpsc::channel(1).1);
    let open = async |client: &mut DiscoveryClient<Channel>| {
        let (requests, receiver) = mpsc::channel(1);
        client.watch(ReceiverStream::new(receiver)).await.map(|responses| (requests, responses))
    };
    let held = [open(&mut client).await.unwrap(), open(&mut client).await.unwrap()];
    assert_eq!(open(&mut client).await.unwrap_err().code(), Code::ResourceExhausted);
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(10);
    while client.watch(silent()).await.is_err() {
        assert!(Instant::now() < deadline, "the place is not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
