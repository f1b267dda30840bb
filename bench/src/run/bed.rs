//! A test bed: a client's and a server's namespace, a cable between them, the server, and what stands in the way.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Context;
use weft_proxy::redirect;

use super::case::Case;
use super::namespace::{End, Namespace, cable};
use super::peer::Peer;
use super::program::Programs;
use super::start::{PROXY_USER, start};
use super::{haproxy, weft};
use crate::bare;
use crate::process::Process;

pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// The Service's address: nobody has it, the redirect takes what goes there.
pub const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
pub const OUTBOUND_PORT: u16 = 4140;
pub const INBOUND_PORT: u16 = 4143;

/// Everything of one peer in one case. Dropping it ends and removes all of it.
pub struct Bed {
    pub client: Namespace,
    /// The pair that is measured: none when the connection is direct.
    pub pair: Vec<Process>,
    /// Where the client sends its load.
    pub target: SocketAddr,
    /// Processes that are not measured.
    _others: Vec<Process>,
    /// Keys and configuration.
    _folder: tempfile::TempDir,
}

impl Bed {
    pub fn new(peer: Peer, case: Case, programs: &Programs) -> anyhow::Result<Self> {
        let (client, server) = (Namespace::new()?, Namespace::new()?);
        cable(
            &End { namespace: &client, name: "eth0", address: CLIENT },
            &End { namespace: &server, name: "cable", address: SERVER },
        )?;
        client.set_default_route(SERVER)?;
        let serve = start(quiet(&mut programs.bench("serve")), &server, false)?;
        let folder = folder_of_proxies()?;
        let setup = Setup { client: &client, server: &server, case, folder: folder.path(), programs };
        let (pair, mut others) = match peer {
            Peer::Direct => (Vec::new(), Vec::new()),
            Peer::Bare => (setup.bare()?, Vec::new()),
            Peer::Haproxy => (haproxy::start_pair(&setup)?, Vec::new()),
            Peer::Weft => weft::start_pair(&setup)?,
        };
        others.push(serve);
        if peer != Peer::Direct {
            setup.redirect()?;
        }
        let target = if peer == Peer::Direct { SERVER } else { SERVICE };
        let target = SocketAddr::new(target.into(), case.server_port());
        Ok(Self { client, pair, target, _others: others, _folder: folder })
    }
}

/// What a pair of proxies is started with.
pub struct Setup<'a> {
    pub client: &'a Namespace,
    pub server: &'a Namespace,
    pub case: Case,
    pub folder: &'a Path,
    pub programs: &'a Programs,
}

impl Setup<'_> {
    /// The same rules for every pair, Weft's own.
    fn redirect(&self) -> anyhow::Result<()> {
        for namespace in [self.client, self.server] {
            let options = redirect::Options { uid: Some(PROXY_USER), ..redirect::Options::default() };
            namespace.run(move || Ok(redirect::apply(&options)?)).context("redirect connections to the proxies")?;
        }
        Ok(())
    }

    fn bare(&self) -> anyhow::Result<Vec<Process>> {
        bare::write_authority(self.folder)?;
        give(self.folder)?;
        let app = SocketAddr::new(SERVER.into(), self.case.server_port());
        let side = |command: &str, listen: SocketAddr, forward: SocketAddr, namespace| {
            let mut side = self.programs.bench(command);
            side.arg("--listen").arg(listen.to_string()).arg("--forward").arg(forward.to_string());
            side.arg("--protocol").arg(self.case.protocol().to_string()).arg("--authority").arg(self.folder);
            start(quiet(&mut side), namespace, true)
        };
        let outbound = SocketAddr::from((Ipv4Addr::LOCALHOST, OUTBOUND_PORT));
        let inbound = SocketAddr::from((SERVER, INBOUND_PORT));
        Ok(vec![
            side("bare-outbound", outbound, inbound, self.client)?,
            side("bare-inbound", inbound, app, self.server)?,
        ])
    }
}

/// A folder that the proxies' user can read.
fn folder_of_proxies() -> anyhow::Result<tempfile::TempDir> {
    let folder = tempfile::Builder::new().prefix("weft-bench-").tempdir().context("make a folder")?;
    give(folder.path())?;
    Ok(folder)
}

/// Makes the proxies' user the owner of a folder and of the files in it.
pub fn give(folder: &Path) -> anyhow::Result<()> {
    let files: Vec<PathBuf> =
        std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    for path in files.iter().map(PathBuf::as_path).chain([folder]) {
        std::os::unix::fs::chown(path, Some(PROXY_USER), Some(PROXY_USER))?;
    }
    Ok(())
}

/// Without input; errors go where ours go.
pub fn quiet(command: &mut Command) -> Command {
    let mut quiet = Command::new(command.get_program());
    quiet.args(command.get_args()).stdin(Stdio::null()).stdout(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => quiet.env(name, value),
            None => quiet.env_remove(name),
        };
    }
    quiet
}
