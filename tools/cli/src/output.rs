//! What people and machines see: texts without control characters, tables, messages.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Write as _};

use arrow_array::RecordBatch;
use comfy_table::{Cell, CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle};
use forebay::types::DataType;

use crate::failure::Result;
use crate::values::lane_out::LaneView;

/// The longest text in a table's cell.
const LONGEST_CELL: usize = 200;

/// A text without control characters and without the marks that turn the direction of writing: names and values may
/// come from anybody, and a terminal obeys them.
pub fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            '\n' | '\t' => Some(' '),
            c if is_hostile(c) => None,
            c => Some(c),
        })
        .collect()
}

fn is_hostile(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// As [`clean`], and lines stay lines: for drawings and for data that goes to a terminal.
pub fn clean_lines(text: &str) -> Cow<'_, str> {
    match text.chars().any(|c| c != '\n' && is_hostile(c)) {
        true => Cow::Owned(text.chars().filter(|c| *c == '\n' || !is_hostile(*c)).collect()),
        false => Cow::Borrowed(text),
    }
}

/// Writes text to standard output.
pub fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Writes a JSON value to standard output, on a line of its own.
pub fn print_json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value}\n"))
}

/// Tells people something on standard error.
pub fn note(text: &str) {
    // A message that nobody can hear is no failure.
    let _ = writeln!(io::stderr(), "{}", clean_lines(text));
}

/// An empty table with headings.
pub fn table(headings: &[&str]) -> Table {
    let line = ContentLineStyle::none().junction('|');
    let style = TableStyle::new()
        .header_lines(line)
        .header_separator(LineStyle::none().fill('-').junction('+'))
        .content_lines(line);
    let mut table = Table::new();
    table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
    if io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
    }
    table.set_header(headings.iter().map(|heading| clean(heading)));
    table
}

/// A table as text, without blanks at the ends of lines.
pub fn drawn(table: &Table) -> String {
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Rows as a table for people.
pub fn rows_table(columns: &[(String, DataType)], before: &[&str], rows: &[Vec<String>]) -> Table {
    let names: Vec<&str> = before.iter().copied().chain(columns.iter().map(|(name, _)| name.as_str())).collect();
    let mut table = table(&names);
    for (at, (_, data_type)) in columns.iter().enumerate() {
        if LaneView::is_number(&data_type.kind)
            && let Some(column) = table.column_mut(at + before.len())
        {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in rows {
        table.add_row(row.iter().map(Cell::new));
    }
    table
}

/// The cells of a batch's rows.
pub fn cells(columns: &[(String, DataType)], batch: &RecordBatch) -> Result<Vec<Vec<String>>> {
    let lanes = LaneView::of_batch(columns, batch)?;
    let mut text = Vec::new();
    let rows = (0..batch.num_rows()).map(|row| {
        let mut cell = |lane: &LaneView| {
            if lane.is_null(row) {
                return "NULL".to_string();
            }
            text.clear();
            lane.write_text(row, &mut text);
            let shown = clean(&String::from_utf8_lossy(&text));
            match shown.char_indices().nth(LONGEST_CELL) {
                Some((end, _)) => format!("{}…", &shown[..end]),
                None => shown,
            }
        };
        lanes.iter().map(&mut cell).collect()
    });
    Ok(rows.collect())
}

/// A count with commas between thousands.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_text_cannot_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\u{202E}c\nd\u{9b}2J\u{7f}"), "a[31mbc d2J");
        assert_eq!(clean_lines("a\nb\u{1b}\r"), "a\nb");
    }

    #[test]
    fn a_count_has_commas() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(123), "123");
    }
}
