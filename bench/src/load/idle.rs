//! Connections that are open and silent: how much memory each takes is for the caller to look at.
//!
//! Prints `begin` before they are opened, `end` when all are there, and stays until standard input ends.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use tokio::io::AsyncReadExt;
use tokio::time::Instant;

use super::http1::{Client, SMALL};
use super::record::Record;
use super::say;

/// How many go first, so that what a proxy sets up once is not counted.
const BEFORE: u32 = 64;
/// How long what the first requests used may take to be given back.
const SETTLE: Duration = Duration::from_secs(2);

pub async fn run(target: SocketAddr, connections: u32) -> anyhow::Result<()> {
    let first = open(target, BEFORE).await?;
    tokio::time::sleep(SETTLE).await;
    let record = Record::new(Instant::now(), 0.0, 3600.0)?;
    say("begin")?;
    let mut held = Vec::new();
    for _ in 0..connections {
        let due = Instant::now();
        held.extend(open(target, 1).await?);
        record.completed(due);
    }
    tokio::time::sleep(SETTLE).await;
    say("end")?;
    say(&serde_json::to_string(&record.report())?)?;
    tokio::io::stdin().read_to_end(&mut Vec::new()).await.context("wait for the end of standard input")?;
    drop((first, held));
    Ok(())
}

/// Opens connections, with one answer on each.
async fn open(target: SocketAddr, count: u32) -> anyhow::Result<Vec<Client>> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = Client::connect(target, SMALL).await?;
        client.once().await?;
        clients.push(client);
    }
    Ok(clients)
}
