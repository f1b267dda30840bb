//! What proxies and the control plane count, read as a scraper reads it.

use super::{Cluster, Namespace};

impl Namespace {
    /// The metrics of a pod's proxy.
    pub async fn metrics(&self, pod: &str) -> String {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}:4191/proxy/metrics", self.name);
        self.cluster.kubectl(&["get", "--raw", &path]).await
    }

    /// The sum of a family's samples whose line has each of these texts.
    pub async fn metric(&self, pod: &str, family: &str, with: &[&str]) -> f64 {
        sum(&self.metrics(pod).await, family, with)
    }
}

impl Cluster {
    /// The same, of the control plane.
    pub async fn control_plane_metric(&self, family: &str, with: &[&str]) -> f64 {
        let path = "/api/v1/namespaces/weft/services/weft-control-plane:admin/proxy/metrics";
        sum(&self.kubectl(&["get", "--raw", path]).await, family, with)
    }
}

/// The sum of a family's samples whose line has each of these texts.
fn sum(text: &str, family: &str, with: &[&str]) -> f64 {
    let of_family = |line: &&str| line.split(['{', ' ']).next() == Some(family);
    let lines = text.lines().filter(of_family).filter(|line| with.iter().all(|label| line.contains(label)));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}
