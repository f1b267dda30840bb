//! A question to a Prometheus, over a connection that whoever asks has made.

use anyhow::{Context, bail};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What one series says at this moment: its labels, and a number as text.
pub type Sample = (serde_json::Map<String, Value>, String);

/// Asks a query; the connection is of no use afterwards.
///
/// # Errors
/// No answer, or Prometheus' own words on what is wrong with the query.
pub async fn ask(mut connection: impl AsyncRead + AsyncWrite + Unpin, query: &str) -> anyhow::Result<Vec<Sample>> {
    let request = format!("GET {} HTTP/1.0\r\nhost: prometheus\r\n\r\n", path(query));
    connection.write_all(request.as_bytes()).await.context("send a query")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.context("read an answer")?;
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
    read(body)
}

/// What is asked for a query, by whoever makes the request.
pub fn path(query: &str) -> String {
    format!("/api/v1/query?query={}", encoded(query))
}

/// Reads the body of an answer.
///
/// # Errors
/// It is none, or Prometheus' own words on what is wrong with the query.
pub fn read(body: &str) -> anyhow::Result<Vec<Sample>> {
    samples(&serde_json::from_str(body).with_context(|| format!("read {body:?}"))?)
}

/// Whether any of these is a number.
pub fn has_data(samples: &[Sample]) -> bool {
    samples.iter().any(|(_, value)| value.parse::<f64>().is_ok_and(f64::is_finite))
}

/// A label's value; empty without it.
pub fn label<'a>(sample: &'a Sample, name: &str) -> &'a str {
    sample.0.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn samples(answer: &Value) -> anyhow::Result<Vec<Sample>> {
    if answer["status"] != "success" {
        bail!("{}", answer["error"]);
    }
    let data = &answer["data"];
    let sample = |series: &Value| {
        let labels = series["metric"].as_object().cloned().unwrap_or_default();
        Some((labels, series["value"][1].as_str()?.to_owned()))
    };
    match data["resultType"].as_str() {
        Some("vector") => Ok(data["result"].as_array().into_iter().flatten().filter_map(sample).collect()),
        Some("scalar") => Ok(vec![(serde_json::Map::new(), data["result"][1].to_string())]),
        kind => bail!("an answer of the kind {kind:?}"),
    }
}

/// For a request's target: everything that is not a letter or a digit.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answers_samples_are_read_and_an_error_is_prometheus_own() {
        let series = json!({ "metric": { "service": "users" }, "value": [1.5, "0.25"] });
        let answer = json!({ "status": "success", "data": { "resultType": "vector", "result": [series] } });
        let found = samples(&answer).unwrap();
        assert_eq!((found[0].0["service"].as_str(), &*found[0].1), (Some("users"), "0.25"));
        let error = samples(&json!({ "status": "error", "error": "parse error" })).unwrap_err();
        assert!(error.to_string().contains("parse error"));
    }

    #[test]
    fn a_query_is_encoded_for_a_requests_target() {
        assert_eq!(encoded("a{b=~\"c|d\"} > 0"), "a%7Bb%3D%7E%22c%7Cd%22%7D%20%3E%200");
    }
}
