//! Calls to another service over REST: JSON both ways, a deadline, the trace passed on, problems read back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode};
use reqwest::{RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::problem::Problem;
use crate::trace::TraceContext;

const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(10);

/// A client of one REST service. A clone shares its connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    place: Place,
    deadline: Duration,
}

/// Where a service is.
#[derive(Clone, Debug)]
enum Place {
    /// At one URL; who answers there is not this client's concern.
    At(Url),
    /// At each of these; calls take turns.
    Among { name: String, instances: watch::Receiver<Vec<Url>>, turn: Arc<AtomicUsize>, _watching: Arc<JoinSet<()>> },
}

/// Why a call brought no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The service answered with an error.
    #[error("{url} answered {}: {detail}", status.as_u16())]
    Refused {
        /// What was asked.
        url: String,
        /// The status of the answer.
        status: StatusCode,
        /// The problem's detail, or the start of another body.
        detail: String,
    },
    /// The deadline passed first.
    #[error("{url} did not answer within {deadline:?}")]
    Late {
        /// What was asked.
        url: String,
        /// How long was waited.
        deadline: Duration,
    },
    /// No connection, or one that broke.
    #[error("{url} cannot be reached")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What the connection says.
        #[source]
        source: reqwest::Error,
    },
    /// Nobody is known to be there.
    #[error("no instance of {service} is known just now")]
    Nobody {
        /// Who was asked for.
        service: String,
    },
    /// An answer that is not the JSON that was expected.
    #[error("{url} answered what is not the JSON that was expected")]
    Unreadable {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

impl Client {
    /// A client of the service at `base`, such as `http://catalog:8080`; connects when it is first asked.
    ///
    /// # Errors
    /// A text that is no `http:` URL.
    pub fn new(base: &str) -> anyhow::Result<Self> {
        let url = Url::parse(base).ok().filter(|url| url.scheme() == "http" && url.has_host());
        let base = url.ok_or_else(|| anyhow::anyhow!("{base:?} is not a URL such as http://catalog:8080"))?;
        Ok(Self { http: http(), place: Place::At(base), deadline: DEADLINE })
    }

    /// A client of whichever `instances` of the service `name` there are; `watching` keeps that list true.
    #[must_use]
    pub fn among(name: &str, instances: watch::Receiver<Vec<Url>>, watching: JoinSet<()>) -> Self {
        let turn = Arc::new(AtomicUsize::new(fastrand::usize(..)));
        let place = Place::Among { name: name.to_owned(), instances, turn, _watching: Arc::new(watching) };
        Self { http: http(), place, deadline: DEADLINE }
    }

    /// The same client with another deadline for each call (10 s where nothing is said), connecting included.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Asks for what is at `path`, which may have a query.
    ///
    /// # Errors
    /// An answer of another status than 2xx, or none.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, trace: &TraceContext) -> Result<T, Failure> {
        self.read(self.request(Method::GET, path)?, trace).await
    }

    /// Sends `body` as JSON, with `headers` beside.
    ///
    /// # Errors
    /// An answer of another status than 2xx, or none.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        headers: HeaderMap,
        trace: &TraceContext,
    ) -> Result<T, Failure> {
        self.read(self.request(Method::POST, path)?.headers(headers).json(body), trace).await
    }

    /// A request to `path` of this service with its deadline, for calls that are not JSON both ways.
    ///
    /// # Errors
    /// [`Failure::Refused`] with a 400 for a path that makes no URL of this service.
    pub fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        let base = self.choose()?;
        let url = base.join(path).ok().filter(|url| url.authority() == base.authority());
        let url = url.ok_or_else(|| Failure::Refused {
            url: base.to_string(),
            status: StatusCode::BAD_REQUEST,
            detail: format!("{path:?} is no path"),
        })?;
        Ok(self.http.request(method, url).timeout(self.deadline))
    }

    /// Sends what [`Self::request`] has made, with the trace, and gives the answer whatever its status is.
    ///
    /// # Errors
    /// No answer within the deadline.
    pub async fn send(&self, request: RequestBuilder, trace: &TraceContext) -> Result<Response, Failure> {
        request.headers(trace.headers()).send().await.map_err(|error| self.unanswered(error))
    }

    /// Sends what [`Self::request`] has made, and reads the answer as JSON.
    ///
    /// # Errors
    /// An answer of another status than 2xx, or none.
    pub async fn read<T: DeserializeOwned>(&self, request: RequestBuilder, trace: &TraceContext) -> Result<T, Failure> {
        let (url, body) = self.body(request, trace).await?;
        serde_json::from_slice(&body).map_err(|source| Failure::Unreadable { url, source })
    }

    /// Sends what [`Self::request`] has made, and reads no more of the answer than that it is a good one.
    ///
    /// # Errors
    /// An answer of another status than 2xx, or none.
    pub async fn done(&self, request: RequestBuilder, trace: &TraceContext) -> Result<(), Failure> {
        self.body(request, trace).await.map(|_| ())
    }

    async fn body(&self, request: RequestBuilder, trace: &TraceContext) -> Result<(String, Bytes), Failure> {
        let answer = self.send(request, trace).await?;
        let (url, status) = (answer.url().to_string(), answer.status());
        let body = answer.bytes().await.map_err(|error| self.unanswered(error))?;
        if !status.is_success() {
            return Err(Failure::Refused { url, status, detail: detail(&body) });
        }
        Ok((url, body))
    }

    fn choose(&self) -> Result<Url, Failure> {
        match &self.place {
            Place::At(url) => Ok(url.clone()),
            Place::Among { name, instances, turn, .. } => {
                let instances = instances.borrow();
                let turn = turn.fetch_add(1, Ordering::Relaxed).checked_rem(instances.len());
                let chosen = turn.and_then(|turn| instances.get(turn)).cloned();
                chosen.ok_or_else(|| Failure::Nobody { service: name.clone() })
            }
        }
    }

    fn unanswered(&self, error: reqwest::Error) -> Failure {
        let url = error.url().map(Url::to_string).unwrap_or_default();
        if error.is_timeout() && !error.is_connect() {
            return Failure::Late { url, deadline: self.deadline };
        }
        Failure::Unreachable { url, source: error.without_url() }
    }
}

#[expect(clippy::expect_used, reason = "without TLS and a resolver of its own, there is nothing that can fail")]
fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().connect_timeout(CONNECT_DEADLINE).no_proxy();
    builder.redirect(reqwest::redirect::Policy::none()).build().expect("a client of plain HTTP")
}

impl From<Failure> for Problem {
    /// As a service tells its own client of it: what is the client's fault stays so, the rest is a gateway's error.
    fn from(failure: Failure) -> Self {
        let status = match failure {
            Failure::Refused { status, .. } if status.is_client_error() => status,
            Failure::Refused { status: StatusCode::SERVICE_UNAVAILABLE, .. }
            | Failure::Unreachable { .. }
            | Failure::Nobody { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Late { .. } => StatusCode::GATEWAY_TIMEOUT,
            Failure::Refused { .. } | Failure::Unreadable { .. } => StatusCode::BAD_GATEWAY,
        };
        Self::new(status, failure.to_string())
    }
}

/// What a body says: the `detail` of a problem, else its first 200 characters.
fn detail(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Told {
        detail: String,
    }
    match serde_json::from_slice::<Told>(body) {
        Ok(problem) => problem.detail,
        Err(_) => String::from_utf8_lossy(body).chars().take(200).collect(),
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use axum::{Json, Router};
    use serde_json::{Value, json};

    use super::*;

    /// Runs `test` with a client of `router`.
    async fn with(router: Router, test: impl AsyncFnOnce(Client)) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = Client::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::select! {
            _ = axum::serve(listener, router) => {}
            () = test(client) => {}
        }
    }

    #[tokio::test]
    async fn json_goes_both_ways_and_the_trace_goes_with_it() {
        let echo = async |headers: HeaderMap, Json(body): Json<Value>| {
            Json(json!([body, headers["traceparent"].to_str().unwrap(), headers["idempotency-key"].to_str().unwrap()]))
        };
        with(Router::new().route("/echo", post(echo)), async |client| {
            let trace = TraceContext::of(
                &[("traceparent".parse().unwrap(), "00-a-b-01".parse().unwrap())].into_iter().collect(),
            );
            let headers = [("idempotency-key".parse().unwrap(), "k1".parse().unwrap())].into_iter().collect();
            let answer: Value = client.post("/echo", &json!({ "id": 7 }), headers, &trace).await.unwrap();
            assert_eq!(answer, json!([{ "id": 7 }, "00-a-b-01", "k1"]));
        })
        .await;
    }

    #[tokio::test]
    async fn a_problem_is_read_back() {
        let refuse = async || Problem::new(StatusCode::CONFLICT, "it is taken");
        with(Router::new().route("/taken", get(refuse)), async |client| {
            let failure = client.get::<Value>("/taken", &TraceContext::default()).await.unwrap_err();
            assert!(failure.to_string().ends_with("/taken answered 409: it is taken"), "{failure}");
        })
        .await;
    }

    #[tokio::test]
    async fn a_call_has_a_deadline() {
        let sleep = async || tokio::time::sleep(Duration::from_secs(60)).await;
        with(Router::new().route("/slow", get(sleep)), async |client| {
            let client = client.within(Duration::from_millis(20));
            let failure = client.get::<Value>("/slow", &TraceContext::default()).await.unwrap_err();
            assert!(matches!(failure, Failure::Late { .. }), "{failure:?}");
        })
        .await;
    }

    #[tokio::test]
    async fn nobody_there_is_unreachable() {
        let client = Client::new("http://127.0.0.1:1").unwrap();
        let failure = client.get::<Value>("/", &TraceContext::default()).await.unwrap_err();
        assert!(matches!(failure, Failure::Unreachable { .. }), "{failure:?}");
    }

    #[test]
    fn a_path_does_not_lead_to_another_service() {
        let client = Client::new("http://users:8080").unwrap();
        assert!(client.request(Method::GET, "//elsewhere/users").is_err());
        assert!(client.request(Method::GET, "http://elsewhere/").is_err());
        assert!(Client::new("https://users").is_err());
    }
}
