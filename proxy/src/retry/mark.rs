//! The mark of a retried attempt in `tracestate` (W3C Trace Context), so that retries do not multiply along a chain.
//!
//! Best effort: an app that does not hand on `tracestate` loses the mark, and the budgets alone then bound the product.

/// What a retried attempt carries, in a `tracestate` line of its own: lines of one name are one list (RFC 9110 section 5.3).
pub const MARK: &[u8] = b"weft=r";

/// Whether a `tracestate` field says that its request is a retry.
pub fn is_marked(tracestate: &[u8]) -> bool {
    tracestate.split(|byte| *byte == b',').any(|member| member.trim_ascii() == MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_mark_counts() {
        assert!(is_marked(MARK) && is_marked(b"a=1 , weft=r"));
        assert!(!is_marked(b"a=weft=r,weft=x,weft=rr") && !is_marked(b""));
    }
}
