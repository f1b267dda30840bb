//! From a pod to the injected pod. Pure: what it knows of the cluster comes in.

use json_patch::Patch;
use serde_json::{Value, json};

use super::{
    InjectSettings, Refusal, Skip, Warning,
    annotation::Overrides,
    container,
    object::{Container, Namespace, Pod, list_at, object_at},
    probe,
};
use crate::registry::translate::INJECTED;

/// What becomes of a pod that may start.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It gets its sidecar.
    Injected(Injected),
    /// It stays as it is.
    Skipped(Skip),
}

/// A pod with its sidecar.
#[derive(Clone, Debug)]
pub struct Injected {
    /// The whole pod.
    pub pod: Value,
    /// What whoever made the pod should know.
    pub warnings: Vec<Warning>,
}

impl Injected {
    /// What has changed since it was `original`, as RFC 6902 has it.
    pub fn patch(&self, original: &Value) -> Patch {
        json_patch::diff(original, &self.pod)
    }
}

/// Puts a sidecar beside a pod, or beside the pods of a template. Injected again, a pod stays as it is.
///
/// # Errors
/// The pod must not start as it is; the message says what to change.
pub fn inject(pod: &Value, namespace: &Namespace, settings: &InjectSettings) -> Result<Outcome, Refusal> {
    let view = Pod::of(pod)?;
    if let Some(skip) = view.skip() {
        return Ok(Outcome::Skipped(skip));
    }
    if view.is_injected()? {
        // Another webhook may have added to it.
        view.check_containers()?;
        return Ok(Outcome::Skipped(Skip::AlreadyInjected));
    }
    view.check_names()?;
    view.check_containers()?;
    let overrides = Overrides::read(view, namespace).map_err(Refusal::Annotations)?;
    let warnings = warnings(view, namespace);
    let pod = with_sidecar(pod.clone(), settings, &overrides).ok_or(Refusal::NotAPod)?;
    Ok(Outcome::Injected(Injected { pod, warnings }))
}

/// None: a part of it is not what it is in a pod.
fn with_sidecar(mut pod: Value, settings: &InjectSettings, overrides: &Overrides) -> Option<Value> {
    annotate(object_at(&mut pod, "metadata")?, overrides)?;
    let spec = &mut pod["spec"];
    let probes = probe::take(spec);
    let first = [container::redirect(settings, overrides), container::proxy(settings, overrides, &probes)];
    list_at(spec, "initContainers")?.splice(0..0, first);
    list_at(spec, "volumes")?.extend(container::volumes());
    Some(pod)
}

fn annotate(metadata: &mut Value, overrides: &Overrides) -> Option<()> {
    let annotations = object_at(metadata, "annotations")?.as_object_mut()?;
    annotations.insert(INJECTED.to_owned(), json!("true"));
    if !is_scraped(|name| annotations.contains_key(name)) {
        annotations.insert("prometheus.io/scrape".to_owned(), json!("true"));
        annotations.insert("prometheus.io/port".to_owned(), json!(container::ADMIN_PORT.to_string()));
        annotations.insert("prometheus.io/path".to_owned(), json!("/metrics"));
    }
    annotations.extend(overrides.kept().map(|(name, value)| (name, json!(value))));
    Some(())
}

/// Whether the app has asked for its own metrics to be scraped: there is one such place in a pod.
fn is_scraped(has: impl Fn(&str) -> bool) -> bool {
    has("prometheus.io/scrape") || has("prometheus.io/port")
}

fn warnings(pod: Pod<'_>, namespace: &Namespace) -> Vec<Warning> {
    let enforced = namespace.labels.get("pod-security.kubernetes.io/enforce");
    let security = enforced
        .filter(|level| *level != "privileged")
        .map(|level| Warning::PodSecurity { namespace: namespace.name.clone(), level: level.clone() });
    let policy = pod.text("dnsPolicy").filter(|policy| matches!(*policy, "Default" | "None"));
    let dns = policy.map(|policy| Warning::DnsPolicy { policy: policy.to_owned() });
    let scraped = is_scraped(|name| pod.annotation(name).is_some()).then_some(Warning::AppScraped);
    security.into_iter().chain(dns).chain(scraped).chain(pod.lasting().flat_map(hooks)).collect()
}

/// Hooks that the kubelet calls over the network. They are not led through the proxy as probes are: whoever reaches the
/// admin port could then end the app.
fn hooks(one: Container<'_>) -> impl Iterator<Item = Warning> {
    ["postStart", "preStop"].into_iter().filter_map(move |hook| {
        let action = &one.value["lifecycle"][hook];
        let called = action["httpGet"].is_object() || action["tcpSocket"].is_object();
        called.then(|| Warning::LifecycleHook { container: one.name.to_owned(), hook })
    })
}
