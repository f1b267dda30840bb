//! The books of the shop: whether money, stock and orders add up, over the services' own interfaces.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use axum::http::StatusCode;
use serde::Deserialize;
use tokio::time::{Instant, sleep};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::client::{Client, Failure};
use crate::proto::inventory_service_client::InventoryServiceClient;
use crate::proto::participant_client::ParticipantClient;
use crate::proto::payment_service_client::PaymentServiceClient;
use crate::proto::{Account, ListAccountsRequest, ListInDoubtRequest, ListStockRequest, Stock};
use crate::settings;
use crate::trace::TraceContext;

const DEADLINE: Duration = Duration::from_secs(5);
const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
/// Between two looks at books that do not add up yet.
const PAUSE: Duration = Duration::from_millis(250);

/// Who keeps the books.
#[derive(Clone, Debug)]
pub struct Keepers {
    orders: Client,
    inventory: Channel,
    payments: Channel,
}

/// What orders says of all orders together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Totals {
    /// Orders that were carried out.
    pub completed: i64,
    /// Orders that came to nothing.
    pub cancelled: i64,
    /// Orders that are worked on.
    pub pending: i64,
    /// What the completed ones cost.
    pub completed_cents: i64,
    /// How much of each product the completed ones have.
    pub completed_items: BTreeMap<String, i64>,
}

/// All books at one time. They are read one after the other, so they add up only while nothing is worked on.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Of orders.
    pub totals: Totals,
    /// Of inventory.
    pub stock: Vec<Stock>,
    /// Of payments.
    pub accounts: Vec<Account>,
    /// Transactions that inventory and payments have promised and not been told about.
    pub in_doubt: Vec<i64>,
}

impl Keepers {
    /// From `ORDERS_URL`, `INVENTORY_URL` and `PAYMENTS_URL`.
    ///
    /// # Errors
    /// A value that is no URL.
    pub fn from_env() -> anyhow::Result<Self> {
        Ok(Self {
            orders: settings::service("ORDERS_URL", "http://orders:8080")?.within(DEADLINE),
            inventory: channel("INVENTORY_URL", "http://inventory:9090")?,
            payments: channel("PAYMENTS_URL", "http://payments:9090")?,
        })
    }

    /// The books once they add up.
    ///
    /// # Errors
    /// What of them does not add up, or who does not show them, when `patience` is over.
    pub async fn settled(&self, patience: Duration) -> anyhow::Result<Books> {
        let end = Instant::now() + patience;
        loop {
            let read = self.read().await;
            let wrong = read.as_ref().map_or_else(|error| vec![format!("{error:#}")], Books::wrong);
            match read {
                Ok(books) if wrong.is_empty() => return Ok(books),
                _ if Instant::now() >= end => {
                    anyhow::bail!("the books do not add up within {patience:?}: {}", wrong.join("; "))
                }
                _ => sleep(PAUSE).await,
            }
        }
    }

    /// What orders says of all orders, as soon as it answers.
    ///
    /// # Errors
    /// No answer until `patience` is over.
    pub async fn totals(&self, patience: Duration) -> anyhow::Result<Totals> {
        let end = Instant::now() + patience;
        loop {
            match self.orders.get("/books", &TraceContext::default()).await {
                Ok(totals) => return Ok(totals),
                Err(failure) if Instant::now() > end => return Err(failure.into()),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// How an order stands. A service that does not answer is asked again until `end`; that there is no such order is an
    /// answer.
    ///
    /// # Errors
    /// The last answer that does not tell.
    pub async fn status(&self, order: i64, end: Instant) -> Result<String, Failure> {
        #[derive(Deserialize)]
        struct Order {
            status: String,
        }
        loop {
            match self.orders.get::<Order>(&format!("/orders/{order}"), &TraceContext::default()).await {
                Ok(order) => return Ok(order.status),
                Err(failure @ Failure::Refused { status: StatusCode::NOT_FOUND, .. }) => return Err(failure),
                Err(failure) if Instant::now() > end => return Err(failure),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn read(&self) -> anyhow::Result<Books> {
        let totals = self.orders.get("/books", &TraceContext::default()).await?;
        let mut inventory = InventoryServiceClient::new(self.inventory.clone());
        let stock = inventory.list_stock(timed(ListStockRequest {})).await.context("inventory")?;
        let mut payments = PaymentServiceClient::new(self.payments.clone());
        let accounts = payments.list_accounts(timed(ListAccountsRequest {})).await.context("payments")?;
        let mut in_doubt = Vec::new();
        for channel in [&self.inventory, &self.payments] {
            let mut participant = ParticipantClient::new(channel.clone());
            let doubts = participant.list_in_doubt(timed(ListInDoubtRequest {})).await.context("who takes part")?;
            in_doubt.extend(doubts.into_inner().transaction_ids);
        }
        Ok(Books { totals, stock: stock.into_inner().stock, accounts: accounts.into_inner().accounts, in_doubt })
    }
}

impl Books {
    /// Each rule that is broken, as a sentence.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.totals.pending > 0 {
            wrong.push(format!("{} orders are still worked on", self.totals.pending));
        }
        if !self.in_doubt.is_empty() {
            wrong.push(format!("{} transactions are in doubt: {:?}", self.in_doubt.len(), self.in_doubt));
        }
        let (charged, cost) = (self.charged_cents(), self.totals.completed_cents);
        if charged != cost {
            wrong.push(format!("{charged} cents are charged, but completed orders cost {cost}"));
        }
        let known: Vec<_> = self.stock.iter().map(|stock| stock.product_id.to_string()).collect();
        let elsewhere = self.totals.completed_items.iter().filter(|(product, _)| !known.contains(product));
        wrong.extend(
            elsewhere.map(|(product, sold)| format!("{sold} of product {product} are sold, of which there is none")),
        );
        for stock in &self.stock {
            let Stock { product_id, available, reserved, received } = *stock;
            let sold = self.totals.completed_items.get(&product_id.to_string()).copied().unwrap_or_default();
            if reserved != sold {
                wrong
                    .push(format!("{reserved} of product {product_id} are reserved, but completed orders have {sold}"));
            }
            if available < 0 || available + reserved != received {
                wrong.push(format!("product {product_id}: {available} + {reserved} are not the {received} received"));
            }
        }
        for account in &self.accounts {
            let Account { user_id, balance_cents, charged_cents, deposited_cents } = *account;
            if balance_cents < 0 || balance_cents + charged_cents != deposited_cents {
                wrong.push(format!(
                    "user {user_id}: {balance_cents} + {charged_cents} cents are not the {deposited_cents} deposited"
                ));
            }
        }
        wrong
    }

    /// What all accounts were charged.
    #[must_use]
    pub fn charged_cents(&self) -> i64 {
        self.accounts.iter().map(|account| account.charged_cents).sum()
    }
}

/// `shop books`: prints what the books say once they add up.
///
/// # Errors
/// Those of [`Keepers::settled`].
pub async fn run(patience: Duration) -> anyhow::Result<()> {
    let books = Keepers::from_env()?.settled(patience).await?;
    let Totals { completed, cancelled, .. } = books.totals;
    let (charged, pieces) = (books.charged_cents(), books.stock.iter().map(|stock| stock.reserved).sum::<i64>());
    print(&format!(
        "the books add up: {completed} orders completed, {cancelled} cancelled, {charged} cents charged, {pieces} pieces sold"
    ))
}

/// A line on standard output.
///
/// # Errors
/// A reader that has gone.
pub fn print(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

fn channel(name: &'static str, default: &str) -> anyhow::Result<Channel> {
    let url: String = settings::parsed(name, default.to_owned(), "a URL")?;
    let endpoint = Endpoint::from_shared(url).with_context(|| format!("{name} is no URL"))?;
    Ok(endpoint.connect_timeout(CONNECT_DEADLINE).connect_lazy())
}

fn timed<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(DEADLINE);
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Books {
        let stock = Stock { product_id: 2, available: 7, reserved: 3, received: 10 };
        let account = Account { user_id: 1, balance_cents: 400, charged_cents: 600, deposited_cents: 1000 };
        let totals = Totals {
            completed: 2,
            completed_cents: 600,
            completed_items: [("2".into(), 3)].into(),
            ..Totals::default()
        };
        Books { totals, stock: vec![stock], accounts: vec![account], in_doubt: Vec::new() }
    }

    #[test]
    fn books_that_add_up_have_nothing_wrong() {
        assert_eq!(books().wrong(), Vec::<String>::new());
    }

    #[test]
    fn each_rule_that_is_broken_is_named() {
        type Change = (&'static str, fn(&mut Books));
        let break_one: [Change; 9] = [
            ("1 orders are still worked on", |books| books.totals.pending = 1),
            ("1 transactions are in doubt: [5]", |books| books.in_doubt = vec![5]),
            ("600 cents are charged, but completed orders cost 601", |books| books.totals.completed_cents = 601),
            ("3 of product 2 are reserved, but completed orders have 4", |books| {
                books.totals.completed_items = [("2".into(), 4)].into();
            }),
            ("1 of product 9 are sold, of which there is none", |books| {
                books.totals.completed_items.insert("9".into(), 1);
            }),
            ("product 2: 6 + 3 are not the 10 received", |books| books.stock[0].available = 6),
            ("product 2: -1 + 3 are not the 2 received", |books| {
                (books.stock[0].available, books.stock[0].received) = (-1, 2);
            }),
            ("user 1: 399 + 600 cents are not the 1000 deposited", |books| books.accounts[0].balance_cents = 399),
            ("user 1: -1 + 600 cents are not the 599 deposited", |books| {
                (books.accounts[0].balance_cents, books.accounts[0].deposited_cents) = (-1, 599);
            }),
        ];
        for (sentence, change) in break_one {
            let mut books = books();
            change(&mut books);
            assert_eq!(books.wrong(), [sentence]);
        }
    }
}
