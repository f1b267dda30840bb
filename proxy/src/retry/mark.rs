//! The mark of a retried attempt in `tracestate` (W3C Trace Context), so that retries do not multiply along a chain.
//!
//! Best effort: an app that does not hand on `tracestate` loses the mark, and the budgets alone then bound the product.

const KEY: &[u8] = b"weft";
const MARK: &[u8] = b"weft=r";

/// Trace Context section 3.3.1.1: no more members than this.
const MEMBERS: usize = 32;

/// Whether a `tracestate` field says that its request is a retry.
pub fn is_marked(tracestate: &[u8]) -> bool {
    members(tracestate).any(|member| member == MARK)
}

/// The `tracestate` of a retry, from that of the request: our member first, an older one of ours and what is too many
/// left out.
pub fn marked(tracestate: Option<&[u8]>) -> Vec<u8> {
    let mut field = MARK.to_vec();
    let of_others = |member: &&[u8]| member.split(|byte| *byte == b'=').next() != Some(KEY);
    for member in members(tracestate.unwrap_or_default()).filter(of_others).take(MEMBERS - 1) {
        field.push(b',');
        field.extend_from_slice(member);
    }
    field
}

fn members(tracestate: &[u8]) -> impl Iterator<Item = &[u8]> {
    tracestate.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|member| !member.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mark_is_added_in_front_and_kept_once() {
        assert_eq!(marked(None), b"weft=r");
        assert_eq!(marked(Some(b"a=1, weft=x ,weftier=2,,b=3")), b"weft=r,a=1,weftier=2,b=3");
    }

    #[test]
    fn only_our_own_mark_counts() {
        assert!(is_marked(b"a=1 , weft=r"));
        assert!(!is_marked(b"a=weft=r,weft=x,weft=rr") && !is_marked(b""));
    }

    proptest! {
        #[test]
        fn what_was_marked_is_recognised(before in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(is_marked(&marked(Some(&before))));
            prop_assert!(members(&marked(Some(&before))).count() <= MEMBERS);
        }
    }
}
