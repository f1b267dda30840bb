//! `weft install`: the manifests of deploy/k8s on standard output, with the choices that most operators make.
//!
//! It asks no cluster: what it prints is for `kubectl apply -f -`, or for a repository. [`manifests`] holds the files,
//! [`options`] what can be chosen, [`chart`] makes the Helm chart's template from both. Taking it all away again:
//! `uninstall`.

mod chart;
mod error;
mod manifests;
mod object;
mod options;

use std::process::ExitCode;

use clap::Args;

use error::InstallError;
pub use manifests::roles;
pub use object::{Object, documents};
use options::Options;
pub use options::flags;

use crate::print;

/// The namespace of the control plane. It is part of the identity that every proxy expects, so it cannot be chosen.
pub const NAMESPACE: &str = "weft";
/// The name of the control plane's Deployment, and of what belongs to it.
pub const CONTROL_PLANE: &str = "weft-control-plane";

/// The arguments of `weft install`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// The Deployment as a template of the Helm chart (`make manifests`)
    #[arg(long, hide = true)]
    chart_template: bool,
}

/// Prints the manifests.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    if arguments.chart_template {
        print(chart::template()?.trim_end())?;
        return Ok(ExitCode::SUCCESS);
    }
    print(documents(&manifests::all(&arguments.options)?)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
