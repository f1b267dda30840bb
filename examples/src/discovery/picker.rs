//! The side of the client: it watches the registry, and has a list to choose from at any time.

use std::time::Duration;

use reqwest::Url;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

use super::leases::Instances;
use crate::client::Client;
use crate::settings;
use crate::trace::TraceContext;

const AGAIN: Duration = Duration::from_secs(1);

/// A client of the service whose URL is in `variable`, or of the one at `default`. A value such as `registry:catalog` stands
/// for all instances of `catalog` that the registry at `REGISTRY_URL` (`http://registry:8080`) knows: each call goes to the
/// next of them. While the registry is away, the last list is used.
///
/// # Errors
/// A value that is neither.
pub fn service(variable: &'static str, default: &str) -> anyhow::Result<Client> {
    let value = settings::parsed(variable, default.to_owned(), "a URL")?;
    match value.strip_prefix("registry:") {
        Some(name) => Ok(watched(settings::service("REGISTRY_URL", "http://registry:8080")?, name)),
        None => settings::service(variable, default),
    }
}

/// A client of all instances of `name` that `registry` knows. It watches them as long as a clone of it lives.
pub fn watched(registry: Client, name: &str) -> Client {
    let (sender, instances) = watch::channel(Vec::new());
    let mut watching = JoinSet::new();
    watching.spawn(watch(registry, name.to_owned(), sender));
    Client::among(name, instances, watching)
}

async fn watch(registry: Client, name: String, list: watch::Sender<Vec<Url>>) {
    let mut path = format!("/services/{name}");
    loop {
        match registry.get::<Instances>(&path, &TraceContext::default()).await {
            Ok(instances) => {
                path = format!("/services/{name}?known={}", instances.version);
                list.send_modify(|known| merge(known, &instances));
            }
            Err(failure) => {
                warn!(%failure, "the registry does not answer; its last list is used");
                sleep(AGAIN).await;
            }
        }
    }
}

/// A registry that has just been started does not know all of them yet: whom it does not name is kept.
fn merge(known: &mut Vec<Url>, instances: &Instances) {
    let named = instances.addresses.iter().filter_map(|address| Url::parse(&format!("http://{address}")).ok());
    let mut list: Vec<_> = named.collect();
    if !instances.complete {
        list.append(known);
        list.sort();
        list.dedup();
    }
    *known = list;
}
