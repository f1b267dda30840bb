//! The services behind a BFF, asked in parallel.

use std::time::Duration;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::client::{Client, Failure};
use crate::discovery;
use crate::problem::Problem;
use crate::trace::TraceContext;

/// Each service has so long for a part of an answer.
const DEADLINE: Duration = Duration::from_secs(1);

/// The services.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Who buys.
    pub users: Client,
    /// What there is to buy.
    pub catalog: Client,
    /// What was bought.
    pub orders: Client,
}

/// A user, as the users service tells.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct User {
    /// From 1 on.
    pub id: i64,
    /// What the user is called.
    pub name: String,
    /// The address.
    pub email: String,
}

/// A product, as the catalog tells.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct Product {
    /// From 1 on.
    pub id: i64,
    /// What it is called.
    pub name: String,
    /// What it is.
    pub description: String,
    /// Of one piece.
    pub price_cents: i64,
}

/// An order, as orders tells.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct Order {
    /// Grows with time.
    pub id: i64,
    /// Whose it is.
    pub user_id: i64,
    /// How it was carried out.
    pub mode: String,
    /// `pending`, `completed` or `cancelled`.
    pub status: String,
    /// Why it was cancelled.
    pub reason: Option<String>,
    /// Of all items.
    pub total_cents: i64,
    /// What was ordered.
    pub items: Vec<Item>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// What was done for it so far.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// So many of one product.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct Item {
    /// Of the catalog.
    pub product_id: i64,
    /// What it was called.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// Of one piece, at that time.
    pub price_cents: i64,
}

/// A step of an order.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
pub struct Step {
    /// Such as `reserve-inventory`.
    pub name: String,
    /// `running`, `done` or `failed`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i64,
    /// What came of it, where there is something to say.
    #[serde(default)]
    pub detail: Option<String>,
    /// When it became so: milliseconds since 1970.
    pub at: i64,
}

/// A part of an answer that is not there.
#[derive(Debug, Serialize, ToSchema)]
pub struct Missing {
    /// The service that should have said it.
    pub part: &'static str,
    /// What came instead.
    pub reason: String,
}

/// What the shop shows to one user.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    /// Who it is.
    pub user: Option<User>,
    /// What that user has ordered, newest first.
    pub orders: Vec<Order>,
    /// What there is.
    pub products: Vec<Product>,
    /// What of this could not be had.
    pub missing: Vec<Missing>,
}

impl Shop {
    /// From `USERS_REST_URL`, `CATALOG_URL` and `ORDERS_URL`.
    ///
    /// # Errors
    /// A value that is no URL.
    pub fn from_env() -> anyhow::Result<Self> {
        Ok(Self {
            users: discovery::service("USERS_REST_URL", "http://users:8080")?,
            catalog: discovery::service("CATALOG_URL", "http://catalog:8080")?,
            orders: discovery::service("ORDERS_URL", "http://orders:8080")?,
        })
    }

    /// User, orders and products within a second, or what of them there is.
    ///
    /// # Errors
    /// 404 for a user whom users does not know, 503 where nobody has answered.
    pub async fn overview(&self, user: i64, trace: &TraceContext) -> Result<Overview, Problem> {
        let [users, catalog, orders] =
            [&self.users, &self.catalog, &self.orders].map(|one| one.clone().within(DEADLINE));
        let (user_path, orders_path) = (format!("/users/{user}"), format!("/orders?user_id={user}"));
        let (user, orders, products) = tokio::join!(
            users.get(&user_path, trace),
            orders.get::<Vec<Order>>(&orders_path, trace),
            catalog.get::<Vec<Product>>("/products", trace),
        );
        let mut missing = Vec::new();
        let user = match user {
            Err(failure @ Failure::Refused { status: StatusCode::NOT_FOUND, .. }) => return Err(failure.into()),
            answer => there("users", answer, &mut missing),
        };
        let mut orders = there("orders", orders, &mut missing).unwrap_or_default();
        orders.sort_by_key(|order| std::cmp::Reverse(order.id));
        let products = there("catalog", products, &mut missing).unwrap_or_default();
        if missing.len() == 3 {
            return Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "no service of the shop answers; try again soon",
            ));
        }
        Ok(Overview { user, orders, products, missing })
    }

    /// The users that one may log in as, within a second.
    ///
    /// # Errors
    /// No answer.
    pub async fn some_users(&self, trace: &TraceContext) -> Result<Vec<User>, Failure> {
        self.users.clone().within(DEADLINE).get("/users?limit=20", trace).await
    }

    /// The products, within a second.
    ///
    /// # Errors
    /// No answer.
    pub async fn products(&self, trace: &TraceContext) -> Result<Vec<Product>, Failure> {
        self.catalog.clone().within(DEADLINE).get("/products", trace).await
    }

    /// An order of `user`, within a second.
    ///
    /// # Errors
    /// 404 where it is another's; no answer.
    pub async fn order(&self, id: i64, user: i64, trace: &TraceContext) -> Result<Order, Problem> {
        let order: Order = self.orders.clone().within(DEADLINE).get(&format!("/orders/{id}"), trace).await?;
        if order.user_id != user {
            return Err(Problem::new(StatusCode::NOT_FOUND, format!("there is no order {id} of yours")));
        }
        Ok(order)
    }
}

/// What `answer` says; that it says nothing is noted in `missing`.
pub(super) fn there<T>(part: &'static str, answer: Result<T, Failure>, missing: &mut Vec<Missing>) -> Option<T> {
    answer.map_err(|failure| missing.push(Missing { part, reason: failure.to_string() })).ok()
}
