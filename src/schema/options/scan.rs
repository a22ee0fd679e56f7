//! The options that tell where in a table's history a read stands.
//! Spec: `format-spec/read.md`, points of history.

use super::reader::{Reader, Words, count};
use crate::error::{Error, Result};

/// Where a read stands, or a stream begins (`scan.mode` and the options that go with it).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ScanPoint {
    /// The newest snapshot; a stream shows its rows, then the changes after it.
    #[default]
    LatestFull,
    /// The newest snapshot; a stream shows the changes after it only.
    Latest,
    /// What the newest snapshot brought.
    LatestDelta,
    /// The newest snapshot that a compaction made.
    CompactedFull,
    /// A time, in milliseconds since the epoch.
    Timestamp(i64),
    /// A time of the local clock, in milliseconds as if it were UTC.
    LocalTimestamp(i64),
    /// A time (milliseconds since the epoch), and where no snapshot is that old, the files made since.
    CreationTimestamp(i64),
    /// The newest snapshot's files that were made since (milliseconds since the epoch).
    FileCreationTime(i64),
    /// A snapshot; a stream begins with its changes.
    Snapshot(i64),
    /// A snapshot; a stream begins with its rows.
    SnapshotFull(i64),
    /// A tag.
    Tag(String),
    /// The first snapshot that is complete up to a watermark.
    Watermark(i64),
    /// A tag, else `watermark-<n>`, else a snapshot.
    Version(String),
    /// The changes between two points.
    Incremental(BetweenPoints),
}

/// The two ends of an incremental read. The first is exclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BetweenPoints {
    /// Snapshots or tags (`incremental-between`).
    Versions(String, String),
    /// Milliseconds since the epoch (`incremental-between-timestamp`).
    Times(i64, i64),
    /// The same by the local clock, as if it were UTC.
    LocalTimes(i64, i64),
}

/// Which changes an incremental read shows (`incremental-between-scan-mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BetweenMode {
    /// The difference of two tags; between snapshots or times `Delta` without a changelog producer, else `Changelog`.
    #[default]
    Auto,
    /// The rows that were written, as they came.
    Delta,
    /// The changelog.
    Changelog,
    /// The rows that differ.
    Diff,
}

/// Where reads and streams stand unless a call says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScanOptions {
    /// The point.
    pub point: ScanPoint,
    /// Which changes an incremental read shows.
    pub between_mode: BetweenMode,
    /// Two tags of an incremental read mean their snapshots.
    pub between_tag_to_snapshot: bool,
    /// A stream ends before the snapshot whose watermark lies above this.
    pub bounded_watermark: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Default,
    LatestFull,
    Latest,
    LatestDelta,
    CompactedFull,
    Timestamp,
    CreationTimestamp,
    FileCreationTime,
    Snapshot,
    SnapshotFull,
    Incremental,
}

const MODES: Words<Mode> = &[
    ("default", Mode::Default),
    ("latest-full", Mode::LatestFull),
    ("full", Mode::LatestFull),
    ("latest", Mode::Latest),
    ("latest-delta", Mode::LatestDelta),
    ("compacted-full", Mode::CompactedFull),
    ("from-timestamp", Mode::Timestamp),
    ("from-creation-timestamp", Mode::CreationTimestamp),
    ("from-file-creation-time", Mode::FileCreationTime),
    ("from-snapshot", Mode::Snapshot),
    ("from-snapshot-full", Mode::SnapshotFull),
    ("incremental", Mode::Incremental),
];

const BETWEEN_MODES: Words<BetweenMode> = &[
    ("auto", BetweenMode::Auto),
    ("delta", BetweenMode::Delta),
    ("changelog", BetweenMode::Changelog),
    ("diff", BetweenMode::Diff),
];

/// The options that name a point. One may be set, and `scan.mode` must fit it.
const POINTS: [&str; 10] = [
    "scan.timestamp",
    "scan.timestamp-millis",
    "scan.snapshot-id",
    "scan.tag-name",
    "scan.watermark",
    "scan.version",
    "scan.file-creation-time-millis",
    "scan.creation-time-millis",
    "incremental-between",
    "incremental-between-timestamp",
];

impl ScanOptions {
    pub(super) fn read(read: &Reader<'_>) -> Result<Self> {
        Ok(Self {
            point: point(read)?,
            between_mode: read.word("incremental-between-scan-mode", BETWEEN_MODES)?,
            between_tag_to_snapshot: read.boolean("incremental-between-tag-to-snapshot")?,
            bounded_watermark: read.optional("scan.bounded.watermark", count)?,
        })
    }
}

fn point(read: &Reader<'_>) -> Result<ScanPoint> {
    let mode = read.word("scan.mode", MODES)?;
    let set: Vec<&str> = POINTS.into_iter().filter(|name| read.text(name).is_some()).collect();
    if set.len() > 1 {
        return Err(Error::invalid(format!("options {} contradict each other: set one of them", set.join(", "))));
    }
    let Some(name) = set.first().copied() else { return of_mode(mode) };
    let named = match name {
        "scan.timestamp" => ScanPoint::LocalTimestamp(read.optional(name, local_time)?.unwrap_or_default()),
        "scan.tag-name" => ScanPoint::Tag(read.string(name)),
        "scan.version" => ScanPoint::Version(read.string(name)),
        "incremental-between" => {
            let ends = read.optional(name, two)?.unwrap_or_default();
            ScanPoint::Incremental(BetweenPoints::Versions(ends.0, ends.1))
        }
        "incremental-between-timestamp" => ScanPoint::Incremental(
            read.optional(name, two_times)?.ok_or_else(|| Error::bug("an option that is set has a value"))?,
        ),
        _ => {
            let number = read.optional(name, count)?.unwrap_or_default();
            match name {
                "scan.timestamp-millis" => ScanPoint::Timestamp(number),
                "scan.watermark" => ScanPoint::Watermark(number),
                "scan.file-creation-time-millis" => ScanPoint::FileCreationTime(number),
                "scan.creation-time-millis" => ScanPoint::CreationTimestamp(number),
                _ if mode == Mode::SnapshotFull => ScanPoint::SnapshotFull(number),
                _ => ScanPoint::Snapshot(number),
            }
        }
    };
    let fits = match &named {
        ScanPoint::Timestamp(_) | ScanPoint::LocalTimestamp(_) => mode == Mode::Timestamp,
        ScanPoint::CreationTimestamp(_) => mode == Mode::CreationTimestamp,
        ScanPoint::FileCreationTime(_) => mode == Mode::FileCreationTime,
        ScanPoint::SnapshotFull(_) => true,
        ScanPoint::Incremental(_) => mode == Mode::Incremental,
        _ => mode == Mode::Snapshot,
    };
    match fits || mode == Mode::Default {
        true => Ok(named),
        false => {
            Err(Error::invalid(format!("option {name} does not go with scan.mode = {:?}", read.string("scan.mode"))))
        }
    }
}

fn of_mode(mode: Mode) -> Result<ScanPoint> {
    let lacks = |what: &str| Err(Error::invalid(format!("option scan.mode needs {what}")));
    match mode {
        Mode::Default | Mode::LatestFull => Ok(ScanPoint::LatestFull),
        Mode::Latest => Ok(ScanPoint::Latest),
        Mode::LatestDelta => Ok(ScanPoint::LatestDelta),
        Mode::CompactedFull => Ok(ScanPoint::CompactedFull),
        Mode::Timestamp => lacks("scan.timestamp or scan.timestamp-millis"),
        Mode::CreationTimestamp => lacks("scan.creation-time-millis"),
        Mode::FileCreationTime => lacks("scan.file-creation-time-millis"),
        Mode::Snapshot => lacks("scan.snapshot-id, scan.tag-name, scan.watermark or scan.version"),
        Mode::SnapshotFull => lacks("scan.snapshot-id"),
        Mode::Incremental => lacks("incremental-between or incremental-between-timestamp"),
    }
}

fn two(text: &str) -> Result<(String, String)> {
    match text.split(',').collect::<Vec<_>>().as_slice() {
        [start, end] if !start.trim().is_empty() && !end.trim().is_empty() => {
            Ok((start.trim().to_string(), end.trim().to_string()))
        }
        _ => Err(Error::invalid(format!("{text:?} is no start and end with a comma between them"))),
    }
}

fn two_times(text: &str) -> Result<BetweenPoints> {
    let (start, end) = two(text)?;
    match (start.parse(), end.parse()) {
        (Ok(start), Ok(end)) => Ok(BetweenPoints::Times(start, end)),
        _ => Ok(BetweenPoints::LocalTimes(local_time(&start)?, local_time(&end)?)),
    }
}

/// A time without zone, in milliseconds as if it were UTC.
fn local_time(text: &str) -> Result<i64> {
    let time = text.trim().parse::<jiff::civil::DateTime>();
    let time = time.ok().and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC).ok());
    time.map(|time| time.timestamp().as_millisecond())
        .ok_or_else(|| Error::invalid(format!("{text:?} is no time like 2024-01-31 12:00:00")))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn read(options: &[(&str, &str)]) -> Result<ScanOptions> {
        let options: BTreeMap<String, String> =
            options.iter().map(|(name, value)| ((*name).to_string(), (*value).to_string())).collect();
        ScanOptions::read(&Reader { options: &options })
    }

    #[test]
    fn a_point_is_told_by_its_option_with_the_mode_or_without() {
        let tag = || ScanPoint::Tag("a".to_string());
        let versions = |a: &str, b: &str| ScanPoint::Incremental(BetweenPoints::Versions(a.to_string(), b.to_string()));
        for (options, wanted) in [
            (vec![], ScanPoint::LatestFull),
            (vec![("scan.mode", "FULL")], ScanPoint::LatestFull),
            (vec![("scan.mode", "latest")], ScanPoint::Latest),
            (vec![("scan.mode", "compacted-full")], ScanPoint::CompactedFull),
            (vec![("scan.snapshot-id", "3")], ScanPoint::Snapshot(3)),
            (vec![("scan.snapshot-id", "3"), ("scan.mode", "from-snapshot")], ScanPoint::Snapshot(3)),
            (vec![("scan.snapshot-id", "3"), ("scan.mode", "from-snapshot-full")], ScanPoint::SnapshotFull(3)),
            (vec![("scan.tag-name", "a")], tag()),
            (vec![("scan.tag-name", "a"), ("scan.mode", "from-snapshot")], tag()),
            (vec![("scan.version", "watermark-5")], ScanPoint::Version("watermark-5".to_string())),
            (vec![("scan.watermark", "-5")], ScanPoint::Watermark(-5)),
            (vec![("scan.timestamp-millis", "7")], ScanPoint::Timestamp(7)),
            (vec![("log.scan.timestamp-millis", "7"), ("log.scan", "from-timestamp")], ScanPoint::Timestamp(7)),
            (vec![("scan.timestamp", "1970-01-02 00:00:00.5")], ScanPoint::LocalTimestamp(86_400_500)),
            (vec![("scan.file-creation-time-millis", "7")], ScanPoint::FileCreationTime(7)),
            (vec![("scan.creation-time-millis", "7")], ScanPoint::CreationTimestamp(7)),
            (vec![("incremental-between", "1, b")], versions("1", "b")),
            (
                vec![("incremental-between-timestamp", "1,2"), ("scan.mode", "incremental")],
                ScanPoint::Incremental(BetweenPoints::Times(1, 2)),
            ),
            (
                vec![("incremental-between-timestamp", "1970-01-01 00:00:01,1970-01-01T00:00:02")],
                ScanPoint::Incremental(BetweenPoints::LocalTimes(1000, 2000)),
            ),
        ] {
            assert_eq!(read(&options).unwrap().point, wanted, "{options:?}");
        }
    }

    #[test]
    fn options_that_contradict_each_other_are_invalid() {
        for options in [
            vec![("scan.snapshot-id", "3"), ("scan.tag-name", "a")],
            vec![("scan.snapshot-id", "3"), ("scan.mode", "latest")],
            vec![("scan.timestamp-millis", "3"), ("scan.mode", "from-snapshot")],
            vec![("scan.mode", "from-snapshot")],
            vec![("scan.mode", "from-timestamp")],
            vec![("scan.mode", "incremental")],
            vec![("scan.timestamp", "yesterday")],
            vec![("incremental-between", "1")],
            vec![("incremental-between", "1,2,3")],
            vec![("incremental-between-timestamp", "1,x")],
        ] {
            assert!(matches!(read(&options), Err(Error::Invalid(_))), "{options:?}");
        }
    }
}
