//! The queries that are shipped: in the dashboard, and on the page about golden metrics.

use serde_json::Value;

/// The dashboard, as JSON.
pub const DASHBOARD: &str = include_str!("../../deploy/grafana/weft.json");
/// The page, whose every `promql` block is a query that a mesh under load must answer with data.
pub const GOLDEN: &str = include_str!("../../docs/golden-metrics.md");

/// What Grafana puts in for its variables, when everything is chosen.
const VARIABLES: [(&str, &str); 4] =
    [("$__rate_interval", "1m"), ("$direction", "outbound"), ("$namespace", ".*"), ("$service", ".*")];

/// A query and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The panel's title, or the heading above it.
    pub place: String,
    /// PromQL, ready to be asked.
    pub text: String,
}

/// Every query of a dashboard's panels, with its variables filled in.
///
/// # Errors
/// It is no JSON, or a target has no expression.
pub fn of_dashboard(json: &str) -> anyhow::Result<Vec<Query>> {
    let dashboard: Value = serde_json::from_str(json)?;
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().into_iter().flatten() {
        let place = panel["title"].as_str().unwrap_or_default();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let Some(text) = target["expr"].as_str() else { anyhow::bail!("{place}: a target without a query") };
            let filled = VARIABLES.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value));
            found.push(Query { place: place.to_owned(), text: filled });
        }
    }
    Ok(found)
}

/// Every `promql` block of a page in Markdown.
pub fn of_page(markdown: &str) -> Vec<Query> {
    let (mut found, mut place) = (Vec::new(), String::new());
    let mut open: Option<String> = None;
    for line in markdown.lines() {
        match &mut open {
            Some(text) if line == "```" => {
                found.push(Query { place: place.clone(), text: std::mem::take(text) });
                open = None;
            }
            Some(text) => {
                text.push_str(line);
                text.push('\n');
            }
            None if line == "```promql" => open = Some(String::new()),
            None => {
                if let Some(heading) = line.strip_prefix("## ") {
                    place = heading.to_owned();
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dashboards_queries_are_found_with_their_variables_filled_in() {
        let queries = of_dashboard(DASHBOARD).unwrap();
        assert!(queries.len() > 40, "{}", queries.len());
        let left: Vec<_> = queries.iter().filter(|query| query.text.contains('$')).collect();
        assert!(left.is_empty(), "a variable is not known here: {left:?}");
    }

    #[test]
    fn the_pages_queries_are_found_under_their_headings() {
        let page = "## One\n```promql\nup\n```\n```sh\nls\n```\n## Two\n```promql\na\n/\nb\n```\n";
        let found = of_page(page);
        let query = |place: &str, text: &str| Query { place: place.to_owned(), text: text.to_owned() };
        assert_eq!(found, [query("One", "up\n"), query("Two", "a\n/\nb\n")]);
        let headings =
            ["Success rate", "Requests per second", "Latency", "Is it the mesh?", "Share of mTLS", "Who calls whom"];
        let golden = of_page(GOLDEN);
        for heading in headings {
            assert!(golden.iter().any(|query| query.place == heading), "{heading} has no query");
        }
    }
}
