//! Files in, fewer files out: what is compacted, and how.
//!
//! ```text
//! live files ─ plan (pure) ─ tasks ─┬─ steps: upgrade ───────────────────────────┬─ CommitMessage
//!                                   └─ steps: merge ─ rolling writer ─ new level ┘
//! ```
//!
//! Invariants:
//! - a compaction changes nothing by itself: its message goes through the committer, which refuses it when an input is
//!   no longer live;
//! - inputs are never deleted here: older snapshots name them until they expire;
//! - with deletion vectors every old row that a key leaves above is masked in the same commit, and no vector outlives its
//!   file;
//! - memory is bounded by [`CompactLimits::memory`], whatever the size of the files.
//!
//! Spec: `format-spec/compaction.md`.

mod changelog_files;
mod compactor;
mod copies;
mod expiry;
mod limits;
mod old_rows;
mod plan;
mod rewrite;
mod steps;
mod vectors;

pub use changelog_files::join_changelogs;
pub use compactor::Compactor;
pub(crate) use limits::Throttle;
pub use limits::{CompactLimits, CompactProgress};
pub use plan::{BucketFiles, CompactRequest, buckets_of, plan_append, plan_bucket};
pub use steps::{Step, StepRules, steps};
pub use vectors::BucketVectors;
