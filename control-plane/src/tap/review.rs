//! Whether the user may look on: a SubjectAccessReview for each tap.

use std::time::Duration;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};
use tokio::time::timeout;

use super::{GROUP, VERSION, front_proxy::Caller, target::Target};

const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// Why the user may not.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("user {user:?} cannot watch {resource}/tap in API group {GROUP} in the namespace {namespace:?}: {reason}")]
    No { user: String, resource: String, namespace: String, reason: String },
    #[error("the API server does not say whether the user may")]
    Api(#[from] kube::Error),
    #[error("the API server did not say within {REQUEST_LIMIT:?} whether the user may")]
    Late,
}

/// Asks the API server.
pub(super) async fn may(client: &Client, caller: &Caller, target: &Target) -> Result<(), Refused> {
    let review = SubjectAccessReview { spec: question(caller, target), ..SubjectAccessReview::default() };
    let reviews = Api::<SubjectAccessReview>::all(client.clone());
    let (parameters, limit) = (PostParams::default(), REQUEST_LIMIT);
    let answer = timeout(limit, reviews.create(&parameters, &review)).await.map_err(|_| Refused::Late)??;
    match answer.status {
        Some(status) if status.allowed => Ok(()),
        status => Err(Refused::No {
            user: caller.user.clone(),
            resource: target.resource.clone(),
            namespace: target.namespace.clone(),
            reason: status.and_then(|status| status.reason).unwrap_or_else(|| "no rule allows it".to_owned()),
        }),
    }
}

fn question(caller: &Caller, target: &Target) -> SubjectAccessReviewSpec {
    let attributes = ResourceAttributes {
        verb: Some("watch".to_owned()),
        group: Some(GROUP.to_owned()),
        version: Some(VERSION.to_owned()),
        namespace: Some(target.namespace.clone()),
        resource: Some(target.resource.clone()),
        subresource: Some("tap".to_owned()),
        name: Some(target.name.clone()),
        ..ResourceAttributes::default()
    };
    SubjectAccessReviewSpec {
        user: Some(caller.user.clone()),
        groups: Some(caller.groups.clone()),
        extra: Some(caller.extra.clone()),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    }
}
