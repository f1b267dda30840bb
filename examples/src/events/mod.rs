//! Orders' events, for services that follow them: read at least once, dealt with exactly once.
//!
//! A reader keeps the sequence of the last event that it has dealt with in its own database, and writes it in the
//! transaction in which it deals with the event (`consumer.rs`). An event that comes again is known by its sequence and
//! skipped, so nothing else has to be remembered, neither by orders nor by NATS.

mod consumer;
pub mod nats;

use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use tonic::transport::{Channel, Endpoint};

use crate::proto::order_events_client::OrderEventsClient;
use crate::proto::{FollowRequest, HeadRequest, OrderEvent};
use crate::settings;

pub use consumer::{Lag, consume, lag};

const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
const HEAD_DEADLINE: Duration = Duration::from_secs(1);
/// How often a quiet connection is tried, so that a peer that vanished is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Where the events come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The orders service, over gRPC.
    Orders(OrderEventsClient<Channel>),
    /// NATS JetStream, which orders publishes them to.
    Nats(nats::Events),
}

impl Source {
    /// NATS at `NATS_URL` where that is set, else orders at `ORDERS_GRPC_URL` (`http://orders:9090`).
    ///
    /// # Errors
    /// A value that is no URL.
    pub fn from_env() -> anyhow::Result<Self> {
        if let Some(events) = nats::Events::from_env()? {
            return Ok(Self::Nats(events));
        }
        let url = settings::parsed("ORDERS_GRPC_URL", "http://orders:9090".to_owned(), "a URL")?;
        let endpoint = Endpoint::from_shared(url.clone()).with_context(|| format!("ORDERS_GRPC_URL is {url:?}"))?;
        let endpoint = endpoint.connect_timeout(CONNECT_DEADLINE).http2_keep_alive_interval(KEEP_ALIVE);
        Ok(Self::Orders(OrderEventsClient::new(endpoint.connect_lazy())))
    }

    /// All events after `sequence`, then each as it happens. The stream ends with an error, and then has to be asked for anew.
    ///
    /// # Errors
    /// No connection.
    pub async fn follow(&self, sequence: i64) -> anyhow::Result<BoxStream<'static, anyhow::Result<OrderEvent>>> {
        match self {
            Self::Orders(client) => {
                let events = client.clone().follow(FollowRequest { after: sequence }).await?;
                Ok(events.into_inner().map(|event| Ok(event?)).boxed())
            }
            Self::Nats(events) => events.follow(sequence).await,
        }
    }

    /// The last sequence that there is.
    ///
    /// # Errors
    /// No answer within 1 s.
    pub async fn head(&self) -> anyhow::Result<i64> {
        let head = async {
            match self {
                Self::Orders(client) => Ok(client.clone().head(HeadRequest {}).await?.into_inner().sequence),
                Self::Nats(events) => events.head().await,
            }
        };
        tokio::time::timeout(HEAD_DEADLINE, head).await.context("no answer in time")?
    }
}
