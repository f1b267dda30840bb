//! The servers that are behind every peer: small, fast, and the same for all.

mod echo;
mod grpc;
mod http1;

use std::net::{IpAddr, SocketAddr};

use crate::thread;

/// Where to serve what.
#[derive(clap::Args)]
pub struct Options {
    /// The address to listen on.
    #[arg(long, default_value = "0.0.0.0")]
    address: IpAddr,
    /// HTTP/1.1: /small answers 16 bytes, /large 100 KB.
    #[arg(long, default_value_t = HTTP1_PORT)]
    http1_port: u16,
    /// gRPC: every unary call is answered with its own message.
    #[arg(long, default_value_t = GRPC_PORT)]
    grpc_port: u16,
    /// TCP: every byte comes back.
    #[arg(long, default_value_t = ECHO_PORT)]
    echo_port: u16,
}

pub const HTTP1_PORT: u16 = 8080;
pub const GRPC_PORT: u16 = 9090;
pub const ECHO_PORT: u16 = 7070;

/// Serves until it is killed.
pub fn run(options: &Options) -> anyhow::Result<()> {
    thread::block_on(async {
        let listen = |port| thread::listen(SocketAddr::new(options.address, port));
        let http1 = thread::accept(listen(options.http1_port)?, http1::serve);
        let grpc = thread::accept(listen(options.grpc_port)?, grpc::serve);
        let echo = thread::accept(listen(options.echo_port)?, echo::serve);
        tokio::try_join!(http1, grpc, echo).map(|_| ())
    })
}
