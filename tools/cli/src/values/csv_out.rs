//! Rows as CSV with a header line. NULL is an empty field, an empty text is `""`.

use arrow_array::{Int8Array, RecordBatch};
use forebay::types::{DataType, RowKind};

use super::lane_out::LaneView;

/// Encodes batches of one row type.
pub struct CsvRows {
    columns: Vec<(String, DataType)>,
}

impl CsvRows {
    /// An encoder for rows of these columns.
    pub fn new(columns: &[(String, DataType)]) -> Self {
        Self { columns: columns.to_vec() }
    }

    /// Appends the header line; `before` are names that stand before the columns.
    pub fn header(&self, before: &[&str], out: &mut Vec<u8>) {
        let names = before.iter().copied().chain(self.columns.iter().map(|(name, _)| name.as_str()));
        for (at, name) in names.enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_field(out, name.as_bytes());
        }
        out.push(b'\n');
    }

    /// Appends a line for each row.
    pub fn rows(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> forebay::Result<()> {
        let lanes = LaneView::of_batch(&self.columns, batch)?;
        for row in 0..batch.num_rows() {
            self.row(&lanes, row, out);
        }
        Ok(())
    }

    /// Appends a line for each row, with the row's kind and snapshot before its columns.
    pub fn changes(
        &self,
        snapshot: i64,
        batch: &RecordBatch,
        kinds: Option<&Int8Array>,
        out: &mut Vec<u8>,
    ) -> forebay::Result<()> {
        let lanes = LaneView::of_batch(&self.columns, batch)?;
        let middle = format!(",{snapshot},");
        for row in 0..batch.num_rows() {
            let kind = match kinds {
                Some(kinds) => RowKind::from_byte(kinds.value(row))?,
                None => RowKind::Insert,
            };
            out.extend_from_slice(kind.short().as_bytes());
            out.extend_from_slice(middle.as_bytes());
            self.row(&lanes, row, out);
        }
        Ok(())
    }

    fn row(&self, lanes: &[LaneView], row: usize, out: &mut Vec<u8>) {
        for (at, lane) in lanes.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            if lane.is_null(row) {
                continue;
            }
            let start = out.len();
            lane.write_text(row, out);
            if lane.may_need_quotes() && needs_quotes(&out[start..]) {
                let text = out.split_off(start);
                write_field(out, &text);
            }
        }
        out.push(b'\n');
    }
}

fn needs_quotes(text: &[u8]) -> bool {
    text.is_empty()
        || text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
        || text.first().is_some_and(|byte| matches!(byte, b' ' | 0xEF))
        || text.last() == Some(&b' ')
}

fn write_field(out: &mut Vec<u8>, text: &[u8]) {
    if !needs_quotes(text) {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
