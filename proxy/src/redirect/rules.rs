//! Which rules follow from the options. Pure.
//!
//! An app that calls its own pod's address stays on `lo` and is not intercepted: no wire is crossed, so there is
//! nothing to encrypt and nobody to authorize. When it calls its own Service and the proxy picks its own pod, the proxy
//! connects to its inbound port over `lo` as to any other peer.

use std::{net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;

use super::{
    Options, TABLE,
    nft::{Action, Chain, Family, Hook, Match, Rule, Table},
};

const LOOPBACK: &str = "lo";

/// The table of one family.
pub(super) fn table(options: &Options, family: Family) -> Table {
    Table::new(family, TABLE).chain(output(options, family)).chain(prerouting(options, family))
}

/// The pod's own connections.
fn output(options: &Options, family: Family) -> Chain {
    Chain::hooked("output", Hook::NatOutput)
        .rule(leave([Match::Tcp.not()]))
        .rules(options.uid.map(|uid| leave([Match::Uid(uid)])))
        .rules(options.mark.map(|mark| leave([Match::Mark(mark)])))
        .rule(leave([Match::OutInterface(LOOPBACK.to_owned())]))
        .rule(leave([Match::Destination(loopback(family))]))
        .rules(of_family(&options.skip_outbound_subnets, family).map(|net| leave([Match::Destination(net)])))
        .rules(ports(&options.skip_outbound_ports).map(|ports| leave([Match::Tcp, ports])))
        .rule(Rule::when([Match::Tcp]).then(Action::Redirect(options.outbound_port)))
}

/// Connections to the pod. What is only routed through it (containers within the pod) is not ours.
fn prerouting(options: &Options, family: Family) -> Chain {
    let own = options.own_ports.iter().chain([&options.inbound_port]).map(|port| Match::to_port(*port));
    Chain::hooked("prerouting", Hook::NatPrerouting)
        .rule(leave([Match::Tcp.not()]))
        .rule(leave([Match::InInterface(LOOPBACK.to_owned())]))
        .rule(leave([Match::DestinationLocal.not()]))
        .rules(own.map(|port| leave([Match::Tcp, port])))
        .rules(of_family(&options.skip_inbound_subnets, family).map(|net| leave([Match::Source(net)])))
        .rules(ports(&options.skip_inbound_ports).map(|ports| leave([Match::Tcp, ports])))
        .rule(Rule::when([Match::Tcp]).then(Action::Redirect(options.inbound_port)))
}

/// `return`, not `accept`: tables of others after ours are still asked.
fn leave(matches: impl IntoIterator<Item = Match>) -> Rule {
    Rule::when(matches).then(Action::Return)
}

fn loopback(family: Family) -> IpNet {
    match family {
        Family::Ipv4 => IpNet::new_assert(IpAddr::from([127, 0, 0, 0]), 8),
        Family::Ipv6 => IpNet::from(IpAddr::from(std::net::Ipv6Addr::LOCALHOST)),
    }
}

fn of_family(nets: &[IpNet], family: Family) -> impl Iterator<Item = IpNet> {
    nets.iter().copied().filter(move |net| (family == Family::Ipv4) == net.addr().is_ipv4())
}

fn ports(ranges: &[RangeInclusive<u16>]) -> impl Iterator<Item = Match> {
    ranges.iter().map(|range| Match::DestinationPort(*range.start(), *range.end()))
}
