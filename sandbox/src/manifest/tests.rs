//! What manifests mean, and what is said about the rest.

use super::*;

const DEPLOYMENT: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {weft.dev/inject: enabled}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: users, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: users}}
  template:
    metadata: {labels: {app: users}}
    spec:
      serviceAccountName: users
      containers:
      - name: users
        image: example/users
        command: [users]
        args: [--port, "8080"]
        env:
        - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: LEVEL, value: info}
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /ready, port: http}, periodSeconds: 2}
        resources: {limits: {cpu: "1"}}
---
apiVersion: v1
kind: Service
metadata: {name: users, namespace: shop}
spec:
  selector: {app: users}
  ports: [{name: http, port: 80, targetPort: http}]
"#;

fn read(text: &str) -> Result<Manifests, ManifestError> {
    let mut manifests = Manifests::default();
    manifests.add(text, "test").map(|()| manifests)
}

#[test]
fn a_deployment_is_read_with_its_containers() {
    let manifests = read(DEPLOYMENT).unwrap();
    let workload = &manifests.workloads[0];
    assert_eq!((workload.namespace.as_str(), workload.name.as_str(), workload.replicas), ("shop", "users", Some(3)));
    let container = &workload.template.containers[0];
    assert_eq!(container.command, ["users", "--port", "8080"]);
    assert_eq!(container.env[0], ("POD".into(), EnvValue::Field(FieldRef::Name)));
    let probe = container.readiness.as_ref().unwrap();
    assert_eq!(probe.period.as_secs(), 2);
    let ProbeAction::HttpGet { port, .. } = &probe.action else { panic!("{probe:?}") };
    assert_eq!(port.resolve(container), Some(8080));
}

#[test]
fn a_field_that_cannot_be_honoured_is_named_in_one_line() {
    let manifests = read(DEPLOYMENT).unwrap();
    let expected = "Deployment shop/users: the field spec.template.spec.containers[0].resources is not honoured";
    assert_eq!(manifests.warnings, [expected]);
}

#[test]
fn the_label_of_the_namespace_asks_for_a_sidecar_and_the_pods_own_overrules_it() {
    let manifests = read(DEPLOYMENT).unwrap();
    assert!(manifests.injected(&manifests.workloads[0]));
    let mut refusing = manifests.workloads[0].clone();
    refusing.template.labels.insert(INJECT_LABEL.into(), "disabled".into());
    assert!(!manifests.injected(&refusing));
}

#[test]
fn a_container_without_command_is_refused_with_the_reason() {
    let error = read("{kind: Pod, metadata: {name: a}, spec: {containers: [{name: c, image: i}]}}").unwrap_err();
    assert!(error.to_string().starts_with("Pod default/a: container c has no command"), "{error}");
}

#[test]
fn routes_and_policies_are_kept_and_other_kinds_are_warned_about() {
    let text = "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: n}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}";
    let manifests = read(text).unwrap();
    assert_eq!(manifests.policies[0].name, "r");
    assert_eq!(manifests.warnings, ["ConfigMap default/c: this kind is not honoured"]);
}

#[test]
fn a_service_is_ipv4_unless_it_asks_for_both_families() {
    let manifests = read(DEPLOYMENT).unwrap();
    assert_eq!(manifests.services[0].families, Families { v4: true, v6: false });
    let dual = read("{kind: Service, metadata: {name: s}, spec: {ipFamilyPolicy: RequireDualStack}}").unwrap();
    assert_eq!(dual.services[0].families, Families { v4: true, v6: true });
}

#[test]
fn a_name_that_would_leave_its_folder_is_refused() {
    for name in ["../x", "a/b", "", ".hidden"] {
        let text = format!("{{kind: Service, metadata: {{name: {name:?}}}, spec: {{}}}}");
        assert!(read(&text).is_err(), "{name}");
    }
}
