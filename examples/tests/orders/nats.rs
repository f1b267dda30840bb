//! A NATS server of a test's own.

use std::io::Write;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::program::PATIENCE;

pub struct Nats {
    url: String,
    _server: Child,
    _folder: TempDir,
    _log: JoinSet<()>,
}

impl Nats {
    /// Starts a server with JetStream. Where NATS is not installed: none, which fails in continuous integration (`CI=true`) and
    /// is said elsewhere.
    pub async fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let server = Command::new("nats-server")
            .args(["--addr", "127.0.0.1", "--port", "-1", "--jetstream", "--store_dir"])
            .arg(folder.path())
            .env("PATH", format!("{}:/usr/sbin:/usr/local/bin", std::env::var("PATH").unwrap()))
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let Ok(mut server) = server else {
            assert!(std::env::var("CI").is_err(), "nats-server is not installed: run .ci/packages");
            let warning = b"!!! nats-server is not installed: events through NATS were not tested\n";
            std::io::stderr().write_all(warning).unwrap(); // past the test harness, which keeps what eprintln! says
            return None;
        };
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        let listening = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("it listens before it ends");
                if let Some((_, address)) = line.split_once("Listening for client connections on ") {
                    return format!("nats://{address}");
                }
            }
        };
        let url = timeout(PATIENCE, listening).await.expect("it listens");
        let mut log = JoinSet::new();
        log.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { url, _server: server, _folder: folder, _log: log })
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}
