//! The events through NATS JetStream: orders publishes its outbox to a stream, and readers read the stream.
//!
//! The stream's own numbers are the events' sequences. A replica of orders publishes the event that follows the last one of
//! the stream, and only if that is still the last one: replicas need not know of each other, and the stream has neither gaps
//! nor doubles. A stream that was lost is filled again from the outbox.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{self, Context, stream};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use prost::Message;
use tokio::sync::OnceCell;

use crate::proto::OrderEvent;
use crate::settings;

const STREAM: &str = "ORDERS";
const SUBJECT: &str = "orders.events";
const DEADLINE: Duration = Duration::from_secs(2);

/// The stream of events at a NATS server. A clone shares its connection.
#[derive(Clone, Debug)]
pub struct Events {
    url: String,
    connection: std::sync::Arc<OnceCell<Context>>,
}

impl Events {
    /// At `NATS_URL`, such as `nats://nats:4222`; none where that is not set.
    ///
    /// # Errors
    /// A value that is no text.
    pub fn from_env() -> anyhow::Result<Option<Self>> {
        let url = settings::parsed("NATS_URL", String::new(), "a URL such as nats://nats:4222")?;
        Ok((!url.is_empty()).then(|| Self::at(&url)))
    }

    /// At a server; connects when it is first asked, and again whenever the connection breaks.
    #[must_use]
    pub fn at(url: &str) -> Self {
        Self { url: url.to_owned(), connection: Default::default() }
    }

    /// All events after `sequence`, then each as it happens.
    ///
    /// # Errors
    /// No connection.
    pub async fn follow(&self, sequence: i64) -> anyhow::Result<BoxStream<'static, anyhow::Result<OrderEvent>>> {
        let start_sequence = u64::try_from(sequence)? + 1;
        let deliver_policy = DeliverPolicy::ByStartSequence { start_sequence };
        let config = pull::OrderedConfig { deliver_policy, ..Default::default() };
        let messages = self.stream().await?.create_consumer(config).await?.messages().await?;
        Ok(messages.map(|message| Ok(OrderEvent::decode(message?.payload.clone())?)).boxed())
    }

    /// The last sequence that is published.
    ///
    /// # Errors
    /// No answer.
    pub async fn head(&self) -> anyhow::Result<i64> {
        Ok(self.stream().await?.get_info().await?.state.last_sequence.try_into()?)
    }

    /// Publishes the event that follows those of the stream. False where another replica was faster.
    ///
    /// # Errors
    /// No answer: it may have been published or not.
    pub async fn publish(&self, event: &OrderEvent) -> anyhow::Result<bool> {
        let before = u64::try_from(event.sequence)? - 1;
        let message = PublishMessage::build().expected_last_sequence(before).payload(event.encode_to_vec().into());
        let context = self.context().await?;
        match context.send_publish(SUBJECT, message).await?.await {
            Ok(ack) => {
                ensure!(ack.sequence == before + 1, "the stream {STREAM} is not one of orders' events");
                Ok(true)
            }
            Err(error) if error.kind() == PublishErrorKind::WrongLastSequence => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn stream(&self) -> anyhow::Result<stream::Stream> {
        let config = stream::Config { name: STREAM.into(), subjects: vec![SUBJECT.into()], ..Default::default() };
        Ok(self.context().await?.get_or_create_stream(config).await?)
    }

    async fn context(&self) -> anyhow::Result<&Context> {
        let connect = async {
            let options =
                async_nats::ConnectOptions::new().connection_timeout(DEADLINE).request_timeout(Some(DEADLINE));
            let client = options.connect(&self.url).await.with_context(|| format!("no connection to {}", self.url))?;
            let mut context = jetstream::new(client);
            context.set_timeout(DEADLINE);
            anyhow::Ok(context)
        };
        self.connection.get_or_try_init(|| connect).await
    }
}
