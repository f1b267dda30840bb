//! What only a kernel can show about interception: what is led into the proxy, what is left alone, and that it is told
//! apart.

#![expect(clippy::expect_used, reason = "a test that cannot be set up must say so")]

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use crate::namespace::{OURS, PEERS, Peer, in_namespace, nftables};
use socket2::{Domain, Socket, Type};
use weft_proxy::{
    address::ClientAddr,
    listen::OriginalDestination,
    redirect::{self, Options, RedirectError},
};

const UID: u32 = 2102;
const MARK: u32 = 0x539;
const OUTBOUND: u16 = 4140;
const INBOUND: u16 = 4143;
const APP: u16 = 8080;

fn options() -> Options {
    Options { uid: Some(UID), mark: Some(MARK), ..Options::default() }
}

fn both(addresses: (Ipv4Addr, Ipv6Addr)) -> [IpAddr; 2] {
    [addresses.0.into(), addresses.1.into()]
}

fn listen(ip: impl Into<IpAddr>, port: u16) -> TcpListener {
    TcpListener::bind((ip.into(), port)).expect("bind")
}

/// The proxy's outbound listeners, one per family.
fn outbound() -> [TcpListener; 2] {
    both((Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST)).map(|ip| listen(ip, OUTBOUND))
}

fn connect(ip: IpAddr, port: u16) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&SocketAddr::new(ip, port), Duration::from_secs(5))
}

/// Whether a connection waits at the listener, and where it wanted to go.
fn arrived(listener: &TcpListener) -> Option<SocketAddr> {
    listener.set_nonblocking(true).expect("nonblocking");
    let (stream, client) = listener.accept().ok()?;
    Some(OriginalDestination::Kernel.of(&stream, ClientAddr(client)).expect("original destination").0)
}

#[test]
fn the_pod_s_connections_come_to_the_outbound_port_with_their_destination() {
    in_namespace("redirect::the_pod_s_connections_come_to_the_outbound_port_with_their_destination", || {
        let _peer = Peer::new();
        redirect::apply(&options()).unwrap();
        for (listener, ip) in outbound().iter().zip(both(PEERS)) {
            let _client = connect(ip, APP).unwrap();
            assert_eq!(arrived(listener), Some(SocketAddr::new(ip, APP)));
        }
    });
}

#[test]
fn connections_to_the_pod_come_to_the_inbound_port_with_their_destination() {
    in_namespace("redirect::connections_to_the_pod_come_to_the_inbound_port_with_their_destination", || {
        let peer = Peer::new();
        redirect::apply(&options()).unwrap();
        for (any, ip) in both((Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED)).into_iter().zip(both(OURS)) {
            let socket = Socket::new(Domain::for_address((any, INBOUND).into()), Type::STREAM, None).unwrap();
            if any.is_ipv6() {
                socket.set_only_v6(true).unwrap();
            }
            socket.bind(&SocketAddr::new(any, INBOUND).into()).unwrap();
            socket.listen(8).unwrap();
            let listener = TcpListener::from(socket);
            let _client = peer.run(|| connect(ip, APP)).unwrap();
            assert_eq!(arrived(&listener), Some(SocketAddr::new(ip, APP)));
            let _direct = peer.run(|| connect(ip, INBOUND)).unwrap();
            assert_eq!(arrived(&listener), Some(SocketAddr::new(ip, INBOUND)), "our own port is not redirected");
        }
    });
}

#[test]
fn the_proxy_s_own_connections_are_left_alone_by_mark_and_by_uid() {
    in_namespace("redirect::the_proxy_s_own_connections_are_left_alone_by_mark_and_by_uid", || {
        let peer = Peer::new();
        let listeners = outbound();
        for ip in both(PEERS) {
            let app = peer.run(|| listen(ip, APP));
            redirect::apply(&options()).unwrap();
            let marked = Socket::new(Domain::for_address((ip, APP).into()), Type::STREAM, None).unwrap();
            marked.set_mark(MARK).unwrap();
            marked.connect(&SocketAddr::new(ip, APP).into()).unwrap();
            assert_eq!(arrived(&app), Some(SocketAddr::new(ip, APP)), "by mark");

            // SAFETY: geteuid has no preconditions.
            let uid = unsafe { libc::geteuid() }; // a user namespace maps one user only, so the test stays as it is
            redirect::apply(&Options { uid: Some(uid), ..Options::default() }).unwrap();
            let _client = connect(ip, APP).unwrap();
            assert_eq!(arrived(&app), Some(SocketAddr::new(ip, APP)), "by uid");
        }
        assert!(listeners.iter().all(|listener| arrived(listener).is_none()));
    });
}

#[test]
fn loopback_is_left_alone_and_so_are_calls_to_the_pod_s_own_address() {
    in_namespace("redirect::loopback_is_left_alone_and_so_are_calls_to_the_pod_s_own_address", || {
        let _peer = Peer::new();
        redirect::apply(&options()).unwrap();
        let listeners = outbound();
        let own = both((Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST)).into_iter().chain(both(OURS));
        for ip in own.chain([IpAddr::from([127, 9, 9, 9])]) {
            let app = listen(ip, APP);
            let _client = connect(ip, APP).unwrap();
            assert_eq!(arrived(&app), Some(SocketAddr::new(ip, APP)));
        }
        assert!(listeners.iter().all(|listener| arrived(listener).is_none()));
    });
}

#[test]
fn skipped_ports_and_subnets_are_left_alone() {
    in_namespace("redirect::skipped_ports_and_subnets_are_left_alone", || {
        let peer = Peer::new();
        let [ipv4, ipv6] = both(PEERS);
        let skips = Options {
            skip_outbound_ports: vec![25..=25, 9000..=9010],
            skip_outbound_subnets: vec!["fd01::/64".parse().unwrap(), "192.0.2.0/24".parse().unwrap()],
            skip_inbound_ports: vec![9000..=9010],
            skip_inbound_subnets: vec!["fd01::2/128".parse().unwrap()],
            ..options()
        };
        redirect::apply(&skips).unwrap();
        let listeners = outbound();
        for (ip, port) in [(ipv4, 25), (ipv4, 9005), (ipv6, APP)] {
            let app = peer.run(|| listen(ip, port));
            let _client = connect(ip, port).unwrap();
            assert_eq!(arrived(&app), Some(SocketAddr::new(ip, port)));
        }
        let [our_ipv4, our_ipv6] = both(OURS);
        for (ip, port) in [(our_ipv4, 9010), (our_ipv6, APP)] {
            let app = listen(ip, port);
            let _client = peer.run(|| connect(ip, port)).unwrap();
            assert_eq!(arrived(&app), Some(SocketAddr::new(ip, port)));
        }
        assert!(listeners.iter().all(|listener| arrived(listener).is_none()));
        let _redirected = connect(ipv4, 9011).unwrap();
        assert_eq!(arrived(&listeners[0]), Some(SocketAddr::new(ipv4, 9011)));
    });
}

#[test]
fn datagrams_are_left_alone() {
    in_namespace("redirect::datagrams_are_left_alone", || {
        let peer = Peer::new();
        redirect::apply(&options()).unwrap();
        for (ip, ours) in both(PEERS).into_iter().zip(both(OURS)) {
            let server = peer.run(|| std::net::UdpSocket::bind((ip, OUTBOUND))).unwrap();
            let client = std::net::UdpSocket::bind((ours, 0)).unwrap();
            client.send_to(b"hello", (ip, OUTBOUND)).unwrap();
            server.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            assert_eq!(server.recv_from(&mut [0; 8]).unwrap().0, 5);
        }
    });
}

#[test]
fn applied_twice_there_is_one_set_of_rules_and_undone_there_is_none() {
    in_namespace("redirect::applied_twice_there_is_one_set_of_rules_and_undone_there_is_none", || {
        redirect::apply(&options()).unwrap();
        let once = nftables();
        assert!(once.contains("weft"), "{once}");
        redirect::apply(&options()).unwrap();
        assert_eq!(nftables(), once);
        redirect::undo().unwrap();
        assert_eq!(nftables(), "");
        redirect::undo().unwrap();
    });
}

#[test]
fn tables_of_others_are_not_touched() {
    use redirect::nft::{Chain, Family, Hook, Table, Transaction};
    in_namespace("redirect::tables_of_others_are_not_touched", || {
        let other = Table::new(Family::Ipv4, "other").chain(Chain::hooked("output", Hook::FilterOutput));
        Transaction::new().replace(&other).unwrap().commit().unwrap();
        let before = nftables();
        redirect::apply(&options()).unwrap();
        redirect::undo().unwrap();
        assert_eq!(nftables(), before);
        assert!(before.contains("other"));
    });
}

#[test]
fn without_an_exemption_for_the_proxy_nothing_is_applied() {
    let error = redirect::apply(&Options::default()).unwrap_err();
    assert!(matches!(error, RedirectError::NoExemption));
}

#[test]
fn without_redirect_a_connection_goes_its_way() {
    in_namespace("redirect::without_redirect_a_connection_goes_its_way", || {
        let peer = Peer::new();
        for ip in both(PEERS) {
            let app = peer.run(|| listen(ip, APP));
            redirect::apply(&options()).unwrap();
            redirect::undo().unwrap();
            let _client = connect(ip, APP).unwrap();
            assert_eq!(arrived(&app), Some(SocketAddr::new(ip, APP)));
        }
    });
}
