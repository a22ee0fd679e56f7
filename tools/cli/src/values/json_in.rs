//! Rows from JSON lines: an object a line, or a change `{"kind":"+I","snapshot":3,"row":{..}}` a line.
//!
//! Parsing is strict. A column the table does not have, a column given twice, a value of another type or one that does
//! not fit is an error that names line, column and value. A column that is left out is NULL. Columns in the table's order
//! are found without looking up their names.

use std::collections::HashMap;
use std::io::Read;

use arrow_array::builder::Int8Builder;
use forebay::types::RowKind;

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
    let mut cursor = Cursor { text, bytes: line, at: 0 };
    match kinds {
        None => row.object(&mut cursor)?,
        Some(kinds) => kinds.append_value(row.change(&mut cursor)? as i8),
    }
    cursor.blank();
    if cursor.at < line.len() {
        return Err(cursor.unexpected("the end of the line"));
    }
    Ok(())
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
                Some(lead) if cursor.bytes[cursor.at..].starts_with(lead) => {
                    cursor.at += lead.len();
                    expected
                }
                _ => self.column(cursor)?,
            };
            if self.seen[at] == self.row {
                return Err(InputError::of_column(self.lanes[at].name(), "is given twice"));
            }
            self.seen[at] = self.row;
            cursor.blank();
            cursor.value(&mut self.lanes[at], &mut self.scratch)?;
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

/// A place in a line.
struct Cursor<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn blank(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn unexpected(&self, wanted: &str) -> InputError {
        let found = match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            Some(found) => format!("{found:?} at byte {}", self.at + 1),
            None => "the end of the line".to_string(),
        };
        InputError::of_line(format!("is no JSON object: found {found}, not {wanted}"))
    }

    /// Takes a character that must be there, after blanks.
    fn open(&mut self, wanted: char) -> Result<(), InputError> {
        self.blank();
        if self.bytes.get(self.at) != Some(&(wanted as u8)) {
            return Err(self.unexpected(&format!("{wanted:?}")));
        }
        self.at += 1;
        Ok(())
    }

    /// Goes to the next member of an object; false behind its end.
    fn member(&mut self, first: &mut bool) -> Result<bool, InputError> {
        self.blank();
        match self.bytes.get(self.at) {
            Some(b'}') => {
                self.at += 1;
                return Ok(false);
            }
            Some(b',') if !*first => self.at += 1,
            _ if *first => {}
            _ => return Err(self.unexpected("',' or '}'")),
        }
        *first = false;
        self.blank();
        match self.bytes.get(self.at) {
            Some(b'"') => Ok(true),
            _ => Err(self.unexpected("a name in quotes")),
        }
    }

    /// Takes a string. It is a part of the line, or of `scratch` when it has escapes.
    fn string<'s>(&mut self, scratch: &'s mut String) -> Result<&'s str, InputError>
    where
        'a: 's,
    {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.unexpected("a string"));
        }
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => return self.escaped(start, at, scratch),
                Some(0x20..) => at += 1,
                _ => {
                    self.at = at;
                    return Err(self.unexpected("a closing quote"));
                }
            }
        }
        self.at = at + 1;
        Ok(&self.text[start..at])
    }

    /// The rest of a string from its first escape on.
    fn escaped<'s>(&mut self, start: usize, first: usize, scratch: &'s mut String) -> Result<&'s str, InputError> {
        scratch.clear();
        scratch.push_str(&self.text[start..first]);
        self.at = first;
        loop {
            let from = self.at;
            while matches!(self.bytes.get(self.at), Some(0x20..)) && !matches!(self.bytes[self.at], b'"' | b'\\') {
                self.at += 1;
            }
            scratch.push_str(&self.text[from..self.at]);
            match self.bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    self.at += 1;
                    let c = self.escape()?;
                    scratch.push(c);
                }
                _ => return Err(self.unexpected("a closing quote")),
            }
        }
        self.at += 1;
        Ok(scratch)
    }

    fn escape(&mut self) -> Result<char, InputError> {
        let code = self.bytes.get(self.at).copied();
        let simple = match code {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{C}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.unexpected("an escape")),
        };
        self.at += 1;
        Ok(simple)
    }

    /// `uXXXX`, or two of them for a character beyond the first plane.
    fn unicode(&mut self) -> Result<char, InputError> {
        let high = self.hex()?;
        let code = match high {
            0xD800..0xDC00 if self.bytes.get(self.at) == Some(&b'\\') => {
                self.at += 1;
                let low = self.hex()?;
                if !(0xDC00..0xE000).contains(&low) {
                    return Err(InputError::of_line("a string has half of a surrogate pair"));
                }
                0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            }
            other => other,
        };
        char::from_u32(code).ok_or_else(|| InputError::of_line("a string has half of a surrogate pair"))
    }

    fn hex(&mut self) -> Result<u32, InputError> {
        let digits = self.bytes.get(self.at..self.at + 5).filter(|d| d[0] == b'u');
        let digits = digits.filter(|d| d[1..].iter().all(u8::is_ascii_hexdigit));
        let digits = digits.ok_or_else(|| self.unexpected("u and four hexadecimal digits"))?;
        let code = digits[1..].iter().fold(0, |code, digit| code * 16 + (*digit as char).to_digit(16).unwrap_or(0));
        self.at += 5;
        Ok(code)
    }

    /// Takes a number and gives its text.
    fn number(&mut self) -> Result<&'a [u8], InputError> {
        let start = self.at;
        let digits = |at: &mut usize| {
            let from = *at;
            while self.bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at - from
        };
        let mut at = start + usize::from(self.bytes.get(start) == Some(&b'-'));
        let zero = self.bytes.get(at) == Some(&b'0');
        let whole = digits(&mut at);
        let mut good = whole == 1 || (whole > 1 && !zero);
        if good && self.bytes.get(at) == Some(&b'.') {
            at += 1;
            good = digits(&mut at) > 0;
        }
        if good && matches!(self.bytes.get(at), Some(b'e' | b'E')) {
            at += 1;
            at += usize::from(matches!(self.bytes.get(at), Some(b'+' | b'-')));
            good = digits(&mut at) > 0;
        }
        if !good {
            return Err(self.unexpected("a JSON value"));
        }
        self.at = at;
        Ok(&self.bytes[start..at])
    }

    /// Takes a value into a lane.
    fn value(&mut self, lane: &mut LaneBuilder, scratch: &mut String) -> Result<(), InputError> {
        let start = self.at;
        let pushed = match self.bytes.get(start) {
            Some(b'"') => lane.push_string(self.string(scratch)?),
            Some(b'-' | b'0'..=b'9') => lane.push_number(self.number()?),
            Some(b'n') => self.word("null").map(|()| lane.push_null())?,
            Some(b't') => self.word("true").map(|()| lane.push_bool(true))?,
            Some(b'f') => self.word("false").map(|()| lane.push_bool(false))?,
            Some(b'{') => Err(format!("is an object, but the column is {}", lane.data_type().kind)),
            Some(b'[') => Err(format!("is an array, but the column is {}", lane.data_type().kind)),
            _ => return Err(self.unexpected("a JSON value")),
        };
        pushed.map_err(|why| {
            let end = self.at.max(start + 1).min(self.bytes.len());
            InputError::of_value(lane.name(), &self.bytes[start..end], why)
        })
    }

    fn word(&mut self, word: &str) -> Result<(), InputError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.unexpected("a JSON value"));
        }
        self.at += word.len();
        Ok(())
    }
}
