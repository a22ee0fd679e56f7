use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use arrow_cast::display::{ArrayFormatter, FormatOptions};

use super::*;
use crate::env::Env;
use crate::format::{
    BinaryRow, Codec, ColumnStats, CommitKind, Consumer, DataFileMeta, DeletionVectorRange, FileKind, FileSource,
    IndexManifestEntry, ManifestEntry, ManifestFileMeta, SimpleStats, Snapshot, data_file, encode_index_manifest,
    encode_manifest, encode_manifest_list, encode_schema, layout,
};
use crate::history::History;
use crate::io::TableStore;
use crate::scan::At;
use crate::schema::Schema;
use crate::types::{DataType, Datum};

/// A file of one bucket with keys from `min` to `max`.
fn file(name: &str, level: i32, keys: (i32, i32), sequence: i64, rows: i64, size: i64) -> DataFileMeta {
    let key = |value| BinaryRow::encode(&[Datum::Int(value)], &[DataType::INT.not_null()]).unwrap();
    let stats = ColumnStats {
        data_type: DataType::INT.not_null(),
        min: Datum::Int(keys.0),
        max: Datum::Int(keys.1),
        null_count: Some(0),
    };
    DataFileMeta {
        row_count: rows,
        min_key: key(keys.0),
        max_key: key(keys.1),
        value_stats: SimpleStats::of(&[stats]).unwrap(),
        min_sequence_number: sequence,
        max_sequence_number: sequence + rows - 1,
        level,
        creation_time: Some(1_700_000_000_000 + sequence),
        file_source: Some(if level == 0 { FileSource::Append } else { FileSource::Compact }),
        value_stats_cols: Some(vec!["id".to_string()]),
        ..data_file(name, size)
    }
}

fn entry(day: &str, bucket: i32, file: DataFileMeta) -> ManifestEntry {
    let partition = BinaryRow::encode(&[Datum::String(day.to_string())], &[DataType::STRING]).unwrap();
    ManifestEntry { kind: FileKind::Add, partition, bucket, total_buckets: 2, file: file.into() }
}

fn schema() -> Schema {
    Schema::builder()
        .column("id", DataType::INT.not_null())
        .column("day", DataType::STRING.not_null())
        .column("note", DataType::STRING)
        .partition_by(["day"])
        .primary_key(["day", "id"])
        .option("bucket", "2")
        .option("data-evolution.enabled", "true")
        .option("no.such.option", "x")
        .build()
        .unwrap()
}

/// A table of one snapshot, written file by file.
async fn table(entries: &[ManifestEntry]) -> History {
    masked_table(entries, &[]).await
}

/// The same with deletion vectors.
async fn masked_table(entries: &[ManifestEntry], index: &[IndexManifestEntry]) -> History {
    let store = TableStore::memory(&Env::system());
    store.write(&layout::schema(0), encode_schema(&schema()).unwrap()).await.unwrap();
    let manifest = encode_manifest(entries, Codec::default()).unwrap();
    let size = manifest.len() as i64;
    store.write(&layout::manifest("manifest-0").unwrap(), manifest).await.unwrap();
    let types = [DataType::STRING];
    let days: Vec<Datum> = entries.iter().map(|entry| entry.partition.decode(&types).unwrap().remove(0)).collect();
    let bound = |day: Option<&Datum>| day.map_or(Datum::Null, Clone::clone);
    let stats = ColumnStats {
        data_type: types[0].clone(),
        min: bound(days.iter().min_by(|a, b| a.total_cmp(b))),
        max: bound(days.iter().max_by(|a, b| a.total_cmp(b))),
        null_count: Some(0),
    };
    let meta = ManifestFileMeta {
        file_name: "manifest-0".to_string(),
        file_size: size,
        num_added_files: entries.len() as i64,
        num_deleted_files: 0,
        partition_stats: SimpleStats::of(&[stats]).unwrap(),
        schema_id: 0,
        min_bucket: Some(0),
        max_bucket: Some(1),
        min_level: None,
        max_level: None,
        min_row_id: None,
        max_row_id: None,
    };
    for (name, list) in [("base", vec![]), ("delta", vec![meta])] {
        let bytes = encode_manifest_list(&list, Codec::default()).unwrap();
        store.write(&layout::manifest(name).unwrap(), bytes).await.unwrap();
    }
    let bytes = encode_index_manifest(index, Codec::default()).unwrap();
    store.write(&layout::manifest("index").unwrap(), bytes).await.unwrap();
    let snapshot = Snapshot {
        version: Some(3),
        uuid: None,
        id: 1,
        schema_id: 0,
        base_manifest_list: "base".to_string(),
        base_manifest_list_size: None,
        delta_manifest_list: "delta".to_string(),
        delta_manifest_list_size: None,
        changelog_manifest_list: None,
        changelog_manifest_list_size: None,
        index_manifest: (!index.is_empty()).then(|| "index".to_string()),
        commit_user: "me".to_string(),
        writer_version: None,
        commit_identifier: 7,
        commit_kind: CommitKind::Append,
        time_millis: 1_700_000_000_000,
        total_record_count: Some(100),
        delta_record_count: Some(100),
        changelog_record_count: None,
        watermark: None,
        statistics: None,
        properties: None,
        next_row_id: None,
        operation: None,
    };
    store.write(&layout::snapshot(1), snapshot.encode().unwrap()).await.unwrap();
    let consumer = Consumer { next_snapshot: 2 }.encode().unwrap();
    store.write(&layout::consumer("dash").unwrap(), consumer).await.unwrap();
    History::new(store)
}

fn small() -> Vec<ManifestEntry> {
    vec![
        entry("b", 0, file("x.parquet", 0, (5, 5), 0, 1, 500)),
        entry("a", 1, file("y.parquet", 0, (5, 5), 0, 1, 500)),
        entry("a", 0, file("old.parquet", 0, (1, 40), 10, 40, 4_000)),
        entry("a", 0, file("low.parquet", 5, (1, 20), 0, 20, 20_000)),
        entry("a", 0, file("new.parquet", 0, (30, 60), 50, 30, 3_000)),
        entry("a", 0, file("high.parquet", 5, (21, 99), 0, 70, 70_000)),
    ]
}

/// A column's values as text, NULL as a dash.
fn shown(batch: &RecordBatch, column: &str) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let formatter = ArrayFormatter::try_new(batch.column_by_name(column).unwrap(), &options).unwrap();
    (0..batch.num_rows()).map(|row| formatter.value(row).to_string()).collect()
}

#[tokio::test]
async fn files_are_told_with_partition_key_and_bounds() {
    let batch = files(&table(&small()).await, &At::Latest).await.unwrap();
    assert_eq!(
        shown(&batch, "file_name"),
        ["new.parquet", "old.parquet", "low.parquet", "high.parquet", "y.parquet", "x.parquet"]
    );
    assert_eq!(shown(&batch, "partition"), ["day=a", "day=a", "day=a", "day=a", "day=a", "day=b"]);
    assert_eq!(batch["bucket"].as_primitive::<Int32Type>().values(), &[0, 0, 0, 0, 1, 0]);
    assert_eq!(shown(&batch, "min_key")[..4], ["30", "1", "1", "21"]);
    assert_eq!(shown(&batch, "max_values")[..2], ["id=60", "id=40"]);
    assert_eq!(shown(&batch, "null_value_counts")[0], "id=0");
    assert_eq!(shown(&batch, "file_format")[0], "parquet");
    assert_eq!(shown(&batch, "file_source")[1..3], ["APPEND", "COMPACT"]);
    assert_eq!(shown(&batch, "creation_time")[2], "2023-11-14T22:13:20");
}

#[tokio::test]
async fn partitions_and_buckets_are_sums_over_files() {
    let history = table(&small()).await;
    let batch = partitions(&history, &At::Latest).await.unwrap();
    assert_eq!(shown(&batch, "partition"), ["day=a", "day=b"]);
    assert_eq!(batch["record_count"].as_primitive::<Int64Type>().values(), &[161, 1]);
    assert_eq!(batch["file_count"].as_primitive::<Int64Type>().values(), &[5, 1]);
    let batch = buckets(&history, &At::Latest).await.unwrap();
    assert_eq!(shown(&batch, "partition"), ["day=a", "day=a", "day=b"]);
    assert_eq!(shown(&batch, "bucket"), ["0", "1", "0"]);
    assert_eq!(batch["file_size_in_bytes"].as_primitive::<Int64Type>().values(), &[97_000, 500, 500]);
    assert_eq!(shown(&batch, "last_update_time")[0], "2023-11-14T22:13:20.050");
}

#[tokio::test]
async fn the_files_of_a_table_are_listed() {
    let history = table(&small()).await;
    let batch = snapshots(&history).await.unwrap();
    assert_eq!((shown(&batch, "snapshot_id"), shown(&batch, "commit_kind")), (vec!["1".into()], vec!["APPEND".into()]));
    assert_eq!(batch["commit_time"].as_primitive::<TimestampMillisecondType>().values(), &[1_700_000_000_000]);
    let batch = schemas(&history).await.unwrap();
    assert_eq!(shown(&batch, "columns"), ["id INT NOT NULL, day STRING NOT NULL, note STRING"]);
    assert_eq!(shown(&batch, "primary_key"), ["day, id"]);
    let batch = manifests(&history, &At::Latest).await.unwrap();
    assert_eq!(shown(&batch, "file_name"), ["manifest-0"]);
    assert_eq!(
        (shown(&batch, "min_partition"), shown(&batch, "max_partition")),
        (vec!["day=a".into()], vec!["day=b".into()])
    );
    let batch = consumers(&history).await.unwrap();
    assert_eq!(
        (shown(&batch, "consumer_id"), shown(&batch, "next_snapshot_id")),
        (vec!["dash".into()], vec!["2".into()])
    );
}

#[tokio::test]
async fn options_are_told_even_where_they_are_not_honoured() {
    let batch = options(&table(&[]).await).await.unwrap();
    assert_eq!(shown(&batch, "option"), ["bucket", "data-evolution.enabled", "no.such.option"]);
    assert_eq!(shown(&batch, "here")[0], "honoured");
    assert!(shown(&batch, "here")[1].contains("spread over files"), "{:?}", shown(&batch, "here"));
    assert_eq!(shown(&batch, "here")[2], "refused (not known)");
}

#[tokio::test]
async fn a_table_without_snapshots_has_empty_views() {
    let store = TableStore::memory(&Env::system());
    store.write(&layout::schema(0), encode_schema(&schema()).unwrap()).await.unwrap();
    let history = History::new(store);
    for rows in [
        snapshots(&history).await.unwrap(),
        manifests(&history, &At::Latest).await.unwrap(),
        files(&history, &At::Latest).await.unwrap(),
        partitions(&history, &At::Latest).await.unwrap(),
        buckets(&history, &At::Latest).await.unwrap(),
        consumers(&history).await.unwrap(),
    ] {
        assert_eq!(rows.num_rows(), 0);
    }
    assert_eq!(picture(&history, &At::Latest).await.unwrap(), "no snapshot yet, schema 0\n");
}

#[tokio::test]
async fn a_picture_shows_runs_by_level_and_key() {
    let drawn = picture(&table(&small()).await, &At::Latest).await.unwrap();
    let wanted = "\
snapshot 1, schema 0: 6 files, 162 stored rows, 95.7 KiB in 3 buckets

day=a, bucket 0: 4 files, 160 rows, 94.7 KiB, keys 1 .. 99
  L0  |                   [============]       | #            2.9 KiB           30 rows
  L0  |[=========================]             | #            3.9 KiB           40 rows
  L5  |[=====]      [=========================]| ##########  87.9 KiB           90 rows  2 files

day=a, bucket 1: 1 file, 1 row, 500 B, keys 5 .. 5
  L0  |*                                       | ##########     500 B            1 rows

day=b, bucket 0: 1 file, 1 row, 500 B, keys 5 .. 5
  L0  |*                                       | ##########     500 B            1 rows
";
    assert_eq!(drawn, wanted, "\n{drawn}");
}

/// Vectors of two of the small table's files, one without its count.
fn vectors(known: Option<i64>) -> IndexManifestEntry {
    let range = |file: &str, offset, cardinality| DeletionVectorRange {
        data_file: file.to_string(),
        offset,
        length: 26,
        cardinality,
    };
    IndexManifestEntry {
        partition: BinaryRow::encode(&[Datum::String("a".to_string())], &[DataType::STRING]).unwrap(),
        bucket: 0,
        index_type: IndexManifestEntry::DELETION_VECTORS.to_string(),
        file_name: "index-a".to_string(),
        file_size: 100,
        row_count: 2,
        deletion_vectors: Some(vec![range("low.parquet", 1, Some(7)), range("high.parquet", 35, known)]),
        external_path: None,
        global_index: None,
    }
}

#[tokio::test]
async fn masked_rows_are_told_by_file_and_bucket_and_in_the_picture() {
    let history = masked_table(&small(), &[vectors(Some(1_200))]).await;
    let column = |batch: &RecordBatch| shown(batch, "masked_record_count");
    assert_eq!(column(&files(&history, &At::Latest).await.unwrap()), ["0", "0", "7", "1200", "0", "0"]);
    assert_eq!(column(&buckets(&history, &At::Latest).await.unwrap()), ["1207", "0", "0"]);
    assert_eq!(column(&partitions(&history, &At::Latest).await.unwrap()), ["1207", "0"]);
    let drawn = picture(&history, &At::Latest).await.unwrap();
    assert!(drawn.contains("90 rows  2 files\n        1,207 of these rows masked\n"), "{drawn}");
    let history = masked_table(&small(), &[vectors(None)]).await;
    assert_eq!(column(&files(&history, &At::Latest).await.unwrap())[2..4], ["7", "-"]);
    assert_eq!(column(&buckets(&history, &At::Latest).await.unwrap())[0], "-");
    assert!(picture(&history, &At::Latest).await.unwrap().contains("  some of these rows masked\n"));
}

#[tokio::test]
async fn a_picture_of_many_files_stays_small_and_narrow() {
    let mut entries = Vec::new();
    for bucket in 0..40 {
        for at in 0..40 {
            let name = format!("f{bucket}-{at}.parquet");
            let day = format!("\u{1b}[31m{}", "long".repeat(50));
            entries.push(entry(
                &day,
                bucket,
                file(&name, 0, (at, i32::MAX - at), i64::from(at) << 40, 1 << 40, i64::MAX),
            ));
        }
    }
    let drawn = picture(&table(&entries).await, &At::Latest).await.unwrap();
    assert!(drawn.lines().count() < 24 * 30, "{}", drawn.lines().count());
    assert!(drawn.contains(".. and 16 more runs") && drawn.ends_with(".. and 16 more buckets with 640 files\n"));
    for line in drawn.lines() {
        assert!(line.chars().count() <= 100 && !line.contains('\u{1b}'), "{line}");
    }
}

#[tokio::test]
async fn nothing_is_written() {
    let history = table(&small()).await;
    let before = history.store.list_recursive("").await.unwrap().len();
    for _ in 0..2 {
        files(&history, &At::Latest).await.unwrap();
        picture(&history, &At::Latest).await.unwrap();
    }
    assert_eq!(history.store.list_recursive("").await.unwrap().len(), before);
    let _ = Arc::new(history);
}
