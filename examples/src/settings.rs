//! Settings from environment variables, checked when the service starts.

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;

use crate::client::Client;

/// A variable whose value cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{name} is {value:?}; it must be {wanted}")]
pub struct SettingError {
    /// The variable.
    pub name: &'static str,
    /// What it holds.
    pub value: String,
    /// What it may hold.
    pub wanted: &'static str,
}

/// The value of `name`, or `default` where it is not set.
///
/// # Errors
/// A value that is no `T`; `wanted` says what it should have been.
pub fn parsed<T: FromStr>(name: &'static str, default: T, wanted: &'static str) -> Result<T, SettingError> {
    let Ok(value) = std::env::var(name) else { return Ok(default) };
    value.parse().map_err(|_| SettingError { name, value, wanted })
}

/// The time in `name`, such as `30ms` or `2s`, or `default` where it is not set.
///
/// # Errors
/// A value that is no time.
pub fn time(name: &'static str, default: Duration) -> Result<Duration, SettingError> {
    let Ok(value) = std::env::var(name) else { return Ok(default) };
    read_time(&value).ok_or(SettingError { name, value, wanted: "a time such as 30ms or 2s" })
}

/// A client of the service whose URL is in `name`, or of the one at `default`.
///
/// # Errors
/// A value that is no URL.
pub fn service(name: &'static str, default: &str) -> anyhow::Result<Client> {
    let url = parsed(name, default.to_owned(), "a URL")?;
    Client::new(&url).with_context(|| format!("{name} cannot be used"))
}

/// Reads `30ms` or `2s`.
#[must_use]
pub fn read_time(text: &str) -> Option<Duration> {
    if let Some(number) = text.strip_suffix("ms") {
        return number.parse().ok().map(Duration::from_millis);
    }
    text.strip_suffix('s')?.parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_needs_its_unit() {
        assert_eq!(read_time("30ms"), Some(Duration::from_millis(30)));
        assert_eq!(read_time("2s"), Some(Duration::from_secs(2)));
        assert_eq!(read_time("30"), None);
        assert_eq!(read_time("ms"), None);
        assert_eq!(read_time("-1s"), None);
    }

    #[test]
    fn a_variable_that_is_not_set_has_its_default() {
        assert_eq!(parsed("SHOP_TEST_NOT_SET", 7_u16, "a port").unwrap(), 7);
    }

    #[test]
    fn an_error_names_the_variable_and_what_it_may_hold() {
        let error = SettingError { name: "PORT", value: "x".into(), wanted: "a port" };
        assert_eq!(error.to_string(), r#"PORT is "x"; it must be a port"#);
    }
}
