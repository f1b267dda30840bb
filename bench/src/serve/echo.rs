//! Bytes come back as they went.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Serves one connection; its end is answered with the end of the other direction.
pub async fn serve(mut connection: TcpStream) -> anyhow::Result<()> {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        match connection.read(&mut bytes).await? {
            0 => return Ok(connection.shutdown().await?),
            read => connection.write_all(&bytes[..read]).await?,
        }
    }
}
