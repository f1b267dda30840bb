//! One small HTTP request to an admin port inside the sandbox, over a connection that the sandbox opens.

use std::net::IpAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weft_sandbox::{PodName, Sandbox, SandboxError};

/// An admin port answers at once, or its pod is going.
const LIMIT: Duration = Duration::from_millis(500);
/// Far more than a proxy writes.
const LONGEST: u64 = 16 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The sandbox could not connect.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The connection broke.
    #[error("the connection broke")]
    Io(#[from] std::io::Error),
    /// Nothing came in time.
    #[error("no answer within {LIMIT:?}")]
    Late,
    /// Something other than 200 came.
    #[error("it answered {0:?}")]
    Status(String),
}

/// Where a request comes from and goes to.
pub struct Target {
    /// The pod that it comes from; `None`: the bridge.
    pub from: Option<PodName>,
    /// The address, from there.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

/// Sends a request without a body; the body of the answer.
pub async fn ask(sandbox: &Sandbox, target: Target, method: &str, path: &str) -> Result<String, AskError> {
    let Target { from, address, port } = target;
    let exchange = async {
        let mut stream = sandbox.connect(from, address, port).await?;
        // HTTP/1.0: the answer ends with the connection and is not in chunks.
        let request = format!("{method} {path} HTTP/1.0\r\nHost: admin\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(LONGEST).read_to_end(&mut answer).await?;
        body(&String::from_utf8_lossy(&answer)).map(str::to_owned)
    };
    tokio::time::timeout(LIMIT, exchange).await.map_err(|_| AskError::Late)?
}

fn body(answer: &str) -> Result<&str, AskError> {
    let line = answer.lines().next().unwrap_or_default();
    let is_ok = line.starts_with("HTTP/1.") && line.split(' ').nth(1) == Some("200");
    match answer.split_once("\r\n\r\n") {
        Some((_, body)) if is_ok => Ok(body),
        _ => Err(AskError::Status(line.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_an_answer_follows_its_head() {
        assert_eq!(body("HTTP/1.0 200 OK\r\nA: b\r\n\r\nup 1\n").unwrap(), "up 1\n");
    }

    #[test]
    fn anything_but_200_is_an_error_that_shows_it() {
        let error = body("HTTP/1.1 403 Forbidden\r\n\r\non loopback only").unwrap_err();
        assert_eq!(error.to_string(), r#"it answered "HTTP/1.1 403 Forbidden""#);
        assert!(body("").is_err());
        assert!(body("HTTP/1.1 200 OK\r\n").is_err());
    }
}
