//! Probes of a fake app on loopback.

use std::net::Ipv4Addr;

use ::http::{Request, Response, header};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{Code, Status};
use weft_api::health::{
    HealthCheckRequest, HealthCheckResponse,
    health_server::{Health, HealthServer},
};

use super::*;

/// An app that answers by path, and what it has been asked.
struct App {
    port: u16,
    asked: Arc<Mutex<Vec<Request<()>>>>,
    _tasks: JoinSet<()>,
}

async fn app(answer: impl Fn(&str) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static) -> App {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (heard, mut tasks) = (asked.clone(), JoinSet::new());
    tasks.spawn(async move {
        loop {
            let (io, _) = listener.accept().await.unwrap();
            let service = service_fn(|request: Request<Incoming>| {
                let given = answer(request.uri().path());
                heard.lock().unwrap().push(request.map(drop));
                async { Ok::<_, std::convert::Infallible>(given) }
            });
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
        }
    });
    App { port, asked, _tasks: tasks }
}

fn status(code: u16) -> Response<Full<Bytes>> {
    Response::builder().status(code).body(Full::default()).unwrap()
}

fn leads_to(location: &str) -> Response<Full<Bytes>> {
    Response::builder().status(302).header(header::LOCATION, location).body(Full::default()).unwrap()
}

/// A pod whose container has this as its liveness probe.
fn probes(probe: &str) -> Probes {
    let defined = serde_json::from_str(&format!(r#"{{"app":{{"liveness":{probe}}}}}"#)).unwrap();
    Probes::new(&defined, &[Ipv4Addr::LOCALHOST.into()])
}

async fn get(port: u16, path: &str) -> Verdict {
    let probe = format!(r#"{{"httpGet":{{"path":"{path}","port":{port}}}}}"#);
    probes(&probe).ask("app/liveness", None).await.unwrap()
}

#[tokio::test]
async fn statuses_count_as_the_kubelet_counts_them() {
    let app = app(|path| status(path.trim_start_matches('/').parse().unwrap())).await;
    for good in [200, 204, 301, 399] {
        assert!(get(app.port, &format!("/{good}")).await.is_ok(), "{good}");
    }
    for bad in [400, 404, 500, 503] {
        let error = get(app.port, &format!("/{bad}")).await.unwrap_err();
        assert!(matches!(*error, ProbeError::Status { status } if status == bad), "{error}");
    }
}

#[tokio::test]
async fn redirects_are_followed_on_the_pod_and_nowhere_else() {
    let app = app(|path| match path {
        "/absolute" => leads_to("/broken"),
        "/folder/relative" => leads_to("fine"),
        "/elsewhere" => leads_to("http://192.0.2.1/broken"),
        "/circle" => leads_to("/circle"),
        "/folder/fine" => status(200),
        _ => status(500),
    })
    .await;
    assert!(get(app.port, "/absolute").await.is_err());
    assert!(get(app.port, "/folder/relative").await.is_ok());
    assert!(get(app.port, "/elsewhere").await.is_ok(), "the answer counts as it stands");
    assert!(matches!(*get(app.port, "/circle").await.unwrap_err(), ProbeError::Redirects));
}

#[tokio::test]
async fn fields_and_the_kubelets_agent_reach_the_app() {
    let app = app(|_| status(200)).await;
    let probe = format!(
        r#"{{"httpGet":{{"path":"/live?x=1","port":{},"httpHeaders":[{{"name":"Host","value":"users.example"}},{{"name":"X-Key","value":"1"}}]}}}}"#,
        app.port
    );
    probes(&probe).ask("app/liveness", Some(HeaderValue::from_static("kube-probe/1.34"))).await.unwrap().unwrap();
    let asked = app.asked.lock().unwrap();
    let (uri, fields) = (asked[0].uri(), asked[0].headers());
    assert_eq!(
        (uri.to_string().as_str(), &fields["host"], &fields["x-key"]),
        ("/live?x=1", &HeaderValue::from_static("users.example"), &HeaderValue::from_static("1"))
    );
    assert_eq!(fields["user-agent"], "kube-probe/1.34");
}

#[tokio::test]
async fn a_dead_app_fails_every_kind_of_probe() {
    let port = {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        listener.local_addr().unwrap().port()
    };
    for action in ["tcpSocket", "grpc", "httpGet"] {
        let probe = format!(r#"{{"{action}":{{"port":{port},"path":"/"}}}}"#);
        let error = probes(&probe).ask("app/liveness", None).await.unwrap().unwrap_err();
        assert!(matches!(*error, ProbeError::Connect { .. }), "{action}: {error}");
    }
}

#[tokio::test]
async fn an_app_that_accepts_and_stays_silent_fails_at_the_probes_own_limit() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(probes(&format!(r#"{{"tcpSocket":{{"port":{port}}}}}"#)).ask("app/liveness", None).await.unwrap().is_ok());
    for action in ["grpc", "httpGet"] {
        let probe = format!(r#"{{"{action}":{{"port":{port},"path":"/"}},"timeoutSeconds":1}}"#);
        let error = probes(&probe).ask("app/liveness", None).await.unwrap().unwrap_err();
        assert!(matches!(*error, ProbeError::Deadline { .. }), "{action}: {error}");
    }
}

#[tokio::test]
async fn many_who_ask_at_once_make_one_try() {
    let app = app(|_| status(200)).await;
    let probe = format!(r#"{{"httpGet":{{"path":"/","port":{}}}}}"#, app.port);
    let probes = probes(&probe);
    let all = (0..50).map(|_| probes.ask("app/liveness", None));
    let verdicts = futures_util::future::join_all(all).await;
    assert!(verdicts.into_iter().all(|verdict| verdict.unwrap().is_ok()));
    assert_eq!(app.asked.lock().unwrap().len(), 1);
    probes.ask("app/liveness", None).await.unwrap().unwrap();
    assert_eq!(app.asked.lock().unwrap().len(), 2, "the next one is a try of its own");
}

#[tokio::test]
async fn https_is_spoken_whoever_has_signed() {
    let now = std::time::SystemTime::now();
    let validity = weft_certs::Validity::lasting(now, Duration::from_secs(3600));
    let authority = weft_certs::ServingAuthority::generate(validity).unwrap();
    let leaf = authority.issue(&["elsewhere.example".to_owned()], validity).unwrap();
    let config = weft_certs::Serving::from_pem(&leaf.certificate_pem, &leaf.key_pem).unwrap().server();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let io = tokio_rustls::TlsAcceptor::from(config).accept(listener.accept().await.unwrap().0).await.unwrap();
        let service = service_fn(|_: Request<Incoming>| async { Ok::<_, std::convert::Infallible>(status(200)) });
        let _ended = http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
    });
    let probe = format!(r#"{{"httpGet":{{"path":"/","port":{port},"scheme":"HTTPS"}}}}"#);
    probes(&probe).ask("app/liveness", None).await.unwrap().unwrap();
}

/// Serves one service, and knows of another.
struct Healthy;

#[tonic::async_trait]
impl Health for Healthy {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, Status> {
        match request.into_inner().service.as_str() {
            "users" => Ok(HealthCheckResponse { status: 1 }.into()),
            "orders" => Ok(HealthCheckResponse { status: 2 }.into()),
            _ => Err(Status::new(Code::NotFound, "no such service")),
        }
    }
}

#[tokio::test]
async fn a_grpc_probe_asks_for_the_health_of_its_service() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = JoinSet::new();
    server.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((io, _)) = listener.accept().await {
            let health = TowerToHyperService::new(HealthServer::new(Healthy));
            connections.spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), health));
        }
    });
    let ask = async |service: &str| {
        let probe = format!(r#"{{"grpc":{{"port":{port},"service":"{service}"}}}}"#);
        probes(&probe).ask("app/liveness", None).await.unwrap()
    };
    assert!(ask("users").await.is_ok());
    assert!(matches!(*ask("orders").await.unwrap_err(), ProbeError::NotServing { status: "NOT_SERVING" }));
    assert!(matches!(*ask("nobody").await.unwrap_err(), ProbeError::Grpc(_)));
}
