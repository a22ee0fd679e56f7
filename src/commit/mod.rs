//! How a snapshot becomes visible: nothing changes a table except through [`Committer::commit`].
//!
//! ```text
//! messages ─ changes ─ check ─ plan ─ write manifests and lists ─ create snapshot-<n+1> ─ read back ─ LATEST
//!                        ↑                                                 │
//!                        └──────── lost the race: plan again ──────────────┘
//! ```
//!
//! Invariants (proof sketch in `format-spec/commit.md`):
//! - a commit is visible whole or not at all: one file, created if absent, makes it so;
//! - a commit user's identifier commits once, whatever fails in between;
//! - an overwrite takes away what its base holds, and its rows are seen instead: never neither, never both;
//! - of the compactions of one commit only those are lost that contradict other commits, bucket by bucket;
//! - an outcome that is not known is told as such: nothing is deleted then and nothing is tried under another number;
//! - a committer that slept past the retention of its base cannot roll the table back.

mod abort;
mod after;
mod attempt;
mod changes;
mod check;
mod committer;
mod first_named;
mod index;
mod manifest_merge;
mod number;
mod outcome;
mod overwrite;
mod plan;
mod prepared;
mod publish;
mod publisher;
mod recover;
mod salvage;
#[cfg(test)]
mod tests;
mod verify;
mod write;

pub use after::AfterCommit;
pub use committer::{CommitStats, Committer};
pub use outcome::{BATCH_COMMIT, CommitOutcome, CommitProperties, DroppedCompaction};
pub use overwrite::Replaced;
pub use publisher::{Publisher, PutIfAbsent};
