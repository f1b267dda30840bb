//! The app's probes, taken from the kubelet and given to the proxy.
//!
//! The kubelet has no identity, and behind interception a connection says nothing of the app. So what it would ask over
//! the network it asks the proxy's admin port, in its own time: only what is tried changes, not when or how often.

use serde_json::{Value, json};
use weft_api::probe::{Grpc, HttpGet, Probe, ProbeAction, ProbeKind, Probes, TcpSocket};

use super::{container, object::is_sidecar};

/// What the kubelet can try over the network.
const ACTIONS: [&str; 3] = ["grpc", "httpGet", "tcpSocket"];

/// Rewrites the probes of the pod's own containers, and says what they were.
pub(super) fn take(spec: &mut Value) -> Probes {
    let mut taken = Probes::default();
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for container in containers.filter(|one| list == "containers" || is_sidecar(one)) {
            for kind in ProbeKind::ALL {
                take_one(container, kind, &mut taken);
            }
        }
    }
    taken
}

/// A probe that the proxy could not make stays as it is, and the kubelet says what is wrong with it.
fn take_one(container: &mut Value, kind: ProbeKind, taken: &mut Probes) {
    let field = format!("{}Probe", kind.as_str());
    let Some(name) = container["name"].as_str().map(str::to_owned) else { return };
    let Some(probe) = container.get(&field).and_then(|probe| read(probe, container)) else { return };
    let Some(fields) = container.get_mut(&field).and_then(Value::as_object_mut) else { return };
    for action in ACTIONS {
        fields.remove(action);
    }
    let path = format!("/probe/{name}/{kind}");
    fields.insert("httpGet".to_owned(), json!({ "path": path, "port": container::ADMIN_PORT }));
    taken.0.entry(name).or_default().insert(kind, probe);
}

/// None: nothing over the network, to another host, or nothing that can be sent.
fn read(probe: &Value, container: &Value) -> Option<Probe> {
    let (name, action) = ACTIONS.into_iter().find_map(|name| Some((name, probe.get(name)?.as_object()?)))?;
    let elsewhere = action.get("host").and_then(Value::as_str).is_some_and(|host| !host.is_empty());
    if elsewhere {
        return None;
    }
    let mut action = action.clone();
    action.insert("port".to_owned(), json!(port(action.get("port")?, container)?));
    let action = Value::Object(action);
    let action = match name {
        "grpc" => ProbeAction::Grpc(serde_json::from_value::<Grpc>(action).ok()?),
        "httpGet" => ProbeAction::HttpGet(http_get(action)?),
        _ => ProbeAction::TcpSocket(serde_json::from_value::<TcpSocket>(action).ok()?),
    };
    let timeout = probe.get("timeoutSeconds").and_then(Value::as_u64).and_then(|seconds| u32::try_from(seconds).ok());
    Some(Probe { action, timeout_seconds: timeout.unwrap_or(1).max(1) })
}

fn http_get(mut action: Value) -> Option<HttpGet> {
    // The API server fills these in; a manifest may leave them out.
    let fields = action.as_object_mut()?;
    fields.retain(|_, value| !value.is_null());
    fields.entry("path").or_insert(json!("/"));
    let get: HttpGet = serde_json::from_value(action).ok()?;
    get.request("127.0.0.1").is_ok().then_some(get)
}

/// A port by number, or by the container's name for it; a name that is none may be a number still, as the kubelet has it.
fn port(port: &Value, container: &Value) -> Option<u64> {
    let Some(name) = port.as_str() else { return port.as_u64() };
    let declared = container["ports"].as_array().into_iter().flatten();
    let named = declared.into_iter().find(|one| one["name"] == name);
    named.and_then(|one| one["containerPort"].as_u64()).or_else(|| name.parse().ok())
}
