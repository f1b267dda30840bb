//! What happens while one watches: something is killed or replaced, and told when it is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use clap::ValueEnum;
use nix::sys::signal::Signal;
use serde::Serialize;
use weft_sandbox::{Pod, PodName, Sandbox, SandboxError};

use super::http::{Target, ask};
use super::prometheus::parse;

const CONTROL_PLANE: &str = "weft-control-plane";
const CONTROL_PLANE_ADMIN: u16 = 4181;
/// When the demo has no end, the scenario is played as in one of this length.
const LENGTH: Duration = Duration::from_secs(20);

/// What shall happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Nothing but load
    None,
    /// The control plane is killed, and started again later
    KillControlPlane,
    /// One replica of users is killed, its proxy too
    KillReplica,
    /// The issuer of certificates is replaced, and every proxy renews its own
    RotateCertificates,
}

/// A scenario on its way.
#[derive(Debug)]
pub struct Scenario {
    kind: Kind,
    first: Duration,
    second: Duration,
    stage: Stage,
}

#[derive(Debug, PartialEq)]
enum Stage {
    Before,
    /// The control plane is down.
    Down,
    /// This pod was killed; it is back when its containers were started so often again.
    Killed {
        pod: String,
        restarts: u32,
    },
    /// How often each pod had renewed its certificate when the issuer was replaced.
    Rotated(BTreeMap<String, f64>),
    Over,
}

/// The pages of the proxies' metrics by pod.
pub type Pages = BTreeMap<String, String>;

impl Scenario {
    /// A scenario for a demo of this duration: it begins after a quarter of it, and what ends again ends after three.
    pub fn new(kind: Kind, duration: Option<Duration>) -> Self {
        let length = duration.unwrap_or(LENGTH);
        let stage = if kind == Kind::None { Stage::Over } else { Stage::Before };
        Self { kind, first: length / 4, second: length * 3 / 4, stage }
    }

    /// Does what is due so long after the first row; what there is to tell about it.
    pub async fn step(
        &mut self,
        now: Duration,
        sandbox: &Sandbox,
        pages: &Pages,
    ) -> Result<Option<String>, SandboxError> {
        match &self.stage {
            Stage::Before if now >= self.first => self.begin(sandbox, pages).await.map(Some),
            Stage::Down if now >= self.second => {
                sandbox.start_control_plane().await?;
                self.stage = Stage::Over;
                Ok(Some("the control plane is started again: proxies take up where they were".into()))
            }
            Stage::Killed { pod, restarts } => {
                let is_back = |other: &Pod| other.name == *pod && other.ready && restarts_of(other) >= *restarts;
                let back = sandbox.pods().await?.iter().any(is_back);
                let told = back.then(|| format!("{pod} is ready again, with a certificate of its own"));
                if back {
                    self.stage = Stage::Over;
                }
                Ok(told)
            }
            Stage::Rotated(before) => {
                let renewed =
                    pages.iter().filter(|(pod, page)| renewals(page) > before.get(*pod).copied().unwrap_or(0.0));
                if renewed.count() < pages.len() {
                    return Ok(None);
                }
                self.stage = Stage::Over;
                Ok(Some(format!("all {} proxies have renewed their certificates", pages.len())))
            }
            Stage::Before | Stage::Down | Stage::Over => Ok(None),
        }
    }

    async fn begin(&mut self, sandbox: &Sandbox, pages: &Pages) -> Result<String, SandboxError> {
        match self.kind {
            Kind::None => {
                self.stage = Stage::Over;
                Ok(String::new())
            }
            Kind::KillControlPlane => {
                sandbox.stop_control_plane(Signal::SIGKILL as i32).await?;
                self.stage = Stage::Down;
                Ok("the control plane is killed: proxies go on with what they know".into())
            }
            Kind::KillReplica => self.kill_replica(sandbox).await,
            Kind::RotateCertificates => {
                let target = Target {
                    from: Some(PodName::from(CONTROL_PLANE)),
                    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                    port: CONTROL_PLANE_ADMIN,
                };
                let answer = ask(sandbox, target, "POST", "/rotate-issuer").await;
                self.stage = Stage::Over;
                Ok(match answer {
                    Ok(_) => {
                        self.stage =
                            Stage::Rotated(pages.iter().map(|(pod, page)| (pod.clone(), renewals(page))).collect());
                        "the issuer is replaced: proxies renew their certificates as they come due, in seconds here"
                            .into()
                    }
                    Err(error) => format!("the issuer was not replaced: {error}"),
                })
            }
        }
    }

    /// With SIGKILL, app and proxy alike: neither can say goodbye.
    async fn kill_replica(&mut self, sandbox: &Sandbox) -> Result<String, SandboxError> {
        let pods = sandbox.pods().await?;
        let Some(pod) = pods.iter().find(|pod| pod.ready && pod.name.starts_with("users-")) else {
            return Ok("no replica of users is ready: nothing is killed yet".into());
        };
        let restarts = restarts_of(pod) + u32::try_from(pod.containers.len()).unwrap_or(u32::MAX);
        for container in &pod.containers {
            sandbox.kill(pod, &container.name, Signal::SIGKILL as i32).await?;
        }
        self.stage = Stage::Killed { pod: pod.name.clone(), restarts };
        Ok(format!("{} is killed, app and proxy: requests that are safe to repeat go elsewhere", pod.name))
    }
}

fn restarts_of(pod: &Pod) -> u32 {
    pod.containers.iter().map(|container| container.restarts).sum()
}

fn renewals(page: &str) -> f64 {
    let family = parse(page).filter(|sample| sample.name == "weft_certificate_renewals_total");
    family.filter(|sample| sample.label("outcome") == "renewed").map(|sample| sample.value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_begins_after_a_quarter_and_ends_after_three() {
        let scenario = Scenario::new(Kind::KillControlPlane, Some(Duration::from_secs(8)));
        assert_eq!((scenario.first, scenario.second), (Duration::from_secs(2), Duration::from_secs(6)));
        assert_eq!(Scenario::new(Kind::None, None).stage, Stage::Over);
    }

    #[test]
    fn only_renewals_that_worked_are_counted() {
        let page = "weft_certificate_renewals_total{outcome=\"failed\"} 4\nweft_certificate_renewals_total{outcome=\"renewed\"} 2\n";
        assert_eq!(renewals(page), 2.0);
    }
}
