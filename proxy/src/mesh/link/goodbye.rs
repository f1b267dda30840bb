//! How a connection is closed so that the peer reads all that was written: a socket that is closed while it holds unread
//! bytes sends a reset, which overtakes the last frames.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long the peer may take to read the rest and to close its side.
const LINGER: Duration = Duration::from_secs(1);

/// Sends `rest`, closes this side, and waits for the other's end, for a second at most.
pub(super) async fn say<T: AsyncRead + AsyncWrite + Unpin>(mut io: T, rest: &[u8]) {
    let farewell = async {
        io.write_all(rest).await?;
        io.shutdown().await?;
        let mut dropped = [0; 2048];
        while io.read(&mut dropped).await? > 0 {}
        Ok::<(), std::io::Error>(())
    };
    // Whatever goes wrong here, the connection is over either way.
    let _ = tokio::time::timeout(LINGER, farewell).await;
}
