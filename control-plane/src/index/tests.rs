use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{arbitrary::*, *};

fn outcome(changes: &[Change]) -> Vec<Object> {
    let mut objects = BTreeMap::new();
    for change in changes {
        match change.clone() {
            Change::Apply(object) => drop(objects.insert(object.key(), object)),
            Change::Delete(key) => drop(objects.remove(&key)),
        }
    }
    objects.into_values().collect()
}

proptest! {
    #[test]
    fn any_order_of_changes_ends_equal_to_a_reset(
        before in prop::collection::vec(object(), 0..8),
        changes in prop::collection::vec(change(), 0..24),
    ) {
        let mut changed = Index::default();
        changes.iter().for_each(|one| one.clone().make(&mut changed, &mut Affected::default()));

        let mut reset = Index::default();
        reset.reset(before, &mut Affected::default());
        reset.reset(outcome(&changes), &mut Affected::default());
        prop_assert_eq!(&changed, &reset);
        let meshed: BTreeSet<_> =
            changed.pods().filter(|pod| pod.meshed).map(|pod| pod.name.namespace.clone()).collect();
        prop_assert_eq!(&*changed.meshed_namespaces(), &meshed);

        changed.reset(Vec::new(), &mut Affected::default());
        prop_assert_eq!(&changed, &Index::default(), "nothing lingers");
    }

    #[test]
    fn a_change_that_changes_nothing_affects_nothing(objects in prop::collection::vec(object(), 0..12)) {
        let mut index = Index::default();
        let changes: Vec<Change> = objects.into_iter().map(Change::Apply).collect();
        index.reset(outcome(&changes), &mut Affected::default());
        let mut affected = Affected::default();
        index.reset(outcome(&changes), &mut affected);
        prop_assert!(affected.is_empty());
    }
}
