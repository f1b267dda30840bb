//! Pods that must not start as they are.

use super::*;

#[test]
fn a_container_with_the_proxys_uid_is_refused_by_name_and_place() {
    let pod = app_with("/spec/containers/0", json!({ "name": "app", "securityContext": { "runAsUser": 2102 } }));
    let message = refused(&pod).to_string();
    assert!(
        message.contains("container app") && message.contains("spec.containers[0].securityContext.runAsUser"),
        "{message}"
    );
}

#[test]
fn the_pods_own_uid_counts_where_a_container_has_none() {
    let mut pod = app();
    pod["spec"]["securityContext"] = json!({ "runAsUser": 2102 });
    assert!(refused(&pod).to_string().contains("set another spec.securityContext.runAsUser"));
    pod["spec"]["containers"][0]["securityContext"] = json!({ "runAsUser": 1000 });
    pod["spec"]["initContainers"][0]["securityContext"] = json!({ "runAsUser": 1000 });
    injected(&pod);
}

#[test]
fn an_init_container_with_the_proxys_uid_is_refused_too() {
    let pod =
        app_with("/spec/initContainers/0", json!({ "name": "migrate", "securityContext": { "runAsUser": 2102 } }));
    assert!(matches!(refused(&pod), Refusal::ProxyUid { container, .. } if container == "migrate"));
}

#[test]
fn what_another_webhook_adds_to_an_injected_pod_is_checked_as_well() {
    let mut pod = injected(&app()).pod;
    let added = json!({ "name": "agent", "securityContext": { "runAsUser": 2102 } });
    pod["spec"]["containers"].as_array_mut().unwrap().push(added);
    assert!(matches!(refused(&pod), Refusal::ProxyUid { container, .. } if container == "agent"));
}

#[test]
fn the_injectors_names_are_its_own() {
    for name in ["weft-proxy", "weft-redirect"] {
        assert!(refused(&app_with("/spec/containers/0/name", json!(name))).to_string().contains(name));
        assert!(refused(&app_with("/spec/initContainers/0/name", json!(name))).to_string().contains(name));
    }
    assert!(refused(&app_with("/spec/volumes/0/name", json!("weft-token"))).to_string().contains("volume"));
}

#[test]
fn a_pod_that_only_claims_to_be_injected_is_refused() {
    let mut pod = app();
    pod["metadata"]["annotations"] = json!({ "weft.dev/injected": "true" });
    assert_eq!(refused(&pod), Refusal::FalseClaim);
}

#[test]
fn a_port_of_the_proxys_is_refused_and_udp_is_not() {
    let ports = |protocol| json!([{ "containerPort": 4143, "protocol": protocol }]);
    let pod = app_with("/spec/containers/0/ports", ports("TCP"));
    assert_eq!(refused(&pod), Refusal::PortTaken { container: "app".into(), port: 4143 });
    injected(&app_with("/spec/containers/0/ports", ports("UDP")));
}

#[test]
fn what_is_no_pod_is_refused() {
    for other in [json!(null), json!([]), json!({ "spec": {} }), json!({ "spec": { "containers": {} } })] {
        assert_eq!(refused(&other), Refusal::NotAPod);
    }
    let mut odd = app();
    odd["spec"]["volumes"] = json!("none");
    assert_eq!(refused(&odd), Refusal::NotAPod);
}
