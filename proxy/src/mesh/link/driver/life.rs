//! A link's deadlines as they come, and its last word.

use std::{future::Future, pin::Pin, task::Context};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, Sleep},
};

use super::Driver;
use crate::mesh::{error::LinkError, link::keeper::Due, mux::Mux};

impl<T: AsyncRead + AsyncWrite + Unpin> Driver<'_, T> {
    /// Does what is due, and sees to it that this task is woken when something is again.
    pub(super) fn keep(&mut self, cx: &mut Context<'_>, mut sleep: Pin<&mut Sleep>) -> Result<(), LinkError> {
        loop {
            let now = Instant::now();
            self.look(now);
            match self.times.check(&self.link.limits, now) {
                Ok(due) => self.act(due, now)?,
                // A later deadline is found when the earlier one comes: moving the runtime's timer costs more.
                Err(next) => {
                    if next < sleep.deadline() || sleep.is_elapsed() {
                        sleep.as_mut().reset(next);
                    }
                    if sleep.as_mut().poll(cx).is_pending() {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// What the streams and the owner have changed.
    fn look(&mut self, now: Instant) {
        let state = self.link.state.borrow();
        self.times.busy = state.mux.streams() > 0;
        self.times.since = state.since.max(self.times.started);
        self.times.expires = state.expires;
        if self.times.drain_until.is_none() && state.mux.is_draining() {
            self.times.drain_until = Some(now + self.link.limits.drain);
        }
        self.times.answer_until = match self.times.answer_until {
            _ if !state.mux.is_drain_unanswered() => None,
            None => Some(now + self.link.limits.drain_answer),
            asked => asked,
        };
    }

    fn act(&mut self, due: Due, now: Instant) -> Result<(), LinkError> {
        match due {
            Due::HandshakeOver => return Err(LinkError::HandshakeTimeout),
            Due::Silent => return Err(LinkError::Silent),
            Due::DrainOver => return Err(self.drain_cause.clone()),
            Due::DrainUnanswered => self.link.mux(Mux::drain_without_answer),
            Due::Ping => {
                self.times.pinged = Some(now);
                self.link.mux(|mux| mux.ping());
            }
            Due::Expired => self.link.drain(),
            Due::Idle => {
                self.drain_cause = LinkError::Idle;
                self.link.drain();
            }
        }
        Ok(())
    }

    /// Tells the peer which streams were served, behind what was on its way already.
    pub(super) fn compose_goodbye(&mut self) {
        if !self.times.up {
            return;
        }
        let mut state = self.link.state.borrow_mut();
        if state.mux.lost().is_some() {
            return;
        }
        state.mux.say_goodbye();
        let batch = state.mux.take_batch();
        // Where TLS breaks now, the peer is not told.
        let _ = self.tls.write(self.wire.filled_mut(), &batch, &mut self.out);
    }
}
