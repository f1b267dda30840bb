use tokio_util::task::TaskTracker;

use super::*;
use crate::fixture::api_server::ApiServer;

struct Replica {
    held: watch::Receiver<bool>,
    stop: CancellationToken,
    kill: CancellationToken,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

fn replica(server: &ApiServer, name: &str) -> Replica {
    let settings = LeaseSettings { namespace: "weft".into(), holder: name.into() };
    let (lease, held) = Lease::new(server.client(), settings);
    let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
    TaskTracker::new().spawn(kill.clone().run_until_cancelled_owned(lease.run(stop.clone())));
    Replica { held, stop, kill }
}

async fn within(limit: Duration, held: &mut watch::Receiver<bool>, wanted: bool) -> Duration {
    let began = Instant::now();
    timeout(limit, held.wait_for(|held| *held == wanted)).await.expect("within the limit").unwrap();
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_ends_gives_the_lease_to_another_at_once() {
    let server = ApiServer::bare();
    let mut first = replica(&server, "a");
    within(ROUND, &mut first.held, true).await;
    let mut second = replica(&server, "b");
    sleep(LIFETIME * 3).await;
    assert!(*first.held.borrow() && !*second.held.borrow(), "it is renewed");

    first.stop.cancel();
    within(ROUND * 2, &mut second.held, true).await;
    assert!(!*first.held.borrow());
    let lease = server.object("/apis/coordination.k8s.io/v1/leases", "weft", NAME).unwrap();
    assert_eq!((&lease["spec"]["holderIdentity"], &lease["spec"]["leaseTransitions"]), (&"b".into(), &2.into()));
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_replica_that_vanished_is_taken_after_its_time() {
    let server = ApiServer::bare();
    let mut first = replica(&server, "a");
    within(ROUND, &mut first.held, true).await;
    let mut second = replica(&server, "b");
    sleep(ROUND * 2).await;
    first.kill.cancel();
    let took = within(LIFETIME * 2, &mut second.held, true).await;
    assert!(took > BELIEF, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_cannot_renew_stops_believing_before_another_may_take_it() {
    let server = ApiServer::bare();
    let mut only = replica(&server, "a");
    within(ROUND, &mut only.held, true).await;
    server.fail(1000);
    let took = within(LIFETIME, &mut only.held, false).await;
    assert!(took <= BELIEF, "{took:?}");
    server.fail(0);
    within(ROUND * 3, &mut only.held, true).await;
}
