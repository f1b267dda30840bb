//! What stands between client and server.

use std::io::Write;

use clap::ValueEnum;
use serde::Serialize;

use super::haproxy;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// Nothing: the client connects to the server.
    Direct,
    /// hyper, h2 and rustls without features.
    Bare,
    /// Debian's HAProxy, HTTP/2 over mutual TLS between the two.
    Haproxy,
    /// Weft.
    Weft,
}

/// Those that are asked for (all, if none is), without HAProxy where it is not installed.
pub fn usable(asked: &[Peer]) -> anyhow::Result<Vec<Peer>> {
    let mut peers = if asked.is_empty() { Peer::value_variants().to_vec() } else { asked.to_vec() };
    if peers.contains(&Peer::Haproxy) && !haproxy::installed() {
        peers.retain(|peer| *peer != Peer::Haproxy);
        writeln!(std::io::stderr(), "without haproxy: to compare with it, apt-get install haproxy openssl")?;
    }
    Ok(peers)
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.to_possible_value().as_ref().map_or("?", |value| value.get_name()))
    }
}
