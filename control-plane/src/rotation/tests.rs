mod steps;

use std::time::SystemTime;

use tempfile::TempDir;
use weft_api::pb::{ProxyReport, Report};
use weft_certs::SpiffeId;

use super::*;
use crate::identity::AuthoritySettings;

fn settings() -> AuthoritySettings {
    AuthoritySettings {
        identity: SpiffeId::control_plane("cluster.local", "weft").unwrap(),
        leaf_lifetime: Duration::from_secs(3600),
        issuer_lifetime: Duration::from_secs(36_000),
    }
}

struct Given {
    _folder: TempDir,
    authority: Authority,
}

impl Given {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Authority::in_folder(settings(), folder.path()).unwrap();
        Self { _folder: folder, authority }
    }

    fn trust(&self) -> Trust {
        self.authority.trust().borrow().clone()
    }

    /// A mesh of these pods, of which some have reported so: name, bundle, issuer, age in milliseconds.
    async fn fleet(&self, live: &[&str], reports: Vec<(&'static str, u64, String, u64)>) -> Fleet {
        let live: Vec<_> = live.iter().map(|name| ObjectName::new("shop", name)).collect();
        let proxies = reports.into_iter().map(|(pod, bundle_version, leaf_issuer, age_ms)| ProxyReport {
            namespace: "shop".into(),
            pod: pod.into(),
            report: Some(Report { bundle_version, leaf_issuer, leaf_expiry_unix_seconds: 0 }),
            age_ms,
        });
        let answer = ReportsResponse { proxies: proxies.collect(), ..ReportsResponse::default() };
        let mesh = Mesh {
            live: Box::new(move || live.clone()),
            reports: Box::new(move || answer.clone()),
            replicas: Box::new(|| vec!["127.0.0.1:1".parse().unwrap()]),
        };
        Fleet::gather(&self.authority, &mesh).await
    }
}

fn named(behind: &[Behind]) -> Vec<(&str, Why)> {
    behind.iter().map(|one| (one.who.as_str(), one.why)).collect()
}

#[tokio::test]
async fn whoever_lacks_the_bundle_or_the_leaf_or_says_nothing_is_behind() {
    let given = Given::new();
    let trust = given.trust();
    let (bundle, issuer) = (trust.bundle.version(), trust.issuer.to_string());
    let reports = vec![
        ("good", bundle, issuer.clone(), 0),
        ("old-bundle", bundle + 1, issuer.clone(), 0),
        ("old-leaf", bundle, "other".into(), 0),
        ("gone", 0, String::new(), 0),
    ];
    let fleet = given.fleet(&["good", "old-bundle", "old-leaf", "silent"], reports).await;
    let behind = fleet.behind(&trust, Goal::BundleAndLeaf);
    assert_eq!(
        named(&behind),
        [
            ("127.0.0.1:1", Why::ReplicaSilent),
            ("shop/old-bundle", Why::Bundle),
            ("shop/old-leaf", Why::Leaf),
            ("shop/silent", Why::Silent),
        ]
    );
    let behind = fleet.behind(&trust, Goal::Bundle);
    assert!(!named(&behind).contains(&("shop/old-leaf", Why::Leaf)));
}

#[tokio::test]
async fn of_two_reports_of_a_proxy_the_newer_counts() {
    let given = Given::new();
    let trust = given.trust();
    let (bundle, issuer) = (trust.bundle.version(), trust.issuer.to_string());
    let old = ("moved", bundle, "other".to_owned(), 60_000);
    let new = ("moved", bundle, issuer, 10);
    for reports in [vec![old.clone(), new.clone()], vec![new, old]] {
        let fleet = given.fleet(&["moved"], reports).await;
        assert_eq!(named(&fleet.behind(&trust, Goal::BundleAndLeaf)), [("127.0.0.1:1", Why::ReplicaSilent)]);
    }
}

#[test]
fn a_pause_is_over_once_it_has_passed_and_not_while_the_clock_is_before_it() {
    let now = SystemTime::now();
    assert!(has_passed(SETTLE, now - SETTLE));
    assert!(!has_passed(SETTLE, now - SETTLE / 2));
    assert!(!has_passed(SETTLE, now + SETTLE));
}
