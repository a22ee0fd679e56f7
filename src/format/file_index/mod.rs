//! File indexes: what a data file holds, told in more detail than by bounds, so that readers pass over the file or over
//! rows of it. They lie in the manifest entry (`_EMBEDDED_FILE_INDEX`) or beside the file (`<data file>.index`).
//!
//! ```text
//! lanes --FileIndexBuilder--> container [ head | body | body | .. ] --FileIndex::decode--> select(condition) --> rows
//! ```
//!
//! A selection never leaves out a row for which the condition is true; it may hold others. Indexes of kinds that are not
//! known are passed over.
//! Spec: `format-spec/file-index.md`.

mod bitmap;
mod bloom;
mod builder;
mod cells;
mod container;
mod cursor;
mod distinct;
mod hash;
mod numbers;
mod range_bitmap;
mod select;
mod slices;

pub use builder::{FileIndexBuilder, IndexedColumn};
pub use container::{FileIndex, HeadRead};
pub use select::{IndexedAs, Selection};

/// What the name of an index file ends in, behind the whole name of its data file.
pub const INDEX_SUFFIX: &str = ".index";

#[cfg(test)]
mod tests;
