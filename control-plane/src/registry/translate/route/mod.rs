//! HTTPRoute with a Service as parent.
//!
//! A rule whose *matches* are not understood is left out, as nobody can say which requests it is for (Gateway API:
//! "dropped rule"). A rule of which anything else is not understood keeps its matches and answers 500, so that what it
//! should have done to a request is never silently left undone.

mod conditions;
mod duration;
mod wire;

use std::time::Duration;

use weft_api::{RetryRule, RouteMatch, ServiceName};

use super::{Field, Finding, Problem, created, name, port};
use crate::index::{BackendRef, ObjectName, Parent, Route, Rule};
use duration::duration;
pub use wire::HttpRoute;
use wire::{BackendSpec, ParentRef, RetrySpec, RuleSpec, Timeouts, Unknown};

const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
/// GEP-1731 leaves it open; what proxies commonly wait at least.
const DEFAULT_BACKOFF: Duration = Duration::from_millis(25);

/// An HTTPRoute as the index holds it. None: no Service is among its parents.
///
/// # Errors
/// It has no name.
pub fn route(route: &HttpRoute, warnings: &mut Vec<Finding>) -> Result<Option<Route>, Finding> {
    let name = name(&route.metadata)?;
    let spec = Field::new("spec");
    let mut reader = Reader { route: &name, warnings };
    let parents = route.spec.parent_refs.iter().enumerate();
    let parents: Vec<Parent> =
        parents.filter_map(|(at, one)| reader.parent(one, &spec.key("parentRefs").index(at))).collect();
    if parents.is_empty() {
        return Ok(None);
    }
    reader.refuse_unknown(&route.spec.unknown, &spec);
    let rules = route.spec.rules.iter().enumerate();
    let rules = rules.filter_map(|(at, one)| reader.rule(at, one, &spec.key("rules").index(at))).collect();
    let hostnames = route.spec.hostnames.iter().map(|host| host.to_ascii_lowercase()).collect();
    let created = created(&route.metadata);
    Ok(Some(Route { name, created, hostnames, parents, rules }))
}

/// Reads the parts of one route; what it does not understand it notes and answers None for.
struct Reader<'a> {
    route: &'a ObjectName,
    warnings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    fn note<T>(&mut self, field: Field, problem: Problem) -> Option<T> {
        self.warnings.push(Finding { field, problem });
        None
    }

    /// Whether there was any.
    fn refuse_unknown(&mut self, unknown: &Unknown, field: &Field) -> bool {
        for key in unknown.keys() {
            self.note::<()>(field.key(key), Problem::NotSupported);
        }
        !unknown.is_empty()
    }

    fn parent(&mut self, one: &ParentRef, field: &Field) -> Option<Parent> {
        let group = one.group.as_deref().unwrap_or(GATEWAY_GROUP);
        match (group, one.kind.as_deref().unwrap_or("Gateway")) {
            ("" | "core", "Service") => {}
            (GATEWAY_GROUP, "Service") => {
                return self.note(field.key("group"), Problem::ValueNotSupported(group.to_owned()));
            }
            // Another controller's: a Gateway, a ListenerSet, another mesh's kind.
            _ => return None,
        }
        if self.refuse_unknown(&one.unknown, field) {
            return None;
        }
        let namespace = one.namespace.as_deref().unwrap_or(&self.route.namespace);
        let Ok(service) = ServiceName::new(namespace, &one.name) else {
            return self.note(field.key("name"), Problem::NotAName(one.name.clone()));
        };
        let port = match one.port {
            None => None,
            Some(number) => match port(number) {
                Some(port) => Some(port),
                None => return self.note(field.key("port"), Problem::NotAPort(number.to_string())),
            },
        };
        Some(Parent { service, port })
    }

    fn rule(&mut self, at: usize, one: &RuleSpec, field: &Field) -> Option<Rule> {
        let matches = self.matches(one, &field.key("matches"))?;
        let mut understood = !self.refuse_unknown(&one.unknown, field);
        if !one.filters.is_empty() {
            self.note::<()>(field.key("filters"), Problem::NotSupported);
            understood = false;
        }
        let timeouts = self.timeouts(one.timeouts.as_ref(), &field.key("timeouts"));
        let retry = match &one.retry {
            None => Some(None),
            Some(retry) => self.retry(retry, &field.key("retry")),
        };
        let name = one.name.clone().unwrap_or_else(|| at.to_string());
        let (true, Some((request_timeout, backend_request_timeout)), Some(retry)) = (understood, timeouts, retry)
        else {
            return Some(refusing(name, matches));
        };
        let field = field.key("backendRefs");
        let backends = one.backend_refs.iter().enumerate();
        let backends = backends.map(|(at, backend)| self.backend(backend, &field.index(at))).collect();
        Some(Rule { name, matches, backends, request_timeout, backend_request_timeout, retry })
    }

    /// No match at all means a prefix of `/`: everything.
    fn matches(&mut self, one: &RuleSpec, field: &Field) -> Option<Vec<RouteMatch>> {
        if one.matches.is_empty() {
            return Some(vec![RouteMatch::default()]);
        }
        let mut matches = Vec::with_capacity(one.matches.len());
        let mut understood = true;
        for (at, one) in one.matches.iter().enumerate() {
            let field = field.index(at);
            understood &= !self.refuse_unknown(&one.unknown, &field);
            match conditions::route_match(one, &field) {
                Ok(found) => matches.push(found),
                Err(finding) => {
                    self.warnings.push(finding);
                    understood = false;
                }
            }
        }
        understood.then_some(matches)
    }

    /// None: what is there is not understood. The request's limit and each try's; 0 is no limit.
    fn timeouts(&mut self, wire: Option<&Timeouts>, field: &Field) -> Option<(Option<Duration>, Option<Duration>)> {
        let Some(wire) = wire else { return Some((None, None)) };
        if self.refuse_unknown(&wire.unknown, field) {
            return None;
        }
        let request = self.limit(wire.request.as_deref(), &field.key("request"))?;
        let each = self.limit(wire.backend_request.as_deref(), &field.key("backendRequest"))?;
        if let (Some(request), Some(each)) = (request, each)
            && each > request
        {
            return self.note(field.key("backendRequest"), Problem::LongerThanRequest);
        }
        Some((request, each))
    }

    fn limit(&mut self, text: Option<&str>, field: &Field) -> Option<Option<Duration>> {
        let Some(text) = text else { return Some(None) };
        match duration(text) {
            Some(limit) => Some(Some(limit).filter(|limit| !limit.is_zero())),
            None => self.note(field.clone(), Problem::NotADuration(text.to_owned())),
        }
    }

    /// The outer None: what is there is not understood. The inner: nothing is to be tried again.
    fn retry(&mut self, wire: &RetrySpec, field: &Field) -> Option<Option<RetryRule>> {
        if self.refuse_unknown(&wire.unknown, field) {
            return None;
        }
        if let Some(at) = wire.codes.iter().position(|code| !(400..600).contains(code)) {
            let problem = Problem::ValueNotSupported(wire.codes[at].to_string());
            return self.note(field.key("codes").index(at), problem);
        }
        let backoff = self.limit(wire.backoff.as_deref(), &field.key("backoff"))?;
        let attempts = wire.attempts.unwrap_or(1);
        let rule = RetryRule { codes: wire.codes.clone(), attempts, backoff: backoff.unwrap_or(DEFAULT_BACKOFF) };
        Some((attempts > 0).then_some(rule))
    }

    fn backend(&mut self, one: &BackendSpec, field: &Field) -> BackendRef {
        let weight = one.weight.unwrap_or(1);
        match self.backend_service(one, field) {
            Some((service, port)) => BackendRef::Service { service, port, weight },
            None => BackendRef::Invalid { weight },
        }
    }

    fn backend_service(&mut self, one: &BackendSpec, field: &Field) -> Option<(ServiceName, u16)> {
        let group = one.group.as_deref().unwrap_or_default();
        let kind = one.kind.as_deref().unwrap_or("Service");
        if !matches!((group, kind), ("" | "core", "Service")) {
            return self.note(field.key("kind"), Problem::ValueNotSupported(kind.to_owned()));
        }
        if self.refuse_unknown(&one.unknown, field) {
            return None;
        }
        if !one.filters.is_empty() {
            return self.note(field.key("filters"), Problem::NotSupported);
        }
        let namespace = one.namespace.as_deref().unwrap_or(&self.route.namespace);
        if namespace != &*self.route.namespace {
            return self.note(field.key("namespace"), Problem::CrossNamespace(namespace.to_owned()));
        }
        let Ok(service) = ServiceName::new(namespace, &one.name) else {
            return self.note(field.key("name"), Problem::NotAName(one.name.clone()));
        };
        let Some(number) = one.port else { return self.note(field.key("port"), Problem::Missing) };
        match port(number) {
            Some(port) => Some((service, port)),
            None => self.note(field.key("port"), Problem::NotAPort(number.to_string())),
        }
    }
}

/// A rule that answers 500 to whatever it matches.
fn refusing(name: String, matches: Vec<RouteMatch>) -> Rule {
    Rule {
        name,
        matches,
        backends: vec![BackendRef::Invalid { weight: 1 }],
        request_timeout: None,
        backend_request_timeout: None,
        retry: None,
    }
}
