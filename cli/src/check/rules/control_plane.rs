//! The control plane: is it there, does it run, is it of this release, and are the kinds there that it reads.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use kube::core::ObjectMeta;

use super::cluster::{gateway_api, is_http_route};
use super::install;
use crate::check::facts::{Facts, Figures};
use crate::check::figures;
use crate::check::finding::{Check, Finding, Group, some};
use crate::check::pods;
use crate::install::{CONTROL_PLANE, NAMESPACE};

const THIS: &str = env!("CARGO_PKG_VERSION");

pub(super) fn installed(facts: &Facts) -> Finding {
    let check = Check(Group::ControlPlane, "the control plane is installed");
    match &facts.deployment {
        Ok(Some(_)) => check.pass(format!("namespace {NAMESPACE}")),
        Ok(None) => check.fail(format!("namespace {NAMESPACE} has no Deployment {CONTROL_PLANE}"), install::FIRST),
        Err(unknown) => check.unknown(unknown),
    }
}

pub(super) fn ready(facts: &Facts) -> Finding {
    let check = Check(Group::ControlPlane, "its replicas are ready");
    let deployment = match &facts.deployment {
        Ok(Some(deployment)) => deployment,
        Ok(None) => return check.fail("none is installed", install::FIRST),
        Err(unknown) => return check.unknown(unknown),
    };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    if wanted == 0 {
        let next = format!("kubectl scale deployment {CONTROL_PLANE} -n {NAMESPACE} --replicas 1");
        return check.fail("it is scaled to none", next);
    }
    let status = deployment.status.clone().unwrap_or_default();
    let ready = status.ready_replicas.unwrap_or(0);
    let is_ready = ready >= wanted;
    let is_current = status.observed_generation >= deployment.metadata.generation
        && [status.replicas, status.updated_replicas].iter().all(|count| count.unwrap_or(0) == wanted);
    if is_ready && is_current {
        return check.pass(format!("{ready} of {wanted}"));
    }
    let mut detail = format!("{ready} of {wanted}");
    if !is_current {
        detail += ", and an upgrade has not ended";
    }
    let unready = replicas(facts).into_iter().filter(|pod| !pods::is_ready(pod));
    let causes = unready.filter_map(|pod| Some(format!("{}: {}", pods::path(pod), pods::trouble(pod)?)));
    let causes: Vec<String> = causes.collect();
    if !causes.is_empty() {
        detail += &format!(": {}", some(&causes));
    }
    let verb = if is_ready { "rollout status" } else { "logs" };
    check.fail(detail, format!("kubectl {verb} -n {NAMESPACE} deployment/{CONTROL_PLANE}"))
}

fn replicas(facts: &Facts) -> Vec<&Pod> {
    facts.replicas.iter().flatten().filter(|pod| !pods::is_ending(pod)).collect()
}

pub(super) fn release(facts: &Facts) -> Finding {
    let check = Check(Group::ControlPlane, "it is of this tool's release");
    let versions = releases(facts);
    if versions.is_empty() {
        let next = format!("kubectl get pods -n {NAMESPACE}");
        return match facts.control_plane.iter().find_map(|figures| figures.text.as_ref().err()) {
            Some(why) => check.untold(why, next),
            None => check.untold("no replica answers", next),
        };
    }
    if versions.iter().eq([THIS]) {
        return check.pass(THIS);
    }
    check.warn(
        format!("it is {}, this tool {THIS}", some(&versions)),
        format!("by the newer of the two: {}", install::again(facts)),
    )
}

/// What its replicas say that they are.
pub(super) fn releases(facts: &Facts) -> BTreeSet<String> {
    let release = |figures: &Figures| {
        let text = figures.text.as_ref().ok()?;
        figures::label(figures::series(text, "weft_build_info").next()?, "version").map(str::to_owned)
    };
    facts.control_plane.iter().filter_map(release).collect()
}

pub(super) fn rights(facts: &Facts) -> Finding {
    let check = Check(Group::ControlPlane, "its account has its rights");
    if let Some(unknown) = facts.account.iter().find_map(|right| right.allowed.as_ref().err()) {
        return check.unknown(unknown);
    }
    let missing = facts.account.iter().filter(|right| matches!(right.allowed, Ok(false)));
    let missing: Vec<&String> = missing.map(|right| &right.name).collect();
    if missing.is_empty() {
        return check.pass(format!("{} rights", facts.account.len()));
    }
    check.fail(format!("it may not {}: a role or its binding is missing", some(missing)), install::again(facts))
}

/// By the places that its replicas complain of.
pub(super) fn understood(facts: &Facts) -> Finding {
    let check = Check(Group::ControlPlane, "routes and policies are understood");
    let texts = facts.control_plane.iter().filter_map(|figures| figures.text.as_ref().ok());
    let texts: Vec<&String> = texts.collect();
    if texts.is_empty() {
        return check.untold("no replica answers", format!("kubectl get pods -n {NAMESPACE}"));
    }
    let problems: Vec<&str> = texts.iter().flat_map(|text| figures::series(text, "weft_registry_problems")).collect();
    let places = |broken: bool| {
        let of = problems.iter().filter(|one| (figures::label(one, "severity") == Some("broken")) == broken);
        of.filter_map(|one| figures::label(one, "place").map(str::to_owned)).collect::<BTreeSet<String>>()
    };
    let next = format!("kubectl logs -n {NAMESPACE} deployment/{CONTROL_PLANE}");
    let (broken, odd) = (places(true), places(false));
    if !broken.is_empty() {
        return check.warn(format!("broken, the last good state is kept: {}", some(&broken)), next);
    }
    if odd.is_empty() { check.pass("all of them") } else { check.warn(format!("in part only: {}", some(&odd)), next) }
}

pub(super) fn spread(facts: &Facts) -> Finding {
    let check = Check(Group::ControlPlane, "its replicas are on nodes of their own");
    if let Err(unknown) = &facts.replicas {
        return check.unknown(unknown);
    }
    let replicas = replicas(facts);
    let nodes = replicas.iter().filter_map(|pod| pod.spec.as_ref()?.node_name.as_deref()).collect::<BTreeSet<_>>();
    match replicas.len() {
        0 => check.untold("there is no replica", format!("kubectl get pods -n {NAMESPACE}")),
        1 => check.pass("one replica; `weft install --ha` makes three"),
        _ if nodes.len() > 1 => check.pass(format!("{} on {} nodes", replicas.len(), nodes.len())),
        count => check.warn(
            format!("all {count} are on one node, whose end is theirs"),
            format!("add a node, then: kubectl rollout restart deployment {CONTROL_PLANE} -n {NAMESPACE}"),
        ),
    }
}

pub(super) fn level(facts: &Facts) -> Finding {
    let check = Check(Group::ControlPlane, "its namespace is restricted");
    let namespaces = match &facts.namespaces {
        Ok(namespaces) => namespaces,
        Err(unknown) => return check.unknown(unknown),
    };
    let own = namespaces.iter().find(|namespace| namespace.metadata.name.as_deref() == Some(NAMESPACE));
    let labels = own.and_then(|namespace| namespace.metadata.labels.as_ref());
    match labels.and_then(|labels| labels.get("pod-security.kubernetes.io/enforce")).map(String::as_str) {
        Some("restricted") => check.pass("Pod Security"),
        level => check.warn(
            format!("Pod Security enforces {}", level.unwrap_or("nothing")),
            format!("kubectl label namespace {NAMESPACE} --overwrite pod-security.kubernetes.io/enforce=restricted"),
        ),
    }
}

pub(super) fn policies(facts: &Facts) -> Finding {
    let check = Check(Group::ControlPlane, "the kind InboundPolicy is installed");
    match &facts.kinds {
        Ok(kinds) if kinds.iter().any(|kind| kind.name.as_deref() == Some("inboundpolicies.weft.dev")) => {
            check.pass("weft.dev/v1")
        }
        Ok(_) => check.fail("there is no such kind: no policy can be written", install::again(facts)),
        Err(unknown) => check.unknown(unknown),
    }
}

pub(super) fn routes(facts: &Facts) -> Finding {
    let check = Check(Group::ControlPlane, "the Gateway API's kinds are installed");
    let kinds = match &facts.kinds {
        Ok(kinds) => kinds,
        Err(unknown) => return check.unknown(unknown),
    };
    let Some(route) = kinds.iter().find(|kind| is_http_route(kind)) else {
        return check.warn("there is no HTTPRoute: Weft works without routes", install::again(facts));
    };
    match gateway_api(route) {
        (release, "experimental") => check.pass(format!("release {release}, experimental channel")),
        (release, channel) => check.warn(
            format!("release {release}, {channel} channel: an HTTPRoute there has no `retry`"),
            "install the experimental channel if routes should retry",
        ),
    }
}

/// Whether Weft has brought a kind.
pub(super) fn is_ours(kind: &ObjectMeta) -> bool {
    let labels = kind.labels.as_ref();
    labels.and_then(|labels| labels.get("app.kubernetes.io/part-of")).is_some_and(|part| part == "weft")
}
