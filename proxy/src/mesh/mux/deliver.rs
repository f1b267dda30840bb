//! What a frame from the peer does. Whatever it is, what it makes us hold is bounded, and what breaks the rules is told
//! apart from what a later release may send.

use super::{Drain, Key, Mux, Over, Side};
use crate::mesh::{
    code::{Refusal, ResetCause},
    error::ProtocolError,
    frames::{Flags, Frame, Kind},
    limits::{CONNECTION_HEADS, MAX_CREDIT, MAX_ID, STREAM_HEADS, STREAM_WINDOW},
    open::{Open, OpenRefused},
};

/// What a frame did that its reader has to know.
#[derive(Debug, PartialEq)]
pub(in crate::mesh) enum Delivered {
    Nothing,
    Opened(Key, Open),
}

impl Mux {
    /// Takes a frame from the peer.
    ///
    /// # Errors
    /// When the peer broke the rules: the link is to end.
    pub(in crate::mesh) fn deliver(&mut self, frame: Frame<'_>) -> Result<Delivered, ProtocolError> {
        match frame.kind {
            Kind::OPEN => return self.opened(&frame),
            Kind::ACCEPT | Kind::REFUSE => self.answered(&frame)?,
            Kind::HEAD | Kind::DATA | Kind::TRAILERS => self.message(frame)?,
            Kind::CREDIT => self.credited(&frame)?,
            Kind::RESET => {
                let cause = ResetCause::from_code(u16::from_be_bytes(leading(&frame)?));
                if let Some(key) = self.key(&frame)? {
                    self.over(key, Over::Reset(cause));
                }
            }
            Kind::PING => self.pinged(&frame)?,
            Kind::GOAWAY => self.peer_goes(&frame)?,
            kind if kind.must_be_understood() => self.not_understood(&frame)?,
            _ => {}
        }
        Ok(Delivered::Nothing)
    }

    fn opened(&mut self, frame: &Frame<'_>) -> Result<Delivered, ProtocolError> {
        let id = frame.stream;
        if self.side == Side::Opener {
            return Err(direction(frame));
        }
        if id <= self.last_id || id > MAX_ID {
            return Err(ProtocolError::StaleId(id));
        }
        self.last_id = id;
        let refusal = match Open::read(frame.payload) {
            Err(OpenRefused::Malformed) => return Err(ProtocolError::Malformed(frame.kind.0)),
            Err(OpenRefused::Unsupported) => Refusal::Unsupported,
            Ok(open) if self.slots.len() < self.most_streams => {
                return Ok(Delivered::Opened(self.add(id), open));
            }
            Ok(_) => Refusal::NotDelivered,
        };
        let payload = refusal.code().to_be_bytes();
        Frame { kind: Kind::REFUSE, flags: Flags::END, stream: id, payload: &payload }.put(self.out());
        Ok(Delivered::Nothing)
    }

    fn answered(&mut self, frame: &Frame<'_>) -> Result<(), ProtocolError> {
        if self.side == Side::Acceptor {
            return Err(direction(frame));
        }
        let refused = frame.kind == Kind::REFUSE;
        let over = refused.then(|| leading(frame)).transpose()?.map(u16::from_be_bytes).map(Refusal::from_code);
        let Some(key) = self.key(frame)? else { return Ok(()) };
        let Some(slot) = self.slot(key) else { return Ok(()) };
        if slot.accepted || slot.ended {
            return Err(ProtocolError::AnsweredTwice(frame.stream));
        }
        match over {
            Some(refusal) => {
                slot.ended = true;
                self.over(key, Over::Refused(refusal));
            }
            None => {
                slot.accepted = true;
                slot.wake_reader();
            }
        }
        Ok(())
    }

    fn message(&mut self, mut frame: Frame<'_>) -> Result<(), ProtocolError> {
        let data = if frame.kind == Kind::DATA { frame.payload.len() as u32 } else { 0 };
        self.unreturned += data;
        if self.unreturned > self.window {
            return Err(ProtocolError::OverCredit(0));
        }
        self.widen();
        if frame.kind == Kind::TRAILERS {
            frame.flags = Flags::END;
        }
        let Some(key) = self.key(&frame)? else {
            self.give_back(data); // Of a stream that is over here.
            return Ok(());
        };
        let (opens, heads_full) = (self.side == Side::Opener, self.heads + frame.size() > CONNECTION_HEADS);
        let Some(slot) = self.slot(key) else { return Ok(()) };
        if slot.ended {
            return Err(ProtocolError::EndTwice { kind: frame.kind.0, stream: frame.stream });
        }
        slot.ended = frame.end();
        slot.accepted |= opens;
        if slot.over.is_some() {
            self.give_back(data);
            return Ok(());
        }
        slot.unreturned += data;
        if slot.unreturned > STREAM_WINDOW {
            return Err(ProtocolError::OverCredit(frame.stream));
        }
        slot.held += data;
        slot.carried.0 += u64::from(data);
        if frame.kind != Kind::DATA {
            if slot.heads + frame.size() > STREAM_HEADS {
                return Err(ProtocolError::Heads(frame.stream));
            }
            if heads_full {
                self.reset(key, ResetCause::Overloaded);
                return Ok(());
            }
            slot.heads += frame.size();
        }
        slot.inbox.push(&frame);
        slot.wake_reader();
        if frame.kind != Kind::DATA {
            self.heads += frame.size();
        }
        Ok(())
    }

    fn credited(&mut self, frame: &Frame<'_>) -> Result<(), ProtocolError> {
        let count = u32::from_be_bytes(leading(frame)?);
        let overflow = ProtocolError::CreditOverflow(frame.stream);
        let add = |credit: u32| credit.checked_add(count).filter(|sum| *sum <= MAX_CREDIT).ok_or(overflow);
        if frame.stream == 0 {
            self.credit = add(self.credit)?;
            self.wake_line();
        } else if let Some(key) = self.key(frame)?
            && let Some(slot) = self.slot(key)
        {
            slot.credit = add(slot.credit)?;
            slot.wake_writer();
        }
        Ok(())
    }

    fn pinged(&mut self, frame: &Frame<'_>) -> Result<(), ProtocolError> {
        let payload = leading(frame)?;
        if !frame.flags.has(Flags::ACK) {
            self.pong = Some(payload);
        } else if let Drain::Asked { ping } = self.drain
            && u64::from_be_bytes(payload) >= ping
        {
            self.drain = Drain::Agreed;
        }
        Ok(())
    }

    fn peer_goes(&mut self, frame: &Frame<'_>) -> Result<(), ProtocolError> {
        let last = u32::from_be_bytes(leading(frame)?);
        self.peer_drains = true;
        if self.side == Side::Opener {
            let late = |slot: &&mut super::Slot| slot.id > last;
            self.slots.iter_mut().map(|(_, slot)| slot).filter(late).for_each(|slot| slot.end(Over::GoneAway));
        } else if matches!(self.drain, Drain::Asked { .. }) {
            self.drain = Drain::Agreed; // It opens no more: no need to wait for its answer.
        }
        Ok(())
    }

    fn not_understood(&mut self, frame: &Frame<'_>) -> Result<(), ProtocolError> {
        if frame.stream == 0 {
            return Err(ProtocolError::Unsupported(frame.kind.0));
        }
        if let Some(key) = self.key(frame)? {
            self.reset(key, ResetCause::Unsupported);
        }
        Ok(())
    }

    /// The stream that a frame is of; `None`: it is over here.
    fn key(&self, frame: &Frame<'_>) -> Result<Option<Key>, ProtocolError> {
        if frame.stream == 0 || frame.stream > self.last_id {
            return Err(ProtocolError::Unopened(frame.stream));
        }
        Ok(self.by_id.get(&frame.stream).map(|at| Key { at: *at, id: frame.stream }))
    }

    fn over(&mut self, key: Key, over: Over) {
        if let Some(slot) = self.slot(key) {
            slot.end(over);
        }
    }
}

/// The fields of a payload of fixed layout: later releases may append to it.
fn leading<const N: usize>(frame: &Frame<'_>) -> Result<[u8; N], ProtocolError> {
    frame.payload.first_chunk().copied().ok_or(ProtocolError::Malformed(frame.kind.0))
}

fn direction(frame: &Frame<'_>) -> ProtocolError {
    ProtocolError::Direction { kind: frame.kind.0, stream: frame.stream }
}
