//! What a commit brings with it and nobody need wait for.

use futures::future::BoxFuture;

use crate::format::SnapshotId;

/// Work after a commit, such as expiry. It cannot fail the commit, which is visible already.
pub trait AfterCommit: Send + Sync {
    /// Called after a commit, with the newest snapshot that it made.
    fn committed(&mut self, newest: SnapshotId) -> BoxFuture<'_, ()>;

    /// Waits for what still runs beside.
    fn finish(&mut self) -> BoxFuture<'_, ()>;
}
