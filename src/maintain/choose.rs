//! Which snapshots go, and which changelogs. Pure.

use std::fmt;

use super::retention::{Hold, Retention, millis};
use crate::format::SnapshotId;

/// What a table has, as far as the choice needs it.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// The oldest snapshot or changelog that may go.
    pub(super) first: SnapshotId,
    /// The newest snapshot.
    pub(super) latest: SnapshotId,
    /// The consumer that is furthest behind.
    pub(super) hold: Option<Hold>,
    /// Wall time.
    pub(super) now_millis: i64,
    /// So many may go.
    pub(super) limit: i64,
}

/// Everything below `end` goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) end: SnapshotId,
    pub(super) stop: Stop,
}

/// Why the oldest snapshot that stays does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stop {
    /// So many stay at least.
    Least(i64),
    /// It is not old enough.
    Time,
    /// A commit under way may rest on it, so it stays for a quarter of `snapshot.time-retained`.
    Guarded,
    /// A consumer has not read it.
    Consumer(String),
    /// As many went as may go in one run.
    Limit,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Least(count) => write!(f, "at least {count} are kept"),
            Self::Time => f.write_str("the oldest one is not old enough"),
            Self::Guarded => f.write_str(
                "the oldest one is younger than a quarter of snapshot.time-retained, and a commit under way may rest on it",
            ),
            Self::Consumer(name) => write!(f, "consumer {name:?} has not read the oldest one"),
            Self::Limit => f.write_str("no more may go in one run"),
        }
    }
}

/// The lowest end that some limits allow, and which of them it is.
fn bound(standing: &Standing, least: i64, held: bool) -> (SnapshotId, Stop) {
    let mut lowest = (standing.latest.saturating_sub(least).saturating_add(1), Stop::Least(least));
    if let Some((name, next)) = standing.hold.as_ref().filter(|(_, next)| held && *next < lowest.0) {
        lowest = (*next, Stop::Consumer(name.clone()));
    }
    let limit = standing.first.saturating_add(standing.limit);
    if limit < lowest.0 { (limit, Stop::Limit) } else { lowest }
}

/// Which snapshots go. `time_of` tells when a snapshot was committed; `None` for one that is gone.
///
/// A snapshot is as old as its successor: until then it was the newest. The first one that is young ends the choice, so
/// the times of committers whose clocks disagree do no harm: what is behind a young one stays.
pub(super) fn snapshots(
    retention: &Retention,
    standing: &Standing,
    time_of: impl Fn(SnapshotId) -> Option<i64>,
) -> Choice {
    let limits = &retention.snapshots;
    let held = !(retention.consumer_changelog_only && retention.decoupled());
    let (highest, stop) = bound(standing, limits.least, held);
    let forced = standing.latest.saturating_sub(limits.most).saturating_add(1);
    let old = standing.now_millis.saturating_sub(millis(limits.time));
    let guarded = standing.now_millis.saturating_sub(millis(retention.guarded));
    for id in standing.first..highest {
        let Some(followed) = time_of(id.saturating_add(1)) else { continue };
        if followed > guarded {
            return Choice { end: id, stop: Stop::Guarded };
        }
        if id >= forced && followed >= old {
            return Choice { end: id, stop: Stop::Time };
        }
    }
    Choice { end: highest.max(standing.first), stop }
}

/// Which changelogs go; `newest` is the newest one there is. It stays, so that a follower finds where changelogs end,
/// unless they no longer outlive their snapshots.
pub(super) fn changelogs(
    retention: &Retention,
    standing: &Standing,
    newest: SnapshotId,
    time_of: impl Fn(SnapshotId) -> Option<i64>,
) -> Choice {
    let limits = &retention.changelogs;
    let (highest, stop) = bound(standing, limits.least, true);
    let last = if retention.decoupled() { newest } else { newest.saturating_add(1) };
    let (highest, stop) = if last < highest { (last, Stop::Least(1)) } else { (highest, stop) };
    let forced = standing.latest.saturating_sub(limits.most).saturating_add(1);
    let old = standing.now_millis.saturating_sub(millis(limits.time));
    for id in standing.first.max(forced)..highest {
        if time_of(id).is_some_and(|time| time >= old) {
            return Choice { end: id, stop: Stop::Time };
        }
    }
    Choice { end: highest.max(standing.first), stop }
}
