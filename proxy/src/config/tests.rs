//! The table as a whole: defaults, reports, the page.

use std::collections::{HashMap, HashSet};

use super::*;

/// The least that a proxy needs.
fn least() -> HashMap<&'static str, &'static str> {
    HashMap::from([
        ("WEFT_POD_NAMESPACE", "shop"),
        ("WEFT_POD_NAME", "users-1"),
        ("WEFT_POD_ADDRESSES", "10.1.2.3, fd00::3"),
        ("WEFT_CONTROL_PLANE_ADDRESS", "127.0.0.1:8443"),
        ("WEFT_JOIN_TOKEN_FILE", "/run/token"),
    ])
}

fn read(variables: &HashMap<&'static str, &'static str>) -> Result<Config, Vec<ConfigError>> {
    Config::read(|name| variables.get(name).map(|value| (*value).to_owned()))
}

#[test]
fn every_default_is_a_value_that_can_be_used() {
    let config = read(&least()).unwrap();
    assert_eq!(config.ports.own(), [4140, 4143, 4190, 4191]);
    assert_eq!(config.timeouts.detect.as_millis(), 50);
    assert_eq!(config.limits.replay_bytes, 65_536);
    assert_eq!(config.pod.addresses.len(), 2);
    assert!(config.interception.opaque_ports.contains(3306));
    assert!(!config.interception.opaque_ports.contains(8080));
}

#[test]
fn all_that_is_missing_is_reported_at_once() {
    let errors = read(&HashMap::new()).unwrap_err();
    let missing: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(missing.len(), 4, "{missing:?}");
    assert!(missing[0].starts_with("WEFT_POD_NAMESPACE is not set"), "{missing:?}");
}

#[test]
fn all_bad_values_are_reported_at_once_with_what_to_write_instead() {
    let mut variables = least();
    variables.extend([("WEFT_DETECT_DEADLINE", "50"), ("WEFT_RETRY_RATIO", "20%"), ("WEFT_OPAQUE_PORTS", "9-3")]);
    let errors: Vec<_> = read(&variables).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors.iter().any(|error| error.contains("WEFT_DETECT_DEADLINE=50 ") && error.contains("50ms")));
}

#[test]
fn values_that_contradict_each_other_are_reported() {
    let mut variables = least();
    variables.remove("WEFT_JOIN_TOKEN_FILE");
    variables.extend([("WEFT_ADMIN_PORT", "4143"), ("WEFT_BREAKER_PENALTY_LEAST", "2m")]);
    assert_eq!(read(&variables).unwrap_err().len(), 3);
}

#[test]
fn an_empty_value_counts_as_unset() {
    let mut variables = least();
    variables.extend([("WEFT_MARK", ""), ("WEFT_DRAIN_DEADLINE", " ")]);
    let config = read(&variables).unwrap();
    assert_eq!(config.interception.mark, None);
    assert_eq!(config.timeouts.drain.as_secs(), 30);
}

#[test]
fn probes_that_could_not_be_made_are_reported_at_the_start() {
    let good = r#"{"app":{"liveness":{"httpGet":{"path":"/live","port":8080},"timeoutSeconds":1}}}"#;
    assert_eq!(parse::probes(good).unwrap().0.len(), 1);
    for bad in ["{", "[]", r#"{"app":{"liveness":{"httpGet":{"path":"/a b","port":8080}}}}"#] {
        assert!(parse::probes(bad).is_err(), "{bad}");
    }
}

#[test]
fn sizes_have_a_unit_or_none_and_bounds() {
    assert_eq!(parse::bytes("1MiB").unwrap(), 1 << 20);
    for bad in ["", "0", "1023", "65MiB", "1GiB", "-1KiB", "1é"] {
        assert!(parse::bytes(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_host_with_a_port_is_read_and_written_alike() {
    for good in ["weft-control-plane.weft.svc:8443", "10.0.0.1:1", "[fd00::2]:8443"] {
        assert_eq!(parse::host_port(good).unwrap().to_string(), good);
    }
    for bad in ["weft", "fd00::2:8443", ":8443", "a:0", "a b:1", "[]:1"] {
        assert!(parse::host_port(bad).is_err(), "{bad}");
    }
}

#[test]
fn every_setting_has_a_name_of_its_own_that_kubernetes_cannot_set_by_itself() {
    let rows: Vec<_> = groups().into_iter().flat_map(|(_, _, rows)| rows).collect();
    let names: HashSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len());
    // For a Service weft-control-plane the kubelet sets these in every pod of its namespace.
    for taken in ["WEFT_CONTROL_PLANE_PORT", "WEFT_CONTROL_PLANE_SERVICE_HOST", "WEFT_CONTROL_PLANE_SERVICE_PORT"] {
        assert!(!names.contains(taken), "{taken}");
    }
    assert!(
        rows.iter().all(|row| row.name.starts_with("WEFT_") && !row.help.ends_with('.') && !row.why.ends_with('.'))
    );
}

#[test]
fn the_page_on_settings_is_what_the_table_says() {
    let page = include_str!("../../../docs/configuration.md");
    assert!(page == markdown(), "docs/configuration.md is out of date: run `make docs`");
}
