//! The Helm chart's one real template: the Deployment, with values where `weft install` has options.
//!
//! The chart's other objects are the files of deploy/k8s themselves. `make manifests` writes what this prints to
//! deploy/helm/weft/templates/deployment.yaml.

use super::{InstallError, Options, manifests, object};

const OPENING: &str = "# Printed by `make manifests` from deploy/k8s; change it there.";

/// The template.
///
/// # Errors
/// The Deployment lacks what the options change.
pub fn template() -> Result<String, InstallError> {
    let [ha, one] = [true, false].map(variant);
    Ok(format!("{OPENING}\n{{{{- if .Values.ha }}}}\n{}{{{{- else }}}}\n{}{{{{- end }}}}\n", ha?, one?))
}

fn variant(ha: bool) -> Result<String, InstallError> {
    let value = |name: &str| format!("{{{{ .Values.{name} }}}}");
    let options = Options {
        ha,
        image_registry: value("imageRegistry"),
        image_version: value("imageVersion"),
        trust_domain: value("trustDomain"),
        cluster_ranges: value("clusterRanges"),
        log_level: value("logLevel"),
        skip_gateway_api: false,
        tap: false,
    };
    let text = object::documents(&[manifests::deployment(&options)?])?;
    optional(&text, "- name: WEFT_CLUSTER_RANGES", "clusterRanges")
        .ok_or(InstallError::Missing { what: "clusterRanges" })
}

/// The text with the line that begins so, and the one after it, only where the value is set.
fn optional(text: &str, begins: &str, value: &str) -> Option<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = lines.iter().position(|line| line.trim_start().starts_with(begins))?;
    lines.insert((at + 2).min(lines.len()), "{{- end }}".to_owned());
    lines.insert(at, format!("{{{{- if .Values.{value} }}}}"));
    Some(lines.join("\n") + "\n")
}
