//! Finding the truth: which snapshots, schemas, manifests, tags and consumers a table has.
//!
//! Every room that wants to know something about a table asks here, and here alone it is decided which hint is
//! believed and which request is made.
//!
//! Invariants:
//! - hints are only hints: a wrong, old or torn one costs requests, never truth;
//! - snapshots, schemas, manifests and lists are immutable, so what was read once is kept;
//! - nothing here writes, except a consumer's progress.
//!
//! Spec: `format-spec/commit.md`, section "Finding the newest snapshot".

mod consumers;
mod manifests;
mod schemas;
mod snapshots;
mod tags;
#[cfg(test)]
mod tests;

pub use consumers::Consumers;
pub use manifests::{FileFilter, Manifests};
pub use schemas::Schemas;
pub use snapshots::Snapshots;
pub use tags::Tags;
