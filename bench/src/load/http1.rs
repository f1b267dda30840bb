//! HTTP/1.1, as little of it as makes a request and knows its answer's end.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::thread;

pub const SMALL: &[u8] = b"GET /small HTTP/1.1\r\nhost: bench\r\nuser-agent: weft-bench\r\naccept: */*\r\n\r\n";
pub const LARGE: &[u8] = b"GET /large HTTP/1.1\r\nhost: bench\r\nuser-agent: weft-bench\r\naccept: */*\r\n\r\n";
const ONCE: &[u8] =
    b"GET /small HTTP/1.1\r\nhost: bench\r\nuser-agent: weft-bench\r\naccept: */*\r\nconnection: close\r\n\r\n";

/// One connection that stays.
pub struct Client {
    connection: TcpStream,
    target: SocketAddr,
    request: &'static [u8],
    input: Vec<u8>,
}

impl Client {
    pub async fn connect(target: SocketAddr, request: &'static [u8]) -> anyhow::Result<Self> {
        let connection = thread::connect(target).await?;
        Ok(Self { connection, target, request, input: Vec::new() })
    }

    pub async fn reconnect(&mut self) -> anyhow::Result<()> {
        *self = Self::connect(self.target, self.request).await?;
        Ok(())
    }

    /// Sends the request and takes the whole answer.
    pub async fn once(&mut self) -> anyhow::Result<()> {
        self.connection.write_all(self.request).await.context("send a request")?;
        self.input.clear();
        loop {
            let read = self.connection.read_buf(&mut self.input).await.context("read an answer")?;
            ensure!(read > 0, "the connection was closed instead of an answer");
            if let Some(length) = answer_length(&self.input)? {
                return self.rest(length).await;
            }
        }
    }

    /// What is missing of a body is read over itself: nobody looks at it.
    async fn rest(&mut self, length: usize) -> anyhow::Result<()> {
        let mut missing = length.checked_sub(self.input.len()).context("more than the answer came")?;
        self.input.resize(self.input.len().max(64 * 1024), 0);
        while missing > 0 {
            let most = missing.min(self.input.len());
            let read = self.connection.read(&mut self.input[..most]).await.context("read an answer's body")?;
            ensure!(read > 0, "the connection was closed within an answer");
            missing -= read;
        }
        Ok(())
    }
}

/// Connects, asks for a small answer, and sees the connection closed after it.
pub async fn on_a_new_connection(target: SocketAddr) -> anyhow::Result<()> {
    let mut client = Client::connect(target, ONCE).await?;
    client.once().await?;
    let mut more = [0; 1];
    ensure!(client.connection.read(&mut more).await.context("wait for the end")? == 0, "more than the answer came");
    Ok(())
}

/// Bytes of the answer that begins `input`, head and body; none while the head is not complete.
fn answer_length(input: &[u8]) -> anyhow::Result<Option<usize>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut answer = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(head) = answer.parse(input).context("read an answer's head")? else {
        return Ok(None);
    };
    ensure!(answer.code == Some(200), "the answer was {:?}: {}", answer.code, String::from_utf8_lossy(&input[..head]));
    let length = answer.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse::<usize>().ok());
    Ok(Some(head + length.context("the answer has no length")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(answer_length(answer).unwrap(), Some(answer.len()));
        assert_eq!(answer_length(&answer[..20]).unwrap(), None);
    }

    #[test]
    fn an_answer_that_is_an_error_or_has_no_length_is_a_failure() {
        assert!(answer_length(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(answer_length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}
