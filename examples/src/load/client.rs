//! Sends one call and reads its answer to the end.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, StatusCode, header};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Builder};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::Call;

const DEADLINE: Duration = Duration::from_secs(5);
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// A client of both services, with a pool of HTTP/1.1 connections to each.
#[derive(Debug)]
pub struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    users: String,
    orders: String,
}

/// Why a call failed, as its client sees it.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// An answer that blames the server.
    #[error("answered {0}")]
    Status(StatusCode),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The URL and the call make no request.
    #[error("cannot be asked: {0}")]
    Request(#[from] hyper::http::Error),
    /// No connection, or one that broke before the answer began.
    #[error("no answer: {}", chain(.0))]
    Send(#[from] legacy::Error),
    /// The answer broke off.
    #[error("the answer broke off: {}", chain(.0))]
    Body(#[from] hyper::Error),
    /// Not sent, since too many calls wait for their answers.
    #[error("not sent: {most} calls wait for their answers")]
    TooMany {
        /// The limit.
        most: usize,
    },
}

impl Client {
    /// The services' URLs, without a slash at their end.
    #[must_use]
    pub fn new(users: String, orders: String) -> Self {
        let http = Builder::new(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .build(HttpConnector::new());
        Self { http, users, orders }
    }

    /// Sends `call`; an answer below 500 is a success.
    ///
    /// # Errors
    /// No whole answer within 5 s, or one of 500 and above.
    pub async fn send(&self, call: Call) -> Result<StatusCode, CallError> {
        let request = self.request(call)?;
        let exchange = async {
            let answer = self.http.request(request).await?;
            let status = answer.status();
            answer.into_body().collect().await?;
            Ok::<_, CallError>(status)
        };
        match timeout(DEADLINE, exchange).await.map_err(|_| CallError::Deadline(DEADLINE))?? {
            status if status.is_server_error() => Err(CallError::Status(status)),
            status => Ok(status),
        }
    }

    fn request(&self, call: Call) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let read = |url: String| Request::get(url).body(Full::default());
        match call {
            Call::ListUsers => read(format!("{}/users?limit=20", self.users)),
            Call::FindUser(id) => read(format!("{}/users/{id}", self.users)),
            Call::ListOrders => read(format!("{}/orders?limit=20", self.orders)),
            Call::FindOrder => read(format!("{}/orders/1", self.orders)),
            Call::CreateOrder(number) => {
                let order = serde_json::json!({ "user_id": number % 3 + 1, "item": format!("lot {number}") });
                Request::post(format!("{}/orders", self.orders))
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Full::from(order.to_string()))
            }
        }
    }
}

/// An error and its causes, since hyper's own text names the last step only.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
