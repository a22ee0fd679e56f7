//! What is kept, in one run of expiry.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::format::SnapshotId;
use crate::schema::{RetentionLimits, TableOptions};

/// What one run of expiry keeps: the table's options, or what the caller says instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Limits of snapshots.
    pub snapshots: RetentionLimits,
    /// Limits of changelogs.
    pub changelogs: RetentionLimits,
    /// Snapshots that go at one time, and changelogs.
    pub at_once: i64,
    /// Consumers hold back changelogs only, where these outlive snapshots.
    pub consumer_changelog_only: bool,
    /// Consumers that have not moved for so long go.
    pub consumers: Option<Duration>,
    /// No snapshot goes whose successor is younger than this: a commit under way may rest on it.
    pub guarded: Duration,
    /// Remove directories that expiry empties.
    pub clean_empty_directories: bool,
    /// Tags past their age limit go.
    pub tags_expire: bool,
}

impl Retention {
    /// What a table's options say.
    pub fn of(options: &TableOptions) -> Self {
        let retention = &options.retention;
        Self {
            snapshots: retention.snapshots,
            changelogs: retention.changelogs,
            at_once: retention.at_once,
            consumer_changelog_only: retention.consumer_changelog_only,
            consumers: retention.consumers,
            guarded: options.commit.guarded_time(),
            clean_empty_directories: retention.clean_empty_directories,
            tags_expire: retention.tags_expire,
        }
    }

    /// Whether changelogs outlive their snapshots.
    pub fn decoupled(&self) -> bool {
        let (snapshots, changelogs) = (&self.snapshots, &self.changelogs);
        changelogs.most > snapshots.most || changelogs.least > snapshots.least || changelogs.time > snapshots.time
    }

    /// # Errors
    /// [`Error::Invalid`] when the fewest that stay are none, or more than the most.
    pub(super) fn check(&self) -> Result<()> {
        for (what, limits) in [("snapshots", &self.snapshots), ("changelogs", &self.changelogs)] {
            if limits.least < 1 || limits.least > limits.most {
                return Err(Error::invalid(format!(
                    "expiry cannot keep at least {} and at most {} {what}: give both limits, 1 <= least <= most",
                    limits.least, limits.most
                )));
            }
        }
        match self.at_once {
            1.. => Ok(()),
            none => Err(Error::invalid(format!("expiry takes {none} snapshots at once: at least 1"))),
        }
    }
}

/// The oldest reader that keeps its place in the table: its name and the snapshot it wants next.
pub(super) type Hold = (String, SnapshotId);

/// Milliseconds, as far as they can be told.
pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
