//! Deletion vectors: Java's tables under filters, projections and limits, and random masks on files of ours.

use std::collections::BTreeMap;
use std::path::Path;

use forebay::commit::CommitProperties;
use forebay::format::{
    BinaryRow, CommitMessage, DeletionVector, IndexManifestEntry, VectorForm, encode_deletion_vectors,
};
use forebay::predicate::col;
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::support::{Row, all_rows, as_set, golden_dirs, lanes};

/// Tables whose snapshots carry vectors, by the number of snapshots that do.
async fn masked_snapshots(table: &Table) -> Vec<i64> {
    let mut ids = Vec::new();
    for id in table.history().snapshots.ids().await.unwrap() {
        let snapshot = table.history().snapshots.load(id).await.unwrap();
        if snapshot.index_manifest.is_some()
            && !forebay::scan::Vectors::of(table.history(), &snapshot).await.unwrap().is_empty()
        {
            ids.push(id);
        }
    }
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn filters_projections_and_limits_see_no_masked_row() {
    let mut seen = 0;
    for dir in golden_dirs() {
        let name = dir.file_name().unwrap().to_str().unwrap().to_string();
        let Ok(table) = Table::open(dir.join("table").to_str().unwrap(), []).await else { continue };
        let newest = table.history().schemas.latest().await.unwrap().unwrap();
        if !(name.starts_with("dv_") || name.starts_with("append_dv")) {
            continue;
        }
        for id in masked_snapshots(&table).await {
            let at = At::Snapshot(id);
            let all = match table.scan().at(at.clone()).wide_timestamps().read().await {
                Ok(stream) => all_rows(&newest, stream).await.unwrap(),
                Err(Error::Unsupported(feature)) => {
                    println!("{name} is refused by name: {feature}");
                    break;
                }
                Err(error) => panic!("{name}: {error}"),
            };
            for (at_column, field) in newest.fields.iter().enumerate() {
                let wanted = |row: &&Row| !row[at_column].is_null();
                let wanted = as_set(all.iter().filter(wanted).cloned());
                let scan = table.scan().at(at.clone()).filter(col(&field.name).is_not_null()).wide_timestamps();
                let found = all_rows(&newest, scan.read().await.unwrap()).await.unwrap();
                assert_eq!(as_set(found), wanted, "{name}, snapshot {id}, {} is not null", field.name);
                seen += 1;
            }
            let first = &newest.fields[0].name;
            let narrow = table.scan().at(at.clone()).select([first.clone()]).wide_timestamps().read().await.unwrap();
            assert_eq!(count(narrow).await, all.len(), "{name}, snapshot {id}");
            let none = table.scan().at(at.clone()).select(Vec::<String>::new()).read().await.unwrap();
            assert_eq!(count(none).await, all.len(), "{name}, snapshot {id}: no columns");
            for limit in [0, 1, all.len() / 2, all.len() + 1] {
                let some = table.scan().at(at.clone()).limit(limit).read().await.unwrap();
                assert_eq!(count(some).await, limit.min(all.len()), "{name}, snapshot {id}, limit {limit}");
            }
        }
    }
    assert!(seen > 0, "no golden with vectors");
}

async fn count(mut stream: forebay::read::RowStream) -> usize {
    let mut rows = 0;
    while let Some(batch) = stream.next_batch().await.unwrap() {
        rows += batch.num_rows();
    }
    rows
}

/// Small row groups and pages, so that masks meet their edges. With `wide`, a column that Arrow's reader cannot read.
fn schema(wide: bool) -> Schema {
    let mut builder = Schema::builder().column("id", DataType::BIGINT).column("note", DataType::STRING);
    if wide {
        builder = builder.column("at", "TIMESTAMP(9)".parse::<DataType>().unwrap());
    }
    let options = [
        ("bucket", "-1"),
        ("file.block-size", "16 kb"),
        ("parquet.page.row.count.limit", "100"),
        ("read.batch-size", "333"),
    ];
    options.iter().fold(builder, |builder, (key, value)| builder.option(*key, *value)).build().unwrap()
}

fn row(id: i64, wide: bool) -> Row {
    let mut row = vec![Datum::BigInt(id), Datum::String(format!("note {}", id.wrapping_mul(2_654_435_761) % 1000))];
    if wide {
        row.push(Datum::Timestamp { millis: id * 1000, nanos: 123_456 });
    }
    row
}

/// A table without buckets whose vectors are written by hand.
struct Masked {
    table: Table,
    files: Vec<(String, std::ops::Range<i64>)>,
    masked: BTreeMap<String, DeletionVector>,
    index: Vec<IndexManifestEntry>,
    commits: i64,
    wide: bool,
    buckets: i32,
}

impl Masked {
    async fn new(place: &Path, wide: bool) -> Self {
        Self::with(place, wide, &[], -1).await
    }

    /// With more options, for files of so many buckets.
    async fn with(place: &Path, wide: bool, options: &[(&str, &str)], buckets: i32) -> Self {
        let mut schema = schema(wide);
        schema.options.extend(options.iter().map(|(key, value)| (key.to_string(), value.to_string())));
        let table = Table::create(place.join("t").to_str().unwrap(), schema, []).await.unwrap();
        Self { table, files: Vec::new(), masked: BTreeMap::new(), index: Vec::new(), commits: 0, wide, buckets }
    }

    async fn commit(&mut self, messages: Vec<CommitMessage>) -> i64 {
        self.commits += 1;
        let mut committer = self.table.committer("w").unwrap();
        let outcome = committer.commit(self.commits, messages, CommitProperties::default()).await.unwrap();
        outcome.snapshot_id().unwrap()
    }

    async fn append(&mut self, ids: std::ops::Range<i64>) -> i64 {
        let rows: Vec<Row> = ids.clone().map(|id| row(id, self.wide)).collect();
        let mut writer = self.table.stream_writer("w").await.unwrap();
        writer.upsert(&lanes(self.table.schema(), &rows)).await.unwrap();
        let messages = writer.prepare_commit().await.unwrap();
        assert_eq!((messages.len(), messages[0].new_files.len()), (1, 1), "one file for each commit");
        self.files.push((messages[0].new_files[0].file_name.clone(), ids));
        self.commit(messages).await
    }

    /// Writes all vectors again, into two files of different form.
    async fn mask(&mut self, file: usize, rows: impl Iterator<Item = u64>) -> i64 {
        let vector = self.masked.entry(self.files[file].0.clone()).or_default();
        for row in rows {
            vector.mask(row).unwrap();
        }
        let mut message = CommitMessage::new(BinaryRow::empty(), 0, self.buckets);
        message.deleted_index = std::mem::take(&mut self.index);
        for (at, form) in [VectorForm::Bits32, VectorForm::Bits64].into_iter().enumerate() {
            // A bucket has one index file.
            let vectors: Vec<_> = match self.buckets > 0 {
                true if at > 0 => Vec::new(),
                true => self.masked.iter().collect(),
                false => self.masked.iter().skip(at).step_by(2).collect(),
            };
            if vectors.is_empty() {
                continue;
            }
            let named = vectors.iter().map(|(name, vector)| (name.as_str(), *vector));
            let (bytes, ranges) = encode_deletion_vectors(named, form).unwrap();
            let file_name = format!("index-{}-{at}", self.commits);
            let file_size = bytes.len() as i64;
            self.table.store().write(&format!("index/{file_name}"), bytes).await.unwrap();
            message.new_index.push(IndexManifestEntry {
                partition: BinaryRow::empty(),
                bucket: 0,
                index_type: IndexManifestEntry::DELETION_VECTORS.to_string(),
                file_name,
                file_size,
                row_count: ranges.len() as i64,
                deletion_vectors: Some(ranges),
                external_path: None,
                global_index: None,
            });
        }
        self.index.clone_from(&message.new_index);
        self.commit(vec![message]).await
    }

    /// The ids that are left.
    fn left(&self) -> Vec<i64> {
        let ids = |(name, ids): &(String, std::ops::Range<i64>)| {
            let (vector, first) = (self.masked.get(name).cloned().unwrap_or_default(), ids.start);
            ids.clone().filter(move |id| !vector.is_masked((id - first) as u64)).collect::<Vec<_>>()
        };
        self.files.iter().flat_map(ids).collect()
    }

    async fn check(&self, snapshot: i64, ids: &[i64], what: &str) {
        let schema = self.table.schema();
        let scan = self.table.scan().at(At::Snapshot(snapshot)).wide_timestamps();
        let rows = |ids: &mut dyn Iterator<Item = i64>| as_set(ids.map(|id| row(id, self.wide)));
        let found = all_rows(schema, scan.clone().read().await.unwrap()).await.unwrap();
        assert_eq!(as_set(found), rows(&mut ids.iter().copied()), "{what}: all");
        for (low, high) in [(100, 900), (1500, 1501), (0, 40), (2_000, 9_000)] {
            let filter = col("id").ge(low).and(col("id").lt(high));
            let found = all_rows(schema, scan.clone().filter(filter).read().await.unwrap()).await.unwrap();
            let wanted = rows(&mut ids.iter().copied().filter(|id| (low..high).contains(id)));
            assert_eq!(as_set(found), wanted, "{what}: {low} <= id < {high}");
        }
    }
}

/// A reproducible choice of rows.
fn chosen(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % below
}

#[tokio::test]
async fn random_masks_leave_the_rows_they_should_at_every_snapshot() {
    for (seed, wide) in [(1, false), (2, true), (3, false)] {
        let mut random: u64 = seed;
        let place = tempfile::tempdir().unwrap();
        let mut masked = Masked::new(place.path(), wide).await;
        let mut history = Vec::new();
        for step in 0..12 {
            let snapshot = if step % 3 == 0 {
                let first = masked.files.last().map_or(0, |(_, ids)| ids.end);
                masked.append(first..first + 1 + chosen(&mut random, 2_000) as i64).await
            } else {
                let file = chosen(&mut random, masked.files.len() as u64) as usize;
                let rows = (masked.files[file].1.end - masked.files[file].1.start) as u64;
                let start = chosen(&mut random, rows);
                let rows: Vec<u64> = match chosen(&mut random, 4) {
                    0 => (start..rows).collect(),
                    1 => (0..rows).filter(|row| row % 3 == 0).collect(),
                    2 => (0..rows).collect(),
                    _ => (0..20).map(|_| chosen(&mut random, rows)).collect(),
                };
                masked.mask(file, rows.into_iter()).await
            };
            history.push((snapshot, masked.left()));
        }
        for (snapshot, ids) in &history {
            masked.check(*snapshot, ids, &format!("seed {seed}, snapshot {snapshot}")).await;
        }
        // Each row is told once: a commit that only masks rows brings a stream nothing.
        let mut changes = masked.table.changes().from(forebay::Start::Earliest).read().await.unwrap();
        let mut told = 0;
        while let Some(change) = changes.next().await.unwrap() {
            told += change.rows.rows().num_rows();
        }
        assert_eq!(told as i64, masked.files.iter().map(|(_, ids)| ids.end - ids.start).sum::<i64>(), "seed {seed}");
        // The rows that a stream begins with are those that are left.
        let mut rows = masked.table.changes().from(forebay::Start::LatestFull).read().await.unwrap();
        let mut first = 0;
        while let Some(change) = rows.next().await.unwrap() {
            first += change.rows.rows().num_rows();
        }
        assert_eq!(first, masked.left().len(), "seed {seed}");
    }
}

#[tokio::test]
async fn a_vector_that_does_not_fit_its_file_is_corruption_and_no_silent_row() {
    let place = tempfile::tempdir().unwrap();
    let mut masked = Masked::new(place.path(), false).await;
    masked.append(0..50).await;
    masked.mask(0, [49].into_iter()).await;
    assert_eq!(count(masked.table.scan().read().await.unwrap()).await, 49);
    // A flipped bit in the index file.
    let path = place.path().join("t/index").join(&masked.index[0].file_name);
    let whole = std::fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        std::fs::write(&path, &damaged).unwrap();
        let failed = masked.table.scan().read().await.unwrap().next_batch().await;
        // The version byte is not among the bytes that a reader asks for.
        assert!(at == 0 || matches!(&failed, Err(Error::Corrupt { .. })), "byte {at}: {failed:?}");
    }
    std::fs::write(&path, &whole).unwrap();
    // A row behind the file's end.
    masked.mask(0, [50].into_iter()).await;
    let failed = masked.table.scan().read().await.unwrap().next_batch().await;
    let Err(Error::Corrupt { .. }) = &failed else { panic!("{failed:?}") };
    assert!(format!("{failed:?}").contains("masks row 50 of 50"), "{failed:?}");
}

#[tokio::test]
async fn two_commits_that_mask_one_file_contradict_each_other() {
    let place = tempfile::tempdir().unwrap();
    let mut masked = Masked::new(place.path(), false).await;
    masked.append(0..50).await;
    let before = masked.index.clone();
    masked.mask(0, [1].into_iter()).await;
    let newer = std::mem::replace(&mut masked.index, before);
    masked.commits += 1;
    let mut message = CommitMessage::new(BinaryRow::empty(), 0, -1);
    message.new_index =
        newer.iter().map(|entry| IndexManifestEntry { file_name: "index-other".into(), ..entry.clone() }).collect();
    let mut committer = masked.table.committer("other").unwrap();
    let outcome = committer.commit(masked.commits, vec![message], CommitProperties::default()).await.unwrap();
    assert!(matches!(outcome, forebay::CommitOutcome::Conflicted { .. }), "{outcome:?}");
    assert_eq!(count(masked.table.scan().read().await.unwrap()).await, 49);
}

/// What compactions do to worn files, in a table with these options more.
async fn worn(options: &[(&str, &str)], buckets: i32) {
    let place = tempfile::tempdir().unwrap();
    let mut masked = Masked::with(place.path(), false, options, buckets).await;
    for start in [0, 10_000, 20_000, 30_000] {
        masked.append(start..start + 1_000).await;
    }
    // Of four large files one is worn a little, two are worn a lot, and of one nothing is left.
    masked.mask(0, 0..200).await;
    masked.mask(1, (0..1_000).filter(|row| row % 4 == 0)).await;
    masked.mask(3, 0..1_000).await;
    let rows = masked.left();
    let untouched = masked.files[0].0.clone();
    let small = masked.table.clone().with_options([("target-file-size", "4 kb")]).unwrap();
    let report = small.compact().run().await.unwrap();
    assert!(report.files_before == 2 && report.lost_tasks == 0, "{report:?}");
    masked.check(report.snapshots[0], &rows, "worn files are rewritten").await;
    assert_eq!(sound_vectors(&small).await, BTreeMap::from([(untouched, 200)]));
    assert!(small.compact().run().await.unwrap().planned.is_empty(), "what is worn a little may stay");
    // A threshold of the table's own, and a full compaction, which leaves no vector.
    let strict = small.clone().with_options([("compaction.delete-ratio-threshold", "0.19")]).unwrap();
    assert_eq!(strict.compact().plan().await.unwrap().len(), 1);
    small.compact().full().run().await.unwrap();
    assert_eq!(sound_vectors(&small).await, BTreeMap::new());
    let found = in_order(&small).await;
    if buckets > 0 {
        assert_eq!(found, rows, "rows of a bucket keep their order");
    }
    assert_eq!(as_rows(found), as_rows(rows));
}

fn as_rows(mut ids: Vec<i64>) -> Vec<i64> {
    ids.sort_unstable();
    ids
}

/// The ids as a reader of the newest snapshot meets them, file by file in sequence order.
async fn in_order(table: &Table) -> Vec<i64> {
    let rows = all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap();
    let id = |row: Row| match row[0] {
        Datum::BigInt(id) => id,
        ref other => panic!("{other:?}"),
    };
    rows.into_iter().map(id).collect()
}

#[tokio::test]
async fn worn_files_of_an_append_table_are_rewritten_without_their_masked_rows() {
    worn(&[], -1).await;
    // Index files of one vector each.
    worn(&[("deletion-vector.index-file.target-size", "1 b")], -1).await;
    worn(&[("bucket", "1"), ("bucket-key", "id")], 1).await;
}

/// A key table whose writer leaves compaction to a job of its own.
fn keyed(options: &[(&str, &str)]) -> Schema {
    let builder = Schema::builder()
        .column("p", DataType::INT)
        .column("k", DataType::BIGINT)
        .column("v", DataType::BIGINT)
        .column("note", DataType::STRING)
        .partition_by(["p"])
        .primary_key(["p", "k"])
        .option("write-only", "true")
        .option("deletion-vectors.enabled", "true")
        .option("num-sorted-run.compaction-trigger", "3")
        .option("target-file-row-num", "200")
        .option("parquet.page.row.count.limit", "50");
    options.iter().fold(builder, |builder, (key, value)| builder.option(*key, *value)).build().unwrap()
}

async fn rows(table: &Table) -> Vec<String> {
    as_set(all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap())
}

/// Vectors of the newest snapshot, by data file; each must be of a live file.
async fn sound_vectors(table: &Table) -> BTreeMap<String, i64> {
    let history = table.history();
    let snapshot = history.snapshots.latest().await.unwrap().unwrap();
    let live = history.manifests.live_files(&snapshot, &forebay::history::FileFilter::default()).await.unwrap();
    let names: std::collections::BTreeSet<_> = live.iter().map(|entry| entry.file.file_name.clone()).collect();
    let Some(name) = &snapshot.index_manifest else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    for entry in history.manifests.index(name).await.unwrap().iter() {
        assert!(table.store().exists(&format!("index/{}", entry.file_name)).await.unwrap(), "{}", entry.file_name);
        for range in entry.deletion_vectors.iter().flatten() {
            assert!(names.contains(&range.data_file), "a vector dangles: {}", range.data_file);
            found.insert(range.data_file.clone(), range.cardinality.unwrap());
        }
    }
    found
}

#[tokio::test]
async fn compaction_masks_what_it_leaves_above_and_readers_see_the_newest_rows_without_merging() {
    let cases: [&[(&str, &str)]; 6] = [
        &[("bucket", "1")],
        &[("bucket", "2"), ("deletion-vectors.bitmap64", "true")],
        &[("bucket", "1"), ("sequence.field", "v")],
        &[("bucket", "1"), ("changelog-producer", "input"), ("index-file-in-data-file-dir", "false")],
        &[("bucket", "1"), ("merge-engine", "aggregation"), ("fields.v.aggregate-function", "sum")],
        &[("bucket", "2"), ("merge-engine", "partial-update"), ("ignore-delete", "true")],
    ];
    let (mut masked, mut raw) = (0, 0);
    for (seed, options) in cases.into_iter().enumerate() {
        let what = format!("seed {seed}, {options:?}");
        let mut random = seed as u64 + 11;
        let place = tempfile::tempdir().unwrap();
        let table = Table::create(place.path().join("t").to_str().unwrap(), keyed(options), []).await.unwrap();
        let plain = Schema { options: keyed(options).options, ..keyed(options) };
        let mut oracle_schema = plain.clone();
        oracle_schema.options.remove("deletion-vectors.enabled");
        let oracle = Table::create(place.path().join("oracle").to_str().unwrap(), oracle_schema, []).await.unwrap();
        let seen = table.clone().with_options([("deletion-vectors.merge-on-read", "true")]).unwrap();
        for commit in 0..24 {
            let changes: Vec<(RowKind, Row)> = (0..if commit == 0 { 1500 } else { 1 + chosen(&mut random, 120) })
                .map(|at| change(&mut random, commit * 1000 + at as i64, options))
                .collect();
            for table in [&table, &oracle] {
                let mut writer = table.writer().await.unwrap();
                writer.write(&crate::support::changes(table.schema(), &changes)).await.unwrap();
                writer.commit().await.unwrap();
            }
            let before = rows(&seen).await;
            if chosen(&mut random, 3) > 0 {
                let full = chosen(&mut random, 6) == 0;
                let report = if full { table.compact().full() } else { table.compact() }.run().await.unwrap();
                assert_eq!(report.lost_tasks, 0, "{what}");
                // What a reader sees does not change, but that it sees level 0.
                same(&rows(&seen).await, &before, &format!("{what}, commit {commit}, full {full}"));
                same(&rows(&table).await, &before, &format!("{what}, commit {commit}, full {full}: without merging"));
                let splits = table.scan().plan().await.unwrap().splits;
                assert!(splits.iter().all(|split| split.raw), "{what}");
                raw += splits.len();
            }
            masked += sound_vectors(&table).await.values().sum::<i64>();
            same(&before, &rows(&oracle).await, &format!("{what}, commit {commit}: a table without vectors"));
        }
        table.compact().full().run().await.unwrap();
        same(&rows(&table).await, &rows(&oracle).await, &format!("{what}: at the end"));
        assert_eq!(sound_vectors(&table).await, BTreeMap::new(), "{what}: everything was rewritten");
    }
    assert!(masked > 1000 && raw > 20, "{masked} rows masked, {raw} raw splits: nothing was tested");
}

/// Equal rows, or a panic that tells the first differences.
fn same(found: &[String], wanted: &[String], what: &str) {
    let missing: Vec<_> = wanted.iter().filter(|row| !found.contains(row)).take(3).collect();
    let extra: Vec<_> = found.iter().filter(|row| !wanted.contains(row)).take(3).collect();
    let counts = (found.len(), wanted.len());
    assert!(found == wanted, "{what}: {counts:?} rows; missing {missing:#?}, too many {extra:#?}");
}

/// A random change of few keys of few partitions. Retractions come where they mean the same however often versions are
/// merged: a tombstone that a compaction drops no longer hides rows of a lower sequence.
fn change(random: &mut u64, n: i64, options: &[(&str, &str)]) -> (RowKind, Row) {
    let plain = !options.iter().any(|(key, _)| ["merge-engine", "sequence.field"].contains(key));
    let kind = match chosen(random, 5) {
        0 if plain => RowKind::Delete,
        1 if plain => RowKind::UpdateAfter,
        _ => RowKind::Insert,
    };
    let note = match chosen(random, 4) {
        0 => Datum::Null,
        other => Datum::String(format!("note {other} of {n}")),
    };
    let key = chosen(random, 1000) as i64;
    (kind, vec![Datum::Int((key % 2) as i32), Datum::BigInt(key), Datum::BigInt(chosen(random, 5000) as i64), note])
}
