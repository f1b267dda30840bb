use std::{sync::Arc, time::Duration};

use tokio::time::advance;
use weft_api::{PathMatch, RouteMatch, Version};

use super::*;
use crate::error::Reason;

fn feed(picture: &mut Picture, (key, resource): (Key, Resource)) -> Result<(), RefusedResource> {
    let taken = picture.apply(key, Version(1), resource);
    picture.publish();
    taken
}

/// The list: the cluster and users, synced.
fn listed(settings: Settings) -> Picture {
    let mut picture = Picture::new(settings);
    feed(&mut picture, cluster()).unwrap();
    feed(&mut picture, users()).unwrap();
    picture.synced();
    picture.publish();
    picture
}

/// The same, with users known.
fn known(settings: Settings) -> Picture {
    let mut picture = listed(settings);
    picture.follow(socket(USERS_AT));
    feed(&mut picture, endpoints(USERS, &["10.0.0.1:8080"])).unwrap();
    feed(&mut picture, routes(USERS, &[])).unwrap();
    picture
}

fn service_at(picture: &Picture, address: &str) -> Option<Arc<DestinationPolicy>> {
    match picture.directory().lookup(to(address)) {
        Lookup::Known(target) => Some(policy(target)),
        _ => None,
    }
}

fn subscribed(picture: &Picture, key: &Key) -> bool {
    picture.subscriptions.contains(key)
}

#[test]
fn before_the_list_is_whole_nothing_is_foreign() {
    let mut picture = Picture::new(Settings::default());
    let unanswered = |picture: &Picture, at| matches!(picture.directory().lookup(to(at)), Lookup::Unanswered);
    assert!([USERS_AT, POD_AT, FOREIGN_AT].iter().all(|at| unanswered(&picture, at)));
    feed(&mut picture, cluster()).unwrap();
    assert!([USERS_AT, POD_AT, FOREIGN_AT].iter().all(|at| unanswered(&picture, at)));
    picture.synced();
    picture.publish();
    assert!([USERS_AT, POD_AT].iter().all(|at| unanswered(&picture, at)));
    assert!(matches!(picture.directory().lookup(to(FOREIGN_AT)), Lookup::Foreign));
}

#[test]
fn foreign_addresses_are_refused_where_they_are_forbidden() {
    let picture = listed(Settings { foreign_allowed: false, ..Settings::default() });
    let Lookup::Refused(error) = picture.directory().lookup(to(FOREIGN_AT)) else { panic!("not refused") };
    assert_eq!(error.reason(), Reason::ForeignForbidden);
}

#[test]
fn a_port_that_a_service_does_not_have_is_refused_at_once() {
    let picture = listed(Settings::default());
    let Lookup::Refused(error) = picture.directory().lookup(to("10.96.0.1:81")) else { panic!("not refused") };
    assert_eq!(error.reason(), Reason::UndeclaredPort);
    assert_eq!(error.to_string(), "service shop/users has no port 81");
}

#[test]
fn a_service_is_known_once_endpoints_and_routes_are_answered() {
    let mut picture = listed(Settings::default());
    picture.follow(socket(USERS_AT));
    feed(&mut picture, endpoints(USERS, &["10.0.0.1:8080"])).unwrap();
    assert!(service_at(&picture, USERS_AT).is_none(), "a route might send it elsewhere");
    picture.removed(&Key::Routes(destination(USERS)));
    picture.publish();
    let policy = service_at(&picture, USERS_AT).unwrap();
    assert_eq!((policy.protocol(), policy.backend.balancer.pick(&[]).is_ok()), (AppProtocol::Http1, true));
    assert!(service_at(&picture, "[::ffff:10.96.0.1]:80").is_some(), "a dual-stack socket's word for it");
}

#[test]
fn routes_to_other_backends_subscribe_to_their_endpoints_and_let_go_of_them() {
    let mut picture = known(Settings::default());
    let other = Key::Endpoints(destination(USERS_V2));
    feed(&mut picture, routes(USERS, &[USERS, USERS_V2])).unwrap();
    assert!(subscribed(&picture, &other));
    feed(&mut picture, endpoints(USERS_V2, &["10.0.0.2:8080"])).unwrap();
    assert_eq!(picture.directory().backends().len(), 2);
    feed(&mut picture, routes(USERS, &[USERS])).unwrap();
    assert!(!subscribed(&picture, &other) && subscribed(&picture, &Key::Endpoints(destination(USERS))));
    assert_eq!(picture.directory().backends().len(), 1);
}

#[test]
fn a_resource_that_is_wrong_in_one_place_changes_nothing() {
    let mut picture = known(Settings::default());
    let bad = EndpointView { identity: Some("spiffe://x".into()), ..endpoint("10.0.0.2:8080") };
    let views = Resource::Endpoints(vec![endpoint("10.0.0.3:8080"), bad]);
    let error = feed(&mut picture, (Key::Endpoints(destination(USERS)), views)).unwrap_err();
    assert_eq!(error.to_string(), "the identity of 10.0.0.2:8080 is invalid");
    let (key, Resource::Routes(mut rules)) = routes(USERS, &[USERS_V2]) else { panic!("no routes") };
    rules.iter_mut().for_each(|rule| {
        let path = Some(PathMatch::Regex("a+".into()));
        rule.matches = vec![RouteMatch { path, ..Default::default() }];
    });
    feed(&mut picture, (key, Resource::Routes(rules))).unwrap_err();
    let policy = service_at(&picture, USERS_AT).unwrap();
    assert_eq!(policy.backend.balancer.endpoints().len(), 1);
    assert!(policy.routes.load().rules().is_empty());
    assert!(!subscribed(&picture, &Key::Endpoints(destination(USERS_V2))));
}

#[test]
fn a_pod_is_known_by_its_own_address_on_any_port() {
    let mut picture = listed(Settings::default());
    picture.follow(socket(POD_AT));
    picture.follow(socket("10.0.0.9:9999"));
    feed(&mut picture, pod("users-1")).unwrap();
    let Lookup::Known(Target::Pod(target)) = picture.directory().lookup(to(POD_AT)) else { panic!("unknown") };
    assert_eq!(target.backend.destination.to_string(), "shop/users:8080");
    assert_eq!(target.backend.protocol(), AppProtocol::Http1);
    let lease = target.backend.balancer.pick(&[]).unwrap();
    assert!(lease.endpoint().identity.is_some() && lease.endpoint().addr.0 == socket(POD_AT));
    let Lookup::Known(Target::Pod(other)) = picture.directory().lookup(to("10.0.0.9:9999")) else { panic!("unknown") };
    assert_eq!((other.service.clone(), other.backend.destination.to_string()), (None, "shop/users-1:9999".into()));
}

#[test]
fn who_holds_a_pod_that_is_replaced_does_not_reach_the_new_one() {
    let mut picture = listed(Settings::default());
    picture.follow(socket(POD_AT));
    feed(&mut picture, pod("users-1")).unwrap();
    let Lookup::Known(Target::Pod(old)) = picture.directory().lookup(to(POD_AT)) else { panic!("unknown") };
    feed(&mut picture, pod("users-2")).unwrap();
    assert!(old.backend.balancer.pick(&[]).is_err());
    let Lookup::Known(Target::Pod(new)) = picture.directory().lookup(to(POD_AT)) else { panic!("unknown") };
    assert!(&*new.pod == "users-2" && new.backend.balancer.pick(&[]).is_ok());
    picture.removed(&Key::Workload(socket(POD_AT).ip()));
    picture.publish();
    assert!(matches!(picture.directory().lookup(to(POD_AT)), Lookup::Unanswered));
}

#[test]
fn a_service_that_moves_is_found_at_its_new_address_only() {
    let mut picture = known(Settings::default());
    feed(&mut picture, service("shop/users", "10.96.0.7")).unwrap();
    assert!(service_at(&picture, USERS_AT).is_none());
    assert!(service_at(&picture, "10.96.0.7:80").is_some());
    picture.removed(&Key::Service("shop/users".parse().unwrap()));
    picture.publish();
    assert!(matches!(picture.directory().lookup(to("10.96.0.7:80")), Lookup::Unanswered));
}

#[tokio::test(start_paused = true)]
async fn long_disuse_drops_a_destination_and_use_or_an_open_connection_keeps_it() {
    let mut picture = known(Settings::default());
    advance(Duration::from_secs(3000)).await;
    let held = service_at(&picture, USERS_AT).unwrap();
    for _ in 0..3 {
        advance(Duration::from_secs(3700)).await;
        picture.sweep();
    }
    assert!(subscribed(&picture, &Key::Routes(destination(USERS))));
    drop(held);
    advance(Duration::from_secs(3500)).await;
    picture.sweep();
    assert!(subscribed(&picture, &Key::Routes(destination(USERS))), "it was in use an hour ago");
    advance(Duration::from_secs(200)).await;
    picture.sweep();
    picture.publish();
    assert!(!subscribed(&picture, &Key::Routes(destination(USERS))));
    assert!(!subscribed(&picture, &Key::Endpoints(destination(USERS))));
    assert!(matches!(picture.directory().lookup(to(USERS_AT)), Lookup::Unanswered));
}

#[tokio::test(start_paused = true)]
async fn of_too_many_destinations_the_least_recently_used_go() {
    let mut picture = listed(Settings { capacity: 20, ..Settings::default() });
    let at = |port: u16| SocketAddr::from(([10, 0, 0, 9], port));
    picture.follow(at(1));
    feed(&mut picture, pod("users-1")).unwrap();
    for port in 2..=20 {
        advance(Duration::from_millis(10)).await;
        picture.follow(at(port));
    }
    picture.publish();
    advance(Duration::from_millis(10)).await;
    let lookup = |picture: &Picture, port| picture.directory().lookup(OrigDst(at(port)));
    assert!(matches!(lookup(&picture, 1), Lookup::Known(_)), "used last, although it came first");
    picture.follow(at(21));
    picture.publish();
    let known: Vec<_> = (1..=21).filter(|port| matches!(lookup(&picture, *port), Lookup::Known(_))).collect();
    assert_eq!(known.len(), 18, "nine tenths of the capacity");
    assert!(known.contains(&1) && known.contains(&21) && !known.contains(&2));
}

#[test]
fn endpoints_are_used_by_where_the_control_plane_says_that_the_pod_runs() {
    let mut picture = listed(Settings::default());
    picture.follow(socket(USERS_AT));
    let hinted = |address: &str, zone: &str| EndpointView { zone_hints: vec![zone.to_owned()], ..endpoint(address) };
    let views = vec![hinted("10.0.0.1:8080", "a"), hinted("10.0.0.2:8080", "b")];
    feed(&mut picture, (Key::Endpoints(destination(USERS)), Resource::Endpoints(views))).unwrap();
    let used = |picture: &Picture| {
        let balancer = &picture.backends.all().next().unwrap().balancer;
        let picked = (0..50).map(|_| balancer.pick(&[]).unwrap().endpoint().addr.0.to_string());
        picked.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(used(&picture).len(), 2, "the locality is not known yet");
    let inbound = weft_api::InboundView { zone: "b".into(), ..Default::default() };
    feed(&mut picture, (Key::Inbound, Resource::Inbound(inbound))).unwrap();
    assert_eq!(used(&picture), ["10.0.0.2:8080"]);
}
