//! What should be true: each rule looks at the facts and gives one finding. None asks the cluster, so each is tested with
//! facts written down.

mod certificates;
mod cluster;
mod control_plane;
mod injector;
mod install;
mod owner;
#[cfg(test)]
mod tests;
mod workloads;

use super::facts::Facts;
use super::finding::Finding;

/// Before an installation.
pub fn before(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![cluster::answers(facts)];
    if facts.server.is_ok() {
        findings.extend([
            cluster::recent(facts),
            cluster::clock(facts),
            cluster::kernels(facts),
            cluster::levels(facts),
            cluster::levels_before(facts),
            cluster::rights(facts),
            cluster::gateway_api_before(facts),
            cluster::free(facts),
        ]);
    }
    findings
}

/// Of an installation, and of the pods that were asked for.
pub fn after(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![cluster::answers(facts)];
    if facts.server.is_err() {
        return findings;
    }
    findings.extend([cluster::recent(facts), cluster::clock(facts), cluster::kernels(facts), cluster::levels(facts)]);
    findings.push(control_plane::installed(facts));
    if !matches!(&facts.deployment, Ok(None)) {
        findings.extend([
            control_plane::ready(facts),
            control_plane::release(facts),
            control_plane::spread(facts),
            control_plane::level(facts),
            control_plane::rights(facts),
            control_plane::policies(facts),
            control_plane::routes(facts),
            control_plane::understood(facts),
            injector::configured(facts),
            injector::strict(facts),
            injector::trusted(facts),
            injector::answers(facts),
            certificates::root(facts),
            certificates::issuer(facts),
            certificates::serving(facts),
            certificates::bundles(facts),
        ]);
    }
    findings.extend(workloads::all(facts));
    findings
}
