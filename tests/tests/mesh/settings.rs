//! What is set is done, or complained of.

use crate::harness::mesh_set_up;

#[tokio::test]
async fn a_misspelt_setting_is_warned_of_by_both_programs() {
    let settings = ([("WEFT_LEAF_LIFETIM", "8s")], [("WEFT_RETRY_RATOI", "0.5")]);
    let mesh = mesh_set_up(1, "", (&settings.0, &settings.1)).await;
    let warnings = |log: String| {
        let lines: Vec<_> = log.lines().filter(|line| line.contains("no such setting")).map(str::to_owned).collect();
        assert_eq!(lines.len(), 1, "of the sandbox's own none is unknown: {lines:?}");
        lines[0].clone()
    };
    let plane = warnings(mesh.log(&mesh.pod("weft-control-plane").await));
    assert!(plane.contains("WEFT_LEAF_LIFETIM\"") && plane.contains("WEFT_LEAF_LIFETIME"), "{plane}");
    let proxy = warnings(mesh.log(&mesh.pod("client").await));
    assert!(proxy.contains("WEFT_RETRY_RATOI") && proxy.contains("WEFT_RETRY_RATIO"), "{proxy}");
}
