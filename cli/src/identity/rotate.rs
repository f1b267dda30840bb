//! `weft identity rotate`: asks for a rotation of the root, unless one is under way, and follows it to its end.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::{Instant, sleep};
use weft_control_plane::identity::REQUESTED;
use weft_control_plane::rotation::{Phase, Status};

use super::{Form, NO_STATUS, report, status};
use crate::cluster::reason;
use crate::{print, tell};

const ANCHOR: &str = "weft-trust-anchor";
/// How often it is looked how far it has come.
const ROUND: Duration = Duration::from_millis(500);
/// How long the control plane may take to notice the request: longer than a lease takes to change hands.
const NOTICE: Duration = Duration::from_secs(60);
/// How long the same may stand in the way before it is named, and how often it is named again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Asks, unless it has been asked for, and waits for the end.
pub async fn run(client: &Client, namespace: &str, form: Form, limit: Duration) -> anyhow::Result<ExitCode> {
    let before = status(client, namespace).await?.context(NO_STATUS)?;
    let request = match before.request {
        Some(request) => {
            tell("a rotation is under way, and is followed");
            request
        }
        None => ask(client, namespace).await?,
    };
    let done = follow(client, namespace, &request, limit).await?;
    print(&match form {
        Form::Table => report::table(&done),
        Form::Json => serde_json::to_string_pretty(&done)?,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes the request.
async fn ask(client: &Client, namespace: &str) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let request = now.as_millis().to_string();
    annotate(client, namespace, Some(&request)).await?;
    Ok(request)
}

/// Nothing of the Secret but its annotations is sent or kept. None withdraws what was asked for, so that it does not begin one day when nobody thinks of it.
async fn annotate(client: &Client, namespace: &str, request: Option<&str>) -> anyhow::Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let patch = json!({"metadata": {"annotations": {REQUESTED: request}}});
    match secrets.patch_metadata(ANCHOR, &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(error) => {
            bail!("Secret {namespace}/{ANCHOR} cannot be annotated: {}; you need the right to patch it", reason(&error))
        }
    }
}

/// Tells of each phase as it begins, and of who stands in its way.
async fn follow(client: &Client, namespace: &str, request: &str, limit: Duration) -> anyhow::Result<Status> {
    let began = Instant::now();
    let mut told = Told { phase: None, at: began };
    loop {
        // An API server that is away for a moment ends nothing.
        let now = match status(client, namespace).await {
            Ok(now) => now.context(NO_STATUS)?,
            Err(error) if began.elapsed() < limit => {
                tell(&format!("{error:#}; it is tried again"));
                sleep(PATIENCE / 4).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        if now.done.as_deref() == Some(request) {
            tell("the old root is dropped");
            return Ok(now);
        }
        if let Some(refused) = now.refused {
            annotate(client, namespace, None).await?;
            bail!("the root cannot be rotated: {refused}");
        }
        if now.request.is_none() && began.elapsed() > NOTICE {
            bail!("no replica of the control plane has taken it up: `weft check` says what is wrong; ask again later");
        }
        if began.elapsed() > limit {
            bail!(
                "it is not done within {limit:?} and goes on: `weft identity rotate` follows it{}",
                report::behind(&now)
            );
        }
        told.tell(&now);
        sleep(ROUND).await;
    }
}

/// What has been told.
struct Told {
    phase: Option<Phase>,
    at: Instant,
}

impl Told {
    fn tell(&mut self, now: &Status) {
        let is_new = now.request.is_some() && self.phase != Some(now.phase);
        if is_new {
            tell(report::words(now.phase));
        } else if self.at.elapsed() < PATIENCE || now.behind == 0 {
            return;
        } else {
            tell(&format!("{} still in the way:{}", now.behind, report::behind(now)));
        }
        *self = Self { phase: Some(now.phase), at: Instant::now() };
    }
}
