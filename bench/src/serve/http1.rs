//! HTTP/1.1 with answers made beforehand.

use std::sync::OnceLock;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LARGE: usize = 100_000;

/// Serves requests without a body on one connection, pipelined ones too.
pub async fn serve(mut connection: TcpStream) -> anyhow::Result<()> {
    let mut input = Vec::with_capacity(4096);
    loop {
        if connection.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
        while let Some(end) = input.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = &input[..end];
            let close = has_field(head, b"\r\nconnection: close");
            connection.write_all(if head.starts_with(b"GET /large ") { large() } else { small() }).await?;
            if close {
                return Ok(connection.shutdown().await?);
            }
            input.drain(..end + 4);
        }
    }
}

fn has_field(head: &[u8], line: &[u8]) -> bool {
    head.windows(line.len()).any(|window| window.eq_ignore_ascii_case(line))
}

fn small() -> &'static [u8] {
    static SMALL: OnceLock<Vec<u8>> = OnceLock::new();
    SMALL.get_or_init(|| answer(16))
}

fn large() -> &'static [u8] {
    static ANSWER: OnceLock<Vec<u8>> = OnceLock::new();
    ANSWER.get_or_init(|| answer(LARGE))
}

fn answer(length: usize) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n");
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + length, b'w');
    answer
}
