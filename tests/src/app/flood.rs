//! A hostile client: as many connections as it gets, and never a word on them.

use std::{cell::Cell, time::Duration};

use serde::Serialize;
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, sleep, timeout_at},
};

/// After a connection has ended and before the next: 100 connections open 2,000 a second at most.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of it.
#[derive(Serialize)]
pub struct Flooded {
    /// Connections that were taken by the kernel.
    opened: u64,
    /// Of them, those that the other end has closed or reset.
    ended: u64,
}

/// Keeps so many connections open, and opens another for each that ends, until the time is over.
pub async fn flood(target: &str, connections: usize, time: Duration) -> Flooded {
    let (opened, ended) = (Cell::new(0), Cell::new(0));
    let end = Instant::now() + time;
    let one = || async {
        while Instant::now() < end {
            if let Ok(Ok(mut io)) = timeout_at(end, TcpStream::connect(target)).await {
                opened.set(opened.get() + 1);
                // However it ends, that is what was asked for.
                if timeout_at(end, io.read_u8()).await.is_ok() {
                    ended.set(ended.get() + 1);
                }
            }
            sleep(PAUSE).await;
        }
    };
    futures_util::future::join_all((0..connections).map(|_| one())).await;
    Flooded { opened: opened.get(), ended: ended.get() }
}
