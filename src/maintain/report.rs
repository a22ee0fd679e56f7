//! What a run of expiry did, or would do.

use super::choose::Stop;
use crate::format::{GoingFile, SnapshotId};

/// What a run of expiry did; of a dry run, what it would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpireReport {
    /// Tags that went because their time was over.
    pub tags: Vec<String>,
    /// Consumers that went because they had not moved for too long.
    pub consumers: Vec<String>,
    /// Snapshots that went.
    pub snapshots: Vec<SnapshotId>,
    /// Those of them whose changelogs stay.
    pub changelogs_kept: Vec<SnapshotId>,
    /// Changelogs that went.
    pub changelogs: Vec<SnapshotId>,
    /// Files that went with them, and files that an earlier run left behind.
    pub files: u64,
    /// Their bytes, as far as metadata tells.
    pub bytes: u64,
    /// Files (and pointers) that could not be deleted. The next run tries again.
    pub failed: u64,
    /// What the store said about the first of them.
    pub first_failure: Option<String>,
    /// Files outside of the table's root in locations that are not allowed, which stay.
    pub outside: u64,
    /// Of a dry run: the files that would go.
    pub would_go: Vec<GoingFile>,
    /// Why the oldest snapshot that stays does; `None` for a table without snapshots.
    pub stop: Option<Stop>,
}

impl ExpireReport {
    /// Whether there was nothing to do.
    pub fn is_empty(&self) -> bool {
        let pointers = self.tags.len() + self.consumers.len() + self.snapshots.len() + self.changelogs.len();
        pointers == 0 && self.files == 0 && self.failed == 0
    }

    pub(super) fn fail(&mut self, what: String) {
        self.failed += 1;
        tracing::warn!(%what, "expiry: something could not be deleted");
        self.first_failure.get_or_insert(what);
    }
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpireProgress {
    /// Files deleted so far.
    pub files: u64,
    /// Files known to go.
    pub of: u64,
    /// Bytes freed so far.
    pub bytes: u64,
}
