//! The other services as orders sees them: users and catalog are asked before an order is made, inventory and payments
//! carry it out.

use std::time::Duration;

use anyhow::Context;
use axum::http::StatusCode;
use serde::Deserialize;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::order::{Item, NewItem, Order, Step};
use crate::client::{self, Client};
use crate::proto::inventory_service_client::InventoryServiceClient;
use crate::proto::participant_client::ParticipantClient;
use crate::proto::payment_service_client::PaymentServiceClient;
use crate::proto::prepare_request::Work;
use crate::proto::user_service_client::UserServiceClient;
use crate::proto::{self, GetUserRequest};
use crate::settings;
use crate::trace::TraceContext;

const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// For each call, connecting included.
const DEADLINE: Duration = Duration::from_secs(2);

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The service said no, and would say so again.
    #[error("{0}")]
    Refused(String),
    /// Whether it has happened is not known: it may have, or may yet.
    #[error("{0}")]
    NoAnswer(String),
}

/// Clients of the four; each connects when it is first asked.
#[derive(Clone, Debug)]
pub struct Partners {
    users: UserServiceClient<Channel>,
    catalog: Client,
    inventory: Channel,
    payments: Channel,
}

/// Where the four are.
#[derive(Clone, Debug)]
pub struct Urls {
    /// gRPC.
    pub users: String,
    /// REST.
    pub catalog: String,
    /// gRPC.
    pub inventory: String,
    /// gRPC.
    pub payments: String,
}

/// What the catalog says of a product, as far as orders wants to know.
#[derive(Deserialize)]
struct Product {
    name: String,
    price_cents: i64,
}

impl Urls {
    /// `USERS_URL` (`http://users:9090`), `CATALOG_URL` (`http://catalog:8080`), `INVENTORY_URL` and `PAYMENTS_URL`
    /// (`http://inventory:9090`, `http://payments:9090`).
    ///
    /// # Errors
    /// A value that is no text.
    pub fn from_env() -> anyhow::Result<Self> {
        let url = |name, default: &str| settings::parsed(name, default.to_owned(), "a URL");
        Ok(Self {
            users: url("USERS_URL", "http://users:9090")?,
            catalog: url("CATALOG_URL", "http://catalog:8080")?,
            inventory: url("INVENTORY_URL", "http://inventory:9090")?,
            payments: url("PAYMENTS_URL", "http://payments:9090")?,
        })
    }
}

impl Partners {
    /// Clients of the services at these URLs.
    ///
    /// # Errors
    /// A text that is no URL.
    pub fn new(urls: &Urls) -> anyhow::Result<Self> {
        Ok(Self {
            users: UserServiceClient::new(channel(&urls.users)?),
            catalog: Client::new(&urls.catalog)?.within(DEADLINE),
            inventory: channel(&urls.inventory)?,
            payments: channel(&urls.payments)?,
        })
    }

    /// The name of a user.
    ///
    /// # Errors
    /// A user that is not known, or no answer.
    pub async fn user_name(&self, id: i64, trace: &TraceContext) -> Result<String, Failure> {
        let answer = self.users.clone().get_user(request(GetUserRequest { id }, trace)).await;
        Ok(said("users", answer)?.name)
    }

    /// A product with the catalog's name and price.
    ///
    /// # Errors
    /// A product that is not known, or no answer.
    pub async fn price(&self, new: &NewItem, trace: &TraceContext) -> Result<Item, Failure> {
        let NewItem { product_id, quantity } = *new;
        let Product { name, price_cents } =
            self.catalog.get(&format!("/products/{product_id}"), trace).await.map_err(|failure| match failure {
                client::Failure::Refused { status: StatusCode::NOT_FOUND, detail, .. } => Failure::Refused(detail),
                other => Failure::NoAnswer(format!("catalog: {other}")),
            })?;
        Ok(Item { product_id, name, quantity, price_cents })
    }

    /// Sets the order's items aside.
    ///
    /// # Errors
    /// Too few of them, an order that was released, or no answer.
    pub async fn reserve(&self, order: &Order, trace: &TraceContext) -> Result<(), Failure> {
        let body = proto::ReserveRequest { order_id: order.id, items: items(order) };
        let answer = InventoryServiceClient::new(self.inventory.clone()).reserve(request(body, trace)).await;
        said("inventory", answer).map(drop)
    }

    /// Gives the order's items back.
    ///
    /// # Errors
    /// No answer.
    pub async fn release(&self, order_id: i64, trace: &TraceContext) -> Result<(), Failure> {
        let body = proto::ReleaseRequest { order_id };
        let answer = InventoryServiceClient::new(self.inventory.clone()).release(request(body, trace)).await;
        said("inventory", answer).map(drop)
    }

    /// Takes the order's price from its user's account.
    ///
    /// # Errors
    /// Too little money, an order that was refunded, or no answer.
    pub async fn charge(&self, order: &Order, trace: &TraceContext) -> Result<(), Failure> {
        let body = proto::ChargeRequest { order_id: order.id, user_id: order.user_id, amount_cents: order.total_cents };
        let answer = PaymentServiceClient::new(self.payments.clone()).charge(request(body, trace)).await;
        said("payments", answer).map(drop)
    }

    /// Gives the order's price back.
    ///
    /// # Errors
    /// No answer.
    pub async fn refund(&self, order_id: i64, trace: &TraceContext) -> Result<(), Failure> {
        let body = proto::RefundRequest { order_id };
        let answer = PaymentServiceClient::new(self.payments.clone()).refund(request(body, trace)).await;
        said("payments", answer).map(drop)
    }
}

/// One who takes part in two-phase commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Participant {
    /// Sets the items aside.
    Inventory,
    /// Takes the money.
    Payments,
}

impl Participant {
    /// Its step of phase one.
    #[must_use]
    pub fn prepares(self) -> Step {
        match self {
            Self::Inventory => Step::PrepareInventory,
            Self::Payments => Step::PreparePayment,
        }
    }

    /// Its step of phase two.
    #[must_use]
    pub fn finishes(self) -> Step {
        match self {
            Self::Inventory => Step::FinishInventory,
            Self::Payments => Step::FinishPayment,
        }
    }
}

impl Partners {
    /// Asks for a promise.
    ///
    /// # Errors
    /// A no, or no answer.
    pub async fn prepare(&self, who: Participant, order: &Order, trace: &TraceContext) -> Result<(), Failure> {
        let work = match who {
            Participant::Inventory => Work::Reserve(proto::Reservation { items: items(order) }),
            Participant::Payments => {
                Work::Charge(proto::Payment { user_id: order.user_id, amount_cents: order.total_cents })
            }
        };
        let body = proto::PrepareRequest { transaction_id: order.id, work: Some(work) };
        let vote = said("a participant", self.participant(who).prepare(request(body, trace)).await)?;
        if vote.yes { Ok(()) } else { Err(Failure::Refused(vote.reason)) }
    }

    /// Tells what was decided.
    ///
    /// # Errors
    /// No answer.
    pub async fn tell(
        &self,
        who: Participant,
        transaction_id: i64,
        decision: proto::Decision,
        trace: &TraceContext,
    ) -> Result<(), Failure> {
        let body = proto::DecideRequest { transaction_id, decision: decision.into() };
        said("a participant", self.participant(who).decide(request(body, trace)).await).map(drop)
    }

    fn participant(&self, who: Participant) -> ParticipantClient<Channel> {
        ParticipantClient::new(match who {
            Participant::Inventory => self.inventory.clone(),
            Participant::Payments => self.payments.clone(),
        })
    }
}

fn items(order: &Order) -> Vec<proto::Item> {
    let item = |item: &Item| proto::Item { product_id: item.product_id, quantity: item.quantity };
    order.items.iter().map(item).collect()
}

fn channel(url: &str) -> anyhow::Result<Channel> {
    let endpoint = Endpoint::from_shared(url.to_owned()).with_context(|| format!("{url:?} is no URL"))?;
    Ok(endpoint.connect_timeout(CONNECT_DEADLINE).timeout(DEADLINE).connect_lazy())
}

/// With the trace, and with the deadline for the service to know too.
fn request<T>(body: T, trace: &TraceContext) -> Request<T> {
    let mut request = Request::new(body);
    request.set_timeout(DEADLINE);
    trace.clone().pass_on(request.metadata_mut());
    request
}

/// What `service` said, or what its status means for an order.
fn said<T>(service: &str, answer: Result<Response<T>, Status>) -> Result<T, Failure> {
    answer.map(Response::into_inner).map_err(|status| match status.code() {
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition | Code::Aborted | Code::OutOfRange => {
            Failure::Refused(status.message().to_owned())
        }
        code => Failure::NoAnswer(format!("{service}: {code:?}: {}", status.message())),
    })
}
