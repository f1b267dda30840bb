//! Who a request is made for, as the edge has found out.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};

use crate::problem::Problem;

/// Carries the user's id from the edge to the services behind it. The edge takes it away from what comes from outside.
pub const HEADER: &str = "shop-user";

/// The user that the edge names; `None` for a request that nobody has logged in for, or that has not come by the edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller(pub Option<i64>);

impl Caller {
    /// Reads the header.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        Self(headers.get(HEADER).and_then(|value| value.to_str().ok()).and_then(|value| value.parse().ok()))
    }

    /// The user.
    ///
    /// # Errors
    /// A 401 where nobody has logged in.
    pub fn user(self) -> Result<i64, Problem> {
        self.0.ok_or_else(|| Problem::new(StatusCode::UNAUTHORIZED, "log in first: POST /login at the edge"))
    }
}

impl IntoParams for Caller {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let header = ParameterBuilder::new().name(HEADER).parameter_in(ParameterIn::Header);
        vec![header.description(Some("the user's id, as the edge writes it")).build()]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}
