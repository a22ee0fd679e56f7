//! Buckets that fit the data: a key lives in one bucket, whoever writes, however often it starts anew.

use std::collections::{BTreeMap, BTreeSet};

use forebay::commit::{CommitOutcome, CommitProperties};
use forebay::format::{CommitMessage, assign};
use forebay::history::FileFilter;
use forebay::schema::{BucketMode, Schema, TableOptions};
use forebay::types::{DataType, Datum, RowKind};
use forebay::write::{Channel, StreamWriter};
use forebay::{Error, Table};

use crate::support::{Row, all_rows, as_set, changes, lanes};

/// Numbers that look random and are the same in every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn schema(partitioned: bool, options: &[(&str, &str)]) -> Schema {
    let mut builder = Schema::builder()
        .column("id", DataType::BIGINT)
        .column("day", DataType::INT.not_null())
        .column("note", DataType::STRING);
    builder = match partitioned {
        true => builder.partition_by(["day"]).primary_key(["id", "day"]),
        false => builder.primary_key(["id"]),
    };
    for (key, value) in options {
        builder = builder.option(*key, *value);
    }
    builder.build().unwrap()
}

async fn create(place: &tempfile::TempDir, schema: Schema) -> Table {
    Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap()
}

fn row(id: i64, day: i32, note: &str) -> Row {
    vec![Datum::BigInt(id), Datum::Int(day), Datum::String(note.into())]
}

async fn commit(table: &Table, user: &str, identifier: i64, messages: Vec<CommitMessage>) -> CommitOutcome {
    let mut committer = table.committer(user).unwrap();
    committer.commit(identifier, messages, CommitProperties::default()).await.unwrap()
}

async fn write(table: &Table, user: &str, identifier: i64, rows: &[(RowKind, Row)]) -> CommitOutcome {
    let mut writer = table.stream_writer(user).await.unwrap();
    writer.write(&changes(table.schema(), rows)).await.unwrap();
    commit(table, user, identifier, writer.prepare_commit().await.unwrap()).await
}

async fn rows(table: &Table) -> Vec<Row> {
    all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap()
}

/// Buckets with live files, by partition, and the key hashes that the newest index manifest counts in them.
async fn buckets(table: &Table) -> (BTreeSet<(Vec<u8>, i32)>, BTreeMap<(Vec<u8>, i32), i64>) {
    let latest = table.history().snapshots.latest().await.unwrap().unwrap();
    let live = table.history().manifests.live_files(&latest, &FileFilter::default()).await.unwrap();
    let files = live.iter().map(|entry| (entry.partition.prefixed().to_vec(), entry.bucket)).collect();
    let mut hashes = BTreeMap::new();
    if let Some(name) = &latest.index_manifest {
        for file in table.history().manifests.index(name).await.unwrap().iter() {
            assert_eq!(file.index_type, "HASH");
            let before = hashes.insert((file.partition.prefixed().to_vec(), file.bucket), file.row_count);
            assert_eq!(before, None, "a bucket has two index files");
        }
    }
    (files, hashes)
}

/// Random upserts and deletes against a map, with restarts; one row for every key, always.
async fn model(seed: u64, options: &[(&str, &str)], parallel: u32) {
    let place = tempfile::tempdir().unwrap();
    let keyed_by_day = seed.is_multiple_of(2);
    let table = create(&place, schema(keyed_by_day, options)).await;
    let mut dice = Dice(seed);
    let mut wanted: BTreeMap<(i64, i32), Row> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    let mut writers: Vec<StreamWriter> = Vec::new();
    for identifier in 1..=30 {
        if writers.is_empty() || dice.roll(4) == 0 {
            writers.clear();
            for index in 0..parallel {
                writers.push(table.channel_writer("w", Channel { index, count: parallel }).await.unwrap());
            }
        }
        let mut batch = Vec::new();
        for _ in 0..dice.roll(120) {
            let (id, day) = (dice.roll(40 * identifier as u64) as i64, dice.roll(3) as i32);
            let day = if keyed_by_day { day } else { 0 };
            let new = row(id, day, &format!("{identifier}/{}", dice.roll(1000)));
            keys.insert((id, day));
            let kind = if dice.roll(5) == 0 { RowKind::Delete } else { RowKind::Insert };
            match kind {
                RowKind::Delete => wanted.remove(&(id, day)),
                _ => wanted.insert((id, day), new.clone()),
            };
            batch.push((kind, new));
        }
        if !batch.is_empty() {
            let only_rows: Vec<Row> = batch.iter().map(|(_, row)| row.clone()).collect();
            let mut channels = table.channels(parallel).unwrap();
            let to = channels.of(&lanes(table.schema(), &only_rows)).unwrap();
            for (index, writer) in (0..).zip(&mut writers) {
                let own: Vec<_> =
                    batch.iter().zip(&to).filter(|(_, to)| **to == index).map(|(row, _)| row.clone()).collect();
                if !own.is_empty() {
                    writer.write(&changes(table.schema(), &own)).await.unwrap();
                }
            }
        }
        let mut messages = Vec::new();
        for writer in &mut writers {
            messages.extend(writer.prepare_commit().await.unwrap());
        }
        let outcome = commit(&table, "w", identifier, messages).await;
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "seed {seed}: {outcome:?}");
        let found = rows(&table).await;
        assert_eq!(as_set(found), as_set(wanted.values().cloned()), "seed {seed}, commit {identifier}");
    }
    let (files, hashes) = buckets(&table).await;
    assert_eq!(hashes.values().sum::<i64>(), keys.len() as i64, "seed {seed}: every key has one bucket");
    assert!(files.iter().all(|bucket| hashes.contains_key(bucket)), "seed {seed}");
    assert!(hashes.len() > 3, "seed {seed}: {hashes:?}");
}

#[tokio::test]
async fn a_key_keeps_its_bucket_over_restarts() {
    for seed in 0..4 {
        model(seed, &[("dynamic-bucket.target-row-num", "50")], 1).await;
    }
    model(4, &[("dynamic-bucket.target-row-num", "20"), ("dynamic-bucket.max-buckets", "4")], 1).await;
    model(5, &[("dynamic-bucket.target-row-num", "100"), ("dynamic-bucket.initial-buckets", "5")], 1).await;
}

#[tokio::test]
async fn parallel_writers_by_channel_never_share_a_key() {
    model(6, &[("dynamic-bucket.target-row-num", "50")], 3).await;
    model(7, &[("dynamic-bucket.target-row-num", "50"), ("dynamic-bucket.initial-buckets", "2")], 4).await;
    model(8, &[("dynamic-bucket.target-row-num", "30"), ("index-file-in-data-file-dir", "true")], 2).await;
}

#[tokio::test]
async fn the_options_shape_the_buckets() {
    let all: Vec<_> = (0..1000).map(|id| (RowKind::Insert, row(id, 0, "x"))).collect();
    for (options, wanted) in [
        (&[][..], 1),
        (&[("dynamic-bucket.target-row-num", "100")], 10),
        (&[("dynamic-bucket.target-row-num", "100"), ("dynamic-bucket.max-buckets", "3")], 3),
        (&[("dynamic-bucket.initial-buckets", "4")], 4),
        (&[("dynamic-bucket.assigner-parallelism", "6")], 6),
        (&[("dynamic-bucket.initial-buckets", "9"), ("dynamic-bucket.max-buckets", "7")], 7),
    ] {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, schema(false, options)).await;
        write(&table, "w", 1, &all).await.snapshot_id().unwrap();
        assert_eq!(buckets(&table).await.1.len(), wanted, "{options:?}");
        assert_eq!(rows(&table).await.len(), 1000);
    }
    let fixed = schema(false, &[("bucket", "-1"), ("bucket-key", "id")]);
    assert!(matches!(Table::create("memory://x", fixed, []).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn two_writers_that_do_not_know_of_each_other_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, schema(true, &[("dynamic-bucket.target-row-num", "3")])).await;
    let insert = |ids: std::ops::Range<i64>| -> Vec<_> { ids.map(|id| (RowKind::Insert, row(id, 1, "x"))).collect() };
    write(&table, "w", 1, &insert(0..5)).await.snapshot_id().unwrap();
    let mut one = table.stream_writer("one").await.unwrap();
    let mut two = table.stream_writer("two").await.unwrap();
    one.write(&changes(table.schema(), &insert(5..7))).await.unwrap();
    two.write(&changes(table.schema(), &insert(6..8))).await.unwrap();
    let (first, second) = (one.prepare_commit().await.unwrap(), two.prepare_commit().await.unwrap());
    commit(&table, "one", 1, first).await.snapshot_id().unwrap();
    let outcome = commit(&table, "two", 1, second).await;
    assert!(
        matches!(&outcome, CommitOutcome::Conflicted { reason } if reason.contains("changed since")),
        "{outcome:?}"
    );
    // Also when it only met keys it knew, and again until it begins anew.
    two.write(&changes(table.schema(), &insert(0..1))).await.unwrap();
    let outcome = commit(&table, "two", 2, two.prepare_commit().await.unwrap()).await;
    assert!(matches!(outcome, CommitOutcome::Conflicted { .. }), "{outcome:?}");
    write(&table, "two", 3, &insert(6..8)).await.snapshot_id().unwrap();
    assert_eq!(rows(&table).await.len(), 8);
    // Another partition is nobody's business.
    let mut other = table.stream_writer("other").await.unwrap();
    other.write(&changes(table.schema(), &[(RowKind::Insert, row(1, 2, "x"))])).await.unwrap();
    let waiting = other.prepare_commit().await.unwrap();
    write(&table, "two", 4, &insert(8..20)).await.snapshot_id().unwrap();
    commit(&table, "other", 1, waiting).await.snapshot_id().unwrap();
    assert_eq!(rows(&table).await.len(), 21);
}

#[tokio::test]
async fn rows_of_another_writer_s_channel_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, schema(false, &[])).await;
    let mut writer = table.channel_writer("w", Channel { index: 0, count: 2 }).await.unwrap();
    let all: Vec<_> = (0..50).map(|id| (RowKind::Insert, row(id, 0, "x"))).collect();
    assert!(matches!(writer.write(&changes(table.schema(), &all)).await, Err(Error::Invalid(_))));
    assert!(table.channel_writer("w", Channel { index: 2, count: 2 }).await.is_err());
}

/// Tables of Java are continued, and their keys keep the buckets that Java gave them.
#[tokio::test]
async fn dynamic_buckets_of_java_are_continued() {
    for name in ["bucket_dynamic", "bucket_dynamic_part"] {
        let place = tempfile::tempdir().unwrap();
        let Some(table) = golden_copy(name, &place).await else { continue };
        let before = rows(&table).await;
        let (_, hashes_before) = buckets(&table).await;
        // Every row again: known keys, so no index changes and no bucket is new.
        let again: Vec<_> = before.iter().map(|row| (RowKind::Insert, row.clone())).collect();
        write(&table, "ours", 1, &again).await.snapshot_id().unwrap();
        let (_, hashes) = buckets(&table).await;
        assert_eq!(hashes, hashes_before, "{name}");
        assert_eq!(as_set(rows(&table).await), as_set(before), "{name}");
    }
}

/// Both ways: Java's rows lie where we would put them, and ours where Java's function says.
#[tokio::test]
async fn rows_of_java_lie_in_the_buckets_that_we_compute() {
    for name in ["bucket_4", "bucket_hive", "bucket_mod", "bucket_key_subset", "key_composite"] {
        let place = tempfile::tempdir().unwrap();
        let Some(table) = golden_copy(name, &place).await else { continue };
        let everything = rows(&table).await;
        check_places(&table, name).await;
        let again: Vec<_> = everything.iter().map(|row| (RowKind::Insert, row.clone())).collect();
        write(&table, "ours", 1, &again).await.snapshot_id().unwrap();
        check_places(&table, name).await;
        assert_eq!(as_set(rows(&table).await), as_set(everything), "{name}");
    }
}

async fn check_places(table: &Table, name: &str) {
    let schema = table.schema();
    let options = TableOptions::parse(schema).unwrap();
    let BucketMode::Fixed(count) = options.bucket else { panic!("{name}") };
    let (places, types) =
        (schema.positions(&options.bucket_key).unwrap(), schema.types_of(&options.bucket_key).unwrap());
    let mut met = BTreeSet::new();
    for split in table.scan().plan().await.unwrap().splits {
        let bucket = split.bucket;
        let found = all_rows(schema, table.scan().read_splits(vec![split]).await.unwrap()).await.unwrap();
        let columns = lanes(schema, &found);
        let keys: Vec<_> = places.iter().map(|at| columns.column(*at).clone()).collect();
        let computed = assign(options.bucket_function, &keys, &types, count, found.len()).unwrap();
        assert!(computed.iter().all(|one| *one == bucket), "{name}: {computed:?} in bucket {bucket}");
        met.insert(bucket);
    }
    assert!(met.len() > 1, "{name}");
}

/// A golden in a directory of its own, to be written to.
pub async fn golden_copy(name: &str, place: &tempfile::TempDir) -> Option<Table> {
    let from = crate::support::golden_dirs().into_iter().find(|dir| dir.ends_with(name))?;
    let to = place.path().join(name);
    copy(&from.join("table"), &to);
    Some(Table::open(to.to_str().unwrap(), []).await.unwrap())
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}
