//! Pods before and after.

mod annotations;
mod manifests;
mod probes;
mod property;
mod refusals;

use serde_json::{Value, json};

use super::*;

/// A pod with one container.
fn app() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "users-1", "labels": { "app": "users" } },
        "spec": {
            "serviceAccountName": "users",
            "initContainers": [{ "name": "migrate", "image": "migrate" }],
            "containers": [{ "name": "app", "image": "users", "ports": [{ "name": "http", "containerPort": 8080 }] }],
            "volumes": [{ "name": "data", "emptyDir": {} }],
        },
    })
}

/// The same with one part changed.
fn app_with(pointer: &str, value: Value) -> Value {
    let mut pod = app();
    *pod.pointer_mut(pointer).unwrap() = value;
    pod
}

fn shop() -> Namespace {
    Namespace { name: "shop".into(), ..Namespace::default() }
}

fn injected(pod: &Value) -> Injected {
    injected_in(&shop(), pod)
}

fn injected_in(namespace: &Namespace, pod: &Value) -> Injected {
    match inject(pod, namespace, &InjectSettings::default()) {
        Ok(Outcome::Injected(injected)) => injected,
        other => panic!("should be injected: {other:?}"),
    }
}

fn skipped(pod: &Value) -> Skip {
    match inject(pod, &shop(), &InjectSettings::default()) {
        Ok(Outcome::Skipped(skip)) => skip,
        other => panic!("should be skipped: {other:?}"),
    }
}

fn refused(pod: &Value) -> Refusal {
    inject(pod, &shop(), &InjectSettings::default()).unwrap_err()
}

fn variable<'a>(container: &'a Value, name: &str) -> Option<&'a Value> {
    container["env"].as_array().unwrap().iter().find(|one| one["name"] == name)
}

#[test]
fn the_redirect_and_the_sidecar_come_before_the_pods_own_init_containers() {
    let pod = injected(&app()).pod;
    let names: Vec<_> = pod["spec"]["initContainers"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["weft-redirect", "weft-proxy", "migrate"]);
    assert_eq!(pod["spec"]["initContainers"][1]["restartPolicy"], "Always");
    assert_eq!(pod["spec"]["containers"].as_array().unwrap().len(), 1);
}

#[test]
fn only_the_redirect_is_root_and_only_it_has_net_admin() {
    let pod = injected(&app()).pod;
    let [redirect, proxy] = [0, 1].map(|at| pod["spec"]["initContainers"][at]["securityContext"].clone());
    assert_eq!(redirect["capabilities"], json!({ "drop": ["ALL"], "add": ["NET_ADMIN"] }));
    assert_eq!((&redirect["runAsUser"], &redirect["runAsNonRoot"]), (&json!(0), &json!(false)));
    assert_eq!(proxy["capabilities"], json!({ "drop": ["ALL"] }));
    assert_eq!((&proxy["runAsUser"], &proxy["runAsNonRoot"]), (&json!(2102), &json!(true)));
    for context in [redirect, proxy] {
        assert_eq!(context["allowPrivilegeEscalation"], false);
        assert_eq!(context["readOnlyRootFilesystem"], true);
        assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    }
}

#[test]
fn the_token_is_for_the_audience_weft_and_in_the_sidecar_alone() {
    let pod = injected(&app()).pod;
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    let token = volumes.iter().find(|volume| volume["name"] == "weft-token").unwrap();
    let source = &token["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(*source, json!({ "audience": "weft", "expirationSeconds": 3600, "path": "token" }));
    let everyone =
        pod["spec"]["initContainers"].as_array().unwrap().iter().chain(pod["spec"]["containers"].as_array().unwrap());
    let mounts = |one: &&Value| one["volumeMounts"].to_string().contains("weft-token");
    let with_token: Vec<_> = everyone.filter(mounts).map(|one| &one["name"]).collect();
    assert_eq!(with_token, ["weft-proxy"]);
    let file = variable(&pod["spec"]["initContainers"][1], "WEFT_SERVICE_ACCOUNT_TOKEN_FILE").unwrap();
    assert_eq!(file["value"], "/var/run/weft/token/token");
}

#[test]
fn the_api_server_finds_no_place_for_the_apps_own_token_in_our_containers() {
    let pod = injected(&app()).pod;
    for at in [0, 1] {
        let mounts = pod["spec"]["initContainers"][at]["volumeMounts"].as_array().unwrap();
        let there = mounts.iter().find(|mount| mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount");
        assert_eq!(there.unwrap()["name"], "weft-trust-bundle");
    }
}

#[test]
fn the_proxy_learns_from_the_downward_api_whom_it_stands_beside() {
    let proxy = injected(&app()).pod["spec"]["initContainers"][1].clone();
    for (name, path) in [
        ("WEFT_POD_NAME", "metadata.name"),
        ("WEFT_POD_NAMESPACE", "metadata.namespace"),
        ("WEFT_POD_SERVICE_ACCOUNT", "spec.serviceAccountName"),
        ("WEFT_POD_ADDRESSES", "status.podIPs"),
    ] {
        assert_eq!(variable(&proxy, name).unwrap()["valueFrom"]["fieldRef"]["fieldPath"], path);
    }
    let address = variable(&proxy, "WEFT_CONTROL_PLANE_ADDRESS").unwrap();
    assert_eq!(address["value"], "weft-control-plane.weft.svc:8443");
}

/// The kubelet sets WEFT_ADMIN_PORT=tcp://... for a Service named weft-admin, unless the container has one of its own.
#[test]
fn a_service_of_any_name_changes_no_setting_of_ours() {
    let pod = injected(&app()).pod;
    for at in [0, 1] {
        let container = &pod["spec"]["initContainers"][at];
        for (name, port) in [("OUTBOUND", "4140"), ("INBOUND", "4143"), ("TAP", "4190"), ("ADMIN", "4191")] {
            let variable = variable(container, &format!("WEFT_{name}_PORT"));
            assert_eq!(variable.map(|one| &one["value"]), Some(&json!(port)), "{name} of container {at}");
        }
    }
}

#[test]
fn the_pod_is_marked_as_meshed_and_asks_to_be_scraped() {
    let pod = injected(&app()).pod;
    let annotations = &pod["metadata"]["annotations"];
    assert_eq!(annotations["weft.dev/injected"], "true");
    assert_eq!(
        (&annotations["prometheus.io/scrape"], &annotations["prometheus.io/port"]),
        (&json!("true"), &json!("4191"))
    );
}

#[test]
fn an_app_that_is_scraped_itself_stays_so() {
    let mut pod = app();
    pod["metadata"]["annotations"] = json!({ "prometheus.io/scrape": "true", "prometheus.io/port": "9000" });
    let Injected { pod, warnings } = injected(&pod);
    assert_eq!(pod["metadata"]["annotations"]["prometheus.io/port"], "9000");
    assert_eq!(warnings, [Warning::AppScraped]);
}

#[test]
fn an_injected_pod_is_left_alone() {
    let once = injected(&app()).pod;
    assert_eq!(skipped(&once), Skip::AlreadyInjected);
}

#[test]
fn what_cannot_have_a_sidecar_is_skipped_and_said() {
    let mut host = app();
    host["spec"]["hostNetwork"] = json!(true);
    assert_eq!(skipped(&host), Skip::HostNetwork);
    assert!(Skip::HostNetwork.warning().unwrap().contains("hostNetwork"));
    let mut windows = app();
    windows["spec"]["os"] = json!({ "name": "windows" });
    assert_eq!(skipped(&windows), Skip::Windows);
    let mut selected = app();
    selected["spec"]["nodeSelector"] = json!({ "kubernetes.io/os": "windows" });
    assert_eq!(skipped(&selected), Skip::Windows);
    let mut declined = app();
    declined["metadata"]["labels"]["weft.dev/inject"] = json!("disabled");
    assert_eq!((skipped(&declined), Skip::Disabled.warning()), (Skip::Disabled, None));
}

#[test]
fn a_namespace_that_would_refuse_net_admin_is_warned_of() {
    let mut namespace = shop();
    for (level, warned) in [("privileged", false), ("baseline", true), ("restricted", true)] {
        namespace.labels.insert("pod-security.kubernetes.io/enforce".into(), level.into());
        let warnings = injected_in(&namespace, &app()).warnings;
        assert_eq!(warnings.iter().any(|one| matches!(one, Warning::PodSecurity { .. })), warned, "{level}");
    }
}

#[test]
fn hooks_over_the_network_and_foreign_dns_are_warned_of() {
    let mut pod = app();
    pod["spec"]["dnsPolicy"] = json!("Default");
    pod["spec"]["containers"][0]["lifecycle"] = json!({ "preStop": { "httpGet": { "path": "/bye", "port": 8080 } } });
    let warnings: Vec<_> = injected(&pod).warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].starts_with("dnsPolicy Default") && warnings[1].starts_with("preStop of container app"));
}
