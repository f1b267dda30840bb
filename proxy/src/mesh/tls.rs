//! TLS of a link, over rustls' unbuffered API: bytes in, bytes out, no sockets.

use std::sync::Arc;

use rustls::{
    ClientConfig, Error, ServerConfig,
    client::UnbufferedClientConnection,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, EncodeError, EncryptError, InsufficientSizeError},
};
use rustls_pki_types::{CertificateDer, ServerName};

use super::{frames, limits, records::Records};
use crate::address::EndpointAddr;

/// Room for a flight of handshake messages, before it is known how much they need.
const FLIGHT: usize = 2048;
/// More than a record adds to what it holds.
const RECORD_EXTRA: usize = 32;

/// One side of a TLS connection.
pub(super) enum Tls {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
    /// None: both ends are in this worker, and the bytes never leave it.
    Within,
}

/// What a read has found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Read {
    /// Bytes of the wire that are done with.
    pub(super) used: usize,
    /// The handshake is over: data may be sent.
    pub(super) up: bool,
    /// The peer has said that nothing follows.
    pub(super) closed: bool,
}

impl Tls {
    pub(super) fn client(config: Arc<ClientConfig>, endpoint: EndpointAddr) -> Result<Self, Error> {
        // Never sent (no SNI) and never checked (the config's verifier knows whom to expect): the name tells sessions apart.
        let name = ServerName::IpAddress(endpoint.0.ip().into());
        Ok(Self::Client(UnbufferedClientConnection::new(config, name)?))
    }

    pub(super) fn server(config: Arc<ServerConfig>) -> Result<Self, Error> {
        Ok(Self::Server(UnbufferedServerConnection::new(config)?))
    }

    /// Takes whole records from the front of `wire`: what each holds is shown to `plain`, what must be answered goes to
    /// `out` (an alert too, when this fails).
    pub(super) fn read(
        &mut self,
        wire: &mut [u8],
        mut plain: impl FnMut(&[u8]),
        out: &mut Records,
    ) -> Result<Read, Error> {
        match self {
            Self::Client(connection) => read!(connection, wire, plain, out),
            Self::Server(connection) => read!(connection, wire, plain, out),
            Self::Within => {
                plain(wire);
                Ok(Read { used: wire.len(), up: true, closed: false })
            }
        }
    }

    /// Encrypts the frames in `plain` to the end of `out`, in records that cut none if they can; before the handshake is
    /// over that is an error.
    ///
    /// `wire` is what `read` has left: rustls keeps places in it (of a handshake message of which more is to come) and
    /// panics when it is not there. After an error neither is to be called again.
    pub(super) fn write(&mut self, wire: &mut [u8], plain: &[u8], out: &mut Records) -> Result<(), Error> {
        match self {
            Self::Client(connection) => write!(connection, wire, plain, out),
            Self::Server(connection) => write!(connection, wire, plain, out),
            Self::Within => {
                out.append(plain);
                Ok(())
            }
        }
    }

    /// What was agreed on.
    pub(super) fn alpn(&self) -> Option<&[u8]> {
        match self {
            Self::Client(connection) => connection.alpn_protocol(),
            Self::Server(connection) => connection.alpn_protocol(),
            Self::Within => Some(super::ALPN),
        }
    }

    /// The peer's verified chain, leaf first.
    pub(super) fn peer_chain(&self) -> &[CertificateDer<'static>] {
        let chain = match self {
            Self::Client(connection) => connection.peer_certificates(),
            Self::Server(connection) => connection.peer_certificates(),
            Self::Within => None,
        };
        chain.unwrap_or_default()
    }
}

// The two sides' connections have the same methods and no trait in common: hence macros.

macro_rules! read {
    ($connection:expr, $wire:expr, $plain:expr, $out:expr) => {{
        let mut read = Read::default();
        loop {
            let status = $connection.process_tls_records(&mut $wire[read.used..]);
            let mut discard = status.discard;
            match status.state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let record = record?;
                        discard += record.discard;
                        $plain(record.payload);
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut flight)) => put($out, FLIGHT, |out| flight.encode(out))?,
                Ok(ConnectionState::TransmitTlsData(flight)) => flight.done(),
                Ok(ConnectionState::WriteTraffic(_)) => {
                    read.up = true;
                    read.used += discard;
                    break Ok(read);
                }
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                    read.closed = true;
                    break Ok(read);
                }
                Ok(ConnectionState::BlockedHandshake) => {
                    read.used += discard;
                    break Ok(read);
                }
                Ok(_) => break Err(Error::General("early data".into())),
                Err(error) => {
                    // The alert that tells the peer is waiting to be encoded.
                    let rest = &mut $wire[read.used + discard..];
                    while let Ok(ConnectionState::EncodeTlsData(mut alert)) =
                        $connection.process_tls_records(rest).state
                    {
                        put($out, FLIGHT, |out| alert.encode(out))?;
                    }
                    break Err(error);
                }
            }
            read.used += discard;
        }
    }};
}
use read;

macro_rules! write {
    ($connection:expr, $wire:expr, $plain:expr, $out:expr) => {
        loop {
            match $connection.process_tls_records($wire).state? {
                ConnectionState::WriteTraffic(mut traffic) => {
                    let mut rest: &[u8] = $plain;
                    while !rest.is_empty() {
                        let (frames, later) = rest.split_at(frames::fitting(rest, limits::RECORD));
                        let room = frames.len() + (frames.len() / limits::RECORD + 1) * RECORD_EXTRA;
                        put($out, room, |out| traffic.encrypt(frames, out))?;
                        rest = later;
                    }
                    break Ok(());
                }
                // A key update goes out first.
                ConnectionState::EncodeTlsData(mut flight) => put($out, FLIGHT, |out| flight.encode(out))?,
                ConnectionState::TransmitTlsData(flight) => flight.done(),
                _ => break Err(Error::HandshakeNotComplete),
            }
        }
    };
}
use write;

/// Lets `fill` append to `out`, with more room when it asks for more.
fn put<E: NeedsRoom>(
    out: &mut Records,
    mut room: usize,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<(), Error> {
    loop {
        match fill(out.room(room)) {
            Ok(written) => {
                out.fill(written);
                return Ok(());
            }
            Err(error) => match error.room() {
                Some(more) if more > room => room = more,
                _ => return Err(Error::EncryptError),
            },
        }
    }
}

/// An error that may ask for more room.
trait NeedsRoom {
    fn room(&self) -> Option<usize>;
}

impl NeedsRoom for EncodeError {
    fn room(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            Self::AlreadyEncoded => None,
        }
    }
}

impl NeedsRoom for EncryptError {
    fn room(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            Self::EncryptExhausted => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, SocketAddr},
        time::{Duration, SystemTime},
    };

    use weft_certs::{CertificateRequest, Issuer, KeyPair, Leaf, MeshTls, Root, SpiffeId, TrustBundle, Validity};

    use super::*;

    /// A client, and a server whose records hold no more than 32 bytes: its handshake messages come in pieces.
    fn pair() -> (Tls, Tls) {
        let hour = Validity::lasting(SystemTime::now(), Duration::from_secs(3600));
        let root = Root::generate(hour).unwrap();
        let issuer = Issuer::generate(&root, hour).unwrap();
        let (key, id) = (KeyPair::generate().unwrap(), SpiffeId::new("mesh.local", "shop", "users").unwrap());
        let request = CertificateRequest::new(&key, &id).unwrap();
        let leaf = Leaf::new(issuer.issue(request.der(), &id, hour).unwrap(), key).unwrap();
        let tls = MeshTls::new(&leaf, &TrustBundle::new([root.certificate().clone()]).unwrap()).unwrap();
        let mut server = (*tls.server()).clone();
        server.max_fragment_size = Some(32);
        let endpoint = EndpointAddr(SocketAddr::from((Ipv4Addr::LOCALHOST, 4143)));
        (Tls::client(tls.client_for(&id), endpoint).unwrap(), Tls::server(Arc::new(server)).unwrap())
    }

    /// One side's buffers.
    #[derive(Default)]
    struct Side {
        wire: Vec<u8>,
        plain: Vec<u8>,
        out: Records,
    }

    impl Side {
        fn read(&mut self, tls: &mut Tls) -> Read {
            let plain = &mut self.plain;
            let read = tls.read(&mut self.wire, |bytes| plain.extend_from_slice(bytes), &mut self.out).unwrap();
            self.wire.drain(..read.used);
            read
        }

        /// What it has to say.
        fn said(&mut self) -> Vec<u8> {
            let said = self.out.unsent().to_vec();
            self.out.consume(said.len());
            said
        }
    }

    #[test]
    fn a_write_between_any_two_bytes_that_come_does_no_harm() {
        let (mut client, mut server) = pair();
        let (mut near, mut far) = (Side::default(), Side::default());
        near.read(&mut client);
        far.wire.append(&mut near.said());
        far.read(&mut server);
        let mut writes = 0;
        // The server's flight byte by byte, then what it says after the handshake: a ticket in several records.
        for _ in 0..2 {
            for byte in far.said() {
                near.wire.push(byte);
                if near.read(&mut client).up {
                    client.write(&mut near.wire, b"x", &mut near.out).unwrap();
                    writes += 1;
                }
            }
            far.wire.append(&mut near.said());
            far.read(&mut server);
        }
        assert!(writes > 100, "the ticket is longer: {writes}");
        assert_eq!(far.plain.len(), writes);
    }

    #[test]
    fn a_record_holds_whole_frames() {
        let (mut client, mut server) = pair();
        let (mut near, mut far) = (Side::default(), Side::default());
        while !near.read(&mut client).up {
            far.wire.append(&mut near.said());
            far.read(&mut server);
            near.wire.append(&mut far.said());
        }
        far.wire.append(&mut near.said());
        let mut batch = Vec::new();
        for length in [limits::PIECE, 100, 100, limits::PIECE, 3 * limits::RECORD] {
            let payload = vec![7; length];
            frames::Frame { kind: frames::Kind::DATA, flags: frames::Flags::NONE, stream: 1, payload: &payload }
                .put(&mut batch);
        }
        client.write(&mut near.wire, &batch, &mut near.out).unwrap();
        far.wire.append(&mut near.said());
        let mut records = Vec::new();
        server.read(&mut far.wire, |record| records.push(record.len()), &mut far.out).unwrap();
        let full = limits::RECORD;
        assert_eq!(records, [full, 220, full, full, full, full, frames::HEADER]);
    }

    #[test]
    fn nothing_is_encrypted_before_the_handshake_is_over() {
        let (mut client, _) = pair();
        assert!(client.write(&mut [], b"x", &mut Records::default()).is_err());
    }
}
