//! docs/configuration.md, printed from the table.

use std::fmt::Write as _;

use super::{
    groups,
    setting::{Preset, Row},
};

const OPENING: &str = "# Settings of weft-proxy

Printed by `weft-proxy docs configuration` from the table in proxy/src/config/; a test keeps it true. Settings are
environment variables, read once, at start. An empty value counts as unset. Every bad value is reported at once, and the
proxy does not start with one. A variable that begins with `WEFT_` and is no setting is warned of, with the nearest one.

Durations have a unit (`50ms`, `3s`, `5m`, `1h`); sizes are bytes or have one (`64KiB`, `1MiB`); lists have commas.
";

/// The page.
pub fn markdown() -> String {
    let mut page = OPENING.to_owned();
    for (title, about, rows) in groups() {
        write_group(&mut page, title, about, &rows);
    }
    page
}

fn write_group(page: &mut String, title: &str, about: &str, rows: &[Row]) {
    // Writing to a String cannot go wrong.
    let _ = write!(page, "\n## {title}\n\n{}\n\n", about.trim());
    page.push_str("| setting | unit | default | what it is | why |\n|---|---|---|---|---|\n");
    for row in rows {
        let unit = row.unit.replace('|', " or ");
        let _ = writeln!(
            page,
            "| `{}` | {unit} | {} | {} | {} |",
            row.name,
            default(row),
            sentence(row.help),
            sentence(row.why)
        );
    }
}

fn default(row: &Row) -> String {
    match row.default {
        Preset::Is(text) => format!("`{text}`"),
        Preset::Required => "required".to_owned(),
        Preset::Unset => "unset".to_owned(),
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}
