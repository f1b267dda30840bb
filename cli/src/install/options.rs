//! What can be chosen, and what that changes in the manifests.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};
use weft_control_plane::config::Config;

use super::{CONTROL_PLANE, InstallError, NAMESPACE, Object};

/// The choices; the Helm chart's values have the same names.
#[derive(Args, Clone)]
pub struct Options {
    /// Three replicas of the control plane, spread over nodes and zones
    #[arg(long)]
    pub ha: bool,
    /// Where the images are: REGISTRY/control-plane and REGISTRY/proxy
    #[arg(long, value_name = "REGISTRY", default_value = "weft")]
    pub image_registry: String,
    /// Their tag
    #[arg(long, value_name = "TAG", default_value = env!("CARGO_PKG_VERSION"))]
    pub image_version: String,
    /// The trust domain of every identity; it cannot be changed later without restarting every pod
    #[arg(long, value_name = "NAME", default_value = "cluster.local")]
    pub trust_domain: String,
    /// Ranges of pods and Services: an unknown address within is refused [default: around every known one]
    #[arg(long, value_name = "CIDR,...", default_value = "", hide_default_value = true)]
    pub cluster_ranges: String,
    /// Which log lines the control plane writes: off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
    /// Leave out the Gateway API's kinds: the cluster has them from elsewhere
    #[arg(long)]
    pub skip_gateway_api: bool,
}

impl Options {
    /// Makes the choices in the control plane's Deployment.
    ///
    /// # Errors
    /// It has no container, or no such variables.
    pub fn choose(&self, deployment: &mut Object) -> Result<(), InstallError> {
        const VERSION: &str = "app.kubernetes.io/version";
        let image = |name: &str| format!("{}/{name}:{}", self.image_registry, self.image_version);
        let template = &mut deployment.0["spec"]["template"];
        template["metadata"]["labels"][VERSION] = json!(self.image_version);
        let container = template["spec"]["containers"].get_mut(0);
        let container = container.ok_or(InstallError::Missing { what: "container" })?;
        container["image"] = json!(image("control-plane"));
        let env = container["env"].as_array_mut().ok_or(InstallError::Missing { what: "environment" })?;
        set(env, "WEFT_PROXY_IMAGE", &image("proxy"));
        set(env, "WEFT_TRUST_DOMAIN", &self.trust_domain);
        set(env, "WEFT_LOG", &self.log_level);
        if !self.cluster_ranges.is_empty() {
            set(env, "WEFT_CLUSTER_RANGES", &self.cluster_ranges);
        }
        deployment.0["metadata"]["labels"][VERSION] = json!(self.image_version);
        Ok(())
    }
}

/// Sets one variable, which may be there already.
fn set(env: &mut Vec<Value>, name: &str, value: &str) {
    let value = json!({"name": name, "value": value});
    match env.iter_mut().find(|variable| variable["name"] == name) {
        Some(variable) => *variable = value,
        None => env.push(value),
    }
}

/// Reads the Deployment's environment as the control plane will.
///
/// # Errors
/// All that the control plane would refuse to start with.
pub fn check(deployment: &Object) -> Result<(), InstallError> {
    let env = &deployment.0["spec"]["template"]["spec"]["containers"][0]["env"];
    let known: BTreeMap<&str, &str> = env.as_array().into_iter().flatten().filter_map(variable).collect();
    Config::read(|name| known.get(name).map(|value| (*value).to_owned())).map_err(InstallError::Settings)?;
    Ok(())
}

/// A variable and its value; what the cluster fills in is what it will be here.
fn variable(variable: &Value) -> Option<(&str, &str)> {
    let value =
        variable["value"].as_str().or_else(|| match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str()? {
            "metadata.namespace" => Some(NAMESPACE),
            "metadata.name" => Some(CONTROL_PLANE),
            _ => None,
        });
    Some((variable["name"].as_str()?, value?))
}
