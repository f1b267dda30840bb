//! Reads the text format of Prometheus, as far as proxies write it. What a line means is the business of `totals.rs`.

use std::borrow::Cow;

/// One line of the page.
#[derive(Debug, PartialEq)]
pub struct Sample<'a> {
    /// The family, with `_bucket`, `_sum` or `_count` for a histogram.
    pub name: &'a str,
    /// Names and values of the labels.
    pub labels: Vec<(&'a str, Cow<'a, str>)>,
    /// The figure.
    pub value: f64,
}

impl Sample<'_> {
    /// The value of a label; empty where it is not there, as Prometheus has it.
    pub fn label(&self, name: &str) -> &str {
        self.labels.iter().find(|(label, _)| *label == name).map_or("", |(_, value)| value)
    }
}

/// All samples of a page. Lines that are none are passed over.
pub fn parse(page: &str) -> impl Iterator<Item = Sample<'_>> {
    page.lines().filter(|line| !line.starts_with('#')).filter_map(sample)
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inner) = rest.strip_prefix('{') {
        rest = inner;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (label, quoted) = rest.split_once("=\"")?;
            let (value, after) = text(quoted)?;
            labels.push((label, value));
            rest = after;
        }
    }
    // A time stamp may follow.
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

/// A label's value up to its closing quote, and what follows.
fn text(quoted: &str) -> Option<(Cow<'_, str>, &str)> {
    let end = quoted.find(['"', '\\'])?;
    if quoted[end..].starts_with('"') {
        return Some((Cow::Borrowed(&quoted[..end]), &quoted[end + 1..]));
    }
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((Cow::Owned(value), &quoted[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Sample<'_> {
        parse(line).next().unwrap()
    }

    #[test]
    fn a_line_is_a_name_labels_and_a_figure() {
        let sample = one(r#"weft_retries_total{outcome="done",service="users"} 12"#);
        assert_eq!((sample.name, sample.value), ("weft_retries_total", 12.0));
        assert_eq!((sample.label("outcome"), sample.label("service"), sample.label("none")), ("done", "users", ""));
    }

    #[test]
    fn labels_and_times_may_be_missing_or_there() {
        assert_eq!(one("up 1 1700000000000"), Sample { name: "up", labels: Vec::new(), value: 1.0 });
        assert_eq!(one("up{} 1e3").value, 1000.0);
        assert_eq!(one(r#"b{le="+Inf",} +Inf"#).value, f64::INFINITY);
    }

    #[test]
    fn quotes_and_line_ends_in_values_are_escaped() {
        let sample = one(r#"a{b="x\"y\\z\n}",c="d"} 1"#);
        assert_eq!((sample.label("b"), sample.label("c")), ("x\"y\\z\n}", "d"));
    }

    #[test]
    fn comments_and_broken_lines_are_passed_over() {
        let page = "# HELP a b\n\na\na{b} 1\na{b=\"c 1\na x\na{b=\"\\\nb 2\n";
        let names: Vec<_> = parse(page).map(|sample| sample.name).collect();
        assert_eq!(names, ["b"]);
    }
}
