//! Probes before and after.

use super::*;

/// A pod whose container has these probes.
fn probed(probes: Value) -> Value {
    let mut pod = app();
    pod["spec"]["containers"][0].as_object_mut().unwrap().extend(probes.as_object().unwrap().clone());
    pod
}

/// The container after, and what the proxy is told.
fn taken(pod: &Value) -> (Value, Value) {
    let pod = injected(pod).pod;
    let told = variable(&pod["spec"]["initContainers"][1], "WEFT_PROBES");
    let told = told.map_or(Value::Null, |told| serde_json::from_str(told["value"].as_str().unwrap()).unwrap());
    (pod["spec"]["containers"][0].clone(), told)
}

#[test]
fn the_kubelet_asks_the_proxy_in_its_own_time() {
    let probe = json!({ "httpGet": { "path": "/live", "port": 8080, "scheme": "HTTP" }, "timeoutSeconds": 3, "periodSeconds": 7 });
    let (container, told) = taken(&probed(json!({ "livenessProbe": probe })));
    assert_eq!(
        container["livenessProbe"],
        json!({ "httpGet": { "path": "/probe/app/liveness", "port": 4191 }, "timeoutSeconds": 3, "periodSeconds": 7 })
    );
    let get = json!({ "path": "/live", "port": 8080, "scheme": "HTTP" });
    assert_eq!(told, json!({ "app": { "liveness": { "httpGet": get, "timeoutSeconds": 3 } } }));
}

#[test]
fn connections_and_health_checks_are_taken_too() {
    let pod = probed(json!({
        "readinessProbe": { "tcpSocket": { "port": "http" } },
        "startupProbe": { "grpc": { "port": 9090, "service": "users" } },
    }));
    let (container, told) = taken(&pod);
    assert_eq!(container["readinessProbe"], json!({ "httpGet": { "path": "/probe/app/readiness", "port": 4191 } }));
    assert_eq!(told["app"]["readiness"], json!({ "tcpSocket": { "port": 8080 }, "timeoutSeconds": 1 }));
    assert_eq!(told["app"]["startup"]["grpc"], json!({ "port": 9090, "service": "users" }));
}

#[test]
fn what_the_proxy_cannot_try_stays_with_the_kubelet() {
    for probe in [
        json!({ "exec": { "command": ["true"] } }),
        json!({ "httpGet": { "path": "/", "port": 80, "host": "192.0.2.1" } }),
        json!({ "tcpSocket": { "port": "nameless" } }),
        json!({ "tcpSocket": { "port": 0 } }),
        json!({ "httpGet": { "path": "/a b", "port": 80 } }),
        json!({ "httpGet": { "path": "/", "port": 80, "httpHeaders": [{ "name": "X", "value": "a\nb" }] } }),
    ] {
        let (container, told) = taken(&probed(json!({ "livenessProbe": probe })));
        assert_eq!((&container["livenessProbe"], &told), (&probe, &Value::Null));
    }
}

#[test]
fn native_sidecars_of_the_app_are_probed_through_the_proxy_and_other_init_containers_have_none() {
    let mut pod = app();
    let sidecar =
        json!({ "name": "cache", "restartPolicy": "Always", "startupProbe": { "tcpSocket": { "port": 6379 } } });
    pod["spec"]["initContainers"].as_array_mut().unwrap().push(sidecar);
    let pod = injected(&pod).pod;
    assert_eq!(pod["spec"]["initContainers"][3]["startupProbe"]["httpGet"]["path"], "/probe/cache/startup");
    assert_eq!(pod["spec"]["initContainers"][1]["startupProbe"]["httpGet"]["path"], "/ready", "the proxy's own");
}

#[test]
fn a_path_that_is_left_out_is_the_root() {
    let (_, told) = taken(&probed(json!({ "livenessProbe": { "httpGet": { "port": 8080, "path": null } } })));
    assert_eq!(told["app"]["liveness"]["httpGet"]["path"], "/");
}
