//! The side of the service: it reports itself while it runs.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::Context;
use axum::http::Method;
use reqwest::Url;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tracing::{info, warn};

use super::rest::Heartbeat;
use crate::client::{Client, Failure};
use crate::trace::TraceContext;
use crate::{serve, settings};

const LEASE: Duration = Duration::from_secs(3);
/// Two may be lost before the lease runs out.
const HEARTBEAT: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(1);

/// Runs `service`, and while it runs reports it as `name` to the registry at `REGISTRY_URL`; where that is not set, it runs
/// alone. The address reported is `ADVERTISE` (`host:port`), or the one that this machine reaches the registry from, with
/// `PORT`. The lease is ended when the service is told to stop, before it stops.
///
/// # Errors
/// Those of the service, and settings that cannot be used.
pub async fn registered(name: &str, service: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let Ok(url) = std::env::var("REGISTRY_URL") else { return service.await };
    let registry = Client::new(&url).context("REGISTRY_URL cannot be used")?.within(DEADLINE);
    let address = settings::parsed("ADVERTISE", String::new(), "an address such as 10.0.0.7:8080")?;
    let address = if address.is_empty() { own_address(&Url::parse(&url)?)? } else { address };
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let report = async {
        tokio::select! {
            () = keep_reporting(&registry, name, &address) => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if let Err(failure) = tell(&registry, Method::DELETE, name, &address).await {
            warn!(%failure, "the registry was not told of the end; the lease will run out");
        }
        std::future::pending().await
    };
    tokio::select! {
        ended = service => ended,
        () = report => Ok(()),
    }
}

/// A heartbeat each second, from when the service answers.
pub(super) async fn keep_reporting(registry: &Client, name: &str, address: &str) {
    if let Ok(own) = Client::new(&format!("http://{address}")) {
        while own.get::<serde_json::Value>("/health", &TraceContext::default()).await.is_err() {
            sleep(HEARTBEAT / 10).await;
        }
    }
    let mut was_heard = false;
    loop {
        let told = tell(registry, Method::PUT, name, address).await;
        match &told {
            Ok(()) if !was_heard => info!(name, address, "the registry knows this instance"),
            Err(failure) if was_heard => warn!(%failure, "the registry does not hear this instance; it is tried again"),
            _ => {}
        }
        was_heard = told.is_ok();
        sleep(HEARTBEAT).await;
    }
}

async fn tell(registry: &Client, method: Method, name: &str, address: &str) -> Result<(), Failure> {
    let heartbeat = Heartbeat { lease_ms: LEASE.as_millis() as u64 };
    let request = registry.request(method, &format!("/services/{name}/{address}"))?.json(&heartbeat);
    registry.done(request, &TraceContext::default()).await
}

/// The address that packets to the registry leave from. Nothing is sent for it.
fn own_address(registry: &Url) -> anyhow::Result<String> {
    let there = registry.socket_addrs(|| None).context("the registry's name has no address")?;
    let there = *there.first().context("the registry's name has no address")?;
    let any: SocketAddr = if there.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
    let socket = UdpSocket::bind(any)?;
    socket.connect(there)?;
    Ok(SocketAddr::new(socket.local_addr()?.ip(), serve::port("PORT", 8080)?).to_string())
}
