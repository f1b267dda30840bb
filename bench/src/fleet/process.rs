//! The control plane as a process of its own: the binary as it is installed.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

use crate::process::{Process, end_with_parent, peak_resident_bytes, usage};
use crate::thread;

const PROGRAM: &str = "weft-control-plane";
/// How long it may take to read its registry and make its authority.
const PATIENCE: Duration = Duration::from_secs(60);

/// The whole fleet comes from one address, so what one may take is no less than what all may.
pub const FROM_ONE_ADDRESS: [(&str, &str); 3] = [
    ("WEFT_MAX_CONNECTIONS_PER_PEER", "20000"),
    ("WEFT_MAX_HANDSHAKES", "80000"),
    ("WEFT_CERTIFICATES_PER_SECOND_PER_PEER", "20000"),
];

/// A control plane that runs until this is dropped.
pub struct ControlPlane {
    process: [Process; 1],
    pub address: SocketAddr,
    admin: SocketAddr,
}

impl ControlPlane {
    /// Starts it over these folders, and waits until it is ready. The program is in `binaries`, or beside this one.
    pub async fn start(binaries: Option<&Path>, registry: &Path, state: &Path) -> anyhow::Result<Self> {
        let program = program(binaries)?;
        let (address, admin) = (free_address()?, free_address()?);
        let mut command = Command::new(&program);
        command
            .env("WEFT_REGISTRY_DIR", registry)
            .env("WEFT_STATE_DIR", state)
            .env("WEFT_LISTEN", address.to_string())
            .env("WEFT_ADMIN_LISTEN", admin.to_string())
            .envs(FROM_ONE_ADDRESS)
            .env("WEFT_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        // SAFETY: between fork and exec only a system call is made; nothing is allocated or locked.
        unsafe { command.pre_exec(end_with_parent) };
        let plane = Self { process: [Process::spawn(command)?], address, admin };
        let deadline = Instant::now() + PATIENCE;
        while !plane.is_ready().await {
            ensure!(Instant::now() < deadline, "the control plane was not ready within {PATIENCE:?}; its log is above");
            usage(&plane.process)?;
            sleep(Duration::from_millis(50)).await;
        }
        Ok(plane)
    }

    /// User and system time so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        Ok(usage(&self.process)?.cpu)
    }

    /// The most memory that it has had.
    pub fn peak_resident_bytes(&self) -> anyhow::Result<u64> {
        peak_resident_bytes(self.process[0].0.id())
    }

    /// The answer to a GET on the admin port.
    pub async fn admin(&self, path: &str) -> anyhow::Result<String> {
        get(self.admin, path).await
    }

    async fn is_ready(&self) -> bool {
        self.admin("/ready").await.is_ok()
    }
}

/// A GET over a connection of its own; anything but 200 is an error.
pub async fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut connection = thread::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.context("send a request")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.context("read an answer")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer without an end of its head")?;
    ensure!(head.starts_with("HTTP/1.1 200 "), "{path}: {}", head.lines().next().unwrap_or_default());
    Ok(body.to_owned())
}

fn program(binaries: Option<&Path>) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folder = binaries.or(this.parent()).context("this program is in no folder")?;
    let program = folder.join(PROGRAM);
    ensure!(program.exists(), "no {PROGRAM} in {}: build it, or say where with --binaries", folder.display());
    Ok(program)
}

/// An address that nobody has at this moment.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("find a free port")?;
    Ok(listener.local_addr()?)
}
