//! Asks the cluster for all facts at once. Every question has a deadline of its own, and one without an answer is a fact
//! too.

mod rights;
mod server;
#[cfg(test)]
mod tests;
mod trial;

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use hyper::http::Request;
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Node, Pod, Secret};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ListParams;
use kube::core::{NamespaceResourceScope, ObjectMeta};
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::facts::{Facts, Figures, Known, Unknown};
use super::pods;
use crate::install::{CONTROL_PLANE, NAMESPACE};

/// How long one question may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// So many proxies are asked for their figures; what many have, these have.
const PROXIES: usize = 200;
/// So many of them at a time.
const AT_A_TIME: usize = 16;

/// Asks; `before` an installation, nothing is asked that only an installation has.
pub async fn facts(client: &Client, before: bool) -> Facts {
    let running = ListParams::default().fields("status.phase!=Succeeded,status.phase!=Failed");
    let bundle = ListParams::default().fields("metadata.name=weft-trust-bundle");
    let webhooks = Api::<MutatingWebhookConfiguration>::all(client.clone());
    let (server, rights, nodes, namespaces, kinds, deployment, injector) = tokio::join!(
        within(server::ask(client)),
        rights::ask(client, before),
        all::<Node>(client, ListParams::default()),
        all::<Namespace>(client, ListParams::default()),
        kinds(client),
        own::<Deployment>(client, CONTROL_PLANE),
        answer(webhooks.get_opt("weft-injector")),
    );
    let (serving, anchor, issuer, bundles, pods, trial) = tokio::join!(
        own::<Secret>(client, "weft-webhook-certificate"),
        own::<Secret>(client, "weft-trust-anchor"),
        own::<Secret>(client, "weft-issuer"),
        all::<ConfigMap>(client, bundle),
        all::<Pod>(client, running),
        within(trial::ask(client)),
    );
    let (control_plane, proxies) =
        tokio::join!(figures(client, replicas(&pods), 4181), figures(client, meshed(&pods), 4191),);
    let now = SystemTime::now();
    Facts {
        now,
        server,
        rights,
        nodes,
        namespaces,
        kinds,
        deployment,
        control_plane,
        injector,
        trial,
        serving,
        anchor,
        issuer,
        bundles,
        pods,
        proxies,
    }
}

/// A question's answer, or that there was none in time.
async fn within<T>(question: impl Future<Output = Known<T>>) -> Known<T> {
    tokio::time::timeout(DEADLINE, question).await.unwrap_or(Err(Unknown::Deadline(DEADLINE)))
}

async fn answer<T>(question: impl Future<Output = kube::Result<T>>) -> Known<T> {
    within(async { question.await.map_err(Unknown::Refused) }).await
}

async fn all<K>(client: &Client, which: ListParams) -> Known<Vec<K>>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    Ok(answer(Api::<K>::all(client.clone()).list(&which)).await?.items)
}

/// An object of Weft's own namespace.
async fn own<K>(client: &Client, name: &str) -> Known<Option<K>>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
{
    answer(Api::<K>::namespaced(client.clone(), NAMESPACE).get_opt(name)).await
}

/// Definitions of kinds are large, so only their metadata is asked for.
async fn kinds(client: &Client) -> Known<Vec<ObjectMeta>> {
    let api = Api::<CustomResourceDefinition>::all(client.clone());
    let list = answer(api.list_metadata(&ListParams::default())).await?;
    Ok(list.items.into_iter().map(|kind| kind.metadata).collect())
}

fn replicas(pods: &Known<Vec<Pod>>) -> Vec<String> {
    let named = |pod: &&Pod| {
        let name = pod.metadata.labels.as_ref().and_then(|labels| labels.get("app.kubernetes.io/name"));
        pods::namespace(pod) == NAMESPACE && name.is_some_and(|name| name == CONTROL_PLANE) && pods::is_ready(pod)
    };
    pods.iter().flatten().filter(named).map(pods::path).collect()
}

/// The meshed pods whose proxy runs.
fn meshed(pods: &Known<Vec<Pod>>) -> Vec<String> {
    let runs = |pod: &&Pod| {
        let status = pods::init_status(pod, pods::SIDECAR);
        pods::is_meshed(pod) && !pods::is_ending(pod) && status.is_some_and(|status| status.ready)
    };
    pods.iter().flatten().filter(runs).map(pods::path).take(PROXIES).collect()
}

/// What pods say on their admin port, through the API server.
async fn figures(client: &Client, pods: Vec<String>, port: u16) -> Vec<Figures> {
    let ask = |pod: String| async move {
        let (namespace, name) = pod.split_once('/').unwrap_or_default();
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics");
        let text = within(async {
            let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError);
            client.request_text(request.map_err(Unknown::Refused)?).await.map_err(Unknown::Refused)
        });
        Figures { text: text.await, pod }
    };
    futures_util::stream::iter(pods).map(ask).buffered(AT_A_TIME).collect().await
}
