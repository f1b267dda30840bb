//! The command line of `weft-proxy redirect`. A flag wins over the environment variable of the same meaning.

use std::{num::ParseIntError, ops::RangeInclusive};

use ipnet::IpNet;
use weft_api::setting::{self, Expected};

use super::Options;

/// What `weft-proxy redirect --help` prints.
pub const USAGE: &str = "\
usage: weft-proxy redirect [--undo] [OPTION=VALUE]...

Leads the TCP connections of this network namespace into the proxy, by nf_tables; needs CAP_NET_ADMIN.
Run again, it replaces its rules; with --undo it removes them. No other rules are touched.

One of the first two must be given, so that the proxy's own connections are left alone:
  --proxy-uid=UID              WEFT_PROXY_UID              the user that the proxy runs as
  --mark=MARK                  WEFT_MARK                   the mark that the proxy sets on its sockets
  --outbound-port=PORT         WEFT_OUTBOUND_PORT          where the pod's own connections go (4140)
  --inbound-port=PORT          WEFT_INBOUND_PORT           where connections to the pod go (4143)
  --tap-port=PORT              WEFT_TAP_PORT               a port of the proxy's own (4190)
  --admin-port=PORT            WEFT_ADMIN_PORT             a port of the proxy's own (4191)
  --skip-outbound-ports=PORTS  WEFT_SKIP_OUTBOUND_PORTS    ports elsewhere to leave alone, as 25,9000-9010
  --skip-outbound-subnets=NETS WEFT_SKIP_OUTBOUND_SUBNETS  networks to leave alone, as 10.0.0.0/8,fd00::/8
  --skip-inbound-ports=PORTS   WEFT_SKIP_INBOUND_PORTS     ports of the pod to leave alone
  --skip-inbound-subnets=NETS  WEFT_SKIP_INBOUND_SUBNETS   networks whose connections to the pod to leave alone
";

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Put the rules in place.
    Apply(Options),
    /// Remove them.
    Undo,
    /// Print [`USAGE`].
    Help,
}

/// Why the command line cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// No such flag.
    #[error("unknown option {flag}; see weft-proxy redirect --help")]
    Unknown {
        /// As it was given.
        flag: String,
    },
    /// The flag stands alone.
    #[error("{flag} needs a value")]
    NoValue {
        /// As it was given.
        flag: String,
    },
    /// The value does not parse.
    #[error("{setting}: {value:?} is not {expected}")]
    Value {
        /// The flag or the environment variable.
        setting: String,
        /// As it was given.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Neither uid nor mark.
    #[error("give --proxy-uid or --mark: without either the proxy's own connections would come back to it")]
    NoExemption,
}

/// Sets what a value says; the error is what was expected.
type Set = fn(&mut Options, &str) -> Result<(), &'static str>;

/// Flag, environment variable, effect. Fixed places in `own_ports`: tap, admin.
const SETTINGS: [(&str, &str, Set); 10] = [
    ("--proxy-uid", "WEFT_PROXY_UID", |o, v| put(&mut o.uid, number(v).map(Some))),
    ("--mark", "WEFT_MARK", |o, v| put(&mut o.mark, number(v).map(Some))),
    ("--outbound-port", "WEFT_OUTBOUND_PORT", |o, v| put(&mut o.outbound_port, port(v))),
    ("--inbound-port", "WEFT_INBOUND_PORT", |o, v| put(&mut o.inbound_port, port(v))),
    ("--tap-port", "WEFT_TAP_PORT", |o, v| put(&mut o.own_ports[0], port(v))),
    ("--admin-port", "WEFT_ADMIN_PORT", |o, v| put(&mut o.own_ports[1], port(v))),
    ("--skip-outbound-ports", "WEFT_SKIP_OUTBOUND_PORTS", |o, v| put(&mut o.skip_outbound_ports, ranges(v))),
    ("--skip-outbound-subnets", "WEFT_SKIP_OUTBOUND_SUBNETS", |o, v| put(&mut o.skip_outbound_subnets, subnets(v))),
    ("--skip-inbound-ports", "WEFT_SKIP_INBOUND_PORTS", |o, v| put(&mut o.skip_inbound_ports, ranges(v))),
    ("--skip-inbound-subnets", "WEFT_SKIP_INBOUND_SUBNETS", |o, v| put(&mut o.skip_inbound_subnets, subnets(v))),
];

fn put<T>(place: &mut T, value: Result<T, &'static str>) -> Result<(), &'static str> {
    *place = value?;
    Ok(())
}

/// Reads what stands after `weft-proxy redirect`, and the environment.
///
/// # Errors
/// [`ArgsError`] for the first thing that cannot be read.
pub fn parse_args(args: impl Iterator<Item = String>) -> Result<Command, ArgsError> {
    parse(args, |name| std::env::var(name).ok())
}

/// The variables that `weft-proxy redirect` reads.
pub fn variables() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().map(|(_, variable, _)| *variable)
}

fn parse(
    mut args: impl Iterator<Item = String>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Command, ArgsError> {
    let mut options = Options::default();
    for (_, name, set) in SETTINGS {
        match variable(name) {
            Some(value) if !value.is_empty() => apply(set, &mut options, name, &value)?,
            _ => {}
        }
    }
    let mut undo = false;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--help" | "-h" => return Ok(Command::Help),
            "--undo" => undo = true,
            _ => flag(&arg, &mut args, &mut options)?,
        }
    }
    if undo {
        return Ok(Command::Undo);
    }
    if options.uid.is_none() && options.mark.is_none() {
        return Err(ArgsError::NoExemption);
    }
    Ok(Command::Apply(options))
}

/// `--name=value` or `--name value`.
fn flag(arg: &str, rest: &mut impl Iterator<Item = String>, options: &mut Options) -> Result<(), ArgsError> {
    let (name, value) = arg.split_once('=').map_or((arg, None), |(name, value)| (name, Some(value.to_owned())));
    let Some((_, _, set)) = SETTINGS.iter().find(|(flag, _, _)| *flag == name) else {
        return Err(ArgsError::Unknown { flag: name.to_owned() });
    };
    let value = value.or_else(|| rest.next()).ok_or_else(|| ArgsError::NoValue { flag: name.to_owned() })?;
    apply(*set, options, name, &value)
}

fn apply(set: Set, options: &mut Options, setting: &str, value: &str) -> Result<(), ArgsError> {
    let error = |expected| ArgsError::Value { setting: setting.to_owned(), value: value.to_owned(), expected };
    set(options, value).map_err(error)
}

/// Decimal, or hexadecimal after `0x`.
fn number(text: &str) -> Result<u32, &'static str> {
    let parsed: Result<u32, ParseIntError> = match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "a number of 32 bits")
}

fn port(text: &str) -> Result<u16, &'static str> {
    setting::port(text).map_err(|Expected(expected)| expected)
}

fn ranges(text: &str) -> Result<Vec<RangeInclusive<u16>>, &'static str> {
    setting::ports(text).map(|set| set.ranges().to_vec()).map_err(|Expected(expected)| expected)
}

fn subnets(text: &str) -> Result<Vec<IpNet>, &'static str> {
    setting::subnets(text).map_err(|Expected(expected)| expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &str, environment: &[(&str, &str)]) -> Result<Command, ArgsError> {
        let variable = |name: &str| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        parse(args.split_whitespace().map(str::to_owned), variable)
    }

    #[test]
    fn flags_win_over_the_environment() {
        let environment = [("WEFT_PROXY_UID", "1"), ("WEFT_SKIP_INBOUND_PORTS", "22, 8000-8010"), ("WEFT_MARK", "")];
        let Ok(Command::Apply(options)) = read("--proxy-uid=2102 --outbound-port 5140", &environment) else {
            panic!("should apply")
        };
        assert_eq!((options.uid, options.mark, options.outbound_port), (Some(2102), None, 5140));
        assert_eq!(options.skip_inbound_ports, [22..=22, 8000..=8010]);
        assert_eq!(options.own_ports, [4190, 4191]);
    }

    #[test]
    fn subnets_may_be_of_both_families_or_single_addresses() {
        let line = "--mark 0x539 --skip-outbound-subnets=10.0.0.0/8,fd00::/8,192.0.2.1 --admin-port=9191";
        let Ok(Command::Apply(options)) = read(line, &[]) else { panic!("should apply") };
        let texts: Vec<_> = options.skip_outbound_subnets.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"]);
        assert_eq!((options.mark, options.own_ports), (Some(1337), vec![4190, 9191]));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_was_expected() {
        assert_eq!(read("", &[]), Err(ArgsError::NoExemption));
        assert_eq!(read("--undo", &[]), Ok(Command::Undo));
        assert_eq!(read("--undo --help", &[]), Ok(Command::Help));
        assert_eq!(read("--uid=1", &[]), Err(ArgsError::Unknown { flag: "--uid".into() }));
        assert_eq!(read("--mark", &[]), Err(ArgsError::NoValue { flag: "--mark".into() }));
        for wrong in ["--mark=x", "--inbound-port=0", "--skip-inbound-ports=9-1", "--skip-outbound-subnets=10/8"] {
            assert!(matches!(read(wrong, &[]), Err(ArgsError::Value { .. })), "{wrong}");
        }
    }

    #[test]
    fn the_usage_names_every_setting() {
        for (flag, variable, _) in SETTINGS {
            assert!(USAGE.contains(&format!("{flag}=")) && USAGE.contains(variable), "{flag}");
        }
    }
}
