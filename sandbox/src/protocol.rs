//! What the client says to the supervisor, and what it hears.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::manifest::Manifests;

/// A pod by name; without a namespace, all of them are looked through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodName {
    /// Its namespace, where it is given.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl PodName {
    /// A pod in `namespace`, or in any.
    pub fn new(namespace: Option<&str>, name: &str) -> Self {
        Self { namespace: namespace.map(str::to_owned), name: name.to_owned() }
    }
}

/// `name`, or `namespace/name`.
impl From<&str> for PodName {
    fn from(text: &str) -> Self {
        match text.split_once('/') {
            Some((namespace, name)) => Self::new(Some(namespace), name),
            None => Self::new(None, text),
        }
    }
}

impl From<&String> for PodName {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<&Pod> for PodName {
    fn from(pod: &Pod) -> Self {
        Self::new(Some(&pod.namespace), &pod.name)
    }
}

impl std::fmt::Display for PodName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => write!(f, "{}", self.name),
        }
    }
}

/// What runs in a sandbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listing {
    /// Pods that are not on their way out.
    pub pods: Vec<Pod>,
    /// Services.
    pub services: Vec<Service>,
    /// The control plane, where any pod is meshed.
    pub control_plane: Option<Pod>,
}

/// A pod that runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pod {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its IPv4 address.
    pub address: IpAddr,
    /// Both its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether every container is ready.
    pub ready: bool,
    /// Whether it has a sidecar.
    pub meshed: bool,
    /// Pids of its containers as this machine's /proc has them.
    pub pids: Vec<i32>,
    /// Its containers, the sidecar included.
    pub containers: Vec<Container>,
}

/// A container that runs, or shall run again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its pid as this machine's /proc has it, while it runs.
    pub pid: Option<i32>,
    /// Whether its probe succeeds.
    pub ready: bool,
    /// How many times it was started again.
    pub restarts: u32,
    /// Where its output goes.
    pub log: PathBuf,
}

/// A Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its ClusterIP; `None` where it is headless.
    pub address: Option<IpAddr>,
    /// All its ClusterIPs.
    pub addresses: Vec<IpAddr>,
    /// Its ports.
    pub ports: Vec<u16>,
    /// How each TCP port is reached from outside of the sandbox.
    pub urls: Vec<Url>,
}

/// Where this machine's loopback leads to one port of a Service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Url {
    /// The Service's port.
    pub port: u16,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

/// One thing that a client asks for; one connection each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    List,
    Find(PodName),
    /// Brings standard input, output and error.
    Exec {
        pod: PodName,
        container: Option<String>,
        command: Vec<String>,
        env: Vec<(String, String)>,
    },
    /// To what an earlier `Exec` on this connection started.
    Signal(i32),
    Delete(PodName),
    Scale {
        deployment: PodName,
        replicas: u32,
    },
    Kill {
        pod: PodName,
        container: String,
        signal: i32,
    },
    Apply(String),
    Remove {
        kind: String,
        namespace: String,
        name: String,
    },
    /// The answer brings a connected socket.
    Connect {
        from: Option<PodName>,
        to: SocketAddr,
    },
    /// Answered once every pod is ready.
    Ready,
    /// Ends the control plane with this signal and keeps it down until [`Request::StartControlPlane`].
    StopControlPlane(i32),
    StartControlPlane,
    Down,
}

/// What the supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Response {
    Listing(Listing),
    Pod(Pod),
    Started { host_pid: i32 },
    Ended { code: i32 },
    Done,
    Warned(Vec<String>),
    Failed(String),
}

/// What the supervisor is started with: one line on its standard input, which then stays open for as long as it shall
/// live, or says [`DETACH`].
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) folder: PathBuf,
    pub(crate) lock: i32,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) manifests: Manifests,
    pub(crate) build: PathBuf,
    pub(crate) proxy_env: Vec<(String, String)>,
    pub(crate) control_plane_env: Vec<(String, String)>,
}

/// A loopback listener of the machine that leads to one port of a Service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listener {
    pub(crate) namespace: String,
    pub(crate) service: String,
    pub(crate) port: u16,
    pub(crate) descriptor: i32,
    pub(crate) url: String,
}

/// The supervisor outlives the one who started it.
pub(crate) const DETACH: &str = "detach";

/// What the supervisor tells on its standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The control socket answers; pods are being started.
    Started,
    /// Something that the user may want to act on.
    Warning(String),
    /// Every pod is ready, for the first time.
    Ready,
    /// The sandbox cannot run.
    Failed(String),
}
