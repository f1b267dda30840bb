//! Publishes the outbox to NATS JetStream. Every replica does: the stream takes each event from the first one alone.

use std::time::Duration;

use tokio::time::sleep;
use tracing::warn;

use super::{Orders, outbox};
use crate::events::nats::Events;

const BATCH: i64 = 100;
const POLL: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(1);

/// Publishes each event, until the service is told to stop.
pub async fn relay(orders: Orders, events: Events) {
    let relaying = async {
        loop {
            if let Err(error) = publish(&orders, &events).await {
                warn!(error = format!("{error:#}"), "events wait in the outbox");
                sleep(PAUSE).await;
            }
        }
    };
    orders.stop.run_until_cancelled(relaying).await;
}

/// Publishes from where the stream ends, until another replica is faster or something breaks.
async fn publish(orders: &Orders, events: &Events) -> anyhow::Result<()> {
    let mut published = events.head().await?;
    loop {
        let waiting = outbox::read(&mut *orders.db.pool.acquire().await?, published, BATCH).await?;
        for event in &waiting {
            if !events.publish(event).await? {
                return Ok(());
            }
            published = event.sequence;
        }
        if waiting.is_empty() {
            sleep(POLL).await;
        }
    }
}
