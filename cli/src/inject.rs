//! `weft inject`: what the injector would do, on manifests and without a cluster.

use std::{
    io::{Read, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;
use weft_control_plane::inject::{
    InjectSettings,
    manifest::{Done, Report, inject_text},
};

use crate::tell;

/// The arguments of `weft inject`.
#[derive(Args)]
pub struct Arguments {
    /// YAML files; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// The image of the sidecar
    #[arg(long, env = "WEFT_PROXY_IMAGE", value_name = "IMAGE")]
    proxy_image: Option<String>,
    /// The control plane's namespace
    #[arg(long, env = "WEFT_CONTROL_PLANE_NAMESPACE", default_value = "weft", value_name = "NAMESPACE")]
    control_plane_namespace: String,
    /// The mesh's trust domain
    #[arg(long, env = "WEFT_TRUST_DOMAIN", default_value = "cluster.local", value_name = "NAME")]
    trust_domain: String,
}

/// Prints the files' YAML with a sidecar in every pod and pod template. All of it, or nothing.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let defaults = InjectSettings::default();
    let settings = InjectSettings {
        proxy_image: arguments.proxy_image.unwrap_or(defaults.proxy_image),
        control_plane_namespace: arguments.control_plane_namespace,
        trust_domain: arguments.trust_domain,
    };
    let mut output = String::new();
    for file in &arguments.files {
        let text = read(file)?;
        let (injected, reports) =
            inject_text(&text, &settings).with_context(|| format!("{} is not injected", file.display()))?;
        append(&mut output, &injected);
        reports.iter().for_each(report);
    }
    std::io::stdout().write_all(output.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn read(file: &PathBuf) -> anyhow::Result<String> {
    if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// A file's last document must not run into the next file's first.
fn append(output: &mut String, text: &str) {
    if !output.is_empty() {
        if !output.ends_with('\n') {
            output.push('\n');
        }
        if !text.starts_with("---") {
            output.push_str("---\n");
        }
    }
    output.push_str(text);
}

/// On standard error, so that the YAML can be piped on.
fn report(report: &Report) {
    let name = &report.name;
    match &report.done {
        Done::Injected(warnings) => {
            tell(&format!("{name}: injected"));
            warnings.iter().for_each(|warning| tell(&format!("{name}: {warning}")));
        }
        Done::Skipped(skip) => tell(&format!("{name}: {}", skip.warning().unwrap_or("as it was"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_two_files_stay_apart() {
        let mut output = String::new();
        append(&mut output, "kind: A");
        append(&mut output, "kind: B\n");
        append(&mut output, "---\nkind: C\n");
        assert_eq!(output, "kind: A\n---\nkind: B\n---\nkind: C\n");
    }
}
