//! The registry of metric families, and docs/metrics-control-plane.md printed from what was registered.

use std::{
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

use prometheus::{Registry, TextEncoder, core::Collector, proto::MetricType};

/// All families, in the order in which they were registered.
#[derive(Default)]
pub(super) struct Families {
    registry: Registry,
    lines: Mutex<Vec<String>>,
}

const OPENING: &str = "# Metrics of weft-control-plane

Printed by `weft-control-plane docs metrics` from the families in control-plane/src/telemetry/; a test keeps it true. They
are served at `/metrics` on the admin port (4181). Times are seconds, amounts are bytes. A proxy's are in
[metrics.md](metrics.md), queries in [golden-metrics.md](golden-metrics.md).

Label values are words of a fixed list, or names of the operator's own files and objects.

| family | kind | labels | what it is |
|---|---|---|---|
";

impl Families {
    /// Adds a family.
    ///
    /// # Errors
    /// There is one of that name.
    pub(super) fn register<C: Collector + 'static>(&self, family: Box<C>) -> Result<(), prometheus::Error> {
        let line = line(&*family);
        self.registry.register(family)?;
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).extend(line);
        Ok(())
    }

    /// All series in the text format.
    pub(super) fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// The page.
    pub(super) fn markdown(&self) -> String {
        OPENING.to_owned() + &self.lines.lock().unwrap_or_else(PoisonError::into_inner).concat()
    }
}

/// A family's line of the table. A collector of these has one family.
fn line(family: &impl Collector) -> Option<String> {
    let kind = match family.collect().first()?.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::GAUGE => "gauge",
        MetricType::HISTOGRAM => "histogram",
        MetricType::SUMMARY => "summary",
        MetricType::UNTYPED => "untyped",
    };
    let description = *family.desc().first()?;
    let constant = description.const_label_pairs.iter().map(|pair| pair.name().to_owned());
    let labels: Vec<_> = constant.chain(description.variable_labels.iter().cloned()).collect();
    let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
    let help = description.help.trim_end_matches('.');
    let mut line = String::new();
    // Writing to a String cannot go wrong.
    let _ = writeln!(line, "| `{}` | {kind} | {} | {help}. |", description.fq_name, labels.join(", "));
    Some(line)
}

#[cfg(test)]
mod tests {
    use crate::telemetry::Metrics;

    #[test]
    fn the_page_is_printed_from_the_families() {
        let page = include_str!("../../../docs/metrics-control-plane.md");
        let printed = Metrics::new().unwrap().markdown();
        assert!(page == printed, "docs/metrics-control-plane.md is out of date: run `make docs`");
    }

    #[test]
    fn a_family_has_its_kind_and_its_labels_whether_it_has_series_or_not() {
        let page = Metrics::new().unwrap().markdown();
        assert!(
            page.contains(
                "\n| `weft_control_updates_total` | counter | `kind` | Updates lined up for subscribers. |\n"
            )
        );
        assert!(page.contains("\n| `weft_control_resolve_duration_seconds` | histogram | `kind` |"), "{page}");
        assert!(page.contains("\n| `weft_build_info` | gauge | `version` |"), "{page}");
    }
}
