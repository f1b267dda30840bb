//! How long to wait before a failed call is made again.

use std::time::Duration;

/// The first pause is below this.
const SHORTEST: Duration = Duration::from_millis(200);
/// And none is above this: what is not known meanwhile is felt by every proxy.
const LONGEST: Duration = Duration::from_secs(10);

/// Pauses that double with each failure in a row. Jittered, so that replicas do not come back as one.
#[derive(Debug)]
pub(super) struct Pause {
    bound: Duration,
}

impl Default for Pause {
    fn default() -> Self {
        Self { bound: SHORTEST }
    }
}

impl Pause {
    /// The pause after one more failure: between a half and the whole of the bound.
    pub(super) fn next(&mut self) -> Duration {
        let pause = jittered(self.bound);
        self.bound = (self.bound * 2).min(LONGEST);
        pause
    }

    /// Something has worked.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Between a half and the whole of it.
pub(super) fn jittered(bound: Duration) -> Duration {
    bound.mul_f64(0.5 + fastrand::f64() / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew_after_a_success() {
        let mut pause = Pause::default();
        assert!(pause.next() <= SHORTEST);
        let longest = (0..20).map(|_| pause.next()).max().unwrap();
        assert!(longest > LONGEST / 2 && longest <= LONGEST, "{longest:?}");
        pause.reset();
        assert!(pause.next() <= SHORTEST);
    }
}
