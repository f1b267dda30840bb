//! Mutual TLS 1.3 as Weft has it, with ALPN for HTTP/2.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use rustls::{ClientConfig, ServerConfig};
use weft_certs::{CertificateRequest, Issuer, KeyPair, Leaf, MeshTls, Root, SpiffeId, TrustBundle, Validity};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Writes what both sides need into `folder`: an issuer, with its key, and the root's certificate.
pub fn write_authority(folder: &Path) -> anyhow::Result<()> {
    let validity = Validity::lasting(SystemTime::now(), DAY);
    let root = Root::generate(validity)?;
    let issuer = Issuer::generate(&root, validity)?;
    let bundle = TrustBundle::new([root.certificate().clone()])?;
    std::fs::write(folder.join("issuer.pem"), issuer.to_pem())?;
    std::fs::write(folder.join("root.pem"), bundle.to_pem()).context("write the authority")
}

/// For connections to the server's side, whose identity is verified.
pub fn client(folder: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let tls = mesh_tls(folder)?;
    let mut config = (*tls.client_for(tls.leaf().identity())).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// For connections from the client's side.
pub fn server(folder: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let mut config = (*mesh_tls(folder)?.server()).clone();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// Both sides are the same workload: who is who does not change the cost.
fn mesh_tls(folder: &Path) -> anyhow::Result<MeshTls> {
    let read = |name| std::fs::read_to_string(folder.join(name)).with_context(|| format!("read {name}"));
    let issuer = Issuer::from_pem(&read("issuer.pem")?)?;
    let bundle = TrustBundle::from_pem(&read("root.pem")?)?;
    let identity = SpiffeId::new("cluster.local", "bench", "bare")?;
    let key = KeyPair::generate()?;
    let request = CertificateRequest::new(&key, &identity)?;
    let chain = issuer.issue(request.der(), &identity, Validity::lasting(SystemTime::now(), DAY))?;
    Ok(MeshTls::new(&Leaf::new(chain, key)?, &bundle)?)
}
