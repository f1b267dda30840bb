use proptest::prelude::*;
use weft_api::{AppProtocol, Backend, Destination, Method, PathMatch, RouteView, ValueMatch};

use super::*;
use crate::{
    fixture::{mesh, objects, shop_and},
    index::{Affected, Object, ObjectName},
};

fn destination(text: &str) -> Destination {
    text.parse().unwrap()
}

fn route(name: &str, namespace: &str, parent: &str, rules: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         spec:\n  parentRefs: [{{group: '', kind: Service, name: users, namespace: shop{parent}}}]\n  rules: {rules}\n"
    )
}

fn names(routes: &[RouteView]) -> Vec<&str> {
    routes.iter().map(|route| &*route.name).collect()
}

fn policy(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: weft.dev/v1\nkind: InboundPolicy\nmetadata: {{name: {name}, namespace: shop}}\nspec: {{{spec}}}\n"
    )
}

#[test]
fn an_endpoint_is_meshed_only_by_a_pod_of_the_services_own_namespace() {
    let endpoints = endpoints(&shop_and(""), &destination("shop/users:80"), &mesh()).unwrap();
    let said: Vec<_> =
        endpoints.iter().map(|one| (one.address.to_string(), one.identity.as_deref(), &*one.pod)).collect();
    let id = "spiffe://cluster.local/ns/shop/sa/users";
    assert_eq!(
        said,
        [
            ("10.1.0.1:8080".into(), Some(id), "shop/users-a"),
            ("10.1.0.2:8080".into(), None, "shop/users-b"),
            ("10.1.0.9:8080".into(), None, ""),
        ]
    );
}

#[test]
fn what_does_not_exist_resolves_to_nothing() {
    let index = shop_and("");
    assert_eq!(endpoints(&index, &destination("shop/users:81"), &mesh()), None);
    assert_eq!(endpoints(&index, &destination("shop/orders:80"), &mesh()), Some(Vec::new()));
    assert_eq!(routes(&index, &destination("shop/gone:80"), "shop"), None);
    assert_eq!(workload(&index, "10.1.0.7".parse().unwrap(), &mesh()), None);
    assert_eq!(inbound(&index, &ObjectName::new("shop", "gone")), None);
}

#[test]
fn a_pods_ports_are_what_it_and_its_services_declare() {
    let pod = workload(&shop_and(""), "10.1.0.1".parse().unwrap(), &mesh()).unwrap();
    let ports: Vec<_> = pod.ports.iter().map(|port| (port.port, port.protocol)).collect();
    assert_eq!(ports, [(8080, AppProtocol::Detect), (9090, AppProtocol::Opaque)]);
    assert_eq!(pod.ports[0].service.as_ref().unwrap().to_string(), "shop/users");
}

#[test]
fn the_newest_of_two_pods_that_claim_an_address_has_it() {
    let late = "apiVersion: v1\nkind: Pod\nmetadata: {name: late, namespace: shop, creationTimestamp: '2026-01-01T00:00:00Z'}\n\
                status: {podIP: 10.1.0.1}\n";
    let pod = workload(&shop_and(late), "10.1.0.1".parse().unwrap(), &mesh()).unwrap();
    assert_eq!((&*pod.pod, pod.identity), ("late", None));
}

#[test]
fn ranges_are_those_set_or_else_the_blocks_in_use() {
    let index = shop_and("");
    let ranges: Vec<_> = cluster(&index, &mesh()).ranges.iter().map(ToString::to_string).collect();
    assert_eq!(ranges, ["10.1.0.0/24", "10.96.0.0/24"]);
    let set = Mesh { ranges: vec!["10.0.0.0/9".parse().unwrap(), "10.128.0.0/9".parse().unwrap()], ..mesh() };
    assert_eq!(cluster(&index, &set).ranges, ["10.0.0.0/8".parse().unwrap()]);
}

#[test]
fn a_dual_stack_service_names_each_pod_once() {
    let second = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: users-6, namespace: shop, labels: \
                  {kubernetes.io/service-name: users}}\naddressType: IPv6\nports: [{name: http, port: 8080}]\n\
                  endpoints: [{addresses: ['fd00::1']}]\n";
    let index = shop_and(second);
    assert!(endpoints(&index, &destination("shop/users:80"), &mesh()).unwrap().iter().all(|one| one.address.is_ipv4()));
}

#[test]
fn a_consumers_route_is_for_its_own_namespace_and_there_instead_of_the_producers() {
    let text = route("own", "shop", "", "[{}]") + &route("theirs", "bank", "", "[{}]");
    let index = shop_and(&text);
    for (client, name) in [("shop", "shop/own/0"), ("bank", "bank/theirs/0"), ("other", "shop/own/0")] {
        assert_eq!(names(&routes(&index, &destination("shop/users:80"), client).unwrap()), [name], "{client}");
    }
}

#[test]
fn a_parents_port_limits_its_route() {
    let index = shop_and(&route("r", "shop", ", port: 80", "[{}]"));
    assert_eq!(routes(&index, &destination("shop/users:80"), "shop").unwrap().len(), 1);
    assert_eq!(routes(&index, &destination("shop/users:90"), "shop").unwrap().len(), 0);
}

#[test]
fn a_backend_that_is_not_there_is_invalid() {
    let rule = "[{backendRefs: [{name: users, port: 80, weight: 3}, {name: users, port: 81}, {name: gone, port: 80}]}]";
    let found = routes(&shop_and(&route("r", "shop", "", rule)), &destination("shop/users:80"), "shop").unwrap();
    let valid = Backend::Destination { destination: destination("shop/users:80"), weight: 3 };
    assert_eq!(found[0].backends, [valid, Backend::Invalid { weight: 1 }, Backend::Invalid { weight: 1 }]);
}

/// In their order of precedence (Gateway API, HTTPRouteRule.matches).
const RANKED: [&str; 7] = [
    "path: {type: Exact, value: /a/b}",
    "path: {value: /a/b}, method: GET",
    "path: {value: /a/b}, headers: [{name: a, value: b}, {name: c, value: d}]",
    "path: {value: /a/b}, headers: [{name: a, value: b}], queryParams: [{name: q, value: r}]",
    "path: {value: /a/b}, headers: [{name: a, value: b}]",
    "path: {value: /a/b}",
    "path: {value: /a}, method: POST",
];

proptest! {
    #[test]
    fn the_most_specific_rule_stands_first_in_whatever_order_they_were_written(
        order in Just((0..RANKED.len()).collect::<Vec<_>>()).prop_shuffle(),
        cut in 0..RANKED.len(),
    ) {
        let rule = |at: &usize| format!("{{name: rank-{at}, matches: [{{{}}}]}}", RANKED[*at]);
        let list = |part: &[usize]| format!("[{}]", part.iter().map(rule).collect::<Vec<_>>().join(", "));
        let text = route("one", "shop", "", &list(&order[..cut])) + &route("two", "shop", "", &list(&order[cut..]));
        let found = routes(&shop_and(&text), &destination("shop/users:80"), "shop").unwrap();
        let ranks: Vec<_> = found.iter().map(|route| route.name.rsplit('-').next().unwrap().to_owned()).collect();
        prop_assert_eq!(ranks, (0..RANKED.len()).map(|at| at.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn between_equals_the_oldest_route_wins_then_its_name_then_the_rules_order() {
    let mut old = objects(&route("z", "shop", "", "[{}]"));
    let Some(Object::Route(route_of_old)) = old.first_mut() else { panic!("a route") };
    route_of_old.created = 7;
    let mut index = shop_and(&(route("b", "shop", "", "[{}, {}]") + &route("a", "shop", "", "[{}]")));
    index.apply(old.remove(0), &mut Affected::default());
    let found = routes(&index, &destination("shop/users:80"), "shop").unwrap();
    assert_eq!(names(&found), ["shop/z/0", "shop/a/0", "shop/b/0", "shop/b/1"]);
}

#[test]
fn a_match_keeps_all_of_its_conditions() {
    let rule = "[{matches: [{path: {value: /a/}, method: GET, headers: [{name: A, value: b}]}]}]";
    let found = routes(&shop_and(&route("r", "shop", "", rule)), &destination("shop/users:80"), "shop").unwrap();
    let one = &found[0].matches[0];
    assert_eq!(one.path, Some(PathMatch::Prefix("/a".into())));
    assert_eq!(
        (&one.method, &*one.headers),
        (&Some(Method("GET".into())), &[("a".into(), ValueMatch::Exact("b".into()))][..])
    );
}

#[test]
fn the_strictest_of_several_policies_wins_port_by_port() {
    let text = policy("a", "allowedClients: ['shop/*'], ports: [8080]")
        + &policy("b", "mode: mtls, allowedClients: ['*/orders']")
        + &policy("c", "podSelector: {matchLabels: {app: other}}, allowedClients: []");
    let view = inbound(&shop_and(&text), &ObjectName::new("shop", "users-a")).unwrap();
    let rule = |port| &view.ports.iter().find(|one| one.port == port).unwrap().rule;
    assert_eq!((rule(8080).require_mtls, rule(8080).all_of.len(), &*rule(8080).policy), (true, 2, "shop/a, shop/b"));
    assert_eq!((rule(9090).all_of.len(), &*rule(9090).policy), (1, "shop/b"));
    assert_eq!(&view.default_rule, rule(9090));
    assert!(rule(8080).allows(Some(("shop", "orders"))) && !rule(8080).allows(Some(("bank", "orders"))));
}

#[test]
fn a_port_that_only_a_policy_names_is_named() {
    let view =
        inbound(&shop_and(&policy("a", "mode: mtls, ports: [25]")), &ObjectName::new("shop", "users-b")).unwrap();
    let ports: Vec<_> = view.ports.iter().map(|port| (port.port, port.rule.require_mtls)).collect();
    assert_eq!(ports, [(25, true), (8080, false), (9090, false)]);
    assert!(!view.default_rule.require_mtls);
}
