//! The files of deploy/k8s, built in, and the objects that they make.
//!
//! `kubectl kustomize deploy/k8s` gives the same objects; a test compares them (cli/tests/manifests.rs).

use super::{CONTROL_PLANE, InstallError, Object, Options, object, options};

/// A file's path in the repository, and its text.
type File = (&'static str, &'static str);

macro_rules! files {
    ($($path:literal),* $(,)?) => { &[$(($path, include_str!(concat!("../../../", $path)))),*] };
}

const NAMESPACE_FILE: &[File] = files!["deploy/k8s/base/namespace.yaml"];

const KIND_FILES: &[File] = files!["deploy/k8s/crds/inboundpolicies.yaml"];

const GATEWAY_API_FILES: &[File] = files![
    "deploy/k8s/crds/gateway-api/backendtlspolicies.yaml",
    "deploy/k8s/crds/gateway-api/gatewayclasses.yaml",
    "deploy/k8s/crds/gateway-api/gateways.yaml",
    "deploy/k8s/crds/gateway-api/grpcroutes.yaml",
    "deploy/k8s/crds/gateway-api/httproutes.yaml",
    "deploy/k8s/crds/gateway-api/referencegrants.yaml",
    "deploy/k8s/crds/gateway-api/tcproutes.yaml",
    "deploy/k8s/crds/gateway-api/tlsroutes.yaml",
];

const BASE_FILES: &[File] = files![
    "deploy/k8s/base/rbac.yaml",
    "deploy/k8s/base/service.yaml",
    "deploy/k8s/base/deployment.yaml",
    "deploy/k8s/base/disruption.yaml",
    "deploy/k8s/base/network.yaml",
    "deploy/k8s/base/injector.yaml",
];

const TAP_FILES: &[File] = files!["deploy/k8s/tap/tap.yaml"];

const HA_FILE: File =
    ("deploy/k8s/overlays/ha/deployment.yaml", include_str!("../../../deploy/k8s/overlays/ha/deployment.yaml"));

/// All objects, in an order in which they can be applied.
///
/// # Errors
/// The control plane would not start with these options.
pub fn all(chosen: &Options) -> Result<Vec<Object>, InstallError> {
    let gateway_api = if chosen.skip_gateway_api { &[] } else { GATEWAY_API_FILES };
    let tap = if chosen.tap { TAP_FILES } else { &[] };
    let files = [NAMESPACE_FILE, KIND_FILES, gateway_api, BASE_FILES, tap].concat();
    let mut objects = Vec::new();
    for (file, text) in files {
        objects.extend(object::parse(file, text)?);
    }
    for one in objects.iter_mut().filter(|one| one.is("Deployment", CONTROL_PLANE)) {
        *one = deployment(chosen)?;
        options::check(one)?;
    }
    Ok(objects)
}

/// What the control plane may do, by its Role and its ClusterRole.
///
/// # Errors
/// The built-in file is broken.
pub fn roles() -> Result<Vec<Object>, InstallError> {
    let mut objects = Vec::new();
    for (file, text) in BASE_FILES {
        objects.extend(object::parse(file, text)?);
    }
    objects.retain(|one| ["Role", "ClusterRole"].contains(&one.kind()) && one.name() == CONTROL_PLANE);
    Ok(objects)
}

/// The control plane's Deployment alone; whether it can start is not checked.
///
/// # Errors
/// There is none in the files, or it lacks what the options change.
pub fn deployment(chosen: &Options) -> Result<Object, InstallError> {
    let mut found = None;
    for (file, text) in BASE_FILES {
        found = found.or(object::parse(file, text)?.into_iter().find(|one| one.is("Deployment", CONTROL_PLANE)));
    }
    let mut deployment = found.ok_or(InstallError::Missing { what: "Deployment" })?;
    if chosen.ha {
        for patch in object::parse(HA_FILE.0, HA_FILE.1)? {
            json_patch::merge(&mut deployment.0, &patch.0);
        }
    }
    chosen.choose(&mut deployment)?;
    Ok(deployment)
}
