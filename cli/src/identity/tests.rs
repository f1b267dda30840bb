use std::time::{SystemTime, UNIX_EPOCH};

use weft_control_plane::rotation::{Behind, CertificateStatus, Phase, Status, Why};

use super::report;

fn certificate(role: &str, days: u64) -> CertificateStatus {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    CertificateStatus { role: role.into(), id: "ab".repeat(32), expires_unix_seconds: now + days * 86_400 + 60 }
}

fn given(behind: usize) -> Status {
    let name = |number| Behind { who: format!("shop/orders-{number}"), why: Why::Leaf };
    Status {
        roots: vec![certificate("root", 3650), certificate("previous root", 100)],
        issuer: certificate("issuer", 365),
        issuer_is_replaced: true,
        phase: Phase::Renewing,
        request: Some("1".into()),
        done: None,
        refused: None,
        proxies: 30,
        behind,
        names: (0..behind).map(name).collect(),
    }
}

#[test]
fn the_table_says_how_long_certificates_live_and_who_is_behind() {
    let table = report::table(&given(2));
    assert!(table.contains("previous root   abababababababab  in 100 days"), "{table}");
    assert!(table.contains("issuer          abababababababab  in 365 days"), "{table}");
    assert!(table.ends_with("30 proxies, 2 behind\n  shop/orders-0 has a leaf of another issuer\n  shop/orders-1 has a leaf of another issuer"), "{table}");
}

#[test]
fn a_long_list_of_who_is_behind_is_cut() {
    let text = report::behind(&given(25));
    assert_eq!(text.lines().count(), 22, "{text}");
    assert!(text.ends_with("and 5 more"), "{text}");
}

#[test]
fn a_status_survives_its_config_map() {
    let status = given(1);
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&text).unwrap(), status);
}
