//! What is said of an HTTPRoute to those of its parents that are Services.
//!
//! *Accepted*: the parent is there, and what the route says is understood. *ResolvedRefs*: what its rules send requests to
//! can be followed. *PartiallyInvalid*: some of its rules are not understood and answer 500. The reasons are the Gateway API's.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use weft_api::ServiceName;

use super::{CONTROLLER, Services, condition::Verdict};
use crate::{
    index::{BackendRef, Route},
    registry::translate::{Finding, HttpRoute, Problem, Step, route},
};

/// One entry of `status.parents`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ParentStatus {
    parent_ref: Value,
    controller_name: String,
    #[serde(default)]
    conditions: Vec<Condition>,
}

/// The parts of a parentRef that tell which Service is meant.
#[derive(Deserialize)]
struct ParentRef {
    group: Option<String>,
    kind: Option<String>,
    namespace: Option<String>,
    name: String,
    port: Option<i64>,
}

/// The status that an HTTPRoute should have. None: as far as it is ours, it has it.
pub(super) fn status(object: &Value, services: &Services, now: &Time) -> Option<Value> {
    let before: Vec<Value> = object["status"]["parents"].as_array().cloned().unwrap_or_default();
    let (ours, others): (Vec<Value>, Vec<Value>) =
        before.into_iter().partition(|parent| parent["controllerName"] == CONTROLLER);
    let ours: Vec<ParentStatus> = ours.into_iter().filter_map(|one| serde_json::from_value(one).ok()).collect();
    let wanted = parents(object, services, &ours, now)?;
    // In which order they stand is not compared: two controllers would move them for ever.
    let is_said = wanted.len() == ours.len() && wanted.iter().all(|parent| ours.contains(parent));
    (!is_said).then(|| {
        let wanted = wanted.iter().map(|parent| json!(parent));
        json!({ "parents": others.into_iter().chain(wanted).collect::<Vec<_>>() })
    })
}

/// None: the object is not an HTTPRoute that can be read, which its definition does not let pass.
fn parents(object: &Value, services: &Services, before: &[ParentStatus], now: &Time) -> Option<Vec<ParentStatus>> {
    let wire: HttpRoute = serde_json::from_value(object.clone()).ok()?;
    let mut findings = Vec::new();
    let route = route(&wire, &mut findings).ok()?;
    let subject = Subject { object, route, findings, services };
    let generation = object["metadata"]["generation"].as_i64();
    let refs = object["spec"]["parentRefs"].as_array().into_iter().flatten().enumerate();
    let parents = refs.filter_map(|(at, reference)| {
        let parent: ParentRef = serde_json::from_value(reference.clone()).ok()?;
        let (group, kind) = (parent.group.as_deref()?, parent.kind.as_deref()?);
        if !matches!((group, kind), ("" | "core", "Service")) {
            return None;
        }
        let known = before.iter().find(|one| one.parent_ref == *reference);
        let known = known.map(|one| &*one.conditions).unwrap_or_default();
        let verdicts = [Some(subject.accepted(&parent, at)), subject.partially_invalid(), Some(subject.resolved())];
        let conditions = verdicts.into_iter().flatten().map(|one| one.condition(generation, known, now)).collect();
        Some(ParentStatus { parent_ref: reference.clone(), controller_name: CONTROLLER.to_owned(), conditions })
    });
    Some(parents.collect())
}

/// A route, what was made of it, and what there is for it to refer to.
struct Subject<'a> {
    object: &'a Value,
    route: Option<Route>,
    findings: Vec<Finding>,
    services: &'a Services,
}

impl Subject<'_> {
    fn accepted(&self, parent: &ParentRef, at: usize) -> Verdict {
        let verdict = |holds, reason, message| Verdict { about: "Accepted", holds, reason, message };
        if let Some(finding) = self.findings.iter().find(|one| place(one, "parentRefs") == Some(at)) {
            return verdict(false, "UnsupportedValue", finding.to_string());
        }
        let own = self.object["metadata"]["namespace"].as_str().unwrap_or_default();
        let (namespace, name) = (parent.namespace.as_deref().unwrap_or(own), &parent.name);
        let service = ServiceName::new(namespace, name).ok();
        let Some(target) = service.and_then(|service| self.services.get(&service)) else {
            return verdict(false, "NoMatchingParent", format!("there is no Service {namespace}/{name}"));
        };
        if let Some(port) = parent.port
            && target.ports.iter().all(|one| i64::from(*one) != port)
        {
            let message = format!("Service {namespace}/{name} has no TCP port {port}");
            return verdict(false, "NoMatchingParent", message);
        }
        if target.is_headless {
            let message =
                format!("Service {namespace}/{name} is headless: its clients go to the pod that they have called");
            return verdict(false, "UnsupportedValue", message);
        }
        let (bad, rules) = self.bad_rules();
        if bad > 0 && bad == rules {
            return verdict(false, "UnsupportedValue", self.unsupported_text());
        }
        verdict(true, "Accepted", "requests to the Service follow this route".to_owned())
    }

    /// None: every rule is understood, or none is, which is not partial.
    fn partially_invalid(&self) -> Option<Verdict> {
        let (bad, rules) = self.bad_rules();
        let message = format!("rules that are left out or answer 500: {}", self.unsupported_text());
        let verdict = Verdict { about: "PartiallyInvalid", holds: true, reason: "UnsupportedValue", message };
        (bad > 0 && bad < rules).then_some(verdict)
    }

    fn resolved(&self) -> Verdict {
        let verdict = |holds, reason, message| Verdict { about: "ResolvedRefs", holds, reason, message };
        for finding in &self.findings {
            if let Some(reason) = unresolved(finding) {
                return verdict(false, reason, finding.to_string());
            }
        }
        let backends = self.route.iter().flat_map(|route| &route.rules).flat_map(|rule| &rule.backends);
        let mut missing = backends.filter_map(|backend| match backend {
            BackendRef::Service { service, port, .. } => {
                let has_port = self.services.get(service).is_some_and(|target| target.ports.contains(port));
                (!has_port).then(|| format!("there is no Service {service} with TCP port {port}"))
            }
            BackendRef::Invalid { .. } => None,
        });
        match missing.next() {
            Some(message) => verdict(false, "BackendNotFound", message),
            None => verdict(true, "ResolvedRefs", "every backend is there".to_owned()),
        }
    }

    /// How many rules are not understood, and how many there are.
    fn bad_rules(&self) -> (usize, usize) {
        let rules = self.object["spec"]["rules"].as_array().map_or(0, Vec::len);
        let is_bad = |rule: &usize| self.unsupported().any(|one| place(one, "rules") == Some(*rule));
        ((0..rules).filter(is_bad).count(), rules)
    }

    /// Findings that leave a rule, or the whole route, not understood.
    fn unsupported(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|one| unresolved(one).is_none() && place(one, "parentRefs").is_none())
    }

    fn unsupported_text(&self) -> String {
        self.unsupported().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

/// The Gateway API's reason, if the finding is about what a backendRef refers to.
fn unresolved(finding: &Finding) -> Option<&'static str> {
    let of_backend = finding.field.steps().iter().any(|step| *step == Step::Key("backendRefs".to_owned()));
    let last = finding.field.steps().last();
    match (&finding.problem, last) {
        (Problem::CrossNamespace(_), _) => Some("RefNotPermitted"),
        (Problem::ValueNotSupported(_), Some(Step::Key(key))) if of_backend && key == "kind" => Some("InvalidKind"),
        (Problem::Missing | Problem::NotAName(_) | Problem::NotAPort(_), _) if of_backend => Some("BackendNotFound"),
        _ => None,
    }
}

/// The index of the item of this list in `spec` that a finding is about.
fn place(finding: &Finding, list: &str) -> Option<usize> {
    match finding.field.steps() {
        [Step::Key(spec), Step::Key(key), Step::Index(at), ..] if spec == "spec" && key == list => Some(*at),
        _ => None,
    }
}
