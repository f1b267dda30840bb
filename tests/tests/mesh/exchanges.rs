//! What is rare among exchanges, over real proxies: other protocols, tunnels, pods that call themselves, IPv6.
//!
//! Every rule of them, and hostile input: proxy/tests/traffic.

use std::net::SocketAddr;

use crate::harness::{header, mesh, seen};

#[tokio::test]
async fn a_connection_that_switches_protocols_carries_bytes_over_the_mesh() {
    let mesh = mesh(1, "").await;
    for more in [&[][..], &["--connect"]] {
        for pod in ["client", "outside"] {
            let words = [&["switch", "app:8080", "\u{1}some bytes"][..], more].concat();
            let switched = mesh.run(pod, &words).await;
            let status = if more.is_empty() { "HTTP/1.1 101 " } else { "HTTP/1.1 200 " };
            assert!(switched["head"].as_str().unwrap().starts_with(status), "{pod}: {switched}");
            assert_eq!(switched["rest"], "\u{1}some bytes", "{pod}");
        }
    }
    let client = mesh.pod("client").await;
    let outbound = ["direction=\"outbound\"", "service=\"app\"", "mtls=\"true\""];
    assert_eq!(mesh.metric(&client, "weft_http_requests_total", &outbound).await, 2.0);
}

#[tokio::test]
async fn a_pod_that_calls_its_own_service_reaches_itself() {
    let mesh = mesh(1, "").await;
    let replica = mesh.replicas().await.remove(0);
    let services = mesh.sandbox.services().await.unwrap();
    let app = services.iter().find(|service| service.name == "app").unwrap();
    for address in &app.addresses {
        for more in [&["/self"][..], &["/self", "--http2"]] {
            let target = SocketAddr::new(*address, 8080).to_string();
            let answer = mesh.get(&replica.name, &target, more).await;
            assert_eq!(answer["status"], 200, "{target}: {answer}");
            let app = seen(&answer);
            assert_eq!(app["pod"].as_str(), Some(&*replica.name), "{target}: {answer}");
        }
        let target = SocketAddr::new(*address, 9000).to_string();
        assert_eq!(mesh.run(&replica.name, &["bytes", &target, "\u{1}bytes"]).await["last"], "\u{1}bytes", "{target}");
    }
}

#[tokio::test]
async fn a_pod_that_calls_its_own_address_reaches_itself() {
    let mesh = mesh(1, "").await;
    let replica = mesh.replicas().await.remove(0);
    for target in [format!("{}:8080", replica.address), "127.0.0.1:8080".to_owned(), "[::1]:8080".to_owned()] {
        let answer = mesh.get(&replica.name, &target, &["/self"]).await;
        assert_eq!((&answer["status"], seen(&answer)["pod"].as_str()), (&200.into(), Some(&*replica.name)), "{target}");
    }
}

#[tokio::test]
async fn every_protocol_crosses_over_ipv6() {
    let mesh = mesh(1, "").await;
    let services = mesh.sandbox.services().await.unwrap();
    let app = services.iter().find(|service| service.name == "app").unwrap();
    let address = app.addresses.iter().find(|address| address.is_ipv6()).expect("dual stack");
    let target = |port| SocketAddr::new(*address, port).to_string();
    for pod in ["client", "outside"] {
        let answer = mesh.get(pod, &target(8080), &["/two", "--http2", "--method", "POST", "--body", "abc"]).await;
        assert_eq!(answer["status"], 200, "{pod}: {answer}");
        let identities = header(&seen(&answer)["headers"], "weft-client-identity").len();
        assert_eq!(identities, usize::from(pod == "client"), "{pod}: {answer}");
        assert_eq!(mesh.run(pod, &["bytes", &target(9000), "\u{1}bytes"]).await["last"], "\u{1}bytes", "{pod}");
        let greeted = mesh.run(pod, &["bytes", &target(2525)]).await;
        assert!(greeted["last"].as_str().unwrap().starts_with("220 ready"), "{pod}: {greeted}");
    }
}
