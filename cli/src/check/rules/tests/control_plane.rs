//! The control plane, and the authorities that it keeps.

use super::*;

#[test]
fn a_cluster_without_weft_is_told_how_to_install_it() {
    let facts = Facts { deployment: Ok(None), ..well() };
    let complaint = &complaints(&facts)[0];
    assert_eq!(complaint.next.as_deref(), Some("weft install | kubectl apply -f -"));
}

/// One replica is wanted, and its container, which was started so often, is in this state.
fn not_running(restarts: u32, state: &str) -> Facts {
    let mut facts = well();
    facts.deployment = deployment("observedGeneration: 3, replicas: 1, updatedReplicas: 1");
    facts.replicas.as_mut().unwrap()[0] = object(&format!(
        "metadata: {{name: a, namespace: weft, labels: {{app.kubernetes.io/name: weft-control-plane}}}}
spec: {{containers: []}}
status:
  containerStatuses:
    - {{name: control-plane, ready: false, image: i, imageID: i, restartCount: {restarts}, {state}}}",
    ));
    facts
}

#[test]
fn a_replica_that_does_not_run_is_told_with_the_clusters_own_cause() {
    let facts = not_running(0, "state: {waiting: {reason: ImagePullBackOff, message: no such image}}");
    fails(&facts, &["0 of 1: weft/a: container control-plane: ImagePullBackOff no such image", "kubectl logs"]);
}

#[test]
fn a_replica_that_ends_again_and_again_is_told_with_its_last_words() {
    let state = "state: {waiting: {reason: CrashLoopBackOff}}, \
                 lastState: {terminated: {exitCode: 1, message: \"starting\\n\\n  error: no Secret can be read\\n\"}}";
    let facts = not_running(4, state);
    fails(&facts, &["weft/a: container control-plane ended with 1: error: no Secret can be read |"]);
}

#[test]
fn an_upgrade_that_has_not_begun_or_is_stuck_fails() {
    for status in [
        "observedGeneration: 2, replicas: 1, updatedReplicas: 1, readyReplicas: 1",
        "observedGeneration: 3, replicas: 1, updatedReplicas: 0, readyReplicas: 1",
        "observedGeneration: 3, replicas: 2, updatedReplicas: 1, readyReplicas: 1",
    ] {
        let facts = Facts { deployment: deployment(status), ..well() };
        fails(&facts, &["1 of 1", "an upgrade has not ended", "kubectl rollout status"]);
    }
}

#[test]
fn replicas_on_one_node_are_warned_of() {
    let mut facts = well();
    facts.replicas.as_mut().unwrap().push(control_plane());
    warns(&facts, &["all 2 are on one node"]);
}

#[test]
fn nothing_is_said_of_the_nodes_of_no_replica() {
    let spread = |facts: &Facts| after(facts).into_iter().find(|one| one.check.contains("on nodes of their own"));
    let none = Facts { replicas: Ok(Vec::new()), ..well() };
    assert_eq!(spread(&none).unwrap().verdict, Verdict::Unknown);
    let hidden = Facts { replicas: Err(refused(403, "no")), ..well() };
    assert_eq!(spread(&hidden).unwrap().verdict, Verdict::Unknown);
}

#[test]
fn another_release_than_the_tools_is_warned_of() {
    let facts = Facts { control_plane: vec![replica("0.0.9", 0)], ..well() };
    warns(&facts, &["it is 0.0.9", "by the newer"]);
}

#[test]
fn a_right_that_the_control_plane_lacks_fails_by_name() {
    let right = |allowed| vec![Right { name: "create tokenreviews".to_owned(), allowed }];
    fails(&Facts { account: right(Ok(false)), ..well() }, &["may not create tokenreviews", "binding", "weft install"]);
    let hidden = Facts { account: right(Err(refused(403, "no reviews of others"))), ..well() };
    says(&hidden, Verdict::Unknown, &["no reviews of others"]);
}

#[test]
fn objects_that_are_broken_are_named_once_over_all_replicas() {
    let saying = |severity: &str| {
        let mut replica = replica(env!("CARGO_PKG_VERSION"), 0);
        let place = "place=\"HTTPRoute shop/users\"";
        replica
            .text
            .as_mut()
            .unwrap()
            .push_str(&format!("weft_registry_problems{{{place},severity=\"{severity}\"}} 1\n"));
        replica
    };
    let facts = Facts { control_plane: vec![saying("broken"), saying("broken"), saying("warning")], ..well() };
    warns(&facts, &["broken, the last good state is kept: HTTPRoute shop/users |", "kubectl logs"]);
    warns(&Facts { control_plane: vec![saying("warning")], ..well() }, &["in part only: HTTPRoute shop/users |"]);
}

#[test]
fn an_installation_is_mended_the_way_it_was_made() {
    let next = |deployment: &str, kinds: &str| {
        let kinds = vec![object(kinds)];
        let facts = Facts { deployment: Ok(Some(object(deployment))), kinds: Ok(kinds), ..well() };
        after(&facts).into_iter().find(|one| one.check.contains("InboundPolicy")).unwrap().next.unwrap()
    };
    let env = "[{name: WEFT_TRUST_DOMAIN, value: example.com}]";
    let spec =
        format!("{{containers: [{{name: a, image: 'weft/control-plane:{}', env: {env}}}]}}", env!("CARGO_PKG_VERSION"));
    let chosen = format!("{{metadata: {{}}, spec: {{selector: {{}}, template: {{spec: {spec}}}}}}}");
    let foreign = "name: httproutes.gateway.networking.k8s.io";
    assert_eq!(
        next(&chosen, foreign),
        "weft install --trust-domain=example.com --skip-gateway-api | kubectl apply -f -, or kubectl apply -k of your overlay"
    );
    let release = "{meta.helm.sh/release-name: mesh, meta.helm.sh/release-namespace: ops}";
    let helm = format!("{{metadata: {{annotations: {release}}}, spec: {{selector: {{}}, template: {{}}}}}}");
    assert_eq!(next(&helm, foreign), "helm upgrade mesh deploy/helm/weft --namespace ops --reuse-values");
}

#[test]
fn the_kinds_must_be_there_and_the_standard_channel_lacks_retries() {
    let facts = Facts { kinds: Ok(vec![http_route("experimental")]), ..well() };
    fails(&facts, &["no policy can be written"]);
    let facts = Facts { kinds: Ok(vec![object("name: inboundpolicies.weft.dev"), http_route("standard")]), ..well() };
    warns(&facts, &["v1.6.3, standard channel", "`retry`"]);
}

#[test]
fn a_root_is_told_of_two_months_before_its_end_and_fails_after_it() {
    // What is in the bundle is what signs, whatever its age.
    let aged = |begin: SystemTime| {
        let (root, _) = certificates(begin, 365 * DAY);
        let mut facts = Facts { anchor: Ok(Some(secret(&root))), ..well() };
        facts.bundles.as_mut().unwrap()[0].data = Some([("ca.pem".to_owned(), root)].into());
        facts
    };
    warns(&aged(now() - 330 * DAY), &["35 more days", "weft identity rotate"]);
    fails(&aged(now() - 366 * DAY), &["expired", "weft identity rotate"]);
}

#[test]
fn an_issuer_that_was_not_renewed_in_time_is_told_of() {
    let issuer = |begin| Facts { issuer: Ok(Some(secret(&certificates(begin, 10 * DAY).0))), ..well() };
    assert!(complaints(&issuer(now() - 8 * DAY)).is_empty());
    warns(&issuer(now() - 9 * DAY - DAY / 4), &["18 more hours", "should have been renewed"]);
    fails(&issuer(now() - 11 * DAY), &["expired"]);
}

#[test]
fn a_namespace_whose_bundle_lacks_the_root_is_named() {
    let other = Facts { anchor: Ok(Some(secret(&certificates(now() - DAY, 365 * DAY).0))), ..well() };
    fails(&other, &["weft-trust-bundle", "in shop"]);
    fails(&Facts { bundles: Ok(Vec::new()), ..well() }, &["in shop"]);
}
