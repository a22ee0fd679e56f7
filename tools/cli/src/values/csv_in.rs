//! Rows from CSV. The first line names the columns; they are matched by name, in any order.
//!
//! Quotes follow RFC 4180, and they matter: an empty field is NULL while `""` is an empty text (and NULL for columns
//! that hold no texts). A text given with `--null` stands for NULL when it is not quoted. Other values may have blanks
//! around them. A line ends with LF or CR LF; a blank line is skipped unless the file has a single column.

use std::io::Read;

use forebay::types::DataType;

use super::lane_in::{self, LaneBuilder};
use super::window::Window;
use super::{Columns, InputError, PIECE_BYTES, Piece, Rows};

/// How a CSV file is spelled.
#[derive(Debug, Clone)]
pub struct Dialect {
    /// What stands between fields.
    pub delimiter: u8,
    /// An unquoted text that stands for NULL, besides the empty one.
    pub null: Option<String>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self { delimiter: b',', null: None }
    }
}

/// The rows of one input.
pub struct CsvLines<R> {
    window: Window<R>,
    file: String,
    dialect: Dialect,
    line: u64,
    lanes: Vec<LaneBuilder>,
    /// For each column of the file, the column of the table.
    targets: Vec<usize>,
    /// Nullable columns of the table that the file does not have.
    absent: Vec<usize>,
    fields: Vec<Field>,
    scratch: Vec<u8>,
}

/// Where a field lies in the window.
#[derive(Debug, Clone, Copy)]
struct Field {
    start: usize,
    end: usize,
    quoted: bool,
    /// Whether quotes are doubled inside.
    doubled: bool,
}

impl<R: Read + Send> CsvLines<R> {
    /// Reads the header and matches it with the columns.
    pub fn open(input: R, file: &str, columns: &Columns, dialect: Dialect) -> Result<Self, InputError> {
        let mut lines = Self {
            window: Window::open(input).map_err(|error| InputError::of_file(file, error))?,
            file: file.to_string(),
            dialect,
            line: 1,
            lanes: lane_in::builders(columns),
            targets: Vec::new(),
            absent: Vec::new(),
            fields: Vec::new(),
            scratch: Vec::new(),
        };
        // Two columns, so that blank lines before the header are skipped.
        let end =
            lines.record(2)?.ok_or_else(|| InputError::of_file(file, "has no header line that names the columns"))?;
        lines.match_header(columns).map_err(|error| error.at(file, lines.line))?;
        lines.advance(end);
        Ok(lines)
    }

    fn match_header(&mut self, columns: &[(String, DataType)]) -> Result<(), InputError> {
        for field in std::mem::take(&mut self.fields) {
            let name = String::from_utf8_lossy(self.content(field)).into_owned();
            let found = columns.iter().position(|(column, _)| *column == name);
            let found = found.or_else(|| columns.iter().position(|(column, _)| column == name.trim()));
            let target = found.ok_or_else(|| InputError::of_line(format!("the table has no column {name:?}")))?;
            if self.targets.contains(&target) {
                return Err(InputError::of_column(&name, "is named twice in the header"));
            }
            self.targets.push(target);
        }
        for (at, (name, data_type)) in columns.iter().enumerate() {
            if self.targets.contains(&at) {
                continue;
            }
            if !data_type.nullable {
                return Err(InputError::of_column(name, "is NOT NULL, but the header does not name it"));
            }
            self.absent.push(at);
        }
        Ok(())
    }

    /// Cuts the next record into `fields`; gives where it ends. Reads on when it is not whole.
    fn record(&mut self, columns: usize) -> Result<Option<usize>, InputError> {
        loop {
            let bytes = self.window.bytes();
            if columns > 1 {
                let blank = bytes.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
                if blank > 0 {
                    self.line += bytes[..blank].iter().filter(|byte| **byte == b'\n').count() as u64;
                    self.window.consume(blank);
                    continue;
                }
            }
            if bytes.is_empty() && self.window.ended() {
                return Ok(None);
            }
            self.fields.clear();
            let cut = cut_record(bytes, self.dialect.delimiter, self.window.ended(), &mut self.fields);
            match cut.map_err(|why| InputError::of_line(why).at(&self.file, self.line))? {
                Some(end) => return Ok(Some(end)),
                None => {
                    let read = self.window.more();
                    read.map_err(|error| InputError::of_line(error.to_string()).at(&self.file, self.line))?;
                }
            }
        }
    }

    /// Goes behind a record.
    fn advance(&mut self, end: usize) {
        self.line += memchr::memchr_iter(b'\n', &self.window.bytes()[..end]).count() as u64;
        self.window.consume(end);
    }

    /// A field's text without its quotes.
    fn content(&mut self, field: Field) -> &[u8] {
        let bytes = &self.window.bytes()[field.start..field.end];
        if !field.doubled {
            return bytes;
        }
        undouble(bytes, &mut self.scratch);
        &self.scratch
    }

    /// Parses the next record into the lanes. Answers how many bytes it took, 0 at the end.
    fn step(&mut self) -> Result<usize, InputError> {
        let Some(end) = self.record(self.targets.len())? else {
            return Ok(0);
        };
        let (found, wanted) = (self.fields.len(), self.targets.len());
        if found != wanted {
            let why = format!("the line has {found} fields, but the header names {wanted} columns");
            return Err(InputError::of_line(why).at(&self.file, self.line));
        }
        let bytes = self.window.bytes();
        let null = self.dialect.null.as_deref().map(str::as_bytes);
        for (field, target) in self.fields.iter().zip(&self.targets) {
            let mut value = &bytes[field.start..field.end];
            if field.doubled {
                undouble(value, &mut self.scratch);
                value = &self.scratch;
            }
            let lane = &mut self.lanes[*target];
            if !lane.is_text() {
                value = value.trim_ascii();
            }
            let is_null = match field.quoted {
                true => value.is_empty() && !lane.is_text(),
                false => value.is_empty() || null == Some(value),
            };
            let pushed = if is_null { lane.push_null() } else { lane.push_text(value) };
            pushed.map_err(|why| InputError::of_value(lane.name(), value, why).at(&self.file, self.line))?;
        }
        for at in &self.absent {
            let lane = &mut self.lanes[*at];
            lane.push_null().map_err(|why| InputError::of_column(lane.name(), why).at(&self.file, self.line))?;
        }
        self.advance(end);
        Ok(end)
    }
}

impl<R: Read + Send> Rows for CsvLines<R> {
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
        let batch = lane_in::finish(&mut self.lanes, rows).map_err(|why| InputError::of_file(&self.file, why))?;
        Ok(Some(Piece { batch, kinds: None }))
    }
}

/// Replaces each `""` by `"`.
fn undouble(text: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

/// Cuts the first record of `bytes`. Gives where the next one begins, `None` when the record is not whole yet.
fn cut_record(bytes: &[u8], delimiter: u8, ended: bool, fields: &mut Vec<Field>) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let (field, after) = match bytes.get(at) {
            Some(b'"') => match cut_quoted(bytes, at) {
                Some(cut) => cut,
                None if ended => return Err("a quote is not closed".into()),
                None => return Ok(None),
            },
            _ => {
                let tail = &bytes[at..];
                let length = tail.iter().position(|byte| *byte == delimiter || *byte == b'\n').unwrap_or(tail.len());
                (Field { start: at, end: at + length, quoted: false, doubled: false }, at + length)
            }
        };
        fields.push(field);
        at = after;
        match bytes.get(at) {
            Some(byte) if *byte == delimiter => at += 1,
            Some(b'\n') => {
                strip_return(bytes, fields);
                return Ok(Some(at + 1));
            }
            Some(b'\r') if bytes.get(at + 1) == Some(&b'\n') => return Ok(Some(at + 2)),
            Some(b'\r') if at + 1 == bytes.len() && ended => return Ok(Some(at + 1)),
            Some(b'\r') if at + 1 == bytes.len() => return Ok(None),
            None if ended => {
                strip_return(bytes, fields);
                return Ok(Some(at));
            }
            None => return Ok(None),
            Some(_) => return Err("a field goes on behind its closing quote".into()),
        }
    }
}

/// Takes the CR of a line's end from its last field.
fn strip_return(bytes: &[u8], fields: &mut [Field]) {
    if let Some(last) = fields.last_mut().filter(|last| !last.quoted && last.end > last.start) {
        last.end -= usize::from(bytes[last.end - 1] == b'\r');
    }
}

/// A quoted field that begins at `open`, and where its closing quote ends.
fn cut_quoted(bytes: &[u8], open: usize) -> Option<(Field, usize)> {
    let mut at = open + 1;
    let mut doubled = false;
    loop {
        at += memchr::memchr(b'"', &bytes[at..])?;
        if bytes.get(at + 1) != Some(&b'"') {
            return Some((Field { start: open + 1, end: at, quoted: true, doubled }, at + 1));
        }
        doubled = true;
        at += 2;
    }
}
