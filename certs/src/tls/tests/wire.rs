//! A wire in memory, for rustls' two ways of being used.

use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, Error, ServerConfig, ServerConnection,
    client::UnbufferedClientConnection,
    server::UnbufferedServerConnection,
    unbuffered::{ConnectionState, UnbufferedStatus},
};
use rustls_pki_types::ServerName;

#[derive(Debug)]
pub(super) struct Ends {
    pub(super) client: ClientConnection,
    pub(super) server: ServerConnection,
}

fn endpoint() -> ServerName<'static> {
    ServerName::try_from("10.42.0.7").unwrap()
}

/// A handshake with its tickets; the first error of either side, the client's own before the server's.
pub(super) fn handshake(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Result<Ends, Error> {
    let mut client = ClientConnection::new(client, endpoint())?;
    let mut server = ServerConnection::new(server)?;
    for _ in 0..8 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        let mut unread = wire.as_slice();
        let mut at_server = Ok(());
        while !unread.is_empty() && at_server.is_ok() {
            server.read_tls(&mut unread).unwrap();
            at_server = server.process_new_packets().map(|_| ());
        }
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        at_server?;
        let mut unread = wire.as_slice();
        while !unread.is_empty() {
            client.read_tls(&mut unread).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(Ends { client, server })
}

/// The same by the unbuffered API, as the data path uses it.
pub(super) fn unbuffered(
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
) -> Result<(UnbufferedClientConnection, UnbufferedServerConnection), Error> {
    let mut client = UnbufferedClientConnection::new(client, endpoint())?;
    let mut server = UnbufferedServerConnection::new(server)?;
    let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
    let mut up = [false; 2];
    for _ in 0..20 {
        let (used, is_up) = step(client.process_tls_records(&mut to_client), &mut to_server)?;
        to_client.drain(..used);
        up[0] = is_up;
        let (used, is_up) = step(server.process_tls_records(&mut to_server), &mut to_client)?;
        to_server.drain(..used);
        up[1] = is_up;
    }
    assert_eq!(up, [true, true]);
    Ok((client, server))
}

/// One state of one side: the bytes of its input that are used up, and whether it may send data.
fn step<Side>(status: UnbufferedStatus<'_, '_, Side>, out: &mut Vec<u8>) -> Result<(usize, bool), Error> {
    let mut up = false;
    match status.state? {
        ConnectionState::EncodeTlsData(mut data) => {
            let at = out.len();
            out.resize(at + 20_000, 0);
            let used = data.encode(&mut out[at..]).unwrap();
            out.truncate(at + used);
        }
        ConnectionState::TransmitTlsData(data) => data.done(),
        ConnectionState::BlockedHandshake => (),
        ConnectionState::WriteTraffic(_) => up = true,
        _ => panic!("nobody has sent data or closed"),
    }
    Ok((status.discard, up))
}
