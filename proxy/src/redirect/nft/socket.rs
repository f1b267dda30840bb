//! Sends a transaction over netlink and turns the kernel's answers into sentences.

use std::{
    io::{self, Read},
    net::IpAddr,
};

use socket2::{Domain, Protocol, Socket, Type};

use super::Family;

/// Why nf_tables did not take a transaction. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum NftError {
    /// The caller may not.
    #[error("no right to change nf_tables here: the capability CAP_NET_ADMIN is missing in this network namespace")]
    NotPermitted,
    /// The kernel has no nf_tables.
    #[error("this kernel has no nf_tables (module nf_tables, CONFIG_NF_TABLES)")]
    NoNfTables(#[source] io::Error),
    /// The kernel lacks a part of nf_tables, or the rule names a chain that is not there.
    #[error("the kernel does not know what it takes to {step}: {}", missing(.step))]
    Missing {
        /// What was being done.
        step: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refused for another reason.
    #[error("nf_tables refused to {step}")]
    Refused {
        /// What was being done.
        step: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// An address of the other family than the table's.
    #[error("{address} cannot be in a rule of a table for {family:?}")]
    WrongFamily {
        /// The address.
        address: IpAddr,
        /// The table's family.
        family: Family,
    },
    /// No interface can have this name.
    #[error("{name:?} is not an interface name: 1 to 15 bytes")]
    InterfaceName {
        /// The name.
        name: String,
    },
    /// The netlink socket does not work.
    #[error("netlink socket")]
    Socket(#[source] io::Error),
    /// The kernel acknowledged less than it was asked to do.
    #[error("the kernel acknowledged {acknowledged} of {expected} steps")]
    Unanswered {
        /// How many it did.
        acknowledged: usize,
        /// How many it should.
        expected: usize,
    },
}

/// Which part of the kernel a step needs, for the sentence that names it.
fn missing(step: &str) -> &'static str {
    let needs: [(&str, &str); 10] = [
        ("create table", "nf_tables for this family (CONFIG_NF_TABLES_IPV4, CONFIG_NF_TABLES_IPV6)"),
        ("create chain", "module nft_chain_nat (CONFIG_NFT_NAT, CONFIG_NF_NAT)"),
        ("Redirect(", "module nft_redir (CONFIG_NFT_REDIR)"),
        ("Dnat(", "module nft_nat (CONFIG_NFT_NAT)"),
        ("Snat(", "module nft_nat (CONFIG_NFT_NAT)"),
        ("Masquerade", "module nft_masq (CONFIG_NFT_MASQ)"),
        ("Reject", "module nft_reject (CONFIG_NFT_REJECT)"),
        ("Reset", "module nft_reject (CONFIG_NFT_REJECT)"),
        ("DestinationLocal", "module nft_fib_ipv4 or nft_fib_ipv6 (CONFIG_NFT_FIB_IPV4, CONFIG_NFT_FIB_IPV6)"),
        ("OneIn(", "module nft_numgen (CONFIG_NFT_NUMGEN)"),
    ];
    let found = needs.iter().find(|(word, _)| step.contains(word));
    found.map_or("a part of nf_tables that this kernel was built without", |(_, need)| need)
}

/// Sends the messages, of which each but the first and the last one is acknowledged with its place in `steps`.
pub(super) fn send(messages: &[u8], steps: &[String]) -> Result<(), NftError> {
    let mut socket = open(messages.len(), steps.len())?;
    let sent = socket.send(messages).map_err(|source| refusal(source, "send a transaction"))?;
    if sent != messages.len() {
        return Err(NftError::Socket(io::ErrorKind::WriteZero.into()));
    }
    let expected = steps.len() - 1; // the beginning of the transaction is answered only if it is refused
    let mut acknowledged = 0;
    // The kernel works while `send` runs: all its answers are there by now, and an empty queue is their end.
    let mut buffer = [0; 16 * 1024];
    loop {
        let length = match socket.read(&mut buffer) {
            Ok(length) => length,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(NftError::Socket(e)),
        };
        acknowledged += acknowledgements(&buffer[..length], steps)?;
    }
    if acknowledged != expected {
        return Err(NftError::Unanswered { acknowledged, expected });
    }
    Ok(())
}

fn open(length: usize, answers: usize) -> Result<Socket, NftError> {
    let (domain, protocol) = (Domain::from(libc::AF_NETLINK), Protocol::from(libc::NETLINK_NETFILTER));
    let socket = Socket::new(domain, Type::RAW, Some(protocol)).map_err(NftError::NoNfTables)?;
    socket.set_nonblocking(true).map_err(NftError::Socket)?;
    enlarge(&socket, length, answers).map_err(NftError::Socket)?;
    Ok(socket)
}

/// A transaction must fit into the socket's buffer as one piece, and so must all the answers (an answer costs about
/// 1 KiB of buffer, whatever its length).
fn enlarge(socket: &Socket, length: usize, answers: usize) -> io::Result<()> {
    let (length, answers) = (length + 4096, answers * 1024 + 4096);
    if socket.send_buffer_size()? < length {
        force(socket, libc::SO_SNDBUFFORCE, length).or_else(|_| socket.set_send_buffer_size(length))?;
    }
    if socket.recv_buffer_size()? < answers {
        force(socket, libc::SO_RCVBUFFORCE, answers).or_else(|_| socket.set_recv_buffer_size(answers))?;
    }
    Ok(())
}

/// Sets a buffer's size beyond the system's limit, which needs CAP_NET_ADMIN.
fn force(socket: &Socket, option: libc::c_int, size: usize) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let size = libc::c_int::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?;
    let length = size_of_val(&size) as libc::socklen_t;
    // SAFETY: the descriptor is open, and the value is an int of the given length that outlives the call.
    let done =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const size).cast(), length) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Counts the good answers in what one read gave; the first bad one is the error.
fn acknowledgements(mut bytes: &[u8], steps: &[String]) -> Result<usize, NftError> {
    let mut count = 0;
    while let Some((header, _)) = bytes.split_first_chunk::<16>() {
        let [l0, l1, l2, l3, k0, k1, _, _, s0, s1, s2, s3, ..] = *header;
        let length = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let kind = i32::from(u16::from_ne_bytes([k0, k1]));
        let sequence = u32::from_ne_bytes([s0, s1, s2, s3]) as usize;
        if kind == libc::NLMSG_ERROR {
            let code = bytes.get(16..20).and_then(|code| code.try_into().ok()).map_or(0, i32::from_ne_bytes);
            if code != 0 {
                let step = steps.get(sequence).map_or("commit a transaction", String::as_str);
                return Err(refusal(io::Error::from_raw_os_error(-code), step));
            }
            count += 1;
        }
        bytes = bytes.get(length.max(16).next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(count)
}

fn refusal(source: io::Error, step: &str) -> NftError {
    let step = step.to_owned();
    match source.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => NftError::NotPermitted,
        Some(libc::EOPNOTSUPP) if step.starts_with("begin") => NftError::NoNfTables(source),
        Some(libc::ENOENT | libc::EOPNOTSUPP | libc::EAFNOSUPPORT) => NftError::Missing { step, source },
        _ => NftError::Refused { step, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(sequence: u32, code: i32) -> Vec<u8> {
        let mut bytes = 36u32.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&sequence.to_ne_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&code.to_ne_bytes());
        bytes.extend_from_slice(&[0; 16]);
        bytes
    }

    fn steps() -> Vec<String> {
        vec!["begin a transaction".into(), "create table weft".into(), "create chain output in table weft".into()]
    }

    #[test]
    fn good_answers_are_counted() {
        let both = [answer(1, 0), answer(2, 0)].concat();
        assert_eq!(acknowledgements(&both, &steps()).unwrap(), 2);
    }

    #[test]
    fn a_refusal_says_what_is_missing() {
        let say = |sequence, code: i32| acknowledgements(&answer(sequence, -code), &steps()).unwrap_err().to_string();
        assert!(say(1, libc::EPERM).contains("CAP_NET_ADMIN"));
        assert!(say(0, libc::EOPNOTSUPP).contains("no nf_tables"));
        assert!(say(2, libc::ENOENT).contains("nft_chain_nat"));
        assert_eq!(say(1, libc::EBUSY), "nf_tables refused to create table weft");
    }

    #[test]
    fn broken_answers_end_the_reading() {
        let mut zero = answer(1, 0);
        zero[..4].copy_from_slice(&0u32.to_ne_bytes());
        assert!(acknowledgements(&zero, &steps()).is_ok());
        assert_eq!(acknowledgements(&[0; 7], &steps()).unwrap(), 0);
    }
}
