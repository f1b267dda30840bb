use proptest::prelude::*;

use super::*;

fn breaker() -> Breaker {
    let settings = BreakerSettings::default();
    Breaker::new(settings, Arc::new(Window::new(settings.window)))
}

fn at(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

#[test]
fn seven_failures_in_a_row_eject_and_six_do_not() {
    let breaker = breaker();
    assert!((0..6).all(|_| breaker.failure(Admission::Usual, at(1)).is_none()));
    assert_eq!(breaker.standing(at(1)), Standing::Ready);
    breaker.success(at(1));
    assert!((0..6).all(|_| breaker.failure(Admission::Usual, at(1)).is_none()));
    assert_eq!(breaker.standing(at(1)), Standing::Ready, "a success in between counts from anew");
    assert_eq!(breaker.failure(Admission::Usual, at(1)), Some(EjectionCause::Consecutive));
    assert_eq!(breaker.standing(at(1)), Standing::Ejected);
}

#[test]
fn one_refused_connection_ejects() {
    let breaker = breaker();
    breaker.refused(Admission::Usual, at(1));
    assert_eq!(breaker.standing(at(1)), Standing::Unreachable { resting: true });
    assert_eq!(breaker.standing(at(101)), Standing::Unreachable { resting: false });
}

#[test]
fn one_probe_at_a_time_follows_the_penalty() {
    let breaker = breaker();
    breaker.refused(Admission::Usual, at(1));
    let after = at(1_502);
    assert_eq!(breaker.standing(after), Standing::Due);
    assert_eq!(breaker.admit(after), Some(Admission::Probe));
    assert_eq!(breaker.admit(after), None);
    breaker.release(Admission::Probe);
    assert_eq!(breaker.admit(after), Some(Admission::Probe), "a cancelled probe gives its turn back");
    breaker.success(at(1));
    breaker.release(Admission::Probe);
    assert_eq!(breaker.standing(after), Standing::Ready);
}

#[test]
fn stragglers_do_not_make_a_penalty_longer() {
    let breaker = breaker();
    assert_eq!((0..40).filter(|_| breaker.refused(Admission::Usual, at(1)).is_some()).count(), 1);
    assert_eq!(breaker.standing(at(1_502)), Standing::Due);
}

#[test]
fn penalties_double_up_to_the_longest() {
    let settings = BreakerSettings::default();
    let seconds: Vec<_> = [0, 1, 2, 5, 6, 40].map(|past| settings.penalty(past, 0.0).as_secs()).into();
    assert_eq!(seconds, [1, 2, 4, 32, 60, 60]);
    assert_eq!(settings.penalty(40, 1.0), Duration::from_secs(90));
}

/// Two endpoints of one destination: the first answers with this share of failures per ten, the second with that.
fn after_a_thousand_answers(failures: [u32; 2]) -> [Option<EjectionCause>; 2] {
    let settings = BreakerSettings { failures: u32::MAX, ..BreakerSettings::default() };
    let all = Arc::new(Window::new(settings.window));
    let endpoints = failures.map(|failures| (failures, Breaker::new(settings, all.clone())));
    let mut ejected = [None; 2];
    for number in 0..1_000 {
        for ((failures, breaker), ejected) in endpoints.iter().zip(&mut ejected) {
            if number % 10 >= *failures {
                breaker.success(at(1));
            } else {
                *ejected = ejected.or(breaker.failure(Admission::Usual, at(1)));
            }
        }
    }
    ejected
}

#[test]
fn an_endpoint_that_fails_more_often_than_the_others_is_ejected() {
    assert_eq!(after_a_thousand_answers([3, 0]), [Some(EjectionCause::SuccessRate), None]);
    assert_eq!(after_a_thousand_answers([1, 0]), [None, None], "nine in ten are enough");
    assert_eq!(after_a_thousand_answers([5, 5]), [None, None], "where all fail alike it is not the endpoint");
}

#[test]
fn old_failures_are_not_held_against_an_endpoint_that_is_back() {
    let settings = BreakerSettings { failures: 60, ..BreakerSettings::default() };
    let breaker = Breaker::new(settings, Arc::new(Window::new(settings.window)));
    (0..1_000).for_each(|_| breaker.all.count(true, at(1)));
    assert!((0..60).any(|_| breaker.failure(Admission::Usual, at(1)) == Some(EjectionCause::SuccessRate)));
    let after = at(1_502);
    assert_eq!(breaker.admit(after), Some(Admission::Probe));
    breaker.success(after);
    breaker.release(Admission::Probe);
    assert_eq!(breaker.failure(Admission::Usual, after), None);
}

proptest! {
    #[test]
    fn few_answers_eject_nobody_by_their_rate(answers in prop::collection::vec(any::<bool>(), 0..50)) {
        let settings = BreakerSettings { failures: u32::MAX, ..BreakerSettings::default() };
        let breaker = Breaker::new(settings, Arc::new(Window::new(settings.window)));
        (0..1_000).for_each(|_| breaker.all.count(true, at(1)));
        for success in answers.into_iter().take(settings.answers as usize - 1) {
            if success {
                breaker.success(at(1));
            } else {
                prop_assert_eq!(breaker.failure(Admission::Usual, at(1)), None);
            }
        }
    }
}
