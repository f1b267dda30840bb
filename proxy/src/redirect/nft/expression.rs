//! Conditions and actions as nf_tables expressions: load something into a register, compare it, act.
//!
//! Attribute numbers are those of linux/netfilter/nf_tables.h; the libc crate has the values, not the attributes.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{Action, Family, Match, message::Messages, socket::NftError};

/// `NFTA_LIST_ELEM`.
const ELEMENT: u16 = 1;
/// `NFTA_EXPR_NAME` and `NFTA_EXPR_DATA`.
const NAME: u16 = 1;
const DATA: u16 = 2;
/// `NFTA_DATA_VALUE` and `NFTA_DATA_VERDICT`.
const VALUE: u16 = 1;
const VERDICT: u16 = 2;

const REGISTER: u32 = libc::NFT_REG_1 as u32;
const PORT_REGISTER: u32 = libc::NFT_REG_2 as u32;
const INTERFACE_NAME: usize = 16;

/// What a register is compared with.
enum Compare<'a> {
    Is(&'a [u8]),
    Within(&'a [u8], &'a [u8]),
}

impl Family {
    /// `NFPROTO_*`.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Ipv4 => libc::NFPROTO_IPV4 as u8,
            Self::Ipv6 => libc::NFPROTO_IPV6 as u8,
        }
    }

    fn has(self, address: IpAddr) -> Result<(), NftError> {
        match (self, address) {
            (Self::Ipv4, IpAddr::V4(_)) | (Self::Ipv6, IpAddr::V6(_)) => Ok(()),
            _ => Err(NftError::WrongFamily { address, family: self }),
        }
    }
}

/// Writes one condition: the packet goes on to the next expression only if it holds.
pub(super) fn write_match(out: &mut Messages, family: Family, condition: &Match) -> Result<(), NftError> {
    write(out, family, condition, false)
}

fn write(out: &mut Messages, family: Family, condition: &Match, not: bool) -> Result<(), NftError> {
    match condition {
        Match::Tcp => protocol(out, libc::IPPROTO_TCP as u8, not),
        Match::Udp => protocol(out, libc::IPPROTO_UDP as u8, not),
        Match::Protocol(number) => protocol(out, *number, not),
        Match::Uid(uid) => meta(out, libc::NFT_META_SKUID, &uid.to_ne_bytes(), not),
        Match::Mark(mark) => meta(out, libc::NFT_META_MARK, &mark.to_ne_bytes(), not),
        Match::InInterface(name) => meta(out, libc::NFT_META_IIFNAME, &interface(name)?, not),
        Match::OutInterface(name) => meta(out, libc::NFT_META_OIFNAME, &interface(name)?, not),
        Match::Source(net) => address(out, family, net, false, not)?,
        Match::Destination(net) => address(out, family, net, true, not)?,
        Match::SourcePort(from, to) => port(out, 0, (*from, *to), not),
        Match::DestinationPort(from, to) => port(out, 2, (*from, *to), not),
        Match::DestinationLocal => destination_local(out, not),
        Match::RandomOneIn(count) => number(out, libc::NFT_NG_RANDOM, *count, not),
        Match::TurnOneIn(count) => number(out, libc::NFT_NG_INCREMENTAL, *count, not),
        Match::Not(inner) => write(out, family, inner, !not)?,
    }
    Ok(())
}

/// Writes what happens to a packet that fits.
pub(super) fn write_action(out: &mut Messages, family: Family, action: &Action) -> Result<(), NftError> {
    match action {
        Action::Accept => verdict(out, libc::NF_ACCEPT, None),
        Action::Drop => verdict(out, libc::NF_DROP, None),
        Action::Return => verdict(out, libc::NFT_RETURN, None),
        Action::Jump(chain) => verdict(out, libc::NFT_JUMP, Some(chain)),
        Action::Goto(chain) => verdict(out, libc::NFT_GOTO, Some(chain)),
        Action::Reject => reject(out, family),
        Action::Reset => expression(out, "reject", |e| e.number(1, libc::NFT_REJECT_TCP_RST as u32)),
        Action::Redirect(port) => {
            immediate(out, REGISTER, &port.to_be_bytes());
            expression(out, "redir", |e| e.number(1, REGISTER)); // NFTA_REDIR_REG_PROTO_MIN
        }
        Action::Dnat(to) => {
            family.has(to.ip())?;
            nat(out, family, libc::NFT_NAT_DNAT, to.ip(), Some(to.port()));
        }
        Action::Snat(from) => {
            family.has(*from)?;
            nat(out, family, libc::NFT_NAT_SNAT, *from, None);
        }
        Action::Masquerade => expression(out, "masq", |_| {}),
    }
    Ok(())
}

fn expression(out: &mut Messages, name: &str, data: impl FnOnce(&mut Messages)) {
    out.nested(ELEMENT, |element| {
        element.string(NAME, name);
        element.nested(DATA, data);
    });
}

fn compare(out: &mut Messages, with: Compare<'_>, not: bool) {
    match with {
        Compare::Is(value) => expression(out, "cmp", |e| {
            e.number(1, REGISTER);
            e.number(2, if not { libc::NFT_CMP_NEQ } else { libc::NFT_CMP_EQ } as u32);
            e.nested(3, |data| data.bytes(VALUE, value));
        }),
        Compare::Within(from, to) => expression(out, "range", |e| {
            e.number(1, REGISTER);
            e.number(2, if not { libc::NFT_RANGE_NEQ } else { libc::NFT_RANGE_EQ } as u32);
            e.nested(3, |data| data.bytes(VALUE, from));
            e.nested(4, |data| data.bytes(VALUE, to));
        }),
    }
}

fn meta(out: &mut Messages, key: i32, value: &[u8], not: bool) {
    expression(out, "meta", |e| {
        e.number(1, REGISTER);
        e.number(2, key as u32);
    });
    compare(out, Compare::Is(value), not);
}

fn protocol(out: &mut Messages, number: u8, not: bool) {
    meta(out, libc::NFT_META_L4PROTO, &[number], not);
}

fn interface(name: &str) -> Result<[u8; INTERFACE_NAME], NftError> {
    let mut padded = [0; INTERFACE_NAME];
    if name.is_empty() || name.len() >= INTERFACE_NAME {
        return Err(NftError::InterfaceName { name: name.to_owned() });
    }
    padded[..name.len()].copy_from_slice(name.as_bytes());
    Ok(padded)
}

fn payload(out: &mut Messages, base: i32, offset: u32, length: u32) {
    expression(out, "payload", |e| {
        e.number(1, REGISTER);
        e.number(2, base as u32);
        e.number(3, offset);
        e.number(4, length);
    });
}

fn address(out: &mut Messages, family: Family, net: &IpNet, destination: bool, not: bool) -> Result<(), NftError> {
    family.has(net.addr())?;
    let (offset, length) = match family {
        Family::Ipv4 => (12, 4), // source, then destination, in the network header
        Family::Ipv6 => (8, 16),
    };
    payload(out, libc::NFT_PAYLOAD_NETWORK_HEADER, offset + if destination { length } else { 0 }, length);
    if net.prefix_len() < net.max_prefix_len() {
        expression(out, "bitwise", |e| {
            e.number(1, REGISTER);
            e.number(2, REGISTER);
            e.number(3, length);
            e.nested(4, |mask| mask.bytes(VALUE, &octets(net.netmask())));
            e.nested(5, |xor| xor.bytes(VALUE, &vec![0; length as usize]));
        });
    }
    compare(out, Compare::Is(&octets(net.network())), not);
    Ok(())
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn port(out: &mut Messages, offset: u32, (from, to): (u16, u16), not: bool) {
    payload(out, libc::NFT_PAYLOAD_TRANSPORT_HEADER, offset, 2);
    let (first, last) = (from.to_be_bytes(), to.to_be_bytes());
    let with = if from == to { Compare::Is(&first) } else { Compare::Within(&first, &last) };
    compare(out, with, not);
}

fn destination_local(out: &mut Messages, not: bool) {
    expression(out, "fib", |e| {
        e.number(1, REGISTER);
        e.number(2, 3); // NFT_FIB_RESULT_ADDRTYPE
        e.number(3, 1 << 1); // NFTA_FIB_F_DADDR
    });
    compare(out, Compare::Is(&u32::from(libc::RTN_LOCAL).to_ne_bytes()), not);
}

fn number(out: &mut Messages, kind: i32, modulus: u32, not: bool) {
    expression(out, "numgen", |e| {
        e.number(1, REGISTER);
        e.number(2, modulus.max(1));
        e.number(3, kind as u32);
    });
    compare(out, Compare::Is(&0u32.to_ne_bytes()), not);
}

fn immediate(out: &mut Messages, register: u32, value: &[u8]) {
    expression(out, "immediate", |e| {
        e.number(1, register);
        e.nested(2, |data| data.bytes(VALUE, value));
    });
}

fn verdict(out: &mut Messages, code: i32, chain: Option<&str>) {
    expression(out, "immediate", |e| {
        e.number(1, libc::NFT_REG_VERDICT as u32);
        e.nested(2, |data| {
            data.nested(VERDICT, |verdict| {
                verdict.number(1, code as u32);
                if let Some(chain) = chain {
                    verdict.string(2, chain);
                }
            });
        });
    });
}

fn nat(out: &mut Messages, family: Family, kind: i32, to: IpAddr, port: Option<u16>) {
    immediate(out, REGISTER, &octets(to));
    if let Some(port) = port {
        immediate(out, PORT_REGISTER, &port.to_be_bytes());
    }
    expression(out, "nat", |e| {
        e.number(1, kind as u32);
        e.number(2, family.number().into());
        e.number(3, REGISTER); // NFTA_NAT_REG_ADDR_MIN
        if port.is_some() {
            e.number(5, PORT_REGISTER); // NFTA_NAT_REG_PROTO_MIN
        }
    });
}

/// "Port unreachable" is code 3 in ICMP and 4 in ICMPv6.
fn reject(out: &mut Messages, family: Family) {
    let code = match family {
        Family::Ipv4 => 3,
        Family::Ipv6 => 4,
    };
    expression(out, "reject", |e| {
        e.number(1, libc::NFT_REJECT_ICMP_UNREACH as u32);
        e.bytes(2, &[code]);
    });
}
