//! gRPC: the interoperability suite of grpc-go, client and server, and the clients of two other implementations.

use std::time::Duration;

use weft_tests::mesh::{Mesh, eventually};

use crate::harness::{REQUESTS, app, crossed, mesh, peers, run};

/// What makes the client read the load reports of ORCA.
const READ_REPORTS: &str =
    "--service_config_json={\"loadBalancingConfig\":[{\"test_backend_metrics_load_balancer\":{}}]}";

/// Every case of grpc-go's client that needs no cloud, no credentials of one, and nothing that its own server lacks:
/// `pick_first_unary` asks for the name of the server, which grpc-go's does not give.
const CASES: &[&str] = &[
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
    "orca_per_rpc",
    "orca_oob",
];

/// By its name, these clients would first wait for a name server to tell them of load balancers, and there is none.
async fn address(mesh: &Mesh) -> String {
    let services = mesh.sandbox.services().await.unwrap();
    services.iter().find(|service| service.name == "server").unwrap().addresses[0].to_string()
}

#[tokio::test]
async fn grpc_go_passes_every_case_of_its_interoperability_suite() {
    let Some([client, server]) = peers(["interop/client", "interop/server"]) else { return };
    let mesh = mesh(&[&server, "--port=8080"], &[8080]).await;
    let host = format!("--server_host={}", address(&mesh).await);
    for (pod, case) in ["client", "outside"].into_iter().flat_map(|pod| CASES.iter().map(move |case| (pod, case))) {
        let named = format!("--test_case={case}");
        let mut words = vec![&*client, &host, "--server_port=8080", &named];
        words.extend(case.starts_with("orca_").then_some(READ_REPORTS));
        run(&mesh, pod, &words).await;
    }
    assert!(crossed(&mesh, REQUESTS).await >= CASES.len() as f64);
}

#[tokio::test]
async fn clients_in_python_and_in_node_make_all_kinds_of_call() {
    let names = ["interop/server", "python3", "node", "grpc", "node_modules/@grpc/grpc-js"];
    let Some([server, python, node, ..]) = peers(names) else { return };
    let mesh = mesh(&[&server, "--port=8080"], &[8080]).await;
    let target = address(&mesh).await + ":8080";
    for (program, client) in [(python, "grpc-client.py"), (node, "grpc-client.js")] {
        let before = crossed(&mesh, REQUESTS).await;
        let said = run(&mesh, "client", &[&program, &app(client), &target]).await;
        assert!(said.contains("all calls were answered"), "{said}");
        // The last call is one that the client gave up.
        let counted = || async { crossed(&mesh, REQUESTS).await == before + 7.0 };
        eventually(Duration::from_secs(20), "seven calls over the mesh", counted).await;
    }
}
