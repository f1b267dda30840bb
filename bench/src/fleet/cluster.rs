//! The cluster that the fleet stands in, as files that the control plane watches: an object to a file, so that a change of
//! one object is one event, as it is in Kubernetes.
//!
//! Services of meshed pods, each with a route; and the fleet's own pods, which are clients. A rollout replaces every pod
//! behind every Service.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

pub const TRUST_DOMAIN: &str = "cluster.local";
/// Where the Services are.
const NAMESPACE: &str = "shop";
/// Routes are resolved once for each namespace of clients, so the fleet has some.
const CLIENT_NAMESPACES: usize = 10;
/// Of all clients.
pub const CLIENT_ACCOUNT: &str = "client";
const PORT: u16 = 8080;
const ZONES: [&str; 3] = ["a", "b", "c"];
/// From here on, pods behind Services, each with an address that no pod had before.
const FIRST_ENDPOINT: u32 = u32::from_be_bytes([10, 64, 0, 1]);
/// From here on, the fleet's pods.
const FIRST_CLIENT: u32 = u32::from_be_bytes([10, 128, 0, 1]);
const FIRST_SERVICE: u32 = u32::from_be_bytes([10, 96, 0, 1]);

/// The cluster, and which generation of each pod it is at.
pub struct Cluster {
    folder: PathBuf,
    size: Size,
    /// By Service and replica; 0 is the first.
    generations: Vec<Vec<u32>>,
}

/// How much there is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub clients: usize,
    pub services: usize,
    /// Of each Service.
    pub endpoints: usize,
}

impl Cluster {
    /// Writes everything into a folder that is there and empty.
    pub fn new(folder: &Path, size: Size) -> anyhow::Result<Self> {
        let generations = vec![vec![0; size.endpoints]; size.services];
        let cluster = Self { folder: folder.to_owned(), size, generations };
        for service in 0..size.services {
            cluster.write(&service_name(service), &self::service(service))?;
            cluster.write(&format!("{}-route", service_name(service)), &route(service))?;
            cluster.write_slice(service)?;
            for replica in 0..size.endpoints {
                cluster.write_pod(service, replica)?;
            }
        }
        for client in 0..size.clients {
            let address = Ipv4Addr::from_bits(FIRST_CLIENT + index(client));
            let (namespace, name) = (client_namespace(client), client_name(client));
            cluster.write(&format!("client-{client}"), &pod(&namespace, &name, CLIENT_ACCOUNT, address))?;
        }
        Ok(cluster)
    }

    /// The Services' ports as the contract names them.
    pub fn destinations(&self) -> Vec<String> {
        (0..self.size.services).map(|service| format!("{NAMESPACE}/{}:{PORT}", service_name(service))).collect()
    }

    /// Where a Service's endpoints are now, and who.
    pub fn endpoints(&self, service: usize) -> BTreeSet<(SocketAddr, String)> {
        let identity = format!("spiffe://{TRUST_DOMAIN}/ns/{NAMESPACE}/sa/{}", service_name(service));
        let endpoint = |replica| (SocketAddr::new(self.address(service, replica).into(), PORT), identity.clone());
        (0..self.size.endpoints).map(endpoint).collect()
    }

    /// Replaces every pod by a new one, at an even pace over `duration`, in all Services at the same time. Returns when the
    /// last event was.
    pub async fn roll_out(&mut self, duration: Duration) -> anyhow::Result<Instant> {
        let begin = Instant::now();
        let all = self.size.services * self.size.endpoints;
        let pause = duration / u32::try_from(all).context("a rollout this large")?.max(1);
        for step in 0..all {
            sleep_until(begin + pause * index(step)).await;
            self.replace(step % self.size.services, step / self.size.services)?; // one of each Service, then the next
        }
        Ok(Instant::now())
    }

    /// As Kubernetes does it: the new pod is there, the slice names it and not the old one, the old pod goes.
    fn replace(&mut self, service: usize, replica: usize) -> anyhow::Result<()> {
        let old = self.path(&self.pod_name(service, replica));
        self.generations[service][replica] += 1;
        self.write_pod(service, replica)?;
        self.write_slice(service)?;
        fs::remove_file(&old).with_context(|| format!("remove {}", old.display()))
    }

    fn write_pod(&self, service: usize, replica: usize) -> anyhow::Result<()> {
        let name = self.pod_name(service, replica);
        self.write(&name, &pod(NAMESPACE, &name, &service_name(service), self.address(service, replica)))
    }

    fn write_slice(&self, service: usize) -> anyhow::Result<()> {
        let endpoint = |replica| {
            json!({
                "addresses": [self.address(service, replica)],
                "conditions": { "ready": true, "serving": true, "terminating": false },
                "nodeName": format!("node-{replica}"),
                "zone": ZONES[replica % ZONES.len()],
                "targetRef": { "kind": "Pod", "namespace": NAMESPACE, "name": self.pod_name(service, replica) },
            })
        };
        let name = format!("{}-slice", service_name(service));
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "namespace": NAMESPACE, "name": name,
                "labels": { "kubernetes.io/service-name": service_name(service) },
            },
            "addressType": "IPv4",
            "ports": [{ "name": "http", "port": PORT, "protocol": "TCP" }],
            "endpoints": (0..self.size.endpoints).map(endpoint).collect::<Vec<_>>(),
        });
        self.write(&name, &slice)
    }

    fn pod_name(&self, service: usize, replica: usize) -> String {
        format!("{}-{replica}-{}", service_name(service), self.generations[service][replica])
    }

    fn address(&self, service: usize, replica: usize) -> Ipv4Addr {
        let (all, place) = (self.size.services * self.size.endpoints, service * self.size.endpoints + replica);
        Ipv4Addr::from_bits(FIRST_ENDPOINT + self.generations[service][replica] * index(all) + index(place))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    /// In one step, so that half a file is never read.
    fn write(&self, name: &str, object: &Value) -> anyhow::Result<()> {
        let (path, hidden) = (self.path(name), self.folder.join(".next"));
        fs::write(&hidden, object.to_string())
            .and_then(|()| fs::rename(&hidden, &path))
            .with_context(|| format!("write {}", path.display()))
    }
}

pub fn client_namespace(client: usize) -> String {
    format!("clients-{}", client % CLIENT_NAMESPACES)
}

pub fn client_name(client: usize) -> String {
    format!("client-{client}")
}

fn service_name(service: usize) -> String {
    format!("service-{service}")
}

fn service(service: usize) -> Value {
    let name = service_name(service);
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "namespace": NAMESPACE, "name": name },
        "spec": {
            "clusterIP": Ipv4Addr::from_bits(FIRST_SERVICE + index(service)),
            "selector": { "app": name },
            "ports": [{ "name": "http", "port": PORT, "targetPort": PORT }],
        },
    })
}

/// What a shop's route might say.
fn route(service: usize) -> Value {
    let name = service_name(service);
    let backends = json!([{ "name": name, "port": PORT }]);
    json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": { "namespace": NAMESPACE, "name": name },
        "spec": {
            "parentRefs": [{ "group": "", "kind": "Service", "name": name }],
            "rules": [
                {
                    "matches": [{ "path": { "type": "PathPrefix", "value": "/reports" }, "method": "GET" }],
                    "backendRefs": backends,
                    "timeouts": { "request": "30s" },
                },
                {
                    "backendRefs": backends,
                    "timeouts": { "request": "5s" },
                    "retry": { "codes": [503], "attempts": 1 },
                },
            ],
        },
    })
}

fn pod(namespace: &str, name: &str, account: &str, address: Ipv4Addr) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": namespace, "name": name,
            "labels": { "app": account },
            "annotations": { "weft.dev/injected": "true" },
        },
        "spec": { "serviceAccountName": account, "containers": [{ "name": "app", "ports": [{ "containerPort": PORT }] }] },
        "status": { "phase": "Running", "podIP": address },
    })
}

/// As part of an address; a fleet beyond that does not fit into one anyway.
fn index(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
