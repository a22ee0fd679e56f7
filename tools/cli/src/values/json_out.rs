//! Rows as JSON lines: one object a line, columns in the table's order.
//!
//! Control characters are escaped (also those above 127, which a terminal may obey), so a line never holds one.

use arrow_array::{Int8Array, RecordBatch};
use forebay::types::{DataType, RowKind};

use super::lane_out::LaneView;

/// Encodes batches of one row type.
pub struct JsonRows {
    columns: Vec<(String, DataType)>,
    /// What stands before each value: `{"first":`, `,"second":`.
    leads: Vec<Vec<u8>>,
}

impl JsonRows {
    /// An encoder for rows of these columns.
    pub fn new(columns: &[(String, DataType)]) -> Self {
        let leads = columns.iter().enumerate().map(|(at, (name, _))| {
            let mut lead = vec![if at == 0 { b'{' } else { b',' }];
            write_string(&mut lead, name);
            lead.push(b':');
            lead
        });
        Self { leads: leads.collect(), columns: columns.to_vec() }
    }

    /// Appends a line for each row.
    pub fn rows(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> forebay::Result<()> {
        let lanes = LaneView::of_batch(&self.columns, batch)?;
        for row in 0..batch.num_rows() {
            self.row(&lanes, row, out);
            out.push(b'\n');
        }
        Ok(())
    }

    /// Appends a line `{"kind":"+I","snapshot":3,"row":{..}}` for each row; without kinds every row is an insert.
    pub fn changes(
        &self,
        snapshot: i64,
        batch: &RecordBatch,
        kinds: Option<&Int8Array>,
        out: &mut Vec<u8>,
    ) -> forebay::Result<()> {
        let lanes = LaneView::of_batch(&self.columns, batch)?;
        let middle = format!("\",\"snapshot\":{snapshot},\"row\":");
        for row in 0..batch.num_rows() {
            let kind = match kinds {
                Some(kinds) => RowKind::from_byte(kinds.value(row))?,
                None => RowKind::Insert,
            };
            out.extend_from_slice(b"{\"kind\":\"");
            out.extend_from_slice(kind.short().as_bytes());
            out.extend_from_slice(middle.as_bytes());
            self.row(&lanes, row, out);
            out.extend_from_slice(b"}\n");
        }
        Ok(())
    }

    fn row(&self, lanes: &[LaneView], row: usize, out: &mut Vec<u8>) {
        for (lead, lane) in self.leads.iter().zip(lanes) {
            out.extend_from_slice(lead);
            lane.write_json(row, out);
        }
        out.extend_from_slice(if lanes.is_empty() { b"{}" } else { b"}" });
    }
}

/// Bytes that a JSON string cannot hold as they are. 0xC2 begins the control characters U+0080 to U+009F, and others.
const SPECIAL: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 32 {
        table[at] = true;
        at += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table[0x7F] = true;
    table[0xC2] = true;
    table
};

/// Appends a JSON string with its quotes.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|byte| SPECIAL[usize::from(*byte)]) {
        at += found;
        let byte = bytes[at];
        let (code, width) = match byte {
            0xC2 => (bytes.get(at + 1).copied().unwrap_or(0), 2),
            _ => (byte, 1),
        };
        if byte == 0xC2 && code >= 0xA0 {
            at += 2;
            continue;
        }
        out.extend_from_slice(&bytes[start..at]);
        match code {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(code >> 4)], HEX[usize::from(code & 15)]]);
            }
        }
        at += width;
        start = at;
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_is_escaped_so_that_any_parser_gives_it_back_and_no_control_character_is_left() {
        let text: String = (0..0x300_u32).filter_map(char::from_u32).chain("日本😀\u{2028}".chars()).collect();
        let mut out = Vec::new();
        write_string(&mut out, &text);
        let json = String::from_utf8(out).unwrap();
        assert!(!json.chars().any(char::is_control));
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
