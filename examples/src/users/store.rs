//! Who the users are, what a user must be, and the SQL. Neither REST nor gRPC.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use sqlx::migrate::Migrator;
use utoipa::ToSchema;

use crate::page::Page;
use crate::problem::FieldError;
use crate::{db, id};

/// The tables of this service, with the first three users of the shop.
pub static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| db::tables("users", sqlx::migrate!("migrations/users")));

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema, sqlx::FromRow)]
pub struct User {
    /// From 1 on.
    pub id: i64,
    /// What the user is called, 1 to 100 characters.
    pub name: String,
    /// Unique.
    pub email: String,
}

/// A user that is to be created.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct NewUser {
    /// 1 to 100 characters.
    #[serde(default)]
    pub name: String,
    /// `someone@somewhere`, at most 254 characters.
    #[serde(default)]
    pub email: String,
}

/// Why a user was not found or not taken.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// Nobody has the id.
    #[error("there is no user {id}")]
    Unknown {
        /// The id.
        id: i64,
    },
    /// Another user has the address.
    #[error("user {id} has the email address {email} already")]
    EmailTaken {
        /// The address.
        email: String,
        /// Whose it is.
        id: i64,
    },
    /// Fields break the rules.
    #[error("{}", .0.iter().map(|error| format!("{} {}", error.field, error.detail)).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// The database did not do its work.
    #[error("the database did not do its work")]
    Database(#[from] sqlx::Error),
}

/// What became of a user that a caller told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was known just so.
    Unchanged,
    /// It was new.
    Created,
    /// It was known differently.
    Updated,
}

/// The user with this id.
///
/// # Errors
/// [`UserError::Unknown`].
pub async fn find(connection: &mut AnyConnection, id: i64) -> Result<User, UserError> {
    let row = sqlx::query_as("SELECT id, name, email FROM users WHERE id = $1").bind(id);
    row.fetch_optional(&mut *connection).await?.ok_or(UserError::Unknown { id })
}

/// Users in the order of their ids.
///
/// # Errors
/// The database's.
pub async fn list(connection: &mut AnyConnection, page: Page) -> Result<Vec<User>, UserError> {
    let rows = sqlx::query_as("SELECT id, name, email FROM users WHERE id > $1 ORDER BY id LIMIT $2");
    Ok(rows.bind(page.after).bind(page.limit as i64).fetch_all(&mut *connection).await?)
}

/// Takes in one user.
///
/// # Errors
/// What breaks the rules, and an address that is taken.
pub async fn create(connection: &mut AnyConnection, new: NewUser) -> Result<User, UserError> {
    new.check()?;
    let user = User { id: id::fresh(), name: new.name, email: new.email };
    let insert = "INSERT INTO users (id, name, email) VALUES ($1, $2, $3) ON CONFLICT (email) DO NOTHING";
    let inserted =
        sqlx::query(insert).bind(user.id).bind(&user.name).bind(&user.email).execute(&mut *connection).await?;
    match inserted.rows_affected() {
        0 => Err(taken(connection, user.email, 0).await?),
        _ => Ok(user),
    }
}

/// Takes in all of `new`, or none: after an error the caller must roll back.
///
/// # Errors
/// The first user that cannot be taken.
pub async fn import(connection: &mut AnyConnection, new: Vec<NewUser>) -> Result<Vec<User>, UserError> {
    let mut created = Vec::with_capacity(new.len());
    for new in new {
        created.push(create(&mut *connection, new).await?);
    }
    Ok(created)
}

/// Makes the user be as the caller knows it; id 0 creates one.
///
/// # Errors
/// An id that nobody has, what breaks the rules, and an address that is taken.
pub async fn sync(connection: &mut AnyConnection, known: User) -> Result<(User, Outcome), UserError> {
    let User { id, name, email } = known;
    let new = NewUser { name, email };
    if id == 0 {
        return Ok((create(connection, new).await?, Outcome::Created));
    }
    let held = find(&mut *connection, id).await?;
    if held.name == new.name && held.email == new.email {
        return Ok((held, Outcome::Unchanged));
    }
    new.check()?;
    let update = "UPDATE users SET name = $2, email = $3 WHERE id = $1 \
        AND NOT EXISTS (SELECT 1 FROM users WHERE email = $3 AND id <> $1)";
    let updated = sqlx::query(update).bind(id).bind(&new.name).bind(&new.email).execute(&mut *connection).await?;
    match updated.rows_affected() {
        0 => Err(taken(connection, new.email, id).await?),
        _ => Ok((User { id, name: new.name, email: new.email }, Outcome::Updated)),
    }
}

/// Who else than `own` has the address.
async fn taken(connection: &mut AnyConnection, email: String, own: i64) -> sqlx::Result<UserError> {
    let other = sqlx::query_as("SELECT id FROM users WHERE email = $1 AND id <> $2").bind(&email).bind(own);
    let (id,): (i64,) = other.fetch_one(&mut *connection).await?;
    Ok(UserError::EmailTaken { email, id })
}

impl NewUser {
    fn check(&self) -> Result<(), UserError> {
        let errors: Vec<_> = [check_name(&self.name), check_email(&self.email)].into_iter().flatten().collect();
        if errors.is_empty() { Ok(()) } else { Err(UserError::Invalid(errors)) }
    }
}

fn check_name(name: &str) -> Option<FieldError> {
    // PostgreSQL keeps no text with the character 0.
    let fits = (1..=100).contains(&name.chars().count()) && !name.trim().is_empty() && !name.contains('\0');
    (!fits).then(|| FieldError::new("name", "must have 1 to 100 characters"))
}

fn check_email(email: &str) -> Option<FieldError> {
    let parts =
        email.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    let fits = parts.is_some() && email.len() <= 254 && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    (!fits).then(|| FieldError::new("email", "must be an address such as ada@shop.example"))
}
