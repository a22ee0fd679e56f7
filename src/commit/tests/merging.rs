//! When manifests are merged.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::support::*;
use crate::commit::manifest_merge::{FULL_MANIFEST_ENTRIES, MergePlan, may_hold, plan_merge};
use crate::commit::write::{Settings, describe};
use crate::format::{Codec, FileKind, ManifestEntry, ManifestFileMeta, SimpleStats};
use crate::schema::ManifestOptions;
use crate::types::DataType;

fn options() -> ManifestOptions {
    ManifestOptions {
        compression: "zstd".into(),
        target_file_size: 8 << 20,
        full_compaction_size: 16 << 20,
        merge_min_count: 30,
    }
}

fn meta(added: i64, deleted: i64, size: i64) -> ManifestFileMeta {
    ManifestFileMeta {
        file_name: "m".into(),
        file_size: size,
        num_added_files: added,
        num_deleted_files: deleted,
        partition_stats: SimpleStats::empty(),
        schema_id: 0,
        min_bucket: None,
        max_bucket: None,
        min_level: None,
        max_level: None,
        min_row_id: None,
        max_row_id: None,
    }
}

#[test]
fn manifests_are_merged_when_it_is_due() {
    let small = || meta(1, 0, 5_000);
    let big = || meta(FULL_MANIFEST_ENTRIES as i64, 0, 1 << 20);
    let cases = [
        ("none", vec![], MergePlan::Keep),
        ("one", vec![small()], MergePlan::Keep),
        ("29", vec![small(); 29], MergePlan::Keep),
        ("30", vec![small(); 30], MergePlan::Range(0..30)),
        ("behind a full one", [vec![big()], vec![small(); 30]].concat(), MergePlan::Range(1..31)),
        ("after a larger one", [vec![meta(100, 0, 9_000)], vec![small(); 29]].concat(), MergePlan::Range(1..30)),
        ("after a similar one", [vec![meta(40, 0, 9_000)], vec![small(); 29]].concat(), MergePlan::Range(0..30)),
        ("full ones only", vec![big(); 100], MergePlan::Keep),
        ("much to change", vec![meta(10, 10, 9 << 20); 2], MergePlan::Full),
        ("one alone", vec![meta(10, 10, 90 << 20)], MergePlan::Keep),
    ];
    for (name, metas, expected) in cases {
        assert_eq!(plan_merge(&metas, &options()), expected, "{name}");
    }
}

#[test]
fn ten_thousand_commits_keep_the_list_short_and_rewrite_little() {
    let (mut metas, mut rewritten, mut largest) = (Vec::new(), 0_i64, 0);
    for _ in 0..10_000 {
        if let MergePlan::Range(range) = plan_merge(&metas, &options()) {
            let added: i64 = metas[range.clone()].iter().map(|meta: &ManifestFileMeta| meta.num_added_files).sum();
            rewritten += added;
            metas.splice(range, [meta(added, 0, 4_000 + added * 170)]);
        }
        metas.push(meta(1, 0, 5_000));
        largest = largest.max(metas.len());
    }
    assert!(largest <= 40, "{largest} manifests");
    // Paimon's rule would rewrite about 10,000² / 60 entries.
    assert!(rewritten <= 10_000 * 15, "{rewritten} entries rewritten");
}

#[test]
fn a_manifest_is_described_by_its_entries() {
    let settings =
        Settings { codec: Codec::default(), options: options(), partition_types: vec![DataType::INT], schema_id: 3 };
    let entry = |kind, day, bucket, level| {
        Arc::new(ManifestEntry {
            kind,
            partition: partition(day),
            bucket,
            total_buckets: 2,
            file: file("a", level, 1, 2).into(),
        })
    };
    let entries = [
        entry(FileKind::Add, 4, 1, 0),
        entry(FileKind::Add, 4, 0, 5),
        entry(FileKind::Delete, -7, 0, 2),
        entry(FileKind::Add, 9, 0, 2),
    ];
    let described = describe("m", 77, &entries, &settings).unwrap();
    assert_eq!((described.num_added_files, described.num_deleted_files, described.file_size), (3, 1, 77));
    assert_eq!((described.min_bucket, described.max_bucket), (Some(0), Some(1)));
    assert_eq!((described.min_level, described.max_level, described.schema_id), (Some(0), Some(5), 3));
    assert_eq!((&described.partition_stats.min, &described.partition_stats.max), (&partition(-7), &partition(9)));
    assert_eq!((described.min_row_id, described.max_row_id), (None, None));
    for (day, expected) in [(-8, false), (-7, true), (0, true), (9, true), (10, false)] {
        assert_eq!(may_hold(&described, &BTreeSet::from([partition(day)]), &[DataType::INT]), expected, "{day}");
    }
}
