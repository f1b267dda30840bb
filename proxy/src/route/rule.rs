//! What a request must look like to follow a rule.

use weft_api::{Method, PathMatch, RouteMatch, RouteView, ValueMatch};

use super::{
    RouteError,
    compare::{Request, host_matches, path_prefix, query_matches},
};

/// A rule's conditions: one of the host names, and one of the matches.
#[derive(Debug)]
pub(super) struct Conditions {
    hostnames: Vec<String>,
    matches: Vec<Match>,
}

#[derive(Debug)]
struct Match {
    path: Path,
    method: Option<Method>,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
}

#[derive(Debug)]
enum Path {
    Any,
    Exact(String),
    Prefix(String),
}

impl Conditions {
    pub(super) fn new(route: &RouteView) -> Result<Self, RouteError> {
        let matches = route.matches.iter().map(|one| Match::new(&route.name, one));
        Ok(Self { hostnames: route.hostnames.clone(), matches: matches.collect::<Result<_, _>>()? })
    }

    pub(super) fn meets(&self, request: &Request<'_>) -> bool {
        let host = request.host.unwrap_or_default();
        let named = self.hostnames.is_empty() || self.hostnames.iter().any(|pattern| host_matches(pattern, host));
        named && (self.matches.is_empty() || self.matches.iter().any(|one| one.meets(request)))
    }
}

impl Match {
    fn new(route: &str, from: &RouteMatch) -> Result<Self, RouteError> {
        let refused =
            |expression: &str| RouteError::Regex { route: route.to_owned(), expression: expression.to_owned() };
        let values = |list: &[(String, ValueMatch)]| {
            let exact = |(name, value): &(String, ValueMatch)| match value {
                ValueMatch::Exact(text) => Ok((name.clone(), text.clone())),
                ValueMatch::Regex(expression) => Err(refused(expression)),
            };
            list.iter().map(exact).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            path: match &from.path {
                None => Path::Any,
                Some(PathMatch::Exact(path)) => Path::Exact(path.clone()),
                Some(PathMatch::Prefix(path)) => Path::Prefix(path.clone()),
                Some(PathMatch::Regex(expression)) => return Err(refused(expression)),
            },
            method: from.method.clone(),
            headers: values(&from.headers)?,
            query: values(&from.query)?,
        })
    }

    fn meets(&self, request: &Request<'_>) -> bool {
        let path = match &self.path {
            Path::Any => true,
            Path::Exact(path) => path.as_bytes() == request.path,
            Path::Prefix(prefix) => path_prefix(prefix.as_bytes(), request.path),
        };
        let query = request.query.unwrap_or_default();
        path && self.method.as_ref().is_none_or(|method| method.0.as_bytes() == request.method)
            && self.headers.iter().all(|(name, value)| (request.field)(name) == Some(value.as_bytes()))
            && self.query.iter().all(|(name, value)| query_matches(query, name, value))
    }
}
