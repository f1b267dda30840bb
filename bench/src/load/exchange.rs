//! One request and its answer, of each kind.

use std::net::SocketAddr;

use anyhow::bail;
use clap::ValueEnum;

use super::{grpc, http1, tcp};

/// What one request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A small HTTP/1.1 answer on a connection that stays.
    Small,
    /// An HTTP/1.1 answer of 100 KB on a connection that stays.
    Large,
    /// A small HTTP/1.1 answer on a connection of its own.
    Connection,
    /// A unary gRPC call with a small message.
    Grpc,
    /// A TCP connection, 64 bytes there and back, and its end.
    Tcp,
    /// 1 MiB there and back on a TCP connection that stays.
    Bulk,
    /// Connections that had one small answer each and then stay silent.
    Idle,
}

/// Makes requests one after the other.
pub enum Exchange {
    Http1(http1::Client),
    Connection(SocketAddr),
    Grpc(grpc::Client),
    Tcp(SocketAddr),
    Bulk(tcp::Bulk),
}

impl Exchange {
    /// Connected, where the kind has a connection that stays.
    pub async fn new(kind: Kind, target: SocketAddr) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Small | Kind::Idle => Self::Http1(http1::Client::connect(target, http1::SMALL).await?),
            Kind::Large => Self::Http1(http1::Client::connect(target, http1::LARGE).await?),
            Kind::Connection => Self::Connection(target),
            Kind::Grpc => Self::Grpc(grpc::Client::connect(target).await?),
            Kind::Tcp => Self::Tcp(target),
            Kind::Bulk => Self::Bulk(tcp::Bulk::connect(target).await?),
        })
    }

    /// Another one on the same connection.
    pub fn sibling(&self) -> anyhow::Result<Self> {
        match self {
            Self::Grpc(client) => Ok(Self::Grpc(client.clone())),
            Self::Http1(_) | Self::Connection(_) | Self::Tcp(_) | Self::Bulk(_) => {
                bail!("only gRPC has several requests at a time on one connection")
            }
        }
    }

    /// One request, until its answer is there in full and right.
    pub async fn once(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Http1(client) => client.once().await,
            Self::Connection(target) => http1::on_a_new_connection(*target).await,
            Self::Grpc(client) => client.once().await,
            Self::Tcp(target) => tcp::on_a_new_connection(*target).await,
            Self::Bulk(bulk) => bulk.once().await,
        }
    }

    /// A new connection in the place of a broken one.
    pub async fn reconnect(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Http1(client) => client.reconnect().await,
            Self::Grpc(client) => client.reconnect().await,
            Self::Bulk(bulk) => bulk.reconnect().await,
            Self::Connection(_) | Self::Tcp(_) => Ok(()),
        }
    }
}
