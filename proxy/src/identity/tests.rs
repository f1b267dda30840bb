//! A control plane on loopback, and a workload that wants to be known.

mod fake;

use std::sync::Arc;

use tokio::task::JoinSet;
use weft_api::TrustBundleView;
use weft_certs::{SpiffeId, TrustBundle};

use super::*;
use crate::{admin::Readiness, config::Config, telemetry::Metrics};
use fake::{Authority, ControlPlane, Proof, id};

/// A workload with a folder for what it was given, and its control plane.
struct Given {
    control_plane: ControlPlane,
    store: Arc<IdentityStore>,
    folder: tempfile::TempDir,
}

impl Given {
    async fn new() -> Self {
        Self::with(ControlPlane::start("weft", "weft-control-plane").await)
    }

    fn with(control_plane: ControlPlane) -> Self {
        Self::proven_by("WEFT_JOIN_TOKEN_FILE", control_plane)
    }

    /// `setting`: names the file of the token.
    fn proven_by(setting: &str, control_plane: ControlPlane) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(folder.path().join(name).display().to_string());
        let config = Config::read(|name| match name {
            "WEFT_POD_NAMESPACE" => Some("shop".into()),
            "WEFT_POD_NAME" => Some("orders-1".into()),
            "WEFT_POD_SERVICE_ACCOUNT" => Some("orders".into()),
            "WEFT_POD_ADDRESSES" => Some("10.0.0.1".into()),
            "WEFT_CONTROL_PLANE_ADDRESS" => Some(control_plane.address.to_string()),
            "WEFT_TRUST_BUNDLE_FILE" => path("ca.pem"),
            name if name == setting => path("token"),
            _ => None,
        });
        let store = IdentityStore::new(&config.unwrap(), &Metrics::new(100)).unwrap();
        let given = Self { control_plane, store, folder };
        given.write("token", "join-me\n");
        given.write("ca.pem", &given.control_plane.authority().bundle().to_pem());
        given
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    async fn renew(&self) -> Result<Leaf, FetchError> {
        renew(&self.store, Proving::Leaf).await
    }
}

fn view(bundle: &TrustBundle) -> TrustBundleView {
    let anchors = bundle.anchors().iter().map(|anchor| anchor.to_vec().into()).collect();
    TrustBundleView { anchors, issuer: String::new() }
}

fn orders() -> SpiffeId {
    id("shop", "orders")
}

#[tokio::test]
async fn a_join_token_buys_the_first_leaf_and_each_leaf_buys_the_next_with_a_new_key() {
    let given = Given::new().await;
    let first = given.renew().await.unwrap();
    let second = given.renew().await.unwrap();
    assert_eq!((first.identity(), second.identity()), (&orders(), &orders()));
    let proofs = given.control_plane.proofs();
    assert_eq!(
        proofs,
        [Proof::Token { token: "join-me".into(), caller: None }, Proof::Renewal { caller: Some(orders()) }]
    );
    assert_ne!(given.control_plane.keys()[0], given.control_plane.keys()[1]);
    assert_eq!(given.store.current().unwrap().tls.leaf().chain(), second.chain());
}

#[tokio::test]
async fn a_new_leaf_is_seen_by_workers_and_leaves_what_they_hold_alone() {
    let given = Given::new().await;
    let mut changes = given.store.changes();
    assert!(given.store.current().is_none() && given.store.report().is_none());
    given.renew().await.unwrap();
    changes.changed().await.unwrap();
    let held = given.store.current().unwrap();
    given.renew().await.unwrap();
    changes.changed().await.unwrap();
    assert_ne!(held.tls.leaf().chain(), given.store.current().unwrap().tls.leaf().chain());
    assert_eq!(held.tls.leaf().identity(), &orders());
}

#[tokio::test]
async fn another_workload_at_the_control_planes_address_is_refused_with_both_names() {
    let given = Given::with(ControlPlane::start("shop", "users").await);
    let error = given.renew().await.unwrap_err();
    let FetchError::Channel(ChannelError::WrongIdentity(wrong)) = error else { panic!("{error:?}") };
    assert_eq!((wrong.expected, wrong.actual), (id("weft", "weft-control-plane"), id("shop", "users")));
    assert!(given.control_plane.proofs().is_empty(), "the token has gone to a stranger");
}

#[tokio::test]
async fn a_control_plane_under_a_foreign_root_is_refused() {
    let given = Given::new().await;
    given.write("ca.pem", &Authority::new().bundle().to_pem());
    let error = given.renew().await.unwrap_err();
    assert!(matches!(error, FetchError::Channel(ChannelError::Handshake(_))), "{error:?}");
    assert!(chain(&error).contains("UnknownIssuer"), "{}", chain(&error));
}

#[tokio::test]
async fn a_leaf_that_is_somebody_elses_or_that_its_bundle_does_not_hold_for_is_not_taken() {
    let given = Given::new().await;
    given.control_plane.certify_everyone_as(id("shop", "payment"));
    let error = given.renew().await.unwrap_err();
    assert!(matches!(error, FetchError::WrongName { .. }), "{error:?}");
    given.control_plane.certify_everyone_as(orders());
    given.control_plane.answer_with_bundle(Authority::new().bundle());
    let error = given.renew().await.unwrap_err();
    assert!(matches!(error, FetchError::Untrusted(_)), "{error:?}");
    assert!(given.store.current().is_none());
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_setting() {
    let given = Given::new().await;
    std::fs::remove_file(given.folder.path().join("token")).unwrap();
    let error = given.renew().await.unwrap_err();
    assert!(error.to_string().contains("check WEFT_JOIN_TOKEN_FILE"), "{error}");
}

#[tokio::test]
async fn discoverys_bundle_takes_effect_at_once_and_outlasts_a_renewal() {
    let given = Given::new().await;
    given.renew().await.unwrap();
    let both = given.control_plane.authority().bundle().with(&Authority::new().bundle()).unwrap();
    let before = given.store.current().unwrap();
    given.store.update_bundle(&view(&both)).unwrap();
    let after = given.store.current().unwrap();
    assert_eq!(after.tls.bundle(), &both);
    assert_eq!(after.tls.leaf().chain(), before.tls.leaf().chain());
    given.renew().await.unwrap();
    assert_eq!(given.store.report().unwrap().bundle_version, both.version());
}

#[tokio::test]
async fn a_bundle_of_nonsense_changes_nothing() {
    let given = Given::new().await;
    given.renew().await.unwrap();
    let before = given.store.current().unwrap();
    let nonsense = TrustBundleView { anchors: vec![b"nonsense".as_slice().into()], issuer: String::new() };
    given.store.update_bundle(&nonsense).unwrap_err();
    assert!(Arc::ptr_eq(&before, &given.store.current().unwrap()));
    given.store.update_bundle(&view(before.tls.bundle())).unwrap();
    assert!(Arc::ptr_eq(&before, &given.store.current().unwrap()), "the same bundle ends no session");
}

#[tokio::test]
async fn a_channel_for_discovery_needs_a_certificate_and_shows_it() {
    let given = Given::new().await;
    assert!(matches!(given.store.control_channel().await, Err(ChannelError::NoCertificate)));
    given.renew().await.unwrap();
    given.store.control_channel().await.unwrap();
}

/// Runs the renewal beside a test.
fn start(given: &Given) -> (JoinSet<()>, Readiness, CancellationToken) {
    let (mut tasks, readiness, stop) = (JoinSet::new(), Readiness::default(), CancellationToken::new());
    let running = run(given.store.clone(), readiness.condition("certificate", "none yet"), stop.clone());
    tasks.spawn(async move { running.await.unwrap() });
    (tasks, readiness, stop)
}

#[tokio::test(start_paused = true)]
async fn a_workload_is_ready_once_the_control_plane_has_answered_however_late() {
    let given = Given::new().await;
    given.control_plane.refuse(100);
    let mut changes = given.store.changes();
    let (mut tasks, readiness, stop) = start(&given);
    given.control_plane.refused(3).await;
    assert!(!readiness.is_ready());
    given.control_plane.refuse(0);
    changes.changed().await.unwrap();
    tokio::task::yield_now().await;
    assert!(readiness.is_ready() && given.store.current().is_some());
    stop.cancel();
    tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_leaf_that_the_new_bundle_does_not_hold_for_is_renewed_at_once() {
    let given = Given::new().await;
    let mut changes = given.store.changes();
    let (_tasks, _, _) = start(&given);
    changes.changed().await.unwrap();
    given.control_plane.rotate();
    // While both are trusted, the leaf is good for its time; then the old root goes.
    let new = given.control_plane.authority().bundle();
    given.store.update_bundle(&view(&new)).unwrap();
    changes.changed().await.unwrap();
    while given.store.current().unwrap().tls.leaf().issuer_id() != given.control_plane.authority().issuer_id() {
        changes.changed().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_leaf_whose_issuer_was_replaced_is_renewed_soon_and_once() {
    let given = Given::new().await;
    let mut changes = given.store.changes();
    let (_tasks, _, _) = start(&given);
    changes.changed().await.unwrap();
    given.control_plane.replace_issuer();
    let authority = given.control_plane.authority();
    let told = tokio::time::Instant::now();
    let view = TrustBundleView { issuer: authority.issuer_id().to_owned(), ..view(&authority.bundle()) };
    given.store.update_bundle(&view).unwrap();
    changes.changed().await.unwrap();
    assert_eq!(given.store.current().unwrap().tls.leaf().issuer_id(), authority.issuer_id());
    assert!(told.elapsed() <= SPREAD, "{:?}", told.elapsed());
    assert!(tokio::time::timeout(3 * SPREAD, changes.changed()).await.is_err(), "it is renewed again and again");
}

#[tokio::test(start_paused = true)]
async fn a_workload_without_a_certificate_asks_at_least_once_a_second() {
    let given = Given::new().await;
    given.control_plane.refuse(1000);
    let (_tasks, _, _) = start(&given);
    given.control_plane.refused(8).await;
    let began = tokio::time::Instant::now();
    given.control_plane.refused(18).await;
    assert!(began.elapsed() < Duration::from_secs(10), "{:?} for ten tries", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_leaf_that_is_worth_nothing_any_more_gives_way_to_the_token_and_to_the_bundle_that_is_mounted() {
    for told in [true, false] {
        let given = Given::proven_by(
            "WEFT_SERVICE_ACCOUNT_TOKEN_FILE",
            ControlPlane::start("weft", "weft-control-plane").await,
        );
        given.renew().await.unwrap();
        given.control_plane.replace_root();
        let new = given.control_plane.authority().bundle();
        if told {
            given.store.update_bundle(&view(&new)).unwrap();
        } else {
            given.write("ca.pem", &new.to_pem());
        }
        let mut changes = given.store.changes();
        let began = tokio::time::Instant::now();
        let (_tasks, _, _) = start(&given);
        changes.changed().await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(60), "{told}: only once the leaf had expired");
        assert_eq!(given.store.current().unwrap().tls.bundle(), &new, "{told}");
        let proofs = given.control_plane.proofs();
        assert!(matches!(proofs.last(), Some(Proof::Token { caller: None, .. })), "{told}: {proofs:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_renewal_is_tried_by_token_while_the_old_leaf_is_kept() {
    let given = Given::new().await;
    given.renew().await.unwrap();
    let old = given.store.current().unwrap();
    let mut changes = given.store.changes();
    given.control_plane.refuse(1);
    let (_tasks, _, _) = start(&given);
    given.control_plane.refused(1).await;
    assert!(Arc::ptr_eq(&old, &given.store.current().unwrap()));
    changes.changed().await.unwrap();
    let [_, Proof::Renewal { .. }, Proof::Token { .. }] = &given.control_plane.proofs()[..] else {
        panic!("{:?}", given.control_plane.proofs());
    };
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_stands_still_delays_no_renewal() {
    let (start, now) = (Instant::now(), SystemTime::now());
    let hour = Duration::from_secs(3600);
    // The test's time is paused time: meanwhile the machine's clock hardly moves.
    Wait::until(now + 17 * hour, now).over().await;
    assert!((17 * hour..=17 * hour + LOOK).contains(&start.elapsed()), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_put_forward_brings_the_renewal_with_it() {
    let start = Instant::now();
    Wait::until(SystemTime::now() - LOOK, SystemTime::now() - 10 * LOOK).over().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}
