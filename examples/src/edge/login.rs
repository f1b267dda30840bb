//! `POST /login` and `POST /logout`.
//!
//! The users of this sample have no passwords of their own: one for all (`LOGIN_PASSWORD`) stands where a real shop asks its
//! identity provider.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Json, http};
use serde::{Deserialize, Serialize};
use tracing::error;
use utoipa::ToSchema;

use super::rest::Edge;
use super::token::{COOKIE, LIFETIME};
use crate::client::Failure;
use crate::problem::Problem;
use crate::trace::TraceContext;

/// JSON, or the form of the web page.
#[derive(Deserialize, ToSchema)]
pub struct Login {
    /// Such as 1.
    user_id: i64,
    /// What `LOGIN_PASSWORD` says.
    password: String,
}

/// What a user shows from now on, as `Authorization: Bearer TOKEN`.
#[derive(Serialize, ToSchema)]
pub struct Session {
    /// A JSON Web Token.
    token: String,
    /// Seconds.
    expires_in: u64,
}

/// Gives a token to who knows the password: in the answer, or, for a form, in a cookie and with the way to the page.
///
/// # Errors
/// 400 for a body that is neither, 401 for a wrong password or user, and a users service that does not answer.
#[utoipa::path(post, path = "/login", request_body = Login, responses(
    (status = 200, body = Session), (status = 401, body = Problem), (status = 503, body = Problem)))]
pub async fn login(
    State(edge): State<Arc<Edge>>,
    trace: TraceContext,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let is_form = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded");
    let login = if is_form { form(&body) } else { serde_json::from_slice(&body).ok() };
    let Login { user_id, password } = login.ok_or_else(|| {
        Problem::new(StatusCode::BAD_REQUEST, r#"the body must be such as {"user_id": 1, "password": "..."}"#)
    })?;
    let wrong = || Problem::new(StatusCode::UNAUTHORIZED, "there is no such user, or the password is wrong");
    if password != edge.password {
        return Err(wrong());
    }
    match edge.users.get::<serde_json::Value>(&format!("/users/{user_id}"), &trace).await {
        Ok(_) => {}
        Err(Failure::Refused { status: StatusCode::NOT_FOUND, .. }) => return Err(wrong()),
        Err(failure) => return Err(failure.into()),
    }
    let token = edge.tokens.issue(user_id, SystemTime::now()).map_err(|error| {
        error!(%error, "a token cannot be made");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the edge cannot make a token")
    })?;
    let seconds = LIFETIME.as_secs();
    if is_form {
        let cookie = format!("{COOKIE}={token}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}");
        return Ok(([(header::SET_COOKIE, cookie)], Redirect::to("/web")).into_response());
    }
    Ok(Json(Session { token, expires_in: seconds }).into_response())
}

/// Takes the cookie back.
pub async fn logout() -> impl IntoResponse {
    let cookie = format!("{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    ([(http::header::SET_COOKIE, cookie)], Redirect::to("/web"))
}

fn form(body: &[u8]) -> Option<Login> {
    let mut login = Login { user_id: 0, password: String::new() };
    for (name, value) in form_urlencoded::parse(body) {
        match &*name {
            "user_id" => login.user_id = value.parse().ok()?,
            "password" => login.password = value.into_owned(),
            _ => {}
        }
    }
    Some(login)
}
