//! Ids that any replica can give out by itself.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

/// 2026-01-01, the day from which ids count.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);
const COUNTED_BITS: u32 = 12;

/// An id that nobody else has: milliseconds since 2026 and 12 bits that count from a random start. Ids grow with time,
/// and fit into the 53 bits that JavaScript counts exactly. Two replicas that give out the same one within a millisecond,
/// which is all but impossible at a shop's pace, are told apart by the primary key: the second is refused.
#[must_use]
pub fn fresh() -> i64 {
    static COUNT: LazyLock<AtomicI64> = LazyLock::new(|| AtomicI64::new(fastrand::i64(0..1 << COUNTED_BITS)));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().saturating_sub(EPOCH);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) % (1 << COUNTED_BITS);
    ((now.as_millis() as i64) << COUNTED_BITS) | count
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_differ_and_fit_into_53_bits() {
        let ids: HashSet<_> = (0..1000).map(|_| fresh()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| (1..1 << 53).contains(id)));
    }
}
