//! Splits in, rows out: raw files one after another, or sorted runs merged.
//!
//! Decoding and merging are blocking work on the blocking pool; a [`RowStream`] carries their batches out.
//! Spec: `format-spec/read.md`.

mod columns;
mod diff;
mod fan_in;
mod index;
mod row_ids;
mod slab;
mod spill;
mod split_reader;
mod stream;
mod top;

pub(crate) use columns::{Origin, WorkColumns, typed_batch};
pub use diff::DiffSplit;
pub use slab::MergedSlab;
pub(crate) use spill::{Spill, SpillFormat, SpillWriter};
pub use split_reader::{
    BucketReader, CompactedBatches, LEAST_READ_MEMORY, Pace, ReadRequest, RowTest, Rows, SplitReader,
};
pub(crate) use split_reader::{SPLITS_AT_ONCE, check_read_memory};
pub use stream::{RowStream, SplitBatches};
pub use top::Sort;
pub(crate) use top::check_order;
