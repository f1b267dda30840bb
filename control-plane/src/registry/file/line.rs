//! On which line of a YAML document a field stands. The parser forgets it, so it is looked for by indentation.
//!
//! Fields in flow style (`{a: 1}`) are found as far as the line on which the flow begins.

use crate::registry::translate::Step;

/// The first line, from 1, that holds anything but a comment or the document's marker.
pub(super) fn first(text: &str) -> usize {
    let holds = |line: &str| !is_blank(line) && !line.starts_with("---");
    text.lines().position(holds).map_or(1, |at| at + 1)
}

/// The line, from 1, of a field, or of the nearest thing above it that can be found.
pub(super) fn of(text: &str, field: &[Step]) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let mut block = Block { first: 0, last: lines.len(), indent: None };
    let mut found = None;
    for step in field {
        let Some(next) = block.find(&lines, step) else { break };
        found = Some(next.first);
        block = next.below(&lines);
    }
    found.map_or_else(|| first(text), |at| at + 1)
}

/// Lines of one mapping or list.
struct Block {
    first: usize,
    last: usize,
    /// Where its keys or dashes stand; None: wherever its first line that holds something has them.
    indent: Option<usize>,
}

fn is_blank(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

impl Block {
    /// The lines of one key or item; its first is where it stands.
    fn find(&self, lines: &[&str], step: &Step) -> Option<Self> {
        let mut entries = self.entries(lines, matches!(step, Step::Index(_))).into_iter();
        let entry = match step {
            Step::Index(index) => entries.nth(*index)?,
            Step::Key(key) => entries.find(|entry| entry.is_key(lines, key))?,
        };
        Some(entry)
    }

    /// Each key or item with the lines that belong to it.
    fn entries(&self, lines: &[&str], items: bool) -> Vec<Self> {
        let mut starts = Vec::new();
        let mut level = self.indent;
        for (at, text) in lines.iter().copied().enumerate().take(self.last).skip(self.first) {
            if is_blank(text) || text.starts_with("---") {
                continue;
            }
            // On its first line a mapping within an item stands behind the item's dash.
            let column = if at == self.first { self.indent.unwrap_or_else(|| indent(text)) } else { indent(text) };
            let level = *level.get_or_insert(column);
            let is_item = text.get(column..).is_some_and(|rest| rest == "-" || rest.starts_with("- "));
            if column == level && is_item == items {
                starts.push(at);
            } else if column < level {
                break;
            }
        }
        let ends = starts.iter().copied().skip(1).chain([self.last]);
        let entry = |(first, last)| Self { first, last, indent: level };
        starts.iter().copied().zip(ends).map(entry).collect()
    }

    fn is_key(&self, lines: &[&str], key: &str) -> bool {
        let text = lines[self.first].get(self.indent.unwrap_or(0)..).unwrap_or_default();
        let (text, quoted) = match text.strip_prefix(['"', '\'']) {
            Some(text) => (text, true),
            None => (text, false),
        };
        let rest = text.strip_prefix(key).map(|rest| if quoted { rest.get(1..).unwrap_or_default() } else { rest });
        rest.is_some_and(|rest| rest.trim_start().starts_with(':'))
    }

    /// What stands within this key or item.
    fn below(self, lines: &[&str]) -> Self {
        let column = self.indent.unwrap_or(0);
        let text = lines[self.first].get(column..).unwrap_or_default();
        match text.strip_prefix('-') {
            Some(rest) if !rest.trim().is_empty() => {
                let inner = column + 1 + (rest.len() - rest.trim_start().len());
                Self { indent: Some(inner), ..self }
            }
            _ => Self { first: self.first + 1, indent: None, ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::translate::Field;

    const TEXT: &str = "---\n# a route\nkind: HTTPRoute\nspec:\n  parentRefs:\n  - name: users\n    port: 80\n  rules:\n  \
                        - matches:\n      - path:\n          value: /a\n    filters: []\n  -\n    name: x\n    \
                        backendRefs:\n      - {name: a, port: 0}\n      - name: b\n        port: 0\nstatus: {}\n";

    #[test]
    fn a_field_is_found_by_its_way() {
        let rules = Field::new("spec.rules");
        for (field, line) in [
            (Field::new("kind"), 3),
            (Field::new("spec.parentRefs").index(0).key("port"), 7),
            (rules.index(0).key("matches").index(0).key("path").key("value"), 11),
            (rules.index(0).key("filters"), 12),
            (rules.index(1).key("name"), 14),
            (rules.index(1).key("backendRefs").index(1).key("port"), 18),
            (rules.index(1).key("backendRefs").index(0).key("port"), 16),
            (rules.index(7), 8),
            (Field::new("metadata.name"), 3),
            (Field::new("status.loadBalancer"), 19),
        ] {
            assert_eq!(of(TEXT, field.steps()), line, "{field}");
        }
    }
}
