//! What Kubernetes objects come to, whichever registry reads them: each file here is a case.
//!
//! A case is YAML as anyone would write it, and lines that begin with `#=`: the views that proxies would be sent. Each is
//! read through the file registry, and through the Kubernetes registry from an API server that has the same objects.

mod views;

use std::{fs, path::PathBuf, sync::Arc};

use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Event, Registry, file::FileRegistry, kubernetes::KubernetesRegistry};
use crate::{
    fixture::api_server::ApiServer,
    index::{Affected, Index},
    telemetry::Metrics,
};

struct Case {
    name: String,
    yaml: String,
    expected: Vec<String>,
}

fn cases() -> Vec<Case> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/registry/cases");
    let mut cases = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let yaml = fs::read_to_string(&path).unwrap();
            let expected = yaml.lines().filter_map(|line| line.strip_prefix("#= ")).map(str::to_owned).collect();
            cases.push(Case { name: path.file_stem().unwrap().to_string_lossy().into_owned(), yaml, expected });
        }
    }
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

/// What a registry tells at first, as an index.
async fn first(registry: impl Registry) -> Index {
    let (sender, mut batches) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let run = registry.run(move |events| drop(sender.send(events)), stop.clone());
    TaskTracker::new().spawn(async move { drop(run.await) });
    let batch = batches.recv().await.unwrap();
    stop.cancel();
    let [Event::Reset(objects)] = &*batch else { panic!("{batch:?}") };
    let mut index = Index::default();
    index.reset(objects.clone(), &mut Affected::default());
    index
}

async fn from_files(yaml: &str) -> Index {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("case.yaml"), yaml).unwrap();
    let (registry, condition) = FileRegistry::new(folder.path());
    let index = first(registry).await;
    assert!(condition.borrow().broken.is_empty(), "{:?}", condition.borrow());
    index
}

async fn from_cluster(yaml: &str) -> Index {
    let (registry, condition) =
        KubernetesRegistry::new(ApiServer::with(yaml).client(), Arc::new(Metrics::new().unwrap()));
    let index = first(registry).await;
    assert!(condition.borrow().broken.is_empty(), "{:?}", condition.borrow());
    index
}

#[tokio::test]
async fn every_case_comes_to_its_views_through_both_registries() {
    let cases = cases();
    assert!(cases.len() >= 12, "the cases were not found");
    for Case { name, yaml, expected } in cases {
        let (files, cluster) = (from_files(&yaml).await, from_cluster(&yaml).await);
        assert_eq!(views::of(&files).join("\n"), expected.join("\n"), "{name}, by the file registry");
        assert_eq!(files, cluster, "{name}, by the Kubernetes registry");
    }
}
