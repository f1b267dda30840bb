//! Settings: one table of rows, read from the environment once, at start.
//!
//! The struct that the program uses, the parser and docs/configuration-control-plane.md all come from the rows, so they
//! cannot differ. Every bad value is reported at once.

mod setting;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use ipnet::IpNet;
use tracing::level_filters::LevelFilter;
use weft_api::{UnknownSetting, unknown_settings};

use crate::{inject::DEFAULT_PROXY_IMAGE, telemetry::LogFormat};
pub use setting::{ConfigError, RegistryKind};
use setting::{Reader, Row, Setting, line};

/// Declares the struct, the rows and the reading of them from one list.
macro_rules! settings {
    ($($field:ident: $type:ty = $name:literal ($unit:literal) $default:expr, $parse:expr; $help:literal; $why:literal;)*) => {
        /// Everything that can be set.
        #[derive(Clone, Debug)]
        pub struct Config {
            $(#[doc = $help] pub $field: $type,)*
        }

        impl Config {
            /// None: errors were noted.
            fn rows(reader: &mut Reader<'_>) -> Option<Self> {
                $(let $field = reader.value(&Setting::<$type> {
                    row: Row { name: $name, unit: $unit, default: $default, help: $help, why: $why },
                    parse: $parse,
                });)*
                Some(Self { $($field: $field?,)* })
            }
        }

        fn rows() -> Vec<Row> {
            vec![$(Row { name: $name, unit: $unit, default: $default, help: $help, why: $why },)*]
        }
    };
}

settings! {
    registry: RegistryKind = "WEFT_REGISTRY" ("file or kubernetes") Some("file"), setting::registry;
        "Where Services, pods and policies come from: a folder, or the API server of the cluster that it runs in or that \
         KUBECONFIG names";
        "A folder needs no cluster; the manifests set `kubernetes`";
    registry_folder: Option<PathBuf> = "WEFT_REGISTRY_DIR" ("a path") Some(""), setting::optional_path;
        "The folder of Kubernetes YAML that is watched: set exactly when WEFT_REGISTRY is `file`";
        "Without it there is nothing to know";
    state_folder: Option<PathBuf> = "WEFT_STATE_DIR" ("a path") Some(""), setting::optional_path;
        "The folder of the certificate authority, the join tokens and trust-bundle.pem: set exactly when WEFT_REGISTRY is \
         `file`; else they are Secrets and a ConfigMap";
        "Its keys must survive a restart";
    listen: SocketAddr = "WEFT_LISTEN" ("an address and a port") Some("[::]:8443"), setting::address;
        "Where proxies reach Watch and Certify"; "Where the manifests send them";
    admin_listen: SocketAddr = "WEFT_ADMIN_LISTEN" ("an address and a port") Some("[::]:4181"), setting::address;
        "Where /live /ready /metrics are served, and on loopback only /snapshot and POST /rotate-issuer";
        "Clear of the proxy's own 4190 and 4191";
    inject_listen: SocketAddr = "WEFT_INJECT_LISTEN" ("an address and a port") Some("[::]:9443"), setting::address;
        "Where the API server asks the injector about pods; only where WEFT_REGISTRY is `kubernetes`";
        "Where the manifests send it";
    tap_listen: SocketAddr = "WEFT_TAP_LISTEN" ("an address and a port") Some("[::]:9444"), setting::address;
        "Where the API server passes on what `weft tap` asks for; only where WEFT_REGISTRY is `kubernetes`";
        "Where the manifests send it";
    proxy_image: String = "WEFT_PROXY_IMAGE" ("an image") Some(DEFAULT_PROXY_IMAGE), setting::image;
        "The image of the sidecars that the injector adds"; "The proxy of the same release";
    trust_domain: String = "WEFT_TRUST_DOMAIN" ("a name") Some("cluster.local"), setting::name;
        "The trust domain of every identity in this mesh"; "The usual domain of a cluster";
    namespace: String = "WEFT_CONTROL_PLANE_NAMESPACE" ("a name") Some("weft"), setting::name;
        "The control plane's own namespace: part of the identity that proxies expect of it";
        "Where `weft install` puts it";
    pod_name: String = "WEFT_POD_NAME" ("a name") Some("weft-control-plane"), setting::name;
        "This replica's name, by which it holds the Lease weft-control-plane: no two may have the same";
        "The manifests set it to the pod's";
    cluster_ranges: Vec<IpNet> = "WEFT_CLUSTER_RANGES" ("CIDRs with commas") Some(""), setting::ranges;
        "Ranges of pods and Services: an unknown address within is refused, one outside is foreign";
        "Unset: the /24 and /112 blocks around every known Service and pod";
    leaf_lifetime: Duration = "WEFT_LEAF_LIFETIME" ("a duration such as 24h") Some("24h"), setting::duration;
        "How long leaves live; they are renewed at about 70 % of it";
        "A day: a stolen key is worth little, and an outage of a night ends nothing";
    issuer_lifetime: Duration = "WEFT_ISSUER_LIFETIME" ("a duration such as 8760h") Some("8760h"), setting::duration;
        "How long the issuers live that Weft makes; each is replaced once two thirds of its life are over";
        "A year, as the field has it: the old issuer stays good for four months after it was replaced";
    token_reviews_per_second: u32 = "WEFT_TOKEN_REVIEWS_PER_SECOND" ("a number above 0") Some("100"), setting::count;
        "Service-account tokens that the API server is asked about per second; further ones wait, or come back later";
        "A pod costs one at its start; the API server has other work too";
    streams_per_second: u32 = "WEFT_STREAMS_PER_SECOND" ("a number above 0") Some("500"), setting::count;
        "New Watch streams that are let in per second";
        "2,000 proxies that come back at once are served within four seconds, without a peak";
    stream_wait: Duration = "WEFT_STREAM_WAIT" ("a duration such as 10s") Some("10s"), setting::duration;
        "How long a new stream may wait for its turn before it is sent away"; "Proxies come back by themselves";
    max_subscriptions: usize = "WEFT_MAX_SUBSCRIPTIONS" ("a number above 0") Some("10000"), setting::count;
        "Subscriptions that one stream may have"; "Above what a proxy keeps, below what would hurt";
    max_connections: usize = "WEFT_MAX_CONNECTIONS" ("a number above 0") Some("20000"), setting::count;
        "Connections at a time; further ones wait"; "Twice the 10,000 proxies that it is built for";
    max_connections_per_peer: usize = "WEFT_MAX_CONNECTIONS_PER_PEER" ("a number above 0") Some("200"), setting::count;
        "Connections that one address may hold; further ones are closed at once";
        "A proxy holds one, and another while it renews; a hundred pods may stand behind one address";
    max_handshakes: usize = "WEFT_MAX_HANDSHAKES" ("a number above 0") Some("256"), setting::count;
        "TLS handshakes at a time; further ones wait their turn, and of one address a quarter as many may wait or go on";
        "Some 200 ms of work for one core: a fleet that comes back is through in seconds, and streams go on meanwhile";
    certificates_per_peer: u32 = "WEFT_CERTIFICATES_PER_SECOND_PER_PEER" ("a number above 0") Some("5"), setting::count;
        "Requests for a certificate per second from one address, and four seconds' worth at once; further ones are refused";
        "A proxy asks once at its start and twice a day; each costs a signature, or a question to the API server";
    drain_deadline: Duration = "WEFT_DRAIN_DEADLINE" ("a duration such as 5s") Some("5s"), setting::duration;
        "How long the end may take once it is asked for"; "Streams end at once; what is left are answers under way";
    log_level: LevelFilter = "WEFT_LOG" ("off, error, warn, info, debug or trace") Some("info"), setting::level;
        "Which log lines are written, to standard error"; "One line for each proxy and certificate";
    log_format: LogFormat = "WEFT_LOG_FORMAT" ("json or text") Some("text"), setting::log_format;
        "How log lines look"; "People read them first";
}

impl Config {
    /// Reads from any source of variables. An empty value counts as unset.
    ///
    /// # Errors
    /// All that is missing, contradicts itself or cannot be understood, not just the first.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader { variable: &variable, errors: Vec::new() };
        let config = Self::rows(&mut reader);
        reader.check_folders();
        config.filter(|_| reader.errors.is_empty()).ok_or(reader.errors)
    }

    /// Reads the process's environment.
    ///
    /// # Errors
    /// All that is missing or cannot be understood, not just the first.
    pub fn from_env() -> Result<Self, Vec<ConfigError>> {
        Self::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }
}

/// Variables of the process's environment that look like settings and are in no row. An empty one counts as unset.
pub fn unknown() -> Vec<UnknownSetting> {
    let set = std::env::vars_os().filter(|(_, value)| !value.is_empty());
    let names: Vec<_> = set.map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    unknown_settings(&names, &rows().iter().map(|row| row.name).collect::<Vec<_>>())
}

const OPENING: &str = "# Settings of weft-control-plane

Printed by `weft-control-plane docs` from the table in control-plane/src/config/; a test keeps it true. Settings are
environment variables, read once, at start. An empty value counts as unset. Every bad value is reported at once, and the
control plane does not start with one. A variable that begins with `WEFT_` and is no setting is warned of, with the nearest
one. Durations have a unit: `50ms`, `3s`, `5m`, `1h`.

| setting | value | default | what it is | why |
|---|---|---|---|---|
";

/// The page on the settings.
pub fn markdown() -> String {
    OPENING.to_owned() + &rows().iter().map(line).collect::<String>()
}
