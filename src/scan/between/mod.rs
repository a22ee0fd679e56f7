//! Incremental reads: the changes between two points of a table's history.
//!
//! - **delta** and **changelog** read what each snapshot behind the first point brought, up to the last one;
//! - **diff** compares the two states. Keys whose files are the same on both sides are left out before anything is read;
//!   of tables without a key the rows of files that only the later state has are told.
//!
//! Spec: `format-spec/read.md`, incremental reads.

mod states;

use std::sync::Arc;

use futures::future::try_join;

use super::plan::{PlanRules, plan_changes};
use super::prune::Pruner;
use super::vectors::Vectors;
use crate::error::{Error, Result};
use crate::format::{CommitKind, FileKind, Snapshot, SnapshotId, Split};
use crate::history::History;
use crate::predicate::Expr;
use crate::schema::{BetweenMode, BetweenPoints, ChangelogProducer, ScanPoint, Schema, TableOptions, Use};

/// Two points of a table's history. The first is exclusive: what it holds is known already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Between {
    /// Two snapshots. The first may be the one before the oldest that is kept.
    Snapshots(SnapshotId, SnapshotId),
    /// Two tags, whose snapshots may have expired.
    Tags(String, String),
    /// Two times, in milliseconds since the epoch: the newest snapshots that are not younger.
    Timestamps(i64, i64),
    /// Two tags, or two snapshots' numbers where these are no tags.
    Versions(String, String),
    /// The snapshot before the newest one, and that one: what it added, whatever the mode.
    Newest,
}

/// A part of an incremental read.
#[derive(Debug, Clone)]
pub enum BetweenPart {
    /// Changes of one bucket as they came: of one snapshot, or rows that one of two states alone has.
    Changes(Split),
    /// Two states of some keys of one bucket: earlier files, if there are any, and later ones.
    Diff(Option<Split>, Split),
}

/// What an incremental read reads.
#[derive(Debug, Clone)]
pub struct BetweenPlan {
    /// The schema rows come out in.
    pub schema: Arc<Schema>,
    /// The filter with its literals as values of that schema's types.
    pub filter: Option<Expr>,
    /// The parts; changes of older snapshots come first.
    pub parts: Vec<BetweenPart>,
}

impl Between {
    /// What a table's options ask for, if they ask for changes.
    pub(crate) fn of_options(options: &TableOptions, local: impl Fn(i64) -> i64) -> Option<Self> {
        match &options.scan.point {
            ScanPoint::LatestDelta => Some(Self::Newest),
            ScanPoint::Incremental(BetweenPoints::Versions(start, end)) => {
                Some(Self::Versions(start.clone(), end.clone()))
            }
            ScanPoint::Incremental(BetweenPoints::Times(start, end)) => Some(Self::Timestamps(*start, *end)),
            ScanPoint::Incremental(BetweenPoints::LocalTimes(start, end)) => {
                Some(Self::Timestamps(local(*start), local(*end)))
            }
            _ => None,
        }
    }
}

/// The two points, found.
enum Range {
    Nothing,
    /// Snapshots whose changes are read: from one on, up to another.
    Changes(SnapshotId, SnapshotId),
    /// States that are compared; the first may be that of a table without rows.
    States(Box<(Option<Snapshot>, Snapshot)>),
}

/// Plans an incremental read. `mode` is what the call says; without it the table's options decide.
///
/// # Errors
/// [`Error::NotFound`] for a point that is not there (any more); [`Error::Invalid`] for ends in the wrong order, texts that
/// are neither tags nor snapshots, a filter that does not fit, and buckets that were rescaled between the two states;
/// [`Error::Unsupported`] for features this version cannot read.
pub async fn plan_between(
    history: &History,
    schema: &Arc<Schema>,
    between: &Between,
    mode: Option<BetweenMode>,
    filter: Option<&Expr>,
) -> Result<BetweenPlan> {
    let options = TableOptions::checked(schema, Use::Read)?;
    let filter = filter.map(|filter| filter.bind(schema)).transpose()?;
    let rules = PlanRules::new(schema, &options)?;
    let pruner = Pruner::new(schema, &options, filter.as_ref())?;
    let planner = Planner { history, schema, rules, pruner, auto: auto(&options) };
    let tags_are_states = mode.is_none() && !options.scan.between_tag_to_snapshot;
    let mode = match between {
        Between::Newest => BetweenMode::Delta,
        _ => mode.unwrap_or(options.scan.between_mode),
    };
    let parts = match planner.range(between, mode, tags_are_states).await? {
        Range::Nothing => Vec::new(),
        Range::Changes(first, last) => planner.changes(first, last, mode).await?,
        Range::States(states) => planner.diff(states.0.as_ref(), &states.1).await?,
    };
    Ok(BetweenPlan { schema: Arc::clone(schema), filter, parts })
}

/// The mode of tables that leave the choice.
fn auto(options: &TableOptions) -> BetweenMode {
    match options.changelog_producer {
        ChangelogProducer::None => BetweenMode::Delta,
        _ => BetweenMode::Changelog,
    }
}

struct Planner<'a> {
    history: &'a History,
    schema: &'a Schema,
    rules: PlanRules,
    pruner: Pruner,
    auto: BetweenMode,
}

impl Planner<'_> {
    async fn range(&self, between: &Between, mode: BetweenMode, tags_are_states: bool) -> Result<Range> {
        match between {
            Between::Snapshots(start, end) => self.of_snapshots(*start, *end, mode).await,
            Between::Tags(start, end) => {
                let (start, end) = try_join(self.history.tags.load(start), self.history.tags.load(end)).await?;
                self.of_tags(start.snapshot, end.snapshot, mode, tags_are_states).await
            }
            Between::Versions(start, end) => {
                let tag = |name| async move {
                    match self.history.tags.try_load(name).await {
                        Err(Error::Invalid(_)) => Ok(None),
                        other => other,
                    }
                };
                let tags = try_join(tag(start), tag(end)).await?;
                if let (Some(start), Some(end)) = tags {
                    return self.of_tags(start.snapshot, end.snapshot, mode, tags_are_states).await;
                }
                match (start.parse(), end.parse()) {
                    (Ok(start), Ok(end)) => self.of_snapshots(start, end, mode).await,
                    _ => Err(Error::invalid(format!(
                        "{start:?} and {end:?} are neither two tags nor the numbers of two snapshots"
                    ))),
                }
            }
            Between::Timestamps(start, end) => self.of_times(*start, *end, mode).await,
            Between::Newest => match self.history.snapshots.latest_id().await? {
                Some(latest) => Ok(Range::Changes(latest, latest)),
                None => Ok(Range::Nothing),
            },
        }
    }

    async fn of_tags(&self, start: Snapshot, end: Snapshot, mode: BetweenMode, are_states: bool) -> Result<Range> {
        in_order(start.id, end.id)?;
        if start.id == end.id {
            return Ok(Range::Nothing);
        }
        match are_states || matches!(mode, BetweenMode::Diff) {
            true => Ok(Range::States(Box::new((Some(start), end)))),
            false => self.of_snapshots(start.id, end.id, mode).await,
        }
    }

    async fn of_snapshots(&self, start: SnapshotId, end: SnapshotId, mode: BetweenMode) -> Result<Range> {
        in_order(start, end)?;
        let snapshots = &self.history.snapshots;
        let Some(kept) = snapshots.range().await? else { return Ok(Range::Nothing) };
        if start == end {
            return Ok(Range::Nothing);
        }
        if mode == BetweenMode::Diff {
            let (start, end) = try_join(snapshots.load(start), snapshots.load(end)).await?;
            return Ok(Range::States(Box::new((Some(start), end))));
        }
        if start < kept.start() - 1 || end > *kept.end() {
            return Err(Error::not_found(format!(
                "the changes after snapshot {start} up to snapshot {end}: those of snapshots {} to {} are kept",
                kept.start(),
                kept.end()
            )));
        }
        Ok(Range::Changes(start + 1, end))
    }

    async fn of_times(&self, start: i64, end: i64, mode: BetweenMode) -> Result<Range> {
        in_order(start, end)?;
        let snapshots = &self.history.snapshots;
        let Some(kept) = snapshots.range().await? else { return Ok(Range::Nothing) };
        let (oldest, newest) = try_join(snapshots.load(*kept.start()), snapshots.load(*kept.end())).await?;
        if start == end || start > newest.time_millis || end < oldest.time_millis {
            return Ok(Range::Nothing);
        }
        let (start, end) = try_join(snapshots.at_time(start), snapshots.at_time(end)).await?;
        let end = end.unwrap_or(newest);
        if mode == BetweenMode::Diff {
            // Before the first snapshot of all the table had no rows; before the oldest one that is kept nobody knows.
            let start = start.or_else(|| (oldest.id > 1).then_some(oldest));
            return Ok(Range::States(Box::new((start, end))));
        }
        let first = start.map_or(oldest.id, |start| start.id + 1);
        Ok(if first > end.id { Range::Nothing } else { Range::Changes(first, end.id) })
    }

    /// What each snapshot brought. Overwrites are passed over, as streams do unless told otherwise.
    async fn changes(&self, first: SnapshotId, last: SnapshotId, mode: BetweenMode) -> Result<Vec<BetweenPart>> {
        let mode = if mode == BetweenMode::Auto { self.auto } else { mode };
        let (manifests, filter) = (&self.history.manifests, self.pruner.file_filter(i32::MIN..=i32::MAX));
        let mut parts = Vec::new();
        for id in first..=last {
            let snapshot = self.history.snapshots.load(id).await?;
            let entries = match (mode, snapshot.commit_kind) {
                (BetweenMode::Changelog, CommitKind::Overwrite) => continue,
                (BetweenMode::Changelog, _) => manifests.changelog_files(&snapshot, &filter).await,
                (_, CommitKind::Append) => manifests.delta_files(&snapshot, &filter).await,
                _ => continue,
            };
            let entries = match entries {
                Ok(entries) => entries,
                Err(error) => return Err(self.history.snapshots.explain(id, true, error).await),
            };
            if entries.iter().any(|entry| entry.kind != FileKind::Add) {
                let what = "a snapshot that appends takes files away: its changes are more than rows that came";
                return Err(Error::corrupt(format!("snapshot-{id}"), what));
            }
            let splits = plan_changes(&self.rules, id, &entries, &Vectors::default());
            parts.extend(splits.into_iter().map(BetweenPart::Changes));
        }
        Ok(parts)
    }
}

fn in_order<T: PartialOrd + std::fmt::Display>(start: T, end: T) -> Result<()> {
    match start <= end {
        true => Ok(()),
        false => Err(Error::invalid(format!("the end {end} lies before the start {start}"))),
    }
}
