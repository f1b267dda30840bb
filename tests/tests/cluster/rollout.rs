//! Pods come and go under load, and no request pays for it.

use std::{collections::HashMap, time::Duration};

use crate::harness::{Deliveries, Load, Namespace, PodEvent, Turn, Watch, alone, app, client};

/// What is known within this time of an event at the API server is known in time.
const IN_TIME: u128 = 1_000_000;

/// Two apps and a client, all ready.
async fn shop(name: &str, replicas: (u32, u32)) -> (Namespace, Turn) {
    let (cluster, turn) = alone().await;
    let shop = Namespace::meshed(cluster, name).await;
    shop.apply(&(app("orders", replicas.0) + &app("users", replicas.1) + &client("client"))).await;
    shop.rolled_out("orders").await;
    shop.rolled_out("users").await;
    shop.pod_ready("client").await;
    (shop, turn)
}

#[tokio::test]
async fn a_rolling_restart_of_both_deployments_costs_no_request() {
    let (shop, _turn) = shop("restart", (2, 2)).await;
    let (http, grpc) = Load::both(&shop).await;
    shop.kubectl(&["rollout", "restart", "deployment/orders", "deployment/users"]).await;
    shop.rolled_out("orders").await;
    shop.rolled_out("users").await;
    let settled = async || shop.pods("app in (orders, users)").await.len() == 4;
    crate::harness::eventually(Duration::from_secs(90), "the old pods are gone", settled).await;
    http.assert_unharmed().await;
    grpc.assert_unharmed().await;
}

#[tokio::test]
async fn replicas_that_come_and_go_get_their_traffic_in_time_and_cost_no_request() {
    let (shop, _turn) = shop("scale", (1, 1)).await;
    let watch = Watch::pods(&shop);
    let (http, grpc) = Load::both(&shop).await;
    scale(&shop, 8).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let grown = watch.seen();
    scale(&shop, 2).await;
    let gone = async || shop.pods("app=users").await.len() == 2;
    crate::harness::eventually(Duration::from_secs(90), "six pods are gone", gone).await;
    http.assert_unharmed().await;
    let deliveries = grpc.assert_unharmed().await;
    assert_begun_in_time(&grown, &deliveries);
    assert_ended_in_time(&watch.seen(), &deliveries);
}

async fn scale(shop: &Namespace, replicas: u32) {
    shop.kubectl(&["scale", "deployment/users", "--replicas", &replicas.to_string()]).await;
    shop.rolled_out("users").await;
}

/// Each of the eight pods got its first request within a second of being announced as ready; the first one long before.
///
/// From the kubelet's word to the EndpointSlice is Kubernetes' own time: its controller tries again only after a second when
/// pods change faster than its caches.
fn assert_begun_in_time(events: &HashMap<String, PodEvent>, deliveries: &Deliveries) {
    let users = events.iter().filter(|(pod, _)| pod.starts_with("users-"));
    let waits: Vec<_> = users
        .filter_map(|(pod, event)| {
            let (first, _) = deliveries.span(pod).unwrap_or_else(|| panic!("{pod} never got a request"));
            Some((first.saturating_sub(event.ready?), pod))
        })
        .collect();
    assert_eq!(waits.len(), 8, "{waits:?}");
    assert!(waits.iter().all(|(wait, _)| *wait <= IN_TIME), "microseconds from ready to the first request: {waits:?}");
}

/// None of the six old pods got a request later than a second after its deletion began.
fn assert_ended_in_time(events: &HashMap<String, PodEvent>, deliveries: &Deliveries) {
    let ends: Vec<_> = events
        .iter()
        .filter_map(|(pod, event)| Some((pod, event.deleted?)))
        .map(|(pod, deleted)| (deliveries.span(pod).map_or(0, |(_, last)| last.saturating_sub(deleted)), pod))
        .collect();
    assert_eq!(ends.len(), 6, "{ends:?}");
    assert!(ends.iter().all(|(late, _)| *late <= IN_TIME), "microseconds from deletion to the last request: {ends:?}");
}
