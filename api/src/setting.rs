//! Values of settings that more than one program reads: the proxy from its environment, the injector from annotations.
//!
//! Pure: from text to values that cannot be wrong. What one program alone can be set to is parsed by that program.

use std::{fmt, net::IpAddr, num::NonZeroUsize, ops::RangeInclusive, time::Duration};

use ipnet::IpNet;

/// What a value should have looked like; completes "must be ...".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected(pub &'static str);

type Parsed<T> = Result<T, Expected>;

/// Ports and ranges of ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortSet(Vec<RangeInclusive<u16>>);

impl PortSet {
    /// Whether the port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|range| range.contains(&port))
    }

    /// The ranges, as they were written.
    pub fn ranges(&self) -> &[RangeInclusive<u16>] {
        &self.0
    }
}

/// What is written for every request and connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLogFormat {
    /// The common log format, with the duration at its end.
    Common,
    /// One JSON object a line.
    Json,
}

/// How the proxy's own log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// A port.
///
/// # Errors
/// What a port looks like.
pub fn port(text: &str) -> Parsed<u16> {
    match text.parse() {
        Ok(0) | Err(_) => Err(Expected("a port between 1 and 65535")),
        Ok(port) => Ok(port),
    }
}

/// Ports and ranges of ports with commas between.
///
/// # Errors
/// What they look like.
pub fn ports(text: &str) -> Parsed<PortSet> {
    let expected = Expected("ports and ranges with commas between, as 25,3306,9000-9010");
    let one = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (port(first.trim()).ok()?, port(last.trim()).ok()?);
        (first <= last).then_some(first..=last)
    };
    parts(text).map(one).collect::<Option<Vec<_>>>().map(PortSet).ok_or(expected)
}

/// Networks with commas between; an address alone is a network of one.
///
/// # Errors
/// What they look like.
pub fn subnets(text: &str) -> Parsed<Vec<IpNet>> {
    let one = |part: &str| part.parse().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from));
    let expected = Expected("networks with commas between, as 10.0.0.0/8,fd00::/8");
    parts(text).map(one).collect::<Option<_>>().ok_or(expected)
}

/// A number of threads. None: `auto`.
///
/// # Errors
/// What it looks like.
pub fn workers(text: &str) -> Parsed<Option<NonZeroUsize>> {
    if text == "auto" {
        return Ok(None);
    }
    let number = text.parse::<NonZeroUsize>().ok().filter(|number| number.get() <= 256);
    number.map(Some).ok_or(Expected("auto or a number between 1 and 256"))
}

/// `true` or `false`.
///
/// # Errors
/// What it looks like.
pub fn flag(text: &str) -> Parsed<bool> {
    text.parse().map_err(|_| Expected("true or false"))
}

/// A duration above zero and up to a year, with its unit: 50ms, 3s, 5m, 1h.
///
/// # Errors
/// What it looks like.
pub fn duration(text: &str) -> Parsed<Duration> {
    let expected = Expected("a duration above zero with its unit, as 50ms, 3s, 5m or 1h");
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or(expected)?;
    let number: u64 = text[..split].parse().map_err(|_| expected)?;
    let millis = match &text[split..] {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    // A year is more than any limit here means, and keeps sums of durations far from the end of the clock.
    let millis = millis.filter(|millis| (1..=31_536_000_000).contains(millis)).ok_or(expected)?;
    Ok(Duration::from_millis(millis))
}

/// The form of the access log. None: `off`.
///
/// # Errors
/// What it looks like.
pub fn access_log(text: &str) -> Parsed<Option<AccessLogFormat>> {
    match text {
        "off" => Ok(None),
        "common" => Ok(Some(AccessLogFormat::Common)),
        "json" => Ok(Some(AccessLogFormat::Json)),
        _ => Err(Expected("off, json or common")),
    }
}

/// The form of log lines.
///
/// # Errors
/// What it looks like.
pub fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "json" => Ok(LogFormat::Json),
        "text" => Ok(LogFormat::Text),
        _ => Err(Expected("text or json")),
    }
}

/// The parts of a list with commas, without those that are empty.
pub fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

/// A host name or an address, with a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an address; an IPv6 address stands here without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A host and a port.
///
/// # Errors
/// It is neither.
pub fn host_port(text: &str) -> Parsed<HostPort> {
    let expected = Expected("a host and a port, as weft-control-plane.weft.svc:8443 or [fd00::2]:8443");
    let (host, number) = text.rsplit_once(':').ok_or(expected)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bare.unwrap_or(host);
    if host.is_empty() || (bare.is_none() && host.contains(':')) || host.contains(char::is_whitespace) {
        return Err(expected);
    }
    Ok(HostPort { host: host.to_owned(), port: port(number).map_err(|_| expected)? })
}

/// A collector of spans, as a URL. Its port is OTLP's own where the URL has none.
///
/// # Errors
/// It is no such URL.
pub fn collector(text: &str) -> Parsed<HostPort> {
    let expected = Expected("an address as http://collector.observability:4318, without TLS and without a path");
    let place = text.strip_prefix("http://").ok_or(expected)?;
    let place = place.strip_suffix('/').unwrap_or(place);
    if place.contains('/') {
        return Err(expected);
    }
    host_port(place).or_else(|_| host_port(&format!("{place}:{OTLP_PORT}"))).map_err(|_| expected)
}

/// Of OTLP over HTTP.
const OTLP_PORT: u16 = 4318;

/// A share.
///
/// # Errors
/// It is none, or not from 0 to 1.
pub fn ratio(text: &str) -> Parsed<f64> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or(Expected("a number between 0 and 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_numbers_and_ranges_in_order() {
        let set = ports("25, 9000-9010,").unwrap();
        assert_eq!(set.ranges(), [25..=25, 9000..=9010]);
        assert!(set.contains(9005) && !set.contains(26));
        for bad in ["x", "0", "9-3", "65536", "1-", "-1"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn subnets_may_be_of_both_families_or_single_addresses() {
        let texts: Vec<_> = subnets("10.0.0.0/8,fd00::/8,192.0.2.1").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"]);
        assert!(subnets("10/8").is_err());
    }

    #[test]
    fn durations_need_a_unit_and_a_bound() {
        assert_eq!(duration("50ms"), Ok(Duration::from_millis(50)));
        for bad in ["", "5", "s", "0s", "-1s", "1.5s", "1d", "99999999999999999999h", "9999999h", "1é"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_collector_is_a_url_without_tls_whose_port_may_be_left_out() {
        let read = |text: &str| collector(text).ok().map(|place| place.to_string());
        assert_eq!(read("http://otel.observability:4319").as_deref(), Some("otel.observability:4319"));
        assert_eq!(read("http://otel/").as_deref(), Some("otel:4318"));
        assert_eq!(read("http://[fd00::2]").as_deref(), Some("[fd00::2]:4318"));
        for bad in ["", "otel:4318", "https://otel", "http://", "http://otel/v1/traces", "http://a b", "http://otel:0"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
