//! rustls configs: between two proxies, and between a proxy and the control plane.
//!
//! All of them (but [`unverified_client`]'s, for probes) speak TLS 1.3 only, prefer X25519MLKEM768, name the crypto provider themselves (there is no process
//! default), send no SNI and no early data. Whoever holds a connection must end it when its peer's leaf ends
//! ([`crate::Peer::not_after`]): a resumed session is not verified anew.

mod refusal;
mod unverified;
mod verify;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use rustls::{
    ClientConfig, ServerConfig,
    client::Resumption,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{cipher_suite, default_provider, kx_group},
    },
    server::{NoServerSessionStorage, ServerSessionMemoryCache, VerifierBuilderError},
    sign::SingleCertAndKey,
    version::TLS13,
};

pub use refusal::{RefusedPeer, WrongIdentity, refused, wrong_identity};
pub use unverified::unverified_client;

use crate::{Leaf, SpiffeId, TrustBundle};
pub(crate) use verify::verify_chain;
use verify::{ClientVerifier, ServerVerifier};

const MESH_PROTOCOL: &[u8] = b"weft/1";
const CONTROL_PROTOCOL: &[u8] = b"h2";

/// Sessions that a server remembers, one for each connection; about 2 KB each at most.
const SERVER_SESSIONS: usize = 1024;
/// Sessions that a client remembers for one identity. rustls counts 8 for a server: 64 servers.
const CLIENT_SESSIONS: usize = 512;
/// Identities that a client keeps configs for; a mesh has fewer, and beyond it sessions are just not resumed.
const MOST_IDENTITIES: usize = 4096;

/// What one leaf and one trust bundle make: the TLS of the mesh. Cheap to clone; a new leaf or bundle makes a new one.
///
/// Sessions are resumed within one `MeshTls` only, and a client's only with the identity that they began with.
#[derive(Clone)]
pub struct MeshTls(Arc<Shared>);

struct Shared {
    leaf: Leaf,
    bundle: TrustBundle,
    server: Arc<ServerConfig>,
    clients: Mutex<HashMap<SpiffeId, Arc<ClientConfig>>>, // taken once per connection
}

/// A leaf or bundle that no TLS can be made of.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The crypto provider lacks TLS 1.3.
    #[error("no TLS 1.3 to be had")]
    Version(#[source] rustls::Error),
    /// Nobody can be verified with the bundle.
    #[error("the trust bundle makes no verifier")]
    Bundle(#[source] VerifierBuilderError),
}

impl MeshTls {
    /// The TLS of a workload that holds `leaf` and trusts `bundle`.
    ///
    /// # Errors
    /// When rustls does not take them.
    pub fn new(leaf: &Leaf, bundle: &TrustBundle) -> Result<Self, TlsError> {
        let mut server = server(leaf, ClientVerifier::mandatory(bundle)?, MESH_PROTOCOL)?;
        server.session_storage = ServerSessionMemoryCache::new(SERVER_SESSIONS);
        server.send_tls13_tickets = 1; // each connection uses one up and brings one
        let server = Arc::new(server);
        // Made once here, so that `client_for` cannot fail later.
        client(bundle, Some(leaf), leaf.identity(), MESH_PROTOCOL)?;
        let (leaf, bundle) = (leaf.clone(), bundle.clone());
        Ok(Self(Arc::new(Shared { leaf, bundle, server, clients: Mutex::default() })))
    }

    /// For connections that come in: a client certificate is demanded and must name a workload.
    pub fn server(&self) -> Arc<ServerConfig> {
        self.0.server.clone()
    }

    /// For connections to a server that must prove to be `expected`. One config per identity, with a session cache of
    /// its own: name the server by its address, so that sessions are told apart by endpoint.
    pub fn client_for(&self, expected: &SpiffeId) -> Arc<ClientConfig> {
        let mut clients = self.0.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = clients.get(expected) {
            return config.clone();
        }
        if clients.len() >= MOST_IDENTITIES {
            clients.clear();
        }
        #[expect(clippy::expect_used, reason = "only the identity differs from the config that `new` has made")]
        let mut config = client(&self.0.bundle, Some(&self.0.leaf), expected, MESH_PROTOCOL).expect("a client config");
        config.resumption = Resumption::in_memory_sessions(CLIENT_SESSIONS);
        let config = Arc::new(config);
        clients.insert(expected.clone(), config.clone());
        config
    }

    /// The leaf that this side proves itself with.
    pub fn leaf(&self) -> &Leaf {
        &self.0.leaf
    }

    /// Whom this side believes.
    pub fn bundle(&self) -> &TrustBundle {
        &self.0.bundle
    }
}

impl fmt::Debug for MeshTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshTls").field("leaf", &self.0.leaf).field("bundle", &self.0.bundle).finish_non_exhaustive()
    }
}

/// For a proxy's connection to the control plane, which must prove to be `expected`; with `leaf` it is mutual. ALPN `h2`.
///
/// # Errors
/// When rustls does not take the bundle.
pub fn control_client(
    bundle: &TrustBundle,
    leaf: Option<&Leaf>,
    expected: &SpiffeId,
) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = client(bundle, leaf, expected, CONTROL_PROTOCOL)?;
    config.resumption = Resumption::disabled(); // few and long connections, whose leaf must be verified anew
    Ok(Arc::new(config))
}

/// For the control plane's own port: a client certificate may be left out, and is verified if not. ALPN `h2`.
///
/// # Errors
/// When rustls does not take the bundle.
pub fn control_server(leaf: &Leaf, bundle: &TrustBundle) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = server(leaf, ClientVerifier::optional(bundle)?, CONTROL_PROTOCOL)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

fn server(leaf: &Leaf, verifier: ClientVerifier, protocol: &[u8]) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider().clone());
    let builder = builder.with_protocol_versions(&[&TLS13]).map_err(TlsError::Version)?;
    let resolver = Arc::new(SingleCertAndKey::from(leaf.certified().clone()));
    let mut config = builder.with_client_cert_verifier(Arc::new(verifier)).with_cert_resolver(resolver);
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

fn client(
    bundle: &TrustBundle,
    leaf: Option<&Leaf>,
    expected: &SpiffeId,
    protocol: &[u8],
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider().clone());
    let builder = builder.with_protocol_versions(&[&TLS13]).map_err(TlsError::Version)?;
    let verifier = Arc::new(ServerVerifier::new(bundle, expected.clone()));
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = match leaf {
        Some(leaf) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(leaf.certified().clone()))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    config.enable_sni = false;
    Ok(config)
}

/// The one provider: AES-128 first (half of what a proxy does with a byte), the hybrid key exchange first.
pub(crate) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                cipher_suite::TLS13_AES_128_GCM_SHA256,
                cipher_suite::TLS13_AES_256_GCM_SHA384,
                cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            ],
            kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1],
            ..default_provider()
        })
    })
}

#[cfg(test)]
mod tests;
