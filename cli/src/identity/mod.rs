//! `weft identity`: what the mesh's certificates are, and the root replaced live.
//!
//! The control plane does the work, one replica of it under a lease, and writes how far it has come into a ConfigMap. This
//! asks for it, follows it and prints it; whoever is interrupted here can ask again and goes on where it is.

mod report;
mod rotate;
#[cfg(test)]
mod tests;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use weft_control_plane::identity::{STATUS_KEY, STATUS_MAP};
use weft_control_plane::rotation::Status;

use crate::cluster::{Cluster, reason};
use crate::duration::duration;
use crate::form::Form;
use crate::print;

/// The arguments of `weft identity`.
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Replace the root under load: no request fails, and no pod is restarted
    Rotate(Rotate),
    /// Print roots, issuer, their lives, and which proxies are behind
    Status(Common),
}

#[derive(Args)]
struct Rotate {
    #[command(flatten)]
    common: Common,
    /// How long to follow it, as 90s or 10m; it goes on in the cluster after that, and can be followed again
    #[arg(long, default_value = "30m", value_parser = duration)]
    timeout: Duration,
}

#[derive(Args)]
struct Common {
    #[command(flatten)]
    cluster: Cluster,
    /// The control plane's namespace
    #[arg(long, default_value = "weft")]
    weft_namespace: String,
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

/// Runs one of the subcommands.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Status(common) => {
            let client = common.cluster.client().await?;
            let status = status(&client, &common.weft_namespace).await?.context(NO_STATUS)?;
            print(&match common.output {
                Form::Table => report::table(&status),
                Form::Json => serde_json::to_string_pretty(&status)?,
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Rotate(Rotate { common, timeout }) => {
            let client = common.cluster.client().await?;
            rotate::run(&client, &common.weft_namespace, common.output, timeout).await
        }
    }
}

const NO_STATUS: &str =
    "the control plane has not written ConfigMap weft-identity-status yet: `weft check` says what is wrong";

/// What the leading replica has written last. None: nothing yet.
async fn status(client: &Client, namespace: &str) -> anyhow::Result<Option<Status>> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = maps.get_opt(STATUS_MAP).await;
    let found = found
        .map_err(|error| anyhow::anyhow!("ConfigMap {namespace}/{STATUS_MAP} cannot be read: {}", reason(&error)))?;
    let Some(text) = found.and_then(|map| map.data?.remove(STATUS_KEY)) else { return Ok(None) };
    Ok(Some(serde_json::from_str(&text).context("the status is another release's: use that release's weft")?))
}
