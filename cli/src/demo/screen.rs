//! How the rows are shown: a table that stays in place on a terminal, otherwise plain lines.

use std::collections::VecDeque;
use std::io::{IsTerminal, stdout};
use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyModifiers, poll, read};
use ratatui::DefaultTerminal;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Cell, Paragraph, Row as TableRow, Table};

use super::report::Report;
use super::row::Row;

const HEADS: [&str; 9] = ["service", "replicas", "rps", "success", "p50", "p99", "mTLS", "retries", "ejected"];
/// As many messages as the screen has room for below the table.
const MESSAGES: usize = 12;

/// Where the rows go.
pub enum Screen {
    /// To a terminal.
    Table {
        /// In raw mode, on its other page.
        terminal: Box<DefaultTerminal>,
        /// What was told last.
        messages: VecDeque<String>,
    },
    /// Line by line to standard output.
    Lines,
}

impl Screen {
    /// A table where standard output is a terminal and nothing else wants it.
    pub fn new(plain: bool) -> std::io::Result<Self> {
        if plain || !stdout().is_terminal() {
            return Ok(Self::Lines);
        }
        Ok(Self::Table { terminal: Box::new(ratatui::try_init()?), messages: VecDeque::new() })
    }

    /// Tells something, at once on plain output and with the next table otherwise.
    pub fn tell(&mut self, text: &str) -> std::io::Result<()> {
        match self {
            Self::Lines => crate::print(text),
            Self::Table { messages, .. } => {
                messages.push_back(text.to_owned());
                if messages.len() > MESSAGES {
                    messages.pop_front();
                }
                Ok(())
            }
        }
    }

    /// Shows the rows as they are so long after the start.
    pub fn show(&mut self, now: Duration, rows: &[Row], report: &Report) -> std::io::Result<()> {
        match self {
            Self::Lines => rows.iter().try_for_each(|row| crate::print(&line(now, row))),
            Self::Table { terminal, messages } => {
                terminal.draw(|frame| {
                    let height = u16::try_from(rows.len() + 3).unwrap_or(u16::MAX);
                    let areas =
                        Layout::vertical([Constraint::Length(height), Constraint::Length(2), Constraint::Min(0)]);
                    let [above, middle, below] = areas.areas(frame.area());
                    frame.render_widget(table(now, rows), above);
                    frame.render_widget(Paragraph::new(seen(report)), middle);
                    frame.render_widget(
                        Paragraph::new(messages.iter().map(|text| Line::raw(text.as_str())).collect::<Vec<_>>()),
                        below,
                    );
                })?;
                Ok(())
            }
        }
    }

    /// Whether a key was pressed that ends the demo: q, Escape or Ctrl-C. Does not wait.
    pub fn is_quit(&self) -> std::io::Result<bool> {
        let Self::Table { .. } = self else { return Ok(false) };
        while poll(Duration::ZERO)? {
            if let Event::Key(key) = read()? {
                let control_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Self::Table { .. } = self {
            ratatui::restore();
        }
    }
}

fn table(now: Duration, rows: &[Row]) -> Table<'static> {
    let heads = TableRow::new(HEADS).style(Style::new().add_modifier(Modifier::BOLD));
    let body = rows.iter().map(|row| {
        let cells = cells(row).map(Cell::from);
        let failing = row.success.is_some_and(|share| share < 0.999);
        let color = if failing || row.ejected > 0 { Color::Yellow } else { Color::Green };
        TableRow::new(cells).style(Style::new().fg(color))
    });
    let title = format!(" Weft demo, {} s (q ends it) ", now.as_secs());
    Table::new(body, HEADS.map(|_| Constraint::Length(9))).header(heads).block(Block::bordered().title(title))
}

/// What the client says of its requests.
pub fn seen(report: &Report) -> String {
    let Report { requests, failures, p50_ms, p99_ms, .. } = report;
    format!("the client saw {requests} requests, {failures} failed, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms")
}

fn line(now: Duration, row: &Row) -> String {
    let [service, replicas, rps, success, p50, p99, mtls, retries, ejected] = cells(row);
    format!(
        "{:>5.1}s  {service:<7} replicas {replicas}  rps {rps:>5}  success {success:>6}  p50 {p50:>7}  p99 {p99:>7}  \
         mTLS {mtls:>6}  retries {retries}  ejected {ejected}",
        now.as_secs_f64()
    )
}

fn cells(row: &Row) -> [String; HEADS.len()] {
    [
        row.service.clone(),
        row.replicas.to_string(),
        format!("{:.0}", row.rps),
        percent(row.success),
        milliseconds(row.p50_ms),
        milliseconds(row.p99_ms),
        percent(row.mtls),
        row.retries.to_string(),
        row.ejected.to_string(),
    ]
}

/// Never 100 % where one is missing: rounded down.
fn percent(share: Option<f64>) -> String {
    share.map_or_else(
        || "-".into(),
        |share| match share * 100.0 {
            all if all >= 100.0 => "100%".into(),
            most => format!("{:.1}%", (most * 10.0).floor() / 10.0),
        },
    )
}

fn milliseconds(time: Option<f64>) -> String {
    time.map_or_else(|| "-".into(), |time| if time < 10.0 { format!("{time:.1}ms") } else { format!("{time:.0}ms") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_names_every_figure() {
        let row = Row {
            service: "users".into(),
            replicas: 3,
            rps: 59.7,
            success: Some(0.9996),
            p50_ms: Some(1.26),
            p99_ms: Some(33.4),
            mtls: Some(1.0),
            retries: 4,
            ejected: 1,
        };
        let wanted = "  2.0s  users   replicas 3  rps    60  success  99.9%  p50   1.3ms  p99    33ms  mTLS   100%  retries 4  ejected 1";
        assert_eq!(line(Duration::from_secs(2), &row), wanted);
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        assert_eq!((percent(None), milliseconds(None)), ("-".into(), "-".into()));
    }
}
