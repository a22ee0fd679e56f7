//! Which snapshots go, and which files: tables of cases. That a run is safe everywhere is shown in `tests/trust/expiry.rs`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::choose::{self, Choice, Standing, Stop};
use super::files::{GoingFiles, Leavers};
use super::retention::Retention;
use crate::format::{BinaryRow, FileKind, FileSource, ManifestEntry, Snapshot, data_file};
use crate::schema::{RetentionLimits, Schema, TableOptions};
use crate::types::DataType;

/// A snapshot of a number, for cases that look at numbers only.
pub fn snapshot(id: i64) -> Snapshot {
    let text = format!(
        r#"{{"version":3,"id":{id},"schemaId":0,"baseManifestList":"base-{id}","deltaManifestList":"delta-{id}",
            "commitUser":"u","commitIdentifier":{id},"commitKind":"APPEND","timeMillis":{id}}}"#
    );
    Snapshot::decode(text.as_bytes(), "s").unwrap()
}

fn limits(least: i64, most: i64, millis: u64) -> RetentionLimits {
    RetentionLimits { least, most, time: Duration::from_millis(millis) }
}

fn retention(snapshots: RetentionLimits, changelogs: RetentionLimits) -> Retention {
    Retention {
        snapshots,
        changelogs,
        at_once: 50,
        consumer_changelog_only: false,
        consumers: None,
        guarded: snapshots.time / 4,
        clean_empty_directories: false,
        tags_expire: true,
    }
}

/// Snapshots 5 to 20, one every 100 ms, the newest at 2000; it is 2000.
fn standing(hold: Option<i64>, limit: i64) -> Standing {
    Standing { first: 5, latest: 20, hold: hold.map(|next| ("me".to_string(), next)), now_millis: 2000, limit }
}

fn chosen(retention: &Retention, standing: &Standing) -> Choice {
    choose::snapshots(retention, standing, |id| Some(id * 100))
}

#[test]
fn the_limits_of_snapshots_meet_as_they_do_in_paimon() {
    let me = || Stop::Consumer("me".to_string());
    let many = i64::MAX;
    // fewest, most, time; consumer, limit; the first that stays and why
    let cases = [
        // A snapshot is as old as its successor: 14 was replaced at 1500, exactly 500 ago, and stays.
        (limits(1, many, 500), None, 50, 14, Stop::Time),
        (limits(10, many, 500), None, 50, 11, Stop::Least(10)),
        (limits(1, many, 500), Some(9), 50, 9, me()),
        (limits(1, many, 500), Some(3), 50, 5, me()),
        (limits(1, many, 500), Some(30), 50, 14, Stop::Time),
        (limits(1, many, 500), None, 4, 9, Stop::Limit),
        // Beyond the most that stay age does not count, but what a commit may rest on stays.
        (limits(1, 12, 100_000), None, 50, 5, Stop::Guarded),
        (limits(1, 12, 4000), None, 50, 9, Stop::Time),
        (limits(1, 2, 2000), None, 50, 15, Stop::Guarded),
        (limits(1, 2, 4), None, 50, 19, Stop::Guarded),
        (limits(1, 3, 4), None, 2, 7, Stop::Limit),
        (limits(1, many, 0), None, 50, 19, Stop::Time),
        (limits(16, 16, 0), None, 50, 5, Stop::Least(16)),
        (limits(100, many, 0), None, 50, 5, Stop::Least(100)),
    ];
    for (at, (limits, hold, limit, end, stop)) in cases.into_iter().enumerate() {
        let choice = chosen(&retention(limits, limits), &standing(hold, limit));
        assert_eq!(choice, Choice { end, stop }, "case {at}: {limits:?}, consumer at {hold:?}, {limit} at most");
    }
}

#[test]
fn a_consumer_of_changelogs_holds_no_snapshot_back_where_these_outlive_snapshots() {
    let (few, more) = (limits(1, 100, 500), limits(1, 200, 500));
    let only = |changelogs| Retention { consumer_changelog_only: true, ..retention(few, changelogs) };
    assert_eq!(chosen(&only(more), &standing(Some(7), 50)).end, 14);
    assert_eq!(chosen(&only(few), &standing(Some(7), 50)).end, 7);
    let choice = choose::changelogs(&only(more), &standing(Some(7), 50), 12, |id| Some(id * 100));
    assert_eq!(choice.end, 7);
}

#[test]
fn clocks_that_disagree_end_the_choice_at_the_first_young_snapshot() {
    let retention = retention(limits(1, i64::MAX, 500), limits(1, i64::MAX, 500));
    // Snapshot 8 was made by a clock that runs ahead; what is behind it looks old and stays.
    let ahead = choose::snapshots(&retention, &standing(None, 50), |id| Some(if id == 8 { 9_000_000 } else { id }));
    assert_eq!(ahead, Choice { end: 7, stop: Stop::Guarded });
    // Clocks that run behind make nothing young that is behind a young one.
    let behind = choose::snapshots(&retention, &standing(None, 50), |id| Some(if id == 9 { 1_900 } else { 0 }));
    assert_eq!(behind, Choice { end: 8, stop: Stop::Guarded });
    // A time that does not fit wraps nowhere.
    let broken = Standing { now_millis: i64::MIN, ..standing(None, 50) };
    assert_eq!(choose::snapshots(&retention, &broken, |_| Some(i64::MAX)).end, 5);
    let broken = Standing { first: i64::MAX - 1, latest: i64::MAX, ..standing(None, i64::MAX) };
    assert!(choose::snapshots(&retention, &broken, |_| Some(0)).end >= i64::MAX - 1);
}

#[test]
fn the_newest_changelog_stays_as_long_as_changelogs_outlive_snapshots() {
    let few = limits(1, 3, 0);
    let all = |changelogs, newest| {
        choose::changelogs(&retention(few, changelogs), &standing(None, 50), newest, |id| Some(id * 100)).end
    };
    assert_eq!(all(limits(2, 3, 0), 12), 12);
    assert_eq!(all(few, 12), 13);
    assert_eq!(all(limits(1, 10, 1_000_000), 12), 11);
    assert_eq!(all(limits(14, 14, 0), 12), 7);
    // By its own time, and not its successor's.
    assert_eq!(all(limits(1, i64::MAX, 1200), 12), 8);
}

#[test]
fn limits_that_cross_are_refused() {
    for (least, most) in [(0, 5), (6, 5), (-1, 1)] {
        let wrong = limits(least, most, 0);
        assert!(retention(wrong, limits(1, 5, 0)).check().is_err());
        assert!(retention(limits(1, 5, 0), wrong).check().is_err());
    }
    assert!(retention(limits(5, 5, 0), limits(1, 5, 0)).check().is_ok());
}

fn entry(kind: FileKind, name: &str, level: i32, source: FileSource) -> Arc<ManifestEntry> {
    let mut file = data_file(name, 10);
    (file.level, file.file_source) = (level, Some(source));
    Arc::new(ManifestEntry { kind, partition: BinaryRow::empty(), bucket: 0, total_buckets: 1, file: Arc::new(file) })
}

/// The files of one delta that go, by name.
fn going(entries: &[Arc<ManifestEntry>], which: Leavers, kept: &[&str]) -> Vec<String> {
    let schema = Schema::builder().column("id", DataType::BIGINT.not_null()).primary_key(["id"]).option("bucket", "1");
    let schema = schema.build().unwrap();
    let options = TableOptions::parse(&schema).unwrap();
    let kept: HashSet<String> = kept.iter().map(ToString::to_string).collect();
    let mut files = GoingFiles::new(&schema, &options, &kept, &|_: &str| true);
    files.left(entries, 7, which).unwrap();
    files.into_files().into_iter().map(|file| file.path).collect()
}

#[test]
fn a_file_that_only_moves_stays_and_one_that_leaves_goes() {
    use FileKind::{Add, Delete};
    use FileSource::{Append, Compact};
    let moved = [entry(Delete, "a", 0, Append), entry(Add, "a", 5, Append), entry(Delete, "b", 0, Append)];
    assert_eq!(going(&moved, Leavers::All, &[]), ["bucket-0/b"]);
    // The other way round it came and left.
    let left = [entry(Add, "a", 0, Append), entry(Delete, "a", 0, Append)];
    assert_eq!(going(&left, Leavers::All, &[]), ["bucket-0/a"]);
    let both = [entry(Delete, "a", 0, Append), entry(Delete, "c", 5, Compact)];
    assert_eq!(going(&both, Leavers::Compacted, &[]), ["bucket-0/c"]);
    assert_eq!(going(&both, Leavers::Flushed, &[]), ["bucket-0/a"]);
    assert_eq!(going(&both, Leavers::All, &["a"]), ["bucket-0/c"]);
}

#[test]
fn side_files_go_with_their_file_and_files_elsewhere_where_it_is_allowed() {
    let schema = Schema::builder().column("id", DataType::BIGINT.not_null()).primary_key(["id"]).option("bucket", "1");
    let schema = schema.build().unwrap();
    let options = TableOptions::parse(&schema).unwrap();
    let kept = HashSet::new();
    let reaches = |path: &str| !path.contains("://") || path.starts_with("s3://ours/");
    let mut files = GoingFiles::new(&schema, &options, &kept, &reaches);
    let mut with_index = data_file("a", 10);
    with_index.extra_files = vec!["a.index".to_string()];
    let mut elsewhere = data_file("b", 10);
    elsewhere.external_path = Some("s3://other/b".to_string());
    let mut ours = data_file("c", 10);
    ours.external_path = Some("s3://ours/x/c".to_string());
    ours.extra_files = vec!["c.index".to_string()];
    let mut climbing = data_file("../../etc/passwd", 10);
    climbing.row_count = 1;
    let entry = |file| {
        let kind = FileKind::Delete;
        vec![Arc::new(ManifestEntry {
            kind,
            partition: BinaryRow::empty(),
            bucket: 0,
            total_buckets: 1,
            file: Arc::new(file),
        })]
    };
    files.left(&entry(with_index), 3, Leavers::All).unwrap();
    files.left(&entry(elsewhere), 3, Leavers::All).unwrap();
    files.left(&entry(ours), 3, Leavers::All).unwrap();
    assert!(files.left(&entry(climbing), 3, Leavers::All).is_err());
    assert_eq!(files.outside, 1);
    let going = files.into_files();
    let paths: Vec<_> = going.iter().map(|file| (file.path.as_str(), file.last)).collect();
    let wanted = ["bucket-0/a", "bucket-0/a.index", "s3://ours/x/c", "s3://ours/x/c.index"];
    assert_eq!(paths, wanted.map(|path| (path, 3)));
}
