//! An app for end-to-end tests, and the load that checks what the mesh does to requests.
//!
//! `serve` answers and writes down every request that carries an id. `load` sends GETs and POSTs with ids and says what
//! became of each. The test compares the two: the judge is never the proxy.

mod app;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use tokio_util::sync::CancellationToken;

/// An app for end-to-end tests, and its client.
#[derive(Parser)]
enum Command {
    /// Serves HTTP/1.1, HTTP/2 in the clear, and echoes bytes.
    Serve {
        /// Where HTTP is served; each given address.
        #[arg(long, default_value = "[::]:8080")]
        http: SocketAddr,
        /// Where bytes are echoed.
        #[arg(long, default_value = "[::]:9000")]
        echo: SocketAddr,
        /// Where a greeting is sent before the client has said anything.
        #[arg(long, default_value = "[::]:2525")]
        greet: SocketAddr,
        /// The file that ids of requests are appended to.
        #[arg(long, env = "RECORD")]
        record: Option<PathBuf>,
        /// Whom a request for /chain is passed on to, as host:port; nobody: it fails with 503.
        #[arg(long)]
        next: Option<String>,
        /// Requests for /work/MILLISECONDS that are worked on at a time; further ones wait.
        #[arg(long, default_value_t = 4)]
        capacity: usize,
    },
    /// Sends requests and prints, as one JSON object, what became of them.
    Load {
        /// Where to, as host:port.
        target: String,
        /// For how long.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// Clients beside each other, each with a connection of its own.
        #[arg(long, default_value_t = 8)]
        clients: usize,
        /// Pause of a client after each request, in milliseconds.
        #[arg(long, default_value_t = 5)]
        pause_ms: u64,
        /// Requests per second by all clients together, instead of the pauses.
        #[arg(long)]
        rate: Option<u32>,
        /// What a request looks like.
        #[arg(long, value_enum, default_value = "http1")]
        protocol: app::Protocol,
        /// What is asked for.
        #[arg(long, default_value = "/load")]
        path: String,
        /// Stop when standard input ends.
        #[arg(long)]
        until_eof: bool,
    },
    /// Sends one request and prints status, headers and body as JSON.
    Get {
        /// Where to, as host:port.
        target: String,
        /// The path.
        #[arg(default_value = "/")]
        path: String,
        /// Fields to send, as name=value.
        #[arg(long)]
        header: Vec<String>,
        /// The method.
        #[arg(long, default_value = "GET")]
        method: String,
        /// The body.
        #[arg(long, default_value = "")]
        body: String,
        /// Speak HTTP/2.
        #[arg(long)]
        http2: bool,
        /// End with an error unless the answer is one of success.
        #[arg(long)]
        fail: bool,
        /// How long to say nothing at first, in seconds.
        #[arg(long, default_value_t = 0.0)]
        after: f64,
    },
    /// Sends bytes, half-closes, and prints what comes back.
    Bytes {
        /// Where to, as host:port.
        target: String,
        /// What to send; nothing: wait for the server's greeting.
        #[arg(default_value = "")]
        text: String,
        /// Connections one after the other.
        #[arg(long, default_value_t = 1)]
        times: usize,
    },
    /// Asks for another protocol (or, with `--connect`, for a tunnel), sends bytes, half-closes, and prints what comes back.
    Switch {
        /// Where to, as host:port.
        target: String,
        /// What to send after the answer's head.
        text: String,
        /// Ask by CONNECT.
        #[arg(long)]
        connect: bool,
    },
    /// Makes all four kinds of gRPC call to the users service, one that runs out of time and one that is broken off.
    Grpc {
        /// Where to, as host:port.
        target: String,
    },
    /// Looks at every frame that this network namespace sends or receives, and counts those that hold a text.
    Capture {
        /// The text.
        needle: String,
        /// For how long.
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
    },
    /// Sends a request, then keeps the connection and says nothing until the time is over.
    Silent {
        /// Where to, as host:port.
        target: String,
        /// For how long.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Sends a request's head a byte at a time and never ends it; prints what it is answered with, and when.
    Trickle {
        /// Where to, as host:port.
        target: String,
    },
    /// Keeps connections open on which it says nothing, and opens another for each that ends.
    Flood {
        /// Where to, as host:port.
        target: String,
        /// How many.
        #[arg(long, default_value_t = 100)]
        connections: usize,
        /// For how long.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
    },
    /// Pulls the cable of the pod that it runs in.
    Unplug,
    /// Opens a connection of bytes and exchanges a word a second until the time is over; prints how often that worked.
    Hold {
        /// Where to, as host:port.
        target: String,
        /// For how long.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// How long to say nothing at first.
        #[arg(long, default_value_t = 0.0)]
        after: f64,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Serve { http, echo, greet, record, next, capacity } => {
            app::serve(http, (echo, greet), app::Serve { record, next, capacity }).await
        }
        Command::Load { target, seconds, clients, pause_ms, rate, protocol, path, until_eof } => {
            let pace = rate.map_or(app::Pace::Pause(Duration::from_millis(pause_ms)), app::Pace::Rate);
            let load = app::Load { target, path, time: Duration::from_secs_f64(seconds), clients, pace, protocol };
            let stop = CancellationToken::new();
            if until_eof {
                cancel_at_eof(stop.clone());
            }
            print(&load.run(stop).await)
        }
        Command::Get { target, path, header, method, body, http2, fail, after } => {
            let after = Duration::from_secs_f64(after);
            let request = app::One { target, path, header, method, body, http2, after };
            let answer = request.send().await?;
            print(&answer)?;
            anyhow::ensure!(!fail || answer.is_success(), "not an answer of success");
            Ok(())
        }
        Command::Bytes { target, text, times } => print(&app::bytes(&target, &text, times).await?),
        Command::Switch { target, text, connect } => {
            let head = if connect {
                format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
            } else {
                format!("GET /switch HTTP/1.1\r\nHost: {target}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
            };
            print(&app::switch(&target, &head, &text).await?)
        }
        Command::Grpc { target } => print(&app::grpc(&target).await?),
        Command::Capture { needle, seconds } => print(&app::capture(&needle, Duration::from_secs_f64(seconds))?),
        Command::Silent { target, seconds } => app::silent(&target, Duration::from_secs_f64(seconds)).await,
        Command::Trickle { target } => print(&app::trickle(&target).await?),
        Command::Flood { target, connections, seconds } => {
            print(&app::flood(&target, connections, Duration::from_secs_f64(seconds)).await)
        }
        Command::Unplug => app::unplug().await,
        Command::Hold { target, seconds, after } => {
            let (time, after) = (Duration::from_secs_f64(seconds), Duration::from_secs_f64(after));
            print(&app::hold(&target, time, after).await?)
        }
    }
}

/// On a thread of its own, which does not hold up the end of the process as a read on the runtime would.
fn cancel_at_eof(stop: CancellationToken) {
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        stop.cancel();
    });
}

#[expect(clippy::print_stdout, reason = "what a command-line tool is for")]
fn print(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(value)?);
    Ok(())
}
