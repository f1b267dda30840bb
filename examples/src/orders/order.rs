//! What an order is, and what it must be to be taken. Neither REST nor SQL.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::problem::FieldError;

/// Makes an enum whose values are single words, the same ones in JSON, in the database and in the log.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize, utoipa::ToSchema)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// Its word.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::orders::UnknownWord;

            fn try_from(word: String) -> Result<Self, Self::Error> {
                match word.as_str() {
                    $($word => Ok(Self::$variant),)+
                    _ => Err($crate::orders::UnknownWord { word, known: &[$($word),+] }),
                }
            }
        }
    };
}

pub(super) use words;

/// A word that is none of those that are known.
#[derive(Debug, thiserror::Error)]
#[error("{word:?} is none of {}", known.join(", "))]
pub struct UnknownWord {
    /// The word.
    pub word: String,
    /// Those that are known.
    pub known: &'static [&'static str],
}

words! {
    /// How the services that an order needs are brought to agree.
    Mode {
        /// Step by step, and step by step back: `saga.rs`.
        Saga = "saga",
        /// All at once, by two-phase commit: `two_phase.rs`.
        TwoPhase = "2pc",
        /// Each service reacts to what the others tell: `choreography.rs`.
        Choreography = "choreography",
    }
}

words! {
    /// What has become of an order.
    Status {
        /// It is being worked on.
        Pending = "pending",
        /// Everything of it is done.
        Completed = "completed",
        /// It came to nothing, and nothing of it is left.
        Cancelled = "cancelled",
    }
}

words! {
    /// What has become of a step of an order.
    State {
        /// It was begun; whether it has happened is not known yet.
        Running = "running",
        /// It has happened.
        Done = "done",
        /// It was refused, or not answered.
        Failed = "failed",
    }
}

words! {
    /// What is done for an order, one call or one local transaction each.
    Step {
        /// The order is written down.
        CreateOrder = "create-order",
        /// Its items are set aside.
        ReserveInventory = "reserve-inventory",
        /// Its price is taken from the user's account.
        ChargePayment = "charge-payment",
        /// The money is given back.
        RefundPayment = "refund-payment",
        /// The items are given back.
        ReleaseInventory = "release-inventory",
        /// The order is cancelled.
        CancelOrder = "cancel-order",
        /// Inventory is asked whether it can, and promises.
        PrepareInventory = "prepare-inventory",
        /// Payments is asked whether it can, and promises.
        PreparePayment = "prepare-payment",
        /// The decision is written down, for ever.
        Decide = "decide",
        /// Inventory is told the decision.
        FinishInventory = "finish-inventory",
        /// Payments is told the decision.
        FinishPayment = "finish-payment",
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Order {
    /// From 1 on, growing with time.
    pub id: i64,
    /// Who ordered.
    pub user_id: i64,
    /// That user's name when the order was made.
    pub user_name: String,
    /// How it is carried out.
    pub mode: Mode,
    /// What has become of it.
    pub status: Status,
    /// Why it is cancelled, or on its way there.
    pub reason: Option<String>,
    /// What it costs altogether.
    pub total_cents: i64,
    /// What was ordered.
    pub items: Vec<Item>,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// What was done for it so far, in the order in which it was begun.
    pub steps: Vec<Entry>,
}

/// One product of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct Item {
    /// The catalog's id.
    pub product_id: i64,
    /// The catalog's name when the order was made.
    pub name: String,
    /// How many: 1 to 1000.
    pub quantity: i64,
    /// What one cost when the order was made.
    pub price_cents: i64,
}

/// A line of an order's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, sqlx::FromRow, utoipa::ToSchema)]
pub struct Entry {
    /// What is done.
    #[sqlx(try_from = "String")]
    pub name: Step,
    /// What has become of it.
    #[sqlx(try_from = "String")]
    pub state: State,
    /// How often it was begun.
    pub attempts: i64,
    /// Why it failed, or what came of it; often empty.
    pub detail: String,
    /// When it was begun or ended last, in milliseconds since 1970.
    pub at: i64,
}

impl Order {
    /// The log's line on `step`, if it was begun.
    #[must_use]
    pub fn entry(&self, step: Step) -> Option<&Entry> {
        self.steps.iter().find(|entry| entry.name == step)
    }

    /// Whether `step` has happened.
    #[must_use]
    pub fn has_done(&self, step: Step) -> bool {
        self.entry(step).is_some_and(|entry| entry.state == State::Done)
    }
}

/// An order as a client asks for it.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct NewOrder {
    /// Who orders.
    pub user_id: i64,
    /// 1 to 20 products, each once.
    pub items: Vec<NewItem>,
}

/// One product of an order as a client asks for it.
#[derive(Clone, Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct NewItem {
    /// The catalog's id.
    pub product_id: i64,
    /// How many: 1 to 1000; 1 where nothing is said.
    #[serde(default = "one")]
    pub quantity: i64,
}

fn one() -> i64 {
    1
}

impl NewOrder {
    /// Whether it keeps the rules that need nobody's answer.
    ///
    /// # Errors
    /// Every field that does not.
    pub fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut errors = Vec::new();
        if self.user_id < 1 {
            errors.push(FieldError::new("user_id", "must be 1 or more"));
        }
        if !(1..=20).contains(&self.items.len()) {
            errors.push(FieldError::new("items", "must be 1 to 20 products"));
        }
        let products: HashSet<_> = self.items.iter().map(|item| item.product_id).collect();
        if products.len() < self.items.len() {
            errors.push(FieldError::new("items", "must name each product once"));
        }
        if products.iter().any(|id| *id < 1) {
            errors.push(FieldError::new("product_id", "must be 1 or more"));
        }
        if self.items.iter().any(|item| !(1..=1000).contains(&item.quantity)) {
            errors.push(FieldError::new("quantity", "must be 1 to 1000"));
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}
