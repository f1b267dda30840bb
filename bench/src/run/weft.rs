//! Weft as docs/by-hand.md starts it: a control plane over a folder, and a pair of proxies.
//!
//! What the control plane knows is in mesh.yaml. It stands in a namespace of its own, with a cable to either side.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use weft_certs::SpiffeId;
use weft_control_plane::identity::tokens;

use super::bed::{CLIENT, SERVER, Setup, give, quiet};
use super::namespace::{End, Namespace, cable};
use super::start::start;
use crate::process::Process;
use crate::thread;

const MESH: &str = include_str!("mesh.yaml");
const TRUST_DOMAIN: &str = "cluster.local";
const NAMESPACE: &str = "bench";
/// How long the control plane may take to make its authority.
const PATIENCE: Duration = Duration::from_secs(10);

/// A side of the pair, and where the cable between it and the control plane ends.
struct Side<'a> {
    name: &'static str,
    namespace: &'a Namespace,
    address: Ipv4Addr,
    near: Ipv4Addr,
    control_plane: Ipv4Addr,
    cable: &'static str,
}

/// The pair, and the control plane.
pub fn start_pair(setup: &Setup<'_>) -> anyhow::Result<(Vec<Process>, Vec<Process>)> {
    let control = Namespace::new()?;
    let sides = [
        Side {
            name: "client",
            namespace: setup.client,
            address: CLIENT,
            near: Ipv4Addr::new(10, 77, 1, 2),
            control_plane: Ipv4Addr::new(10, 77, 1, 1),
            cable: "client",
        },
        Side {
            name: "server",
            namespace: setup.server,
            address: SERVER,
            near: Ipv4Addr::new(10, 77, 2, 2),
            control_plane: Ipv4Addr::new(10, 77, 2, 1),
            cable: "server",
        },
    ];
    for side in &sides {
        cable(
            &End { namespace: &control, name: side.cable, address: side.control_plane },
            &End { namespace: side.namespace, name: "control", address: side.near },
        )?;
    }
    let state = setup.folder.join("state");
    let control_plane = start_control_plane(setup, &control, &state)?;
    let pair = sides.iter().map(|side| start_proxy(setup, side, &state)).collect::<anyhow::Result<_>>()?;
    Ok((pair, vec![control_plane]))
}

fn start_control_plane(setup: &Setup<'_>, namespace: &Namespace, state: &Path) -> anyhow::Result<Process> {
    let registry = setup.folder.join("registry");
    std::fs::create_dir(&registry)?;
    std::fs::write(registry.join("mesh.yaml"), MESH)?;
    let mut command = setup.programs.control_plane();
    command.env("WEFT_REGISTRY_DIR", &registry).env("WEFT_STATE_DIR", state).env("WEFT_LOG", "warn");
    let control_plane = start(quiet(&mut command), namespace, false)?;
    let bundle = state.join("trust-bundle.pem");
    thread::block_on(async {
        let written = async {
            while !bundle.exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, written).await.context("the control plane made no authority")
    })?;
    Ok(control_plane)
}

fn start_proxy(setup: &Setup<'_>, side: &Side<'_>, state: &Path) -> anyhow::Result<Process> {
    let identity = SpiffeId::new(TRUST_DOMAIN, NAMESPACE, side.name)?;
    let folder: PathBuf = setup.folder.join(side.name);
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("join-token"), tokens::create(state, &identity, Duration::from_secs(600))?)?;
    std::fs::copy(state.join("trust-bundle.pem"), folder.join("trust-bundle.pem"))?;
    give(&folder)?;
    let mut command = setup.programs.proxy();
    command
        .env("WEFT_POD_NAMESPACE", NAMESPACE)
        .env("WEFT_POD_NAME", side.name)
        .env("WEFT_POD_SERVICE_ACCOUNT", side.name)
        .env("WEFT_POD_ADDRESSES", side.address.to_string())
        .env("WEFT_CONTROL_PLANE_ADDRESS", format!("{}:8443", side.control_plane))
        .env("WEFT_TRUST_BUNDLE_FILE", folder.join("trust-bundle.pem"))
        .env("WEFT_JOIN_TOKEN_FILE", folder.join("join-token"))
        .env("WEFT_WORKERS", setup.programs.workers().to_string())
        .env("WEFT_LOG", "error");
    start(quiet(&mut command), side.namespace, true)
}
