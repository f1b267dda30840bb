//! How far proxies are behind, as figures.

use std::time::Duration;

use tokio::time::Instant;

use super::hub::Hub;

/// An update travels, is taken and is confirmed within this, unless something is wrong.
const USUAL: Duration = Duration::from_secs(5);

impl Hub {
    /// Brings the figures about proxies that are behind up to date; before each scrape.
    pub fn measure_lag(&self) {
        let now = Instant::now();
        let (mut behind, mut longest) = (0, Duration::ZERO);
        for stream in self.lock().streams.values() {
            let Some(since) = stream.outbox.behind_since() else { continue };
            let lag = now.saturating_duration_since(since);
            longest = longest.max(lag);
            behind += i64::from(lag > USUAL);
        }
        self.metrics.lag(behind, longest);
    }
}
