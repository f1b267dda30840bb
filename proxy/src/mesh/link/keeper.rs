//! A link's deadlines, as a pure function of its state and the time.

use std::time::Duration;

use tokio::time::Instant;

use crate::mesh::limits::Limits;

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    DrainOver,
    DrainUnanswered,
    Expired,
    HandshakeOver,
    Idle,
    Ping,
    Silent,
}

/// What a link's deadlines depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When the connection was handed over.
    pub(super) started: Instant,
    /// The handshake is over.
    pub(super) up: bool,
    /// When anything came last.
    pub(super) heard: Instant,
    /// When the PING went out that is unanswered.
    pub(super) pinged: Option<Instant>,
    /// Whether streams are open, and since when or since when not.
    pub(super) busy: bool,
    pub(super) since: Instant,
    /// When the leaf ends that the link is bound to.
    pub(super) expires: Option<Instant>,
    /// Until when the streams of a draining link may go on.
    pub(super) drain_until: Option<Instant>,
    /// Until when the peer may say that it has heard of the drain.
    pub(super) answer_until: Option<Instant>,
    /// How long a link without streams is kept.
    pub(super) idle: Duration,
}

impl Times {
    /// What is to be done at `now`; if nothing: when there will be, should nothing happen until then.
    pub(super) fn check(&self, limits: &Limits, now: Instant) -> Result<Due, Instant> {
        let answer = self.answer_until.map(|until| (until, Due::DrainUnanswered));
        let all = [self.handshake(limits), self.silence(limits), answer, self.end()];
        let first = all.into_iter().flatten().min_by_key(|due| due.0);
        match first {
            Some((at, due)) if at <= now => Ok(due),
            Some((at, _)) => Err(at),
            None => Err(now + limits.idle),
        }
    }

    fn handshake(&self, limits: &Limits) -> Option<(Instant, Due)> {
        (!self.up).then(|| (self.started + limits.handshake, Due::HandshakeOver))
    }

    fn silence(&self, limits: &Limits) -> Option<(Instant, Due)> {
        if !self.up {
            return None;
        }
        match self.pinged {
            _ if !self.busy => (self.drain_until.is_none()).then(|| (self.since + self.idle, Due::Idle)),
            Some(pinged) => Some((pinged + limits.ping_timeout, Due::Silent)),
            None => Some((self.heard.max(self.since) + limits.ping_after, Due::Ping)),
        }
    }

    fn end(&self) -> Option<(Instant, Due)> {
        match (self.drain_until, self.expires) {
            (Some(until), _) => Some((until, Due::DrainOver)),
            (None, expires) => expires.map(|expires| (expires, Due::Expired)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn times() -> Times {
        let now = Instant::now();
        Times {
            started: now,
            up: true,
            heard: now,
            pinged: None,
            busy: false,
            since: now,
            expires: None,
            drain_until: None,
            answer_until: None,
            idle: 60 * SECOND,
        }
    }

    /// Due at `seconds`, and not a moment before.
    fn assert_due(times: &Times, seconds: u32, due: Due) {
        let at = times.started + SECOND * seconds;
        let limits = Limits::default();
        assert_eq!(times.check(&limits, at), Ok(due));
        assert_eq!(times.check(&limits, at - Duration::from_nanos(1)), Err(at));
    }

    #[test]
    fn a_handshake_has_a_deadline_and_streams_wait_for_it() {
        assert_due(&Times { up: false, busy: true, ..times() }, 5, Due::HandshakeOver);
    }

    #[test]
    fn an_idle_link_ends_without_pings() {
        assert_due(&times(), 60, Due::Idle);
    }

    #[test]
    fn a_dead_peer_is_found_within_ten_seconds_of_silence() {
        let busy = Times { busy: true, ..times() };
        assert_due(&busy, 5, Due::Ping);
        assert_due(&Times { pinged: Some(busy.started + 5 * SECOND), ..busy }, 10, Due::Silent);
    }

    #[test]
    fn silence_counts_from_the_first_stream_and_not_from_before() {
        let start = Instant::now();
        assert_due(&Times { busy: true, since: start + 30 * SECOND, started: start, ..times() }, 35, Due::Ping);
    }

    #[test]
    fn the_leaf_s_end_starts_a_drain_and_the_drain_has_an_end() {
        let busy = Times { busy: true, heard: Instant::now() + 100 * SECOND, ..times() };
        let expires = Some(busy.started + 20 * SECOND);
        assert_due(&Times { expires, ..busy }, 20, Due::Expired);
        assert_due(&Times { expires, drain_until: Some(busy.started + 50 * SECOND), ..busy }, 50, Due::DrainOver);
    }
}
