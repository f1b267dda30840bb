//! What a cluster has of Weft.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, RoleBinding};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::core::{ObjectMeta, PartialObjectMeta};
use kube::{Api, Client, Resource};
use serde_json::json;

use crate::cluster;
use crate::install::{NAMESPACE, Object};

/// The ConfigMap in every injected namespace.
const TRUST_BUNDLE: &str = "weft-trust-bundle";
/// On whatever Weft's manifests make.
const OURS: &str = "app.kubernetes.io/part-of=weft";
/// On a pod with a sidecar.
const INJECTED: &str = "weft.dev/injected";

/// What there is. Objects are named only: kind, name, namespace.
#[derive(Debug, Default)]
pub struct Survey {
    /// Pods that run with a sidecar, as namespace/name.
    pub meshed: Vec<String>,
    /// The webhooks, the API of tap, and the rights of the control plane outside of its namespace.
    pub rights: Vec<Object>,
    /// Kinds that Weft has brought.
    pub kinds: Vec<Kind>,
    /// The mesh's own namespace, and with it all that is in it.
    pub namespace: Vec<Object>,
    /// Trust bundles in other namespaces.
    pub bundles: Vec<Object>,
}

/// A kind, and what goes with it when its definition goes.
#[derive(Clone, Debug)]
pub struct Kind {
    /// As HTTPRoute.
    pub name: String,
    /// The definition, named only.
    pub definition: Object,
    /// How many objects of it there are, in all namespaces.
    pub objects: usize,
}

/// A question that the cluster did not answer.
#[derive(Debug, thiserror::Error)]
#[error("the cluster does not list its {what}: {}", cluster::reason(.source))]
pub struct SurveyError {
    what: String,
    #[source]
    source: kube::Error,
}

/// Asks the cluster.
///
/// # Errors
/// It does not answer, or the user may not list what must be known.
pub async fn of(client: &Client) -> Result<Survey, SurveyError> {
    let ours = ListParams::default().labels(OURS);
    let running = ListParams::default().fields("status.phase!=Succeeded,status.phase!=Failed");
    let bundle = ListParams::default().fields(&format!("metadata.name={TRUST_BUNDLE}"));
    let pods = listed::<Pod>(client, &running).await?;
    let mut rights = named::<MutatingWebhookConfiguration>(client, &ours).await?;
    rights.extend(named::<APIService>(client, &ours).await?);
    let mut bindings = named::<RoleBinding>(client, &ours).await?;
    bindings.retain(|one| one.namespace() != Some(NAMESPACE));
    rights.extend(bindings);
    rights.extend(named::<ClusterRoleBinding>(client, &ours).await?);
    rights.extend(named::<ClusterRole>(client, &ours).await?);
    let mut namespace = named::<Namespace>(client, &ours).await?;
    namespace.retain(|one| one.name() == NAMESPACE);
    let mut bundles = named::<ConfigMap>(client, &bundle).await?;
    bundles.retain(|one| one.namespace() != Some(NAMESPACE));
    Ok(Survey {
        meshed: pods.iter().filter(|pod| is_meshed(pod)).map(|pod| path(&pod.metadata)).collect(),
        rights,
        kinds: kinds(client, &ours).await?,
        namespace,
        bundles,
    })
}

fn is_meshed(pod: &PartialObjectMeta<Pod>) -> bool {
    pod.metadata.annotations.as_ref().and_then(|all| all.get(INJECTED)).is_some_and(|value| value == "true")
}

fn path(metadata: &ObjectMeta) -> String {
    let name = metadata.name.as_deref().unwrap_or_default();
    metadata.namespace.as_deref().map_or_else(|| name.to_owned(), |namespace| format!("{namespace}/{name}"))
}

async fn listed<K>(client: &Client, which: &ListParams) -> Result<Vec<PartialObjectMeta<K>>, SurveyError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let list = Api::<K>::all(client.clone()).list_metadata(which).await;
    Ok(list.map_err(|source| SurveyError { what: K::plural(&()).into_owned(), source })?.items)
}

async fn named<K>(client: &Client, which: &ListParams) -> Result<Vec<Object>, SurveyError>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    Ok(listed::<K>(client, which).await?.iter().map(|one| named_only::<K>(&one.metadata)).collect())
}

fn named_only<K: Resource<DynamicType = ()>>(metadata: &ObjectMeta) -> Object {
    let mut named = json!({"name": metadata.name});
    if let Some(namespace) = &metadata.namespace {
        named["namespace"] = json!(namespace);
    }
    Object(json!({"apiVersion": K::api_version(&()), "kind": K::kind(&()), "metadata": named}))
}

/// The kinds, each with the number of its objects.
async fn kinds(client: &Client, which: &ListParams) -> Result<Vec<Kind>, SurveyError> {
    let definitions = Api::<CustomResourceDefinition>::all(client.clone()).list(which).await;
    let definitions = definitions.map_err(|source| SurveyError { what: "customresourcedefinitions".into(), source })?;
    let mut kinds = Vec::new();
    for definition in definitions.items {
        let object = named_only::<CustomResourceDefinition>(&definition.metadata);
        let name = definition.spec.names.kind.clone();
        kinds.push(Kind { name, definition: object, objects: count(client, definition).await? });
    }
    Ok(kinds)
}

/// The objects of a kind, by the first version of it that is served; none where none is.
async fn count(client: &Client, definition: CustomResourceDefinition) -> Result<usize, SurveyError> {
    let spec = definition.spec;
    let Some(version) = spec.versions.iter().find(|version| version.served) else { return Ok(0) };
    let kind = GroupVersionKind::gvk(&spec.group, &version.name, &spec.names.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &spec.names.plural);
    match Api::<DynamicObject>::all_with(client.clone(), &resource).list_metadata(&ListParams::default()).await {
        Ok(list) => Ok(list.items.len()),
        Err(error) if cluster::is_absent(&error) => Ok(0),
        Err(source) => Err(SurveyError { what: resource.plural, source }),
    }
}
