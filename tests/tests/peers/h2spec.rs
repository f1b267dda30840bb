//! h2spec, which tries a server of HTTP/2 with what RFC 7540 and RFC 7541 ask of it: the outbound proxy as the app's server,
//! and the inbound proxy as the server of a client outside of the mesh. Behind both is nginx.

use crate::harness::{REQUESTS, app, crossed, mesh, peers, run};

/// All cases of h2spec 2.2.1. Weft decides none of them otherwise.
const CASES: &str = "146 tests, 146 passed, 0 skipped, 0 failed";

#[tokio::test]
async fn both_sides_serve_http2_as_h2spec_wants_it() {
    let Some([h2spec, nginx]) = peers(["h2spec", "nginx"]) else { return };
    let mesh = mesh(&[&nginx, "-p", ".", "-c", &app("nginx.conf")], &[8080, 8081]).await;
    for pod in ["client", "outside"] {
        let report = run(&mesh, pod, &[&h2spec, "--strict", "-h", "server", "-p", "8081", "-o", "10"]).await;
        assert!(report.contains(CASES), "{pod}: {report}");
    }
    assert!(crossed(&mesh, REQUESTS).await > 10.0);
}
