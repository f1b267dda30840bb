//! A pair of HAProxies: HTTP/2 over mutual TLS 1.3 between them, two threads each, connections reused.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::bed::{INBOUND_PORT, OUTBOUND_PORT, SERVER, Setup, give, quiet};
use super::start::start;
use crate::bare::Protocol;
use crate::process::Process;

const PROGRAM: &str = "haproxy";

/// The same cipher that rustls prefers.
const CIPHER: &str = "TLS_AES_256_GCM_SHA384";

/// Whether HAProxy, and what makes its certificate, are there.
pub fn installed() -> bool {
    let runs = |program: &str, version: &str| {
        let mut command = Command::new(program);
        command.arg(version).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    runs(PROGRAM, "-v") && runs("openssl", "version")
}

pub fn start_pair(setup: &Setup<'_>) -> anyhow::Result<Vec<Process>> {
    make_certificate(setup.folder)?;
    let app = SocketAddr::new(SERVER.into(), setup.case.server_port());
    let protocol = setup.case.protocol();
    let outbound = side(protocol, &outbound(protocol, setup.folder));
    let inbound = side(protocol, &inbound(protocol, setup.folder, app));
    std::fs::write(setup.folder.join("outbound.cfg"), outbound)?;
    std::fs::write(setup.folder.join("inbound.cfg"), inbound)?;
    give(setup.folder)?;
    let run = |file: &str, namespace| {
        let mut command = Command::new(PROGRAM);
        start(quiet(command.arg("-db").arg("-f").arg(setup.folder.join(file))), namespace, true)
    };
    Ok(vec![run("outbound.cfg", setup.client)?, run("inbound.cfg", setup.server)?])
}

/// One certificate that signs itself: each side shows it and trusts it.
fn make_certificate(folder: &Path) -> anyhow::Result<()> {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("certificate.pem.key"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=weft-bench"]).arg("-out").arg(certificate).arg("-keyout").arg(key);
    let done = command.output().context("run openssl")?;
    ensure!(done.status.success(), "openssl made no certificate: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

fn side(protocol: Protocol, listener: &str) -> String {
    let mode = if protocol == Protocol::Tcp { "tcp" } else { "http" };
    let reuse = if protocol == Protocol::Tcp { "" } else { "  http-reuse always\n" };
    format!(
        "global\n  nbthread 2\n  maxconn 8000\n  tune.h2.initial-window-size 262144\n  \
         tune.h2.max-concurrent-streams 1000\n  ssl-default-bind-ciphersuites {CIPHER}\n  \
         ssl-default-server-ciphersuites {CIPHER}\n\
         defaults\n  mode {mode}\n  timeout connect 5s\n  timeout client 300s\n  timeout server 300s\n{reuse}\
         listen side\n{listener}"
    )
}

fn outbound(protocol: Protocol, folder: &Path) -> String {
    let front = if protocol == Protocol::Http2 { " proto h2" } else { "" };
    let back = if protocol == Protocol::Tcp { "" } else { " alpn h2 proto h2" };
    let certificate = folder.join("certificate.pem");
    let certificate = certificate.display();
    format!(
        "  bind 127.0.0.1:{OUTBOUND_PORT}{front}\n  server peer {SERVER}:{INBOUND_PORT} ssl verify required \
         ca-file {certificate} crt {certificate} ssl-min-ver TLSv1.3{back}\n"
    )
}

fn inbound(protocol: Protocol, folder: &Path, app: SocketAddr) -> String {
    let front = if protocol == Protocol::Tcp { "" } else { " alpn h2" };
    let back = if protocol == Protocol::Http2 { " proto h2" } else { "" };
    let certificate = folder.join("certificate.pem");
    let certificate = certificate.display();
    format!(
        "  bind {SERVER}:{INBOUND_PORT} ssl crt {certificate} ca-file {certificate} verify required \
         ssl-min-ver TLSv1.3{front}\n  server app {app}{back}\n"
    )
}
