//! The control plane's folder: Services, Pods and EndpointSlices as a cluster would have them, and the user's routes
//! and policies as they came. One file per object.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::manifest::{Policy, Service, TargetPort};
use crate::picture::{self, PodView, ServiceView};

/// Says of a pod that it has a sidecar; whoever puts the sidecar there writes it.
const INJECTED: &str = "weft.dev/injected";

/// File names and what stands in them.
type Files = BTreeMap<String, String>;

/// The folder as it was last written.
pub(crate) struct Registry {
    folder: PathBuf,
    written: Files,
}

impl Registry {
    /// An empty folder.
    pub(crate) fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), written: Files::new() })
    }

    /// Writes what has changed, each file in one step, and removes what is gone.
    pub(crate) fn write(&mut self, files: Files) -> io::Result<()> {
        for (name, text) in &files {
            if self.written.get(name) != Some(text) {
                let draft = self.folder.join(format!(".{name}.draft"));
                std::fs::write(&draft, text)?;
                std::fs::rename(&draft, self.folder.join(name))?;
            }
        }
        for name in self.written.keys().filter(|name| !files.contains_key(*name)) {
            std::fs::remove_file(self.folder.join(name))?;
        }
        self.written = files;
        Ok(())
    }
}

/// Everything that the control plane shall know.
pub(crate) fn files(services: &[ServiceView<'_>], pods: &[PodView<'_>], policies: &[Policy]) -> Files {
    let mut files = Files::new();
    let mut add = |kind: &str, namespace: &str, name: &str, object: &Value| {
        // A value that came from YAML or JSON can be written as YAML.
        let text = serde_yaml_ng::to_string(object).unwrap_or_default();
        files.insert(format!("{}.{namespace}.{name}.yaml", kind.to_lowercase()), text);
    };
    for view in services {
        add("Service", &view.spec.namespace, &view.spec.name, &service(view));
        for (name, slice) in slices(view.spec, pods) {
            add("EndpointSlice", &view.spec.namespace, &name, &slice);
        }
    }
    for view in pods {
        add("Pod", view.namespace, view.name, &pod(view));
    }
    for policy in policies {
        let mut object = policy.object.clone();
        object["metadata"]["namespace"] = policy.namespace.clone().into();
        add(&policy.kind, &policy.namespace, &policy.name, &object);
    }
    files
}

fn service(view: &ServiceView<'_>) -> Value {
    let spec = view.spec;
    let ports = spec.ports.iter().map(|port| {
        let target = match &port.target {
            TargetPort::Number(number) => json!(number),
            TargetPort::Name(name) => json!(name),
        };
        let mut written = json!({ "port": port.port, "targetPort": target, "protocol": protocol(port.udp) });
        put(&mut written, "name", port.name.as_deref());
        put(&mut written, "appProtocol", port.app_protocol.as_deref());
        written
    });
    let addresses: Vec<String> = match spec.headless {
        true => vec!["None".into()],
        false => view.addresses.iter().map(ToString::to_string).collect(),
    };
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": spec.namespace, "name": spec.name, "labels": spec.labels, "annotations": spec.annotations,
        },
        "spec": {
            "type": "ClusterIP",
            "clusterIP": addresses.first(),
            "clusterIPs": addresses,
            "selector": spec.selector,
            "ports": ports.collect::<Vec<_>>(),
            "publishNotReadyAddresses": spec.publish_not_ready,
        },
    })
}

/// One slice for each family of the Service and each meaning that its named ports have in its pods.
fn slices(service: &Service, pods: &[PodView<'_>]) -> Vec<(String, Value)> {
    let mut slices = Vec::new();
    for (family, wanted, of_family) in [
        ("IPv4", service.families.v4, IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
        ("IPv6", service.families.v6, IpAddr::is_ipv6),
    ] {
        let groups = picture::by_ports(service, pods).into_iter().enumerate().filter(|_| wanted);
        for (index, (numbers, pods)) in groups {
            let ports = service.ports.iter().zip(numbers).filter_map(|(port, number)| {
                let mut written = json!({
                    "name": port.name.as_deref().unwrap_or_default(), "port": number?, "protocol": protocol(port.udp),
                });
                put(&mut written, "appProtocol", port.app_protocol.as_deref());
                Some(written)
            });
            let ports: Vec<Value> = ports.collect();
            let endpoints = pods.iter().map(|pod| endpoint(pod, of_family, service));
            let name = format!("{}-{}-{index}", service.name, family.to_lowercase());
            let slice = json!({
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "namespace": service.namespace,
                    "name": name,
                    "labels": { "kubernetes.io/service-name": service.name },
                },
                "addressType": family,
                "ports": ports,
                "endpoints": endpoints.collect::<Vec<_>>(),
            });
            slices.push((name, slice));
        }
    }
    slices
}

fn endpoint(pod: &PodView<'_>, of_family: fn(&IpAddr) -> bool, service: &Service) -> Value {
    let addresses: Vec<&IpAddr> = pod.addresses.iter().filter(|address| of_family(address)).collect();
    json!({
        "addresses": addresses,
        "conditions": { "ready": pod.serves(service), "serving": pod.ready, "terminating": pod.stopping },
        "targetRef": { "kind": "Pod", "namespace": pod.namespace, "name": pod.name },
    })
}

fn pod(view: &PodView<'_>) -> Value {
    let mut annotations = view.template.annotations.clone();
    annotations.remove(INJECTED); // only who puts a sidecar there may say so
    if view.meshed {
        annotations.insert(INJECTED.into(), "true".into());
    }
    let containers = view.template.containers.iter().map(|container| {
        let ports = container.ports.iter().map(|(name, port)| json!({ "name": name, "containerPort": port }));
        json!({ "name": container.name, "ports": ports.collect::<Vec<_>>() })
    });
    let ips = view.addresses.iter().map(|address| json!({ "ip": address }));
    let ready = if view.ready { "True" } else { "False" };
    let mut metadata = json!({
        "namespace": view.namespace, "name": view.name, "labels": view.template.labels, "annotations": annotations,
    });
    // When exactly does not matter to anyone; that it has one does.
    put(&mut metadata, "deletionTimestamp", view.stopping.then_some("1970-01-01T00:00:00Z"));
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "serviceAccountName": view.template.service_account,
            "containers": containers.collect::<Vec<_>>(),
        },
        "status": {
            "phase": "Running",
            "podIP": view.addresses[0],
            "podIPs": ips.collect::<Vec<_>>(),
            "conditions": [{ "type": "Ready", "status": ready }],
        },
    })
}

fn protocol(udp: bool) -> &'static str {
    if udp { "UDP" } else { "TCP" }
}

fn put(object: &mut Value, field: &str, value: Option<&str>) {
    if let Some(value) = value {
        object[field] = value.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifests;

    const SHOP: &str = "
{kind: Pod, metadata: {name: a, namespace: shop, labels: {app: users}, annotations: {weft.dev/injected: 'true'}},
 spec: {serviceAccountName: users, containers: [{name: c, command: [x], ports: [{name: http, containerPort: 8080}]}]}}
---
{kind: Service, metadata: {name: users, namespace: shop},
 spec: {selector: {app: users}, ports: [{name: web, port: 80, targetPort: http}]}}
";

    fn written(ready: bool, meshed: bool) -> BTreeMap<String, Value> {
        let mut manifests = Manifests::default();
        manifests.add(SHOP, "test").unwrap();
        let template = &manifests.workloads[0].template;
        let addresses = ["10.244.0.2".parse().unwrap(), "fd00:244::2".parse().unwrap()];
        let pod = PodView { namespace: "shop", name: "a", template, addresses, ready, meshed, stopping: false };
        let addresses = vec!["10.96.0.1".parse().unwrap()];
        let service = ServiceView { spec: &manifests.services[0], addresses };
        let files = files(&[service], &[pod], &[]);
        files.into_iter().map(|(name, text)| (name, serde_yaml_ng::from_str(&text).unwrap())).collect()
    }

    #[test]
    fn a_slice_carries_the_pods_port_by_the_services_name_and_follows_readiness() {
        for ready in [true, false] {
            let files = written(ready, true);
            let slice = &files["endpointslice.shop.users-ipv4-0.yaml"];
            assert_eq!(slice["ports"][0], json!({"name": "web", "port": 8080, "protocol": "TCP"}));
            assert_eq!(slice["endpoints"][0]["conditions"]["ready"], ready);
        }
    }

    #[test]
    fn only_a_pod_with_a_sidecar_is_called_injected_whatever_its_manifest_says() {
        let injected = |meshed| written(true, meshed)["pod.shop.a.yaml"]["metadata"]["annotations"][INJECTED].clone();
        assert_eq!((injected(true), injected(false)), (json!("true"), Value::Null));
    }

    #[test]
    fn only_what_has_changed_is_written_and_what_is_gone_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut registry = Registry::create(folder.path()).unwrap();
        registry.write(Files::from([("a".into(), "1".into()), ("b".into(), "2".into())])).unwrap();
        std::fs::write(folder.path().join("a"), "touched by no one").unwrap();
        registry.write(Files::from([("a".into(), "1".into())])).unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("a")).unwrap(), "touched by no one");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
