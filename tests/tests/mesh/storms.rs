//! More load than there is room for: the mesh does not multiply it, and does not let it drown what could be served.

use serde_json::Value;

use crate::harness::{APP, Mesh, mesh, mesh_set_up, retried};

/// What multiplies load where nothing bounds it.
const RETRY: &str = "codes: [500, 502, 503, 504], attempts: 5, backoff: 10ms";

/// A Service that passes on what it is asked to the next, and a route to it that asks for many retries.
fn link(name: &str, next: &str) -> String {
    let route = retried(name, RETRY);
    format!(
        r#"---
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: {name}, namespace: test }}
spec:
  replicas: 1
  selector: {{ matchLabels: {{ app: {name} }} }}
  template:
    metadata: {{ labels: {{ app: {name}, weft.dev/inject: enabled }} }}
    spec:
      serviceAccountName: {name}
      containers:
      - name: app
        image: none
        command: ["{APP}", "serve", "--next", "{next}:8080"]
        readinessProbe: {{ tcpSocket: {{ port: 8080 }}, periodSeconds: 1 }}
---
apiVersion: v1
kind: Service
metadata: {{ name: {name}, namespace: test }}
spec:
  selector: {{ app: {name} }}
  ports: [{{ name: http, port: 8080 }}]
{route}"#
    )
}

#[tokio::test]
async fn a_chain_over_a_failing_leaf_multiplies_load_by_no_more_than_the_budgets() {
    let extra = link("front", "middle") + &link("middle", "app") + &retried("app", RETRY);
    let mesh = mesh(1, &extra).await;
    let load = ["load", "front:8080", "--path", "/chain", "--seconds", "10", "--rate", "60", "--clients", "20"];
    let report = mesh.run("client", &load).await;
    let (asked, reached) = (report["requests"].as_f64().unwrap(), mesh.record().lines().count() as f64);
    assert!(report["failed_gets"].as_u64().unwrap() > 100, "{report}");
    // Three hops may add a fifth each, and each hop's floor: one a second, and what it has saved up in ten.
    let (ratio, floor) = (1.2_f64, 20.0);
    let most = ((asked * ratio + floor) * ratio + floor) * ratio + floor;
    assert!(reached <= most, "{asked} requests became {reached}, at most {most} wanted");
    assert!(reached > asked * 0.9, "they came through: {asked} requests, {reached} at the leaf");
}

/// The app works on four requests at a time, each for 40 ms: 100 a second.
const WORK: &str = "/work/40";

#[tokio::test]
async fn beyond_the_cap_requests_are_refused_at_once_and_the_others_are_served_as_before() {
    let mesh = mesh_set_up(1, "", (&[], &[("WEFT_IN_FLIGHT_LIMIT", "12")])).await;
    mesh.get("client", "app:8080", &["/"]).await;
    let peak = goodput(&at_load(&mesh, &["--clients", "10", "--pause-ms", "1"]).await);
    let overload = at_load(&mesh, &["--clients", "60", "--rate", "300"]).await;
    let kept = goodput(&overload) / peak;
    assert!(kept > 0.85, "{kept} of the peak of {peak} a second is left");
    let refused = overload["failures"].as_array().unwrap();
    assert!(refused.len() == 20 && refused.iter().all(|failure| failure.as_str().unwrap().contains("overloaded")));
    assert!(overload["slowest_ms"].as_u64().unwrap() < 3_000, "nobody waits in a line: {}", overload["slowest_ms"]);
}

/// Of six seconds.
async fn at_load(mesh: &Mesh, more: &[&str]) -> Value {
    let words: Vec<&str> = ["load", "app:8080", "--path", WORK, "--seconds", "6"].iter().chain(more).copied().collect();
    mesh.run("client", &words).await
}

fn goodput(report: &Value) -> f64 {
    let count = |name: &str| report[name].as_f64().unwrap();
    (count("requests") - count("failed_gets") - count("failed_posts")) / 6.0
}
