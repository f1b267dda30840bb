//! Why a stream was refused or reset: numbers on the wire, of which later releases may know more.

use crate::error::Reason;

/// Why nothing of a stream reached the app (REFUSE). [`Refusal::reason`] says what the retry step may conclude.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The app refused the connection.
    AppRefused,
    /// The app did not take a connection in time.
    AppTimeout,
    /// The client's identity may not call this port.
    Denied,
    /// This proxy is going away.
    Draining,
    /// The port is Weft's own, or not served by the mesh.
    Loop,
    /// The port takes meshed clients only.
    MtlsRequired,
    /// The request did not reach the app, for a reason of the peer's own.
    NotDelivered,
    /// Too much is in flight.
    Overloaded,
    /// The head could not be understood.
    Protocol,
    /// OPEN asked for something that this release does not know.
    Unsupported,
    /// A later release's.
    Unknown(u16),
}

impl Refusal {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::NotDelivered => 1,
            Self::Denied => 2,
            Self::MtlsRequired => 3,
            Self::Loop => 4,
            Self::Overloaded => 5,
            Self::Draining => 6,
            Self::AppRefused => 7,
            Self::AppTimeout => 8,
            Self::Protocol => 9,
            Self::Unsupported => 10,
            Self::Unknown(code) => code,
        }
    }

    /// What the number means; every number means something.
    pub fn from_code(code: u16) -> Self {
        match code {
            1 => Self::NotDelivered,
            2 => Self::Denied,
            3 => Self::MtlsRequired,
            4 => Self::Loop,
            5 => Self::Overloaded,
            6 => Self::Draining,
            7 => Self::AppRefused,
            8 => Self::AppTimeout,
            9 => Self::Protocol,
            10 => Self::Unsupported,
            code => Self::Unknown(code),
        }
    }

    /// What the caller is told. Of an unknown one it is known that nothing reached the app.
    pub fn reason(self) -> Reason {
        match self {
            Self::AppRefused => Reason::AppRefused,
            Self::AppTimeout => Reason::AppTimeout,
            Self::Denied => Reason::Denied,
            Self::Draining => Reason::Draining,
            Self::Loop => Reason::Loop,
            Self::MtlsRequired => Reason::MtlsRequired,
            Self::NotDelivered | Self::Unknown(_) => Reason::NotDelivered,
            Self::Overloaded => Reason::Overloaded,
            Self::Protocol => Reason::MalformedRequest,
            Self::Unsupported => Reason::Unsupported,
        }
    }
}

/// Why a stream was broken off (RESET).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResetCause {
    /// The app's answer could not be understood.
    AppProtocol,
    /// The app closed its connection before its answer was whole.
    AppClosed,
    /// Whoever wanted it does not want it any more; also what a dropped [`super::Stream`] sends.
    Cancelled,
    /// The caller's deadline has passed.
    Deadline,
    /// The connection behind the stream is gone, or made no progress for too long.
    Lost,
    /// Too much of the stream waits to be taken.
    Overloaded,
    /// What came on the stream broke the rules.
    Protocol,
    /// The app reset its TCP connection: the other app is to see a reset too.
    TcpReset,
    /// Something came that must be understood and is not known.
    Unsupported,
    /// A later release's.
    Unknown(u16),
}

impl ResetCause {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        match self {
            Self::Cancelled => 1,
            Self::TcpReset => 2,
            Self::Deadline => 3,
            Self::Protocol => 4,
            Self::Lost => 5,
            Self::Overloaded => 6,
            Self::AppClosed => 7,
            Self::AppProtocol => 8,
            Self::Unsupported => 9,
            Self::Unknown(code) => code,
        }
    }

    /// What the number means; every number means something.
    pub fn from_code(code: u16) -> Self {
        match code {
            1 => Self::Cancelled,
            2 => Self::TcpReset,
            3 => Self::Deadline,
            4 => Self::Protocol,
            5 => Self::Lost,
            6 => Self::Overloaded,
            7 => Self::AppClosed,
            8 => Self::AppProtocol,
            9 => Self::Unsupported,
            code => Self::Unknown(code),
        }
    }

    /// What the caller is told.
    pub fn reason(self) -> Reason {
        match self {
            Self::AppClosed => Reason::AppClosed,
            Self::AppProtocol => Reason::MalformedResponse,
            Self::Deadline => Reason::RequestTimeout,
            Self::Lost => Reason::ConnectionLost,
            Self::Cancelled
            | Self::Overloaded
            | Self::Protocol
            | Self::TcpReset
            | Self::Unsupported
            | Self::Unknown(_) => Reason::PeerReset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_way_there_and_back() {
        for code in 0..=u16::MAX {
            assert_eq!(Refusal::from_code(code).code(), code);
            assert_eq!(ResetCause::from_code(code).code(), code);
        }
    }
}
