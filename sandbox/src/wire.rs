//! The control socket's language: JSON, one message a line, with descriptors beside it.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::UnixStream;

/// Longest message; manifests are part of some.
const LONGEST: usize = 16 << 20;
/// Most descriptors that one message brings.
const MOST_DESCRIPTORS: usize = 3;

/// One connection to the control socket, either end.
pub(crate) struct Wire {
    stream: UnixStream,
    buffer: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

impl Wire {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, buffer: Vec::new(), descriptors: Vec::new() }
    }

    pub(crate) async fn connect(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).await.map(Self::new)
    }

    /// Sends a message with descriptors. Not cancel-safe.
    pub(crate) async fn send<T: Serialize>(&mut self, message: &T, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let sent = if raw.is_empty() {
            0
        } else {
            let once = || {
                let rights = [ControlMessage::ScmRights(&raw)];
                let data = [IoSlice::new(&line)];
                Ok(sendmsg::<()>(self.stream.as_raw_fd(), &data, &rights, MsgFlags::MSG_NOSIGNAL, None)?)
            };
            self.stream.async_io(Interest::WRITABLE, once).await?
        };
        self.stream.write_all(&line[sent..]).await
    }

    /// The next message and the descriptors that came so far; `None` at the end. Cancel-safe.
    pub(crate) async fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Ok(Some((serde_json::from_slice(&line)?, std::mem::take(&mut self.descriptors))));
            }
            if self.buffer.len() > LONGEST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
            }
            if self.read().await? == 0 {
                return Ok(None);
            }
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        let Self { stream, buffer, descriptors } = self;
        let once = || {
            let mut data = [0; 8192];
            let mut space = nix::cmsg_space!([RawFd; MOST_DESCRIPTORS]);
            let mut parts = [IoSliceMut::new(&mut data)];
            let flags = MsgFlags::MSG_CMSG_CLOEXEC;
            let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
            for control in message.cmsgs()? {
                if let ControlMessageOwned::ScmRights(raw) = control {
                    // SAFETY: the kernel made these descriptors for this message and nobody else has them.
                    descriptors.extend(raw.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
                }
            }
            let read = message.bytes;
            buffer.extend_from_slice(&data[..read]);
            Ok(read)
        };
        stream.async_io(Interest::READABLE, once).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[tokio::test]
    async fn a_message_brings_its_descriptors() {
        let (near, far) = UnixStream::pair().unwrap();
        let (mut near, mut far) = (Wire::new(near), Wire::new(far));
        let (reader, writer) = std::io::pipe().unwrap();
        near.send(&"first", &[writer.as_fd()]).await.unwrap();
        near.send(&"second", &[]).await.unwrap();
        drop(writer);
        let (first, descriptors) = far.receive::<String>().await.unwrap().unwrap();
        assert_eq!((first.as_str(), descriptors.len()), ("first", 1));
        let (second, _) = far.receive::<String>().await.unwrap().unwrap();
        assert_eq!(second, "second");
        drop((descriptors, near));
        assert!(far.receive::<String>().await.unwrap().is_none());
        assert_eq!(std::io::read_to_string(reader).unwrap(), "");
    }
}
