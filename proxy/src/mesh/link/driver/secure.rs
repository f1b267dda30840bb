//! A link's handshake: who is there, until when, and what a failure of TLS proves.

use std::{sync::Arc, task::Waker, time::SystemTime};

use rustls::AlertDescription;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::Instant,
};
use weft_certs::Peer;

use super::{Driver, Incoming};
use crate::mesh::{
    ALPN,
    error::{LinkError, ProtocolError},
    tls::Tls,
};

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<'_, T> {
    /// Decrypts what was read, and hands on what it says; true: the peer said that nothing follows.
    pub(super) fn decrypt(&mut self, on_open: &mut impl FnMut(Incoming)) -> Result<bool, LinkError> {
        let (link, part, heard_frame, up) = (self.link, &mut self.part, &mut self.heard_frame, self.times.up);
        let mut delivered = Ok(());
        let hand_on = |bytes: &[u8]| {
            if !up {
                // Who the peer is, is looked at first.
                part.vec().extend_from_slice(bytes);
            } else if delivered.is_ok() {
                delivered = super::deliver(link, part, bytes, on_open).map(|count| *heard_frame |= count > 0);
            }
        };
        let read = self.tls.read(self.wire.filled_mut(), hand_on, &mut self.out);
        self.wire.consume(read.as_ref().map_or(0, |read| read.used));
        delivered?; // Also what came before TLS broke.
        let read = read.map_err(|error| self.tls_failed(error))?;
        if read.up && !self.times.up {
            self.came_up()?;
            let early = std::mem::take(&mut self.part);
            let count = super::deliver(self.link, &mut self.part, early.filled(), on_open)?;
            self.heard_frame |= count > 0;
        }
        Ok(read.closed)
    }

    fn tls_failed(&self, error: rustls::Error) -> LinkError {
        if self.times.up { tls_broke(error) } else { LinkError::Handshake(Arc::new(error)) }
    }

    /// The handshake is over: who is there, and for how long?
    fn came_up(&mut self) -> Result<(), LinkError> {
        if self.tls.alpn() != Some(ALPN) {
            return Err(ProtocolError::Alpn.into());
        }
        if !matches!(self.tls, Tls::Within) {
            self.recognise()?;
        }
        self.times.up = true;
        let mut state = self.link.state.borrow_mut();
        state.up = true;
        state.waits_for_up.take().into_iter().for_each(Waker::wake);
        if state.mux.wants_write() {
            state.wake();
        }
        Ok(())
    }

    /// Who the peer is, and until when that holds.
    fn recognise(&mut self) -> Result<(), LinkError> {
        let peer = Peer::of(self.tls.peer_chain()).map_err(LinkError::Identity)?;
        // A resumed session was not verified anew.
        let expired = rustls::Error::InvalidCertificate(rustls::CertificateError::Expired);
        let left = peer.not_after.duration_since(SystemTime::now());
        let left = left.map_err(|_| LinkError::Handshake(Arc::new(expired)))?;
        if let Some(end) = Instant::now().checked_add(left) {
            self.link.expires_at(end);
        }
        self.link.state.borrow_mut().peer = Some(peer.identity);
        Ok(())
    }

    /// What the end of the link is to be called; true: the peer has provably read no frame, although some may have been
    /// sent. A server refuses a client's certificate only after the client believes the handshake to be over.
    pub(super) fn verdict(&self, cause: LinkError) -> (LinkError, bool) {
        match cause {
            LinkError::Tls(error) if !self.heard_frame && refuses_certificate(&error) => {
                (LinkError::Handshake(error), true)
            }
            cause => (cause, false),
        }
    }
}

/// Whether a peer that says this has not believed our certificate (RFC 8446, section 6.2). Other alerts may come of what
/// happened later, and prove nothing.
fn refuses_certificate(error: &rustls::Error) -> bool {
    use AlertDescription::{
        AccessDenied, BadCertificate, CertificateExpired, CertificateRequired, CertificateRevoked, CertificateUnknown,
        UnknownCA, UnsupportedCertificate,
    };
    let rustls::Error::AlertReceived(alert) = error else { return false };
    matches!(
        alert,
        AccessDenied
            | BadCertificate
            | CertificateExpired
            | CertificateRequired
            | CertificateRevoked
            | CertificateUnknown
            | UnknownCA
            | UnsupportedCertificate
    )
}

pub(super) fn tls_broke(error: rustls::Error) -> LinkError {
    LinkError::Tls(Arc::new(error))
}
