//! One customer of the shop, and what he has done.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::client::{Client, Failure};
use crate::id;
use crate::trace::TraceContext;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// Of a hundred orders so many are cancelled.
const CANCELLED: u32 = 10;
const PRODUCTS: i64 = 8;
/// Who signs new customers up.
const CLERK: i64 = 1;

/// What customers have done and what they were told.
#[derive(Debug, Default)]
pub struct Deeds {
    /// Orders that the shop has confirmed, and whether they were cancelled afterwards.
    pub orders: BTreeMap<i64, bool>,
    /// How long each took from the first try to the answer.
    pub times: Vec<Duration>,
    /// Orders and cancellations that were never answered, or refused, each with the last reason.
    pub lost: Vec<String>,
    /// Orders that came to an answer which another one had come to before.
    pub doubled: Vec<i64>,
    /// How often an order or a cancellation was tried again.
    pub retries: u64,
    /// Looks around: how many, and how many of them failed.
    pub looks: u64,
    /// Of these.
    pub failed_looks: u64,
}

/// Somebody with an account.
#[derive(Debug)]
pub struct Customer {
    /// So far.
    pub deeds: Deeds,
    edge: Client,
    password: String,
    /// Who this is, once the shop knows it.
    user: Option<i64>,
    token: Option<HeaderValue>,
}

/// What is read of an order.
#[derive(Debug, Deserialize)]
struct Order {
    id: i64,
    status: String,
}

impl Customer {
    /// A new one, whom the shop does not know yet.
    pub fn new(edge: Client, password: String) -> Self {
        Self { deeds: Deeds::default(), edge, password, user: None, token: None }
    }

    /// Browses, orders, looks at the order, and at times cancels it.
    pub async fn session(&mut self, mode: &str, patience: Duration) {
        let user = match self.known(patience).await {
            Ok(user) => user,
            Err(failure) => return self.deeds.lost.push(format!("a new customer: {failure}")),
        };
        self.look("/products").await;
        self.look(if fastrand::bool() { "/web/overview" } else { "/mobile/overview" }).await;
        let begun = Instant::now();
        let key = id::fresh();
        let (path, body) = (format!("/orders?mode={mode}"), basket(user));
        let order = match self.insist(&path, &body, &format!("order-{key}"), patience).await {
            Ok(order) => order,
            Err(reason) => return self.deeds.lost.push(format!("order: {reason}")),
        };
        self.deeds.times.push(begun.elapsed());
        if self.deeds.orders.insert(order.id, false).is_some() {
            self.deeds.doubled.push(order.id);
        }
        self.look(&format!("/orders/{}", order.id)).await;
        if order.status == "completed" && fastrand::u32(..100) < CANCELLED {
            let path = format!("/orders/{}/cancel", order.id);
            match self.insist(&path, &json!({}), &format!("cancel-{key}"), patience).await {
                Ok(_) => drop(self.deeds.orders.insert(order.id, true)),
                Err(reason) => self.deeds.lost.push(format!("cancellation of {}: {reason}", order.id)),
            }
        }
    }

    /// Who this is: whoever is new signs up first, with an account of his own.
    async fn known(&mut self, patience: Duration) -> Result<i64, Failure> {
        let end = Instant::now() + patience;
        loop {
            if let Some(user) = self.user {
                return Ok(user);
            }
            match self.sign_up().await {
                Err(failure) if Instant::now() > end => return Err(failure),
                Err(_) => sleep(PAUSE).await,
                Ok(user) => self.user = Some(user),
            }
        }
    }

    async fn sign_up(&mut self) -> Result<i64, Failure> {
        #[derive(Deserialize)]
        struct User {
            id: i64,
        }
        // An address for each try: of one whose answer was lost the shop may have made a user already.
        let body = json!({ "name": "A customer", "email": format!("customer-{}@shop.example", id::fresh()) });
        let user: User = self.ask(Method::POST, "/users", Some(&body), HeaderMap::new()).await?;
        self.token = None;
        Ok(user.id)
    }

    async fn look(&mut self, path: &str) {
        self.deeds.looks += 1;
        if self.ask::<Value>(Method::GET, path, None, HeaderMap::new()).await.is_err() {
            self.deeds.failed_looks += 1;
        }
    }

    /// Tries until there is an answer; the key sees to it that many tries are one order.
    async fn insist(&mut self, path: &str, body: &Value, key: &str, patience: Duration) -> Result<Order, String> {
        let end = Instant::now() + patience;
        let mut headers = HeaderMap::new();
        if let Ok(key) = HeaderValue::from_str(key) {
            headers.insert(HeaderName::from_static("idempotency-key"), key);
        }
        loop {
            let failure = match self.ask(Method::POST, path, Some(body), headers.clone()).await {
                Ok(order) => return Ok(order),
                Err(failure) => failure,
            };
            if is_final(&failure) || Instant::now() > end {
                return Err(failure.to_string());
            }
            self.deeds.retries += 1;
            sleep(PAUSE).await;
        }
    }

    async fn ask<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        mut headers: HeaderMap,
    ) -> Result<T, Failure> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => self.log_in().await?,
        };
        headers.insert(header::AUTHORIZATION, token);
        let request = self.edge.request(method, path)?.headers(headers);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = self.edge.read(request, &TraceContext::default()).await;
        if matches!(answer, Err(Failure::Refused { status: StatusCode::UNAUTHORIZED, .. })) {
            self.token = None;
        }
        answer
    }

    async fn log_in(&mut self) -> Result<HeaderValue, Failure> {
        #[derive(Deserialize)]
        struct Login {
            token: String,
        }
        let body = json!({ "user_id": self.user.unwrap_or(CLERK), "password": self.password });
        let login: Login = self.edge.post("/login", &body, HeaderMap::new(), &TraceContext::default()).await?;
        let token = HeaderValue::from_str(&format!("Bearer {}", login.token));
        let token = token.unwrap_or_else(|_| HeaderValue::from_static("Bearer"));
        self.token = Some(token.clone());
        Ok(token)
    }
}

/// One or two products.
fn basket(user: i64) -> Value {
    let first = fastrand::i64(1..=PRODUCTS);
    let item = |product: i64| json!({ "product_id": product, "quantity": fastrand::i64(1..=2) });
    let mut items = vec![item(first)];
    if fastrand::bool() {
        items.push(item(first % PRODUCTS + 1));
    }
    json!({ "user_id": user, "items": items })
}

impl Deeds {
    /// Of two customers.
    pub fn add(&mut self, other: Self) {
        for (id, is_cancelled) in other.orders {
            if self.orders.insert(id, is_cancelled).is_some() {
                self.doubled.push(id);
            }
        }
        self.times.extend(other.times);
        self.lost.extend(other.lost);
        self.doubled.extend(other.doubled);
        self.retries += other.retries;
        self.looks += other.looks;
        self.failed_looks += other.failed_looks;
    }
}

/// Whether to ask again is of no use.
fn is_final(failure: &Failure) -> bool {
    use StatusCode as S;
    let may_pass = [S::UNAUTHORIZED, S::REQUEST_TIMEOUT, S::CONFLICT, S::TOO_EARLY, S::TOO_MANY_REQUESTS];
    matches!(failure, Failure::Refused { status, .. } if status.is_client_error() && !may_pass.contains(status))
}
