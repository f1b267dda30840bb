//! A long time under load in which everything is killed by chance: apps, their proxies, the control plane.
//!
//! The client's own proxy is spared: what it had taken when it was killed is nobody's to answer for. `WEFT_SOAK_SECONDS`
//! says how long (default 1200); `make test-full` runs it.

use std::{
    collections::HashSet,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tokio::time::{Instant, sleep};
use weft_sandbox::Pod;

use crate::harness::{Mesh, assert_nothing_lost, eventually, json, mesh, retried};

const SIGKILL: i32 = 9;
/// For as long after a kill a request may fail because of it: its connection is found dead, and tries elsewhere end.
const AFTERMATH: Duration = Duration::from_secs(5);
/// What may come and go: sockets to replicas that are being replaced, and the allocator's slack.
const DESCRIPTORS: f64 = 24.0;
const MEMORY: f64 = 6_000_000.0;

#[tokio::test]
#[ignore = "takes twenty minutes, or as long as WEFT_SOAK_SECONDS says"]
async fn random_kills_fail_no_request_that_had_not_yet_reached_an_app() {
    let seconds = std::env::var("WEFT_SOAK_SECONDS").map_or(1_200, |text| text.parse().unwrap());
    let length = Duration::from_secs(seconds);
    let mesh = mesh(3, &retried("app", "codes: [502, 503, 504], attempts: 3, backoff: 20ms")).await;
    let words = ["load", "app:8080", "--rate", "60", "--clients", "12", "--seconds", &seconds.to_string()];
    let load = mesh.start("client", &words).await;

    let end = Instant::now() + length;
    let mut kills = kill_until(&mesh, end - length * 3 / 4).await;
    let before = Footprint::of(&mesh).await;
    kills.extend(kill_until(&mesh, end - AFTERMATH).await);

    assert!(kills.len() as u64 >= seconds / 60, "{} kills in {seconds} s", kills.len());
    let report = json(&load.output().await.unwrap());
    assert_nothing_lost(&mesh, &report, true);
    assert_failures_are_the_kills(&mesh, &report, &kills);
    before.assert_flat(&Footprint::of(&mesh).await);
}

/// Kills something every few seconds, and waits each time until it is back. When proxies and apps were killed, in
/// microseconds since 1970: before, and after it was done.
async fn kill_until(mesh: &Mesh, end: Instant) -> Vec<(u64, u64)> {
    let mut kills = Vec::new();
    let mut restarts = restarted(&victims(mesh).await);
    while Instant::now() < end {
        sleep(Duration::from_millis(fastrand::u64(500..4_000))).await;
        let began = now();
        let pods = victims(mesh).await;
        let pod = fastrand::choice(&pods).unwrap();
        let container = fastrand::choice(&pod.containers).unwrap();
        mesh.sandbox.kill(pod, &container.name, SIGKILL).await.unwrap();
        if pod.name.starts_with("app-") {
            kills.push((began, now()));
        }
        restarts += 1;
        eventually(Duration::from_secs(60), "what was killed is back", || is_whole(mesh, restarts)).await;
    }
    kills
}

/// Whether everything is ready, and was started again so often.
async fn is_whole(mesh: &Mesh, restarts: u32) -> bool {
    let pods = victims(mesh).await;
    pods.iter().all(|pod| pod.ready) && restarts <= restarted(&pods)
}

fn restarted(pods: &[Pod]) -> u32 {
    pods.iter().flat_map(|pod| &pod.containers).map(|container| container.restarts).sum()
}

/// The app's replicas, and the control plane.
async fn victims(mesh: &Mesh) -> Vec<Pod> {
    let mut pods = mesh.replicas().await;
    pods.extend(mesh.sandbox.list().await.unwrap().control_plane);
    pods
}

/// Each request that failed had reached an app, or was under way to one when that or its proxy was killed.
fn assert_failures_are_the_kills(mesh: &Mesh, report: &Value, kills: &[(u64, u64)]) {
    let record = mesh.record();
    let reached: HashSet<&str> = record.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    let aftermath = u64::try_from(AFTERMATH.as_micros()).unwrap();
    let excused = |when: u64| kills.iter().any(|(began, done)| (*began..done + aftermath).contains(&when));
    let failed = report["failed"].as_array().unwrap();
    let lost: Vec<_> = failed
        .iter()
        .filter(|one| !reached.contains(one[0].as_str().unwrap()) && !excused(one[1].as_u64().unwrap()))
        .collect();
    assert!(lost.is_empty(), "failed without having reached an app: {lost:?}, {}", report["failures"]);
    assert!(failed.len() <= 12 * kills.len(), "at most what was under way: {} for {}", failed.len(), kills.len());
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

/// What the client's proxy holds.
#[derive(Debug)]
struct Footprint {
    descriptors: f64,
    memory: f64,
}

impl Footprint {
    async fn of(mesh: &Mesh) -> Self {
        let client = mesh.pod("client").await;
        let descriptors = mesh.metric(&client, "process_open_fds", &[]).await;
        let memory = mesh.metric(&client, "process_resident_memory_bytes", &[]).await;
        Self { descriptors, memory }
    }

    fn assert_flat(&self, after: &Self) {
        assert!(self.descriptors > 0.0 && self.memory > 0.0, "{self:?}");
        assert!(after.descriptors <= self.descriptors + DESCRIPTORS, "descriptors: {self:?}, then {after:?}");
        assert!(after.memory <= self.memory * 1.25 + MEMORY, "memory: {self:?}, then {after:?}");
    }
}
