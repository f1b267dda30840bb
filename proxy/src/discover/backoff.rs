//! Pauses between tries to reach the control plane: doubled, bounded, and jittered, so that thousands of proxies do not
//! come back in step.

use std::time::Duration;

/// The next pause.
#[derive(Debug)]
pub(super) struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, next: least }
    }

    /// The control plane is well: start over.
    pub(super) fn reset(&mut self) {
        self.next = self.least;
    }

    /// Between half the pause and the whole, by chance.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next.min(self.most);
        self.next = pause.saturating_mul(2);
        pause.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over() {
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(10));
        let mut backoff = Backoff::new(least, most);
        for expected in [100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000] {
            let pause = backoff.pause();
            let expected = Duration::from_millis(expected);
            assert!(pause >= expected / 2 && pause <= expected, "{pause:?} of {expected:?}");
        }
        backoff.reset();
        assert!(backoff.pause() <= least);
    }
}
