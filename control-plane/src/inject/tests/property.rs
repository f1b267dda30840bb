//! What holds for every pod.

use proptest::prelude::*;

use super::*;

/// Any JSON that a field could hold.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z/~.]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z/~]{1,5}", inner, 0..4)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// A pod with fields that nobody knows, in every place.
fn pod() -> impl Strategy<Value = Value> {
    let container = |prefix: &'static str| {
        (0..9u8, json_value(), any::<bool>()).prop_map(move |(number, unknown, sidecar)| {
            let mut one = json!({ "name": format!("{prefix}{number}"), "xUnknown": unknown });
            if sidecar && prefix == "init" {
                one["restartPolicy"] = json!("Always");
            }
            one
        })
    };
    let containers = proptest::collection::vec(container("app"), 1..4);
    let initial = proptest::option::of(proptest::collection::vec(container("init"), 0..3));
    (containers, initial, json_value(), json_value()).prop_map(|(containers, initial, spec, metadata)| {
        let mut pod =
            json!({ "metadata": { "xUnknown": metadata }, "spec": { "containers": containers, "xUnknown": spec } });
        if let Some(initial) = initial {
            pod["spec"]["initContainers"] = json!(initial);
        }
        pod
    })
}

proptest! {
    #[test]
    fn the_patch_makes_the_injected_pod_of_the_original(original in pod()) {
        let injected = injected(&original);
        let mut patched = original.clone();
        json_patch::patch(&mut patched, &injected.patch(&original)).unwrap();
        prop_assert_eq!(patched, injected.pod);
    }

    #[test]
    fn what_nobody_knows_survives(original in pod()) {
        let pod = injected(&original).pod;
        prop_assert_eq!(&pod["spec"]["containers"], &original["spec"]["containers"]);
        prop_assert_eq!(&pod["spec"]["xUnknown"], &original["spec"]["xUnknown"]);
        prop_assert_eq!(&pod["metadata"]["xUnknown"], &original["metadata"]["xUnknown"]);
        let own = original["spec"]["initContainers"].as_array().cloned().unwrap_or_default();
        prop_assert_eq!(&pod["spec"]["initContainers"].as_array().unwrap()[2..], own);
    }

    #[test]
    fn injecting_twice_is_injecting_once(original in pod()) {
        prop_assert_eq!(skipped(&injected(&original).pod), Skip::AlreadyInjected);
    }

    #[test]
    fn no_json_makes_the_injector_panic(value in json_value(), spec in json_value(), container in json_value()) {
        let _ = inject(&value, &shop(), &InjectSettings::default());
        let _ = inject(&json!({ "metadata": value, "spec": { "containers": [container], "volumes": spec } }), &shop(), &InjectSettings::default());
    }
}
