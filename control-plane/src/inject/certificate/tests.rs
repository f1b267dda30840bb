//! The keeper against a small API server.

use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::fixture::api_server::ApiServer;

const SECRETS: &str = "/api/v1/secrets";
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
/// As it is installed: nobody is believed yet.
const INSTALLED: &str = "
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: weft-injector}
webhooks:
- {name: namespace.injector.weft.dev, admissionReviewVersions: [v1], sideEffects: None, clientConfig: {service: {name: weft-control-plane, namespace: weft}}}
- {name: pod.injector.weft.dev, admissionReviewVersions: [v1], sideEffects: None, clientConfig: {service: {name: weft-control-plane, namespace: weft}}}
";
const API_SERVICES: &str = "/apis/apiregistration.k8s.io/v1/apiservices";
const DAY: Duration = Duration::from_secs(86_400);

fn installed() -> ApiServer {
    let server = ApiServer::bare();
    server.define(SECRETS);
    server.define(CONFIGURATIONS);
    server.apply(INSTALLED);
    server
}

fn keeper(server: &ApiServer) -> (Certificate, watch::Receiver<Option<Serving>>) {
    Certificate::new(server.client(), "weft", Arc::new(Metrics::new().unwrap()))
}

/// The Secret, and whom the two webhooks believe.
fn seen(server: &ApiServer) -> (Value, [Value; 2]) {
    let secret = server.object(SECRETS, "weft", SECRET).unwrap();
    let configuration = server.object(CONFIGURATIONS, "", CONFIGURATION).unwrap();
    (secret["data"].clone(), [0, 1].map(|at| configuration["webhooks"][at]["clientConfig"]["caBundle"].clone()))
}

#[tokio::test]
async fn the_first_pass_makes_a_certificate_and_tells_whom_to_believe() {
    let server = installed();
    let (mut keeper, serves) = keeper(&server);
    keeper.pass(SystemTime::now()).await.unwrap();
    assert!(serves.borrow().is_some());
    let (secret, believed) = seen(&server);
    assert_eq!(believed, [secret["ca.crt"].clone(), secret["ca.crt"].clone()]);
    let configuration = server.object(CONFIGURATIONS, "", CONFIGURATION).unwrap();
    assert_eq!(configuration["webhooks"][0]["clientConfig"]["service"]["name"], "weft-control-plane");
}

#[tokio::test]
async fn a_second_replica_serves_what_the_first_has_made() {
    let server = installed();
    let (mut first, _) = keeper(&server);
    first.pass(SystemTime::now()).await.unwrap();
    let before = seen(&server);
    let (mut second, serves) = keeper(&server);
    second.pass(SystemTime::now()).await.unwrap();
    assert!(serves.borrow().is_some());
    assert_eq!(seen(&server), before);
    assert!(!server.requests().iter().any(|request| request.starts_with("PUT")), "{:?}", server.requests());
}

#[tokio::test]
async fn of_two_replicas_that_start_at_once_one_comes_late_and_takes_the_others() {
    let server = installed();
    let now = SystemTime::now();
    let (one, other) = (keeper(&server).0, keeper(&server).0);
    let content = one.secret(now).await.unwrap();
    let late = other.object(held::fresh(&other.names, now).unwrap(), None);
    let created = other.secrets.create(&PostParams::default(), &late).await;
    assert!(matches!(created, Err(kube::Error::Api(error)) if error.code == 409));
    assert_eq!(other.secret(now).await.unwrap(), content);
}

#[tokio::test]
async fn manifests_that_are_applied_again_are_put_right() {
    let server = installed();
    let (mut keeper, _) = keeper(&server);
    keeper.pass(SystemTime::now()).await.unwrap();
    server.apply(INSTALLED);
    assert_eq!(seen(&server).1, [Value::Null, Value::Null]);
    keeper.pass(SystemTime::now()).await.unwrap();
    let (secret, believed) = seen(&server);
    assert_eq!(believed, [secret["ca.crt"].clone(), secret["ca.crt"].clone()]);
}

#[tokio::test]
async fn taps_api_service_is_told_too_where_there_is_one() {
    let server = installed();
    server.define(API_SERVICES);
    let (mut keeper, _) = keeper(&server);
    keeper.pass(SystemTime::now()).await.unwrap();
    server.apply(
        "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {name: v1alpha1.tap.weft.dev}, spec: \
         {group: tap.weft.dev, version: v1alpha1, groupPriorityMinimum: 1000, versionPriority: 100}}",
    );
    keeper.pass(SystemTime::now()).await.unwrap();
    let told = server.object(API_SERVICES, "", "v1alpha1.tap.weft.dev").unwrap();
    assert_eq!(told["spec"]["caBundle"], seen(&server).0["ca.crt"]);
    assert_eq!(told["spec"]["group"], "tap.weft.dev");
}

#[tokio::test]
async fn a_renewed_certificate_is_served_without_a_restart() {
    let server = installed();
    let (mut keeper, mut serves) = keeper(&server);
    keeper.pass(SystemTime::now()).await.unwrap();
    let (before, _) = seen(&server);
    serves.borrow_and_update();
    keeper.pass(SystemTime::now() + 61 * DAY).await.unwrap();
    let (after, believed) = seen(&server);
    assert!(serves.has_changed().unwrap());
    assert_ne!(before["tls.crt"], after["tls.crt"]);
    assert_eq!((&before["ca.crt"], &believed[0]), (&after["ca.crt"], &after["ca.crt"]));
}

#[tokio::test]
async fn a_secret_that_somebody_has_emptied_is_made_anew() {
    let server = installed();
    let (mut keeper, mut serves) = keeper(&server);
    server
        .apply("{apiVersion: v1, kind: Secret, metadata: {name: weft-webhook-certificate, namespace: weft}, data: {}}");
    keeper.pass(SystemTime::now()).await.unwrap();
    assert!(serves.borrow_and_update().is_some());
    assert!(seen(&server).0["tls.key"].is_string());
}

#[tokio::test(start_paused = true)]
async fn a_change_of_either_object_is_answered_at_once() {
    let server = installed();
    let (keeper, mut serves) = keeper(&server);
    let shutdown = Shutdown::default();
    shutdown.spawn("certificate", keeper.run(shutdown.clone()));
    serves.wait_for(Option::is_some).await.unwrap();
    let began = tokio::time::Instant::now();
    server.delete(SECRETS, "weft", SECRET);
    serves.changed().await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    shutdown.drain();
    shutdown.finished(Duration::from_secs(1)).await.unwrap();
}
