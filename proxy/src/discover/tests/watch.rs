use std::{collections::BTreeMap, time::Duration};

use tokio::time::{Instant, sleep};
use weft_api::{Version, pb};

use super::{plane::Plane, *};
use crate::error::Reason;

const LIMIT: Duration = Duration::from_secs(3);

/// What a refusal says at the edge.
fn reason(resolved: Result<Target, DiscoverError>) -> Reason {
    resolved.unwrap_err().reason()
}

/// A plane whose client has the list and knows users.
async fn with_users_known() -> (Plane, super::plane::Stream) {
    let mut plane = Plane::start(true);
    let (mut stream, _) = plane.stream().await;
    stream.say([cluster(), users()]).await;
    stream.synced().await;
    let resolved = plane.resolve(USERS_AT);
    stream.keys(4).await;
    stream.say([endpoints(USERS, &["10.0.0.1:8080"]), routes(USERS, &[])]).await;
    policy(resolved.await.unwrap().unwrap());
    stream.keys(2).await;
    (plane, stream)
}

// ---- present

#[tokio::test(start_paused = true)]
async fn present_a_service_is_known_after_its_first_use() {
    let mut plane = Plane::start(true);
    let (mut stream, hello) = plane.stream().await;
    assert!(hello.have.is_empty());
    stream.say([cluster(), users()]).await;
    stream.synced().await;
    let resolved = plane.resolve(USERS_AT);
    let told = stream.keys(4).await;
    assert_eq!(told["applied"], ["KIND_CLUSTER ", "KIND_SERVICE shop/users"]);
    assert_eq!(told["subscribe"], ["KIND_ENDPOINTS shop/users:80", "KIND_ROUTES shop/users:80"]);
    stream.say([endpoints(USERS, &["10.0.0.1:8080"]), routes(USERS, &[])]).await;
    let policy = policy(resolved.await.unwrap().unwrap());
    assert!(policy.backend.balancer.pick(&[]).is_ok());
    assert_eq!(stream.keys(2).await["applied"].len(), 2);
    assert_eq!(plane.directory.age(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn present_a_pod_is_known_and_an_address_of_nobody_is_refused_in_time() {
    let (mut plane, mut stream) = with_users_known().await;
    let (resolved, nobody) = (plane.resolve(POD_AT), plane.resolve("10.0.0.10:80"));
    let told = stream.keys(2).await;
    assert_eq!(told["subscribe"], ["KIND_WORKLOAD 10.0.0.10", "KIND_WORKLOAD 10.0.0.9"]);
    stream.say([pod("users-1")]).await;
    stream.removed(&Key::Workload("10.0.0.10".parse().unwrap())).await;
    assert!(matches!(resolved.await.unwrap().unwrap(), Target::Pod(_)));
    let start = Instant::now();
    assert_eq!(reason(nobody.await.unwrap()), Reason::DiscoveryTimeout);
    assert!(start.elapsed() <= LIMIT);
}

#[tokio::test(start_paused = true)]
async fn present_what_is_outside_of_the_ranges_is_foreign() {
    let (mut plane, _stream) = with_users_known().await;
    assert!(matches!(plane.resolve(FOREIGN_AT).await.unwrap().unwrap(), Target::Foreign));
}

// ---- slow

#[tokio::test(start_paused = true)]
async fn slow_nothing_is_foreign_or_plaintext_before_the_list_is_whole() {
    let mut plane = Plane::start(true);
    let (stream, _) = plane.stream().await;
    stream.say([cluster()]).await;
    for address in [FOREIGN_AT, USERS_AT, POD_AT] {
        assert_eq!(reason(plane.resolve(address).await.unwrap()), Reason::DiscoveryTimeout, "{address}");
    }
    let resolved = plane.resolve(FOREIGN_AT);
    sleep(LIMIT / 2).await;
    stream.synced().await;
    assert!(matches!(resolved.await.unwrap().unwrap(), Target::Foreign));
}

#[tokio::test(start_paused = true)]
async fn slow_an_answer_within_the_limit_is_waited_for() {
    let mut plane = Plane::start(true);
    let (mut stream, _) = plane.stream().await;
    let resolved = plane.resolve(USERS_AT);
    sleep(Duration::from_secs(1)).await;
    stream.say([cluster(), users()]).await;
    stream.synced().await;
    let told = stream.keys(4).await;
    assert_eq!(told["subscribe"].len(), 2, "who waited for the list is not forgotten");
    sleep(Duration::from_secs(1)).await;
    stream.say([endpoints(USERS, &[]), routes(USERS, &[])]).await;
    policy(resolved.await.unwrap().unwrap());
}

#[tokio::test(start_paused = true)]
async fn slow_a_service_without_its_routes_is_refused_in_time() {
    let mut plane = Plane::start(true);
    let (stream, _) = plane.stream().await;
    stream.say([cluster(), users()]).await;
    stream.synced().await;
    let resolved = plane.resolve(USERS_AT);
    stream.say([endpoints(USERS, &["10.0.0.1:8080"])]).await;
    assert_eq!(reason(resolved.await.unwrap()), Reason::DiscoveryTimeout);
}

// ---- gone

#[tokio::test(start_paused = true)]
async fn gone_from_the_start_everything_is_refused_in_time() {
    let mut plane = Plane::start(false);
    for address in [FOREIGN_AT, USERS_AT, POD_AT] {
        assert_eq!(reason(plane.resolve(address).await.unwrap()), Reason::DiscoveryTimeout, "{address}");
    }
    assert_eq!(plane.directory.age(), None);
    plane.set_up(true);
    plane.stream().await;
}

#[tokio::test(start_paused = true)]
async fn gone_what_is_known_or_foreign_stays_so_and_the_rest_is_refused() {
    let (mut plane, stream) = with_users_known().await;
    plane.set_up(false);
    drop(stream);
    sleep(Duration::from_secs(24 * 3600)).await;
    let policy = policy(plane.resolve(USERS_AT).await.unwrap().unwrap());
    assert!(policy.backend.balancer.pick(&[]).is_ok());
    assert!(matches!(plane.resolve(FOREIGN_AT).await.unwrap().unwrap(), Target::Foreign));
    assert_eq!(reason(plane.resolve(POD_AT).await.unwrap()), Reason::DiscoveryTimeout);
    assert!(plane.directory.age().unwrap() >= Duration::from_secs(24 * 3600));
}

// ---- back

#[tokio::test(start_paused = true)]
async fn a_new_stream_names_what_is_held_and_asks_for_the_rest() {
    let (mut plane, mut stream) = with_users_known().await;
    let _nobody = plane.resolve(POD_AT);
    stream.keys(1).await;
    drop(stream);
    let (mut stream, hello) = plane.stream().await;
    let have: BTreeMap<_, _> =
        hello.have.into_iter().map(|one| (Key::try_from(one.key.unwrap()).unwrap(), Version(one.version))).collect();
    let expected = [cluster(), users(), endpoints(USERS, &[]), routes(USERS, &[])].map(|(key, _)| (key, Version(7)));
    assert_eq!(have, BTreeMap::from(expected));
    assert_eq!(stream.keys(1).await["subscribe"], ["KIND_WORKLOAD 10.0.0.9"]);
    assert!(plane.directory.age().unwrap() > Duration::ZERO, "not fresh before it is synced");
    stream.synced().await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(plane.directory.age(), Some(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_refused_resource_is_not_acknowledged_and_the_last_good_one_stays() {
    let (plane, mut stream) = with_users_known().await;
    let bad = EndpointView { identity: Some("root".into()), ..endpoint("10.0.0.2:8080") };
    stream.say([(Key::Endpoints(destination(USERS)), Resource::Endpoints(vec![bad]))]).await;
    stream.say([service("shop/orders", "10.96.0.2")]).await;
    assert_eq!(stream.keys(1).await["applied"], ["KIND_SERVICE shop/orders"]);
    let Lookup::Known(target) = plane.directory.lookup(to(USERS_AT)) else { panic!("no longer known") };
    let addr = policy(target).backend.balancer.pick(&[]).unwrap().endpoint().addr;
    assert_eq!(addr.to_string(), "10.0.0.1:8080");
}

#[tokio::test(start_paused = true)]
async fn what_the_proxy_is_known_by_is_reported_on_every_stream_and_change() {
    let (mut plane, mut stream) = with_users_known().await;
    let report = |version| pb::Report { bundle_version: version, ..Default::default() };
    plane.reports.send_replace(Some(report(1)));
    assert_eq!(stream.heard().await, pb::watch_request::Message::Report(report(1)));
    drop(stream);
    let (mut stream, _) = plane.stream().await;
    assert_eq!(stream.heard().await, pb::watch_request::Message::Report(report(1)));
    plane.reports.send_replace(Some(report(2)));
    assert_eq!(stream.heard().await, pb::watch_request::Message::Report(report(2)));
}
