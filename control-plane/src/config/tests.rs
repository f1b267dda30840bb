use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Config, Vec<ConfigError>> {
    let folders = [("WEFT_REGISTRY_DIR", "/r"), ("WEFT_STATE_DIR", "/s")];
    let all: Vec<_> = pairs.iter().chain(&folders).copied().collect();
    Config::read(|name| all.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned()))
}

#[test]
fn the_folders_are_all_that_must_be_set() {
    let config = read(&[]).unwrap();
    assert_eq!((config.listen.port(), config.leaf_lifetime.as_secs()), (8443, 86_400));
    assert!(config.cluster_ranges.is_empty());
}

#[test]
fn every_bad_value_is_reported_at_once() {
    let bad = [
        ("WEFT_LISTEN", "8443"),
        ("WEFT_CLUSTER_RANGES", "10.0.0.0/8,x"),
        ("WEFT_LEAF_LIFETIME", "1d"),
        ("WEFT_STREAMS_PER_SECOND", "0"),
        ("WEFT_TRUST_DOMAIN", "a/b"),
        ("WEFT_LOG", "loud"),
        ("WEFT_REGISTRY_DIR", ""),
    ];
    let errors = read(&bad).unwrap_err();
    assert_eq!(errors.len(), bad.len(), "{errors:?}");
    assert!(errors.iter().any(|error| error.to_string().contains("WEFT_LEAF_LIFETIME=1d cannot be used")));
}

#[test]
fn a_registry_of_a_cluster_has_no_folders() {
    let errors = read(&[("WEFT_REGISTRY", "kubernetes"), ("WEFT_STREAMS_PER_SECOND", "0")]).unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    for (text, name) in texts[1..].iter().zip(["WEFT_REGISTRY_DIR", "WEFT_STATE_DIR"]) {
        assert!(text.contains(&format!("{name} is set, but WEFT_REGISTRY=kubernetes has no use")), "{text}");
    }
    let folders = [("WEFT_REGISTRY_DIR", ""), ("WEFT_STATE_DIR", "")];
    let config = read(&[&[("WEFT_REGISTRY", "kubernetes")], &folders[..]].concat()).unwrap();
    assert_eq!((config.registry, config.registry_folder, config.state_folder), (RegistryKind::Kubernetes, None, None));
}

#[test]
fn the_page_on_settings_is_what_the_table_says() {
    let page = include_str!("../../../docs/configuration-control-plane.md");
    assert!(page == markdown(), "docs/configuration-control-plane.md is out of date: run `make docs`");
}
