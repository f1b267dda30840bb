//! Against an API server that is away, and one that refuses.

use std::convert::Infallible;

use hyper::http::{Response, StatusCode};
use kube::client::Body;
use tokio::time::Instant;
use tower::service_fn;

use super::*;
use crate::check::{report, rules};

type Request = hyper::http::Request<Body>;

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_silent_ends_no_check_later_than_its_deadline() {
    let silent = service_fn(|_: Request| std::future::pending::<Result<Response<Body>, Infallible>>());
    let begin = Instant::now();
    let facts = facts(&Client::new(silent, "default"), true, None).await;
    assert!(begin.elapsed() <= 3 * DEADLINE, "{:?}", begin.elapsed());
    assert!(matches!(facts.pods, Err(Unknown::Deadline(DEADLINE))), "{:?}", facts.pods);
    assert!(facts.rights.iter().all(|right| right.allowed.is_err()));
    assert!(!report::ok(&rules::after(&facts)));
}

#[tokio::test]
async fn credentials_that_are_over_are_told_as_such() {
    for (body, told) in [(r#"{"kind": "Status", "code": 401, "message": "who are you"}"#, "who are you"), ("{}", "401")]
    {
        let refusing = service_fn(move |_: Request| async move {
            Ok::<_, Infallible>(Response::builder().status(401).body(Body::from(body.as_bytes().to_vec())).unwrap())
        });
        let facts = facts(&Client::new(refusing, "default"), false, None).await;
        let finding = &rules::after(&facts)[0];
        assert!(finding.detail.contains(told), "{finding:?}");
        assert!(finding.next.as_ref().unwrap().contains("log in again"), "{finding:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_api_servers_words() {
    let refusing = service_fn(|request: Request| async move {
        let message = format!("you may not {} {}", request.method(), request.uri().path());
        let status = serde_json::json!({"kind": "Status", "status": "Failure", "code": 403, "message": message});
        let body = Body::from(status.to_string().into_bytes());
        Ok::<_, Infallible>(Response::builder().status(StatusCode::FORBIDDEN).body(body).unwrap())
    });
    let facts = facts(&Client::new(refusing, "default"), false, None).await;
    let told = facts.nodes.unwrap_err();
    assert_eq!(told.to_string(), "you may not GET /api/v1/nodes");
    assert_eq!(told.next(), "run this as a user who has that right");
    assert!(facts.rights.is_empty(), "rights are asked for before an installation only");
}

#[test]
fn the_accounts_rights_are_those_of_the_manifests() {
    let roles = crate::install::roles().unwrap();
    assert_eq!(roles.len(), 2);
    let mut rules = roles.iter().flat_map(|role| role.0["rules"].as_array().unwrap());
    assert!(rules.all(|rule| rule["apiGroups"].as_array().unwrap().len() == 1), "{roles:?}");
    let wanted: Vec<_> = roles.iter().flat_map(account::wanted).collect();
    let has = |verb: &str, resource: &str, name: Option<&str>, namespace: Option<&str>| {
        wanted.iter().any(|one| {
            (one.verb.as_deref(), one.resource.as_deref()) == (Some(verb), Some(resource))
                && (one.name.as_deref(), one.namespace.as_deref()) == (name, namespace)
        })
    };
    assert!(has("create", "tokenreviews", None, None));
    assert!(has("patch", "mutatingwebhookconfigurations", Some("weft-injector"), None));
    assert!(has("update", "secrets", Some("weft-issuer"), Some("weft")));
    assert!(wanted.iter().any(|one| one.subresource.as_deref() == Some("status")));
}

/// An API server that lists `count` meshed pods at one path, and whose proxies of pods are silent.
async fn many(count: usize, path: &'static str, namespace: Option<&str>) -> Facts {
    let status =
        serde_json::json!([{"name": "weft-proxy", "ready": true, "image": "", "imageID": "", "restartCount": 0}]);
    let pod = move |n: usize| {
        serde_json::json!({
            "metadata": {"name": format!("a-{n}"), "namespace": "shop", "annotations": {"weft.dev/injected": "true"}},
            "status": {"initContainerStatuses": status},
        })
    };
    let items: Vec<_> = (0..count).map(pod).collect();
    let list = serde_json::json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items}).to_string();
    let server = service_fn(move |request: Request| {
        let (list, asked) = (list.clone(), request.uri().path().to_owned());
        async move {
            match asked {
                asked if asked == path => Ok::<_, Infallible>(Response::new(Body::from(list.into_bytes()))),
                asked if asked.ends_with("/proxy/metrics") => std::future::pending().await,
                _ => Ok(Response::builder().status(404).body(Body::empty()).unwrap()),
            }
        }
    });
    facts(&Client::new(server, "default"), false, namespace).await
}

#[tokio::test(start_paused = true)]
async fn proxies_that_are_all_silent_share_one_deadline() {
    let begin = Instant::now();
    let facts = many(300, "/api/v1/pods", None).await;
    assert!(begin.elapsed() <= FIGURES + DEADLINE, "{:?}", begin.elapsed());
    assert_eq!(facts.proxies.len(), PROXIES);
    assert!(facts.proxies.iter().all(|one| matches!(one.text, Err(Unknown::Deadline(_)))));
}

#[tokio::test(start_paused = true)]
async fn only_the_pods_of_the_namespace_are_asked_for() {
    let facts = many(3, "/api/v1/namespaces/shop/pods", Some("shop")).await;
    assert_eq!((facts.proxies.len(), facts.namespace.as_deref()), (3, Some("shop")));
}
