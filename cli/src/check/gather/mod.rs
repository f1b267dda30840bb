//! Asks the cluster for all facts at once. Every question has a deadline of its own, and one without an answer is a fact
//! too.

mod account;
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
/// How long all figures of proxies, or of replicas, may take together.
const FIGURES: Duration = Duration::from_secs(20);
/// So many proxies are asked for their figures; what many have, these have.
const PROXIES: usize = 200;
/// So many of them at a time.
const AT_A_TIME: usize = 16;

/// Asks; of workloads, for those of one `namespace` or of all. `before` an installation, the rights are asked too.
pub async fn facts(client: &Client, before: bool, namespace: Option<&str>) -> Facts {
    let running = ListParams::default().fields("status.phase!=Succeeded,status.phase!=Failed");
    let ours = ListParams::default().labels(&format!("app.kubernetes.io/name={CONTROL_PLANE}"));
    let bundle = ListParams::default().fields("metadata.name=weft-trust-bundle");
    let webhooks = Api::<MutatingWebhookConfiguration>::all(client.clone());
    let (server, rights, account, nodes, namespaces, kinds, deployment, injector) = tokio::join!(
        within(server::ask(client)),
        rights::ask(client, before),
        account::ask(client, before),
        all::<Node>(client, ListParams::default()),
        all::<Namespace>(client, ListParams::default()),
        kinds(client),
        own::<Deployment>(client, CONTROL_PLANE),
        answer(webhooks.get_opt("weft-injector")),
    );
    let of = |namespace: Option<&str>| match namespace {
        Some(namespace) => Api::<Pod>::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let (workloads, own_pods) = (of(namespace), of(Some(NAMESPACE)));
    let (serving, anchor, issuer, bundles, pods, replicas, trial) = tokio::join!(
        own::<Secret>(client, "weft-webhook-certificate"),
        own::<Secret>(client, "weft-trust-anchor"),
        own::<Secret>(client, "weft-issuer"),
        all::<ConfigMap>(client, bundle),
        listed(&workloads, running),
        listed(&own_pods, ours),
        within(trial::ask(client)),
    );
    let (control_plane, proxies) =
        tokio::join!(figures(client, ready(&replicas), 4181), figures(client, served(&pods), 4191));
    let now = SystemTime::now();
    Facts {
        now,
        namespace: namespace.map(str::to_owned),
        server,
        rights,
        account,
        nodes,
        namespaces,
        kinds,
        deployment,
        replicas,
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
    listed(&Api::all(client.clone()), which).await
}

async fn listed<K: Clone + Debug + DeserializeOwned>(api: &Api<K>, which: ListParams) -> Known<Vec<K>> {
    Ok(answer(api.list(&which)).await?.items)
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

fn ready(replicas: &Known<Vec<Pod>>) -> Vec<String> {
    replicas.iter().flatten().filter(|pod| pods::is_ready(pod)).map(pods::path).collect()
}

fn served(pods: &Known<Vec<Pod>>) -> Vec<String> {
    pods.iter().flatten().filter(|pod| pods::is_served(pod)).map(pods::path).take(PROXIES).collect()
}

/// What pods say on their admin port, through the API server.
async fn figures(client: &Client, pods: Vec<String>, port: u16) -> Vec<Figures> {
    let end = tokio::time::Instant::now() + FIGURES;
    let ask = |pod: String| async move {
        let (namespace, name) = pod.split_once('/').unwrap_or_default();
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics");
        let text = within(async {
            let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError);
            client.request_text(request.map_err(Unknown::Refused)?).await.map_err(Unknown::Refused)
        });
        let text = tokio::time::timeout_at(end, text).await.unwrap_or(Err(Unknown::Deadline(FIGURES)));
        Figures { text, pod }
    };
    futures_util::stream::iter(pods).map(ask).buffered(AT_A_TIME).collect().await
}
