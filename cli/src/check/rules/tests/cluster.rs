//! The cluster itself, and what an installation needs.

use super::*;

fn server(version: (u32, u32), ours: SystemTime) -> Facts {
    let name = format!("v{}.{}.0", version.0, version.1);
    Facts { server: Ok(Server { version, name, clock: now(), ours }), ..well() }
}

#[test]
fn a_cluster_without_native_sidecars_is_too_old() {
    fails(&server((1, 28), now()), &["v1.28.0 is older than 1.29", "upgrade"]);
    assert!(complaints(&server((2, 0), now())).is_empty());
}

#[test]
fn a_clock_that_is_far_off_fails_and_one_that_is_near_passes() {
    let second = Duration::from_secs(1);
    fails(&server((1, 34), now() + 75 * second), &["75 s behind this machine's", "timedatectl"]);
    warns(&server((1, 34), now() - 30 * second), &["30 s ahead of this machine's"]);
    assert!(complaints(&server((1, 34), now() + second)).is_empty());
}

#[test]
fn a_node_that_cannot_redirect_is_named() {
    for (system, kernel) in [("linux", "3.10.0-1160.el7"), ("windows", "10.0.20348.2700")] {
        let facts = Facts { nodes: Ok(vec![node(system, kernel)]), ..well() };
        warns(&facts, &["one has", kernel]);
    }
}

#[test]
fn a_labelled_namespace_must_admit_the_redirect() {
    let mut facts = well();
    let labels = "{weft.dev/inject: enabled, pod-security.kubernetes.io/enforce: baseline}";
    facts.namespaces.as_mut().unwrap()[0] = object(&format!("metadata: {{name: shop, labels: {labels}}}"));
    fails(&facts, &["NET_ADMIN", "shop (baseline)", "kubectl label namespace shop --overwrite"]);
}

#[test]
fn before_an_installation_it_is_told_what_meshed_namespaces_need() {
    let detail = |facts: &Facts| {
        let all = before(facts);
        all.iter().find(|one| one.check == "namespaces can be meshed").unwrap().detail.clone()
    };
    assert!(detail(&well()).contains("level privileged, or none, which is not so in weft (restricted)"));
    let mut free = well();
    free.namespaces.as_mut().unwrap().retain(|one| one.metadata.name.as_deref() != Some("weft"));
    assert!(detail(&free).contains("level privileged, or none: every namespace has it"));
}

fn complaints_before(facts: &Facts) -> Vec<String> {
    let all = before(facts).into_iter().filter(|finding| finding.verdict != Verdict::Passed);
    all.map(|finding| finding.detail).collect()
}

#[test]
fn an_empty_cluster_is_ready_for_an_installation() {
    let facts = Facts { deployment: Ok(None), kinds: Ok(Vec::new()), ..well() };
    assert_eq!(complaints_before(&facts), Vec::<String>::new());
}

#[test]
fn a_missing_right_fails_an_installation_by_name() {
    let missing = Right { name: "create clusterroles.rbac.authorization.k8s.io".to_owned(), allowed: Ok(false) };
    let facts = Facts { deployment: Ok(None), rights: vec![missing], ..well() };
    let complaints = complaints_before(&facts);
    assert_eq!(complaints, ["you may not create clusterroles.rbac.authorization.k8s.io"]);
}

#[test]
fn kinds_that_others_have_brought_are_told_of_before_they_are_replaced() {
    let route = object(
        "{name: httproutes.gateway.networking.k8s.io, annotations: {gateway.networking.k8s.io/bundle-version: v1.7.0}}",
    );
    let facts = Facts { deployment: Ok(None), kinds: Ok(vec![route]), ..well() };
    let complaints = complaints_before(&facts);
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(complaints[0].contains("release v1.7.0") && complaints[0].contains("not from Weft"), "{complaints:?}");
}
