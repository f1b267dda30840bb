//! WebSocket, the upgrade that everybody uses: the server and the client of `ws` (Node) and of `websockets` (Python).

use crate::harness::{CONNECTIONS, REQUESTS, app, crossed, mesh, peers, run};

#[tokio::test]
async fn a_websocket_crosses_from_python_to_node() {
    let Some([node, python, ..]) = peers(["node", "python3", "node_modules/ws", "websockets"]) else { return };
    converse(&[&node, &app("websocket-server.js")], &[&python, &app("websocket-client.py")]).await;
}

#[tokio::test]
async fn a_websocket_crosses_from_node_to_python() {
    let Some([node, python, ..]) = peers(["node", "python3", "node_modules/ws", "websockets"]) else { return };
    converse(&[&python, &app("websocket-server.py")], &[&node, &app("websocket-client.js")]).await;
}

async fn converse(server: &[&str], client: &[&str]) {
    let mesh = mesh(server, &[8080]).await;
    for pod in ["client", "outside", "client"] {
        let said = run(&mesh, pod, &[client, &["ws://server:8080/a?b=c"]].concat()).await;
        assert!(said.contains("all messages came back"), "{said}");
    }
    assert_eq!(crossed(&mesh, REQUESTS).await, 2.0);
    assert_eq!(crossed(&mesh, CONNECTIONS).await, 0.0, "an upgrade is a request, not a connection of bytes");
}
