//! Connections of bytes.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

const PATIENCE: Duration = Duration::from_secs(10);

/// What came back on connections of bytes.
#[derive(Serialize)]
pub struct Exchanged {
    worked: usize,
    last: String,
}

/// A connection that was to switch protocols.
#[derive(Serialize)]
pub struct Switched {
    head: String,
    rest: String,
}

/// Sends `text`, half-closes, and reads to the end; for nothing to send, waits for what the server says first.
pub async fn bytes(target: &str, text: &str, times: usize) -> anyhow::Result<Exchanged> {
    let mut exchanged = Exchanged { worked: 0, last: String::new() };
    for _ in 0..times {
        exchanged.last = timeout(PATIENCE, once(target, text)).await.context("no answer in time")??;
        exchanged.worked += 1;
    }
    Ok(exchanged)
}

async fn once(target: &str, text: &str) -> anyhow::Result<String> {
    let mut io = TcpStream::connect(target).await?;
    let mut answer = Vec::new();
    if text.is_empty() {
        let mut greeting = [0; 64];
        let n = io.read(&mut greeting).await?;
        answer.extend_from_slice(&greeting[..n]);
        io.write_all(b"QUIT\r\n").await?;
    } else {
        io.write_all(text.as_bytes()).await?;
    }
    io.shutdown().await?;
    io.read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Sends `head`, reads the head of the answer, sends `text`, half-closes, and reads to the end.
pub async fn switch(target: &str, head: &str, text: &str) -> anyhow::Result<Switched> {
    let exchange = async {
        let mut io = TcpStream::connect(target).await?;
        io.write_all(head.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(io.read_u8().await?);
        }
        io.write_all(text.as_bytes()).await?;
        io.shutdown().await?;
        let mut rest = Vec::new();
        io.read_to_end(&mut rest).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        anyhow::Ok(Switched { head: text(&answer), rest: text(&rest) })
    };
    timeout(PATIENCE, exchange).await.context("no answer in time")?
}

/// Exchanges a word ten times a second on one connection, after a silence.
pub async fn hold(target: &str, time: Duration, after: Duration) -> anyhow::Result<Exchanged> {
    let mut io = TcpStream::connect(target).await?;
    tokio::time::sleep(after).await;
    let end = Instant::now() + time;
    let mut exchanged = Exchanged { worked: 0, last: "held".to_owned() };
    let mut word = [0; 4];
    while Instant::now() < end {
        io.write_all(b"word").await?;
        timeout(PATIENCE, io.read_exact(&mut word)).await.context("no answer in time")??;
        exchanged.worked += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(exchanged)
}

/// Sends a request and keeps the connection, silent, until it ends or the time is over.
pub async fn silent(target: &str, time: Duration) -> anyhow::Result<()> {
    let mut io = TcpStream::connect(target).await?;
    io.write_all(b"GET / HTTP/1.1\r\nhost: app\r\n\r\n").await?;
    // However it ends, that is what was asked for.
    let _ = timeout(time, io.read_to_end(&mut Vec::new())).await;
    Ok(())
}

/// What a head that never ends was answered with.
#[derive(Serialize)]
pub struct Trickled {
    answer: String,
    milliseconds: u128,
}

/// Sends a request's head a byte at a time, without an end, until there is an answer.
pub async fn trickle(target: &str) -> anyhow::Result<Trickled> {
    let mut io = TcpStream::connect(target).await?;
    let began = Instant::now();
    io.write_all(b"GET / HTTP/1.1\r\nhost: app\r\nx-slow: ").await?;
    let mut answer = Vec::new();
    while began.elapsed() < PATIENCE {
        // The answer is in the way of a byte only once.
        let _ = io.write_all(b"x").await;
        if let Ok(read) = timeout(Duration::from_millis(100), io.read_buf(&mut answer)).await {
            read?;
            break;
        }
    }
    Ok(Trickled { answer: String::from_utf8_lossy(&answer).into_owned(), milliseconds: began.elapsed().as_millis() })
}
