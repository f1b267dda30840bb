//! What a request's `traceparent` says (W3C Trace Context, https://www.w3.org/TR/trace-context/). It is read, and never changed.

/// What a request says of the trace that it is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The caller's span.
    pub parent_id: [u8; 8],
    /// Whether the caller records it.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` (W3C Trace Context, section 3.2). None: it is none, and is passed on as it is all the same.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (head, rest) = text.split_at_checked(55)?;
        let (version, later) = (hex::<1>(&head[..2])?[0], rest.is_empty() || rest[0] == b'-');
        let dashes = [2, 35, 52].iter().all(|at| head[*at] == b'-');
        if version == 0xff || !dashes || !later || (version == 0 && !rest.is_empty()) {
            return None;
        }
        let (trace_id, parent_id) = (hex::<16>(&head[3..35])?, hex::<8>(&head[36..52])?);
        let sampled = hex::<1>(&head[53..])?[0] & 1 == 1;
        (trace_id != [0; 16] && parent_id != [0; 8]).then_some(Self { trace_id, parent_id, sampled })
    }
}

/// Hex of small letters only, as the specification wants it.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_the_specification_says() {
        let read = |text: &str| TraceContext::parse(text.as_bytes());
        let context = read(PARENT).unwrap();
        assert_eq!((context.trace_id[0], context.trace_id[15], context.parent_id[7]), (0x4b, 0x36, 0xb7));
        assert!(context.sampled && !read(&PARENT.replace("-01", "-00")).unwrap().sampled);
        // A later version may have more after a dash.
        assert!(read(&PARENT.replacen("00", "cc", 1)).is_some());
        assert!(read(&(PARENT.replacen("00", "cc", 1) + "-what")).is_some());
        for bad in [
            "".to_owned(),
            PARENT[..54].to_owned(),
            PARENT.to_owned() + "-more",
            PARENT.replacen("00", "ff", 1),
            PARENT.replacen("00", "cc", 1) + "x",
            PARENT.to_uppercase(),
            PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            PARENT.replace("00f067aa0ba902b7", &"0".repeat(16)),
            PARENT.replace('-', "_"),
            "é".repeat(55),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
