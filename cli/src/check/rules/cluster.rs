//! The cluster, and what an installation needs of it.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Node};
use kube::core::ObjectMeta;

use crate::check::facts::Facts;
use crate::check::finding::{Check, Finding, Group, some};
use crate::check::pods;

/// Native sidecars are on by default from here on.
const OLDEST: (u32, u32) = (1, 29);
/// Above this, certificates seem not to hold yet, and tokens seem over.
const SKEW_FAILS: Duration = Duration::from_secs(60);
const SKEW_WARNS: Duration = Duration::from_secs(10);
/// The oldest kernel whose nf_tables have all that the redirect's rules ask for in namespaces of IPv4 and IPv6.
const OLDEST_KERNEL: (u32, u32) = (4, 18);
const LEVEL: &str = "pod-security.kubernetes.io/enforce";
const BUNDLE: &str = "gateway.networking.k8s.io/bundle-version";
const CHANNEL: &str = "gateway.networking.k8s.io/channel";

pub(super) fn answers(facts: &Facts) -> Finding {
    let check = Check(Group::Cluster, "the API server answers");
    match &facts.server {
        Ok(server) => check.pass(&server.name),
        Err(unknown) => check.fail(unknown, unknown.next()),
    }
}

pub(super) fn recent(facts: &Facts) -> Finding {
    let check = Check(Group::Cluster, "Kubernetes has native sidecars");
    match &facts.server {
        Ok(server) if server.version >= OLDEST => check.pass("1.29 or later"),
        Ok(server) => check.fail(
            format!("{} is older than 1.29: an init container cannot keep running there", server.name),
            "upgrade the cluster",
        ),
        Err(unknown) => check.unknown(unknown),
    }
}

pub(super) fn clock(facts: &Facts) -> Finding {
    let check = Check(Group::Cluster, "the API server's clock is right");
    let server = match &facts.server {
        Ok(server) => server,
        Err(unknown) => return check.unknown(unknown),
    };
    let (skew, word) = match server.ours.duration_since(server.clock) {
        Ok(behind) => (behind, "behind"),
        Err(ahead) => (ahead.duration(), "ahead of"),
    };
    let detail = format!("{} s {word} this machine's", skew.as_secs());
    let next = "compare both with a time server: timedatectl";
    match skew {
        _ if skew > SKEW_FAILS => check.fail(detail, next),
        _ if skew > SKEW_WARNS => check.warn(detail, next),
        _ => check.pass("as this machine's"),
    }
}

pub(super) fn kernels(facts: &Facts) -> Finding {
    let check = Check(Group::Cluster, "nodes can redirect traffic");
    let nodes = match &facts.nodes {
        Ok(nodes) => nodes,
        Err(unknown) => return check.unknown(unknown),
    };
    let bad: Vec<String> = nodes.iter().filter_map(unfit).collect();
    if bad.is_empty() {
        return check.pass(format!("{} of Linux {}.{} or later", nodes.len(), OLDEST_KERNEL.0, OLDEST_KERNEL.1));
    }
    check.warn(some(&bad), "keep meshed pods from these nodes, or upgrade them")
}

/// The node and its kernel, where that is too old or not Linux.
fn unfit(node: &Node) -> Option<String> {
    let info = node.status.as_ref()?.node_info.as_ref()?;
    let fits = info.operating_system == "linux" && version(&info.kernel_version) >= Some(OLDEST_KERNEL);
    let name = node.metadata.name.as_deref().unwrap_or_default();
    (!fits).then(|| format!("{name} has {} {}", info.operating_system, info.kernel_version))
}

/// The first two numbers of a version, as of `6.1.0-18-amd64`.
pub(super) fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim_start_matches('v').split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

pub(super) fn levels(facts: &Facts) -> Finding {
    let check = Check(Group::Cluster, "labelled namespaces admit the redirect");
    let namespaces = match &facts.namespaces {
        Ok(namespaces) => namespaces,
        Err(unknown) => return check.unknown(unknown),
    };
    let enabled: Vec<&Namespace> = namespaces.iter().filter(|namespace| pods::is_enabled(namespace)).collect();
    let bad: Vec<String> = enabled.iter().filter_map(|namespace| forbids(namespace)).collect();
    let Some(first) = bad.first() else {
        return check.pass(format!("{} labelled weft.dev/inject=enabled", enabled.len()));
    };
    let name = first.split(' ').next().unwrap_or_default();
    check.fail(
        format!("Pod Security refuses NET_ADMIN, which the init container weft-redirect needs, in {}", some(&bad)),
        format!("kubectl label namespace {name} --overwrite {LEVEL}=privileged"),
    )
}

/// What a namespace will need once it is labelled, and which would have to be changed for it.
pub(super) fn levels_before(facts: &Facts) -> Finding {
    let check = Check(Group::Install, "namespaces can be meshed");
    let namespaces = match &facts.namespaces {
        Ok(namespaces) => namespaces,
        Err(unknown) => return check.unknown(unknown),
    };
    let need = "meshed pods need Pod Security's level privileged, or none";
    let others: Vec<String> = namespaces.iter().filter(|one| !pods::is_enabled(one)).filter_map(forbids).collect();
    if others.is_empty() {
        return check.pass(format!("{need}: every namespace has it"));
    }
    check.pass(format!("{need}, which is not so in {}", some(&others)))
}

fn forbids(namespace: &Namespace) -> Option<String> {
    let level = namespace.metadata.labels.as_ref()?.get(LEVEL)?;
    let name = namespace.metadata.name.as_deref().unwrap_or_default();
    (level != "privileged").then(|| format!("{name} ({level})"))
}

pub(super) fn rights(facts: &Facts) -> Finding {
    let check = Check(Group::Install, "you may install");
    if let Some(unknown) = facts.rights.iter().find_map(|right| right.allowed.as_ref().err()) {
        return check.unknown(unknown);
    }
    let missing = facts.rights.iter().filter(|right| matches!(right.allowed, Ok(false)));
    let missing: Vec<String> = missing.map(|right| right.name.clone()).collect();
    if missing.is_empty() {
        return check.pass(format!("{} rights", facts.rights.len()));
    }
    check.fail(format!("you may not {}", some(&missing)), "install as a user with the role cluster-admin")
}

pub(super) fn gateway_api_before(facts: &Facts) -> Finding {
    let check = Check(Group::Install, "the Gateway API's kinds can be installed");
    let kinds = match &facts.kinds {
        Ok(kinds) => kinds,
        Err(unknown) => return check.unknown(unknown),
    };
    let Some(route) = kinds.iter().find(|kind| is_http_route(kind)) else { return check.pass("none there yet") };
    if super::control_plane::is_ours(route) {
        return check.pass("there from an earlier installation");
    }
    let (release, channel) = gateway_api(route);
    check.warn(
        format!("they are there already: release {release}, {channel} channel, not from Weft, and would be replaced"),
        "weft install --skip-gateway-api keeps them; retries of routes need the experimental channel",
    )
}

pub(super) fn is_http_route(kind: &ObjectMeta) -> bool {
    kind.name.as_deref() == Some("httproutes.gateway.networking.k8s.io")
}

/// The release and the channel that a kind says it is from.
pub(super) fn gateway_api(kind: &ObjectMeta) -> (&str, &str) {
    let annotation = |key| kind.annotations.as_ref().and_then(|all| all.get(key)).map_or("unknown", String::as_str);
    (annotation(BUNDLE), annotation(CHANNEL))
}

pub(super) fn free(facts: &Facts) -> Finding {
    let check = Check(Group::Install, "Weft is not there yet");
    match &facts.deployment {
        Ok(None) => check.pass("namespace weft has no control plane"),
        Ok(Some(_)) => check.warn("there is a control plane: installing upgrades it", super::install::again(facts)),
        Err(unknown) => check.unknown(unknown),
    }
}
