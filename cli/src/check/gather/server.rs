//! The API server's release and clock.

use std::time::SystemTime;

use http_body_util::BodyExt;
use hyper::http::{Request, StatusCode, header};
use k8s_openapi::apimachinery::pkg::version::Info;
use k8s_openapi::jiff::fmt::rfc2822::DateTimeParser;
use kube::Client;
use kube::client::Body;
use kube::core::Status;

use super::super::facts::{Known, Server, Unknown};

/// Asks for the release; the answer's Date is the clock.
pub(super) async fn ask(client: &Client) -> Known<Server> {
    let request = Request::get("/version").body(Body::empty()).map_err(kube::Error::HttpError);
    let before = SystemTime::now();
    let answer = client.send(request.map_err(Unknown::Refused)?).await.map_err(Unknown::Refused)?;
    let ours = before + before.elapsed().unwrap_or_default() / 2;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(Unknown::Refused)?.to_bytes();
    if !head.status.is_success() {
        return Err(refusal(head.status, &body));
    }
    let date = head.headers.get(header::DATE).and_then(|date| date.to_str().ok());
    let clock = date.and_then(parse).ok_or(Unknown::Lacking("Date"))?;
    let info: Info = serde_json::from_slice(&body).map_err(|error| Unknown::Refused(kube::Error::SerdeError(error)))?;
    let version = version(&info).ok_or(Unknown::Lacking("version"))?;
    Ok(Server { version, name: info.git_version, clock, ours })
}

/// In the API server's words, where it has any; `Client::send` gives every answer as it comes.
fn refusal(status: StatusCode, body: &[u8]) -> Unknown {
    let told = serde_json::from_slice::<Status>(body).ok().filter(|told| !told.message.is_empty());
    let message = told.map_or_else(|| status.to_string(), |told| told.message);
    let refusal = Status { code: status.as_u16(), message, ..Status::default() };
    Unknown::Refused(kube::Error::Api(Box::new(refusal)))
}

/// The instant of a Date header, which has whole seconds.
fn parse(date: &str) -> Option<SystemTime> {
    DateTimeParser::new().parse_timestamp(date).ok().map(SystemTime::from)
}

/// Some providers write the minor version as `34+`.
fn version(info: &Info) -> Option<(u32, u32)> {
    Some((info.major.parse().ok()?, info.minor.trim_end_matches('+').parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_date_header_is_a_clock() {
        let expected = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT"), Some(expected));
        assert_eq!(parse("yesterday"), None);
    }

    #[test]
    fn a_providers_plus_is_not_part_of_the_version() {
        let info = Info { major: "1".into(), minor: "34+".into(), ..Info::default() };
        assert_eq!(version(&info), Some((1, 34)));
    }
}
