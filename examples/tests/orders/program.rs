//! The program `shop`, run as a process of its own, so that it can be killed.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use weft_examples::orders::Urls;

/// Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running service; killed where it is dropped.
pub struct Program {
    child: Child,
    /// Where it serves REST.
    pub url: String,
    /// Where orders and users serve gRPC.
    pub grpc: String,
    _log: JoinSet<()>,
}

impl Program {
    /// Starts orders on ports of its own. It looks for orders that nobody works on with a `LEASE` of 1 s.
    pub async fn start(database: &str, urls: &Urls, settings: &[(&str, &str)]) -> Self {
        let partners = [
            ("USERS_URL", urls.users.as_str()),
            ("CATALOG_URL", &urls.catalog),
            ("INVENTORY_URL", &urls.inventory),
            ("PAYMENTS_URL", &urls.payments),
            ("LEASE", "1s"),
        ];
        Self::run("orders", database, &[&partners, settings].concat()).await
    }

    /// Starts a service on ports of its own.
    pub async fn run(service: &str, database: &str, settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_shop"))
            .arg(service)
            .envs([("DATABASE_URL", database), ("HOST", "127.0.0.1"), ("PORT", "0"), ("GRPC_PORT", "0")])
            .envs(settings.iter().copied())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let mut url = async |says: &str| {
            loop {
                let Some(line) = lines.next_line().await.unwrap() else { panic!("{service} ended: {said}") };
                said += &line;
                if let Some((_, address)) = line.split_once(says) {
                    return format!("http://{address}");
                }
            }
        };
        let rest = timeout(PATIENCE, url("serving REST address=")).await.expect("it serves");
        let grpc = match service {
            "orders" | "users" => timeout(PATIENCE, url("serving gRPC address=")).await.expect("it serves"),
            _ => String::new(),
        };
        let mut log = JoinSet::new();
        log.spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { child, url: rest, grpc, _log: log }
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(mut self) {
        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM).unwrap();
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it stops").unwrap();
        assert!(status.success(), "{status}");
    }

    /// Waits until it has died as by `kill -9`.
    pub async fn crashed(mut self) {
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it crashes").unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
    }
}

/// Orders two pieces of product 3 for user 1: 600 cents. `None` where the connection broke before the answer.
pub async fn order(url: &str, mode: &str, key: &str) -> Option<Value> {
    let body = json!({ "user_id": 1, "items": [{ "product_id": 3, "quantity": 2 }] });
    let request = reqwest::Client::new().post(format!("{url}/orders?mode={mode}")).header("Idempotency-Key", key);
    let answer = request.json(&body).send().await.ok()?;
    let status = answer.status();
    let order = answer.json().await.ok()?;
    assert!(status.is_success(), "{status}: {order}");
    Some(order)
}

pub async fn get(url: &str, path: &str) -> Value {
    reqwest::get(format!("{url}{path}")).await.unwrap().json().await.unwrap()
}

/// Waits until `path` answers what is wanted.
pub async fn until(url: &str, path: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let waits = async {
        loop {
            let answer = get(url, path).await;
            if is_wanted(&answer) {
                return answer;
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, waits).await.expect("the answer that is wanted")
}

/// The one order that there is, once it is no longer pending.
pub async fn ended(url: &str) -> Value {
    let orders = until(url, "/orders", |orders| orders[0]["status"] != "pending").await;
    assert_eq!(orders.as_array().unwrap().len(), 1, "{orders}");
    orders[0].clone()
}
