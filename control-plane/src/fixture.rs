//! What tests of several steps begin with: a small shop, written as anyone would write it.

use crate::{
    index::{Affected, Index, Object},
    registry::file::document,
    resolve::Mesh,
};

/// Two Services with a pod each, of which the first is meshed.
pub(crate) const SHOP: &str = r"
apiVersion: v1
kind: Service
metadata: {name: users, namespace: shop}
spec: {clusterIP: 10.96.0.1, selector: {app: users}, ports: [{name: http, port: 80, targetPort: web}, {name: db, port: 90, targetPort: 9090, appProtocol: tcp}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: users-1, namespace: shop, labels: {kubernetes.io/service-name: users}}
addressType: IPv4
ports: [{name: http, port: 8080}, {name: db, port: 9090}]
endpoints: [{addresses: [10.1.0.2]}, {addresses: [10.1.0.1], zone: a}, {addresses: [10.1.0.9]}]
---
apiVersion: v1
kind: Pod
metadata: {name: users-a, namespace: shop, labels: {app: users}, annotations: {weft.dev/injected: 'true'}}
spec: {serviceAccountName: users, containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]}
status: {podIP: 10.1.0.1}
---
apiVersion: v1
kind: Pod
metadata: {name: users-b, namespace: shop, labels: {app: users}}
spec: {containers: [{name: app, ports: [{name: web, containerPort: 8080}]}]}
status: {podIP: 10.1.0.2}
---
apiVersion: v1
kind: Service
metadata: {name: orders, namespace: shop}
spec: {clusterIP: 10.96.0.2, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: thief, namespace: other, annotations: {weft.dev/injected: 'true'}}
spec: {serviceAccountName: thief, containers: []}
status: {podIP: 10.1.0.9}
";

/// The objects of a YAML text.
pub(crate) fn objects(text: &str) -> Vec<Object> {
    document::read(text.as_bytes()).unwrap().objects.into_iter().map(|(object, _)| object).collect()
}

/// An index of the shop and of these further objects.
pub(crate) fn shop_and(text: &str) -> Index {
    let mut index = Index::default();
    index.reset([objects(SHOP), objects(text)].concat(), &mut Affected::default());
    index
}

/// A mesh without settings of its own.
pub(crate) fn mesh() -> Mesh {
    Mesh { trust_domain: "cluster.local".into(), ranges: Vec::new() }
}
