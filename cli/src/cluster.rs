//! The cluster that a command speaks to: which one, how long it may take to answer, and what its errors mean.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the API server may be silent in an answer.
const SILENCE: Duration = Duration::from_secs(20);

/// Which cluster.
#[derive(Args, Clone, Debug)]
pub struct Cluster {
    /// The kubeconfig file [default: KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig's context [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// Why there is no client. Each says what to set.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is no kubeconfig where it is looked for.
    #[error("no cluster is configured: set KUBECONFIG or --kubeconfig to a kubeconfig file")]
    Unconfigured(#[source] InferConfigError),
    /// The kubeconfig cannot be used, or has no such context.
    #[error("the kubeconfig cannot be used: `kubectl config get-contexts` shows what it has")]
    Kubeconfig(#[source] KubeconfigError),
    /// No client can be made of it.
    #[error("the kubeconfig's cluster or user cannot be used")]
    Client(#[source] kube::Error),
}

impl Cluster {
    /// A client; nothing is asked yet.
    ///
    /// # Errors
    /// The configuration is missing or cannot be used.
    pub async fn client(&self) -> Result<Client, ClusterError> {
        let mut config = self.config().await?;
        config.connect_timeout = Some(CONNECT);
        config.read_timeout = Some(SILENCE);
        Client::try_from(config).map_err(ClusterError::Client)
    }

    async fn config(&self) -> Result<Config, ClusterError> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        match &self.kubeconfig {
            Some(file) => {
                let kubeconfig = Kubeconfig::read_from(file).map_err(ClusterError::Kubeconfig)?;
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(ClusterError::Kubeconfig)
            }
            None if self.context.is_some() => Config::from_kubeconfig(&options).await.map_err(ClusterError::Kubeconfig),
            None => Config::infer().await.map_err(ClusterError::Unconfigured),
        }
    }
}

/// What went wrong, in one line: the API server's own words, or the innermost cause.
pub fn reason(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return status.message.clone();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// Whether the API server says that there is no such thing.
pub fn is_absent(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
