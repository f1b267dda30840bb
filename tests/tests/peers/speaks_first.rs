//! Servers that speak before their client does, on ports that declare nothing.

use crate::harness::{CONNECTIONS, app, crossed, mesh, peers, run};

#[tokio::test]
async fn nats_delivers_every_message() {
    let Some([nats, node, _]) = peers(["nats-server", "node", "node_modules/nats"]) else { return };
    let mesh = mesh(&[&nats, "--addr", "0.0.0.0", "--port", "4222"], &[4222]).await;
    let said = run(&mesh, "client", &[&node, &app("nats-client.js"), "nats://server:4222"]).await;
    assert!(said.contains("1000 messages"), "{said}");
    assert_eq!(crossed(&mesh, CONNECTIONS).await, 1.0);
}

#[tokio::test]
async fn mail_is_handed_over_by_smtp() {
    let Some([python, curl, _]) = peers(["python3", "curl", "aiosmtpd"]) else { return };
    let server = [&python, "-m", "aiosmtpd", "-n", "-l", "0.0.0.0:2525", "-c", "aiosmtpd.handlers.Mailbox", "mail"];
    let mesh = mesh(&server, &[2525]).await;
    let letter = format!("Subject: over the mesh\r\n\r\n{}", "A line of the letter.\r\n".repeat(50_000));
    std::fs::write(mesh.folder.path().join("letter"), &letter).unwrap();
    let from_to = ["--mail-from", "me@example.com", "--mail-rcpt", "you@example.com", "--upload-file", "letter"];
    run(&mesh, "client", &[&[&*curl, "--silent", "--show-error", "smtp://server:2525"], &from_to[..]].concat()).await;
    let delivered = std::fs::read_dir(mesh.folder.path().join("mail/new")).unwrap().next().unwrap().unwrap();
    let delivered = std::fs::read_to_string(delivered.path()).unwrap();
    assert_eq!(delivered.matches("A line of the letter.").count(), 50_000);
    assert_eq!(crossed(&mesh, CONNECTIONS).await, 1.0);
}
