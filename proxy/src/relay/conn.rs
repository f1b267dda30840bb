//! An app's connection: its socket, and what was read or is to be written, with memory only while there is any.
//!
//! Knows nothing of HTTP: `message.rs` moves messages, `tcp/` moves opaque bytes. Not cancel-safe to write: a piece that
//! was begun must be finished or the connection dropped.

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

use crate::buffer::Buf;

/// From here on, a piece is written from where it lies instead of copied.
const LARGE: usize = 8 << 10;
/// How much is read ahead of what is wanted, at most.
const READ_AHEAD: usize = 64 << 10;

/// A connection with an app, its client or its server.
pub struct AppConn {
    io: TcpStream,
    input: Buf,
    output: Buf,
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
}

impl AppConn {
    /// Takes a connected socket. `listen` and `endpoint` have seen to it that small writes are not delayed.
    pub fn new(io: TcpStream) -> Self {
        Self { io, input: Buf::default(), output: Buf::default() }
    }

    /// Both directions, to be used beside each other.
    pub fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        let (read, write) = self.io.split();
        (Reader { io: read, buf: &mut self.input }, Writer { io: write, buf: &mut self.output })
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
            let of_buf = n.min(self.buf.len());
            self.buf.consume(of_buf);
            piece = &piece[n - of_buf..];
        }
        if !piece.is_empty() {
            self.out().extend_from_slice(piece);
        }
        Ok(())
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
