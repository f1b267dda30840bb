//! The cases, and what may become of one.
//!
//! A tail `GET /smuggled` is what an attacker hopes that the next hop takes for a request of its own; no app may ever see it.

mod chunks;
mod fields;
mod framing;
mod heads;
pub mod http2;
mod lines;
mod passed;
pub mod peer;
mod streams;
mod targets;

/// Bytes that a client sends at once on a fresh connection.
pub struct Case {
    pub name: &'static str,
    /// A section of an RFC, or the publication of the attack.
    pub source: &'static str,
    pub bytes: &'static [u8],
    pub becomes: Becomes,
}

/// What must become of a case.
#[derive(Clone, Copy)]
pub enum Becomes {
    /// The proxy answers with this status and closes; the app sees nothing.
    Refused(u16),
    /// The head was fine: the app sees a message that is cut off, the client this status or a cut connection.
    CutShort(u16),
    /// The app sees exactly these messages (bodies without their chunks), and the connection can be used on if the last
    /// answer does not say otherwise.
    Passed(&'static [&'static str]),
}

const fn case(name: &'static str, source: &'static str, bytes: &'static [u8], becomes: Becomes) -> Case {
    Case { name, source, bytes, becomes }
}

/// All cases of HTTP/1.1.
pub fn http1() -> impl Iterator<Item = &'static Case> {
    [framing::CASES, chunks::CASES, lines::CASES, fields::CASES, targets::CASES, passed::CASES].into_iter().flatten()
}
