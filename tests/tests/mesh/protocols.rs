//! What crosses the mesh, and how it looks on both ends.

use crate::harness::{Mesh, header, mesh, seen};

#[tokio::test]
async fn a_call_is_encrypted_counted_and_names_its_client() {
    let mesh = mesh(2, "").await;
    let capture = mesh.start("client", &["capture", "needle-in-the-body", "--seconds", "3"]).await;
    let spoofed =
        ["/hello?x=1", "--method", "PUT", "--body", "needle-in-the-body", "--header", "weft-client-identity=me"];
    let answer = mesh.get("client", "app:8080", &spoofed).await;
    assert_eq!(answer["status"], 200, "{answer}");
    let app = seen(&answer);
    assert_eq!(
        (&app["method"], &app["path"], &app["body"]),
        (&"PUT".into(), &"/hello?x=1".into(), &"needle-in-the-body".into())
    );
    assert_eq!(header(&app["headers"], "weft-client-identity"), ["spiffe://cluster.local/ns/test/sa/client"]);
    assert!(header(&answer["headers"], "weft-spoofed").is_empty(), "the app's own weft- field came through: {answer}");
    let captured = crate::harness::json(&capture.output().await.unwrap());
    assert!(captured["frames"].as_u64().unwrap() > 0, "nothing was captured");
    assert_eq!(captured["found"], 0, "the payload was readable on the wire");
    let client = mesh.pod("client").await;
    let outbound = ["direction=\"outbound\"", "service=\"app\"", "mtls=\"true\"", "status_class=\"2xx\""];
    assert_eq!(mesh.metric(&client, "weft_http_requests_total", &outbound).await, 1.0);
    let mut inbound = 0.0;
    for replica in mesh.replicas().await {
        let labels =
            ["direction=\"inbound\"", "mtls=\"true\"", "client_identity=\"spiffe://cluster.local/ns/test/sa/client\""];
        inbound += mesh.metric(&replica, "weft_http_requests_total", &labels).await;
    }
    assert_eq!(inbound, 1.0);
}

#[tokio::test]
async fn a_service_is_reached_over_ipv6_as_over_ipv4() {
    let mesh = mesh(1, "").await;
    let services = mesh.sandbox.services().await.unwrap();
    let app = services.iter().find(|service| service.name == "app").unwrap();
    assert_eq!(app.addresses.len(), 2, "dual stack");
    for address in &app.addresses {
        let target = std::net::SocketAddr::new(*address, 8080).to_string();
        let answer = mesh.get("client", &target, &["/"]).await;
        assert_eq!(answer["status"], 200, "{answer}");
        assert_eq!(header(&seen(&answer)["headers"], "weft-client-identity").len(), 1, "not meshed: {target}");
    }
}

#[tokio::test]
async fn http2_crosses_as_http2() {
    let mesh = mesh(1, "").await;
    let answer = mesh.get("client", "app:8080", &["/two", "--http2", "--method", "POST", "--body", "abc"]).await;
    assert_eq!(answer["status"], 200, "{answer}");
    let app = seen(&answer);
    assert_eq!((&app["version"], &app["body"]), (&"HTTP/2.0".into(), &"abc".into()));
    assert_eq!(header(&app["headers"], "weft-client-identity").len(), 1);
}

/// The users service, meshed, beside the app.
const USERS: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: users, namespace: test, labels: { app: users, weft.dev/inject: enabled } }
spec:
  serviceAccountName: users
  containers:
  - name: users
    image: none
    command: ["shop", "users"]
    readinessProbe: { tcpSocket: { port: 9090 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: users, namespace: test }
spec:
  selector: { app: users }
  ports:
  - { name: http, port: 8080 }
  - { name: grpc, port: 9090, appProtocol: kubernetes.io/h2c }
"#;

#[tokio::test]
async fn all_four_kinds_of_grpc_call_cross_the_mesh() {
    let mesh = mesh(1, USERS).await;
    let called = mesh.run("client", &["grpc", "users:9090"]).await;
    assert!(!called["unary"].as_str().unwrap().is_empty(), "{called}");
    assert_eq!(called["not_found"], 5, "NOT_FOUND in trailers: {called}");
    assert!(called["server_stream"].as_u64().unwrap() >= 3, "{called}");
    assert_eq!((&called["client_stream"], &called["both_streams"]), (&50.into(), &5.into()), "{called}");
    assert!(
        called["deadline"] == 4 || called["deadline"] == 1,
        "DEADLINE_EXCEEDED, or CANCELLED by the client: {called}"
    );
    assert!(!called["after_cancel"].as_str().unwrap().is_empty(), "{called}");
    let client = mesh.pod("client").await;
    let labels = ["direction=\"outbound\"", "service=\"users\"", "grpc_status=\"5\"", "mtls=\"true\""];
    assert_eq!(mesh.metric(&client, "weft_http_requests_total", &labels).await, 1.0);
}

#[tokio::test]
async fn large_bodies_and_statuses_come_through() {
    let mesh = mesh(1, "").await;
    for more in [&["/bytes/3000000"][..], &["/bytes/3000000", "--http2"]] {
        let answer = mesh.get("client", "app:8080", more).await;
        assert_eq!(answer["body"].as_str().unwrap().len(), 3_000_000);
    }
    for status in [204, 404, 503] {
        let answer = mesh.get("client", "app:8080", &[&format!("/status/{status}")]).await;
        assert_eq!(answer["status"], status, "{answer}");
        assert!(header(&answer["headers"], "weft-proxy-error").is_empty());
    }
}

#[tokio::test]
async fn bytes_are_half_closed_each_way_and_leave_no_descriptor() {
    let mesh = mesh(1, "").await;
    let echoed = mesh.run("client", &["bytes", "app:9000", "\u{1}not http at all"]).await;
    assert_eq!(echoed["last"], "\u{1}not http at all");
    let replica = mesh.replicas().await.remove(0);
    let client = mesh.pod("client").await;
    let before = (descriptors(&client), descriptors(&replica));
    let many = mesh.run("client", &["bytes", "app:9000", "\u{1}x", "--times", "1000"]).await;
    assert_eq!(many["worked"], 1000);
    let settled = || async { descriptors(&client) <= before.0 + 2 && descriptors(&replica) <= before.1 + 2 };
    crate::harness::eventually(std::time::Duration::from_secs(10), "descriptors given back", settled).await;
}

/// Open descriptors of a pod's proxy.
fn descriptors(pod: &weft_sandbox::Pod) -> usize {
    let proxy = pod.containers.iter().find(|container| container.name.contains("weft")).expect("no sidecar");
    std::fs::read_dir(format!("/proc/{}/fd", proxy.pid.unwrap())).unwrap().count()
}

#[tokio::test]
async fn a_server_that_speaks_first_is_not_kept_waiting() {
    let mesh = mesh(1, "").await;
    let before = tokio::time::Instant::now();
    let greeted = mesh.run("client", &["bytes", "app:2525"]).await;
    assert!(greeted["last"].as_str().unwrap().starts_with("220 ready"), "{greeted}");
    assert!(before.elapsed() < std::time::Duration::from_secs(2), "waited {:?}", before.elapsed());
}

#[tokio::test]
async fn a_client_that_begins_late_and_with_what_could_be_http_is_passed_on() {
    let mesh = mesh(1, "").await;
    // The server is asked by then, and says nothing before the client does. "word" may be a method.
    let held = mesh.run("client", &["hold", "app:9000", "--seconds", "1", "--after", "0.5"]).await;
    assert!(held["worked"].as_u64().unwrap() > 1, "{held}");
}

#[tokio::test]
async fn a_client_that_begins_late_and_speaks_http_is_no_connection_of_bytes() {
    let mesh = mesh(1, "").await;
    let answer = mesh.get("client", "app:8080", &["/", "--after", "0.5"]).await;
    assert_eq!(header(&seen(&answer)["headers"], "weft-client-identity").len(), 1, "not meshed: {answer}");
    let client = mesh.pod("client").await;
    let outbound = ["direction=\"outbound\"", "service=\"app\""];
    assert_eq!(mesh.metric(&client, "weft_http_requests_total", &outbound).await, 1.0);
    assert_eq!(mesh.metric(&client, "weft_tcp_connections_total", &outbound).await, 0.0);
}

#[tokio::test]
async fn a_connection_from_outside_of_the_mesh_is_counted_once() {
    let mesh = mesh(1, "").await;
    mesh.run("outside", &["bytes", "app:9000", "\u{1}bytes"]).await;
    let replica = mesh.replicas().await.remove(0);
    let inbound = ["direction=\"inbound\"", "mtls=\"false\""];
    assert_eq!(mesh.metric(&replica, "weft_tcp_connections_total", &inbound).await, 1.0);
    let received = [inbound[0], inbound[1], "flow=\"received\""];
    assert_eq!(mesh.metric(&replica, "weft_tcp_bytes_total", &received).await, 6.0);
}

#[tokio::test]
async fn a_failure_after_an_interim_answer_is_told() {
    let mesh = mesh(1, "").await;
    for more in [&["/broken"][..], &["/broken", "--http2"]] {
        let post = ["--method", "POST", "--body", "x", "--header", "expect=100-continue"];
        let answer = mesh.get("client", "app:8080", &[more, &post].concat()).await;
        assert_eq!(answer["status"], 502, "{answer}");
        assert_eq!(header(&answer["headers"], "weft-proxy-error").len(), 1, "{answer}");
    }
}

#[tokio::test]
async fn without_endpoints_a_client_is_told_so_in_time() {
    let mesh = mesh(1, "").await;
    mesh.get("client", "app:8080", &["/"]).await;
    mesh.sandbox.scale("app", 0).await.unwrap();
    let gone = || async {
        let answer = mesh.get("client", "app:8080", &["/"]).await;
        answer["status"] == 503 && header(&answer["headers"], "weft-proxy-error") == ["no-endpoints"]
    };
    crate::harness::eventually(std::time::Duration::from_secs(30), "503 no-endpoints", gone).await;
}

#[tokio::test]
async fn a_pod_is_reached_by_its_own_address() {
    let mesh = mesh(1, "").await;
    let replica = mesh.replicas().await.remove(0);
    let answer = mesh.get("client", &format!("{}:8080", replica.address), &["/"]).await;
    assert_eq!(answer["status"], 200, "{answer}");
    assert_eq!(header(&seen(&answer)["headers"], "weft-client-identity").len(), 1, "not meshed");
}

#[tokio::test]
async fn the_proxy_s_own_ports_are_no_target() {
    let mesh = mesh(1, "").await;
    let replica = mesh.replicas().await.remove(0);
    for port in [4140, 4143, 4190] {
        let output = mesh.try_run("client", &["get", &format!("{}:{port}", replica.address)]).await;
        assert_ne!(output.code, 0, "port {port}: {}", output.stdout);
    }
    let plain = Mesh::try_run(&mesh, "outside", &["get", &format!("{}:4143", replica.address)]).await;
    assert_ne!(plain.code, 0, "plaintext to the mesh port: {}", plain.stdout);
}

#[tokio::test]
async fn the_access_log_has_a_line_for_each_request_and_connection_on_both_sides() {
    let mesh = crate::harness::mesh_of_proxies(1, &[("WEFT_ACCESS_LOG", "json")]).await;
    mesh.get("client", "app:8080", &["/one?secret=1", "--method", "POST", "--body", "abc"]).await;
    mesh.get("client", "app:8080", &["/two", "--http2"]).await;
    mesh.run("client", &["bytes", "app:9000", "\u{1}bytes"]).await;
    for (pod, direction) in [(mesh.pod("client").await, "outbound"), (mesh.replicas().await.remove(0), "inbound")] {
        let proxy = pod.containers.iter().find(|container| container.name.contains("weft")).expect("no sidecar");
        let lines = || {
            let text = std::fs::read_to_string(&proxy.log).unwrap_or_default();
            let lines = text.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
            lines.filter(|line| line["direction"] == direction).collect::<Vec<_>>()
        };
        let written = || async { lines().len() >= 3 };
        crate::harness::eventually(std::time::Duration::from_secs(5), "three lines", written).await;
        let lines = lines();
        let of = |name: &str, value: &str| lines.iter().find(|line| line[name] == value).cloned().unwrap_or_default();
        let (one, two, bytes) = (of("path", "/one"), of("path", "/two"), of("protocol", "TCP"));
        assert_eq!((&one["method"], &one["status"], &one["received_bytes"]), (&"POST".into(), &200.into(), &3.into()));
        assert_eq!((&two["protocol"], &two["status"]), (&"HTTP/2.0".into(), &200.into()), "{lines:?}");
        assert_eq!((&bytes["received_bytes"], &bytes["sent_bytes"]), (&6.into(), &6.into()), "{lines:?}");
        for line in [&one, &two, &bytes] {
            assert_eq!(line["service"], "test/app", "{line}");
            assert!(line["identity"].as_str().is_some_and(|name| name.starts_with("spiffe://")), "{line}");
        }
        assert!(one["sent_bytes"].as_u64().unwrap() > 100, "{one}");
    }
}
