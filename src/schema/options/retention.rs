//! The options that tell how long snapshots and changelogs stay.
//! Spec: `format-spec/expiry.md`.

use std::time::Duration;

use super::reader::{Reader, Words, number};
use crate::error::Result;
use crate::schema::parse_duration;

/// How many of a kind stay, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionLimits {
    /// At least so many stay, whatever their age.
    pub least: i64,
    /// What is beyond so many goes, whatever its age.
    pub most: i64,
    /// Between the two, what is older goes.
    pub time: Duration,
}

/// What expiry keeps (`snapshot.*`, `changelog.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetentionOptions {
    /// Limits of snapshots.
    pub snapshots: RetentionLimits,
    /// Limits of changelogs; those of snapshots where they have none of their own.
    pub changelogs: RetentionLimits,
    /// Snapshots, and changelogs, that go at one time.
    pub at_once: i64,
    /// Consumers hold back changelogs only; no effect unless these outlive snapshots.
    pub consumer_changelog_only: bool,
    /// Consumers that have not moved for so long are forgotten.
    pub consumers: Option<Duration>,
    /// Remove directories that expiry empties.
    pub clean_empty_directories: bool,
    /// A commit does not wait for the expiry after it.
    pub in_background: bool,
    /// The time that tags are given which are told none.
    pub tags: Option<Duration>,
    /// Tags past their time go.
    pub tags_expire: bool,
}

const EXECUTION_MODES: Words<bool> = &[("sync", false), ("async", true)];

impl RetentionOptions {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self> {
        let snapshots = RetentionLimits {
            least: read.with("snapshot.num-retained.min", number)?,
            most: read.with("snapshot.num-retained.max", number)?,
            time: read.with("snapshot.time-retained", parse_duration)?,
        };
        let changelogs = RetentionLimits {
            least: read.optional("changelog.num-retained.min", number)?.unwrap_or(snapshots.least),
            most: read.optional("changelog.num-retained.max", number)?.unwrap_or(snapshots.most),
            time: read.optional("changelog.time-retained", parse_duration)?.unwrap_or(snapshots.time),
        };
        Ok(Self {
            snapshots,
            changelogs,
            at_once: read.with("snapshot.expire.limit", number)?,
            consumer_changelog_only: read.boolean("consumer.changelog-only")?,
            consumers: read.optional("consumer.expiration-time", parse_duration)?,
            clean_empty_directories: read.boolean("snapshot.clean-empty-directories")?,
            tags: read.optional("tag.default-time-retained", parse_duration)?,
            tags_expire: read.boolean("tag.time-expire-enabled")?,
            in_background: read.word("snapshot.expire.execution-mode", EXECUTION_MODES)?,
        })
    }
}
