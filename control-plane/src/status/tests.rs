use serde_json::json;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;
use weft_certs::SpiffeId;

use super::*;
use crate::{
    fixture::{
        api_server::{ApiServer, POLICIES, ROUTES},
        mesh, objects,
    },
    identity::{Authority, AuthoritySettings},
    registry::Event,
    serve::HubSettings,
};

fn at(second: i64) -> Time {
    Time(Timestamp::from_second(second).unwrap())
}

fn services() -> Services {
    let target = |is_headless, port| RouteTarget { is_headless, ports: [port].into() };
    [("users", target(false, 80)), ("orders", target(false, 81)), ("pods", target(true, 80))]
        .map(|(name, target)| (ServiceName::new("shop", name).unwrap(), target))
        .into()
}

/// A route for the Service users with these parts.
fn route(parent: &str, rules: &str) -> Value {
    let yaml = format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: r, namespace: shop, generation: 7}}\n\
         spec:\n  parentRefs: [{{group: '', kind: Service, name: users{parent}}}]\n  rules: {rules}\n"
    );
    serde_yaml_ng::from_str(&yaml).unwrap()
}

const TO_USERS: &str = "{backendRefs: [{name: users, port: 80}]}";

/// `Accepted/Accepted/True` of the first parent.
fn said(object: &Value) -> Vec<String> {
    let status = route::status(object, &services(), &at(0)).unwrap();
    let conditions = status["parents"][0]["conditions"].as_array().unwrap();
    let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
    conditions.iter().map(|one| ["type", "reason", "status"].map(|field| text(one, field)).join("/")).collect()
}

const ACCEPTED: &str = "Accepted/Accepted/True";
const RESOLVED: &str = "ResolvedRefs/ResolvedRefs/True";

#[test]
fn a_route_is_told_what_has_become_of_it_in_the_gateway_apis_words() {
    for (parent, rules, wanted) in [
        ("", TO_USERS, &[ACCEPTED, RESOLVED][..]),
        (", port: 80", TO_USERS, &[ACCEPTED, RESOLVED]),
        (", port: 81", TO_USERS, &["Accepted/NoMatchingParent/False", RESOLVED]),
        (", sectionName: http", TO_USERS, &["Accepted/UnsupportedValue/False", RESOLVED]),
        (", namespace: bank", TO_USERS, &["Accepted/NoMatchingParent/False", RESOLVED]),
        ("", "{filters: [{type: RequestMirror}]}", &["Accepted/UnsupportedValue/False", RESOLVED]),
        ("", "{backendRefs: [{name: gone, port: 80}]}", &[ACCEPTED, "ResolvedRefs/BackendNotFound/False"]),
        ("", "{backendRefs: [{name: users, port: 9}]}", &[ACCEPTED, "ResolvedRefs/BackendNotFound/False"]),
        (
            "",
            "{backendRefs: [{name: users, port: 80, kind: Bucket, group: x}]}",
            &[ACCEPTED, "ResolvedRefs/InvalidKind/False"],
        ),
        (
            "",
            "{backendRefs: [{name: users, port: 80, namespace: bank}]}",
            &[ACCEPTED, "ResolvedRefs/RefNotPermitted/False"],
        ),
    ] {
        assert_eq!(said(&route(parent, &format!("[{rules}]"))), wanted, "{parent} {rules}");
    }
    let mut headless = route("", &format!("[{TO_USERS}]"));
    headless["spec"]["parentRefs"][0]["name"] = "pods".into();
    assert_eq!(said(&headless), ["Accepted/UnsupportedValue/False", RESOLVED]);
    let partly = route("", &format!("[{TO_USERS}, {{filters: [{{type: RequestMirror}}]}}]"));
    assert_eq!(said(&partly), [ACCEPTED, "PartiallyInvalid/UnsupportedValue/True", RESOLVED]);
}

#[test]
fn what_others_say_of_a_route_stays_and_what_is_said_already_is_not_said_again() {
    let mut object = route("", &format!("[{TO_USERS}]"));
    let other = json!({"parentRef": {"name": "edge"}, "controllerName": "example.com/gateway", "conditions": []});
    object["status"]["parents"] = json!([other]);
    let status = route::status(&object, &services(), &at(0)).unwrap();
    assert_eq!(status["parents"][0], other);
    assert_eq!(status["parents"][1]["controllerName"], CONTROLLER);
    assert_eq!(status["parents"][1]["conditions"][0]["observedGeneration"], 7);

    object["status"] = status;
    object["status"]["parents"].as_array_mut().unwrap().reverse();
    assert_eq!(route::status(&object, &services(), &at(60)), None, "the order is nobody's");
    object["metadata"]["generation"] = 8.into();
    let later = route::status(&object, &services(), &at(60)).unwrap();
    let times = |at: usize| later["parents"][1]["conditions"][at]["lastTransitionTime"].clone();
    assert_eq!(times(0), "1970-01-01T00:00:00Z", "what holds has held since");
    object["status"] = later;
    let changed = route::status(&object, &Services::new(), &at(90)).unwrap();
    assert_eq!(changed["parents"][1]["conditions"][0]["lastTransitionTime"], "1970-01-01T00:01:30Z");

    object["spec"]["parentRefs"] = json!([{"name": "edge"}]);
    let left = route::status(&object, &services(), &at(90)).unwrap();
    assert_eq!(left["parents"], json!([other]), "a parent that is gone is not spoken of any more");
}

#[test]
fn a_policy_is_told_whether_it_is_enforced() {
    let policy = |spec: &str| -> Value {
        serde_yaml_ng::from_str(&format!("metadata: {{name: p, namespace: shop, generation: 1}}\nspec: {spec}\n"))
            .unwrap()
    };
    let said = |object: &Value| policy::status(object, &at(0)).unwrap()["conditions"][0].clone();
    assert_eq!(said(&policy("{mode: mtls}"))["status"], "True");
    let bad = said(&policy("{allowedClients: [shop]}"));
    assert_eq!((&bad["status"], &bad["reason"]), (&"False".into(), &"Invalid".into()));
    assert!(bad["message"].as_str().unwrap().starts_with("spec.allowedClients[0] is not a"), "{bad}");
    let mut settled = policy("{mode: mtls}");
    settled["status"] = policy::status(&settled, &at(0)).unwrap();
    assert_eq!(policy::status(&settled, &at(9)), None);
}

const OBJECTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: users, namespace: shop}
spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r, namespace: shop, generation: 1}
spec:
  parentRefs: [{group: '', kind: Service, name: users}]
  rules: [{backendRefs: [{name: users, port: 80}, {name: later, port: 80}]}]
---
apiVersion: weft.dev/v1
kind: InboundPolicy
metadata: {name: p, namespace: shop, generation: 1}
spec: {mode: mtls}
";

fn hub(metrics: &Arc<Metrics>) -> Arc<Hub> {
    let folder = tempfile::TempDir::new().unwrap();
    let identity = SpiffeId::control_plane("cluster.local", "weft").unwrap();
    let (leaf_lifetime, issuer_lifetime) = (Duration::from_secs(60), Duration::from_secs(3600));
    let settings = AuthoritySettings { identity, leaf_lifetime, issuer_lifetime };
    let trust = Authority::in_folder(settings, folder.path()).unwrap().trust().borrow().clone();
    let hub = Hub::new(HubSettings { mesh: mesh(), trust, max_subscriptions: 1 }, metrics.clone());
    hub.change(vec![Event::Reset(objects(OBJECTS))]);
    hub
}

fn patches(server: &ApiServer) -> usize {
    server.requests().iter().filter(|one| one.starts_with("PATCH")).count()
}

#[tokio::test(start_paused = true)]
async fn the_holder_of_the_lease_writes_what_differs_and_then_rests() {
    let server = ApiServer::with(OBJECTS);
    let (held, holds_lease) = watch::channel(false);
    let metrics = Arc::new(Metrics::new().unwrap());
    let hub = hub(&metrics);
    let cluster = Cluster { client: server.client(), holds_lease };
    let stop = CancellationToken::new();
    TaskTracker::new().spawn(StatusWriter::new(cluster, hub.clone(), metrics).run(stop.clone()));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(patches(&server), 0, "another writes");

    held.send_replace(true);
    let reason = |kind: &str, name: &str| {
        let object = server.object(kind, "shop", name).unwrap();
        let conditions = if kind == ROUTES { &object["status"]["parents"][0] } else { &object["status"] };
        conditions["conditions"].as_array().and_then(|all| all.last().cloned()).map(|one| one["reason"].clone())
    };
    let until = async |kind, name, wanted: &str| {
        while reason(kind, name) != Some(wanted.into()) {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let limit = Duration::from_secs(10);
    timeout(limit, until(ROUTES, "r", "BackendNotFound")).await.unwrap();
    timeout(limit, until(POLICIES, "p", "Accepted")).await.unwrap();
    let later = OBJECTS.replace("users, namespace: shop}", "later, namespace: shop}");
    hub.change(objects(later.split("---").next().unwrap()).into_iter().map(Event::Apply).collect());
    timeout(limit, until(ROUTES, "r", "ResolvedRefs")).await.unwrap();
    let written = patches(&server);
    sleep(Duration::from_secs(600)).await;
    assert_eq!((written, patches(&server)), (3, 3), "a settled cluster is not written to");
    stop.cancel();
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_not_taken_is_tried_ever_more_seldom() {
    let route = |at: usize| OBJECTS.split("---").nth(1).unwrap().replace("name: r,", &format!("name: r{at},"));
    let routes: Vec<String> = (0..30).map(route).collect();
    let server = ApiServer::with(&(OBJECTS.to_owned() + "---" + &routes.join("---")));
    server.forbid("PATCH /apis/gateway.networking.k8s.io/");
    let metrics = Arc::new(Metrics::new().unwrap());
    let (_held, holds_lease) = watch::channel(true);
    let (cluster, stop) = (Cluster { client: server.client(), holds_lease }, CancellationToken::new());
    TaskTracker::new().spawn(StatusWriter::new(cluster, hub(&metrics), metrics).run(stop.clone()));
    sleep(Duration::from_secs(600)).await;
    let written = patches(&server);
    assert!((4..10).contains(&written), "{written} in ten minutes");
    assert!(!server.object(POLICIES, "shop", "p").unwrap()["status"].is_null(), "policies are another kind");
    stop.cancel();
}
