//! Interception: the rules that lead a pod's TCP connections into the proxy (`weft-proxy redirect`).
//!
//! One table `weft` for IPv4 and one for IPv6, put in place in one transaction; nothing else is touched. Where a
//! redirected connection wanted to go is read by `listen`. What the command line says becomes [`Options`] in [`args`];
//! which rules follow is in [`rules`]; how the kernel is told is [`nft`]'s.

mod args;
pub mod nft;
mod rules;

use std::ops::RangeInclusive;

use ipnet::IpNet;
use socket2::{Domain, Socket, Type};

pub use args::{ArgsError, Command, USAGE, parse_args, variables};
use nft::{Family, NftError, Transaction};

/// The name of our tables.
pub const TABLE: &str = "weft";

/// What is intercepted, and what is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The user that the proxy runs as: its connections are left alone.
    pub uid: Option<u32>,
    /// The mark (SO_MARK) on the proxy's own sockets: its connections are left alone.
    pub mark: Option<u32>,
    /// Where the pod's own connections are led to, default 4140.
    pub outbound_port: u16,
    /// Where connections to the pod are led to, default 4143.
    pub inbound_port: u16,
    /// The proxy's other ports that peers and probes reach directly, default 4190 (tap) and 4191 (admin).
    pub own_ports: Vec<u16>,
    /// Connections of the pod to these ports are left alone.
    pub skip_outbound_ports: Vec<RangeInclusive<u16>>,
    /// Connections of the pod to these networks are left alone.
    pub skip_outbound_subnets: Vec<IpNet>,
    /// Connections to these ports of the pod are left alone.
    pub skip_inbound_ports: Vec<RangeInclusive<u16>>,
    /// Connections to the pod from these networks are left alone.
    pub skip_inbound_subnets: Vec<IpNet>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            uid: None,
            mark: None,
            outbound_port: 4140,
            inbound_port: 4143,
            own_ports: vec![4190, 4191],
            skip_outbound_ports: Vec::new(),
            skip_outbound_subnets: Vec::new(),
            skip_inbound_ports: Vec::new(),
            skip_inbound_subnets: Vec::new(),
        }
    }
}

/// Why the rules could not be changed. None of them has changed then.
#[derive(Debug, thiserror::Error)]
pub enum RedirectError {
    /// With neither, the proxy's own connections would be led back into it.
    #[error("neither the proxy's uid nor its mark is given: its own connections would come back to it")]
    NoExemption,
    /// nf_tables did not take the rules.
    #[error(transparent)]
    Nft(#[from] NftError),
}

/// Puts the rules in place in the network namespace of the calling thread, instead of those of an earlier call.
///
/// IPv6 is left out where the kernel has none. Blocks, for some milliseconds.
///
/// # Errors
/// [`RedirectError`]; the rules are as they were then.
pub fn apply(options: &Options) -> Result<(), RedirectError> {
    if options.uid.is_none() && options.mark.is_none() {
        return Err(RedirectError::NoExemption);
    }
    let mut transaction = Transaction::new();
    for family in families() {
        transaction = transaction.replace(&rules::table(options, family))?;
    }
    Ok(transaction.commit()?)
}

/// Removes the rules from the network namespace of the calling thread, if there are any. Blocks, for some milliseconds.
///
/// # Errors
/// [`RedirectError`]; the rules are as they were then.
pub fn undo() -> Result<(), RedirectError> {
    let transaction = families().into_iter().fold(Transaction::new(), |all, family| all.delete(family, TABLE));
    Ok(transaction.commit()?)
}

fn families() -> Vec<Family> {
    let ipv6 = Socket::new(Domain::IPV6, Type::STREAM, None).is_ok();
    if ipv6 { vec![Family::Ipv4, Family::Ipv6] } else { vec![Family::Ipv4] }
}
