//! `weft uninstall`: all that Weft has made in a cluster, on standard output, for `kubectl delete -f -`.
//!
//! [`survey`] asks the cluster what there is; [`plan`] decides what of it goes, in which order, and when not to.

mod plan;
mod survey;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::Args;

use crate::cluster::Cluster;
use crate::install::documents;
use crate::{print, tell};
use plan::GatewayApi;

/// The arguments of `weft uninstall`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    cluster: Cluster,
    /// Go on although pods are still meshed: they cannot renew their certificates then
    #[arg(long)]
    force: bool,
    /// Keep the Gateway API's kinds, although there is no object of any
    #[arg(long, conflicts_with = "delete_gateway_api")]
    keep_gateway_api: bool,
    /// Delete the Gateway API's kinds with every route and gateway, whoever made them
    #[arg(long)]
    delete_gateway_api: bool,
}

/// Prints what is to be deleted.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let survey = survey::of(&arguments.cluster.client().await?).await?;
    let gateway_api = match arguments {
        Arguments { keep_gateway_api: true, .. } => GatewayApi::Keep,
        Arguments { delete_gateway_api: true, .. } => GatewayApi::Delete,
        _ => GatewayApi::KeepIfUsed,
    };
    let plan = plan::plan(&survey, arguments.force, gateway_api)?;
    plan.notes.iter().for_each(|note| tell(note));
    print(documents(&plan.objects)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
