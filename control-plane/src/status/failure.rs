//! Statuses that were not taken: when each is tried again.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// The first pause of a status that was not taken. Each further failure doubles it.
const SHORTEST: Duration = Duration::from_secs(5);
/// And none is longer.
const LONGEST: Duration = Duration::from_secs(300);

/// What has failed in the pass before and in this one: an object by its kind and name, or a kind of which nothing may be
/// written. What a pass does not come upon again is forgotten.
#[derive(Default)]
pub(super) struct Failures {
    before: BTreeMap<String, Failure>,
    now: BTreeMap<String, Failure>,
}

#[derive(Clone)]
struct Failure {
    /// The object's resource version; none of a kind.
    version: String,
    /// In words.
    problem: String,
    pause: Duration,
    /// When it is tried again.
    until: Instant,
}

impl Failures {
    /// A pass begins.
    pub(super) fn begin(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// Whether it is too early to try this again, which is still as it was.
    pub(super) fn holds(&mut self, what: &str, version: &str) -> bool {
        let failure = self.before.get(what);
        let failure = failure.filter(|failure| failure.version == version && Instant::now() < failure.until);
        self.now.extend(failure.map(|failure| (what.to_owned(), failure.clone())));
        failure.is_some()
    }

    /// This has failed. Whether that is news.
    pub(super) fn note(&mut self, what: &str, version: &str, problem: String) -> bool {
        let before = self.before.get(what);
        let is_news = before.is_none_or(|before| before.problem != problem);
        let before = before.filter(|before| before.version == version);
        let pause = before.map_or(SHORTEST, |before| (before.pause * 2).min(LONGEST));
        let failure = Failure { version: version.to_owned(), problem, pause, until: Instant::now() + pause };
        self.now.insert(what.to_owned(), failure);
        is_news
    }

    /// When something is to be tried again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.now.values().map(|failure| failure.until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_minutes_and_begin_anew_once_the_object_has_changed() {
        let (now, mut failures) = (Instant::now(), Failures::default());
        assert!(failures.note("r", "1", "no".to_owned()));
        assert_eq!(failures.due(), Some(now + SHORTEST));
        for _ in 0..10 {
            failures.begin();
            assert!(!failures.note("r", "1", "no".to_owned()), "it is told once");
        }
        assert_eq!(failures.due(), Some(now + LONGEST));
        failures.begin();
        assert!(failures.holds("r", "1") && !failures.holds("r", "2"));
        assert!(failures.note("r", "2", "not so".to_owned()));
        assert_eq!(failures.due(), Some(now + SHORTEST));
        failures.begin();
        failures.begin();
        assert_eq!(failures.due(), None, "nobody has come upon it");
    }
}
