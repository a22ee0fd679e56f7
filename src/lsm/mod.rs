//! The merge tree: keys, order, runs, and how the versions of a key become one row. No IO, no async.
//! Spec: `format-spec/merge-tree.md`.

mod compact_stage;
mod diff_stage;
mod intervals;
mod key;
mod levels;
mod loser_tree;
pub mod merge;
mod merge_reader;
mod order;
mod picker;
mod simulator;
mod sort;
#[cfg(test)]
mod tests;
mod write_buffer;

pub use compact_stage::{Before, CompactMerge, Compacted, compact_runs};
pub use diff_stage::{LATER, diff_runs};
pub use intervals::{KeyBound, Ranged, Section, sections};
pub use key::{KeyEncoder, Keys};
pub use levels::{Levels, Run, age};
pub use merge::{ColumnFrom, KeepAll, MergeFunction, Merged, Single, Versions};
pub use merge_reader::{MergedBatch, RunBatch, RunReader, merge_runs};
pub use order::SequenceOrder;
pub use picker::{CompactUnit, Moment, Trigger, pick, pick_full, put_off};
pub use simulator::{Pace, Point, simulate};
pub use write_buffer::{Sorted, WriteBuffer};
