//! A thousand orders while everything fails in turn: none is lost, none is done twice, and the books add up.
//!
//! The load is counted in orders, not in seconds: a hundred for each round of faults, and the books are checked after each
//! round. All the time, the second replica of each service that keeps something is slow and fails at times.

use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::harness::{CONTINUE, FOLLOWERS, FRONTS, KEEPERS, KILL, STOP, Service, Shop, report};

const TROUBLE: [(&str, &str); 4] = [("SLOW", "20ms"), ("FAIL_RATIO", "0.5"), ("FAIL_EVERY", "4s"), ("FAIL_FOR", "1s")];
/// How far into a load a fault comes, and how long after the one before.
const LEAD: Duration = Duration::from_millis(300);
/// A service that is stopped for so long is slow, and then goes on where it was.
const PAUSE: Duration = Duration::from_millis(1500);

/// What happens to the pods of one service, or to the control plane.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Every app of the service is killed, with no replica left to go on.
    AppsKilled(&'static str),
    /// Every app of the service stands still.
    AppsStopped(&'static str),
    /// Every sidecar of the service is killed.
    ProxiesKilled(&'static str),
    /// The control plane is killed and started again.
    PlaneKilled,
}

impl Fault {
    async fn strike(&self, shop: &Shop) {
        match *self {
            Self::AppsKilled(service) => shop.strike(service, "app", KILL).await,
            Self::ProxiesKilled(service) => shop.strike(service, "proxy", KILL).await,
            Self::AppsStopped(service) => {
                shop.strike(service, "app", STOP).await;
                sleep(PAUSE).await;
                shop.strike(service, "app", CONTINUE).await;
            }
            Self::PlaneKilled => {
                shop.mesh.sandbox.stop_control_plane(KILL).await.unwrap();
                sleep(PAUSE).await;
                shop.mesh.sandbox.start_control_plane().await.unwrap();
            }
        }
    }
}

/// What happens within one load: to each service that keeps something for itself, to the others together.
fn rounds() -> Vec<Vec<Fault>> {
    let keepers = KEEPERS.map(|(name, ..)| name);
    let killed = |services: &[Service]| services.iter().map(|(name, ..)| Fault::AppsKilled(name)).collect::<Vec<_>>();
    let mut rounds: Vec<_> = keepers.map(|name| vec![Fault::AppsKilled(name), Fault::AppsStopped(name)]).into();
    rounds.extend([killed(&FOLLOWERS), killed(&FRONTS)]);
    rounds.extend(
        [keepers[..3].iter(), keepers[3..].iter()].map(|some| some.copied().map(Fault::ProxiesKilled).collect()),
    );
    rounds.push(vec![Fault::PlaneKilled]);
    rounds
}

#[tokio::test]
async fn a_thousand_orders_survive_every_fault_and_the_books_add_up() {
    const EACH: u32 = 100;
    let shop = Shop::open(&TROUBLE).await;
    let rounds = rounds();
    assert!(rounds.len() as u32 * EACH >= 1000, "{} rounds", rounds.len());
    let (mut retries, mut completed) = (0, 0);
    for faults in rounds {
        let load = shop.load(EACH, "mixed").await;
        for fault in &faults {
            sleep(LEAD).await;
            fault.strike(&shop).await;
        }
        let report: Value = report(load).await;
        assert_eq!(report["orders"], EACH, "{faults:?}: {report}");
        retries += report["retries"].as_u64().unwrap();
        completed += report["completed"].as_u64().unwrap();
    }
    assert!(retries > 0, "no fault was ever felt");
    assert!(completed > 500, "most orders were cancelled: {completed} were not");
}
