//! The mesh of a sandbox: one control plane over a folder, and a sidecar in every pod that asks for one.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;
use weft_certs::SpiffeId;
use weft_control_plane::identity::tokens;

use super::container::{self, Container};
use super::pod::{Parts, Pod};
use super::state::{Sandbox, StartError};
use crate::address::{AddressPair, POD_RANGE_V4, POD_RANGE_V6, SERVICE_RANGE_V4, SERVICE_RANGE_V6};
use crate::manifest::{self, EnvValue, FieldRef, PodTemplate, Probe, ProbeAction, ProbePort};
use crate::process::Ended;
use crate::registry::Registry;

/// Name of the sidecar's container, and of its program.
pub(super) const PROXY: &str = "weft-proxy";
/// Name of the control plane's pod, of its container, its service account and its program.
pub(super) const CONTROL_PLANE: &str = "weft-control-plane";
/// The control plane's namespace.
pub(super) const NAMESPACE: &str = "weft";

const TRUST_DOMAIN: &str = "cluster.local";
const CONTROL_PLANE_PORT: u16 = 8443;
const CONTROL_PLANE_ADMIN_PORT: u16 = 4181;
const PROXY_ADMIN_PORT: u16 = 4191;
/// In a sandbox everything runs as one user, so the rules tell the proxy's connections by their mark.
const MARK: &str = "0x77656674";
/// A sidecar that has not asked for its certificate by then is started anew, with a new token.
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);
const PERIOD: Duration = Duration::from_secs(1);

/// What the meshed pods of a sandbox share.
pub(super) struct Mesh {
    pub(super) pod: Rc<Pod>,
    pub(super) registry: RefCell<Registry>,
    /// The control plane has been ready once: sidecars may start.
    pub(super) started: CancellationToken,
    /// The control plane's state, in which join tokens are made.
    state: PathBuf,
}

impl Mesh {
    /// The control plane's pod, which [`Mesh::start`] brings to life.
    pub(super) fn new(folder: &Path, address: AddressPair, env: &[(String, String)]) -> Result<Self, StartError> {
        let io = |doing| move |source| StartError::Io { doing, source };
        let folder = folder.join("control-plane");
        let (state, manifests) = (folder.join("state"), folder.join("registry"));
        let registry = Registry::create(&manifests).map_err(io("make the control plane's folder"))?;
        let spec = control_plane_container(&state, &manifests, env);
        let template = PodTemplate {
            labels: Default::default(),
            annotations: Default::default(),
            service_account: CONTROL_PLANE.into(),
            containers: vec![spec.clone()],
            grace: Duration::from_secs(5),
        };
        let pod = Pod::new(Parts {
            namespace: NAMESPACE.into(),
            name: CONTROL_PLANE.into(),
            workload: None,
            template,
            address,
            sidecar: None,
            folder,
        });
        let started = CancellationToken::new();
        Ok(Self { pod: Rc::new(pod), registry: RefCell::new(registry), started, state })
    }

    /// Where sidecars reach the control plane.
    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.pod.address.v4.into(), CONTROL_PLANE_PORT)
    }

    /// Makes the join token by which a sidecar proves who it is; each is good for one start.
    pub(super) fn write_token(&self, pod: &Pod) -> std::io::Result<()> {
        let identity = SpiffeId::new(TRUST_DOMAIN, &pod.namespace, &pod.template.service_account);
        let identity = identity.map_err(std::io::Error::other)?;
        let token = tokens::create(&self.state, &identity, TOKEN_LIFETIME).map_err(std::io::Error::other)?;
        let file = File::options().create(true).write(true).truncate(true).mode(0o600).open(token_file(&pod.folder));
        file?.write_all(token.as_bytes())
    }

    /// Keeps the control plane from running, or lets it run again.
    pub(super) fn hold(&self, signal: Option<Signal>) {
        let container = &self.pod.containers[0];
        container.held.send_replace(signal.is_some());
        if let (Some(signal), Some((pid, _))) = (signal, container.process.get()) {
            // It may have ended by itself already.
            let _ = nix::sys::signal::kill(pid, signal);
        }
    }
}

fn control_plane_container(state: &Path, manifests: &Path, more: &[(String, String)]) -> manifest::Container {
    let ranges = [
        format!("{}/{}", POD_RANGE_V4.0, POD_RANGE_V4.1),
        format!("{}/{}", POD_RANGE_V6.0, POD_RANGE_V6.1),
        format!("{}/{}", SERVICE_RANGE_V4.0, SERVICE_RANGE_V4.1),
        format!("{}/{}", SERVICE_RANGE_V6.0, SERVICE_RANGE_V6.1),
    ];
    let env = [
        ("WEFT_REGISTRY_DIR", manifests.display().to_string()),
        ("WEFT_STATE_DIR", state.display().to_string()),
        ("WEFT_LISTEN", format!("[::]:{CONTROL_PLANE_PORT}")),
        ("WEFT_ADMIN_LISTEN", format!("[::]:{CONTROL_PLANE_ADMIN_PORT}")),
        ("WEFT_CLUSTER_RANGES", ranges.join(",")),
        ("WEFT_TRUST_DOMAIN", TRUST_DOMAIN.into()),
        ("WEFT_CONTROL_PLANE_NAMESPACE", NAMESPACE.into()),
    ];
    container(CONTROL_PLANE, with(&env, more), CONTROL_PLANE_ADMIN_PORT)
}

/// The sidecar of a pod.
pub(super) fn sidecar(mesh: &Mesh, folder: &Path, more: &[(String, String)]) -> manifest::Container {
    let env = [
        ("WEFT_CONTROL_PLANE_ADDRESS", mesh.address().to_string()),
        ("WEFT_CONTROL_PLANE_NAMESPACE", NAMESPACE.into()),
        ("WEFT_TRUST_DOMAIN", TRUST_DOMAIN.into()),
        ("WEFT_TRUST_BUNDLE_FILE", mesh.state.join("trust-bundle.pem").display().to_string()),
        ("WEFT_JOIN_TOKEN_FILE", token_file(folder).display().to_string()),
        ("WEFT_MARK", MARK.into()),
        ("WEFT_NODE", "sandbox".into()),
    ];
    let mut env = with(&env, more);
    for (name, field) in [
        ("WEFT_POD_NAMESPACE", FieldRef::Namespace),
        ("WEFT_POD_NAME", FieldRef::Name),
        ("WEFT_POD_SERVICE_ACCOUNT", FieldRef::ServiceAccount),
        ("WEFT_POD_ADDRESSES", FieldRef::PodIps),
    ] {
        env.push((name.into(), EnvValue::Field(field)));
    }
    container(PROXY, env, PROXY_ADMIN_PORT)
}

fn token_file(folder: &Path) -> PathBuf {
    folder.join("join-token")
}

fn with(env: &[(&str, String)], more: &[(String, String)]) -> Vec<(String, EnvValue)> {
    let own = env.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    own.chain(more.iter().cloned()).map(|(name, value)| (name, EnvValue::Text(value))).collect()
}

fn container(name: &str, env: Vec<(String, EnvValue)>, admin_port: u16) -> manifest::Container {
    let port = ProbePort::Number(admin_port);
    manifest::Container {
        name: name.to_owned(),
        command: vec![name.to_owned()],
        env,
        working_dir: None,
        ports: Default::default(),
        readiness: Some(Probe {
            action: ProbeAction::HttpGet { path: "/ready".into(), port, headers: Vec::new() },
            initial_delay: Duration::ZERO,
            period: PERIOD,
            timeout: PERIOD,
            successes: 1,
            failures: 3,
        }),
    }
}

/// What a sidecar needs before it starts: a trust bundle to believe in, and the rules that lead connections to it.
pub(super) async fn prepare(sandbox: &Sandbox, pod: &Pod, sidecar: &Container) {
    if let Some(mesh) = &sandbox.mesh {
        mesh.started.cancelled().await;
    }
    proxy_command(sandbox, pod, sidecar, "redirect").await;
}

/// Runs one of the sidecar's own commands in its pod: `redirect` or `drain`.
pub(super) async fn proxy_command(sandbox: &Sandbox, pod: &Pod, sidecar: &Container, verb: &str) {
    let run = async {
        let mut program = container::program(sandbox, pod, sidecar, vec![PROXY.into(), verb.into()])?;
        program.folder = pod.folder.clone();
        let streams = sidecar
            .streams()
            .map_err(|source| crate::process::StartError::Start { program: "it without a log".into(), source })?;
        let started = sandbox.processes.start(&program, streams)?;
        Ok::<_, crate::process::StartError>(started.ended.await.unwrap_or(Ended::Killed(libc::SIGKILL)))
    };
    let problem = match run.await {
        Ok(Ended::Exited(0)) => return,
        Ok(ended) => ended.to_string(),
        Err(error) => error.to_string(),
    };
    sandbox.warn(&format!(
        "pod {0}/{1}: `weft-proxy {verb}`: {problem}; see `weft sandbox logs -n {0} {1} {PROXY}`",
        pod.namespace, pod.name
    ));
}
