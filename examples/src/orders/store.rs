//! What was ordered, in memory, and what an order must be.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::page::Page;
use crate::problem::FieldError;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    /// From 1 on.
    pub id: i64,
    /// Who ordered.
    pub user_id: i64,
    /// That user's name when the order was made.
    pub user_name: String,
    /// What was ordered, 1 to 100 characters.
    pub item: String,
    /// How many: 1 to 1000.
    pub quantity: u32,
}

/// An order as a client asks for it.
#[derive(Clone, Debug, Deserialize)]
pub struct NewOrder {
    /// Who orders.
    pub user_id: i64,
    /// 1 to 100 characters.
    pub item: String,
    /// 1 to 1000; 1 where nothing is said.
    #[serde(default = "one")]
    pub quantity: u32,
}

/// Why an order was not found or not taken.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// No order has the id.
    #[error("there is no order {id}")]
    Unknown {
        /// The id.
        id: i64,
    },
    /// Fields break the rules.
    #[error("the order is not valid")]
    Invalid(Vec<FieldError>),
    /// The users service knows no such user.
    #[error("there is no user {id}, so nothing was ordered")]
    UnknownUser {
        /// The id.
        id: i64,
    },
    /// The users service did not answer the question.
    #[error("the users service did not say who user {id} is, so nothing was ordered: {}", source.message())]
    Users {
        /// The user asked for.
        id: i64,
        /// What came instead of an answer.
        #[source]
        source: Box<tonic::Status>,
    },
}

/// All orders.
#[derive(Debug)]
pub struct Orders {
    most: usize,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    orders: BTreeMap<i64, Order>,
    next: i64,
}

const MOST: usize = 100_000;
const FIRST: i64 = 1;

impl Orders {
    /// With the first order of the shop. The newest 100,000 are kept, and the first for ever.
    #[must_use]
    pub fn new() -> Self {
        Self::keeping(MOST)
    }

    pub(super) fn keeping(most: usize) -> Self {
        let first = Order {
            id: FIRST,
            user_id: 1,
            user_name: "Ada Lovelace".into(),
            item: "punched cards".into(),
            quantity: 100,
        };
        Self { most, book: Mutex::new(Book { orders: [(FIRST, first)].into(), next: FIRST + 1 }) }
    }

    /// The order with this id.
    ///
    /// # Errors
    /// [`OrderError::Unknown`].
    pub fn find(&self, id: i64) -> Result<Order, OrderError> {
        self.lock().orders.get(&id).cloned().ok_or(OrderError::Unknown { id })
    }

    /// Orders in the order of their ids.
    pub fn list(&self, page: Page) -> Vec<Order> {
        let book = self.lock();
        book.orders.range(page.after.saturating_add(1)..).take(page.limit).map(|(_, order)| order.clone()).collect()
    }

    /// Takes in an order of a user who is called `user_name`. Its rules have been checked ([`NewOrder::check`]).
    pub fn create(&self, new: NewOrder, user_name: String) -> Order {
        let mut book = self.lock();
        let order = Order { id: book.next, user_id: new.user_id, user_name, item: new.item, quantity: new.quantity };
        book.next += 1;
        book.orders.insert(order.id, order.clone());
        if book.orders.len() > self.most
            && let Some(oldest) = book.orders.keys().find(|id| **id != FIRST).copied()
        {
            book.orders.remove(&oldest);
        }
        order
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self::new()
    }
}

impl NewOrder {
    /// Whether it keeps the rules that need nobody's answer.
    ///
    /// # Errors
    /// [`OrderError::Invalid`] with every field that does not.
    pub fn check(&self) -> Result<(), OrderError> {
        let mut errors = Vec::new();
        if self.user_id < 1 {
            errors.push(FieldError::new("user_id", "must be 1 or more"));
        }
        if self.item.trim().is_empty() || self.item.chars().count() > 100 {
            errors.push(FieldError::new("item", "must have 1 to 100 characters"));
        }
        if !(1..=1000).contains(&self.quantity) {
            errors.push(FieldError::new("quantity", "must be 1 to 1000"));
        }
        if errors.is_empty() { Ok(()) } else { Err(OrderError::Invalid(errors)) }
    }
}

fn one() -> u32 {
    1
}
