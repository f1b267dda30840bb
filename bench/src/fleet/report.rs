//! What the run has shown, beside the bars.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::Options;

/// The run's figures; an object of JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub proxies: usize,
    pub services: usize,
    pub endpoints_each: usize,
    /// From the word to subscribe until every proxy has the first picture.
    pub subscribed_seconds: f64,
    /// Over which the rollout's events were spread.
    pub rollout_seconds: f64,
    /// From the rollout's last event until every proxy has the new picture.
    pub settled_seconds: f64,
    pub dropped_streams: usize,
    /// Updates that the control plane has lined up, by its own count.
    pub updates: u64,
    /// Proxies that the control plane believes to be behind, after all have acknowledged.
    pub behind: usize,
    pub peak_rss_mib: f64,
    pub cpu_seconds_subscribe: f64,
    pub cpu_seconds_rollout: f64,
    pub machine: Machine,
    /// What was missed; none: all bars are held.
    pub missed: Vec<String>,
}

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: f64,
    pub kernel: String,
}

impl Report {
    /// Holds the figures against the bars.
    pub fn judge(&mut self, options: &Options) {
        let settled = options.settle_bar;
        let mut missed = Vec::new();
        if self.dropped_streams > 0 {
            missed.push(format!("{} streams were dropped", self.dropped_streams));
        }
        if self.behind > 0 {
            missed.push(format!("{} proxies have acknowledged and are held to be behind", self.behind));
        }
        if self.settled_seconds > settled {
            missed.push(format!(
                "the last proxy had the new picture after {:.2} s, not {settled} s",
                self.settled_seconds
            ));
        }
        if self.peak_rss_mib > options.memory_bar {
            missed.push(format!("the control plane took {:.0} MiB, not {} MiB", self.peak_rss_mib, options.memory_bar));
        }
        self.missed = missed;
    }

    /// The table as it is printed, and as docs/performance.md has it.
    pub fn table(&self, options: &Options) -> String {
        let Machine { processor, cores, memory_gib, kernel } = &self.machine;
        let mut text = format!("{processor}, {cores} cores used, {memory_gib:.0} GiB, Linux {kernel}\n\n");
        let rows = [
            (
                "proxies; Services of endpoints each",
                format!("{}; {} of {}", self.proxies, self.services, self.endpoints_each),
                String::new(),
            ),
            ("all subscribed, with the first picture", format!("{:.2} s", self.subscribed_seconds), String::new()),
            ("streams dropped", self.dropped_streams.to_string(), "0".to_owned()),
            ("rollout of every endpoint takes", format!("{:.1} s", self.rollout_seconds), String::new()),
            (
                "last event until every proxy has the new picture",
                format!("{:.2} s", self.settled_seconds),
                format!("{} s", options.settle_bar),
            ),
            ("updates lined up", self.updates.to_string(), String::new()),
            (
                "control plane's peak RSS",
                format!("{:.0} MiB", self.peak_rss_mib),
                format!("{} MiB", options.memory_bar),
            ),
            ("control plane's CPU, subscribing", format!("{:.1} s", self.cpu_seconds_subscribe), String::new()),
            ("control plane's CPU, rollout", format!("{:.1} s", self.cpu_seconds_rollout), String::new()),
        ];
        text += "| what | measured | bar |\n|---|---|---|\n";
        for (what, measured, bar) in rows {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "| {what} | {measured} | {bar} |");
        }
        text
    }
}

impl Machine {
    /// This one. What the system does not tell is left empty.
    pub fn this(cores: usize) -> Self {
        let field = |file: &str, name: &str| {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = field("/proc/meminfo", "MemTotal").and_then(|text| text.strip_suffix(" kB")?.parse::<f64>().ok());
        Self {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            cores,
            memory_gib: memory.unwrap_or_default() / (1024.0 * 1024.0),
            kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        }
    }
}

/// Two digits after the point: more would only look exact.
pub fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100.0).round() / 100.0
}
