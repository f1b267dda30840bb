//! Request bodies: JSON, whatever the content type says, with errors as problems.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The body of a request, read as JSON. At most 2 MiB (axum's limit).
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| Problem::new(rejection.status(), rejection.body_text()))?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::new(StatusCode::BAD_REQUEST, format!("the body is not the JSON that is wanted here: {error}"))
        })
    }
}

/// The id at the end of a path.
///
/// # Errors
/// A 400 for what is no whole number.
pub fn read_id(text: &str) -> Result<i64, Problem> {
    text.parse().map_err(|_| Problem::new(StatusCode::BAD_REQUEST, format!("the id {text:?} is not a whole number")))
}
