//! Data files in ORC, read and written as lanes, a stripe at a time.
//!
//! ```text
//! file | stripe: indexes, streams of all columns, footer | stripe | .. | file footer |
//!        tail ─▶ file footer ─▶ a stripe's footer ─▶ the streams of the columns asked for ─ codec ─▶ lanes
//! ```
//!
//! A column's streams of one stripe are held compressed while its rows are read; indexes are not fetched.
//! Spec: `format-spec/data-files.md`, ORC.

mod blocks;
mod lanes;
mod paged;
mod reader;
mod stripes;
mod tree;
mod write;

pub use paged::{OrcIndex, OrcPages};
pub(super) use reader::OrcReader;
pub use write::{OrcCodec, OrcEncoding, held_by_orc};
pub(super) use write::{OrcWriter, orc_types};

use crate::error::Error;

fn corrupt(what: impl Into<String>) -> Error {
    Error::corrupt("", what)
}

/// The decoder's error as ours: it is given all bytes, so that it is always the file's fault.
fn undecoded(error: impl std::fmt::Display) -> Error {
    corrupt(error.to_string())
}

#[cfg(test)]
mod tests;
