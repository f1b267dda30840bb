//! The platform: a process for each event.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tracing::{info, warn};

use super::receipt::Event;
use crate::proto::FollowRequest;
use crate::proto::order_events_client::OrderEventsClient;
use crate::{serve, settings};

const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// Between two tries of what failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A function that fails so often for one event is not tried again for it: the event is told of and passed over.
const TRIES: u32 = 5;

/// The arguments of `shop functions`. Orders' events are at `ORDERS_GRPC_URL` (`http://orders:9090`).
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// Where the function's output goes, a file for each event, and the number of the last event that was dealt with.
    #[arg(long, default_value = "receipts")]
    pub folder: PathBuf,
    /// How long the function may take for one event, such as 5s.
    #[arg(long, default_value = "5s", value_parser = time)]
    pub limit: Duration,
    /// The function: a program with its arguments; `shop receipt` where nothing is said.
    pub function: Vec<String>,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    settings::read_time(text).ok_or("write a time such as 500ms or 5s")
}

/// A program that is started for each event.
#[derive(Clone, Debug)]
pub struct Function {
    /// Program and arguments.
    pub words: Vec<String>,
    /// Its time for one event, its start included.
    pub limit: Duration,
}

impl Function {
    /// Starts it, gives it the event, and reads what it writes.
    ///
    /// # Errors
    /// It cannot be started, takes too long (it is killed then), or ends badly.
    pub async fn call(&self, event: &Event) -> anyhow::Result<Vec<u8>> {
        let (program, arguments) = self.words.split_first().context("the function has no program")?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let mut input = process.stdin.take().context("the function has no standard input")?;
        let event = serde_json::to_vec(event)?;
        let exchange = async {
            // A function that does not read its event to the end may be right: its exit code tells.
            let _ = input.write_all(&event).await;
            drop(input);
            process.wait_with_output().await
        };
        let output =
            timeout(self.limit, exchange).await.with_context(|| format!("no end within {:?}", self.limit))??;
        if !output.status.success() {
            bail!("{program} ended with {}", output.status);
        }
        Ok(output.stdout)
    }
}

/// Follows the orders until it is told to stop, from where it was when it ended before.
///
/// # Errors
/// A setting that cannot be used, or a folder that cannot be written to.
pub async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let url: String = settings::parsed("ORDERS_GRPC_URL", "http://orders:9090".into(), "a URL")?;
    let orders = Endpoint::from_shared(url).context("ORDERS_GRPC_URL is no URL")?.connect_timeout(CONNECT_DEADLINE);
    let orders = OrderEventsClient::new(orders.connect_lazy());
    let words = match arguments.function {
        words if !words.is_empty() => words,
        _ => vec![std::env::current_exe()?.display().to_string(), "receipt".into()],
    };
    let function = Function { words, limit: arguments.limit };
    std::fs::create_dir_all(&arguments.folder).context("the folder cannot be made")?;
    let stop = CancellationToken::new();
    let follow = async {
        loop {
            if let Err(error) = follow(orders.clone(), &function, &arguments.folder).await {
                warn!(%error, "the stream of events broke; it is taken up where it was");
            }
            sleep(PAUSE).await;
        }
    };
    serve::until_signal(stop.clone(), async {
        tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = follow => ended,
        }
    })
    .await
}

/// Each event in turn: the cursor is moved when its output is on the disk, so that none is left out.
pub(super) async fn follow(
    mut orders: OrderEventsClient<tonic::transport::Channel>,
    function: &Function,
    folder: &Path,
) -> anyhow::Result<()> {
    let cursor = folder.join("cursor");
    let after = match std::fs::read_to_string(&cursor) {
        Ok(text) => text.trim().parse().context("the cursor is no number")?,
        Err(_) => 0,
    };
    let mut events = orders.follow(FollowRequest { after }).await?.into_inner();
    while let Some(event) = events.next().await {
        let event = Event::from(event?);
        if let Some(output) = insist(function, &event).await.filter(|output| !output.is_empty()) {
            replace(&folder.join(format!("{}-{}.txt", event.sequence, event.kind)), &output)?;
        }
        replace(&cursor, event.sequence.to_string().as_bytes())?;
    }
    Ok(())
}

async fn insist(function: &Function, event: &Event) -> Option<Vec<u8>> {
    for attempt in 1..=TRIES {
        let begun = Instant::now();
        match function.call(event).await {
            Ok(output) => {
                let milliseconds = begun.elapsed().as_millis();
                info!(sequence = event.sequence, attempt, milliseconds, "the function has ended");
                return Some(output);
            }
            Err(error) => warn!(sequence = event.sequence, attempt, %error, "the function failed"),
        }
        if attempt < TRIES {
            sleep(PAUSE).await;
        }
    }
    None
}

/// The whole file or the old one, whenever it is looked at.
fn replace(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, content)?;
    std::fs::rename(new, file)
}
