//! Rows from JSON lines: an object a line, or a change `{"kind":"+I","snapshot":3,"row":{..}}` a line.
//!
//! Parsing is strict. A column the table does not have, a column given twice, a value of another type or one that does
//! not fit is an error that names line, column and value. A column that is left out is NULL. Columns in the table's order
//! are found without looking up their names.

use std::collections::HashMap;
use std::io::Read;

use arrow_array::builder::Int8Builder;
use forebay::types::RowKind;

use super::json_cursor::Cursor;
use super::lane_in::{self, LaneBuilder};
use super::window::Window;
use super::{Columns, InputError, PIECE_BYTES, Piece, Rows};

/// The rows of one input.
pub struct JsonLines<R> {
    window: Window<R>,
    file: String,
    line: u64,
    row: RowParser,
    /// Row kinds, when a line is a change.
    kinds: Option<Int8Builder>,
}

impl<R: Read + Send> JsonLines<R> {
    /// Reads rows of these columns; with `changes` each line carries its kind.
    pub fn open(input: R, file: &str, columns: &Columns, changes: bool) -> Result<Self, InputError> {
        let window = Window::open(input).map_err(|error| InputError::of_file(file, error))?;
        let kinds = changes.then(Int8Builder::new);
        Ok(Self { window, file: file.to_string(), line: 0, row: RowParser::new(columns), kinds })
    }

    /// Parses the next line that is not blank. Answers how many bytes it took, 0 at the end.
    fn step(&mut self) -> Result<usize, InputError> {
        loop {
            let mut from = 0;
            let end = loop {
                let bytes = self.window.bytes();
                match memchr::memchr(b'\n', &bytes[from..]) {
                    Some(at) => break from + at,
                    None if self.window.ended() => break bytes.len(),
                    None => from = bytes.len(),
                }
                self.window
                    .more()
                    .map_err(|error| InputError::of_file(&self.file, error).at(&self.file, self.line + 1))?;
            };
            let bytes = self.window.bytes();
            if bytes.is_empty() {
                return Ok(0);
            }
            self.line += 1;
            let line = &bytes[..end];
            let taken = (end + 1).min(bytes.len());
            let blank = line.iter().all(u8::is_ascii_whitespace);
            if !blank {
                parse_line(line, &mut self.row, self.kinds.as_mut())
                    .map_err(|error| error.at(&self.file, self.line))?;
            }
            self.window.consume(taken);
            if !blank {
                return Ok(taken);
            }
        }
    }
}

impl<R: Read + Send> Rows for JsonLines<R> {
    fn next(&mut self, most: usize) -> Result<Option<Piece>, InputError> {
        let (mut rows, mut bytes) = (0, 0);
        while rows < most && bytes < PIECE_BYTES {
            match self.step()? {
                0 => break,
                taken => bytes += taken,
            }
            rows += 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let batch = lane_in::finish(&mut self.row.lanes, rows).map_err(|why| InputError::of_file(&self.file, why))?;
        Ok(Some(Piece { batch, kinds: self.kinds.as_mut().map(Int8Builder::finish) }))
    }
}

fn parse_line(line: &[u8], row: &mut RowParser, kinds: Option<&mut Int8Builder>) -> Result<(), InputError> {
    let text = std::str::from_utf8(line).map_err(|_| InputError::of_line("the line is not UTF-8"))?;
    let mut cursor = Cursor::new(text);
    match kinds {
        None => row.object(&mut cursor)?,
        Some(kinds) => kinds.append_value(row.change(&mut cursor)? as i8),
    }
    cursor.end()
}

/// Puts objects into lanes.
struct RowParser {
    lanes: Vec<LaneBuilder>,
    /// `"name":` of each column, as most writers spell it.
    leads: Vec<Vec<u8>>,
    by_name: HashMap<String, usize>,
    /// The number of the row that last gave a column a value.
    seen: Vec<u64>,
    row: u64,
    scratch: String,
}

impl RowParser {
    fn new(columns: &Columns) -> Self {
        let lead = |name: &str| {
            let mut lead = Vec::new();
            super::json_out::write_string(&mut lead, name);
            lead.push(b':');
            lead
        };
        Self {
            lanes: lane_in::builders(columns),
            leads: columns.iter().map(|(name, _)| lead(name)).collect(),
            by_name: columns.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect(),
            seen: vec![0; columns.len()],
            row: 0,
            scratch: String::new(),
        }
    }

    /// Parses `{"kind":..,"snapshot":..,"row":{..}}`.
    fn change(&mut self, cursor: &mut Cursor<'_>) -> Result<RowKind, InputError> {
        let (mut kind, mut row) = (None, false);
        cursor.open('{')?;
        let mut first = true;
        while cursor.member(&mut first)? {
            let mut scratch = std::mem::take(&mut self.scratch);
            let key = cursor.string(&mut scratch)?.to_string();
            self.scratch = scratch;
            cursor.open(':')?;
            cursor.blank();
            match key.as_str() {
                "kind" if kind.is_none() => {
                    let mut text = String::new();
                    let found = RowKind::from_short(cursor.string(&mut text)?);
                    kind = Some(found.map_err(|error| InputError::of_line(strip_kind(&error.to_string())))?);
                }
                "row" if !row => {
                    self.object(cursor)?;
                    row = true;
                }
                "snapshot" | "bucket" => _ = cursor.number()?,
                "kind" | "row" => return Err(InputError::of_line(format!("{key:?} is given twice"))),
                _ => return Err(InputError::of_line(format!("a change has no {key:?}, only kind, snapshot and row"))),
            }
        }
        if !row {
            return Err(InputError::of_line("a change needs a \"row\""));
        }
        kind.ok_or_else(|| InputError::of_line("a change needs a \"kind\""))
    }

    fn object(&mut self, cursor: &mut Cursor<'_>) -> Result<(), InputError> {
        self.row += 1;
        let mut given = 0;
        let mut expected = 0;
        cursor.open('{')?;
        let mut first = true;
        while cursor.member(&mut first)? {
            let at = match self.leads.get(expected) {
                Some(lead) if cursor.skip(lead) => expected,
                _ => self.column(cursor)?,
            };
            if self.seen[at] == self.row {
                return Err(InputError::of_column(self.lanes[at].name(), "is given twice"));
            }
            self.seen[at] = self.row;
            cursor.blank();
            cursor
                .value(&mut self.lanes[at], &mut self.scratch)
                .map_err(|error| error.in_column(self.lanes[at].name()))?;
            given += 1;
            expected = at + 1;
        }
        if given < self.lanes.len() {
            for (lane, seen) in self.lanes.iter_mut().zip(&self.seen) {
                if *seen != self.row {
                    lane.push_null()
                        .map_err(|_| InputError::of_column(lane.name(), "is missing, but the column is NOT NULL"))?;
                }
            }
        }
        Ok(())
    }

    /// The column of a key that is not the expected one.
    fn column(&mut self, cursor: &mut Cursor<'_>) -> Result<usize, InputError> {
        let key = cursor.string(&mut self.scratch)?;
        let found = self.by_name.get(key).copied();
        let at = found.ok_or_else(|| InputError::of_line(format!("the table has no column {key:?}")))?;
        cursor.open(':')?;
        Ok(at)
    }
}

/// The words of an [`forebay::Error::Invalid`] without its kind.
fn strip_kind(text: &str) -> String {
    text.trim_start_matches("invalid: ").to_string()
}
