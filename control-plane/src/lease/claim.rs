//! When a lease may be believed in, and when it may be taken. No IO and no clock: moments are arguments.

use std::time::Duration;

use tokio::time::Instant;

use super::{BELIEF, LIFETIME};

/// What one replica knows of the lease, by its own monotonic clock alone.
#[derive(Debug)]
pub(super) struct Claim {
    me: String,
    seen: Option<(Seen, Instant)>,
    held_until: Option<Instant>,
}

/// The lease, as the API server had it at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// It differs whenever anything in the lease does.
    pub(super) version: String,
    /// Empty: nobody holds it.
    pub(super) holder: String,
    /// How long it keeps others away after each renewal, by its own word; never less than [`LIFETIME`].
    pub(super) lifetime: Duration,
}

/// What is to be done about the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Another holds it, or has been seen to renew it.
    Wait,
    /// It is free.
    Take,
    /// It is ours.
    Renew,
}

impl Claim {
    pub(super) fn new(me: String) -> Self {
        Self { me, seen: None, held_until: None }
    }

    pub(super) fn me(&self) -> &str {
        &self.me
    }

    /// The lease was read. What is as it was before is as old as before.
    pub(super) fn see(&mut self, seen: Seen, now: Instant) {
        if seen.holder != self.me {
            self.held_until = None;
        }
        if self.seen.as_ref().is_none_or(|(known, _)| *known != seen) {
            self.seen = Some((seen, now));
        }
    }

    /// Our write was taken. It was, at the earliest, when it was sent.
    pub(super) fn write_succeeded(&mut self, seen: Seen, sent: Instant, now: Instant) {
        self.held_until = (seen.holder == self.me).then(|| sent + BELIEF);
        self.seen = Some((seen, now));
    }

    /// How much longer it is believed in. None: it is not.
    pub(super) fn held_for(&self, now: Instant) -> Option<Duration> {
        self.held_until?.checked_duration_since(now).filter(|left| !left.is_zero())
    }

    /// Whether the lease, as it was last seen, names this replica.
    pub(super) fn is_mine(&self) -> bool {
        self.seen.as_ref().is_some_and(|(seen, _)| seen.holder == self.me)
    }

    /// It is not believed in any more.
    pub(super) fn give_up(&mut self) {
        self.held_until = None;
    }

    /// What is to be done; the lease must have been seen.
    pub(super) fn step(&self, now: Instant) -> Step {
        let Some((seen, since)) = &self.seen else { return Step::Wait };
        if self.held_for(now).is_some() {
            return Step::Renew;
        }
        // One that names this replica was taken by it before a restart, or by a write whose answer was lost.
        let free = seen.holder.is_empty()
            || seen.holder == self.me
            || now.duration_since(*since) >= seen.lifetime.max(LIFETIME);
        if free { Step::Take } else { Step::Wait }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A lease somewhere, as optimistic writes see it.
    #[derive(Default)]
    struct Store {
        version: u64,
        holder: String,
    }

    impl Store {
        fn seen(&self) -> Seen {
            Seen { version: self.version.to_string(), holder: self.holder.clone(), lifetime: LIFETIME }
        }
    }

    /// A replica whose requests take any time, either way, and get lost; its clock runs at its own rate.
    struct Simulated {
        claim: Claim,
        rate: f64,
        sent: Option<(Instant, Write)>,
        answer: Option<Seen>,
    }

    #[derive(Clone)]
    struct Write {
        version: String,
        holder: String,
    }

    #[derive(Clone, Copy, Debug)]
    enum Doing {
        Look,
        Send,
        Arrive,
        Hear,
        Lose,
    }

    impl Simulated {
        fn act(&mut self, doing: Doing, now: Instant, store: &mut Store) {
            match doing {
                Doing::Look => self.claim.see(store.seen(), now),
                Doing::Send if self.sent.is_none() && self.claim.step(now) != Step::Wait => {
                    let (seen, _) = self.claim.seen.clone().unwrap();
                    self.sent = Some((now, Write { version: seen.version, holder: self.claim.me().to_owned() }));
                }
                Doing::Arrive => {
                    if let Some((_, write)) = &self.sent
                        && self.answer.is_none()
                        && write.version == store.version.to_string()
                    {
                        store.version += 1;
                        store.holder = write.holder.clone();
                        self.answer = Some(store.seen());
                    }
                }
                Doing::Hear => {
                    if let (Some(answer), Some((sent, _))) = (self.answer.take(), self.sent.take()) {
                        self.claim.write_succeeded(answer, sent, now);
                    }
                }
                Doing::Lose => {
                    self.sent = None;
                    self.answer = None;
                }
                Doing::Send => {}
            }
        }
    }

    fn doing() -> impl Strategy<Value = Doing> {
        prop_oneof![
            4 => Just(Doing::Look),
            4 => Just(Doing::Send),
            4 => Just(Doing::Arrive),
            4 => Just(Doing::Hear),
            1 => Just(Doing::Lose),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn two_replicas_never_believe_to_hold_it_at_once(
            rates in prop::collection::vec(0.9..1.1f64, 3),
            steps in prop::collection::vec((0usize..3, doing(), prop_oneof![3 => 0u64..1500, 1 => 0u64..20_000]), 1..200),
        ) {
            let begin = Instant::now();
            let mut store = Store::default();
            let simulated = |(at, rate): (usize, f64)| Simulated {
                claim: Claim::new(format!("replica-{at}")), rate, sent: None, answer: None,
            };
            let mut replicas: Vec<Simulated> = rates.into_iter().enumerate().map(simulated).collect();
            let mut elapsed = Duration::ZERO;
            for (at, doing, milliseconds) in steps {
                elapsed += Duration::from_millis(milliseconds);
                let replica = &mut replicas[at];
                let now = begin + elapsed.mul_f64(replica.rate);
                replica.act(doing, now, &mut store);
                let holds = |one: &&Simulated| one.claim.held_for(begin + elapsed.mul_f64(one.rate)).is_some();
                prop_assert!(replicas.iter().filter(holds).count() <= 1);
            }
        }
    }
}
