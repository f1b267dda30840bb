//! Which fields of which kinds the sandbox honours, in one table; the rest is warned about.

use serde_json::Value;

const META: &[&str] = &["apiVersion", "kind", "metadata", "status"];

const POD_SPEC: &[&str] = &[
    "serviceAccountName",
    "serviceAccount",
    "terminationGracePeriodSeconds",
    "containers[].name",
    "containers[].image",
    "containers[].imagePullPolicy",
    "containers[].command",
    "containers[].args",
    "containers[].workingDir",
    "containers[].env[].name",
    "containers[].env[].value",
    "containers[].env[].valueFrom.fieldRef",
    "containers[].ports[].name",
    "containers[].ports[].containerPort",
    "containers[].ports[].protocol",
    "containers[].readinessProbe.httpGet.path",
    "containers[].readinessProbe.httpGet.port",
    "containers[].readinessProbe.httpGet.httpHeaders",
    "containers[].readinessProbe.tcpSocket.port",
    "containers[].readinessProbe.initialDelaySeconds",
    "containers[].readinessProbe.periodSeconds",
    "containers[].readinessProbe.timeoutSeconds",
    "containers[].readinessProbe.successThreshold",
    "containers[].readinessProbe.failureThreshold",
];

const SERVICE_SPEC: &[&str] = &[
    "selector",
    "ports[].name",
    "ports[].port",
    "ports[].targetPort",
    "ports[].protocol",
    "ports[].appProtocol",
    "clusterIP",
    "clusterIPs",
    "ipFamilies",
    "ipFamilyPolicy",
    "publishNotReadyAddresses",
];

/// Values that ask for what the sandbox does anyway, so that no warning is owed.
const HARMLESS: &[(&str, &str)] =
    &[("spec.type", "ClusterIP"), ("spec.restartPolicy", "Always"), ("spec.template.spec.restartPolicy", "Always")];

/// One line for each field of `object` that is not honoured.
pub(super) fn warnings(kind: &str, object_name: &str, object: &Value) -> Vec<String> {
    let mut honoured: Vec<String> = META.iter().map(ToString::to_string).collect();
    let mut allow =
        |prefix: &str, fields: &[&str]| honoured.extend(fields.iter().map(|field| format!("{prefix}{field}")));
    match kind {
        "Pod" => allow("spec.", POD_SPEC),
        "Deployment" => {
            allow("spec.template.spec.", POD_SPEC);
            allow("spec.", &["replicas", "selector", "template.metadata"]);
        }
        "Service" => allow("spec.", SERVICE_SPEC),
        _ => return Vec::new(),
    }
    let mut missed = Vec::new();
    walk(object, "", "", &honoured, &mut missed);
    missed.into_iter().map(|field| format!("{object_name}: the field {field} is not honoured")).collect()
}

/// `pattern` is the path with `[]` for every index, `shown` the one with the index.
fn walk(value: &Value, pattern: &str, shown: &str, honoured: &[String], missed: &mut Vec<String>) {
    if honoured.iter().any(|field| field == pattern) || value.is_null() {
        return;
    }
    let empty =
        value.as_object().is_some_and(|fields| fields.is_empty()) || value.as_array().is_some_and(Vec::is_empty);
    if empty {
        return; // asks for nothing
    }
    let leads_on = |path: &str| honoured.iter().any(|field| field.starts_with(path));
    match value {
        Value::Object(fields) if pattern.is_empty() || leads_on(&format!("{pattern}.")) => {
            let join = |path: &str, key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            for (key, value) in fields {
                walk(value, &join(pattern, key), &join(shown, key), honoured, missed);
            }
        }
        Value::Array(items) if leads_on(&format!("{pattern}[]")) => {
            for (index, value) in items.iter().enumerate() {
                walk(value, &format!("{pattern}[]"), &format!("{shown}[{index}]"), honoured, missed);
            }
        }
        _ if HARMLESS.iter().any(|(path, text)| *path == pattern && value.as_str() == Some(text)) => {}
        _ => missed.push(shown.to_owned()),
    }
}
