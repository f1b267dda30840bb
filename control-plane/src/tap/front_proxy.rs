//! Who calls: the API server, as it proves by its front proxy certificate, and the user that it vouches for.
//!
//! What to hold it to is in a ConfigMap that every API server keeps for servers of this kind
//! (https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/).

use std::{collections::BTreeMap, convert::Infallible, sync::Arc, time::Duration};

use http::HeaderMap;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use rustls_pki_types::CertificateDer;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::info;
use weft_certs::common_name;

use crate::{error::chain, shutdown::Shutdown};

const NAMESPACE: &str = "kube-system";
const CONFIG_MAP: &str = "extension-apiserver-authentication";
/// How often it is read: it changes with the cluster's own certificates, and rarely.
const LOOK: Duration = Duration::from_secs(60);
/// After a look that went wrong.
const PAUSE: Duration = Duration::from_secs(10);
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// How the API server is told from anybody else, and where it names its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FrontProxy {
    /// In PEM: who signs the API server's certificate.
    pub(super) authorities: String,
    /// The common names that it may have; any, if there is none.
    names: Vec<String>,
    user_headers: Vec<String>,
    group_headers: Vec<String>,
    extra_prefixes: Vec<String>,
}

/// Who asks, in the API server's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) user: String,
    pub(super) groups: Vec<String>,
    pub(super) extra: BTreeMap<String, Vec<String>>,
}

/// What the ConfigMap lacks.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrontProxyError {
    #[error("the ConfigMap {NAMESPACE}/{CONFIG_MAP} cannot be read: `weft install --tap` gives the right to")]
    Api(#[from] kube::Error),
    #[error("the API server did not answer within {REQUEST_LIMIT:?}")]
    Late,
    #[error("the ConfigMap {NAMESPACE}/{CONFIG_MAP} has no {key}: is the API server's aggregation layer configured?")]
    Missing { key: &'static str },
    #[error("{key} in the ConfigMap {NAMESPACE}/{CONFIG_MAP} is no list in JSON")]
    NoList {
        key: &'static str,
        #[source]
        source: serde_json::Error,
    },
}

/// Reads it again and again until the drain.
///
/// # Errors
/// Never: what goes wrong is told of once and tried again. Most clusters have no tap, and may not read it.
pub(super) async fn follow(
    client: Client,
    known: watch::Sender<Option<Arc<FrontProxy>>>,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    let maps = Api::namespaced(client, NAMESPACE);
    let mut told = String::new();
    loop {
        let pause = match read(&maps).await {
            Ok(now) => {
                known.send_if_modified(|known| {
                    let differs = known.as_deref() != Some(&now);
                    *known = Some(Arc::new(now));
                    differs
                });
                LOOK
            }
            Err(error) => {
                let error = chain(&error).to_string();
                if error != told {
                    info!(error, "no tap until the API server can be told from others");
                    told = error;
                }
                PAUSE
            }
        };
        tokio::select! {
            biased;
            () = shutdown.draining() => return Ok(()),
            () = sleep(pause) => {}
        }
    }
}

async fn read(maps: &Api<ConfigMap>) -> Result<FrontProxy, FrontProxyError> {
    let map = timeout(REQUEST_LIMIT, maps.get(CONFIG_MAP)).await.map_err(|_| FrontProxyError::Late)??;
    FrontProxy::of(&map.data.unwrap_or_default())
}

impl FrontProxy {
    /// What the ConfigMap says.
    fn of(data: &BTreeMap<String, String>) -> Result<Self, FrontProxyError> {
        let text = |key| data.get(key).filter(|text| !text.is_empty()).ok_or(FrontProxyError::Missing { key });
        let list = |key| serde_json::from_str(text(key)?).map_err(|source| FrontProxyError::NoList { key, source });
        Ok(Self {
            authorities: text("requestheader-client-ca-file")?.clone(),
            names: list("requestheader-allowed-names")?,
            user_headers: list("requestheader-username-headers")?,
            group_headers: list("requestheader-group-headers")?,
            extra_prefixes: list("requestheader-extra-headers-prefix")?,
        })
    }

    /// Whether this is the API server. `chain` has been verified.
    pub(super) fn is_api_server(&self, chain: &[CertificateDer<'_>]) -> bool {
        self.names.is_empty() || common_name(chain).is_some_and(|name| self.names.contains(&name))
    }

    /// The user that it vouches for. None: it names nobody.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Option<Caller> {
        let values = |name: &String| headers.get_all(name.as_str()).iter().filter_map(|value| value.to_str().ok());
        let user = self.user_headers.iter().flat_map(values).find(|user| !user.is_empty())?;
        let groups = self.group_headers.iter().flat_map(values).map(str::to_owned).collect();
        let mut extra = BTreeMap::<String, Vec<String>>::new();
        for (name, value) in headers {
            let key = self.extra_prefixes.iter().find_map(|prefix| name.as_str().strip_prefix(&prefix.to_lowercase()));
            if let (Some(key), Ok(value)) = (key, value.to_str()) {
                extra.entry(unescaped(key)).or_default().push(value.to_owned());
            }
        }
        Some(Caller { user: user.to_owned(), groups, extra })
    }
}

/// Keys are escaped as parts of a URL's path are, where a plus is a plus.
fn unescaped(key: &str) -> String {
    let key = key.replace('+', "%2B");
    form_urlencoded::parse(key.as_bytes()).next().map(|(key, _)| key.into_owned()).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod fixture {
    use super::*;

    /// As kubeadm has it, with these authorities.
    pub(in crate::tap) fn front_proxy(authorities: &str) -> FrontProxy {
        FrontProxy::of(&data(authorities)).unwrap()
    }

    pub(super) fn data(authorities: &str) -> BTreeMap<String, String> {
        let list = |name: &str| format!("[{name:?}]");
        BTreeMap::from([
            ("requestheader-client-ca-file".to_owned(), authorities.to_owned()),
            ("requestheader-allowed-names".to_owned(), list("front-proxy-client")),
            ("requestheader-username-headers".to_owned(), list("X-Remote-User")),
            ("requestheader-group-headers".to_owned(), list("X-Remote-Group")),
            ("requestheader-extra-headers-prefix".to_owned(), list("X-Remote-Extra-")),
        ])
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::{
        fixture::{data, front_proxy},
        *,
    };

    fn headers(all: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap())
        };
        all.iter().map(header).collect()
    }

    #[test]
    fn the_user_is_whom_the_api_server_names() {
        let named = headers(&[
            ("x-remote-user", "jane"),
            ("x-remote-group", "devs"),
            ("x-remote-group", "system:authenticated"),
            ("x-remote-extra-authentication.kubernetes.io%2fcredential-id", "JTI=1"),
            ("x-forwarded-user", "root"),
        ]);
        let caller = front_proxy("ca").caller(&named).unwrap();
        assert_eq!((caller.user.as_str(), caller.groups), ("jane", vec!["devs".into(), "system:authenticated".into()]));
        let extra = ("authentication.kubernetes.io/credential-id".to_owned(), vec!["JTI=1".to_owned()]);
        assert_eq!(caller.extra.into_iter().collect::<Vec<_>>(), [extra]);
        assert_eq!(front_proxy("ca").caller(&headers(&[("x-remote-group", "devs")])), None);
    }

    #[test]
    fn a_config_map_without_a_part_is_not_taken() {
        for key in data("ca").keys() {
            let mut lacking = data("ca");
            lacking.remove(key);
            assert!(FrontProxy::of(&lacking).is_err(), "{key}");
        }
        assert!(FrontProxy::of(&data("")).is_err());
    }
}
