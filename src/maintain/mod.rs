//! Over time: what is old goes, and nothing else.
//!
//! Expiry is a pure plan (which snapshots and changelogs go, and which files nobody needs then) and a thin run, in an
//! order that a crash may interrupt anywhere:
//!
//! ```text
//! note what goes → changelog-N appears → snapshot-N goes, oldest first → EARLIEST → look again → files go → the note goes
//! ```
//!
//! Invariants:
//! - pointers go first and what they point at last, so a crash leaves files over and never a pointer to nothing; the note
//!   tells the next expiry which files those are;
//! - a file goes only if it left the chain at or before the oldest snapshot that stays, and no tag, no branch and no
//!   changelog that stays names it; what cannot be read is taken to name everything;
//! - nothing outside of the table's root goes, but below locations that the caller allows; and no snapshot younger than what a commit under way may rest on.
//!
//! Spec: `format-spec/expiry.md`.

mod after_commit;
mod branches;
mod choose;
mod expire;
mod files;
mod finish;
mod forward;
mod gather;
mod old_tags;
mod read_tag;
mod rename;
mod report;
mod retention;
mod roots;
mod schema_rollback;
mod tags;
#[cfg(test)]
mod tests;

pub use after_commit::ExpireAfterCommit;
pub use branches::{create_branch, delete_branch};
pub use choose::Stop;
pub use expire::Expirer;
pub use forward::{Forwarded, fast_forward};
pub use read_tag::ReadTag;
pub use rename::rename_branch;
pub use report::{ExpireProgress, ExpireReport};
pub use retention::Retention;
pub use schema_rollback::rollback_schema;
pub use tags::NewTag;
