//! Where Prometheus finds the mesh: every proxy and every control plane, in the form of its HTTP service discovery.
//!
//! So a Prometheus needs no rights in the cluster, and none of its builds that knows Kubernetes.

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

use super::hub::Hub;
use crate::index::Pod;

/// Of the sidecar: its container's port is named so by the injector.
const PROXY_PORT: (&str, u16) = ("weft-admin", 4191);
/// Of the control plane, as its manifests name it.
const CONTROL_PLANE_PORT: (&str, u16) = ("admin", 4181);
/// What its manifests call its pods.
const CONTROL_PLANE: (&str, &str) = ("app.kubernetes.io/name", "weft-control-plane");

/// One thing to scrape.
#[derive(Debug, PartialEq, Serialize)]
pub struct Target {
    targets: [SocketAddr; 1],
    labels: Labels,
}

/// What all its series get.
#[derive(Debug, PartialEq, Serialize)]
struct Labels {
    component: &'static str,
    instance: String,
    namespace: String,
    pod: String,
    workload: String,
    workload_namespace: String,
}

impl Hub {
    /// Every proxy and control plane that has an address.
    pub fn targets(&self) -> Vec<Target> {
        self.lock().world.index.pods().filter_map(target).collect()
    }
}

fn target(pod: &Pod) -> Option<Target> {
    let (name, value) = CONTROL_PLANE;
    let (component, port) = if pod.meshed {
        ("proxy", PROXY_PORT)
    } else if pod.labels.get(name).is_some_and(|label| label == value) {
        ("control-plane", CONTROL_PLANE_PORT)
    } else {
        return None;
    };
    let address: IpAddr = *pod.addresses.first()?;
    let labels = Labels {
        component,
        instance: pod.name.name.to_string(),
        namespace: pod.name.namespace.to_string(),
        pod: pod.name.name.to_string(),
        workload: pod.workload.clone(),
        workload_namespace: pod.name.namespace.to_string(),
    };
    Some(Target { targets: [SocketAddr::new(address, declared(pod, port))], labels })
}

fn declared(pod: &Pod, (name, usual): (&str, u16)) -> u16 {
    pod.ports.iter().find(|port| port.name == name).map_or(usual, |port| port.port)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixture::shop_and;

    const MORE: &str = r"
apiVersion: v1
kind: Pod
metadata: {name: weft-control-plane-x, namespace: weft, labels: {app.kubernetes.io/name: weft-control-plane}}
spec: {containers: []}
status: {podIP: 'fd00::7'}
---
apiVersion: v1
kind: Pod
metadata: {name: waiting, namespace: shop, annotations: {weft.dev/injected: 'true'}}
spec: {containers: []}
---
apiVersion: v1
kind: Pod
metadata:
  {name: moved-1, namespace: shop, annotations: {weft.dev/injected: 'true'}, ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: moved, uid: u, controller: true}]}
spec: {containers: [], initContainers: [{name: weft-proxy, restartPolicy: Always, ports: [{name: weft-admin, containerPort: 5191}]}]}
status: {podIP: 10.1.0.7}
";

    #[test]
    fn proxies_and_control_planes_are_listed_in_prometheus_own_form_and_other_pods_are_not() {
        let index = shop_and(MORE);
        let targets: Vec<_> = index.pods().filter_map(target).collect();
        let found: Vec<_> = targets.iter().map(|one| (one.labels.component, one.targets[0].to_string())).collect();
        let proxy = |address: &str| ("proxy", address.to_owned());
        let expected = [
            proxy("10.1.0.9:4191"),
            proxy("10.1.0.7:5191"),
            proxy("10.1.0.1:4191"),
            ("control-plane", "[fd00::7]:4181".to_owned()),
        ];
        assert_eq!(found, expected);
        let labels = json!({
            "component": "proxy", "instance": "moved-1", "namespace": "shop", "pod": "moved-1",
            "workload": "moved", "workload_namespace": "shop",
        });
        let expected = json!({ "targets": ["10.1.0.7:5191"], "labels": labels });
        assert_eq!(serde_json::to_value(&targets[1]).unwrap(), expected);
    }
}
