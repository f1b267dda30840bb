//! Readiness probes, as a kubelet does them, but from within the pod: over its own loopback interface, so that
//! interception and demanded mTLS do not answer in the app's place.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::manifest::{Container, Probe, ProbeAction};
use crate::net::connect_from;

/// Longest part of an answer that is looked at: the status line.
const STATUS_LINE: usize = 256;

/// One try.
pub(super) async fn succeeds(probe: &Probe, container: &Container, network: BorrowedFd<'_>, pod: IpAddr) -> bool {
    let (ProbeAction::HttpGet { port, .. } | ProbeAction::TcpSocket { port }) = &probe.action;
    let Some(port) = port.resolve(container) else {
        tracing::warn!(container = container.name, ?port, "the probe's port is no port of the container");
        return false;
    };
    let to = SocketAddr::new(pod, port);
    let attempt = async {
        let mut stream = connect_from(Some(network), to).await?;
        let ProbeAction::HttpGet { path, headers, .. } = &probe.action else {
            return Ok(true);
        };
        stream.write_all(request(path, headers, to).as_bytes()).await?;
        let mut answer = Vec::new();
        while answer.len() < STATUS_LINE && !answer.contains(&b'\n') {
            if stream.read_buf(&mut answer).await? == 0 {
                break;
            }
        }
        Ok::<_, std::io::Error>(good_status(&answer))
    };
    matches!(tokio::time::timeout(probe.timeout, attempt).await, Ok(Ok(true)))
}

fn request(path: &str, headers: &[(String, String)], to: SocketAddr) -> String {
    let mut text = format!("GET {path} HTTP/1.1\r\nConnection: close\r\nUser-Agent: weft-sandbox\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        text.push_str(&format!("Host: {to}\r\n"));
    }
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text + "\r\n"
}

/// 200 to 399, as Kubernetes counts it.
fn good_status(answer: &[u8]) -> bool {
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let http = words.next().is_some_and(|version| version.starts_with(b"HTTP/1."));
    http && words.next().is_some_and(|status| matches!(status, [b'2' | b'3', _, _]))
}

/// Readiness as it follows from tries in a row.
pub(super) struct Verdict {
    ready: bool,
    streak: u32,
}

impl Verdict {
    pub(super) fn new() -> Self {
        Self { ready: false, streak: 0 }
    }

    /// Counts one try; whether the container is ready now.
    pub(super) fn count(&mut self, probe: &Probe, success: bool) -> bool {
        self.streak = if success == self.ready { 0 } else { self.streak + 1 };
        let needed = if success { probe.successes } else { probe.failures };
        if self.streak >= needed {
            self.ready = success;
            self.streak = 0;
        }
        self.ready
    }
}

/// Until a container is ready it is asked more often than its period says, so that a sandbox starts at once.
pub(super) fn pause(probe: &Probe, ready: bool) -> Duration {
    const EAGER: Duration = Duration::from_millis(50);
    if ready { probe.period } else { probe.period.min(EAGER) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::ProbePort;

    fn probe(successes: u32, failures: u32) -> Probe {
        let second = Duration::from_secs(1);
        let action = ProbeAction::TcpSocket { port: ProbePort::Number(1) };
        Probe { action, initial_delay: second, period: second, timeout: second, successes, failures }
    }

    #[test]
    fn readiness_is_lost_only_after_failures_in_a_row() {
        let (probe, mut verdict) = (probe(1, 3), Verdict::new());
        assert!(verdict.count(&probe, true));
        assert!(verdict.count(&probe, false));
        assert!(verdict.count(&probe, false));
        assert!(verdict.count(&probe, true), "a success in between starts the count again");
        assert!(verdict.count(&probe, false));
        assert!(verdict.count(&probe, false));
        assert!(!verdict.count(&probe, false));
    }

    #[test]
    fn a_status_from_200_to_399_is_good() {
        assert!(good_status(b"HTTP/1.1 204 No Content\r\n"));
        assert!(good_status(b"HTTP/1.0 302 Found\r\n"));
        assert!(!good_status(b"HTTP/1.1 503 Service Unavailable\r\n"));
        assert!(!good_status(b"SSH-2.0-OpenSSH"));
    }
}
