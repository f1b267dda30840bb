//! Which of a destination's endpoints are used from where this proxy's pod runs.
//!
//! The rules are kube-proxy's, so that a meshed client goes where an unmeshed one would (Kubernetes:
//! `internalTrafficPolicy`, topology hints, `trafficDistribution`), with one difference: who is passed over because of a
//! hint is not forgotten, but kept for when those nearby are short or slow (`set`). kube-proxy cannot see that they are.

use std::sync::Arc;

use super::EndpointSpec;

/// Where a pod runs. An empty name: not known, so it prefers nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// The node's name.
    pub node: Arc<str>,
    /// The node's topology zone.
    pub zone: Arc<str>,
}

impl Locality {
    /// What is known here, and where nothing is, what is known there.
    pub fn or(&self, other: &Self) -> Self {
        let one = |mine: &Arc<str>, other: &Arc<str>| Arc::clone(if mine.is_empty() { other } else { mine });
        Self { node: one(&self.node, &other.node), zone: one(&self.zone, &other.zone) }
    }

    /// Whether anything about these endpoints depends on the place.
    pub fn matters(specs: &[EndpointSpec]) -> bool {
        specs.iter().any(|spec| spec.node_local || !spec.zone_hints.is_empty() || !spec.node_hints.is_empty())
    }

    /// The endpoints that are used from here.
    ///
    /// Those that are only for their own node's clients are for no others, so there may be none. Otherwise there are some
    /// as long as there are any: hints count only if every endpoint has one and one names this place. Those whose hints name
    /// other places only are marked as far.
    pub fn near(&self, mut specs: Vec<EndpointSpec>) -> Vec<EndpointSpec> {
        let only_own_node = specs.iter().any(|spec| spec.node_local) && !self.node.is_empty();
        if only_own_node {
            specs.retain(|spec| *spec.node == *self.node);
        }
        if specs.iter().any(|spec| !spec.terminating) {
            specs.retain(|spec| !spec.terminating);
        }
        if only_own_node {
            return specs;
        }
        let hinted = |hints: fn(&EndpointSpec) -> &[String], here: &str| {
            let names_here = |spec: &EndpointSpec| hints(spec).iter().any(|hint| hint == here);
            specs.iter().all(|spec| !hints(spec).is_empty()) && specs.iter().any(names_here)
        };
        if hinted(|spec| &spec.node_hints, &self.node) {
            specs.iter_mut().for_each(|spec| spec.far = spec.node_hints.iter().all(|hint| **hint != *self.node));
        } else if hinted(|spec| &spec.zone_hints, &self.zone) {
            specs.iter_mut().for_each(|spec| spec.far = spec.zone_hints.iter().all(|hint| **hint != *self.zone));
        }
        specs
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::address::EndpointAddr;

    fn here() -> Locality {
        Locality { node: "n1".into(), zone: "a".into() }
    }

    fn spec(port: u16) -> EndpointSpec {
        EndpointSpec {
            addr: EndpointAddr(SocketAddr::from(([10, 0, 0, 1], port))),
            identity: None,
            weight: 1,
            zone: "".into(),
            node: "n2".into(),
            zone_hints: Vec::new(),
            node_hints: Vec::new(),
            terminating: false,
            node_local: false,
            pod: "".into(),
            far: false,
        }
    }

    fn hinted(port: u16, zones: &[&str], nodes: &[&str]) -> EndpointSpec {
        let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        EndpointSpec { zone_hints: all(zones), node_hints: all(nodes), ..spec(port) }
    }

    fn near(specs: &[EndpointSpec]) -> Vec<u16> {
        let all = here().near(specs.to_vec());
        all.iter().filter(|spec| !spec.far).map(|spec| spec.addr.0.port()).collect()
    }

    #[test]
    fn hints_count_when_every_endpoint_has_one_and_one_names_this_zone() {
        assert_eq!(near(&[hinted(1, &["a"], &[]), hinted(2, &["b"], &[])]), [1]);
        assert_eq!(near(&[hinted(1, &["a"], &[]), spec(2)]), [1, 2]);
        assert_eq!(near(&[hinted(1, &["c"], &[]), hinted(2, &["b"], &[])]), [1, 2]);
    }

    #[test]
    fn a_nodes_hints_go_before_its_zones() {
        assert_eq!(near(&[hinted(1, &["a"], &["n2"]), hinted(2, &["a"], &["n1"])]), [2]);
        assert_eq!(
            near(&[hinted(1, &["a"], &["n2"]), hinted(2, &["b"], &["n3"])]),
            [1],
            "no node's hint names this one"
        );
        assert_eq!(near(&[hinted(1, &["a"], &[]), hinted(2, &["a"], &["n1"])]), [1, 2], "one has none");
    }

    #[test]
    fn what_is_for_its_own_node_is_for_no_other() {
        let local = |port, node: &str| EndpointSpec { node_local: true, node: node.into(), ..spec(port) };
        assert_eq!(near(&[local(1, "n1"), local(2, "n2")]), [1]);
        assert_eq!(near(&[local(2, "n2")]), [0; 0]);
        let ending = EndpointSpec { terminating: true, ..local(3, "n1") };
        assert_eq!(near(&[local(2, "n2"), ending.clone()]), [3], "the node's last one serves until it ends");
        assert_eq!(near(&[local(1, "n1"), ending]), [1]);
    }

    #[test]
    fn a_place_that_is_not_known_prefers_nothing() {
        let specs = vec![hinted(1, &["a"], &["n1"]), hinted(2, &["b"], &["n2"])];
        assert_eq!(Locality::default().near(specs.clone()), specs);
        assert_eq!(here().or(&Locality { node: "n9".into(), zone: "z".into() }), here());
        assert_eq!(Locality::default().or(&here()), here());
    }

    fn any_spec() -> impl Strategy<Value = EndpointSpec> {
        let names = |from: &'static [&'static str]| prop::collection::vec(prop::sample::select(from), 0..3);
        let hints = (names(&["a", "b", "c"]), names(&["n1", "n2", "n3"]));
        (1u16..50, hints, any::<bool>(), prop::sample::select(&["n1", "n2"][..])).prop_map(
            |(port, (zones, nodes), terminating, node)| EndpointSpec {
                terminating,
                node: node.into(),
                ..hinted(port, &zones, &nodes)
            },
        )
    }

    proptest! {
        #[test]
        fn some_are_left_wherever_there_are_any(
            specs in prop::collection::vec(any_spec(), 1..12), node in "n[1-4]?", zone in "[a-d]?",
        ) {
            let locality = Locality { node: node.as_str().into(), zone: zone.as_str().into() };
            let left = locality.near(specs.clone());
            let kept = left.len();
            let left: Vec<_> = left.into_iter().filter(|spec| !spec.far).collect();
            prop_assert!(!left.is_empty());
            let serving = specs.iter().any(|spec| !spec.terminating);
            let usable = || specs.iter().filter(|spec| spec.terminating != serving);
            let all: Vec<_> = usable().cloned().collect();
            prop_assert_eq!(kept, all.len(), "who is far is kept");
            let by_node: Vec<_> = usable().filter(|spec| spec.node_hints.contains(&node)).cloned().collect();
            let by_zone: Vec<_> = usable().filter(|spec| spec.zone_hints.contains(&zone)).cloned().collect();
            prop_assert!([all, by_node, by_zone].contains(&left), "all of them, or all that name this place: {left:?}");
        }
    }
}
