//! What both sides do to a message, and how they speak HTTP/2.

use http::header::{CONNECTION, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Version};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::rt::{Read, Write};

/// Streams at most at the same time on one connection.
pub const STREAMS: u32 = 1000;
/// Credit of a stream and of a connection, as Weft's transport has it.
pub const STREAM_WINDOW: u32 = 256 * 1024;
pub const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Runs hyper's tasks on the thread that makes them.
#[derive(Clone, Copy)]
pub struct Here;

impl<F: Future + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// Fields that belong to one connection.
pub fn remove_hop_by_hop(fields: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, UPGRADE, HeaderName::from_static("keep-alive")] {
        fields.remove(name);
    }
}

/// Begins HTTP/2 as a client, and keeps it going in a task.
pub async fn begin(io: impl Read + Write + Unpin + 'static) -> hyper::Result<SendRequest<Incoming>> {
    let (link, run) = http2::Builder::new(Here)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(128 * 1024)
        .handshake(io)
        .await?;
    tokio::task::spawn_local(async move {
        // Its end shows in every request.
        let _ = run.await;
    });
    Ok(link)
}

/// The version that the other connection speaks; the codecs go by their own.
pub fn version(http2: bool) -> Version {
    if http2 { Version::HTTP_2 } else { Version::HTTP_11 }
}
