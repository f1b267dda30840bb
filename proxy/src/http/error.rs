//! What can be wrong with a head, and which [`Reason`] follows.

use crate::error::Reason;

/// A head that is not passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A request's head.
    #[error("malformed request: {0}")]
    Request(#[source] Flaw),
    /// A response's head.
    #[error("malformed response: {0}")]
    Response(#[source] Flaw),
}

/// What is wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// A byte where the grammar has no place for it.
    #[error("{0}")]
    Syntax(#[source] httparse::Error),
    /// A line that ends in LF without CR: other parsers disagree on where such a head ends.
    #[error("line ends without a carriage return")]
    BareLineFeed,
    /// More fields or bytes than the limits allow.
    #[error("head has too many fields or bytes")]
    TooLarge,
    /// A method longer than 255 bytes, empty or with a byte that is none of a token's.
    #[error("method is not a token")]
    Method,
    /// A target in none of the four forms, or in one that the method does not take.
    #[error("target is in no form that the method takes")]
    Target,
    /// No Host in HTTP/1.1, several of them, or one that is no authority.
    #[error("host is missing, repeated or no authority")]
    Host,
    /// A Content-Length that is no number, or several that differ.
    #[error("content-length is no number or contradicts itself")]
    ContentLength,
    /// A transfer coding other than chunked.
    #[error("transfer coding is not supported")]
    TransferCoding,
    /// Framing fields that contradict each other, the version or the message.
    #[error("framing fields contradict each other or the message")]
    Framing,
    /// A status below 100 or above 999.
    #[error("status is out of range")]
    Status,
    /// A reason phrase with a control byte.
    #[error("reason phrase has a control byte")]
    ReasonPhrase,
    /// A protocol switch that nobody asked for, or an Upgrade without its parts.
    #[error("protocol switch was not asked for")]
    Upgrade,
    /// A field that has no place in this message: hop-by-hop fields, framing fields, pseudo fields.
    #[error("field has no place here")]
    Field,
    /// A payload whose typed prefix cannot be read.
    #[error("payload is cut short or uses an unknown code")]
    Payload,
    /// A scheme other than http and https.
    #[error("scheme is not supported")]
    Scheme,
}

impl HeadError {
    /// The reason that the edge of a request reports.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Request(Flaw::TooLarge) => Reason::HeadTooLarge,
            Self::Request(Flaw::TransferCoding) => Reason::Unsupported,
            Self::Request(
                Flaw::Syntax(_)
                | Flaw::BareLineFeed
                | Flaw::Method
                | Flaw::Target
                | Flaw::Host
                | Flaw::ContentLength
                | Flaw::Framing
                | Flaw::Status
                | Flaw::ReasonPhrase
                | Flaw::Upgrade
                | Flaw::Field
                | Flaw::Payload
                | Flaw::Scheme,
            ) => Reason::MalformedRequest,
            Self::Response(_) => Reason::MalformedResponse,
        }
    }
}

impl From<httparse::Error> for Flaw {
    fn from(error: httparse::Error) -> Self {
        match error {
            httparse::Error::TooManyHeaders => Self::TooLarge,
            httparse::Error::HeaderName
            | httparse::Error::HeaderValue
            | httparse::Error::NewLine
            | httparse::Error::Status
            | httparse::Error::Token
            | httparse::Error::Version => Self::Syntax(error),
        }
    }
}
