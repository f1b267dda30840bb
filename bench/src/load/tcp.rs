//! Bytes without a protocol, to an echo.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::thread;

/// No protocol's beginning, so that nothing mistakes it for one.
const FIRST: [u8; 64] = [0xee; 64];
const BLOCK: usize = 64 * 1024;
const BLOCKS: usize = 16;

/// Connects, sends 64 bytes, takes them back, and sees both directions closed.
pub async fn on_a_new_connection(target: SocketAddr) -> anyhow::Result<()> {
    let mut connection = thread::connect(target).await?;
    connection.write_all(&FIRST).await.context("send bytes")?;
    let mut back = [0; FIRST.len()];
    connection.read_exact(&mut back).await.context("take bytes back")?;
    ensure!(back == FIRST, "other bytes came back");
    connection.shutdown().await.context("end the connection")?;
    ensure!(connection.read(&mut back).await.context("wait for the end")? == 0, "more bytes came back");
    Ok(())
}

/// A connection that stays.
pub struct Bulk {
    connection: TcpStream,
    target: SocketAddr,
    sent: Vec<u8>,
    taken: Vec<u8>,
}

impl Bulk {
    pub async fn connect(target: SocketAddr) -> anyhow::Result<Self> {
        let connection = thread::connect(target).await?;
        Ok(Self { connection, target, sent: vec![0xee; BLOCK], taken: vec![0; BLOCK] })
    }

    pub async fn reconnect(&mut self) -> anyhow::Result<()> {
        *self = Self::connect(self.target).await?;
        Ok(())
    }

    /// 1 MiB there and back, both directions at the same time.
    pub async fn once(&mut self) -> anyhow::Result<()> {
        let (mut back, mut there) = self.connection.split();
        let (sent, taken) = (&self.sent, &mut self.taken);
        let send = async {
            for _ in 0..BLOCKS {
                there.write_all(sent).await.context("send bytes")?;
            }
            anyhow::Ok(())
        };
        let take = async {
            let mut missing = BLOCKS * BLOCK;
            while missing > 0 {
                let most = missing.min(BLOCK);
                let read = back.read(&mut taken[..most]).await.context("take bytes back")?;
                ensure!(read > 0, "the connection was closed with {missing} bytes on their way");
                missing -= read;
            }
            Ok(())
        };
        tokio::try_join!(send, take).map(|_| ())
    }
}
