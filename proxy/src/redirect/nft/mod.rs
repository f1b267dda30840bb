//! nf_tables as plain values: what a table shall hold, put in place in one transaction.
//!
//! No `nft` or `iptables` binary and no C library: [`message`] writes the netlink messages, [`socket`] sends them and
//! reads the kernel's verdicts. What rules Weft needs is not known here; see `redirect` and the sandbox's Services.
//!
//! ```no_run
//! use weft_proxy::redirect::nft::{Action, Chain, Family, Hook, Match, Rule, Table, Transaction};
//!
//! let chain = Chain::hooked("output", Hook::NatOutput)
//!     .rule(Rule::when([Match::Tcp, Match::Uid(2102)]).then(Action::Return))
//!     .rule(Rule::when([Match::Tcp]).then(Action::Redirect(4140)));
//! Transaction::new().replace(&Table::new(Family::Ipv4, "weft").chain(chain))?.commit()?;
//! # Ok::<(), weft_proxy::redirect::nft::NftError>(())
//! ```

mod expression;
mod message;
mod socket;
mod transaction;

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

pub use socket::NftError;
pub use transaction::Transaction;

/// Which packets a table sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4 only (`ip`).
    Ipv4,
    /// IPv6 only (`ip6`).
    Ipv6,
}

/// Where a chain is hung into the kernel's path, at the usual priority of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// New connections that come in, before routing: destination may be changed.
    NatPrerouting,
    /// New connections of this host, before routing: destination may be changed.
    NatOutput,
    /// The same, after every chain of the usual priority: asked only for what none of those has led elsewhere.
    NatOutputLate,
    /// New connections on their way out: source may be changed.
    NatPostrouting,
    /// Every packet for this host.
    FilterInput,
    /// Every packet that passes through.
    FilterForward,
    /// Every packet of this host.
    FilterOutput,
}

/// A condition on a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Another protocol, by its number.
    Protocol(u8),
    /// Sent by a socket of this user. Output hooks only.
    Uid(u32),
    /// Carries this packet mark (SO_MARK).
    Mark(u32),
    /// Comes in by the interface of this name (at most 15 bytes).
    InInterface(String),
    /// Goes out by the interface of this name (at most 15 bytes).
    OutInterface(String),
    /// From this network; its family must be the table's.
    Source(IpNet),
    /// To this network; its family must be the table's.
    Destination(IpNet),
    /// From a port in this range, both ends included. Say first that it is [`Match::Tcp`] or [`Match::Udp`].
    SourcePort(u16, u16),
    /// To a port in this range, both ends included. Say first that it is [`Match::Tcp`] or [`Match::Udp`].
    DestinationPort(u16, u16),
    /// To an address of this host.
    DestinationLocal,
    /// By chance, once in so many times (at least 1).
    RandomOneIn(u32),
    /// In turn, once in so many times (at least 1).
    TurnOneIn(u32),
    /// Not so.
    Not(Box<Match>),
}

/// What to do with a packet that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Let it go on its way; nothing else of this hook's chain is asked.
    Accept,
    /// Drop it in silence.
    Drop,
    /// Answer with "port unreachable", which a TCP client sees as a refused connection. Filter hooks only.
    Reject,
    /// Answer with a TCP reset, which a client on this host sees at once (it misses "port unreachable" while it still
    /// connects). Say first that it is [`Match::Tcp`]. Filter hooks only.
    Reset,
    /// Back to the chain that jumped here; from a hooked chain as [`Action::Accept`].
    Return,
    /// On with another chain of this table, and back.
    Jump(String),
    /// On with another chain of this table, for good.
    Goto(String),
    /// To this port of this host. Nat prerouting or output only.
    Redirect(u16),
    /// To this address and port. Nat prerouting or output only.
    Dnat(SocketAddr),
    /// From this address. Nat postrouting only.
    Snat(IpAddr),
    /// From the address of the interface that it leaves by. Nat postrouting only.
    Masquerade,
}

/// Conditions that must all hold, and what then happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    matches: Vec<Match>,
    action: Action,
}

/// A list of rules, asked in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    name: String,
    hook: Option<Hook>,
    rules: Vec<Rule>,
}

/// A table of one family with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    family: Family,
    name: String,
    chains: Vec<Chain>,
}

/// The conditions of a rule that has no action yet.
#[derive(Clone, Debug)]
pub struct When(Vec<Match>);

impl Rule {
    /// A rule for packets for which all of these hold; none: every packet.
    pub fn when(matches: impl IntoIterator<Item = Match>) -> When {
        When(matches.into_iter().collect())
    }
}

impl When {
    /// What happens to them.
    pub fn then(self, action: Action) -> Rule {
        Rule { matches: self.0, action }
    }
}

impl Match {
    /// To exactly this port.
    pub fn to_port(port: u16) -> Self {
        Self::DestinationPort(port, port)
    }

    /// To exactly this address.
    pub fn to(address: IpAddr) -> Self {
        Self::Destination(IpNet::from(address))
    }

    /// The opposite.
    #[expect(clippy::should_implement_trait, reason = "reads as the rule does; `!` on a condition would not")]
    pub fn not(self) -> Self {
        Self::Not(Box::new(self))
    }
}

impl Chain {
    /// A chain that the kernel asks.
    pub fn hooked(name: &str, hook: Hook) -> Self {
        Self { name: name.to_owned(), hook: Some(hook), rules: Vec::new() }
    }

    /// A chain that only other chains ask.
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), hook: None, rules: Vec::new() }
    }

    /// Adds a rule at the end.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Adds rules at the end.
    #[must_use]
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.extend(rules);
        self
    }
}

impl Table {
    /// An empty table.
    pub fn new(family: Family, name: &str) -> Self {
        Self { family, name: name.to_owned(), chains: Vec::new() }
    }

    /// Adds a chain. Chains may jump to chains that are added later.
    #[must_use]
    pub fn chain(mut self, chain: Chain) -> Self {
        self.chains.push(chain);
        self
    }
}
