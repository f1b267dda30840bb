//! Whether the cluster has a kind, which its discovery tells: a 404 may be the word of whatever stands before the API server.

use kube::Client;

use crate::registry::translate::Kind;

/// Whether the cluster is surely without the kind.
///
/// # Errors
/// It does not say.
pub(super) async fn is_absent<K: Kind>(client: &Client) -> kube::Result<bool> {
    if !K::IS_DEFINED {
        return Ok(false);
    }
    let version = format!("{}/{}", K::GROUP, K::VERSIONS[0]);
    let groups = client.list_api_groups().await?.groups;
    if groups.iter().flat_map(|group| &group.versions).all(|one| one.group_version != version) {
        // Every cluster has some group: an empty answer is not an API server's.
        return Ok(!groups.is_empty());
    }
    let resources = client.list_api_group_resources(&version).await?.resources;
    Ok(resources.iter().all(|resource| resource.name != K::PLURAL))
}
