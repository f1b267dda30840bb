//! The kinds that the index has a use for: what each is called, and how one becomes an object.

use k8s_openapi::api::{
    core::v1::{Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use serde::de::DeserializeOwned;

use super::{Finding, HttpRoute, InboundPolicy, node, pod, policy, route, service, slice};
use crate::index::{Object, ObjectKind};

/// A kind of Kubernetes object, as it is written.
pub trait Kind: DeserializeOwned + Send + 'static {
    /// What it becomes in the index.
    const KIND: ObjectKind;
    /// Its group, or empty.
    const GROUP: &'static str;
    /// Its versions that are understood, the one that is asked for first.
    const VERSIONS: &'static [&'static str];
    /// Its name in paths.
    const PLURAL: &'static str;
    /// It comes with a CustomResourceDefinition: a cluster may be without it.
    const IS_DEFINED: bool = false;

    /// The object that the index holds. None: there is nothing in it for the mesh.
    ///
    /// # Errors
    /// A field without which it means nothing does not hold what it must.
    fn object(&self, warnings: &mut Vec<Finding>) -> Result<Option<Object>, Finding>;

    /// Whether this is its group and one of its versions.
    fn has_version(api_version: &str) -> bool {
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        group == Self::GROUP && Self::VERSIONS.contains(&version)
    }
}

impl Kind for EndpointSlice {
    const KIND: ObjectKind = ObjectKind::EndpointSlice;
    const GROUP: &'static str = "discovery.k8s.io";
    const VERSIONS: &'static [&'static str] = &["v1"];
    const PLURAL: &'static str = "endpointslices";

    fn object(&self, _warnings: &mut Vec<Finding>) -> Result<Option<Object>, Finding> {
        Ok(slice(self)?.map(Object::Slice))
    }
}

impl Kind for HttpRoute {
    const KIND: ObjectKind = ObjectKind::HttpRoute;
    const GROUP: &'static str = "gateway.networking.k8s.io";
    const VERSIONS: &'static [&'static str] = &["v1", "v1beta1"];
    const PLURAL: &'static str = "httproutes";
    const IS_DEFINED: bool = true;

    fn object(&self, warnings: &mut Vec<Finding>) -> Result<Option<Object>, Finding> {
        Ok(route(self, warnings)?.map(Object::Route))
    }
}

impl Kind for InboundPolicy {
    const KIND: ObjectKind = ObjectKind::InboundPolicy;
    const GROUP: &'static str = "weft.dev";
    const VERSIONS: &'static [&'static str] = &["v1"];
    const PLURAL: &'static str = "inboundpolicies";
    const IS_DEFINED: bool = true;

    fn object(&self, _warnings: &mut Vec<Finding>) -> Result<Option<Object>, Finding> {
        policy(self).map(|policy| Some(Object::Policy(policy)))
    }
}

impl Kind for Node {
    const KIND: ObjectKind = ObjectKind::Node;
    const GROUP: &'static str = "";
    const VERSIONS: &'static [&'static str] = &["v1"];
    const PLURAL: &'static str = "nodes";

    fn object(&self, _warnings: &mut Vec<Finding>) -> Result<Option<Object>, Finding> {
        node(self).map(|node| Some(Object::Node(node)))
    }
}

impl Kind for Pod {
    const KIND: ObjectKind = ObjectKind::Pod;
    const GROUP: &'static str = "";
    const VERSIONS: &'static [&'static str] = &["v1"];
    const PLURAL: &'static str = "pods";

    fn object(&self, warnings: &mut Vec<Finding>) -> Result<Option<Object>, Finding> {
        pod(self, warnings).map(|pod| Some(Object::Pod(pod)))
    }
}

impl Kind for Service {
    const KIND: ObjectKind = ObjectKind::Service;
    const GROUP: &'static str = "";
    const VERSIONS: &'static [&'static str] = &["v1"];
    const PLURAL: &'static str = "services";

    fn object(&self, warnings: &mut Vec<Finding>) -> Result<Option<Object>, Finding> {
        Ok(service(self, warnings)?.map(Object::Service))
    }
}
