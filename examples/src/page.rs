//! One page of a list: `?after=ID&limit=N`.

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use utoipa::IntoParams;

use crate::problem::Problem;

const MOST: usize = 1000;

/// Which part of a list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoParams)]
pub struct Page {
    /// Only what has a greater id; 0 for the start of the list.
    pub after: i64,
    /// At most so many: 1 to 1000, 1000 where nothing is said.
    pub limit: usize,
}

impl Page {
    /// Reads a query; what it does not know is ignored.
    ///
    /// # Errors
    /// A 400 for a value that cannot be used.
    pub fn read(query: &str) -> Result<Self, Problem> {
        let mut page = Self { after: 0, limit: MOST };
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name {
                "after" => page.after = number(name, value)?,
                "limit" => page.limit = number::<usize>(name, value)?.clamp(1, MOST),
                _ => {}
            }
        }
        Ok(page)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::read(parts.uri.query().unwrap_or_default())
    }
}

/// Whose part of a list is asked for: `?user_id=ID`; everybody's where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserId(pub Option<i64>);

impl<S: Send + Sync> FromRequestParts<S> for UserId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parameter(parts, "user_id").map(|value| number("user_id", value)).transpose().map(Self)
    }
}

/// The value of a query's parameter, as it stands there.
#[must_use]
pub fn parameter<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let mut pairs = parts.uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, Problem> {
    value.parse().map_err(|_| Problem::new(StatusCode::BAD_REQUEST, format!("{name} is {value:?}, not a whole number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_the_whole_list_where_nothing_is_said() {
        assert_eq!(Page::read("").unwrap(), Page { after: 0, limit: 1000 });
        assert_eq!(Page::read("colour=red").unwrap(), Page { after: 0, limit: 1000 });
    }

    #[test]
    fn a_page_starts_after_an_id_and_is_bounded() {
        assert_eq!(Page::read("after=4&limit=2").unwrap(), Page { after: 4, limit: 2 });
        assert_eq!(Page::read("limit=999999").unwrap().limit, 1000);
        assert_eq!(Page::read("limit=0").unwrap().limit, 1);
    }

    #[test]
    fn a_page_that_is_no_number_is_refused() {
        assert_eq!(Page::read("limit=many").unwrap_err().status(), StatusCode::BAD_REQUEST);
    }
}
