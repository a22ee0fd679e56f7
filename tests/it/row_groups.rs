//! Row groups that meet no other key are copied by a compaction, and the new files say what a rewrite would say.

use std::collections::BTreeMap;
use std::sync::Arc;

use forebay::Table;
use forebay::compact::CompactProgress;
use forebay::format::DataFileMeta;
use forebay::history::FileFilter;
use forebay::schema::Schema;
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};

use crate::support::{Row, all_rows, as_set, changes, rows_of};

const ROWS: i32 = 12_000;

/// A table whose files have many small row groups.
fn schema(options: &[(&str, &str)]) -> Schema {
    let schema = Schema::builder()
        .column("region", DataType::STRING)
        .column("id", DataType::BIGINT)
        .column("name", DataType::STRING)
        .column("weight", DataType::DOUBLE)
        .column("count", DataType::INT)
        .primary_key(["region", "id"]);
    let small = [
        ("bucket", "1"),
        ("write-only", "true"),
        ("parquet.block.size", "12288"),
        ("parquet.page.size", "2048"),
        ("read.batch-size", "256"),
    ];
    let all = small.iter().chain(options);
    all.fold(schema, |schema, (name, value)| schema.option(*name, *value)).build().unwrap()
}

/// Keys rise with `at`: regions are a thousand rows each.
fn row(at: i32, round: i32) -> Row {
    let name = if at % 17 == 0 { Datum::Null } else { Datum::String(format!("name-{}-{round}", at * 7919 % 10_007)) };
    vec![
        Datum::String(format!("region-{:04}", at / 1000)),
        Datum::BigInt(i64::from(at)),
        name,
        if at % 11 == 0 { Datum::Null } else { Datum::Double(f64::from(at) * 0.5 - 100.0) },
        Datum::Int(at % 100 + round),
    ]
}

async fn upsert(table: &Table, rows: &[(RowKind, Row)]) {
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), rows)).await.unwrap();
    writer.commit().await.unwrap();
}

/// All rows in one file of many row groups: two commits whose keys lie between each other, merged.
async fn fill(table: &Table, row_at: impl Fn(i32) -> Row) {
    for half in 0..2 {
        let rows: Vec<_> = (half..ROWS).step_by(2).map(|at| (RowKind::Insert, row_at(at))).collect();
        upsert(table, &rows).await;
    }
    assert_eq!(compact(table).await.0, 0);
}

/// Everything into the highest level. Tells how many rows were copied and how many written.
async fn compact(table: &Table) -> (u64, u64) {
    let progress = Arc::new(CompactProgress::default());
    let report = table.compact().full().threads(1).progress(Arc::clone(&progress)).run().await.unwrap();
    assert_eq!(report.lost_tasks, 0);
    (progress.copied_rows(), progress.rows())
}

async fn live(table: &Table) -> Vec<DataFileMeta> {
    let history = table.history();
    let snapshot = history.snapshots.latest().await.unwrap().unwrap();
    let entries = history.manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap();
    entries.into_iter().map(|entry| entry.file.as_ref().clone()).collect()
}

/// What a file's description says of its rows.
fn told(file: &DataFileMeta) -> String {
    format!(
        "{} {:?} {:?} {:?} {:?} {} {} {:?}",
        file.row_count,
        file.min_key,
        file.max_key,
        file.key_stats,
        file.value_stats,
        file.min_sequence_number,
        file.max_sequence_number,
        file.delete_row_count
    )
}

async fn rows(table: &Table) -> Vec<String> {
    as_set(all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap())
}

/// Ranges of rows that a second commit touches.
const TOUCHED: [&[std::ops::Range<i32>]; 4] = [
    &[5_000..5_025, 5_025..5_050],
    &[0..10, 11_990..12_000],
    &[11_500..12_200, 12_200..13_000],
    &[-500..-400, 3_333..3_334, 8_000..8_200],
];

#[tokio::test]
async fn what_is_copied_is_described_as_what_is_rewritten() {
    for touched in TOUCHED {
        let place = tempfile::tempdir().unwrap();
        let mut tables = Vec::new();
        for (name, force) in [("copied", "false"), ("rewritten", "true")] {
            let schema = schema(&[("compaction.force-rewrite-all-files", force)]);
            let table = Table::create(place.path().join(name).to_str().unwrap(), schema, []).await.unwrap();
            fill(&table, |at| row(at, 0)).await;
            let mut wanted: BTreeMap<i32, Row> = (0..ROWS).map(|at| (at, row(at, 0))).collect();
            let mut changed = Vec::new();
            for at in touched.iter().cloned().flatten() {
                let dies = at % 5 == 0;
                changed.push((if dies { RowKind::Delete } else { RowKind::UpdateAfter }, row(at, 1)));
                if dies {
                    wanted.remove(&at)
                } else {
                    wanted.insert(at, row(at, 1))
                };
            }
            upsert(&table, &changed).await;
            let (copied, written) = compact(&table).await;
            match force {
                "true" => assert_eq!(copied, 0),
                _ => assert!(copied > u64::from(ROWS.unsigned_abs()) / 2, "{copied} of {written} for {touched:?}"),
            }
            assert_eq!(rows(&table).await, as_set(wanted.into_values()), "{name} {touched:?}");
            tables.push(table);
        }
        let (copied, rewritten) = (live(&tables[0]).await, live(&tables[1]).await);
        let texts = |files: &[DataFileMeta]| files.iter().map(told).collect::<Vec<_>>();
        assert_eq!(texts(&copied), texts(&rewritten), "{touched:?}");
        // A condition prunes by what was copied.
        let by_name = forebay::predicate::col("id").eq(6_500_i64);
        let found = tables[0].scan().filter(by_name).read().await.unwrap();
        assert_eq!(all_rows(tables[0].schema(), found).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn the_changelog_is_the_same_where_row_groups_are_copied() {
    for producer in ["full-compaction", "lookup"] {
        let mut told = Vec::new();
        for force in ["false", "true"] {
            let place = tempfile::tempdir().unwrap();
            let schema = schema(&[("compaction.force-rewrite-all-files", force), ("changelog-producer", producer)]);
            let table = Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap();
            fill(&table, |at| row(at, 0)).await;
            let some: Vec<_> = (7_000..7_200).map(|at| (RowKind::UpdateAfter, row(at, 1))).collect();
            upsert(&table, &some).await;
            let (copied, _) = compact(&table).await;
            assert_eq!(copied > 0, force == "false", "{producer}");
            let mut stream = table.changes().from(Start::Earliest).read().await.unwrap();
            let mut changes = Vec::new();
            while let Some(change) = stream.next().await.unwrap() {
                let rows = rows_of(table.schema(), change.rows.rows());
                changes.extend(rows.iter().enumerate().map(|(at, row)| format!("{:?} {row:?}", change.rows.kind(at))));
            }
            changes.sort();
            assert_eq!(changes.len(), 12_400, "{producer}");
            told.push(changes);
        }
        assert_eq!(told[0], told[1], "{producer}");
    }
}

#[tokio::test]
async fn a_row_group_that_cannot_be_proved_equal_is_rewritten() {
    let nan = |at: i32| -> Row {
        let mut row = row(at, 0);
        row[3] = Datum::Double(f64::NAN);
        row
    };
    let place = tempfile::tempdir().unwrap();
    let table = Table::create(place.path().join("t").to_str().unwrap(), schema(&[]), []).await.unwrap();
    // Each row group holds a NaN, of which Parquet's bounds say nothing.
    fill(&table, |at| if at % 50 == 0 { nan(at) } else { row(at, 0) }).await;
    upsert(&table, &[(RowKind::UpdateAfter, row(1, 1))]).await;
    assert_eq!(compact(&table).await.0, 0);

    // Another codec is asked for.
    let table = Table::create(place.path().join("u").to_str().unwrap(), schema(&[]), []).await.unwrap();
    fill(&table, |at| row(at, 0)).await;
    upsert(&table, &[(RowKind::UpdateAfter, row(1, 1))]).await;
    let other = table.clone().with_options([("file.compression", "snappy")]).unwrap();
    assert_eq!(compact(&other).await.0, 0);
    upsert(&table, &[(RowKind::UpdateAfter, row(1, 2))]).await;
    assert!(compact(&other).await.0 > 8_000, "files of this codec are copied");
}
