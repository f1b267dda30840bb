//! What the user may do.

use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::PostParams;
use kube::{Api, Client};

use super::super::facts::{Known, Right};
use super::answer;

/// What an installation creates: group and kind, in the plural.
const CREATED: [(&str, &str); 13] = [
    ("", "namespaces"),
    ("", "serviceaccounts"),
    ("", "services"),
    ("apps", "deployments"),
    ("policy", "poddisruptionbudgets"),
    ("networking.k8s.io", "networkpolicies"),
    ("rbac.authorization.k8s.io", "roles"),
    ("rbac.authorization.k8s.io", "rolebindings"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("rbac.authorization.k8s.io", "clusterrolebindings"),
    ("apiextensions.k8s.io", "customresourcedefinitions"),
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("apiregistration.k8s.io", "apiservices"),
];

/// To install, and to install again over it.
const VERBS: [&str; 2] = ["create", "patch"];

/// Asks for each of them, `before` an installation only.
pub(super) async fn ask(client: &Client, before: bool) -> Vec<Right> {
    let wanted = CREATED.iter().filter(|_| before).flat_map(|kind| VERBS.map(|verb| (verb, kind)));
    let asked = wanted.map(|(verb, (group, kind))| async move {
        let dot = if group.is_empty() { "" } else { "." };
        Right { name: format!("{verb} {kind}{dot}{group}"), allowed: may(client, verb, group, kind).await }
    });
    join_all(asked).await
}

async fn may(client: &Client, verb: &str, group: &str, kind: &str) -> Known<bool> {
    let attributes = ResourceAttributes {
        verb: Some(verb.to_owned()),
        group: Some(group.to_owned()),
        resource: Some(kind.to_owned()),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), non_resource_attributes: None };
    let review = SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() };
    let created = answer(Api::all(client.clone()).create(&PostParams::default(), &review)).await?;
    Ok(created.status.is_some_and(|status| status.allowed))
}
