//! The rules of accounts, and the SQL. Neither begins nor commits a transaction: who calls does.

use std::sync::LazyLock;

use sqlx::AnyConnection;
use sqlx::migrate::Migrator;

use crate::db;
use crate::participant::{Refusal, Work};
use crate::proto::Account;
use crate::proto::prepare_request::Work as Asked;

/// The tables of this service, with an account for each of the first three users.
pub static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| db::tables("payments", sqlx::migrate!("migrations/payments")));

const MOST_CENTS: i64 = 100_000_000_000;

/// Why money did not move.
#[derive(Debug, thiserror::Error)]
pub enum PaymentError {
    /// A value breaks the rules.
    #[error("{field} must be {wanted}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What it may be.
        wanted: &'static str,
    },
    /// The account holds less than is charged.
    #[error("user {user_id} does not have {amount_cents} cents")]
    TooLittle {
        /// Whose account.
        user_id: i64,
        /// What was to be charged.
        amount_cents: i64,
    },
    /// What was asked for was already undone.
    #[error("order {order_id} was refunded before: its charge came too late")]
    Refunded {
        /// Whose charge it is.
        order_id: i64,
    },
    /// The database did not do its work.
    #[error("the database did not do its work")]
    Database(#[from] sqlx::Error),
}

/// What is to be taken from an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What it is for, 1 or more.
    pub order_id: i64,
    /// Whose account, 1 or more.
    pub user_id: i64,
    /// 1 to 100,000,000,000.
    pub amount_cents: i64,
}

impl Charge {
    fn check(&self) -> Result<(), PaymentError> {
        check_order(self.order_id)?;
        if self.user_id < 1 {
            return Err(PaymentError::Invalid { field: "user_id", wanted: "1 or more" });
        }
        if !(1..=MOST_CENTS).contains(&self.amount_cents) {
            return Err(PaymentError::Invalid { field: "amount_cents", wanted: "1 to 100000000000" });
        }
        Ok(())
    }
}

/// Takes money for an order; after an error the caller must roll back. A user without an account gets one with
/// `opening_cents`. Says whether it was taken now: false where it had been taken before.
///
/// # Errors
/// [`PaymentError::TooLittle`], [`PaymentError::Refunded`], values that break the rules.
pub async fn charge(connection: &mut AnyConnection, charge: Charge, opening_cents: i64) -> Result<bool, PaymentError> {
    charge.check()?;
    let Charge { order_id, user_id, amount_cents } = charge;
    open_account(connection, user_id, opening_cents).await?;
    let new = sqlx::query(
        "INSERT INTO charges (order_id, user_id, amount_cents, state) VALUES ($1, $2, $3, 'charged') \
         ON CONFLICT (order_id) DO NOTHING",
    );
    let new = new.bind(order_id).bind(user_id).bind(amount_cents).execute(&mut *connection).await?;
    if new.rows_affected() == 0 {
        let state: (String,) = sqlx::query_as("SELECT state FROM charges WHERE order_id = $1")
            .bind(order_id)
            .fetch_one(&mut *connection)
            .await?;
        return if state.0 == "charged" { Ok(false) } else { Err(PaymentError::Refunded { order_id }) };
    }
    let taken = sqlx::query(
        "UPDATE accounts SET balance_cents = balance_cents - $2, charged_cents = charged_cents + $2 \
         WHERE user_id = $1 AND balance_cents >= $2",
    );
    let taken = taken.bind(user_id).bind(amount_cents).execute(&mut *connection).await?;
    if taken.rows_affected() == 1 { Ok(true) } else { Err(PaymentError::TooLittle { user_id, amount_cents }) }
}

async fn open_account(connection: &mut AnyConnection, user_id: i64, opening_cents: i64) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO accounts (user_id, balance_cents, charged_cents, deposited_cents) VALUES ($1, $2, 0, $2) \
         ON CONFLICT (user_id) DO NOTHING",
    )
    .bind(user_id)
    .bind(opening_cents)
    .execute(&mut *connection)
    .await
    .map(|_| ())
}

/// Gives back what was taken for an order, and remembers it as refunded, whatever it was before.
///
/// # Errors
/// An `order_id` below 1.
pub async fn refund(connection: &mut AnyConnection, order_id: i64) -> Result<(), PaymentError> {
    check_order(order_id)?;
    let refunded: Option<(Option<i64>, i64)> = sqlx::query_as(
        "INSERT INTO charges (order_id, amount_cents, state) VALUES ($1, 0, 'refunded') \
         ON CONFLICT (order_id) DO UPDATE SET state = 'refunded' WHERE charges.state = 'charged' \
         RETURNING user_id, amount_cents",
    )
    .bind(order_id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some((Some(user_id), amount_cents)) = refunded else { return Ok(()) };
    sqlx::query(
        "UPDATE accounts SET balance_cents = balance_cents + $2, charged_cents = charged_cents - $2 WHERE user_id = $1",
    )
    .bind(user_id)
    .bind(amount_cents)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// All accounts, in the order of their users' ids.
///
/// # Errors
/// The database's.
pub async fn list(connection: &mut AnyConnection) -> Result<Vec<Account>, PaymentError> {
    let rows: Vec<(i64, i64, i64, i64)> =
        sqlx::query_as("SELECT user_id, balance_cents, charged_cents, deposited_cents FROM accounts ORDER BY user_id")
            .fetch_all(&mut *connection)
            .await?;
    let account = |(user_id, balance_cents, charged_cents, deposited_cents)| Account {
        user_id,
        balance_cents,
        charged_cents,
        deposited_cents,
    };
    Ok(rows.into_iter().map(account).collect())
}

fn check_order(order_id: i64) -> Result<(), PaymentError> {
    if order_id < 1 { Err(PaymentError::Invalid { field: "order_id", wanted: "1 or more" }) } else { Ok(()) }
}

/// Money as what a two-phase commit works on.
#[derive(Debug)]
pub struct Money {
    /// What new accounts begin with.
    pub opening_cents: i64,
}

#[tonic::async_trait]
impl Work for Money {
    const NAME: &'static str = "payments";

    async fn perform(&self, connection: &mut AnyConnection, order_id: i64, asked: Asked) -> Result<bool, Refusal> {
        let Asked::Charge(payment) = asked else {
            return Err(Refusal::No("payments takes charges, and was asked for another work".to_owned()));
        };
        let wanted = Charge { order_id, user_id: payment.user_id, amount_cents: payment.amount_cents };
        Ok(charge(connection, wanted, self.opening_cents).await?)
    }

    async fn undo(&self, connection: &mut AnyConnection, order_id: i64) -> Result<(), Refusal> {
        Ok(refund(connection, order_id).await?)
    }

    async fn refuse(&self, connection: &mut AnyConnection, order_id: i64) -> sqlx::Result<()> {
        sqlx::query(
            "INSERT INTO charges (order_id, amount_cents, state) VALUES ($1, 0, 'refunded') \
             ON CONFLICT (order_id) DO NOTHING",
        )
        .bind(order_id)
        .execute(&mut *connection)
        .await
        .map(|_| ())
    }
}

impl From<PaymentError> for Refusal {
    fn from(error: PaymentError) -> Self {
        match error {
            PaymentError::Database(error) => Self::Database(error),
            other => Self::No(other.to_string()),
        }
    }
}
