//! How the supervisor is started, and how its life hangs on this process.

use std::fs::File;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;

use super::Options;
use crate::error::{SandboxError, io};
use crate::manifest::Manifests;
use crate::protocol::{DETACH, Event, Listener, Setup};
use crate::rundir::RunDir;

/// The argument by which a program becomes the supervisor: see [`crate::supervisor::run`].
pub const SUPERVISOR: &str = "sandbox-supervisor";

/// The supervisor that this process has started. When this is dropped, the supervisor and all its pods end.
#[derive(Debug)]
pub(super) struct Supervisor {
    child: Child,
    /// Its standard input: closed, by us or by our death, it ends.
    lifeline: Option<ChildStdin>,
    events: Lines<BufReader<pipe::Receiver>>,
    folder: PathBuf,
}

pub(super) async fn launch(options: Options) -> Result<(PathBuf, Supervisor), SandboxError> {
    let this = std::env::current_exe().map_err(io("find this program"))?;
    let build = build_folder(&this);
    let program = options.program.map_or_else(|| find_weft(&build), Ok)?;
    let (sockets, listeners) = listen(&options.manifests)?;
    let RunDir { path: folder, lock } = RunDir::create(&options.name).await?;
    let inherited: Vec<RawFd> = sockets.iter().map(AsRawFd::as_raw_fd).chain([lock.as_raw_fd()]).collect();
    let log = File::create(folder.join("supervisor.log")).map_err(io("write the supervisor's log"))?;
    let mut command = std::process::Command::new(program);
    command.arg(SUPERVISOR).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
    // SAFETY: between fork and exec only fcntl is called, on descriptors that stay open until `spawn` returns.
    unsafe {
        command.pre_exec(move || inherited.iter().try_for_each(|descriptor| inherit(*descriptor)));
    }
    let mut child = command.spawn().map_err(io("start the supervisor"))?;
    let (lifeline, events) = (child.stdin.take(), child.stdout.take());
    let events = events.map(OwnedFd::from).ok_or(SandboxError::Ended)?;
    let events = pipe::Receiver::from_owned_fd(events).map_err(io("listen to the supervisor"))?;
    let mut supervisor = Supervisor { child, lifeline, events: BufReader::new(events).lines(), folder: folder.clone() };
    let setup = Setup {
        folder: folder.clone(),
        lock: lock.as_raw_fd(),
        listeners,
        manifests: options.manifests,
        build,
        proxy_env: options.proxy_env,
        control_plane_env: options.control_plane_env,
    };
    supervisor.say(&serde_json::to_string(&setup).map_err(|error| io("write the setup")(error.into()))?)?;
    Ok((folder, supervisor))
}

impl Supervisor {
    pub(super) async fn next_event(&mut self) -> Option<Event> {
        let line = self.events.next_line().await.ok()??;
        serde_json::from_str(&line).ok()
    }

    pub(super) fn detach(mut self) -> Result<(), SandboxError> {
        self.say(DETACH)?;
        self.lifeline = None;
        Ok(())
    }

    fn say(&mut self, line: &str) -> Result<(), SandboxError> {
        let lifeline = self.lifeline.as_mut().ok_or(SandboxError::Ended)?;
        lifeline.write_all(format!("{line}\n").as_bytes()).map_err(io("speak to the supervisor"))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if self.lifeline.take().is_none() {
            return; // detached
        }
        // With its lifeline closed it ends at once, and with it everything: only then is the folder nobody's.
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn inherit(descriptor: RawFd) -> std::io::Result<()> {
    // SAFETY: fcntl with F_SETFD takes integers only.
    nix::errno::Errno::result(unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) })?;
    Ok(())
}

/// One listener on this machine's loopback for each TCP port of a Service.
fn listen(manifests: &Manifests) -> Result<(Vec<TcpListener>, Vec<Listener>), SandboxError> {
    let (mut sockets, mut listeners) = (Vec::new(), Vec::new());
    for service in &manifests.services {
        for port in service.ports.iter().filter(|port| !port.udp) {
            let socket = TcpListener::bind(("127.0.0.1", 0)).map_err(io("listen on loopback"))?;
            let address = socket.local_addr().map_err(io("listen on loopback"))?;
            listeners.push(Listener {
                namespace: service.namespace.clone(),
                service: service.name.clone(),
                port: port.port,
                descriptor: socket.as_raw_fd(),
                url: format!("http://{address}"),
            });
            sockets.push(socket);
        }
    }
    Ok((sockets, listeners))
}

/// Where the project's own programs are: beside this one; tests are one folder deeper.
fn build_folder(program: &Path) -> PathBuf {
    let folder = program.parent().unwrap_or(Path::new("/"));
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    folder.to_owned()
}

fn find_weft(build: &Path) -> Result<PathBuf, SandboxError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(build.to_owned()).chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join("weft")).find(|file| file.is_file()).ok_or(SandboxError::NoProgram)
}
