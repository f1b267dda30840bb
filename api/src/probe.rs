//! Probes of the app, which the injector takes from the kubelet and hands to the proxy as JSON (`WEFT_PROBES`).
//!
//! The words are Kubernetes' own. Named ports are numbers by now.

use std::{collections::BTreeMap, fmt, num::NonZeroU16};

use http::{HeaderName, HeaderValue, Request, header};
use serde::{Deserialize, Serialize};

/// The probes of a pod, by container and kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Probes(pub BTreeMap<String, BTreeMap<ProbeKind, Probe>>);

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeKind {
    /// Whether the container must be restarted.
    Liveness,
    /// Whether it may have traffic.
    Readiness,
    /// Whether it has started.
    Startup,
}

/// One probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// What is tried.
    #[serde(flatten)]
    pub action: ProbeAction,
    /// How long one try may take, in seconds; default 1.
    #[serde(default = "one")]
    pub timeout_seconds: u32,
}

/// What a probe tries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ProbeAction {
    /// A health check of gRPC.
    Grpc(Grpc),
    /// A GET whose answer is 200 to 399.
    HttpGet(HttpGet),
    /// A connection that opens.
    TcpSocket(TcpSocket),
}

/// A health check of gRPC, without TLS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grpc {
    /// Where.
    pub port: NonZeroU16,
    /// Which service is asked about; empty: the server as a whole.
    #[serde(default)]
    pub service: String,
}

/// A GET.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpGet {
    /// Path and query.
    pub path: String,
    /// Where.
    pub port: NonZeroU16,
    /// HTTP or HTTPS; default HTTP.
    #[serde(default)]
    pub scheme: Scheme,
    /// Fields of the request's head.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http_headers: Vec<HttpHeader>,
}

/// A field of a request's head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HttpHeader {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpSocket {
    /// Where.
    pub port: NonZeroU16,
}

/// How a GET is carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Scheme {
    /// In plaintext.
    #[default]
    Http,
    /// In TLS.
    Https,
}

fn one() -> u32 {
    1
}

impl ProbeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Liveness, Self::Readiness, Self::Startup];

    /// The word in paths: `/probe/<container>/<kind>`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Liveness => "liveness",
            Self::Readiness => "readiness",
            Self::Startup => "startup",
        }
    }
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl HttpGet {
    /// The request as the kubelet would send it to `host`, an address as it stands in a URL.
    ///
    /// # Errors
    /// The path or a field cannot be sent.
    pub fn request(&self, host: &str) -> Result<Request<()>, http::Error> {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        let authority = format!("{host}:{}", self.port);
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        let uri = format!("{scheme}://{authority}{slash}{}", self.path);
        let mut request = Request::get(uri).header(header::ACCEPT, "*/*").body(())?;
        let fields = request.headers_mut();
        fields.insert(header::HOST, HeaderValue::from_str(&authority)?);
        for HttpHeader { name, value } in &self.http_headers {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            let value = HeaderValue::from_str(value)?;
            if name == header::HOST || name == header::ACCEPT {
                fields.insert(name, value);
            } else {
                fields.append(name, value);
            }
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"app":{"liveness":{"httpGet":{"path":"/live?x=1","port":8080,"scheme":"HTTPS","httpHeaders":[{"name":"Host","value":"users.example"}]},"timeoutSeconds":3},"readiness":{"grpc":{"port":9090}},"startup":{"tcpSocket":{"port":8080},"timeoutSeconds":1}}}"#;

    #[test]
    fn the_words_are_those_of_kubernetes() {
        let probes: Probes = serde_json::from_str(JSON).unwrap();
        let app = &probes.0["app"];
        assert_eq!((app[&ProbeKind::Liveness].timeout_seconds, app[&ProbeKind::Readiness].timeout_seconds), (3, 1));
        assert!(matches!(&app[&ProbeKind::Readiness].action, ProbeAction::Grpc(grpc) if grpc.service.is_empty()));
        let again: Probes = serde_json::from_str(&serde_json::to_string(&probes).unwrap()).unwrap();
        assert_eq!(again, probes);
        for bad in [
            r#"{"app":{"liveness":{"exec":{}}}}"#,
            r#"{"app":{"other":{"grpc":{"port":1}}}}"#,
            r#"{"app":{"startup":{"grpc":{"port":0}}}}"#,
        ] {
            assert!(serde_json::from_str::<Probes>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_is_what_the_kubelet_would_send() {
        let probes: Probes = serde_json::from_str(JSON).unwrap();
        let ProbeAction::HttpGet(get) = &probes.0["app"][&ProbeKind::Liveness].action else { panic!("a GET") };
        let request = get.request("[fd00::1]").unwrap();
        assert_eq!(request.uri(), "https://[fd00::1]:8080/live?x=1");
        assert_eq!(request.headers()["host"], "users.example");
        let bad = HttpGet { path: "/a b".into(), ..get.clone() };
        assert!(bad.request("10.0.0.1").is_err());
    }
}
