//! The cases: which load, how much of it, to which server.

use clap::ValueEnum;

use super::Options;
use crate::bare::Protocol;
use crate::load::Kind;
use crate::serve::{ECHO_PORT, GRPC_PORT, HTTP1_PORT};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Small HTTP/1.1 answers, 64 connections, as fast as they come.
    H1Sat,
    /// The same at 2,000 a second.
    H1Rate,
    /// HTTP/1.1 answers of 100 KB.
    #[value(name = "h1-100k")]
    H1Large,
    /// A connection for each HTTP/1.1 request.
    Conn,
    /// Unary gRPC calls, as fast as they come.
    GrpcSat,
    /// The same at 2,000 a second.
    GrpcRate,
    /// A TCP connection for 64 bytes there and back.
    TcpConn,
    /// 1 MiB there and back on TCP connections that stay.
    TcpBulk,
    /// Memory of HTTP/1.1 connections that are silent.
    Idle,
}

/// In the order in which they are measured.
pub const ALL: [Case; 9] = [
    Case::H1Sat,
    Case::H1Rate,
    Case::H1Large,
    Case::Conn,
    Case::GrpcSat,
    Case::GrpcRate,
    Case::TcpConn,
    Case::TcpBulk,
    Case::Idle,
];

/// Requests a second where the rate is constant: what one pod of a busy service gets.
const RATE: u32 = 2000;

/// A case's load.
pub struct Load {
    pub kind: Kind,
    pub connections: u32,
    pub streams: u32,
    pub rate: Option<u32>,
}

impl Case {
    pub fn load(self, options: &Options) -> Load {
        let load = |kind, connections| Load { kind, connections, streams: 1, rate: None };
        match self {
            Self::H1Sat => load(Kind::Small, 64),
            Self::H1Rate => Load { rate: Some(RATE), ..load(Kind::Small, 64) },
            Self::H1Large => load(Kind::Large, 32),
            Self::Conn => load(Kind::Connection, 32),
            Self::GrpcSat => Load { streams: 8, ..load(Kind::Grpc, 8) },
            Self::GrpcRate => Load { streams: 8, rate: Some(RATE), ..load(Kind::Grpc, 8) },
            Self::TcpConn => load(Kind::Tcp, 32),
            Self::TcpBulk => load(Kind::Bulk, 4),
            Self::Idle => load(Kind::Idle, options.idle_connections),
        }
    }

    /// What the yardsticks must be told; Weft finds out.
    pub fn protocol(self) -> Protocol {
        match self {
            Self::H1Sat | Self::H1Rate | Self::H1Large | Self::Conn | Self::Idle => Protocol::Http1,
            Self::GrpcSat | Self::GrpcRate => Protocol::Http2,
            Self::TcpConn | Self::TcpBulk => Protocol::Tcp,
        }
    }

    pub fn server_port(self) -> u16 {
        match self.protocol() {
            Protocol::Http1 => HTTP1_PORT,
            Protocol::Http2 => GRPC_PORT,
            Protocol::Tcp => ECHO_PORT,
        }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.to_possible_value().as_ref().map_or("?", |value| value.get_name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_that_the_results_are_read_by() {
        let names = ALL.map(|case| case.to_string()).join(" ");
        assert_eq!(names, "h1-sat h1-rate h1-100k conn grpc-sat grpc-rate tcp-conn tcp-bulk idle");
    }
}
