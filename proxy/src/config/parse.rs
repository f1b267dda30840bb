//! From text to values that cannot be wrong. Pure; each function is named by a row of the table.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use tracing_subscriber::filter::Targets;
use weft_api::probe::{Probe, ProbeAction, Probes};
pub use weft_api::setting::{AccessLogFormat, HostPort, LogFormat, PortSet};
use weft_api::setting::{Expected, parts};
pub(super) use weft_api::setting::{
    access_log, collector, duration, flag, host_port, log_format, port, ports, ratio, workers,
};

type Parsed<T> = Result<T, Expected>;

/// Nothing for an empty text, else what the other parser says.
pub(super) fn optional<T>(text: &str, parse: fn(&str) -> Parsed<T>) -> Parsed<Option<T>> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

pub(super) fn addresses(text: &str) -> Parsed<Vec<IpAddr>> {
    let found: Result<Vec<IpAddr>, _> = parts(text).map(str::parse).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or(Expected("IP addresses with commas between, as 10.1.2.3,fd00::3"))
}

/// A namespace, a service account: RFC 1123 label or name.
pub(super) fn dns_name(text: &str) -> Parsed<String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'.';
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    if bytes.len() <= 253 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(|byte| allowed(*byte)) {
        Ok(text.to_owned())
    } else {
        Err(Expected("a name of lower-case letters, digits, - and ., at most 253 long"))
    }
}

pub(super) fn word(text: &str) -> Parsed<String> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err(Expected("one word of printable characters"))
    }
}

pub(super) fn file(text: &str) -> Parsed<PathBuf> {
    let path = PathBuf::from(text);
    if path.is_absolute() { Ok(path) } else { Err(Expected("an absolute path")) }
}

pub(super) fn mark(text: &str) -> Parsed<u32> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    number.ok().filter(|mark| *mark != 0).ok_or(Expected("a number other than 0 of 32 bits, as 1337 or 0x539"))
}

/// As a duration, or `off` for none.
pub(super) fn duration_or_off(text: &str) -> Parsed<Option<Duration>> {
    if text == "off" {
        return Ok(None);
    }
    duration(text).map(Some).map_err(|_| Expected("off, or a duration above zero with its unit, as 50ms, 3s, 5m or 1h"))
}

pub(super) fn count(text: &str) -> Parsed<usize> {
    let number = text.parse::<usize>().ok().filter(|number| (1..=10_000_000).contains(number));
    number.ok_or(Expected("a number between 1 and 10000000"))
}

pub(super) fn bytes(text: &str) -> Parsed<usize> {
    let expected = Expected("a size between 1KiB and 64MiB, as 65536, 64KiB or 1MiB");
    let (digits, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(digits), _) => (digits, 1 << 10),
        (None, Some(digits)) => (digits, 1 << 20),
        (None, None) => (text, 1),
    };
    let size = digits.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    size.filter(|size| (1 << 10..=64 << 20).contains(size)).ok_or(expected)
}

pub(super) fn rate(text: &str) -> Parsed<f64> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1_000_000.0).contains(number));
    number.ok_or(Expected("a number between 0 and 1000000"))
}

pub(super) fn log_level(text: &str) -> Parsed<Targets> {
    text.parse()
        .map_err(|_| Expected("off, error, warn, info, debug or trace, or a list as info,weft_proxy::mesh=debug"))
}

/// The probes of the app, each of which can be sent.
pub(super) fn probes(text: &str) -> Parsed<Probes> {
    let expected = Expected("JSON as the injector writes it, each probe with a path and fields that HTTP allows");
    if text.is_empty() {
        return Ok(Probes::default());
    }
    let probes: Probes = serde_json::from_str(text).map_err(|_| expected)?;
    let can_be_sent = |probe: &Probe| match &probe.action {
        ProbeAction::HttpGet(get) => get.request("127.0.0.1").is_ok(),
        ProbeAction::Grpc(_) | ProbeAction::TcpSocket(_) => true,
    };
    let all_can = probes.0.values().flat_map(|kinds| kinds.values()).all(can_be_sent);
    if all_can { Ok(probes) } else { Err(expected) }
}
