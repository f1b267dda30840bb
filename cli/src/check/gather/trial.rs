//! A labelled pod that goes through admission and is not kept: it shows whether the API server reaches the webhook.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::api::PostParams;
use kube::core::ObjectMeta;
use kube::{Api, Client};

use super::super::facts::{Known, Unknown};
use super::super::pods::INJECT;

/// Asks for a pod in namespace default, as a dry run.
pub(super) async fn ask(client: &Client) -> Known<Pod> {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    Api::namespaced(client.clone(), "default").create(&dry, &pod()).await.map_err(Unknown::Refused)
}

fn pod() -> Pod {
    let container = Container {
        name: "trial".to_owned(),
        // Never pulled: nothing of this pod is kept.
        image: Some("weft.dev/trial".to_owned()),
        ..Container::default()
    };
    Pod {
        metadata: ObjectMeta {
            generate_name: Some("weft-check-".to_owned()),
            labels: Some([(INJECT.to_owned(), "enabled".to_owned())].into()),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec { containers: vec![container], ..PodSpec::default() }),
        status: None,
    }
}
