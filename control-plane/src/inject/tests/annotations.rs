//! What annotations change.

use super::*;

fn annotated(pairs: &[(&str, &str)]) -> Value {
    let mut pod = app();
    pod["metadata"]["annotations"] =
        pairs.iter().map(|(name, value)| (format!("weft.dev/{name}"), json!(value))).collect();
    pod
}

#[test]
fn resources_have_defaults_and_can_be_set() {
    let proxy = |pod: &Value| injected(pod).pod["spec"]["initContainers"][1]["resources"].clone();
    let defaults = json!({ "requests": { "cpu": "10m", "memory": "32Mi" }, "limits": { "memory": "512Mi" } });
    assert_eq!(proxy(&app()), defaults);
    let set = proxy(&annotated(&[("cpu-limit", "2"), ("memory-request", "64Mi")]));
    assert_eq!((&set["limits"]["cpu"], &set["requests"]["memory"]), (&json!("2"), &json!("64Mi")));
}

/// A ResourceQuota on a resource refuses pods with a container that says nothing about it.
#[test]
fn a_quota_finds_every_request_and_limit_on_the_redirect() {
    let redirect = |pod: &Value| injected(pod).pod["spec"]["initContainers"][0]["resources"].clone();
    let (requests, limits) = (json!({ "cpu": "10m", "memory": "16Mi" }), json!({ "cpu": "100m", "memory": "64Mi" }));
    assert_eq!(redirect(&app()), json!({ "requests": requests, "limits": limits }));
    assert_eq!(redirect(&annotated(&[("cpu-limit", "2")]))["limits"]["cpu"], "2");
}

#[test]
fn no_default_comes_into_the_way_of_what_the_pod_as_a_whole_is_given() {
    let mut pod = annotated(&[("memory-limit", "1Gi")]);
    pod["spec"]["resources"] = json!({ "requests": { "memory": "24Mi" }, "limits": { "memory": "2Gi" } });
    let containers = injected(&pod).pod["spec"]["initContainers"].clone();
    assert_eq!(containers[0]["resources"], json!({ "requests": { "cpu": "10m" }, "limits": { "cpu": "100m" } }));
    assert_eq!(containers[1]["resources"], json!({ "requests": { "cpu": "10m" }, "limits": { "memory": "1Gi" } }));
}

#[test]
fn settings_go_to_the_containers_that_read_them() {
    let pod =
        annotated(&[("log-level", "debug"), ("skip-inbound-ports", "22"), ("skip-outbound-subnets", "192.0.2.0/24")]);
    let containers = injected(&pod).pod["spec"]["initContainers"].clone();
    let names = |at: usize| {
        let all = containers[at]["env"].as_array().unwrap().iter();
        all.filter_map(|one| one["name"].as_str()).map(str::to_owned).collect::<Vec<_>>()
    };
    let (redirect, proxy) = (names(0), names(1));
    assert!(!redirect.contains(&"WEFT_LOG".to_owned()));
    for name in ["WEFT_SKIP_INBOUND_PORTS", "WEFT_SKIP_OUTBOUND_SUBNETS"] {
        assert!(redirect.contains(&name.to_owned()), "{name}");
    }
    assert!(proxy.contains(&"WEFT_LOG".to_owned()) && proxy.contains(&"WEFT_SKIP_INBOUND_PORTS".to_owned()));
    assert!(!proxy.contains(&"WEFT_SKIP_OUTBOUND_SUBNETS".to_owned()));
}

#[test]
fn another_image_is_the_image_of_both_containers() {
    let pod = injected(&annotated(&[("proxy-image", "registry.example/weft:2")])).pod;
    for at in [0, 1] {
        assert_eq!(pod["spec"]["initContainers"][at]["image"], "registry.example/weft:2");
    }
}

#[test]
fn a_namespaces_annotations_are_defaults_that_a_pod_wins_over() {
    let mut namespace = shop();
    for (name, value) in [("log-level", "debug"), ("workers", "4"), ("opaque-ports", "3306")] {
        namespace.annotations.insert(format!("weft.dev/{name}"), value.into());
    }
    let pod = injected_in(&namespace, &annotated(&[("log-level", "warn"), ("workers", "")])).pod;
    let proxy = &pod["spec"]["initContainers"][1];
    assert_eq!(variable(proxy, "WEFT_LOG").unwrap()["value"], "warn");
    assert_eq!(variable(proxy, "WEFT_WORKERS"), None, "an empty value is the default");
    assert_eq!(
        pod["metadata"]["annotations"]["weft.dev/opaque-ports"], "3306",
        "the control plane reads it of the pod"
    );
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let pod = annotated(&[("log-level", "loud=yes"), ("workers", "many"), ("loglevel", "info"), ("inject", "enabled")]);
    let message = refused(&pod).to_string();
    for part in [
        "weft.dev/log-level: \"loud=yes\"",
        "weft.dev/workers: \"many\" of the pod cannot be used: it must be auto or a number",
        "unknown annotation weft.dev/loglevel: did you mean weft.dev/log-level?",
        "weft.dev/inject, which is a label",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn a_namespace_with_a_wrong_annotation_is_named() {
    let mut namespace = shop();
    namespace.annotations.insert("weft.dev/cpu-limit".into(), "lots".into());
    let message = inject(&app(), &namespace, &InjectSettings::default()).unwrap_err().to_string();
    assert!(message.contains("\"lots\" of namespace shop"), "{message}");
}

#[test]
fn annotations_of_others_are_none_of_our_business() {
    let mut pod = app();
    pod["metadata"]["annotations"] = json!({ "example.com/weft.dev": "x", "kubectl.kubernetes.io/restartedAt": "now" });
    assert_eq!(injected(&pod).pod["metadata"]["annotations"]["example.com/weft.dev"], "x");
}

#[test]
fn the_page_on_annotations_is_what_the_table_says() {
    let page = include_str!("../../../../docs/annotations.md");
    assert!(page == markdown(), "docs/annotations.md is out of date: run `make docs`");
}
