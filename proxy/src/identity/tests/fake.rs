//! A control plane that certifies whom the test tells it to, on a port of loopback.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, SystemTime},
};

use hyper::server::conn::http2;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;
use tonic::{Request, Response, Status};
use weft_api::pb::{
    self,
    certification_server::{Certification, CertificationServer},
    certify_request::Proof as Sent,
};
use weft_certs::{
    CertificateRequest, Issuer, KeyPair, Leaf, Root, SpiffeId, TrustBundle, Validity, control_server, identity_of,
};

pub(super) fn id(namespace: &str, service_account: &str) -> SpiffeId {
    SpiffeId::new("cluster.local", namespace, service_account).unwrap()
}

#[derive(Clone)]
pub(super) struct Authority(Arc<(Root, Issuer)>);

impl Authority {
    pub(super) fn new() -> Self {
        let root = Root::generate(hour()).unwrap();
        let issuer = Issuer::generate(&root, hour()).unwrap();
        Self(Arc::new((root, issuer)))
    }

    pub(super) fn bundle(&self) -> TrustBundle {
        TrustBundle::new([self.0.0.certificate().clone()]).unwrap()
    }

    pub(super) fn issuer_id(&self) -> &str {
        self.0.1.id()
    }

    /// Another issuer under the same root.
    fn reissued(&self) -> Self {
        let root = Root::from_pem(&self.0.0.to_pem()).unwrap();
        let issuer = Issuer::generate(&root, hour()).unwrap();
        Self(Arc::new((root, issuer)))
    }

    fn leaf(&self, id: &SpiffeId) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let request = CertificateRequest::new(&key, id).unwrap();
        Leaf::new(self.0.1.issue(request.der(), id, hour()).unwrap(), key).unwrap()
    }
}

fn hour() -> Validity {
    Validity::lasting(SystemTime::now(), Duration::from_secs(3600))
}

/// What a request was proven by, and who the connection's certificate said was calling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Renewal { caller: Option<SpiffeId> },
    Token { token: String, caller: Option<SpiffeId> },
}

pub(super) struct ControlPlane {
    pub(super) address: SocketAddr,
    state: Arc<Mutex<State>>,
    refusals: watch::Sender<usize>,
    _tasks: JoinSet<()>,
}

struct State {
    authority: Authority,
    /// By whose leaves callers are still let in.
    old: Option<Authority>,
    own: SpiffeId,
    certified: SpiffeId,
    bundle: Option<TrustBundle>,
    proofs: Vec<Proof>,
    requests: Vec<Vec<u8>>,
    to_refuse: usize,
}

impl ControlPlane {
    pub(super) async fn start(namespace: &str, service_account: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            authority: Authority::new(),
            old: None,
            own: id(namespace, service_account),
            certified: id("shop", "orders"),
            bundle: None,
            proofs: Vec::new(),
            requests: Vec::new(),
            to_refuse: 0,
        }));
        let refusals = watch::Sender::new(0);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, state.clone(), refusals.clone()));
        Self { address, state, refusals, _tasks: tasks }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(super) fn authority(&self) -> Authority {
        self.state().authority.clone()
    }

    pub(super) fn proofs(&self) -> Vec<Proof> {
        self.state().proofs.clone()
    }

    /// The public keys that were certified.
    pub(super) fn keys(&self) -> Vec<Vec<u8>> {
        self.state().requests.iter().map(|request| public_key(request)).collect()
    }

    pub(super) fn certify_everyone_as(&self, id: SpiffeId) {
        self.state().certified = id;
    }

    pub(super) fn answer_with_bundle(&self, bundle: TrustBundle) {
        self.state().bundle = Some(bundle);
    }

    /// Refuses the proof of so many requests that come.
    pub(super) fn refuse(&self, requests: usize) {
        self.state().to_refuse = requests;
    }

    /// Waits until so many have been refused.
    pub(super) async fn refused(&self, requests: usize) {
        self.refusals.subscribe().wait_for(|refused| *refused >= requests).await.unwrap();
    }

    /// A new root and issuer; callers by the old ones are still let in.
    pub(super) fn rotate(&self) {
        let mut state = self.state();
        let old = std::mem::replace(&mut state.authority, Authority::new());
        state.old = Some(old);
    }

    /// A new root and issuer; callers by the old ones are turned away.
    pub(super) fn replace_root(&self) {
        self.state().authority = Authority::new();
    }

    /// A new issuer under the root that is there.
    pub(super) fn replace_issuer(&self) {
        let mut state = self.state();
        state.authority = state.authority.reissued();
    }
}

async fn accept(listener: TcpListener, state: Arc<Mutex<State>>, refusals: watch::Sender<usize>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (authority, old, own) = {
            let state = state.lock().unwrap();
            (state.authority.clone(), state.old.clone(), state.own.clone())
        };
        let old = old.as_ref().unwrap_or(&authority).bundle();
        let callers = authority.bundle().with(&old).unwrap();
        let config = control_server(&authority.leaf(&own), &callers).unwrap();
        connections.spawn(serve(TlsAcceptor::from(config), stream, state.clone(), refusals.clone()));
    }
}

async fn serve(tls: TlsAcceptor, stream: TcpStream, state: Arc<Mutex<State>>, refusals: watch::Sender<usize>) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let caller = stream.get_ref().1.peer_certificates().map(|chain| identity_of(chain).unwrap());
    let service = CertificationServer::new(Caller { caller, state, refusals });
    let connection = http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let _ = connection.await; // the caller may go at any time
}

struct Caller {
    caller: Option<SpiffeId>,
    state: Arc<Mutex<State>>,
    refusals: watch::Sender<usize>,
}

#[tonic::async_trait]
impl Certification for Caller {
    async fn certify(&self, request: Request<pb::CertifyRequest>) -> Result<Response<pb::CertifyResponse>, Status> {
        let request = request.into_inner();
        let mut state = self.state.lock().unwrap();
        let caller = self.caller.clone();
        state.proofs.push(match request.proof.unwrap() {
            Sent::Renewal(_) => Proof::Renewal { caller },
            Sent::JoinToken(token) | Sent::ServiceAccountToken(token) => Proof::Token { token, caller },
        });
        if state.to_refuse > 0 {
            state.to_refuse -= 1;
            self.refusals.send_modify(|refused| *refused += 1);
            return Err(Status::unauthenticated("who are you?"));
        }
        let chain = state.authority.0.1.issue(&request.csr_der, &state.certified, hour()).unwrap();
        state.requests.push(request.csr_der);
        let bundle = state.bundle.clone().unwrap_or_else(|| state.authority.bundle());
        Ok(Response::new(pb::CertifyResponse {
            chain_der: chain.iter().map(|certificate| certificate.to_vec()).collect(),
            trust_bundle: Some(pb::TrustBundle {
                anchors_der: bundle.anchors().iter().map(|anchor| anchor.to_vec()).collect(),
                issuer: state.authority.issuer_id().to_owned(),
            }),
            bundle_version: bundle.version(),
        }))
    }
}

/// The point of P-256 in a request: what follows the head of its bit string.
fn public_key(request: &[u8]) -> Vec<u8> {
    const HEAD: [u8; 4] = [3, 66, 0, 4];
    let at = request.windows(4).position(|bytes| bytes == HEAD).unwrap();
    request[at + 4..][..64].to_vec()
}
