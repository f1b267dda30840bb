//! `weft inject` on YAML.

use super::{
    manifest::{Done, ManifestError, inject_text},
    *,
};

const SHOP: &str = "\
# The shop.
apiVersion: v1
kind: Service
metadata: {name: users}   # stays as it is
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: users, namespace: shop}
spec: {template: {spec: {containers: [{name: app, image: users}]}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: job}]}}}}}
";

fn names(reports: &[manifest::Report]) -> Vec<&str> {
    reports.iter().map(|report| report.name.as_str()).collect()
}

#[test]
fn every_pod_template_gets_a_sidecar_and_the_rest_stays_as_it_was_written() {
    let (output, reports) = inject_text(SHOP, &InjectSettings::default()).unwrap();
    assert_eq!(names(&reports), ["deployment/users", "cronjob/nightly"]);
    assert!(
        output.starts_with(
            "# The shop.\napiVersion: v1\nkind: Service\nmetadata: {name: users}   # stays as it is\n---\n"
        )
    );
    let documents: Vec<Value> = output.split("---\n").map(|text| serde_yaml_ng::from_str(text).unwrap()).collect();
    let first = |path| documents.iter().find_map(|one| one.pointer(path)).unwrap()["name"].clone();
    assert_eq!(first("/spec/template/spec/initContainers/0"), "weft-redirect");
    assert_eq!(first("/spec/jobTemplate/spec/template/spec/initContainers/1"), "weft-proxy");
    assert_eq!(documents[1]["spec"]["template"]["metadata"]["annotations"]["weft.dev/injected"], "true");
}

#[test]
fn injecting_the_output_changes_nothing() {
    let settings = InjectSettings::default();
    let (once, _) = inject_text(SHOP, &settings).unwrap();
    let (twice, reports) = inject_text(&once, &settings).unwrap();
    assert_eq!(once, twice);
    assert!(reports.iter().all(|report| report.done == Done::Skipped(Skip::AlreadyInjected)));
}

#[test]
fn the_items_of_a_list_are_injected() {
    let list =
        "kind: List\nitems: [{kind: Pod, metadata: {name: a}, spec: {containers: [{name: app}]}}, {kind: Secret}]\n";
    let (output, reports) = inject_text(list, &InjectSettings::default()).unwrap();
    assert_eq!(names(&reports), ["pod/a"]);
    assert!(output.contains("weft-proxy"));
}

#[test]
fn a_pod_that_is_refused_is_named_and_nothing_comes_out() {
    let pod = "kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: weft-proxy}]}\n";
    let error = inject_text(pod, &InjectSettings::default()).unwrap_err();
    assert!(matches!(&error, ManifestError::Refused { name, .. } if name == "pod/a"), "{error}");
}

#[test]
fn broken_yaml_is_named_by_its_document_and_line() {
    let error = inject_text(&format!("{SHOP}---\na: [\n"), &InjectSettings::default()).unwrap_err();
    assert!(error.to_string().starts_with("document 4 (line 15)"), "{error}");
    assert_eq!(inject_text("", &InjectSettings::default()).unwrap().0, "");
}
