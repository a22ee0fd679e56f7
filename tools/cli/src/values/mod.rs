//! Rows between bytes and Arrow: JSON lines and CSV in both directions, Parquet and Arrow files in.

mod arrow_frames;
pub mod arrow_types;
pub mod columnar_in;
pub mod csv_in;
pub mod csv_out;
mod json_cursor;
pub mod json_in;
pub mod json_out;
pub mod lane_in;
pub mod lane_out;
mod nested_in;
mod nested_out;
pub mod text;
mod variant;
mod window;

use std::fmt;

use arrow_array::{Int8Array, RecordBatch};
use forebay::types::DataType;

/// Names and types of a row's columns.
pub type Columns = Vec<(String, DataType)>;

/// Bytes after which a piece ends although it has few rows: some pieces are on their way at a time, beside the memory
/// that the writer was given.
const PIECE_BYTES: usize = 4 << 20;

/// Some rows of an input, with their kinds when the input has them.
#[derive(Debug)]
pub struct Piece {
    /// The rows: all columns of the table, or those that an Arrow input has.
    pub batch: RecordBatch,
    /// Row kinds as bytes; absent when every row is an upsert.
    pub kinds: Option<Int8Array>,
}

/// An input that gives rows in order.
pub trait Rows: Send {
    /// The next rows, at most `most` (at least one) of them; `None` at the end.
    fn next(&mut self, most: usize) -> Result<Option<Piece>, InputError>;
}

/// What is wrong with an input, and where.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct InputError {
    /// The file, or how standard input is called.
    pub file: String,
    /// The line, from 1 (for Arrow inputs: none).
    pub line: Option<u64>,
    /// The column.
    pub column: Option<String>,
    /// The value as it stands in the input.
    pub value: Option<String>,
    /// What is wrong.
    pub why: String,
}

impl InputError {
    /// An error that concerns a whole file.
    pub fn of_file(file: &str, why: impl fmt::Display) -> Self {
        Self { file: file.to_string(), why: why.to_string(), ..Self::default() }
    }

    /// The same error at a place.
    #[must_use]
    pub fn at(mut self, file: &str, line: u64) -> Self {
        self.file = file.to_string();
        self.line = Some(line);
        self
    }

    /// The same error, which is about a column's value where it does not say so.
    #[must_use]
    pub fn in_column(mut self, column: &str) -> Self {
        self.column.get_or_insert_with(|| column.to_string());
        self
    }

    /// An error in a line of text.
    pub fn of_line(why: impl Into<String>) -> Self {
        Self { why: why.into(), ..Self::default() }
    }

    /// An error about a value of a column.
    pub fn of_value(column: &str, value: &[u8], why: String) -> Self {
        let mut shown: String = String::from_utf8_lossy(value).chars().take(61).collect();
        if shown.chars().count() > 60 {
            shown = shown.chars().take(60).chain("..".chars()).collect();
        }
        Self { column: Some(column.to_string()), value: Some(shown), why, ..Self::default() }
    }

    /// An error about a column that has no value.
    pub fn of_column(column: &str, why: impl Into<String>) -> Self {
        Self { column: Some(column.to_string()), why: why.into(), ..Self::default() }
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(column) = &self.column {
            write!(f, ", column {column}")?;
        }
        f.write_str(": ")?;
        if let Some(value) = &self.value {
            write!(f, "{value:?} ")?;
        }
        f.write_str(&self.why)
    }
}

#[cfg(test)]
mod tests;
