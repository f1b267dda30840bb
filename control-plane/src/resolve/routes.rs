//! A destination's routes, as clients of one namespace see them, in the Gateway API's order of precedence.
//!
//! A rule with several matches or host names stands in the list once for each, because each has its own precedence.

use std::cmp::Reverse;

use weft_api::{Backend, Destination, PathMatch, RouteMatch, RouteView};

use crate::index::{BackendRef, Index, Route, Rule};

/// The routes of a Service's port for clients of this namespace. None: there is no such Service, or no such port.
///
/// A route in another namespace than its parent's is a consumer route: it is for clients of its own namespace, and
/// where a client has one, the producer's routes do not apply to it.
pub fn routes(index: &Index, destination: &Destination, client_namespace: &str) -> Option<Vec<RouteView>> {
    let service = index.service(&destination.service)?;
    service.ports.iter().find(|port| port.port == destination.port)?;
    let attached = || index.routes_for(&service.name).filter(|route| is_for(route, destination));
    let of_namespace =
        |namespace: &str| -> Vec<&Route> { attached().filter(|route| &*route.name.namespace == namespace).collect() };
    let mut chosen = of_namespace(client_namespace);
    if chosen.is_empty() {
        chosen = of_namespace(&service.name.namespace);
    }
    let mut ranked: Vec<(Rank<'_>, RouteView)> = Vec::new();
    for route in chosen {
        for (position, rule) in route.rules.iter().enumerate() {
            ranked.extend(views(index, route, position, rule));
        }
    }
    ranked.sort_by(|(one, _), (other, _)| one.cmp(other));
    Some(ranked.into_iter().map(|(_, view)| view).collect())
}

fn is_for(route: &Route, destination: &Destination) -> bool {
    let is_parent = |port: Option<u16>| port.is_none_or(|port| port == destination.port);
    route.parents.iter().any(|parent| parent.service == destination.service && is_parent(parent.port))
}

/// The Gateway API's precedence, most specific first; what is equal in all of it stays in its rule's order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank<'a> {
    exact_host: Reverse<usize>,
    host: Reverse<usize>,
    exact_path: Reverse<bool>,
    path: Reverse<usize>,
    method: Reverse<bool>,
    headers: Reverse<usize>,
    query: Reverse<usize>,
    created: i64,
    namespace: &'a str,
    name: &'a str,
    rule: usize,
    position: usize,
}

fn rank<'a>(route: &'a Route, rule: usize, host: Option<&str>, position: usize, one: &RouteMatch) -> Rank<'a> {
    let host = host.unwrap_or_default();
    let (exact_path, path) = match &one.path {
        Some(PathMatch::Exact(path)) => (true, path.chars().count()),
        Some(PathMatch::Prefix(path) | PathMatch::Regex(path)) => (false, path.chars().count()),
        None => (false, 0),
    };
    Rank {
        exact_host: Reverse(if host.starts_with("*.") { 0 } else { host.len() }),
        host: Reverse(host.len()),
        exact_path: Reverse(exact_path),
        path: Reverse(path),
        method: Reverse(one.method.is_some()),
        headers: Reverse(one.headers.len()),
        query: Reverse(one.query.len()),
        // No time is no age: it loses against every route that has one.
        created: if route.created == 0 { i64::MAX } else { route.created },
        namespace: &route.name.namespace,
        name: &route.name.name,
        rule,
        position,
    }
}

fn views<'a>(index: &Index, route: &'a Route, position: usize, rule: &Rule) -> Vec<(Rank<'a>, RouteView)> {
    let backends: Vec<Backend> = rule.backends.iter().map(|backend| resolved(index, backend)).collect();
    let hosts: Vec<Option<&str>> = match &*route.hostnames {
        [] => vec![None],
        hostnames => hostnames.iter().map(|host| Some(&**host)).collect(),
    };
    let each = rule.matches.iter().enumerate().flat_map(|one| hosts.iter().map(move |host| (*host, one)));
    let view = |(host, (at, one)): (Option<&str>, (usize, &RouteMatch))| {
        let view = RouteView {
            name: format!("{}/{}", route.name, rule.name),
            hostnames: host.map(str::to_owned).into_iter().collect(),
            matches: vec![one.clone()],
            backends: backends.clone(),
            request_timeout: rule.request_timeout,
            backend_request_timeout: rule.backend_request_timeout,
            retry: rule.retry.clone(),
        };
        (rank(route, position, host, at, one), view)
    };
    each.map(view).collect()
}

fn resolved(index: &Index, backend: &BackendRef) -> Backend {
    match backend {
        BackendRef::Invalid { weight } => Backend::Invalid { weight: *weight },
        BackendRef::Service { service, port, weight } => {
            let exists = index.service(service).is_some_and(|one| one.ports.iter().any(|one| one.port == *port));
            let destination = Destination { service: service.clone(), port: *port };
            let weight = *weight;
            if exists { Backend::Destination { destination, weight } } else { Backend::Invalid { weight } }
        }
    }
}
