//! What the injector puts into a pod: two containers and two volumes.

use serde_json::{Value, json};
use weft_api::probe::Probes;

use super::{
    InjectSettings, PROXY_UID,
    annotation::{Overrides, Target},
};

/// The init container that leads the pod's connections into the proxy.
pub(super) const REDIRECT: &str = "weft-redirect";
/// The native sidecar.
pub(super) const PROXY: &str = "weft-proxy";
/// Both, in the order in which they run: before every other init container, so that these have the mesh's network.
pub(super) const NAMES: [&str; 2] = [REDIRECT, PROXY];

const TOKEN: &str = "weft-token";
const BUNDLE: &str = "weft-trust-bundle";
pub(super) const VOLUMES: [&str; 2] = [TOKEN, BUNDLE];
const TOKEN_FOLDER: &str = "/var/run/weft/token";
const BUNDLE_FOLDER: &str = "/var/run/weft/bundle";
/// Where the API server mounts a token for its own use into every container that has nothing there. Neither of ours talks
/// to the API server, so both have something there that is public anyway: the app's rights are not theirs.
const API_TOKEN_FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_FILE: &str = "token";

/// The proxy's default for the admin port, which every pod has.
pub(super) const ADMIN_PORT: u16 = 4191;
const INBOUND_PORT: u16 = 4143;
/// The proxy's ports, and the variables that say so. They are set although they are the defaults: for a Service named
/// `weft-admin` the kubelet sets WEFT_ADMIN_PORT to `tcp://10.96.0.7:80`, unless the container has one of its own.
pub(super) const PORTS: [(&str, u16); 4] = [
    ("WEFT_OUTBOUND_PORT", 4140),
    ("WEFT_INBOUND_PORT", INBOUND_PORT),
    ("WEFT_TAP_PORT", 4190),
    ("WEFT_ADMIN_PORT", ADMIN_PORT),
];

/// A proxy waits for the control plane as long as it takes: a pod that was started while that is away must become ready
/// when it returns. A day of failures at one a second, because the kubelet knows no "for ever".
const STARTUP_FAILURES: u32 = 86_400;

/// Leads the pod's connections into the proxy, and ends. The only thing in the pod that has NET_ADMIN.
pub(super) fn redirect(settings: &InjectSettings, overrides: &Overrides) -> Value {
    let mut env = vec![json!({ "name": "WEFT_PROXY_UID", "value": PROXY_UID.to_string() })];
    env.extend(ports());
    env.extend(overrides.variables(Target::Redirect));
    json!({
        "name": REDIRECT,
        "image": overrides.image().unwrap_or(&settings.proxy_image),
        "imagePullPolicy": "IfNotPresent",
        "args": ["redirect"],
        "env": env,
        "resources": overrides.resources(Target::Redirect),
        "securityContext": {
            "runAsUser": 0,
            "runAsGroup": 0,
            // The pod may say otherwise for the rest.
            "runAsNonRoot": false,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"], "add": ["NET_ADMIN"] },
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{ "name": BUNDLE, "mountPath": API_TOKEN_FOLDER, "readOnly": true }],
    })
}

/// The sidecar: an init container that goes on, so that it is there before the app and until after it, also in a Job.
pub(super) fn proxy(settings: &InjectSettings, overrides: &Overrides, probes: &Probes) -> Value {
    let get = |path: &str| json!({ "path": path, "port": ADMIN_PORT });
    json!({
        "name": PROXY,
        "image": overrides.image().unwrap_or(&settings.proxy_image),
        "imagePullPolicy": "IfNotPresent",
        "restartPolicy": "Always",
        "env": environment(settings, overrides, probes),
        "ports": [
            { "name": "weft-inbound", "containerPort": INBOUND_PORT, "protocol": "TCP" },
            { "name": "weft-admin", "containerPort": ADMIN_PORT, "protocol": "TCP" },
        ],
        "startupProbe": { "httpGet": get("/ready"), "periodSeconds": 1, "failureThreshold": STARTUP_FAILURES },
        // /ready stays true while the control plane is away; it is false once the certificate has run out.
        "readinessProbe": { "httpGet": get("/ready"), "periodSeconds": 5, "timeoutSeconds": 2 },
        // A minute: a restart breaks every connection of the pod, so only a proxy that hangs may be restarted.
        "livenessProbe": { "httpGet": get("/live"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6 },
        // The hook runs when deletion begins; a sidecar's SIGTERM comes only after the app has ended.
        "lifecycle": { "preStop": { "exec": { "command": ["/weft-proxy", "drain"] } } },
        "resources": overrides.resources(Target::Proxy),
        "securityContext": {
            "runAsUser": PROXY_UID,
            "runAsGroup": PROXY_UID,
            "runAsNonRoot": true,
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            { "name": TOKEN, "mountPath": TOKEN_FOLDER, "readOnly": true },
            { "name": BUNDLE, "mountPath": BUNDLE_FOLDER, "readOnly": true },
            { "name": BUNDLE, "mountPath": API_TOKEN_FOLDER, "readOnly": true },
        ],
    })
}

fn environment(settings: &InjectSettings, overrides: &Overrides, probes: &Probes) -> Vec<Value> {
    let namespace = &settings.control_plane_namespace;
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let text = |name: &str, value: String| json!({ "name": name, "value": value });
    let mut all = vec![
        field("WEFT_POD_NAMESPACE", "metadata.namespace"),
        field("WEFT_POD_NAME", "metadata.name"),
        field("WEFT_POD_SERVICE_ACCOUNT", "spec.serviceAccountName"),
        field("WEFT_POD_ADDRESSES", "status.podIPs"),
        field("WEFT_NODE", "spec.nodeName"),
        // Where Kubernetes copies the node's zone to the pod (PodTopologyLabels); elsewhere it is empty, which is unset.
        field("WEFT_ZONE", "metadata.labels['topology.kubernetes.io/zone']"),
        text("WEFT_CONTROL_PLANE_ADDRESS", format!("weft-control-plane.{namespace}.svc:8443")),
        text("WEFT_CONTROL_PLANE_NAMESPACE", namespace.clone()),
        text("WEFT_TRUST_DOMAIN", settings.trust_domain.clone()),
        text("WEFT_TRUST_BUNDLE_FILE", format!("{BUNDLE_FOLDER}/ca.pem")),
        text("WEFT_SERVICE_ACCOUNT_TOKEN_FILE", format!("{TOKEN_FOLDER}/{TOKEN_FILE}")),
    ];
    all.extend(ports());
    if !probes.0.is_empty() {
        // `$(NAME)` would be replaced by the kubelet, and `$$` stands for `$`.
        all.push(text("WEFT_PROBES", json!(probes).to_string().replace('$', "$$")));
    }
    all.extend(overrides.variables(Target::Proxy));
    all
}

fn ports() -> impl Iterator<Item = Value> {
    PORTS.into_iter().map(|(name, port)| json!({ "name": name, "value": port.to_string() }))
}

/// The token by which the proxy proves which pod it is, and whom it believes at first.
///
/// Mode 0644, and only the sidecar mounts the token: the kubelet makes it 0600 by itself where the pod has an fsGroup,
/// which the proxy then has too.
pub(super) fn volumes() -> [Value; 2] {
    let token = json!({ "audience": "weft", "expirationSeconds": 3600, "path": TOKEN_FILE });
    [
        json!({ "name": TOKEN, "projected": { "defaultMode": 0o644, "sources": [{ "serviceAccountToken": token }] } }),
        json!({ "name": BUNDLE, "configMap": { "name": BUNDLE, "defaultMode": 0o644 } }),
    ]
}
