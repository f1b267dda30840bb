//! Requests of HTTP/1.x, their bodies with them: what they are does not depend on the pieces in which they come.
#![no_main]

use weft_fuzz::pieces;
use weft_proxy::{
    http::{Framing, Limits, RequestHead},
    http1::{ChunkDecoder, read_request},
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let (pieces, all) = pieces(bytes);
    let mut payload = Vec::new();
    let whole = read_request(all, &limits, &mut payload);
    let (mut held, mut head, mut chunks) = (Vec::new(), None, Chunks::new());
    for piece in pieces {
        if head.is_some() {
            chunks.take(piece);
            continue;
        }
        held.extend_from_slice(piece);
        let mut same = Vec::new();
        match (read_request(&held, &limits, &mut same), whole) {
            (Ok(None), _) => {}
            (Ok(Some(info)), Ok(Some(of_all))) => {
                assert_eq!((info, &same), (of_all, &payload));
                chunks.take(&held[info.used..]);
                head = Some(info);
            }
            (Err(_), Err(_)) => return,
            (part, of_all) => panic!("{part:?} of {} bytes, {of_all:?} of all", held.len()),
        }
    }
    let Some(info) = head else { return };
    RequestHead::read(&payload).expect("what reading makes can be read");
    if info.framing == Framing::Chunked {
        let mut at_once = Chunks::new();
        at_once.take(&all[info.used..]);
        assert_eq!(chunks.told(), at_once.told());
    }
});

/// A chunked body as it is decoded, until it is over or broken.
struct Chunks {
    decoder: ChunkDecoder,
    held: Vec<u8>,
    body: Vec<u8>,
    ended: Option<bool>,
}

impl Chunks {
    fn new() -> Self {
        Self { decoder: ChunkDecoder::new(&Limits::default()), held: Vec::new(), body: Vec::new(), ended: None }
    }

    fn take(&mut self, piece: &[u8]) {
        self.held.extend_from_slice(piece);
        while self.ended.is_none() && !self.held.is_empty() {
            let Ok(found) = self.decoder.decode(&self.held, 7) else {
                self.ended = Some(false);
                return;
            };
            self.body.extend_from_slice(&self.held[found.data]);
            self.held.drain(..found.used);
            self.ended = found.over.then_some(true);
        }
    }

    fn told(&self) -> (&[u8], &[u8], Option<bool>, &[u8]) {
        // What follows a broken body is of no use.
        let rest = if self.ended == Some(true) { &self.held[..] } else { &[] };
        (&self.body, self.decoder.trailers(), self.ended, rest)
    }
}
