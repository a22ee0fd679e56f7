//! The point of a table's history that a batch read shows.
//! Spec: `format-spec/read.md`, points of history.

use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::{CommitKind, Snapshot, SnapshotId};
use crate::history::History;
use crate::schema::{ScanPoint, Schema, TableOptions};

/// The point of a table's history that a batch read shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum At {
    /// The newest snapshot.
    #[default]
    Latest,
    /// This snapshot.
    Snapshot(SnapshotId),
    /// The newest snapshot that is not younger than this, in milliseconds since the epoch.
    Timestamp(i64),
    /// The snapshot that a tag keeps, which may have expired.
    Tag(String),
    /// The first snapshot whose watermark is not below this, in milliseconds since the epoch.
    Watermark(i64),
    /// The tag of this name; where there is none, the watermark of `watermark-<n>`, or the snapshot of a number.
    Version(String),
    /// The newest snapshot that a compaction made; where there is none, the newest.
    Compacted,
    /// Of the newest snapshot the files that were made since, in milliseconds since the epoch. A row that was changed since
    /// may be shown without what was known of it before.
    FilesSince(i64),
    /// The first snapshot that is not older than this, in milliseconds since the epoch; where it expired, or is not there
    /// yet, as [`At::FilesSince`].
    Since(i64),
}

/// What a point of history is.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub snapshot: Snapshot,
    /// Only files made since are shown.
    pub files_since: Option<i64>,
    /// Rows come out in the snapshot's own columns.
    pub looks_back: bool,
}

const WATERMARK_PREFIX: &str = "watermark-";

impl At {
    /// What the options of a table say of batch reads.
    ///
    /// # Errors
    /// [`Error::Invalid`] where they ask for changes instead of rows.
    pub(crate) fn of_options(options: &TableOptions, env: &Env) -> Result<Self> {
        Ok(match &options.scan.point {
            ScanPoint::LatestFull | ScanPoint::Latest => Self::Latest,
            ScanPoint::CompactedFull => Self::Compacted,
            ScanPoint::Timestamp(millis) => Self::Timestamp(*millis),
            ScanPoint::LocalTimestamp(local) => Self::Timestamp(env.instant_of_local(*local)),
            ScanPoint::CreationTimestamp(millis) => Self::Since(*millis),
            ScanPoint::FileCreationTime(millis) => Self::FilesSince(*millis),
            ScanPoint::Snapshot(id) | ScanPoint::SnapshotFull(id) => Self::Snapshot(*id),
            ScanPoint::Tag(name) => Self::Tag(name.clone()),
            ScanPoint::Watermark(watermark) => Self::Watermark(*watermark),
            ScanPoint::Version(text) => Self::Version(text.clone()),
            ScanPoint::LatestDelta | ScanPoint::Incremental(_) => {
                let what = "the table's options (incremental-between, scan.mode) ask for changes: read them with \
                            Table::incremental";
                return Err(Error::invalid(what));
            }
        })
    }

    /// The snapshot; `None` for a table that has none and a read of the newest.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the snapshot is not there (any more), or none is old enough; [`Error::Invalid`] for a tag
    /// that is no name.
    pub(crate) async fn find(&self, history: &History, options: &TableOptions) -> Result<Option<Found>> {
        let snapshots = &history.snapshots;
        let newest = |snapshot| Found { snapshot, files_since: None, looks_back: false };
        let old = |snapshot| Some(Found { snapshot, files_since: None, looks_back: true });
        Ok(match self {
            Self::Latest => snapshots.latest().await?.map(newest),
            Self::Snapshot(id) => old(snapshots.load(*id).await?),
            Self::Timestamp(millis) => match snapshots.at_time(*millis).await? {
                Some(snapshot) => old(snapshot),
                None => return Err(Error::not_found(format!("a snapshot as old as {}", shown(*millis)))),
            },
            Self::Tag(name) => old(history.tags.load(name).await?.snapshot),
            Self::Watermark(watermark) => old(at_watermark(history, *watermark).await?),
            Self::Version(text) => old(version(history, text).await?),
            Self::Compacted => compacted(history, options).await?.map(newest),
            Self::FilesSince(millis) => {
                snapshots.latest().await?.map(|snapshot| Found { files_since: Some(*millis), ..newest(snapshot) })
            }
            Self::Since(millis) => {
                let first = match snapshots.at_time(millis.saturating_sub(1)).await? {
                    Some(before) => snapshots.try_load(before.id.saturating_add(1)).await?,
                    None => None,
                };
                match first {
                    Some(first) => Some(newest(first)),
                    None => snapshots
                        .latest()
                        .await?
                        .map(|snapshot| Found { files_since: Some(*millis), ..newest(snapshot) }),
                }
            }
        })
    }
}

fn shown(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| format!("{millis} ms since 1970"), |at| at.to_string())
}

async fn at_watermark(history: &History, watermark: i64) -> Result<Snapshot> {
    let found = history.snapshots.at_watermark(watermark).await?;
    found.ok_or_else(|| Error::not_found(format!("a snapshot with watermark {watermark} or a later one")))
}

/// The snapshot of a text: a tag first, whatever it looks like.
async fn version(history: &History, text: &str) -> Result<Snapshot> {
    match history.tags.try_load(text).await {
        Ok(Some(tag)) => return Ok(tag.snapshot),
        // What is no name of a tag may be another version all the same.
        Ok(None) | Err(Error::Invalid(_)) => {}
        Err(error) => return Err(error),
    }
    if let Some(watermark) = text.strip_prefix(WATERMARK_PREFIX).and_then(|text| text.parse().ok()) {
        return at_watermark(history, watermark).await;
    }
    match text.parse::<SnapshotId>() {
        Ok(id) if text.bytes().all(|byte| byte.is_ascii_digit()) => history.snapshots.load(id).await,
        _ => Err(Error::not_found(format!("version {text:?}: there is no such tag, and it is no snapshot"))),
    }
}

/// The newest snapshot that a compaction made: where full compactions come in a rhythm, one of these.
pub(crate) async fn compacted(history: &History, options: &TableOptions) -> Result<Option<Snapshot>> {
    let Some(latest) = history.snapshots.latest().await? else { return Ok(None) };
    let every = options.compaction.full_delta_commits;
    let full = |identifier: i64| every.is_none_or(|every| identifier == i64::MAX || identifier % every == 0);
    let made = |snapshot: &Snapshot| snapshot.commit_kind == CommitKind::Compact && full(snapshot.commit_identifier);
    Ok(Some(match history.snapshots.newest_where(latest.clone(), made).await? {
        Some(found) => found,
        None => latest,
    }))
}

/// The options that say where a handle's reads stand.
///
/// # Errors
/// As [`At::of_options`]; [`Error::Invalid`] for an option whose value is no value of its type.
pub(crate) fn at_or_told(at: Option<&At>, schema: &Schema, env: &Env) -> Result<At> {
    match at {
        Some(at) => Ok(at.clone()),
        None => At::of_options(&TableOptions::parse(schema)?, env),
    }
}
