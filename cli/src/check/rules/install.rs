//! The command that puts an installation right: the way it was made, with the options that it has.

use k8s_openapi::api::apps::v1::Deployment;

use super::control_plane::{is_ours, releases};
use crate::check::facts::Facts;
use crate::check::rules::cluster::is_http_route;
use crate::install::{Object, flags};

/// Where nothing is installed yet.
pub(super) const FIRST: &str = "weft install | kubectl apply -f -";

/// Installs again, and changes nothing that was chosen.
pub(super) fn again(facts: &Facts) -> String {
    let deployment = match &facts.deployment {
        Ok(Some(deployment)) => deployment,
        Ok(None) => return FIRST.to_owned(),
        Err(_) => return format!("{FIRST}, with the options that it was installed with"),
    };
    by_helm(deployment).unwrap_or_else(|| {
        let flags = [chosen(facts, deployment), kept(facts)].concat();
        let flags: String = flags.iter().map(|flag| format!(" {flag}")).collect();
        format!("weft install{flags} | kubectl apply -f -, or kubectl apply -k of your overlay")
    })
}

/// Helm writes its release on whatever it makes.
fn by_helm(deployment: &Deployment) -> Option<String> {
    let annotations = deployment.metadata.annotations.as_ref()?;
    let release = annotations.get("meta.helm.sh/release-name")?;
    let namespace = annotations.get("meta.helm.sh/release-namespace").map_or("default", String::as_str);
    Some(format!("helm upgrade {release} deploy/helm/weft --namespace {namespace} --reuse-values"))
}

fn chosen(facts: &Facts, deployment: &Deployment) -> Vec<String> {
    // It has come out of JSON, so it goes back into it.
    let deployment = Object(serde_json::to_value(deployment).unwrap_or_default());
    let releases = releases(facts);
    let releases: Vec<&str> = releases.iter().map(String::as_str).chain([env!("CARGO_PKG_VERSION")]).collect();
    flags(&deployment, &releases)
}

/// Kinds of the Gateway API that others have brought stay as they are.
fn kept(facts: &Facts) -> Vec<String> {
    let foreign = facts.kinds.iter().flatten().any(|kind| is_http_route(kind) && !is_ours(kind));
    foreign.then(|| "--skip-gateway-api".to_owned()).into_iter().collect()
}
