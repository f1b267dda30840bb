use weft_api::{AppProtocol, PathMatch, ValueMatch};

use super::*;
use crate::index::{BackendRef, Rule, TargetPort};

fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_yaml_ng::from_str(text).unwrap()
}

fn rules(rules: &str) -> (Vec<Rule>, Vec<String>) {
    let head = "metadata: {name: r, namespace: shop}\nspec:\n  parentRefs: [{group: '', kind: Service, name: users}]\n";
    let mut warnings = Vec::new();
    let route = route(&yaml(&format!("{head}  rules: {rules}\n")), &mut warnings).unwrap().unwrap();
    (route.rules, warnings.iter().map(ToString::to_string).collect())
}

#[test]
fn a_services_ports_say_what_they_speak_and_where_they_lead() {
    let wire = yaml(
        "apiVersion: v1\nkind: Service\nmetadata: {name: users, annotations: {weft.dev/opaque-ports: '25, 3300-3310'}}\n\
         spec:\n  clusterIPs: [10.0.0.1, 'fd00::1']\n  selector: {app: users}\n  ports:\n  - {port: 80, targetPort: http}\n  \
         - {port: 90, name: grpc, appProtocol: kubernetes.io/h2c, targetPort: 9090}\n  - {port: 3306}\n  \
         - {port: 53, protocol: UDP}\n",
    );
    let service = service(&wire, &mut Vec::new()).unwrap().unwrap();
    assert_eq!((service.name.to_string(), service.addresses.len()), ("default/users".into(), 2));
    let ports: Vec<_> = service.ports.iter().map(|port| (port.port, port.protocol, port.target.clone())).collect();
    assert_eq!(
        ports,
        [
            (80, AppProtocol::Detect, TargetPort::Name("http".into())),
            (90, AppProtocol::Http2, TargetPort::Number(9090)),
            (3306, AppProtocol::Opaque, TargetPort::Number(3306)),
        ]
    );
}

#[test]
fn a_pod_on_the_hosts_network_or_at_its_end_has_no_address_of_its_own() {
    let pod = |spec: &str, phase: &str| {
        let text = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a, annotations: {{weft.dev/injected: 'true'}}}}\n\
             spec: {{containers: []{spec}}}\nstatus: {{phase: {phase}, podIP: 10.1.0.1, podIPs: [{{ip: 10.1.0.1}}, {{ip: 'fd00::2'}}]}}\n"
        );
        super::pod(&yaml(&text), &mut Vec::new()).unwrap()
    };
    let running = pod("", "Running");
    assert_eq!((running.addresses.len(), running.meshed, &*running.service_account), (2, true, "default"));
    assert!(pod(", hostNetwork: true", "Running").addresses.is_empty());
    assert!(pod("", "Succeeded").addresses.is_empty());
}

#[test]
fn endpoints_that_are_not_ready_are_left_out() {
    let wire = yaml(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, namespace: shop, labels: \
         {kubernetes.io/service-name: users}}\naddressType: IPv4\nports: [{name: '', port: 80}]\nendpoints:\n\
         - {addresses: [10.1.0.1], zone: a, hints: {forZones: [{name: a}]}}\n\
         - {addresses: [10.1.0.2], conditions: {ready: false}}\n",
    );
    let slice = slice(&wire).unwrap().unwrap();
    assert_eq!((slice.endpoints.len(), &*slice.endpoints[0].zone_hints), (1, &["a".to_owned()][..]));
}

#[test]
fn what_is_other_controllers_is_no_problem() {
    let head = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nendpoints: [{addresses: [a.example]}]\n";
    let own = "metadata: {name: s, labels: {kubernetes.io/service-name: users}}\naddressType: FQDN\n";
    for text in [own, "metadata: {name: s}\naddressType: IPv4\n"] {
        assert_eq!(slice(&yaml(&format!("{head}{text}"))).unwrap(), None, "{text}");
    }
    for parent in ["{name: edge}", "{name: edge, kind: ListenerSet}", "{name: m, group: mesh.example, kind: Mesh}"] {
        let text = format!("metadata: {{name: r}}\nspec: {{parentRefs: [{parent}], rules: [{{filters: [{{}}]}}]}}\n");
        let mut warnings = Vec::new();
        assert_eq!(route(&yaml(&text), &mut warnings).unwrap(), None, "{parent}");
        assert_eq!(warnings, [], "{parent}");
    }
}

#[test]
fn a_rule_is_read_with_all_that_it_says() {
    let (rules, warnings) = rules(
        "[{matches: [{path: {type: Exact, value: /a}, method: GET, headers: [{name: X-A, value: b}], queryParams: [{name: q, \
         value: '1'}]}], backendRefs: [{name: users, port: 80, weight: 9}], timeouts: {request: 10s, backendRequest: 2s}, \
         retry: {codes: [503], attempts: 2, backoff: 100ms}}]",
    );
    assert_eq!(warnings, [""; 0]);
    let [rule] = &*rules else { panic!("{rules:?}") };
    assert_eq!(rule.matches[0].path, Some(PathMatch::Exact("/a".into())));
    assert_eq!(rule.matches[0].headers, [("x-a".into(), ValueMatch::Exact("b".into()))]);
    assert_eq!(rule.request_timeout.unwrap().as_secs(), 10);
    let retry = rule.retry.clone().unwrap();
    assert_eq!((&*retry.codes, retry.attempts, retry.backoff.as_millis()), (&[503][..], 2, 100));
    assert!(matches!(&rule.backends[..], [BackendRef::Service { port: 80, weight: 9, .. }]));
}

#[test]
fn a_rule_whose_matches_are_not_understood_is_left_out() {
    let (rules, warnings) =
        rules("[{matches: [{path: {type: RegularExpression, value: /a}}]}, {matches: [{body: x}]}, {}]");
    assert_eq!(rules.len(), 1);
    assert_eq!(warnings.len(), 2);
    assert_eq!(warnings[1], "spec.rules[1].matches[0].body is not supported");
    assert_eq!((&*rules[0].name, rules[0].matches.len()), ("2", 1), "names keep their rule's place");
}

#[test]
fn a_rule_that_should_do_more_than_is_understood_refuses_instead() {
    for (rule, field) in [
        ("filters: [{type: RequestMirror}]", "filters"),
        ("sessionPersistence: {}", "sessionPersistence"),
        ("timeouts: {request: 1.5s}", "timeouts.request"),
        ("timeouts: {request: 1s, backendRequest: 2s}", "timeouts.backendRequest"),
        ("retry: {codes: [200]}", "retry.codes[0]"),
    ] {
        let (rules, warnings) = rules(&format!("[{{{rule}, backendRefs: [{{name: users, port: 80}}]}}]"));
        assert!(matches!(&rules[0].backends[..], [BackendRef::Invalid { weight: 1 }]), "{rule}");
        assert!(warnings[0].starts_with(&format!("spec.rules[0].{field} ")), "{warnings:?}");
    }
}

#[test]
fn a_backend_in_another_namespace_is_invalid() {
    let (rules, warnings) =
        rules("[{backendRefs: [{name: users, port: 80, namespace: bank}, {name: users, port: 80}]}]");
    assert!(matches!(&rules[0].backends[..], [BackendRef::Invalid { weight: 1 }, BackendRef::Service { .. }]));
    assert_eq!(warnings.len(), 1);
}

#[test]
fn a_policy_with_a_field_that_is_not_known_is_refused_whole() {
    let policy = |spec: &str| {
        serde_yaml_ng::from_str::<InboundPolicy>(&format!("metadata: {{name: p}}\nspec: {{{spec}}}\n"))
            .map(|wire| super::policy(&wire).map_err(|finding| finding.to_string()))
    };
    assert!(policy("mode: mtls, alowedClients: []").is_err());
    assert!(policy("mode: strict").is_err());
    let read = policy("mode: mtls, ports: [80], allowedClients: ['shop/*'], podSelector: {matchLabels: {a: b}}");
    let read = read.unwrap().unwrap();
    assert!(read.require_mtls && read.allowed.is_some());
    let error = policy("allowedClients: ['shop']").unwrap().unwrap_err();
    assert_eq!(error, "spec.allowedClients[0] is not a namespace/service-account pattern: \"shop\"");
}
