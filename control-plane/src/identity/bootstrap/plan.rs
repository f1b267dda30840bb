//! What is to be done to the ConfigMaps: pure, from what should be and what is.

use std::{collections::BTreeSet, sync::Arc};

use super::seen::Seen;
use crate::index::Namespaces;

/// A ConfigMap as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// The bundle in it.
    pub(super) pem: Option<String>,
    /// Weft has made it; nothing else is ever taken away.
    pub(super) is_ours: bool,
}

impl Kept {
    /// One that Weft has written.
    pub(super) fn ours(pem: &str) -> Self {
        Self { pem: Some(pem.to_owned()), is_ours: true }
    }
}

/// One thing to do, in a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Put(Arc<str>),
    Remove(Arc<str>),
}

/// What makes every ConfigMap hold `pem` where one is needed, and none where not.
pub(super) fn steps(pem: &str, labelled: &Seen<()>, meshed: &Namespaces, kept: &Seen<Kept>) -> Vec<Step> {
    let wanted: BTreeSet<&Arc<str>> = labelled.namespaces().chain(meshed.iter()).collect();
    let is_right =
        |namespace: &str| kept.get(namespace).is_some_and(|kept| kept.is_ours && kept.pem.as_deref() == Some(pem));
    let put = wanted.iter().filter(|namespace| !is_right(namespace)).map(|namespace| Step::Put((*namespace).clone()));
    let is_left =
        |namespace: &&Arc<str>| !wanted.contains(*namespace) && kept.get(namespace).is_some_and(|kept| kept.is_ours);
    put.chain(kept.namespaces().filter(is_left).map(|namespace| Step::Remove(namespace.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::runtime::watcher::Event;

    use super::*;

    fn seen<T: Clone>(all: &[(&str, T)]) -> Seen<T> {
        let mut seen = Seen::default();
        let object = |name: &str| ConfigMap {
            metadata: kube::api::ObjectMeta { namespace: Some(name.to_owned()), ..Default::default() },
            ..ConfigMap::default()
        };
        for (name, one) in all {
            seen.take(Ok(Event::InitApply(object(name))), |_| Some(((*name).into(), one.clone())));
        }
        seen.take(Ok(Event::<ConfigMap>::InitDone), |_| None);
        seen
    }

    fn kept(pem: &str, is_ours: bool) -> Kept {
        Kept { pem: Some(pem.to_owned()), is_ours }
    }

    fn namespaces(names: &[&str]) -> Namespaces {
        Arc::new(names.iter().map(|name| (*name).into()).collect())
    }

    #[test]
    fn a_bundle_is_put_where_it_is_missing_or_old_or_not_ours_and_removed_where_nobody_needs_it() {
        let labelled = seen(&[("new", ()), ("old", ()), ("right", ()), ("taken", ())]);
        let there = [
            ("old", kept("1", true)),
            ("right", kept("2", true)),
            ("taken", kept("2", false)),
            ("left", kept("2", true)),
            ("strange", kept("2", false)),
        ];
        let steps = steps("2", &labelled, &namespaces(&["pods", "right"]), &seen(&there));
        let put = |name: &str| Step::Put(name.into());
        assert_eq!(steps, [put("new"), put("old"), put("pods"), put("taken"), Step::Remove("left".into())]);
    }

    #[test]
    fn a_namespace_keeps_its_bundle_until_its_last_pod_is_gone() {
        let there = seen(&[("shop", kept("1", true))]);
        assert_eq!(steps("1", &seen(&[]), &namespaces(&["shop"]), &there), []);
        assert_eq!(steps("1", &seen(&[]), &namespaces(&[]), &there), [Step::Remove("shop".into())]);
    }
}
