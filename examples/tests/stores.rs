//! `shop inventory` as a process that is killed at the worst moment, on both databases.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test panics when it fails")]

#[path = "../src/db/testing.rs"]
mod testing;

use std::net::TcpListener as Probe;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use testing::on_each;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use weft_examples::proto::coordinator_server::{Coordinator, CoordinatorServer};
use weft_examples::proto::inventory_service_client::InventoryServiceClient;
use weft_examples::proto::participant_client::ParticipantClient;
use weft_examples::proto::prepare_request::Work;
use weft_examples::proto::{
    DecideRequest, Decision, Item, ListInDoubtRequest, ListStockRequest, OutcomeRequest, OutcomeResponse,
    PrepareRequest, Reservation,
};

/// Generous: the machine may be busy with much else.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running `shop inventory`, killed (SIGKILL) when it is dropped.
struct Inventory {
    process: Child,
    channel: Channel,
}

impl Inventory {
    /// Started over a database; asks the coordinator on `coordinator`, a port of this machine, after a second.
    async fn start(url: &str, coordinator: u16) -> Self {
        let port = Probe::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new(env!("CARGO_BIN_EXE_shop"))
            .arg("inventory")
            .env("HOST", "127.0.0.1")
            .env("GRPC_PORT", port.to_string())
            .env("DATABASE_URL", url)
            .env("COORDINATOR_URL", format!("http://127.0.0.1:{coordinator}"))
            .env("IN_DOUBT_PATIENCE", "1s")
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let endpoint = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let end = Instant::now() + DEADLINE;
        let channel = loop {
            match endpoint.connect().await {
                Ok(channel) => break channel,
                Err(error) => assert!(Instant::now() < end, "it does not listen: {error}"),
            }
            sleep(Duration::from_millis(20)).await;
        };
        Self { process, channel }
    }

    async fn prepare(&self, transaction_id: i64, quantity: i64) {
        let items = vec![Item { product_id: 1, quantity }];
        let work = Some(Work::Reserve(Reservation { items }));
        let vote = ParticipantClient::new(self.channel.clone()).prepare(PrepareRequest { transaction_id, work }).await;
        assert!(vote.unwrap().into_inner().yes);
    }

    async fn decide(&self, transaction_id: i64, decision: Decision) {
        let request = DecideRequest { transaction_id, decision: decision.into() };
        ParticipantClient::new(self.channel.clone()).decide(request).await.unwrap();
    }

    async fn in_doubt(&self) -> Vec<i64> {
        let listed = ParticipantClient::new(self.channel.clone()).list_in_doubt(ListInDoubtRequest {}).await;
        listed.unwrap().into_inner().transaction_ids
    }

    /// Of product 1.
    async fn reserved(&self) -> i64 {
        let listed = InventoryServiceClient::new(self.channel.clone()).list_stock(ListStockRequest {}).await;
        listed.unwrap().into_inner().stock[0].reserved
    }
}

impl Drop for Inventory {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[tokio::test]
async fn killed_between_the_phases_it_keeps_its_promise() {
    on_each(async |url| {
        let nobody = Probe::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let before = Inventory::start(url, nobody).await;
        before.prepare(1, 10).await;
        drop(before);
        let after = Inventory::start(url, nobody).await;
        assert_eq!(after.in_doubt().await, [1]);
        after.decide(1, Decision::Commit).await;
        assert_eq!((after.in_doubt().await, after.reserved().await), (vec![], 10));
    })
    .await;
}

/// Has aborted everything.
struct Aborted;

#[tonic::async_trait]
impl Coordinator for Aborted {
    async fn outcome(&self, _: Request<OutcomeRequest>) -> Result<Response<OutcomeResponse>, Status> {
        Ok(Response::new(OutcomeResponse { decision: Decision::Abort.into() }))
    }
}

#[tokio::test]
async fn killed_between_the_phases_it_asks_for_the_decision() {
    on_each(async |url| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let before = Inventory::start(url, port).await;
        before.prepare(1, 10).await; // nobody serves the coordinator's port yet
        drop(before);
        let after = Inventory::start(url, port).await;
        assert_eq!(after.in_doubt().await, [1]);
        let serving = Server::builder()
            .add_service(CoordinatorServer::new(Aborted))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let settled = async {
            let end = Instant::now() + DEADLINE;
            while !after.in_doubt().await.is_empty() {
                assert!(Instant::now() < end, "it does not ask");
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            _ = serving => panic!("the coordinator ended"),
            () = settled => {}
        }
        assert_eq!(after.reserved().await, 0);
    })
    .await;
}
