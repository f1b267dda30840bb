//! What only a kernel can show about `redirect::nft`: transactions that it takes, and what they do to connections.

#![expect(clippy::expect_used, reason = "a test that cannot be set up must say so")]

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use crate::namespace::in_namespace;
use weft_proxy::redirect::nft::{Action, Chain, Family, Hook, Match, NftError, Rule, Table, Transaction};

const SERVICE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9)), 80);

fn listener(ip: impl Into<IpAddr>) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((ip.into(), 0)).expect("bind");
    let addr = listener.local_addr().expect("address");
    (listener, addr)
}

/// A Service as kube-proxy has it: one chain for its address, one jump per endpoint, each taken in turn.
fn service(endpoints: &[SocketAddr]) -> Table {
    let of_service = [Match::to(SERVICE.ip()), Match::Tcp, Match::to_port(SERVICE.port())];
    let picks = endpoints
        .iter()
        .zip((1..=endpoints.len() as u32).rev())
        .map(|(endpoint, left)| Rule::when([Match::Tcp, Match::TurnOneIn(left)]).then(Action::Dnat(*endpoint)));
    Table::new(Family::Ipv4, "services")
        .chain(Chain::hooked("output", Hook::NatOutput).rule(Rule::when(of_service).then(Action::Jump("users".into()))))
        .chain(Chain::plain("users").rules(picks))
}

#[test]
fn a_service_address_leads_to_its_endpoints_in_turn() {
    in_namespace("nft::a_service_address_leads_to_its_endpoints_in_turn", || {
        let (servers, addresses): (Vec<_>, Vec<_>) = (0..3).map(|_| listener(Ipv4Addr::LOCALHOST)).unzip();
        Transaction::new().replace(&service(&addresses)).unwrap().commit().unwrap();
        let clients: Vec<_> = (0..6).map(|_| TcpStream::connect(SERVICE).unwrap()).collect();
        for server in servers {
            server.set_nonblocking(true).unwrap();
            assert_eq!(std::iter::from_fn(|| server.accept().ok()).count(), 2);
        }
        drop(clients);
    });
}

#[test]
fn an_ipv6_address_is_translated_too() {
    in_namespace("nft::an_ipv6_address_is_translated_too", || {
        let (_server, address) = listener(Ipv6Addr::LOCALHOST);
        let chain = Chain::hooked("output", Hook::NatOutput).rule(
            Rule::when([Match::to(address.ip()), Match::Tcp, Match::DestinationPort(70, 90)])
                .then(Action::Dnat(address)),
        );
        let table = Table::new(Family::Ipv6, "services").chain(chain);
        Transaction::new().replace(&table).unwrap().commit().unwrap();
        TcpStream::connect_timeout(&SocketAddr::new(address.ip(), 80), Duration::from_secs(2)).unwrap();
    });
}

#[test]
fn a_table_that_is_replaced_or_deleted_leaves_nothing_behind() {
    in_namespace("nft::a_table_that_is_replaced_or_deleted_leaves_nothing_behind", || {
        let (_server, address) = listener(Ipv4Addr::LOCALHOST);
        Transaction::new().replace(&service(&[address])).unwrap().commit().unwrap();
        TcpStream::connect(SERVICE).unwrap();
        let empty = Table::new(Family::Ipv4, "services");
        Transaction::new().replace(&empty).unwrap().commit().unwrap();
        TcpStream::connect(SERVICE).unwrap_err();
        for _ in 0..2 {
            Transaction::new().delete(Family::Ipv4, "services").commit().unwrap();
        }
    });
}

#[test]
fn every_condition_and_action_is_one_that_the_kernel_takes() {
    in_namespace("nft::every_condition_and_action_is_one_that_the_kernel_takes", || {
        for (family, ip, net) in [(Family::Ipv4, "10.0.0.1", "10.1.0.0/16"), (Family::Ipv6, "fd00::1", "fd00:1::/48")] {
            let (ip, net): (IpAddr, ipnet::IpNet) = (ip.parse().unwrap(), net.parse().unwrap());
            let when = |matches: &[Match]| Rule::when(matches.to_vec());
            let table = Table::new(family, "all")
                .chain(
                    Chain::hooked("prerouting", Hook::NatPrerouting)
                        .rule(when(&[Match::DestinationLocal.not()]).then(Action::Return))
                        .rule(when(&[Match::InInterface("lo".into())]).then(Action::Accept))
                        .rule(when(&[Match::Udp, Match::DestinationPort(1, 9).not()]).then(Action::Goto("end".into())))
                        .rule(when(&[Match::Source(net).not(), Match::Mark(7)]).then(Action::Return))
                        .rule(when(&[Match::Tcp, Match::RandomOneIn(3)]).then(Action::Redirect(4143))),
                )
                .chain(
                    Chain::hooked("output", Hook::NatOutput)
                        .rule(when(&[Match::Uid(2102)]).then(Action::Return))
                        .rule(when(&[Match::OutInterface("lo".into()).not()]).then(Action::Return)),
                )
                .chain(
                    Chain::hooked("postrouting", Hook::NatPostrouting)
                        .rule(when(&[Match::Source(net), Match::Destination(net)]).then(Action::Masquerade))
                        .rule(when(&[Match::Protocol(47)]).then(Action::Snat(ip))),
                )
                .chain(
                    Chain::hooked("filter", Hook::FilterOutput)
                        .rule(when(&[Match::to(ip), Match::Udp]).then(Action::Reject))
                        .rule(when(&[Match::Tcp, Match::SourcePort(1, 2)]).then(Action::Drop)),
                )
                .chain(Chain::hooked("input", Hook::FilterInput))
                .chain(Chain::hooked("forward", Hook::FilterForward))
                .chain(Chain::plain("end"));
            Transaction::new().replace(&table).unwrap().commit().unwrap();
        }
    });
}

#[test]
fn a_thousand_rules_fit_into_one_transaction() {
    in_namespace("nft::a_thousand_rules_fit_into_one_transaction", || {
        let endpoints: Vec<_> = (1..=1000).map(|port| SocketAddr::from(([10, 0, 0, 1], port))).collect();
        Transaction::new().replace(&service(&endpoints)).unwrap().commit().unwrap();
    });
}

#[test]
fn a_transaction_with_an_error_changes_nothing() {
    in_namespace("nft::a_transaction_with_an_error_changes_nothing", || {
        let (_server, address) = listener(Ipv4Addr::LOCALHOST);
        Transaction::new().replace(&service(&[address])).unwrap().commit().unwrap();
        let jump = Rule::when([]).then(Action::Jump("nowhere".into()));
        let broken = Table::new(Family::Ipv4, "services").chain(Chain::hooked("output", Hook::NatOutput).rule(jump));
        let error = Transaction::new().replace(&broken).unwrap().commit().unwrap_err();
        assert!(matches!(error, NftError::Missing { .. }), "{error}");
        TcpStream::connect(SERVICE).unwrap();
    });
}

#[test]
fn without_the_right_the_error_names_it() {
    in_namespace("nft::without_the_right_the_error_names_it", || {
        let (header, none) = ([0x2008_0522u32, 0], [0u32; 6]); // _LINUX_CAPABILITY_VERSION_3, this thread
        // SAFETY: both structures have the size that the version says; only this thread is changed.
        assert_eq!(unsafe { libc::syscall(libc::SYS_capset, &header, &none) }, 0);
        let error = Transaction::new().delete(Family::Ipv4, "services").commit().unwrap_err();
        assert!(matches!(error, NftError::NotPermitted), "{error}");
    });
}
