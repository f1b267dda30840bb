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
    /// What `weft tap` needs: an aggregated API, which holds up deletions of namespaces while no control plane is there
    #[arg(long)]
    pub tap: bool,
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

/// The flags that an installed Deployment was made with; `releases` are tags that nobody has chosen.
///
/// What does not show in it is not told: `--skip-gateway-api`, `--tap`, and whatever an overlay has set besides.
pub fn flags(deployment: &Object, releases: &[&str]) -> Vec<String> {
    let pod = &deployment.0["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let env: BTreeMap<&str, &str> = container["env"].as_array().into_iter().flatten().filter_map(variable).collect();
    let (image, tag) = container["image"].as_str().and_then(|image| image.rsplit_once(':')).unwrap_or_default();
    let registry = image.strip_suffix("/control-plane").unwrap_or_default();
    let tag = if releases.contains(&tag) { "" } else { tag };
    let env = |name| env.get(name).copied().unwrap_or_default();
    let chosen = [
        ("image-registry", registry, "weft"),
        ("image-version", tag, ""),
        ("trust-domain", env("WEFT_TRUST_DOMAIN"), "cluster.local"),
        ("cluster-ranges", env("WEFT_CLUSTER_RANGES"), ""),
        ("log-level", env("WEFT_LOG"), "info"),
    ];
    let chosen = chosen.iter().filter(|(_, value, default)| !value.is_empty() && value != default);
    let ha = pod["topologySpreadConstraints"].is_array().then(|| "--ha".to_owned());
    ha.into_iter().chain(chosen.map(|(name, value, _)| format!("--{name}={value}"))).collect()
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::manifests;
    use super::*;

    #[derive(Parser)]
    struct Arguments {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_flags_are_read_back_out_of_the_deployment_that_they_made() {
        let all = [
            "--ha",
            "--image-registry=registry.example.com:5000/mesh",
            "--image-version=blue",
            "--trust-domain=example.com",
            "--cluster-ranges=10.0.0.0/8,fd00::/8",
            "--log-level=debug",
        ];
        for flags in [&all[..], &all[2..4], &[]] {
            let options = Arguments::parse_from(["install"].iter().chain(flags)).options;
            let deployment = manifests::deployment(&options).unwrap();
            assert_eq!(super::flags(&deployment, &[env!("CARGO_PKG_VERSION")]), flags);
        }
    }
}
