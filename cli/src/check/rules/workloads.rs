//! Pods that should be meshed and are not, and proxies that are not well.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Namespace, Pod};

use super::owner;
use crate::check::facts::{Facts, Figures};
use crate::check::figures;
use crate::check::finding::{Check, Finding, Group, some};
use crate::check::pods;
use crate::duration::duration;
use crate::install::{CONTROL_PLANE, NAMESPACE};

/// A proxy whose picture is older than this has lost the control plane, not just one connection to it.
const BEHIND: f64 = 15.0;
/// A pod may take this long to start before that is worth a word, in seconds.
const STARTING: i64 = 60;

/// What part of a leaf's life is left when something is wrong: proxies renew it with 30 % left.
const LEAF_WARNS: f64 = 0.15;
/// A leaf's life, unless WEFT_LEAF_LIFETIME says another.
const LEAF_LIFETIME: Duration = Duration::from_secs(24 * 3600);

pub(super) fn all(facts: &Facts) -> Vec<Finding> {
    let (all, namespaces) = match (&facts.pods, &facts.namespaces) {
        (Ok(pods), Ok(namespaces)) => (pods, namespaces),
        (Err(unknown), _) | (_, Err(unknown)) => {
            return vec![Check(Group::Workloads, "labelled pods are meshed").unknown(unknown)];
        }
    };
    let is_there = |name: &&String| namespaces.iter().any(|one| one.metadata.name.as_ref() == Some(name));
    if let Some(name) = facts.namespace.as_ref().filter(|name| !is_there(name)) {
        let check = Check(Group::Workloads, "the namespace is there");
        return vec![check.fail(format!("there is no namespace {name}"), "kubectl get namespaces")];
    }
    let pods: Vec<&Pod> = all.iter().filter(|pod| !pods::is_ending(pod)).collect();
    let (meshed, others): (Vec<&Pod>, Vec<&Pod>) = pods.into_iter().partition(|pod| pods::is_meshed(pod));
    let mut findings = vec![injected(&others, namespaces, meshed.len())];
    findings.extend(on_host(&others, namespaces));
    findings.extend([
        redirected(&meshed),
        ready(&meshed, facts),
        current(&meshed, facts),
        in_touch(&meshed, facts),
        renewed(facts),
    ]);
    findings.push(confirmed(facts));
    findings
}

fn injected(others: &[&Pod], namespaces: &[Namespace], meshed: usize) -> Finding {
    let check = Check(Group::Workloads, "labelled pods are meshed");
    let left_out = |pod: &&&Pod| pods::is_wanted(pod, namespaces) && !pods::is_on_host(pod);
    let left_out: Vec<&Pod> = others.iter().filter(left_out).copied().collect();
    if left_out.is_empty() {
        return check.pass(format!("{meshed} meshed pods"));
    }
    let names: Vec<String> = left_out.iter().map(|pod| pods::path(pod)).collect();
    check.fail(
        format!("they started before the label, or while the webhook was away: {}", some(&names)),
        owner::restart(&left_out),
    )
}

/// Told only where there are such.
fn on_host(others: &[&Pod], namespaces: &[Namespace]) -> Option<Finding> {
    let skipped = others.iter().filter(|pod| pods::is_wanted(pod, namespaces) && pods::is_on_host(pod));
    let names: Vec<String> = skipped.map(|pod| pods::path(pod)).collect();
    let check = Check(Group::Workloads, "labelled pods have a network of their own");
    (!names.is_empty()).then(|| {
        check.warn(
            format!("on the node's network nothing can be redirected, so these are not meshed: {}", some(&names)),
            "take hostNetwork from the pod, or label it weft.dev/inject=disabled",
        )
    })
}

fn redirected(meshed: &[&Pod]) -> Finding {
    let check = Check(Group::Workloads, "the redirect works in meshed pods");
    let failed = |pod: &&&Pod| pods::init_status(pod, pods::REDIRECT).and_then(pods::container_trouble).is_some();
    let failed: Vec<&Pod> = meshed.iter().filter(failed).copied().collect();
    let Some(first) = failed.first() else { return check.pass("in all of them") };
    let causes = failed.iter().filter_map(|pod| {
        let cause = pods::init_status(pod, pods::REDIRECT).and_then(pods::container_trouble)?;
        Some(format!("{}: {cause}", pods::path(pod)))
    });
    check.fail(some(&causes.collect::<Vec<_>>()), logs(first, pods::REDIRECT))
}

fn logs(pod: &Pod, container: &str) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    format!("kubectl logs -n {} {name} -c {container}", pods::namespace(pod))
}

fn describe(pod: &Pod) -> String {
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    format!("kubectl describe pod -n {} {name}", pods::namespace(pod))
}

fn ready(meshed: &[&Pod], facts: &Facts) -> Finding {
    let check = Check(Group::Workloads, "the proxies of meshed pods are ready");
    let ready = |pod: &&&Pod| pods::init_status(pod, pods::SIDECAR).is_some_and(|status| status.ready);
    let (ready, not): (Vec<&Pod>, Vec<&Pod>) = meshed.iter().partition(|pod| ready(pod));
    let (starting, stuck): (Vec<&Pod>, Vec<&Pod>) = not.into_iter().partition(|pod| is_starting(pod, facts));
    let line = |pod: &&Pod| {
        let cause = pods::trouble(pod).unwrap_or_else(|| "its startup probe fails".to_owned());
        format!("{}: {cause}", pods::path(pod))
    };
    if let Some(first) = stuck.first() {
        let next = if runs(first) { logs(first, pods::SIDECAR) } else { describe(first) };
        return check.fail(some(&stuck.iter().map(line).collect::<Vec<_>>()), next);
    }
    if starting.is_empty() {
        return check.pass(format!("{} proxies", ready.len()));
    }
    let names: Vec<String> = starting.iter().map(|pod| pods::path(pod)).collect();
    check.starting(some(&names), "weft check --wait 1m")
}

/// Young, or not begun and nothing is wrong: its images are pulled, its volumes made.
fn is_starting(pod: &Pod, facts: &Facts) -> bool {
    let now = facts.now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    let created = pod.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
    let young = i64::try_from(now).unwrap_or(i64::MAX) - created < STARTING;
    young || (!runs(pod) && pods::trouble(pod).is_none())
}

/// Whether its sidecar runs, ready or not.
fn runs(pod: &Pod) -> bool {
    let state = pods::init_status(pod, pods::SIDECAR).and_then(|status| status.state.as_ref());
    state.is_some_and(|state| state.running.is_some())
}

/// Whether their proxy is the one that the injector would add now.
fn current(meshed: &[&Pod], facts: &Facts) -> Finding {
    let check = Check(Group::Workloads, "the proxies are of the control plane's release");
    let Some(image) =
        facts.trial.as_ref().ok().and_then(pods::sidecar_image).or_else(|| variable(facts, "WEFT_PROXY_IMAGE"))
    else {
        return check.untold("neither the injector nor its Deployment says which", "see the injector's checks");
    };
    let old = |pod: &&&Pod| pods::sidecar_image(pod) != Some(image);
    let old: Vec<&Pod> = meshed.iter().filter(old).copied().collect();
    if old.is_empty() {
        return check.pass(image);
    }
    let names: Vec<String> = old.iter().map(|pod| pods::path(pod)).collect();
    check.warn(format!("they run another image than {image}: {}", some(&names)), owner::restart(&old))
}

/// A variable of the control plane's Deployment, where that says it in words.
fn variable<'a>(facts: &'a Facts, name: &str) -> Option<&'a str> {
    let template = facts.deployment.as_ref().ok()?.as_ref()?.spec.as_ref()?.template.spec.as_ref()?;
    let variables = template.containers.iter().flat_map(|container| container.env.iter().flatten());
    variables.filter(|variable| variable.name == name).find_map(|variable| variable.value.as_deref())
}

/// By each proxy's own figures: is its picture fresh, and does its certificate hold.
fn in_touch(meshed: &[&Pod], facts: &Facts) -> Finding {
    let check = Check(Group::Workloads, "the proxies have the control plane's picture");
    let (mut silent, mut behind) = (Vec::new(), Vec::new());
    for figures in &facts.proxies {
        match &figures.text {
            Err(_) => silent.push(figures.pod.clone()),
            Ok(text) => behind.extend(lag(text, facts).map(|lag| format!("{}: {lag}", figures.pod))),
        }
    }
    if !behind.is_empty() {
        return check.fail(some(&behind), format!("kubectl logs -n {NAMESPACE} deployment/{CONTROL_PLANE}"));
    }
    if !silent.is_empty() {
        let next = "allow the API server to reach port 4191 of the pods, and yourself the right to get pods/proxy";
        return check.untold(format!("no answer of {}", some(&silent)), next);
    }
    let served = meshed.iter().filter(|pod| pods::is_served(pod)).count();
    check.pass(format!("{} of {served} asked", facts.proxies.len()))
}

/// By the control plane's figures: has every proxy confirmed what it was sent.
fn confirmed(facts: &Facts) -> Finding {
    let check = Check(Group::Workloads, "the proxies confirm what they are sent");
    let texts = || facts.control_plane.iter().filter_map(|figures| figures.text.as_ref().ok());
    let values = |family: &'static str| texts().filter_map(move |text| figures::value(text, family));
    let (Some(behind), Some(streams)) = (
        values("weft_control_streams_behind").reduce(|sum, one| sum + one),
        values("weft_control_streams").reduce(|sum, one| sum + one),
    ) else {
        return check.untold("no replica of the control plane answers", "see the control plane's checks");
    };
    if behind == 0.0 {
        return check.pass(format!("{streams} streams"));
    }
    let longest = values("weft_control_lag_seconds").fold(0.0, f64::max);
    check.fail(
        format!("{behind} of {streams} have not for more than 5 s, one of them for {longest:.0} s"),
        facts.control_plane.iter().filter(|one| lags(one)).map(named_by).collect::<Vec<_>>().join("; "),
    )
}

fn lags(replica: &Figures) -> bool {
    let text = replica.text.as_deref().unwrap_or_default();
    figures::value(text, "weft_control_streams_behind").is_some_and(|behind| behind > 0.0)
}

/// The command that names them: a replica shows its streams on loopback only.
fn named_by(replica: &Figures) -> String {
    let name = replica.pod.rsplit('/').next().unwrap_or_default();
    format!(
        "kubectl port-forward -n {NAMESPACE} {name} 4181, and: \
         curl -s localhost:4181/snapshot | jq '.streams[] | select(.behind_seconds > 5).pod'"
    )
}

/// By each proxy's own figures: a leaf that is about to end has not been renewed when it should have been.
fn renewed(facts: &Facts) -> Finding {
    let check = Check(Group::Workloads, "the proxies renew their certificates");
    let now = facts.now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let lifetime = variable(facts, "WEFT_LEAF_LIFETIME").and_then(|text| duration(text).ok()).unwrap_or(LEAF_LIFETIME);
    let left = |figures: &Figures| {
        let end = figures::value(figures.text.as_ref().ok()?, "weft_certificate_expiry_timestamp_seconds")?;
        let is_late = end > now && end - now < lifetime.as_secs_f64() * LEAF_WARNS;
        is_late.then(|| format!("{}: {:.0} more minutes", figures.pod, (end - now) / 60.0))
    };
    let late: Vec<String> = facts.proxies.iter().filter_map(left).collect();
    if late.is_empty() {
        return check.pass("none is about to end");
    }
    check.warn(some(&late), format!("kubectl logs -n {NAMESPACE} deployment/{CONTROL_PLANE}"))
}

fn lag(metrics: &str, facts: &Facts) -> Option<String> {
    let now = facts.now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    match figures::value(metrics, "weft_certificate_expiry_timestamp_seconds") {
        Some(end) if end <= 0.0 => return Some("it has no certificate yet".to_owned()),
        Some(end) if end < now => return Some("its certificate has expired".to_owned()),
        _ => {}
    }
    match figures::value(metrics, "weft_discovery_age_seconds")? {
        age if age < 0.0 => Some("it has never heard of the control plane".to_owned()),
        age if age > BEHIND => Some(format!("its picture is {age:.0} s old")),
        _ => None,
    }
}
