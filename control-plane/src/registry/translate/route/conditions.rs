//! What a request must look like for a rule.

use weft_api::{Method, PathMatch, RouteMatch, ValueMatch};

use super::wire::{MatchSpec, PathSpec, ValueSpec};
use super::{Field, Finding, Problem};

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// One match of a rule.
///
/// # Errors
/// A condition that this release does not know.
pub(super) fn route_match(one: &MatchSpec, field: &Field) -> Result<RouteMatch, Finding> {
    let path = one.path.as_ref().map(|wire| path(wire, &field.key("path"))).transpose()?.flatten();
    let headers = values(&one.headers, &field.key("headers"), |name| name.to_ascii_lowercase())?;
    let query = values(&one.query_params, &field.key("queryParams"), str::to_owned)?;
    let method = match &one.method {
        Some(method) if !METHODS.contains(&&**method) => {
            return Err(Finding { field: field.key("method"), problem: Problem::ValueNotSupported(method.clone()) });
        }
        method => method.clone().map(Method),
    };
    Ok(RouteMatch { path, headers, query, method })
}

/// None: every path. A prefix matches on segments, so one slash at its end says nothing.
fn path(wire: &PathSpec, field: &Field) -> Result<Option<PathMatch>, Finding> {
    let value = wire.value.as_deref().unwrap_or("/");
    if !value.starts_with('/') {
        return Err(Finding { field: field.key("value"), problem: Problem::NotAPath(value.to_owned()) });
    }
    match wire.kind.as_deref().unwrap_or("PathPrefix") {
        "Exact" => Ok(Some(PathMatch::Exact(value.to_owned()))),
        "PathPrefix" => {
            let prefix = value.strip_suffix('/').unwrap_or(value);
            Ok((!prefix.is_empty()).then(|| PathMatch::Prefix(prefix.to_owned())))
        }
        other => Err(Finding { field: field.key("type"), problem: Problem::ValueNotSupported(other.to_owned()) }),
    }
}

/// Of several conditions on one name the first counts (Gateway API).
fn values(
    wire: &[ValueSpec],
    field: &Field,
    name: impl Fn(&str) -> String,
) -> Result<Vec<(String, ValueMatch)>, Finding> {
    let mut found: Vec<(String, ValueMatch)> = Vec::with_capacity(wire.len());
    for (at, one) in wire.iter().enumerate() {
        match one.kind.as_deref().unwrap_or("Exact") {
            "Exact" => {}
            other => {
                let problem = Problem::ValueNotSupported(other.to_owned());
                return Err(Finding { field: field.index(at).key("type"), problem });
            }
        }
        let name = name(&one.name);
        if found.iter().all(|(known, _)| *known != name) {
            found.push((name, ValueMatch::Exact(one.value.clone())));
        }
    }
    Ok(found)
}
