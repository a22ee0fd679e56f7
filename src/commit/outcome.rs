//! What a commit is told besides its messages, and what it answers.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::format::SnapshotId;

/// The identifier of batch commits, which are not told apart.
pub const BATCH_COMMIT: i64 = i64::MAX;

/// What a commit carries besides files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitProperties {
    /// Event time up to which the sink has seen everything.
    pub watermark: Option<i64>,
    /// Free texts, stored in the snapshot.
    pub properties: BTreeMap<String, String>,
}

/// A compaction that was left out of its commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DroppedCompaction {
    /// The place of its message among those of the commit.
    pub message: usize,
    /// What it contradicts, or what failed.
    pub reason: String,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is visible.
    Committed {
        /// The newest snapshot it made: the one to read.
        snapshot_id: SnapshotId,
        /// The snapshot of the new files, where one was made.
        append: Option<SnapshotId>,
        /// The snapshot of the compaction, where one was made.
        compact: Option<SnapshotId>,
        /// Compactions that were left out. The new files and all other compactions are committed all the same.
        dropped_compactions: Vec<DroppedCompaction>,
    },
    /// This user committed this identifier (or a later one) before. Nothing was done.
    AlreadyCommitted {
        /// The newest snapshot of this user.
        snapshot_id: SnapshotId,
    },
    /// There was nothing to commit and empty snapshots are not wanted.
    Empty,
    /// Somebody else's commit contradicts this one: plan the work again. Nothing of it is visible.
    Conflicted {
        /// What contradicts what.
        reason: String,
    },
    /// It may be visible or become visible. Keep its files; ask with `Committer::filter_committed`.
    Unknown {
        /// What failed.
        reason: String,
    },
}

impl CommitOutcome {
    /// The snapshot that holds the commit.
    ///
    /// # Errors
    /// [`Error::Conflict`]; [`Error::Storage`] for an unknown outcome; [`Error::NotFound`] when there was nothing to
    /// commit.
    pub fn snapshot_id(&self) -> Result<SnapshotId> {
        match self {
            Self::Committed { snapshot_id, .. } | Self::AlreadyCommitted { snapshot_id } => Ok(*snapshot_id),
            Self::Empty => Err(Error::not_found("a snapshot of this commit: there was nothing to commit")),
            Self::Conflicted { reason } => Err(Error::conflict(reason.clone())),
            Self::Unknown { reason } => Err(Error::Storage {
                what: format!("the outcome of the commit is unknown: {reason}"),
                retryable: false,
            }),
        }
    }
}
