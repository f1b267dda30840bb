use std::collections::HashMap;

use proptest::prelude::*;
use weft_api::{AppProtocol, Backend as BackendView, Method, PathMatch, RouteMatch, ValueMatch};

use super::*;
use crate::balance;

const USERS: &str = "shop/users:80";
const OTHER: &str = "shop/other:80";

fn backend(destination: &Destination) -> Arc<Backend> {
    Arc::new(Backend::new(destination.clone(), AppProtocol::Detect, balance::Settings::default()))
}

fn to(destination: &str, weight: u32) -> BackendView {
    BackendView::Destination { destination: destination.parse().unwrap(), weight }
}

fn route(name: &str, matches: Vec<RouteMatch>) -> RouteView {
    RouteView {
        name: name.into(),
        hostnames: Vec::new(),
        matches,
        backends: vec![to(USERS, 1)],
        request_timeout: None,
        backend_request_timeout: None,
        retry: None,
    }
}

fn prefix(path: &str) -> RouteMatch {
    RouteMatch { path: Some(PathMatch::Prefix(path.into())), ..Default::default() }
}

/// The rule that `GET path` with these header fields follows.
fn found(table: &RouteTable, path: &str, fields: &[(&str, &str)]) -> Option<String> {
    let lookup = |name: &str| {
        fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_bytes())
    };
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let request = Request {
        method: b"GET",
        path: path.as_bytes(),
        query: query.map(str::as_bytes),
        host: lookup("host"),
        field: &lookup,
    };
    match table.find_for(&request) {
        Found::Rule(rule) => Some(rule.name.to_string()),
        Found::NoRoutes => Some("none".into()),
        Found::NoMatch => None,
    }
}

fn table(routes: Vec<RouteView>) -> RouteTable {
    RouteTable::new(routes, backend).unwrap()
}

#[test]
fn the_first_rule_that_matches_wins() {
    let table = table(vec![route("a", vec![prefix("/v2")]), route("b", vec![prefix("/")])]);
    assert_eq!(found(&table, "/v2/x", &[]).as_deref(), Some("a"));
    assert_eq!(found(&table, "/v3", &[]).as_deref(), Some("b"));
}

#[test]
fn no_routes_and_no_match_are_told_apart() {
    assert_eq!(found(&table(Vec::new()), "/", &[]).as_deref(), Some("none"));
    assert_eq!(found(&table(vec![route("a", vec![prefix("/v2")])]), "/", &[]), None);
}

#[test]
fn all_of_a_match_must_fit_and_any_of_the_matches() {
    let canary = RouteMatch {
        headers: vec![("x-canary".into(), ValueMatch::Exact("yes".into()))],
        query: vec![("v".into(), ValueMatch::Exact("2".into()))],
        method: Some(Method("GET".into())),
        ..prefix("/")
    };
    let post = RouteMatch { method: Some(Method("POST".into())), ..Default::default() };
    let table = table(vec![route("a", vec![canary, post, prefix("/b")])]);
    assert_eq!(found(&table, "/?v=2", &[("X-Canary", "yes")]).as_deref(), Some("a"));
    assert_eq!(found(&table, "/?v=2", &[("X-Canary", "no")]), None);
    assert_eq!(found(&table, "/", &[("X-Canary", "yes")]), None);
    assert_eq!(found(&table, "/b", &[]).as_deref(), Some("a"));
}

#[test]
fn a_rule_with_host_names_wants_one_of_them() {
    let named = RouteView { hostnames: vec!["users.shop".into(), "*.example".into()], ..route("a", Vec::new()) };
    let table = table(vec![named]);
    assert_eq!(found(&table, "/", &[("Host", "users.shop:80")]).as_deref(), Some("a"));
    assert_eq!(found(&table, "/", &[("Host", "b.a.example")]).as_deref(), Some("a"));
    assert_eq!(found(&table, "/", &[("Host", "users")]), None);
    assert_eq!(found(&table, "/", &[]), None);
}

#[test]
fn regular_expressions_are_refused_by_name() {
    let regex = RouteMatch { path: Some(PathMatch::Regex("/(a+)+".into())), ..Default::default() };
    let error = RouteTable::new(vec![route("shop/users/0", vec![regex])], backend).unwrap_err();
    assert_eq!(error, RouteError::Regex { route: "shop/users/0".into(), expression: "/(a+)+".into() });
}

#[test]
fn a_share_of_a_backend_that_does_not_exist_goes_nowhere() {
    let mut split = route("a", Vec::new());
    split.backends = vec![BackendView::Invalid { weight: 1 }, to(USERS, 0)];
    let none = table(vec![split]);
    assert!(none.rules().iter().all(|rule| (0..50).all(|_| rule.split.pick().is_none())));
    let empty = table(vec![RouteView { backends: Vec::new(), ..route("b", Vec::new()) }]);
    assert!(empty.rules().iter().all(|rule| rule.split.pick().is_none()));
}

proptest! {
    #[test]
    fn a_split_follows_its_weights(first in 0_u32..10, second in 0_u32..10, invalid in 0_u32..10) {
        let backends = vec![to(USERS, first), BackendView::Invalid { weight: invalid }, to(OTHER, second)];
        let table = table(vec![RouteView { backends, ..route("a", Vec::new()) }]);
        let total = f64::from(first + second + invalid).max(1.0);
        const DRAWS: u32 = 3_000;
        let mut counts = HashMap::new();
        for _ in 0..DRAWS {
            let picked = table.rules()[0].split.pick().map(|backend| backend.destination.to_string());
            *counts.entry(picked).or_insert(0_u32) += 1;
        }
        let share = |name: Option<&str>| f64::from(counts.get(&name.map(String::from)).copied().unwrap_or(0)) / f64::from(DRAWS);
        for (name, weight) in [(USERS, first), (OTHER, second)] {
            prop_assert!((share(Some(name)) - f64::from(weight) / total).abs() < 0.06);
            prop_assert!(weight > 0 || share(Some(name)) == 0.0, "weight 0 gets nothing");
        }
        prop_assert!(invalid > 0 || first + second == 0 || share(None) == 0.0);
    }

    #[test]
    fn the_rule_found_depends_on_the_order_alone(picks in prop::collection::vec(0_usize..4, 1..8), path in 0_usize..4) {
        let prefixes = ["/", "/a", "/a/b", "/c"];
        let routes = picks.iter().enumerate().map(|(i, p)| route(&i.to_string(), vec![prefix(prefixes[*p])])).collect();
        let wanted = picks.iter().position(|p| compare::path_prefix(prefixes[*p].as_bytes(), prefixes[path].as_bytes()));
        prop_assert_eq!(found(&table(routes), prefixes[path], &[]), wanted.map(|i| i.to_string()));
    }
}
