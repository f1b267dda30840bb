//! `weft sandbox delete` and `weft sandbox scale`.

use clap::Args;
use weft_sandbox::Sandbox;

use super::Target;

/// The arguments of `delete`.
#[derive(Args)]
pub struct Delete {
    #[command(flatten)]
    target: Target,
    /// The pod
    pod: String,
}

/// The arguments of `scale`.
#[derive(Args)]
pub struct Scale {
    #[command(flatten)]
    target: Target,
    /// The Deployment
    deployment: String,
    /// How many replicas
    replicas: u32,
}

/// Returns when nothing is left of the pod.
pub async fn delete(sandbox: &Sandbox, arguments: Delete) -> anyhow::Result<()> {
    Ok(sandbox.delete(arguments.target.named(&arguments.pod)).await?)
}

/// Returns at once.
pub async fn scale(sandbox: &Sandbox, arguments: Scale) -> anyhow::Result<()> {
    Ok(sandbox.scale(arguments.target.named(&arguments.deployment), arguments.replicas).await?)
}
