//! The bare yardstick: what hyper, h2 and rustls cost together when a proxy has no features at all.
//!
//! Client's side: HTTP/1.1 or HTTP/2 by hyper in front, one HTTP/2 connection per worker over mutual TLS behind. Server's
//! side: the reverse. Everything goes to one fixed place; nothing is detected, discovered, balanced, counted or retried.
//! TCP is copied over a TLS connection of its own. Two workers, each one thread that keeps its connections.

mod http;
mod inbound;
mod outbound;
mod tcp;
mod tls;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;

use crate::thread;
pub use tls::write_authority;

/// How one side of the bare pair is run.
#[derive(Clone, clap::Args)]
pub struct Options {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// Where everything goes: the other proxy, or the server.
    #[arg(long)]
    forward: SocketAddr,
    /// What the client and the server speak.
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// A folder with the authority that `tls::write_authority` has made.
    #[arg(long)]
    authority: PathBuf,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

/// What is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    Http1,
    Http2,
    Tcp,
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.to_possible_value().as_ref().map_or("?", |value| value.get_name()))
    }
}

/// The client's side, until it is killed.
pub fn run_outbound(options: &Options) -> anyhow::Result<()> {
    let tls = tls::client(&options.authority)?;
    workers(options, async |options| match options.protocol {
        Protocol::Tcp => tcp::outbound(&options, tls.clone()).await,
        Protocol::Http1 | Protocol::Http2 => outbound::serve(&options, tls.clone()).await,
    })
}

/// The server's side, until it is killed.
pub fn run_inbound(options: &Options) -> anyhow::Result<()> {
    let tls = tls::server(&options.authority)?;
    workers(options, async |options| match options.protocol {
        Protocol::Tcp => tcp::inbound(&options, tls.clone()).await,
        Protocol::Http1 | Protocol::Http2 => inbound::serve(&options, tls.clone()).await,
    })
}

fn workers(options: &Options, work: impl AsyncFn(Options) -> anyhow::Result<()> + Sync) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..options.workers).map(|_| scope.spawn(|| thread::block_on(work(options.clone())))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a worker panicked")?)
    })
}
