//! Writing data files in ORC: lanes encoded column by column, a stripe in memory.
//!
//! ```text
//! slab ─ 4096 rows ─▶ columns ─ runs ─▶ streams ─ blocks of 256 KB ─ codec ─▶ stripe ─▶ file
//! ```
//!
//! Stripes have no indexes and texts no dictionaries. Spec: `format-spec/data-files.md`, ORC.

mod bounds;
mod columns;
mod held;
mod lengths;
mod rle;
mod streams;
mod times;
mod types;
mod writer;

pub use held::held_by_orc;
pub use streams::OrcCodec;
pub(in crate::files) use types::orc_types;
pub(in crate::files) use writer::OrcWriter;

/// The zone whose clocks timestamps are stored as.
const ZONE: &str = "UTC";

/// How an ORC file is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrcEncoding {
    /// The codec of its streams.
    pub codec: OrcCodec,
    /// Encoded bytes after which a stripe is closed.
    pub stripe_bytes: usize,
    /// Rows of a stripe at the most.
    pub stripe_rows: u64,
}

#[cfg(test)]
mod tests;
