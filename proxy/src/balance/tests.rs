use std::{collections::HashSet, net::SocketAddr, time::Duration};

use proptest::prelude::*;
use tokio::time::{Instant, advance};

use super::{
    sample::{Pair, sample},
    *,
};
use crate::address::EndpointAddr;

fn spec(port: u16) -> EndpointSpec {
    weighted(port, 1)
}

fn weighted(port: u16, weight: u32) -> EndpointSpec {
    EndpointSpec {
        addr: EndpointAddr(SocketAddr::from(([10, 0, 0, 1], port))),
        identity: None,
        weight,
        zone: "".into(),
        node: "".into(),
        zone_hints: Vec::new(),
        node_hints: Vec::new(),
        terminating: false,
        node_local: false,
        pod: "".into(),
        far: false,
    }
}

fn balancer(specs: impl IntoIterator<Item = EndpointSpec>) -> Balancer {
    let balancer = Balancer::new(Settings::default());
    balancer.update(specs.into_iter().collect());
    balancer
}

fn port(lease: &Lease) -> u16 {
    lease.endpoint().addr.0.port()
}

fn endpoint(balancer: &Balancer, port: u16) -> Arc<Endpoint> {
    balancer.endpoints().into_iter().find(|endpoint| endpoint.addr.0.port() == port).unwrap()
}

/// Refuses every lease to this port until it is ejected.
fn refuse(balancer: &Balancer, refused: u16) {
    Lease::begin(&endpoint(balancer, refused), Instant::now()).unwrap().refused();
}

#[test]
fn without_endpoints_a_pick_says_whether_to_wait() {
    let balancer = Balancer::new(Settings::default());
    assert_eq!(balancer.pick(&[]).unwrap_err(), PickError::Unanswered);
    balancer.update(Vec::new());
    assert_eq!(balancer.pick(&[]).unwrap_err(), PickError::Empty);
}

#[test]
fn of_two_endpoints_the_less_busy_one_is_picked() {
    let balancer = balancer([spec(1), spec(2)]);
    let leases: Vec<_> = (0..10).map(|_| balancer.pick(&[]).unwrap()).collect();
    let first = leases.iter().filter(|lease| port(lease) == 1).count();
    assert_eq!(first, 5, "in flight counts, so ten held leases part evenly");
    drop(leases);
    assert!(balancer.endpoints().iter().all(|endpoint| endpoint.in_flight() == 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_endpoint_gets_little_and_is_tried_again() {
    let balancer = balancer([spec(1), spec(2)]);
    let mut slow = 0;
    for _ in 0..100 {
        let mut lease = balancer.pick(&[]).unwrap();
        slow += usize::from(port(&lease) == 1);
        advance(Duration::from_millis(if port(&lease) == 1 { 1_000 } else { 1 })).await;
        lease.success();
    }
    assert!((1..=3).contains(&slow), "{slow} of 100");
    advance(Duration::from_secs(120)).await;
    let mut tried = HashSet::new();
    for _ in 0..50 {
        let mut lease = balancer.pick(&[]).unwrap();
        advance(Duration::from_millis(1)).await;
        lease.success();
        tried.insert(port(&lease));
    }
    assert_eq!(tried.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_endpoint_gets_its_first_request_at_once_and_its_share_by_and_by() {
    let answer = async |balancer: &Balancer| {
        let mut lease = balancer.pick(&[]).unwrap();
        advance(Duration::from_millis(2)).await;
        lease.success();
        port(&lease)
    };
    let balancer = balancer([spec(1)]);
    for _ in 0..10 {
        answer(&balancer).await;
    }
    balancer.update(vec![spec(1), spec(2)]);
    let mut first = balancer.pick(&[]).unwrap();
    assert_eq!(port(&first), 2, "quick as the old one is, of the new one nothing is known");
    assert!((0..10).all(|_| port(&balancer.pick(&[]).unwrap()) == 1), "one at a time finds out");
    advance(Duration::from_millis(50)).await;
    first.unmeasured();
    first.success();
    drop(first);
    assert_eq!(answer(&balancer).await, 2, "an answer that waited for the connection says nothing");
    let mut new = Vec::new();
    for _ in 0..10 {
        let mut of_second = 0;
        for _ in 0..500 {
            of_second += u32::from(answer(&balancer).await == 2);
        }
        new.push(of_second);
    }
    assert!((5..=75).contains(&new[0]), "a tenth of the half at first: {new:?} of 500 each");
    assert!((75..=190).contains(&new[4]), "half of the half after half the time: {new:?} of 500 each");
    advance(Duration::from_secs(10)).await;
    let mut warm = 0;
    for _ in 0..500 {
        warm += u32::from(answer(&balancer).await == 2);
    }
    assert!((190..=310).contains(&warm), "{warm} of 500");
}

#[tokio::test(start_paused = true)]
async fn endpoints_of_the_first_list_are_warm() {
    let balancer = balancer([spec(1), spec(2)]);
    let mut second = 0;
    for _ in 0..500 {
        let mut lease = balancer.pick(&[]).unwrap();
        advance(Duration::from_millis(2)).await;
        lease.success();
        second += u32::from(port(&lease) == 2);
    }
    assert!((190..=310).contains(&second), "{second} of 500");
}

#[test]
fn weights_part_the_load() {
    let balancer = balancer([weighted(1, 3), weighted(2, 1)]);
    let mut heavy = 0;
    for _ in 0..4_000 {
        let lease = balancer.pick(&[]).unwrap();
        heavy += usize::from(port(&lease) == 1);
    }
    assert!((2_800..=3_200).contains(&heavy), "{heavy} of 4000, 3000 wanted");
}

#[test]
fn a_retry_goes_elsewhere_and_back_only_when_there_is_nothing_else() {
    let balancer = balancer([spec(1), spec(2)]);
    let first = endpoint(&balancer, 1).id;
    for _ in 0..20 {
        assert_eq!(port(&balancer.pick(&[first]).unwrap()), 2);
    }
    refuse(&balancer, 2);
    assert_eq!(port(&balancer.pick(&[first]).unwrap()), 1);
}

#[tokio::test(start_paused = true)]
async fn who_refuses_connections_is_left_out_until_a_probe_succeeds() {
    let balancer = balancer([spec(1), spec(2)]);
    refuse(&balancer, 1);
    assert_eq!(balancer.counts(), Counts { ready: 1, ejected: 1, probing: 0 });
    assert!((0..50).all(|_| port(&balancer.pick(&[]).unwrap()) == 2));
    advance(Duration::from_millis(1_501)).await;
    let mut probe = loop {
        let lease = balancer.pick(&[]).unwrap();
        if port(&lease) == 1 {
            break lease;
        }
    };
    assert!((0..50).all(|_| port(&balancer.pick(&[]).unwrap()) == 2), "one probe at a time");
    probe.success();
    drop(probe);
    assert_eq!(balancer.counts(), Counts { ready: 2, ejected: 0, probing: 0 });
}

#[test]
fn when_all_answers_fail_the_breaker_steps_aside() {
    let balancer = balancer([spec(1)]);
    for _ in 0..20 {
        balancer.pick(&[]).unwrap().failure();
    }
    assert_eq!(balancer.counts().ejected, 1);
    let held: Vec<_> = (0..10).map(|_| balancer.pick(&[]).unwrap()).collect();
    assert_eq!(held.len(), 10);
}

/// Two endpoints in this zone, 1 and 2, and two in another, 3 and 4.
fn two_zones() -> Balancer {
    balancer([spec(1), spec(2), far(3), far(4)])
}

fn far(port: u16) -> EndpointSpec {
    EndpointSpec { far: true, ..spec(port) }
}

/// So many requests one after the other, which take so long in this zone and 5 ms in the other; how many went there.
async fn spilled(balancer: &Balancer, requests: usize, nearby: Duration) -> usize {
    let mut spilled = 0;
    for _ in 0..requests {
        let mut lease = balancer.pick(&[]).unwrap();
        let is_far = port(&lease) > 2;
        advance(if is_far { Duration::from_millis(5) } else { nearby }).await;
        lease.success();
        spilled += usize::from(is_far);
    }
    spilled
}

#[tokio::test(start_paused = true)]
async fn requests_stay_in_their_zone_while_it_does_well() {
    assert_eq!(spilled(&two_zones(), 5_000, Duration::from_millis(20)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn requests_leave_a_zone_that_is_slow_and_come_back() {
    let balancer = two_zones();
    let away = spilled(&balancer, 200, Duration::from_secs(2)).await;
    assert!(away > 190, "{away} of 200");
    advance(Duration::from_secs(60)).await;
    spilled(&balancer, 10, Duration::from_millis(2)).await;
    assert_eq!(spilled(&balancer, 200, Duration::from_millis(2)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_zone_is_too_short_for_leaves_it() {
    let balancer = two_zones();
    spilled(&balancer, 10, Duration::from_millis(20)).await;
    let held: Vec<_> = (0..40).map(|_| balancer.pick(&[]).unwrap()).collect();
    let away = held.iter().filter(|lease| port(lease) > 2).count();
    assert!((4..=14).contains(&away), "{away} of 40 at once");
}

#[test]
fn a_zone_whose_endpoints_are_ejected_or_tried_already_is_left() {
    let balancer = two_zones();
    let skip = [endpoint(&balancer, 1).id, endpoint(&balancer, 2).id];
    assert!((0..20).all(|_| port(&balancer.pick(&skip).unwrap()) > 2), "a retry goes where it has not been");
    refuse(&balancer, 1);
    refuse(&balancer, 2);
    assert!((0..20).all(|_| port(&balancer.pick(&[]).unwrap()) > 2));
    assert_eq!(balancer.counts(), Counts { ready: 2, ejected: 2, probing: 0 });
}

#[tokio::test(start_paused = true)]
async fn when_nobody_takes_connections_one_request_at_a_time_tries_after_a_pause() {
    let balancer = balancer([spec(1)]);
    refuse(&balancer, 1);
    assert_eq!(balancer.pick(&[]).unwrap_err(), PickError::AllEjected);
    advance(LAST_RESORT_PAUSE).await;
    let probe = balancer.pick(&[]).unwrap();
    assert_eq!(balancer.pick(&[]).unwrap_err(), PickError::AllEjected);
    drop(probe);
    balancer.pick(&[]).unwrap().success();
    assert_eq!(balancer.counts().ready, 1);
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_the_one_that_tries_whether_an_endpoint_is_back() {
    let balancer = balancer([spec(1)]);
    refuse(&balancer, 1);
    let start = Instant::now();
    let deadline = start + Duration::from_secs(3);
    let mut first = balancer.pick_by(&[], deadline).await.unwrap();
    let (second, ()) = tokio::join!(balancer.pick_by(&[], deadline), async {
        first.success();
        drop(first);
    });
    assert!(second.is_ok());
    assert!(start.elapsed() < 2 * LAST_RESORT_PAUSE, "{:?}", start.elapsed());
}

#[test]
fn another_pod_at_the_same_address_starts_anew() {
    let balancer = balancer([spec(1)]);
    let before = endpoint(&balancer, 1).id;
    balancer.update(vec![spec(1)]);
    assert_eq!(endpoint(&balancer, 1).id, before);
    balancer.update(vec![EndpointSpec { pod: "shop/users-2".into(), ..spec(1) }]);
    assert_ne!(endpoint(&balancer, 1).id, before);
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_an_endpoint_to_appear() {
    let balancer = Balancer::new(Settings::default());
    let deadline = Instant::now() + Duration::from_secs(1);
    let (lease, ()) = tokio::join!(balancer.pick_by(&[], deadline), async {
        advance(Duration::from_millis(300)).await;
        balancer.update(vec![spec(1)]);
    });
    assert_eq!(port(&lease.unwrap()), 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_is_bounded_in_time_and_number() {
    let settings = Settings { queue: QueueLimit(1), ..Settings::default() };
    let balancer = Balancer::new(settings);
    let deadline = Instant::now() + Duration::from_secs(1);
    let (first, second) = tokio::join!(balancer.pick_by(&[], deadline), balancer.pick_by(&[], deadline));
    assert_eq!(first.unwrap_err(), PickError::Unanswered);
    assert_eq!(second.unwrap_err(), PickError::QueueFull);
    assert_eq!(Instant::now(), deadline);
    assert_eq!(balancer.pick_by(&[], deadline).await.unwrap_err(), PickError::Unanswered, "the place is given back");
}

proptest! {
    #[test]
    fn two_candidates_are_distinct(weights in prop::collection::vec(1_u32..20, 2..12)) {
        let balancer = balancer((1..).zip(&weights).map(|(port, weight)| weighted(port, *weight)));
        let set = balancer.set.load();
        for _ in 0..50 {
            if let Some((first, second)) = set.near.two_by_chance() {
                prop_assert!(first != second && first < weights.len() && second < weights.len());
            }
            let Pair::Two(first, second) = sample(set.near.entries.iter()) else { panic!("two of {}", weights.len()) };
            prop_assert!(first.endpoint.id != second.endpoint.id);
        }
    }

    #[test]
    fn nobody_is_picked_who_was_removed(before in 1_u16..20, after in 0_u16..20, ejected in 0_u16..20) {
        let balancer = balancer((1..=before).map(spec));
        (1..=ejected.min(before)).for_each(|port| refuse(&balancer, port));
        balancer.update((before / 2..before / 2 + after).map(spec).collect());
        for _ in 0..50 {
            match balancer.pick(&[]) {
                Ok(lease) => prop_assert!((before / 2..before / 2 + after).contains(&port(&lease))),
                Err(PickError::Empty) => prop_assert_eq!(after, 0),
                Err(error) => prop_assert!(error == PickError::AllEjected && ejected > 0),
            }
        }
    }

    #[test]
    fn counts_come_back_to_zero_however_leases_end(ends in prop::collection::vec(0_u8..5, 0..80)) {
        let balancer = balancer((1..4).map(spec));
        let mut held = Vec::new();
        for end in ends {
            let Ok(mut lease) = balancer.pick(&[]) else { continue };
            match end {
                0 => lease.success(),
                1 => assert!(lease.failure().is_none() || lease.endpoint().in_flight() > 0),
                2 => assert!(lease.refused().is_some() || lease.endpoint().in_flight() > 0),
                3 => lease.responded(),
                _ => {}
            }
            held.push(lease);
        }
        drop(held);
        prop_assert!(balancer.endpoints().iter().all(|endpoint| endpoint.in_flight() == 0));
        let probing = |endpoint: &Arc<Endpoint>| matches!(endpoint.standing(Instant::now()), Standing::Probing { .. });
        prop_assert!(!balancer.endpoints().iter().any(probing), "no probe slot is lost");
    }
}
