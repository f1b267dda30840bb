//! Pods that should be meshed, and their proxies.

use super::*;

fn with(pod: &str) -> Facts {
    let mut facts = well();
    facts.pods.as_mut().unwrap().push(object(pod));
    facts
}

/// A pod from before the label, with what makes it anew.
fn old(name: &str, owner: &str) -> Facts {
    let labels = "{pod-template-hash: 7d9c}";
    let owners = format!("[{{apiVersion: a/v1, controller: true, uid: u, {owner}}}]");
    with(&format!(
        "{{metadata: {{name: {name}, namespace: shop, labels: {labels}, ownerReferences: {owners}}}, spec: {{containers: []}}}}"
    ))
}

#[test]
fn a_pod_from_before_the_label_is_named_with_what_makes_it_anew() {
    let restart = |kind: &str| format!("kubectl rollout restart -n shop {kind}");
    fails(
        &old("users-7d9c-x", "kind: ReplicaSet, name: users-7d9c"),
        &["shop/users-7d9c-x", &restart("deployment/users")],
    );
    fails(&old("db-0", "kind: StatefulSet, name: db"), &["shop/db-0", &restart("statefulset/db")]);
    fails(&old("log-x", "kind: DaemonSet, name: log"), &["shop/log-x", &restart("daemonset/log")]);
    fails(&old("once-x", "kind: Job, name: once"), &["shop/once-x", "kubectl delete pod -n shop once-x"]);
    let bare = with("{metadata: {name: bare, namespace: shop}, spec: {containers: []}}");
    fails(&bare, &["shop/bare", "kubectl delete pod -n shop bare, and apply its manifest again"]);
}

#[test]
fn a_pod_that_ends_is_not_judged() {
    let ending = "deletionTimestamp: '2024-10-04T00:00:00Z'";
    let bare = with(&format!("{{metadata: {{name: old, namespace: shop, {ending}}}, spec: {{containers: []}}}}"));
    assert!(complaints(&bare).is_empty(), "{:?}", complaints(&bare));
    let meshed = "annotations: {weft.dev/injected: 'true'}";
    let meshed =
        with(&format!("{{metadata: {{name: old, namespace: shop, {meshed}, {ending}}}, spec: {{containers: []}}}}"));
    assert!(complaints(&meshed).is_empty(), "{:?}", complaints(&meshed));
}

/// A meshed pod of long ago whose sidecar has not begun to run.
fn pending(status: &str) -> Facts {
    with(&format!(
        "metadata: {{name: late, namespace: shop, annotations: {{weft.dev/injected: 'true'}}}}
spec: {{containers: [], initContainers: [{{name: weft-proxy, image: 'weft/proxy:0.1.0'}}]}}
status: {status}"
    ))
}

#[test]
fn a_pod_that_cannot_start_is_told_with_the_clusters_own_cause() {
    let unscheduled = "{type: PodScheduled, status: 'False', reason: Unschedulable, message: no node has room}";
    let unscheduled = pending(&format!("{{phase: Pending, conditions: [{unscheduled}]}}"));
    fails(&unscheduled, &["shop/late: cannot be scheduled: no node has room", "kubectl describe pod -n shop late"]);
    let state = "{waiting: {reason: ImagePullBackOff, message: no such image}}";
    let unpulled =
        format!("{{name: weft-proxy, ready: false, image: i, imageID: '', restartCount: 0, state: {state}}}");
    let unpulled = pending(&format!("{{phase: Pending, initContainerStatuses: [{unpulled}]}}"));
    fails(&unpulled, &["shop/late: container weft-proxy: ImagePullBackOff no such image", "kubectl describe pod"]);
}

#[test]
fn a_pod_whose_images_are_still_pulled_is_starting_whatever_its_age() {
    let state = "{waiting: {reason: PodInitializing}}";
    let pulling = format!("{{name: weft-proxy, ready: false, image: i, imageID: '', restartCount: 0, state: {state}}}");
    let pulling = pending(&format!("{{phase: Pending, initContainerStatuses: [{pulling}]}}"));
    says(&pulling, Verdict::Starting, &["shop/late", "weft check --wait"]);
}

#[test]
fn a_pods_own_label_wins_over_its_namespaces() {
    let pod = |namespace: &str, value: &str| {
        with(&format!(
            "{{metadata: {{name: a, namespace: {namespace}, labels: {{weft.dev/inject: {value}}}}}, spec: {{containers: []}}}}"
        ))
    };
    assert!(complaints(&pod("shop", "disabled")).is_empty());
    fails(&pod("other", "enabled"), &["other/a"]);
    assert!(complaints(&pod("kube-system", "enabled")).is_empty());
}

#[test]
fn a_pod_on_the_nodes_network_is_warned_of() {
    let facts = with("{metadata: {name: agent, namespace: shop}, spec: {hostNetwork: true, containers: []}}");
    warns(&facts, &["shop/agent", "hostNetwork"]);
}

#[test]
fn a_redirect_that_failed_is_told_with_the_logs_to_read() {
    let mut facts = well();
    let pod = facts.pods.as_mut().unwrap().last_mut().unwrap();
    let statuses = pod.status.as_mut().unwrap().init_container_statuses.as_mut().unwrap();
    let ended = statuses[0].state.as_mut().unwrap().terminated.as_mut().unwrap();
    (ended.exit_code, ended.message) = (1, Some("nf_tables is not there".to_owned()));
    fails(&facts, &["shop/users", "nf_tables is not there", "kubectl logs -n shop users -c weft-redirect"]);
}

#[test]
fn a_proxy_that_is_not_ready_fails_once_it_has_had_time_to_start() {
    let born = |created: SystemTime| {
        let mut facts = well();
        let pod = facts.pods.as_mut().unwrap().last_mut().unwrap();
        pod.status.as_mut().unwrap().init_container_statuses.as_mut().unwrap()[1].ready = false;
        let created = created.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let time = k8s_openapi::jiff::Timestamp::from_second(i64::try_from(created).unwrap()).unwrap();
        pod.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(time));
        facts
    };
    says(&born(now() - Duration::from_secs(5)), Verdict::Starting, &["shop/users"]);
    fails(&born(now() - DAY), &["shop/users: its startup probe fails", "-c weft-proxy"]);
}

#[test]
fn a_proxy_of_another_release_is_named() {
    let mut facts = well();
    let pod = facts.pods.as_mut().unwrap().last_mut().unwrap();
    let containers = pod.spec.as_mut().unwrap().init_containers.as_mut().unwrap();
    containers[0].image = Some("weft/proxy:0.0.9".to_owned());
    warns(&facts, &["another image than weft/proxy:0.1.0: shop/users", "kubectl delete pod -n shop users"]);
}

#[test]
fn a_proxy_that_is_behind_or_has_no_certificate_is_named() {
    let saying = |text: &str| Facts { proxies: vec![figures("shop/users", text)], ..well() };
    fails(&saying("weft_discovery_age_seconds 42\n"), &["shop/users: its picture is 42 s old"]);
    fails(&saying("weft_discovery_age_seconds -1\n"), &["never heard"]);
    fails(&saying("weft_certificate_expiry_timestamp_seconds 0\n"), &["no certificate yet"]);
    fails(&saying("weft_certificate_expiry_timestamp_seconds 1000\n"), &["has expired"]);
    let silent = Figures { pod: "shop/users".to_owned(), text: Err(refused(403, "pods/proxy is forbidden")) };
    let silent = Facts { proxies: vec![silent], ..well() };
    says(&silent, Verdict::Unknown, &["cannot be told: no answer of shop/users"]);
}

#[test]
fn a_leaf_that_should_have_been_renewed_is_told_of_before_it_ends() {
    let ending = |left: Duration| {
        let end = (now() + left).duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let text = format!("weft_certificate_expiry_timestamp_seconds {end}\n");
        Facts { proxies: vec![figures("shop/users", &text)], ..well() }
    };
    warns(&ending(Duration::from_secs(3 * 3600)), &["shop/users: 180 more minutes", "kubectl logs"]);
    assert!(complaints(&ending(Duration::from_secs(4 * 3600))).is_empty());
    // Leaves of an hour are renewed with 18 minutes left.
    let mut short = ending(Duration::from_secs(20 * 60));
    let env = "[{name: WEFT_LEAF_LIFETIME, value: 1h}]";
    let spec = object(&format!("{{containers: [{{name: control-plane, env: {env}}}]}}"));
    short.deployment.as_mut().unwrap().as_mut().unwrap().spec.as_mut().unwrap().template.spec = Some(spec);
    assert!(complaints(&short).is_empty());
}

#[test]
fn proxies_that_do_not_confirm_are_counted_over_all_replicas() {
    let version = env!("CARGO_PKG_VERSION");
    let facts = Facts { control_plane: vec![replica(version, 0), replica(version, 2)], ..well() };
    fails(&facts, &["2 of 6", "for 7 s", "kubectl port-forward -n weft weft-control-plane-a 4181", "/snapshot"]);
}

#[test]
fn it_is_told_how_many_of_the_proxies_were_asked() {
    let mut facts = well();
    facts.pods.as_mut().unwrap().push(meshed("another"));
    let all = after(&facts);
    let asked = all.iter().find(|finding| finding.check == "the proxies have the control plane's picture");
    assert_eq!(asked.unwrap().detail, "1 of 2 asked");
}

#[test]
fn a_namespace_that_is_not_there_fails() {
    let findings = after(&Facts { namespace: Some("shp".to_owned()), ..well() });
    assert_eq!(findings.last().unwrap().detail, "there is no namespace shp");
    assert!(!report::ok(&findings));
}

#[test]
fn where_no_trial_pod_is_admitted_the_deployment_names_the_image() {
    let mut facts = Facts { trial: Err(refused(403, "violates PodSecurity")), ..well() };
    let image = "[{name: WEFT_PROXY_IMAGE, value: 'weft/proxy:0.0.9'}]";
    let spec = object(&format!("{{containers: [{{name: control-plane, env: {image}}}]}}"));
    facts.deployment.as_mut().unwrap().as_mut().unwrap().spec.as_mut().unwrap().template.spec = Some(spec);
    warns(&facts, &["another image than weft/proxy:0.0.9: shop/users"]);
}
