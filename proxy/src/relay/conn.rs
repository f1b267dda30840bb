//! An app's connection: its socket, and what was read or is to be written, with memory only while there is any.
//!
//! Knows nothing of HTTP: `message.rs` moves messages, `tcp/` moves opaque bytes. Not cancel-safe to write: a piece that
//! was begun must be finished or the connection dropped.
//!
//! Counts what was written, so that of a connection that ended it can be told whether anything of the last message
//! arrived: see [`Writer::nothing_arrived_since`].

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
};

use crate::{buffer::Buf, socket};

/// From here on, a piece is written from where it lies instead of copied.
const LARGE: usize = 8 << 10;
/// How much is read ahead of what is wanted, at most.
const READ_AHEAD: usize = 64 << 10;

/// A connection with an app, its client or its server.
pub struct AppConn {
    io: TcpStream,
    input: Buf,
    output: Buf,
    written: u64,
}

/// What comes from the app.
pub struct Reader<'a> {
    io: ReadHalf<'a>,
    /// Bytes that were read and not yet consumed.
    pub buf: &'a mut Buf,
}

/// What goes to the app.
pub struct Writer<'a> {
    io: WriteHalf<'a>,
    buf: &'a mut Buf,
    written: &'a mut u64,
}

impl AppConn {
    /// Takes a connected socket. `listen` and `endpoint` have seen to it that small writes are not delayed.
    pub fn new(io: TcpStream) -> Self {
        Self { io, input: Buf::default(), output: Buf::default(), written: 0 }
    }

    /// Both directions, to be used beside each other.
    pub fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        let (read, write) = self.io.split();
        let writer = Writer { io: write, buf: &mut self.output, written: &mut self.written };
        (Reader { io: read, buf: &mut self.input }, writer)
    }

    /// The socket, and what was read from it already.
    pub fn into_parts(self) -> (TcpStream, Buf) {
        (self.io, self.input)
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.io
    }
}

impl Reader<'_> {
    /// Reads something more. The end of the connection is [`io::ErrorKind::UnexpectedEof`].
    ///
    /// # Errors
    /// As the socket says.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let room = self.buf.room();
        let before = room.len();
        let mut into = ReadBuf::uninit(room.spare_capacity_mut());
        let polled = Pin::new(&mut self.io).poll_read(cx, &mut into);
        let n = into.filled().len();
        // SAFETY: the socket has initialised `n` bytes behind the first `before`.
        unsafe { room.set_len(before + n) };
        if n == 0 {
            self.buf.settle();
            ready!(polled)?;
            return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
        }
        Poll::Ready(Ok(()))
    }

    /// Reads something more. Cancel-safe.
    ///
    /// # Errors
    /// As the socket says; its end is [`io::ErrorKind::UnexpectedEof`].
    pub async fn fill(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Reads ahead while something else is awaited, and is over when the connection is.
    pub async fn watch(&mut self) -> io::Error {
        loop {
            if self.buf.len() >= READ_AHEAD {
                return std::future::pending().await;
            }
            if let Err(error) = self.fill().await {
                return error;
            }
        }
    }
}

impl Writer<'_> {
    /// To append to; `flush` sends it.
    pub fn out(&mut self) -> &mut Vec<u8> {
        self.buf.vec()
    }

    /// Gives the memory back if nothing was appended after all.
    pub fn settle(&mut self) {
        self.buf.settle();
    }

    /// Sends what was appended.
    ///
    /// # Errors
    /// As the socket says.
    pub async fn flush(&mut self) -> io::Result<()> {
        while !self.buf.is_empty() {
            let n = poll_fn(|cx| Pin::new(&mut self.io).poll_write(cx, self.buf.filled())).await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            *self.written += n as u64;
            self.buf.consume(n);
        }
        self.buf.settle();
        Ok(())
    }

    /// Appends a piece; a large one is sent at once, with what was there before it, from where it lies.
    ///
    /// # Errors
    /// As the socket says.
    pub async fn piece(&mut self, mut piece: &[u8]) -> io::Result<()> {
        while piece.len() >= LARGE {
            let n = poll_fn(|cx| {
                let parts = [IoSlice::new(self.buf.filled()), IoSlice::new(piece)];
                let parts = if self.buf.is_empty() { &parts[1..] } else { &parts };
                Pin::new(&mut self.io).poll_write_vectored(cx, parts)
            })
            .await?;
            if n == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            *self.written += n as u64;
            let of_buf = n.min(self.buf.len());
            self.buf.consume(of_buf);
            piece = &piece[n - of_buf..];
        }
        if !piece.is_empty() {
            self.out().extend_from_slice(piece);
        }
        Ok(())
    }

    /// How many bytes the kernel has taken so far.
    pub fn written(&self) -> u64 {
        *self.written
    }

    /// Of a connection whose other end has closed it in good order (a read gave the end, not an error): whether nothing
    /// that was written after the first `mark` bytes was there by then, so that no program can have read it.
    ///
    /// The FIN acknowledges all that its sender's machine had received (RFC 9293 section 3.4: acknowledgment is
    /// cumulative, and every segment carries it). What is not acknowledged after the FIN has come was sent to an end that
    /// had closed already.
    pub fn nothing_arrived_since(&self, mark: u64) -> bool {
        socket::acknowledged(self.io.as_ref()).is_some_and(|acknowledged| acknowledged <= mark)
    }

    /// Says that nothing more comes: FIN.
    ///
    /// # Errors
    /// As the socket says.
    pub async fn finish(&mut self) -> io::Result<()> {
        self.flush().await?;
        poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    /// A connection over which something went both ways already, its other end, and how much was written.
    async fn connection() -> (AppConn, TcpStream, u64) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let mut conn = AppConn::new(near);
        let (_, mut writer) = conn.split();
        write(&mut writer, b"first").await;
        let mark = writer.written();
        far.read_exact(&mut [0; 5]).await.unwrap();
        (conn, far, mark)
    }

    async fn write(writer: &mut Writer<'_>, bytes: &[u8]) {
        writer.out().extend_from_slice(bytes);
        writer.flush().await.unwrap();
    }

    #[tokio::test]
    async fn what_is_written_after_the_other_end_closed_has_not_arrived() {
        let (mut conn, far, mark) = connection().await;
        let (mut reader, mut writer) = conn.split();
        drop(far);
        write(&mut writer, b"second").await;
        assert_eq!(reader.fill().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(writer.nothing_arrived_since(mark));
    }

    #[tokio::test]
    async fn what_was_there_before_the_other_end_closed_may_have_been_read() {
        let (mut conn, mut far, mark) = connection().await;
        let (mut reader, mut writer) = conn.split();
        write(&mut writer, b"second").await;
        far.read_exact(&mut [0; 6]).await.unwrap();
        drop(far);
        assert_eq!(reader.fill().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(!writer.nothing_arrived_since(mark));
    }

    #[tokio::test]
    async fn a_part_that_was_read_is_no_proof() {
        let (mut conn, mut far, mark) = connection().await;
        let (mut reader, mut writer) = conn.split();
        write(&mut writer, b"second").await;
        far.read_exact(&mut [0; 2]).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut far).await.unwrap();
        drop(far);
        assert_eq!(reader.fill().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert!(!writer.nothing_arrived_since(mark));
    }

    #[tokio::test]
    async fn a_reset_is_no_end() {
        let (mut conn, mut far, _) = connection().await;
        let (mut reader, mut writer) = conn.split();
        write(&mut writer, b"second").await;
        far.read_exact(&mut [0; 2]).await.unwrap();
        drop(far);
        assert_eq!(reader.fill().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }
}
