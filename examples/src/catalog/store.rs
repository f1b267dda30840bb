//! The rules of products, and the SQL.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use sqlx::migrate::Migrator;
use utoipa::ToSchema;

use crate::page::Page;
use crate::problem::FieldError;
use crate::{db, id};

/// The tables of this service, with the first eight products.
pub static MIGRATIONS: LazyLock<Migrator> =
    LazyLock::new(|| db::tables("catalog", sqlx::migrate!("migrations/catalog")));

const MOST_CENTS: i64 = 100_000_000;

/// What can be bought.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, ToSchema, sqlx::FromRow)]
pub struct Product {
    /// From 1 on.
    pub id: i64,
    /// 1 to 100 characters.
    pub name: String,
    /// At most 1000 characters.
    pub description: String,
    /// 1 to 100,000,000.
    pub price_cents: i64,
}

/// A product that is to be sold from now on.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub struct NewProduct {
    /// 1 to 100 characters.
    #[serde(default)]
    pub name: String,
    /// At most 1000 characters.
    #[serde(default)]
    pub description: String,
    /// 1 to 100,000,000.
    #[serde(default)]
    pub price_cents: i64,
}

/// Why a product was not found or not taken.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// No product has the id.
    #[error("there is no product {id}")]
    Unknown {
        /// The id.
        id: i64,
    },
    /// Fields break the rules.
    #[error("the product is not valid")]
    Invalid(Vec<FieldError>),
    /// The database did not do its work.
    #[error("the database did not do its work")]
    Database(#[from] sqlx::Error),
}

/// Products in the order of their ids.
///
/// # Errors
/// The database's.
pub async fn list(connection: &mut AnyConnection, page: Page) -> Result<Vec<Product>, CatalogError> {
    let rows =
        sqlx::query_as("SELECT id, name, description, price_cents FROM products WHERE id > $1 ORDER BY id LIMIT $2");
    Ok(rows.bind(page.after).bind(page.limit as i64).fetch_all(&mut *connection).await?)
}

/// The product with this id.
///
/// # Errors
/// [`CatalogError::Unknown`].
pub async fn find(connection: &mut AnyConnection, id: i64) -> Result<Product, CatalogError> {
    let row = sqlx::query_as("SELECT id, name, description, price_cents FROM products WHERE id = $1").bind(id);
    row.fetch_optional(&mut *connection).await?.ok_or(CatalogError::Unknown { id })
}

/// Takes in a product.
///
/// # Errors
/// [`CatalogError::Invalid`] with every field that breaks the rules.
pub async fn create(connection: &mut AnyConnection, new: NewProduct) -> Result<Product, CatalogError> {
    new.check()?;
    let NewProduct { name, description, price_cents } = new;
    let product = Product { id: id::fresh(), name, description, price_cents };
    sqlx::query("INSERT INTO products (id, name, description, price_cents) VALUES ($1, $2, $3, $4)")
        .bind(product.id)
        .bind(&product.name)
        .bind(&product.description)
        .bind(product.price_cents)
        .execute(&mut *connection)
        .await?;
    Ok(product)
}

impl NewProduct {
    fn check(&self) -> Result<(), CatalogError> {
        let mut errors = Vec::new();
        if self.name.trim().is_empty() || self.name.chars().count() > 100 {
            errors.push(FieldError::new("name", "must have 1 to 100 characters"));
        }
        if self.description.chars().count() > 1000 {
            errors.push(FieldError::new("description", "must have at most 1000 characters"));
        }
        if !(1..=MOST_CENTS).contains(&self.price_cents) {
            errors.push(FieldError::new("price_cents", "must be 1 to 100000000"));
        }
        // PostgreSQL keeps no text with this character.
        if self.name.contains('\0') || self.description.contains('\0') {
            errors.push(FieldError::new("name", "and description must have no NUL character"));
        }
        if errors.is_empty() { Ok(()) } else { Err(CatalogError::Invalid(errors)) }
    }
}
