//! Trace context: the caller's trace headers, passed on with the calls that a request causes (W3C Trace Context).

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

const NAMES: [&str; 2] = ["traceparent", "tracestate"];

/// The trace that a request belongs to; empty where it belongs to none.
#[derive(Clone, Debug, Default)]
pub struct TraceContext(Vec<(&'static str, MetadataValue<Ascii>)>);

impl TraceContext {
    /// Takes the trace headers as they came.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Self {
        let values = |name: &'static str| {
            let values = headers.get_all(name).iter();
            values.filter_map(move |value| Some((name, MetadataValue::try_from(value.as_bytes()).ok()?)))
        };
        Self(NAMES.into_iter().flat_map(values).collect())
    }

    /// The headers for a REST call.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.0 {
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.append(*name, value);
            }
        }
        headers
    }

    /// Adds the headers to a call's metadata.
    pub fn pass_on(self, metadata: &mut MetadataMap) {
        for (name, value) in self.0 {
            metadata.append(name, value);
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TraceContext {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}
