//! An order from its first row to its last, in the caller's transaction.

use sqlx::AnyConnection;

use crate::catalog::{self, CatalogError};
use crate::inventory::{self, InventoryError, Items};
use crate::orders::{self, Item, Lease, Mode, NewOrder, Order, Status};
use crate::payments::{self, Charge, PaymentError};
use crate::problem::FieldError;
use crate::proto;
use crate::users::{self, UserError};
use crate::{clock, id};

/// Why nothing was ordered; the caller rolls back.
#[derive(Debug, thiserror::Error)]
pub enum BuyError {
    /// Fields break the rules.
    #[error("the order is not valid")]
    Invalid(Vec<FieldError>),
    /// Nobody has the id.
    #[error(transparent)]
    User(#[from] UserError),
    /// Nothing has the id.
    #[error(transparent)]
    Product(#[from] CatalogError),
    /// There is too little of something.
    #[error(transparent)]
    Stock(#[from] InventoryError),
    /// There is too little money.
    #[error(transparent)]
    Money(#[from] PaymentError),
    /// The database did not do its work.
    #[error("the database did not do its work")]
    Database(#[from] sqlx::Error),
}

/// Takes in an order, sets its items aside, takes its price, and completes it.
///
/// # Errors
/// Whatever one of the modules refuses.
pub async fn buy(connection: &mut AnyConnection, new: NewOrder, opening_cents: i64) -> Result<Order, BuyError> {
    new.check().map_err(BuyError::Invalid)?;
    let user = users::find(&mut *connection, new.user_id).await?;
    let (mut items, mut wanted) = (Vec::new(), Vec::new());
    for item in &new.items {
        let product = catalog::find(&mut *connection, item.product_id).await?;
        wanted.push(proto::Item { product_id: product.id, quantity: item.quantity });
        items.push(Item {
            product_id: product.id,
            name: product.name,
            quantity: item.quantity,
            price_cents: product.price_cents,
        });
    }
    let total_cents = items.iter().map(|item| item.price_cents.saturating_mul(item.quantity)).sum();
    let mut order = Order {
        id: id::fresh(),
        user_id: user.id,
        user_name: user.name,
        mode: Mode::Saga,
        status: Status::Pending,
        reason: None,
        total_cents,
        items,
        created_at: clock::now(),
        steps: Vec::new(),
    };
    // Nobody else sees the order before it is complete, so the lease is never looked at.
    orders::create(&mut *connection, &order, &Lease::new(order.id, std::time::Duration::ZERO)).await?;
    inventory::reserve(&mut *connection, order.id, &Items::try_from(wanted)?).await?;
    let charge = Charge { order_id: order.id, user_id: user.id, amount_cents: total_cents };
    payments::charge(&mut *connection, charge, opening_cents).await?;
    orders::complete(&mut *connection, order.id).await?;
    order.status = Status::Completed;
    Ok(order)
}
