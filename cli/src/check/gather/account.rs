//! What the control plane's account may do, of all that its roles should give it.

use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1::PolicyRule;
use kube::api::PostParams;
use kube::{Api, Client};
use serde::Deserialize;

use super::super::facts::{Known, Right};
use super::answer;
use crate::install::{CONTROL_PLANE, NAMESPACE, Object, roles};

/// Asks for each right, unless it is `before` an installation.
pub(super) async fn ask(client: &Client, before: bool) -> Vec<Right> {
    // The files are built in and tested, so that there are roles.
    let roles = if before { Vec::new() } else { roles().unwrap_or_default() };
    let asked = roles
        .iter()
        .flat_map(wanted)
        .map(|attributes| async move { Right { name: name(&attributes), allowed: may(client, attributes).await } });
    join_all(asked).await
}

/// A role's rules, one right each: RBAC gives them separately, and one may be missing.
pub(super) fn wanted(role: &Object) -> Vec<ResourceAttributes> {
    let rules = Vec::<PolicyRule>::deserialize(&role.0["rules"]).unwrap_or_default();
    let mut wanted = Vec::new();
    for rule in rules {
        let names = rule.resource_names.unwrap_or_default().into_iter().map(Some).collect::<Vec<_>>();
        let names = if names.is_empty() { vec![None] } else { names };
        // A rule of ours names one group; a test holds the manifests to that.
        let group = rule.api_groups.unwrap_or_default().into_iter().next();
        for resource in rule.resources.iter().flatten() {
            let (resource, part) =
                resource.split_once('/').map_or((resource.as_str(), None), |(one, part)| (one, Some(part)));
            for (verb, name) in rule.verbs.iter().flat_map(|verb| names.iter().map(move |name| (verb, name))) {
                wanted.push(ResourceAttributes {
                    verb: Some(verb.clone()),
                    group: group.clone(),
                    resource: Some(resource.to_owned()),
                    subresource: part.map(str::to_owned),
                    name: name.clone(),
                    namespace: role.namespace().map(str::to_owned),
                    ..ResourceAttributes::default()
                });
            }
        }
    }
    wanted
}

/// As `patch httproutes/status`.
fn name(right: &ResourceAttributes) -> String {
    let text = |part: &Option<String>| part.clone().unwrap_or_default();
    let part = right.subresource.as_ref().map(|part| format!("/{part}")).unwrap_or_default();
    let name = right.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("{} {}{part}{name}", text(&right.verb), text(&right.resource))
}

async fn may(client: &Client, attributes: ResourceAttributes) -> Known<bool> {
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{NAMESPACE}:{CONTROL_PLANE}")),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let created = answer(Api::all(client.clone()).create(&PostParams::default(), &review)).await?;
    Ok(created.status.is_some_and(|status| status.allowed))
}
