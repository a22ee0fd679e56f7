//! Point lookup: rows by primary key, straight from the data files, in bounded memory.
//!
//! ```text
//! key -> partition, bucket -> files by key range -> block by page bounds -> row -> one page of each column
//! ```
//!
//! There is no index to build: the key column's pages, decoded and kept as normalised keys, are the index, made lazily
//! and shared by whoever looks up. [`TableLookup`] gives the newest rows and follows new snapshots; [`OldVersions`] gives
//! what upper levels hold, with positions, for compaction.
//!
//! Invariants:
//! - a lookup gives what a merged read of the same snapshot gives;
//! - what is kept belongs to immutable files, so no commit makes it wrong;
//! - memory is the budget of the [`LookupCache`], a few pages in flight, and the answer.
//!
//! Rows that deletion vectors mask are passed over where rows become hits. What a batch read leaves out (level 0 of some
//! tables) is left out here: both ask [`crate::scan`] for the files of a snapshot.
//! Spec: `format-spec/merge-tree.md`; why there are no local files: `format-spec/decisions/0023-lookups-read-data-files.md`.

mod bucket;
mod cache;
mod disk;
mod file;
mod find;
mod load;
mod newest;
mod old_versions;
mod rules;
mod table_lookup;
mod values;
mod view;
mod warm;

pub use cache::LookupCache;
pub use old_versions::{OldPlace, OldRows, OldVersions};
pub use table_lookup::{Found, LookupBuilder, TableLookup};
