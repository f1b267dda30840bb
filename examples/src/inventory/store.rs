//! The rules of stock, and the SQL. Neither begins nor commits a transaction: who calls does.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use sqlx::AnyConnection;
use sqlx::migrate::Migrator;

use crate::db;
use crate::participant::{Refusal, Work};
use crate::proto::prepare_request::Work as Asked;
use crate::proto::{Item, Stock};

/// The tables of this service, with 1000 of each of the first eight products.
pub static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| db::tables("inventory", sqlx::migrate!("migrations/inventory")));

const MOST_ITEMS: usize = 100;
const MOST_OF_ONE: i64 = 1_000_000;

/// Why stock was not touched.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// A value breaks the rules.
    #[error("{field} must be {wanted}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What it may be.
        wanted: &'static str,
    },
    /// The warehouse has never heard of it.
    #[error("there is no product {product_id} in the warehouse: restock it first")]
    UnknownProduct {
        /// Its id.
        product_id: i64,
    },
    /// There is less of it than is asked for.
    #[error("there are not {quantity} of product {product_id} left")]
    Short {
        /// Its id.
        product_id: i64,
        /// So many were wanted.
        quantity: i64,
    },
    /// What was asked for was already undone.
    #[error("order {order_id} was released before: its reservation came too late")]
    Released {
        /// Whose reservation it is.
        order_id: i64,
    },
    /// The database did not do its work.
    #[error("the database did not do its work")]
    Database(#[from] sqlx::Error),
}

/// What an order wants: 1 to 100 products, 1 to 1,000,000 of each, in the order of their ids. That order is kept by all
/// who change stock, so that two of them never wait for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Items(BTreeMap<i64, i64>);

impl TryFrom<Vec<Item>> for Items {
    type Error = InventoryError;

    /// A product that is named twice is wanted as often as both say together.
    fn try_from(items: Vec<Item>) -> Result<Self, InventoryError> {
        if items.is_empty() || items.len() > MOST_ITEMS {
            return Err(InventoryError::Invalid { field: "items", wanted: "1 to 100 products" });
        }
        let mut wanted = BTreeMap::new();
        for Item { product_id, quantity } in items {
            check_product(product_id)?;
            check_quantity(quantity)?;
            let total = wanted.entry(product_id).or_insert(0);
            *total += quantity;
            check_quantity(*total)?;
        }
        Ok(Self(wanted))
    }
}

/// Sets `items` aside for an order; after an error the caller must roll back. Says whether that was done now: false where
/// it had been done before.
///
/// # Errors
/// [`InventoryError::Short`], [`InventoryError::UnknownProduct`], [`InventoryError::Released`], an `order_id` below 1.
pub async fn reserve(connection: &mut AnyConnection, order_id: i64, items: &Items) -> Result<bool, InventoryError> {
    check_order(order_id)?;
    if !remember(connection, order_id, "reserved").await? {
        let state: (String,) = sqlx::query_as("SELECT state FROM reservations WHERE order_id = $1")
            .bind(order_id)
            .fetch_one(&mut *connection)
            .await?;
        return if state.0 == "reserved" { Ok(false) } else { Err(InventoryError::Released { order_id }) };
    }
    for (&product_id, &quantity) in &items.0 {
        take(connection, product_id, quantity).await?;
        sqlx::query("INSERT INTO reserved_items (order_id, product_id, quantity) VALUES ($1, $2, $3)")
            .bind(order_id)
            .bind(product_id)
            .bind(quantity)
            .execute(&mut *connection)
            .await?;
    }
    Ok(true)
}

async fn take(connection: &mut AnyConnection, product_id: i64, quantity: i64) -> Result<(), InventoryError> {
    let taken = sqlx::query(
        "UPDATE stock SET available = available - $2, reserved = reserved + $2 WHERE product_id = $1 AND available >= $2",
    )
    .bind(product_id)
    .bind(quantity)
    .execute(&mut *connection)
    .await?;
    if taken.rows_affected() == 1 {
        return Ok(());
    }
    let known = sqlx::query("SELECT 1 FROM stock WHERE product_id = $1").bind(product_id);
    match known.fetch_optional(&mut *connection).await? {
        Some(_) => Err(InventoryError::Short { product_id, quantity }),
        None => Err(InventoryError::UnknownProduct { product_id }),
    }
}

/// Gives back what was set aside for an order, and remembers it as released, whatever it was before.
///
/// # Errors
/// An `order_id` below 1.
pub async fn release(connection: &mut AnyConnection, order_id: i64) -> Result<(), InventoryError> {
    check_order(order_id)?;
    let released = sqlx::query(
        "INSERT INTO reservations (order_id, state) VALUES ($1, 'released') \
         ON CONFLICT (order_id) DO UPDATE SET state = 'released' WHERE reservations.state = 'reserved'",
    )
    .bind(order_id)
    .execute(&mut *connection)
    .await?;
    if released.rows_affected() == 0 {
        return Ok(());
    }
    let items: Vec<(i64, i64)> =
        sqlx::query_as("SELECT product_id, quantity FROM reserved_items WHERE order_id = $1 ORDER BY product_id")
            .bind(order_id)
            .fetch_all(&mut *connection)
            .await?;
    for (product_id, quantity) in items {
        sqlx::query("UPDATE stock SET available = available + $2, reserved = reserved - $2 WHERE product_id = $1")
            .bind(product_id)
            .bind(quantity)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Puts 1 to 1,000,000 more of a product on the shelf, or takes up a new product. Not to be repeated.
///
/// # Errors
/// Values that break the rules.
pub async fn restock(connection: &mut AnyConnection, product_id: i64, quantity: i64) -> Result<Stock, InventoryError> {
    check_product(product_id)?;
    check_quantity(quantity)?;
    let row = sqlx::query_as(
        "INSERT INTO stock (product_id, available, reserved, received) VALUES ($1, $2, 0, $2) \
         ON CONFLICT (product_id) DO UPDATE \
         SET available = stock.available + excluded.available, received = stock.received + excluded.received \
         RETURNING product_id, available, reserved, received",
    );
    Ok(row.bind(product_id).bind(quantity).fetch_one(&mut *connection).await.map(stock)?)
}

/// All stock, in the order of the products' ids.
///
/// # Errors
/// The database's.
pub async fn list(connection: &mut AnyConnection) -> Result<Vec<Stock>, InventoryError> {
    let rows = sqlx::query_as("SELECT product_id, available, reserved, received FROM stock ORDER BY product_id");
    Ok(rows.fetch_all(&mut *connection).await?.into_iter().map(stock).collect())
}

fn stock((product_id, available, reserved, received): (i64, i64, i64, i64)) -> Stock {
    Stock { product_id, available, reserved, received }
}

/// Whether it was new.
async fn remember(connection: &mut AnyConnection, order_id: i64, state: &str) -> sqlx::Result<bool> {
    let insert = "INSERT INTO reservations (order_id, state) VALUES ($1, $2) ON CONFLICT (order_id) DO NOTHING";
    let inserted = sqlx::query(insert).bind(order_id).bind(state).execute(&mut *connection).await?;
    Ok(inserted.rows_affected() == 1)
}

fn check_order(order_id: i64) -> Result<(), InventoryError> {
    if order_id < 1 { Err(InventoryError::Invalid { field: "order_id", wanted: "1 or more" }) } else { Ok(()) }
}

fn check_product(product_id: i64) -> Result<(), InventoryError> {
    if product_id < 1 { Err(InventoryError::Invalid { field: "product_id", wanted: "1 or more" }) } else { Ok(()) }
}

fn check_quantity(quantity: i64) -> Result<(), InventoryError> {
    let fits = (1..=MOST_OF_ONE).contains(&quantity);
    if fits { Ok(()) } else { Err(InventoryError::Invalid { field: "quantity", wanted: "1 to 1000000" }) }
}

/// Stock as what a two-phase commit works on.
#[derive(Debug)]
pub struct StockWork;

#[tonic::async_trait]
impl Work for StockWork {
    const NAME: &'static str = "inventory";

    async fn perform(&self, connection: &mut AnyConnection, order_id: i64, asked: Asked) -> Result<bool, Refusal> {
        let Asked::Reserve(reservation) = asked else {
            return Err(Refusal::No("inventory takes reservations, and was asked for another work".to_owned()));
        };
        Ok(reserve(connection, order_id, &reservation.items.try_into()?).await?)
    }

    async fn undo(&self, connection: &mut AnyConnection, order_id: i64) -> Result<(), Refusal> {
        Ok(release(connection, order_id).await?)
    }

    async fn refuse(&self, connection: &mut AnyConnection, order_id: i64) -> sqlx::Result<()> {
        remember(connection, order_id, "released").await.map(|_| ())
    }
}

impl From<InventoryError> for Refusal {
    fn from(error: InventoryError) -> Self {
        match error {
            InventoryError::Database(error) => Self::Database(error),
            other => Self::No(other.to_string()),
        }
    }
}
