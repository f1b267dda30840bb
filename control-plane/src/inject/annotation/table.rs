//! The rows, and the parsers that only they need.

use tracing_subscriber::filter::Targets;
use weft_api::setting::{self, Expected};

use super::Target;

/// What an annotation changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The image of both containers.
    Image,
    /// `requests` or `limits`, and the resource.
    Resource(&'static str, &'static str),
    /// A variable of the sidecar.
    Proxy(&'static str),
    /// A variable of the init container.
    Redirect(&'static str),
    /// The same variable of both.
    Both(&'static str),
    /// Nothing in the pod's spec: the control plane reads it.
    Pod,
}

impl Place {
    pub(super) fn variable(self, target: Target) -> Option<&'static str> {
        match (self, target) {
            (Self::Proxy(name), Target::Proxy) | (Self::Redirect(name), Target::Redirect) | (Self::Both(name), _) => {
                Some(name)
            }
            _ => None,
        }
    }
}

/// One annotation: everything there is to say about it.
pub(super) struct Row {
    /// Without the prefix.
    pub(super) name: &'static str,
    pub(super) place: Place,
    /// None: nothing is set, and `unset` says what follows.
    pub(super) default: Option<&'static str>,
    pub(super) unset: &'static str,
    pub(super) check: fn(&str) -> Result<(), Expected>,
    pub(super) help: &'static str,
    pub(super) why: &'static str,
}

impl Row {
    const fn new(name: &'static str, place: Place, check: fn(&str) -> Result<(), Expected>) -> Self {
        Self { name, place, default: None, unset: "unset", check, help: "", why: "" }
    }

    const fn default(self, default: &'static str) -> Self {
        Self { default: Some(default), ..self }
    }

    const fn unset(self, unset: &'static str) -> Self {
        Self { unset, ..self }
    }

    const fn says(self, help: &'static str, why: &'static str) -> Self {
        Self { help, why, ..self }
    }
}

/// The proxy's own default, which is not repeated in the pod.
const PROXYS: &str = "the proxy's";

pub(super) static TABLE: [Row; 20] = [
    Row::new("proxy-image", Place::Image, image)
        .unset("the control plane's `WEFT_PROXY_IMAGE`")
        .says("The image of the sidecar and of the init container", "To try a release on one workload first"),
    Row::new("log-level", Place::Proxy("WEFT_LOG"), log_level).unset(PROXYS).says(
        "What the proxy writes about itself: a level, or a list as `info,weft_proxy::mesh=debug`",
        "To look closer at one workload; on a running pod, `PUT /log-level` does it without a restart",
    ),
    Row::new("log-format", Place::Proxy("WEFT_LOG_FORMAT"), |text| setting::log_format(text).map(drop))
        .unset(PROXYS)
        .says("How these lines look: `text` or `json`", "Collectors of logs differ by namespace"),
    Row::new("access-log", Place::Proxy("WEFT_ACCESS_LOG"), |text| setting::access_log(text).map(drop))
        .unset(PROXYS)
        .says(
            "Whether and how each request is written to stdout: `off`, `json` or `common`",
            "A line a request costs more than the request",
        ),
    Row::new("series-limit", Place::Proxy("WEFT_SERIES_LIMIT"), count).unset(PROXYS).says(
        "Sets of labels that a family of metrics may have before new ones are counted as `overflow`",
        "A client of hundreds of Services needs more; each set costs Prometheus memory",
    ),
    Row::new("otlp-endpoint", Place::Proxy("WEFT_OTLP_ENDPOINT"), |text| setting::collector(text).map(drop)).says(
        "Where spans are sent of requests whose callers trace them, as `http://collector.observability:4318`",
        "Who has no collector has nothing to send to",
    ),
    Row::new("trace-ratio", Place::Proxy("WEFT_TRACE_RATIO"), |text| setting::ratio(text).map(drop))
        .unset(PROXYS)
        .says(
            "Of which share of the traces that callers sample spans are sent, from 0 to 1",
            "A busy workload may tell less than its callers",
        ),
    Row::new("workers", Place::Proxy("WEFT_WORKERS"), |text| setting::workers(text).map(drop)).unset(PROXYS).says(
        "Threads that carry traffic: `auto` or a number",
        "A gateway may have the whole node; a sidecar should not",
    ),
    Row::new("cpu-request", Place::Resource("requests", "cpu"), quantity).default("10m").says(
        "The CPU that the scheduler keeps free for the sidecar",
        "A few hundred requests a second; small, so that a mesh does not double what small pods ask for",
    ),
    Row::new("cpu-limit", Place::Resource("limits", "cpu"), quantity).says(
        "The CPU that the sidecar may use at most; the init container's limit too, which else is `100m`",
        "A limit pauses the sidecar in the middle of requests; set one where a quota demands it",
    ),
    Row::new("memory-request", Place::Resource("requests", "memory"), quantity).default("32Mi").says(
        "The memory that the scheduler keeps free for the sidecar",
        "What a sidecar with a few hundred connections takes, and as much again",
    ),
    Row::new("memory-limit", Place::Resource("limits", "memory"), quantity).default("512Mi").says(
        "The memory above which the sidecar is ended",
        "Above what 10,000 requests in flight take, so that only a leak meets it",
    ),
    Row::new("skip-inbound-ports", Place::Both("WEFT_SKIP_INBOUND_PORTS"), ports).says(
        "Ports of the pod that are not intercepted, as `22,9000-9010`",
        "For protocols that no proxy should touch; there is no mTLS and no policy on them",
    ),
    Row::new("skip-inbound-subnets", Place::Redirect("WEFT_SKIP_INBOUND_SUBNETS"), subnets).says(
        "Networks whose connections to the pod are not intercepted",
        "For node agents that a policy would refuse",
    ),
    Row::new("skip-outbound-ports", Place::Redirect("WEFT_SKIP_OUTBOUND_PORTS"), ports).says(
        "Ports elsewhere that the pod reaches past the proxy",
        "For servers outside of the mesh whose connections must be the app's own",
    ),
    Row::new("skip-outbound-subnets", Place::Redirect("WEFT_SKIP_OUTBOUND_SUBNETS"), subnets).says(
        "Networks that the pod reaches past the proxy",
        "For a database or a cloud's metadata service outside of the cluster",
    ),
    Row::new("opaque-ports", Place::Pod, ports).says(
        "Ports of the pod whose bytes are carried as they come; on a Service it says the same of the Service's ports",
        "For protocols that only look like HTTP, or whose server speaks first and late",
    ),
    Row::new("foreign-allowed", Place::Proxy("WEFT_FOREIGN_ALLOWED"), |text| setting::flag(text).map(drop))
        .unset(PROXYS)
        .says(
            "Whether the pod may reach addresses that the mesh does not know",
            "To keep a workload within the cluster",
        ),
    Row::new("detect-deadline", Place::Proxy("WEFT_DETECT_DEADLINE"), duration).unset(PROXYS).says(
        "How long a silent client is waited for before the server is dialled",
        "For clients that connect long before they speak",
    ),
    Row::new("drain-deadline", Place::Proxy("WEFT_DRAIN_DEADLINE"), duration).unset(PROXYS).says(
        "How long what is in flight may take to end; terminationGracePeriodSeconds must allow it",
        "For workloads with long requests",
    ),
];

fn ports(text: &str) -> Result<(), Expected> {
    setting::ports(text).map(drop)
}

fn subnets(text: &str) -> Result<(), Expected> {
    setting::subnets(text).map(drop)
}

fn duration(text: &str) -> Result<(), Expected> {
    setting::duration(text).map(drop)
}

/// As the proxy reads it.
fn count(text: &str) -> Result<(), Expected> {
    let good = text.parse::<u32>().is_ok_and(|number| (1..=10_000_000).contains(&number));
    if good { Ok(()) } else { Err(Expected("a number between 1 and 10000000")) }
}

fn log_level(text: &str) -> Result<(), Expected> {
    let expected = "off, error, warn, info, debug or trace, or a list as info,weft_proxy::mesh=debug";
    text.parse::<Targets>().map(drop).map_err(|_| Expected(expected))
}

fn image(text: &str) -> Result<(), Expected> {
    let good = text.bytes().all(|byte| byte.is_ascii_graphic()) && !text.starts_with(['/', ':', '@']);
    if good { Ok(()) } else { Err(Expected("the name of an image, as registry.example/weft/proxy:0.1.0")) }
}

/// A quantity of Kubernetes, above nothing: 10m, 0.5, 2, 64Mi.
fn quantity(text: &str) -> Result<(), Expected> {
    const SUFFIXES: [&str; 14] = ["", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let good = number.parse::<f64>().is_ok_and(|number| number > 0.0) && SUFFIXES.contains(&suffix);
    if good { Ok(()) } else { Err(Expected("an amount above 0, as 100m or 0.5 of CPU and 64Mi of memory")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_those_of_kubernetes() {
        for good in ["10m", "0.5", "2", "64Mi", "1Gi", "1000k", "1.5G"] {
            assert_eq!(quantity(good), Ok(()), "{good}");
        }
        for bad in ["", "0", "-1", "64MB", "64mi", "1e", "a", ".", "1..2", "NaN", "inf", "1 Gi"] {
            assert!(quantity(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_is_a_number_that_the_proxy_takes() {
        assert!(["1", "1000", "10000000"].iter().all(|good| count(good).is_ok()));
        assert!(["", "0", "-1", "1.5", "1k", "10000001"].iter().all(|bad| count(bad).is_err()));
    }

    #[test]
    fn every_row_says_what_it_is_and_its_default_can_be_used() {
        for row in &TABLE {
            assert!(!row.help.is_empty() && !row.why.is_empty(), "{}", row.name);
            assert!(!row.help.ends_with('.') && !row.why.ends_with('.'), "{}", row.name);
            assert!(row.default.is_none_or(|text| (row.check)(text).is_ok()), "{}", row.name);
        }
    }
}
