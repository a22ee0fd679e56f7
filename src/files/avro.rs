//! Data files in Avro: containers of records, read and written as lanes, a block at a time.
//!
//! ```text
//! lanes ─ cells ─▶ records ─▶ block of 64 KB ─ codec ─▶ file     written
//! file ─▶ window ─▶ block ─ codec ─▶ records ─ lanes ─▶ batch    read
//! ```
//!
//! Spec: `format-spec/data-files.md`, Avro.

mod blocks;
mod cells;
mod lanes;
mod nested;
mod paged;
mod reader;
mod records;
mod schema;
mod writer;

pub use paged::{AvroIndex, AvroPages};
pub(super) use reader::AvroReader;
pub(super) use schema::avro_schema;
pub use writer::AvroCodec;
pub(super) use writer::AvroWriter;

use crate::error::Error;

fn corrupt(what: impl Into<String>) -> Error {
    Error::corrupt("", what)
}

#[cfg(test)]
mod tests;
