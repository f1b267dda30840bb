//! The client to the API server: in a pod by its service account, elsewhere by KUBECONFIG.

use std::time::Duration;

pub use kube::Client;
use kube::{Config, config::InferConfigError};

/// Longer than a watch may be silent (`watch.rs`): whatever has not answered by then is not there any more.
const ANSWER_LIMIT: Duration = Duration::from_secs(75);
/// A connection within a cluster takes milliseconds.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// There is no way to an API server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Neither a pod's service account nor a kubeconfig is there.
    #[error("no cluster is known: run it in a pod with a service account, or set KUBECONFIG")]
    Unknown(#[from] InferConfigError),
    /// What is known does not make a client.
    #[error("the cluster's configuration cannot be used: check the kubeconfig's certificates and user")]
    Unusable(#[from] kube::Error),
}

/// A client that is cheap to clone. Nothing is sent before it is used.
///
/// # Errors
/// No cluster is known, or what is known of it makes no client.
pub async fn connect() -> Result<Client, ConnectError> {
    let mut config = Config::infer().await?;
    config.connect_timeout = Some(CONNECT_LIMIT);
    config.read_timeout = Some(ANSWER_LIMIT);
    config.reset_reader_on_write = true;
    Ok(Client::try_from(config)?)
}
