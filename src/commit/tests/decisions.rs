//! Tables of cases for the pure parts: the next snapshot, contradictions, the place of a snapshot in the chain.

use std::sync::Arc;

use super::support::*;
use crate::commit::changes::{Changes, Committable};
use crate::commit::check::check;
use crate::commit::index::IndexChanges;
use crate::commit::plan::{ListFile, Surroundings, next_snapshot};
use crate::commit::verify::{Place, place};
use crate::format::{CommitKind, FileKind, ManifestEntry, Snapshot};
use crate::types::DataType;

fn entry(kind: FileKind, name: &str, level: i32, from: i64, to: i64) -> ManifestEntry {
    ManifestEntry {
        kind,
        partition: partition(1),
        bucket: 0,
        total_buckets: 2,
        file: file(name, level, from, to).into(),
    }
}

fn add(name: &str, level: i32, from: i64, to: i64) -> ManifestEntry {
    entry(FileKind::Add, name, level, from, to)
}

fn delete(name: &str, level: i32, from: i64, to: i64) -> ManifestEntry {
    entry(FileKind::Delete, name, level, from, to)
}

#[test]
fn contradictions_are_found_and_nothing_else_is() {
    let live = || vec![add("a", 0, 1, 9), add("b", 0, 1, 9), add("c", 5, 1, 9), add("d", 5, 10, 19)];
    let other_bucket = |mut entry: ManifestEntry| {
        entry.bucket = 1;
        entry
    };
    let rescaled = |mut entry: ManifestEntry| {
        entry.total_buckets = 4;
        entry
    };
    let cases: Vec<(&str, Vec<ManifestEntry>, Option<&str>)> = vec![
        ("new file on level 0", vec![add("e", 0, 1, 99)], None),
        ("compaction of live files", vec![delete("a", 0, 1, 9), delete("c", 5, 1, 9), add("e", 5, 1, 9)], None),
        ("upgrade: delete before add", vec![delete("a", 0, 1, 9), add("a", 4, 1, 9)], None),
        ("input already gone", vec![delete("x", 0, 1, 9), add("e", 5, 30, 39)], Some("no longer live")),
        ("input moved to another level", vec![delete("a", 3, 1, 9)], Some("no longer live")),
        ("input in another bucket", vec![other_bucket(delete("a", 0, 1, 9))], Some("no longer live")),
        ("deleted twice", vec![delete("a", 0, 1, 9), delete("a", 0, 1, 9)], Some("no longer live")),
        ("added twice", vec![add("e", 0, 1, 9), add("e", 0, 1, 9)], Some("added by another")),
        ("added though live", vec![add("a", 0, 1, 9)], Some("added by another")),
        ("added and deleted in one", vec![add("e", 0, 1, 9), delete("e", 0, 1, 9)], None),
        ("overlap on a level", vec![add("e", 5, 9, 9)], Some("overlap")),
        ("touching ends overlap", vec![add("e", 5, 19, 25)], Some("overlap")),
        ("next to each other", vec![add("e", 5, 20, 25)], None),
        ("same keys on another level", vec![add("e", 4, 1, 19)], None),
        ("same keys in another bucket", vec![other_bucket(add("e", 5, 1, 19))], None),
        ("other bucket count", vec![rescaled(add("e", 0, 1, 2))], Some("it was rescaled")),
    ];
    for (name, entries, expected) in cases {
        let changes = Changes {
            kind: CommitKind::Compact,
            entries,
            changelog: vec![],
            index: IndexChanges::default(),
            counts_seen: None,
        };
        let live: Vec<_> = live().into_iter().map(Arc::new).collect();
        let found = check(&changes, &live, &[DataType::BIGINT.not_null()]).unwrap();
        match (found, expected) {
            (Ok(()), None) => {}
            (Err(reason), Some(part)) => assert!(reason.contains(part), "{name}: {reason}"),
            (found, expected) => panic!("{name}: {found:?}, not {expected:?}"),
        }
    }
}

#[test]
fn append_tables_have_no_levels_to_check() {
    let changes = Changes {
        kind: CommitKind::Compact,
        entries: vec![add("e", 5, 1, 9)],
        changelog: vec![],
        index: IndexChanges::default(),
        counts_seen: None,
    };
    let live = [Arc::new(add("a", 5, 1, 9))];
    assert_eq!(check(&changes, &live, &[]).unwrap(), Ok(()));
}

fn next(
    base: Option<&Snapshot>,
    changes: &Changes,
    schema_id: i64,
    properties: &crate::commit::CommitProperties,
) -> Snapshot {
    let list = ListFile { name: "manifest-list-1".into(), size: 7 };
    let around = Surroundings {
        uuid: "u".into(),
        user: "me",
        identifier: 4,
        properties,
        schema_id,
        now_millis: 99,
        base_list: &list,
        delta_list: &list,
        index_manifest: base.and_then(|base| base.index_manifest.as_deref()),
        changelog_list: (!changes.changelog.is_empty()).then_some(&list),
        next_row_id: base.and_then(|base| base.next_row_id),
    };
    next_snapshot(base, changes, around).unwrap()
}

#[test]
fn the_next_snapshot_follows_from_the_newest() {
    let append = Changes {
        kind: CommitKind::Append,
        entries: vec![add("a", 0, 1, 9)],
        changelog: vec![],
        index: IndexChanges::default(),
        counts_seen: None,
    };
    let first = next(None, &append, 3, &plain());
    assert_eq!((first.id, first.schema_id, first.total_record_count), (1, 3, Some(9)));
    assert_eq!((first.time_millis, first.commit_user.as_str(), first.commit_identifier), (99, "me", 4));
    assert_eq!((first.properties.clone(), first.statistics.clone()), (None, None));

    let base = Snapshot {
        statistics: Some("stat-1".into()),
        index_manifest: Some("index-manifest-1".into()),
        next_row_id: Some(0),
        watermark: Some(8),
        ..first
    };
    let shrink = Changes {
        kind: CommitKind::Compact,
        entries: vec![delete("a", 0, 1, 9), add("b", 5, 1, 4)],
        changelog: vec![add("c", 5, 1, 2)],
        index: IndexChanges::default(),
        counts_seen: None,
    };
    let second = next(Some(&base), &shrink, 3, &plain());
    assert_eq!((second.id, second.total_record_count, second.delta_record_count), (2, Some(4), Some(-5)));
    assert_eq!((second.changelog_record_count, second.watermark), (Some(2), Some(8)));
    assert_eq!(
        (second.statistics.as_deref(), second.index_manifest.as_deref()),
        (Some("stat-1"), Some("index-manifest-1"))
    );
    assert_eq!(second.next_row_id, Some(0));
    let evolved = next(Some(&base), &shrink, 4, &plain());
    assert_eq!((evolved.schema_id, evolved.statistics), (4, None));
    let old = Snapshot { total_record_count: None, ..base };
    assert_eq!(next(Some(&old), &shrink, 3, &plain()).total_record_count, None);
}

#[test]
fn a_committable_keeps_deletes_before_adds_message_by_message() {
    let one = compact(vec![file("a", 0, 1, 9)], file("a", 5, 1, 9));
    let both: Vec<_> = [one.clone(), one].concat();
    let committable = Committable::of(&both).unwrap();
    let kinds: Vec<_> = committable.compact.entries.iter().map(|entry| entry.kind).collect();
    assert_eq!(kinds, [FileKind::Delete, FileKind::Add, FileKind::Delete, FileKind::Add]);
    assert!(committable.append.is_empty());
}

#[test]
fn a_snapshot_is_placed_by_what_lies_around_it() {
    let cases: &[(i64, &[i64], bool, Place)] = &[
        (1, &[1], false, Place::Head),
        (5, &[4, 5], true, Place::Head),
        (5, &[5], false, Place::Head),
        // Expired under a sleeping committer: the live chain is far above.
        (5, &[5, 91, 92], false, Place::Beside),
        (5, &[5, 6, 7], false, Place::Followed),
        // Rolled back under it: older snapshots stayed, its base went.
        (5, &[1, 2, 5], false, Place::Beside),
        // Rolled back and built anew: another snapshot 4.
        (5, &[3, 4, 5], false, Place::Beside),
    ];
    for (id, ids, intact, expected) in cases {
        assert_eq!(place(*id, ids, *intact), *expected, "{id} in {ids:?}");
    }
}
