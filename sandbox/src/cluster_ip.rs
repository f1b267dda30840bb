//! ClusterIPs without a mesh: nf_tables rules in each pod's network, as kube-proxy writes them. Pure but for `apply`.
//!
//! They come after Weft's own redirect rules, so what a sidecar takes never gets here.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

use ipnet::IpNet;
use weft_proxy::redirect::nft::{Action, Chain, Family, Hook, Match, NftError, Rule, Table, Transaction};

use crate::address::{SERVICE_RANGE_V4, SERVICE_RANGE_V6};
use crate::net::{NetError, in_namespace};

const TABLE: &str = "weft-sandbox";

/// One port of one ClusterIP, and where it leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Forward {
    pub(crate) to: SocketAddr,
    pub(crate) udp: bool,
    /// Ready endpoints of the same family; none: connections are refused.
    pub(crate) endpoints: Vec<SocketAddr>,
}

/// Why the rules are not in place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterIpError {
    #[error(transparent)]
    Net(#[from] NetError),
    #[error("cannot write the rules for Services")]
    Nft(#[from] NftError),
}

/// Same for the same rules.
pub(crate) fn fingerprint(forwards: &[Forward]) -> u64 {
    let mut hasher = DefaultHasher::new();
    forwards.hash(&mut hasher);
    hasher.finish()
}

/// Puts the rules in place in a pod's network, instead of the last ones.
pub(crate) async fn apply(network: BorrowedFd<'_>, forwards: &[Forward]) -> Result<(), ClusterIpError> {
    let forwards = forwards.to_vec();
    let commit = move || {
        let tables = [table(Family::Ipv4, &forwards), table(Family::Ipv6, &forwards)];
        let transaction = tables.iter().try_fold(Transaction::new(), Transaction::replace)?;
        transaction.commit()
    };
    Ok(in_namespace(network, commit).await??)
}

fn table(family: Family, forwards: &[Forward]) -> Table {
    let range = match family {
        Family::Ipv4 => IpNet::new_assert(IpAddr::V4(SERVICE_RANGE_V4.0), SERVICE_RANGE_V4.1),
        Family::Ipv6 => IpNet::new_assert(IpAddr::V6(SERVICE_RANGE_V6.0), SERVICE_RANGE_V6.1),
    };
    let ours = forwards.iter().filter(|forward| forward.to.is_ipv4() == (family == Family::Ipv4));
    let enter = Rule::when([Match::Destination(range)]).then(Action::Jump("services".into()));
    // What no rule has led to an endpoint is refused, where without a rule a client would wait for an answer.
    let reset = Rule::when([Match::Destination(range), Match::Tcp]).then(Action::Reset);
    let refuse = Rule::when([Match::Destination(range)]).then(Action::Reject);
    Table::new(family, TABLE)
        .chain(Chain::plain("services").rules(ours.flat_map(rules)))
        .chain(Chain::hooked("output", Hook::NatOutputLate).rule(enter))
        .chain(Chain::hooked("refuse", Hook::FilterOutput).rule(reset).rule(refuse))
}

/// The first endpoint by a chance of one in n, the second by one in n - 1, ..., the last for what is left: all alike.
fn rules(forward: &Forward) -> impl Iterator<Item = Rule> {
    let count = forward.endpoints.len();
    forward.endpoints.iter().enumerate().map(move |(index, endpoint)| {
        let protocol = if forward.udp { Match::Udp } else { Match::Tcp };
        let left = u32::try_from(count - index).unwrap_or(u32::MAX);
        let chance = (left > 1).then_some(Match::RandomOneIn(left));
        let to = [Match::to(forward.to.ip()), protocol, Match::to_port(forward.to.port())];
        Rule::when(to.into_iter().chain(chance)).then(Action::Dnat(*endpoint))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_gets_the_same_share_and_the_last_takes_the_rest() {
        let endpoints: Vec<SocketAddr> = (2..5).map(|n| SocketAddr::from(([10, 244, 0, n], 80))).collect();
        let forward = Forward { to: SocketAddr::from(([10, 96, 0, 1], 80)), udp: false, endpoints };
        let shown: Vec<String> = rules(&forward).map(|rule| format!("{rule:?}")).collect();
        assert_eq!(shown.len(), 3);
        assert!(shown[0].contains("RandomOneIn(3)") && shown[1].contains("RandomOneIn(2)"), "{shown:?}");
        assert!(!shown[2].contains("RandomOneIn"), "{shown:?}");
    }
}
