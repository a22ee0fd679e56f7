//! Rows by primary key are the rows of a merged read: on tables written by Java, on random ones with commits in
//! between, in any memory, and with the requests that were promised.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use forebay::format::{BinaryRow, DataFileMeta, DeletionVector, encode_schema};
use forebay::io::{CountingStore, Op, TableStore};
use forebay::lookup::{LookupCache, OldPlace, OldVersions, TableLookup};
use forebay::scan::{At, FileVectors};
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind, TypeKind};
use forebay::{Clock, Env, Error, Table};

use crate::goldens::{defined, each_golden, open, snapshots};
use crate::support::{Row, all_rows, as_set, changes, comparable, lanes, rows_of};

/// The primary key of a row, in the key's order.
fn key_of(schema: &Schema, row: &Row) -> Row {
    schema.positions(&schema.primary_keys).unwrap().into_iter().map(|at| row[at].clone()).collect()
}

/// Rows as a batch of their primary keys.
fn keys(schema: &Schema, rows: &[Row]) -> RecordBatch {
    lanes(schema, rows).project(&schema.positions(&schema.primary_keys).unwrap()).unwrap()
}

/// Looks up `asked` (whole rows, whose keys count) at once, some of them one by one, and compares with `truth`.
async fn check(what: &str, lookup: &TableLookup, asked: &[Row], truth: &[Row]) -> Result<(), Error> {
    let schema = lookup.schema();
    let by_key: BTreeMap<String, &Row> = truth.iter().map(|row| (format!("{:?}", key_of(&schema, row)), row)).collect();
    let wanted: Vec<Option<&Row>> =
        asked.iter().map(|row| by_key.get(&format!("{:?}", key_of(&schema, row))).copied()).collect();
    let found = lookup.get(&keys(&schema, asked)).await?;
    let rows = rows_of(&schema, &found.rows);
    assert_eq!(found.found.len(), asked.len());
    assert_eq!(found.found.true_count(), rows.len());
    for ((place, wanted), asked) in found.places().into_iter().zip(&wanted).zip(asked) {
        let row = place.map(|place| &rows[place]);
        assert_eq!(format!("{row:?}"), format!("{wanted:?}"), "{what}: {:?} in a batch", key_of(&schema, asked));
    }
    // Some of them alone, cold and warm.
    let step = (asked.len() / 40).max(1);
    for round in ["once", "again"] {
        for (asked, wanted) in asked.iter().zip(&wanted).step_by(step) {
            let key = key_of(&schema, asked);
            let row = lookup.get_one(&key).await?.map(|row| comparable(&schema, row));
            assert_eq!(format!("{:?}", row.as_ref()), format!("{wanted:?}"), "{what}: {key:?} alone, {round}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_key_of_every_snapshot_is_found_as_java_reads_it() {
    each_golden("lookups", |name, dir| async move {
        let table = open(&dir).await?;
        if !table.schema().has_primary_key() {
            assert!(matches!(table.lookup().open().await, Err(Error::Invalid(_))));
            return Err(Error::Unsupported("lookups need a primary key".to_string()));
        }
        let mut truth = Vec::new();
        for snapshot in snapshots(&dir) {
            let scan = table.scan().at(At::Snapshot(snapshot)).wide_timestamps();
            let schema = scan.plan().await?.schema;
            truth.push((snapshot, schema.clone(), all_rows(&schema, scan.read().await?).await?));
        }
        for budget in [16 << 20, 1 << 10] {
            let cache = LookupCache::new(budget)?;
            for (at, (snapshot, schema, rows)) in truth.iter().enumerate() {
                // Keys of this snapshot and of those beside it that have the same columns, some of which are gone.
                let beside = truth[at.saturating_sub(1)..].iter().take(3).filter(|(_, other, _)| other.id == schema.id);
                let mut seen = BTreeSet::new();
                let asked: Vec<Row> =
                    beside.flat_map(|(_, _, rows)| rows.clone()).filter(|row| defined(&name, row)).collect();
                let asked: Vec<Row> =
                    asked.into_iter().filter(|row| seen.insert(format!("{:?}", key_of(schema, row)))).collect();
                if asked.is_empty() || (budget == 1 << 10 && at % 3 != 0) {
                    continue;
                }
                let lookup = table.lookup().at(At::Snapshot(*snapshot)).cache(&cache).wide_timestamps().open().await?;
                check(&format!("{name} at {snapshot}, {budget} bytes"), &lookup, &asked, rows).await?;
                assert!(cache.memory() <= budget, "{} of {budget} bytes", cache.memory());
            }
        }
        Ok(())
    })
    .await;
}

/// A table in memory whose requests are counted.
async fn counted(schema: Schema) -> (Table, CountingStore) {
    let mut counting = None;
    let store = TableStore::memory(&Env::system()).wrapped(|inner| {
        let store = CountingStore::new(inner);
        counting = Some(store.clone());
        Arc::new(store)
    });
    (Table::create_store(store, schema).await.unwrap(), counting.unwrap())
}

fn numbers() -> Schema {
    Schema::builder()
        .column("id", DataType::BIGINT)
        .column("name", DataType::STRING)
        .column("amount", DataType::decimal(12, 2))
        .primary_key(["id"])
        .option("bucket", "1")
        .option("parquet.page.row.count.limit", "1000")
        .build()
        .unwrap()
}

fn number(id: i64, version: i64) -> Row {
    let name = if id % 7 == 0 { Datum::Null } else { Datum::String(format!("{id}-{version}-{}", "x".repeat(40))) };
    vec![Datum::BigInt(id), name, Datum::Decimal(i128::from(id * 100 + version))]
}

async fn commit(table: &Table, rows: &[(RowKind, Row)]) {
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), rows)).await.unwrap();
    writer.commit().await.unwrap().snapshot_id().unwrap();
}

fn upserts(ids: impl Iterator<Item = i64>, version: i64) -> Vec<(RowKind, Row)> {
    ids.map(|id| (RowKind::Insert, number(id, version))).collect()
}

#[tokio::test]
async fn a_cold_lookup_makes_few_requests_and_a_warm_one_none() {
    let (table, counting) = counted(numbers()).await;
    commit(&table, &upserts((0..60_000).map(|id| id * 2), 1)).await;
    let lookup = Table::open_store(table.store().clone()).await.unwrap().lookup().open().await.unwrap();
    counting.reset();
    let key = [Datum::BigInt(77_778)];
    assert_eq!(lookup.get_one(&key).await.unwrap(), Some(number(77_778, 1)));
    let cold = counting.reset();
    // The footer with the page index, one key page, one page of each other column.
    assert!(cold.total() <= 5, "{cold}");
    assert_eq!(lookup.get_one(&key).await.unwrap(), Some(number(77_778, 1)));
    // Between two keys of the same page.
    assert_eq!(lookup.get_one(&[Datum::BigInt(77_779)]).await.unwrap(), None);
    assert_eq!(lookup.get_one(&[Datum::BigInt(77_780)]).await.unwrap(), Some(number(77_780, 1)));
    assert_eq!(counting.reset().total(), 0, "warm");
    assert_eq!(lookup.get_one(&[Datum::BigInt(-1)]).await.unwrap(), None);
    assert_eq!(lookup.get_one(&[Datum::BigInt(1 << 40)]).await.unwrap(), None);
    assert_eq!(counting.reset().total(), 0, "outside of every file");
    assert!(!lookup.refresh().await.unwrap());
    assert_eq!(counting.reset().total(), 1, "nothing new");

    commit(&table, &[(RowKind::Insert, number(77_778, 2)), (RowKind::Delete, number(4, 2))]).await;
    assert_eq!(lookup.get_one(&key).await.unwrap(), Some(number(77_778, 1)), "the old snapshot");
    assert!(lookup.refresh().await.unwrap());
    counting.reset();
    assert_eq!(lookup.get_one(&key).await.unwrap(), Some(number(77_778, 2)));
    assert_eq!(lookup.get_one(&[Datum::BigInt(4)]).await.unwrap(), None, "deleted");
    let small = counting.reset();
    assert_eq!(small.of(Op::Get), 1, "the new file is small: {small}");
    assert_eq!(lookup.get_one(&[Datum::BigInt(77_780)]).await.unwrap(), Some(number(77_780, 1)));
    assert_eq!(counting.reset().total(), 0, "the old file is still warm");
}

/// A row that is kept whole is that of the table's columns, whatever another handle of the cache shows.
#[tokio::test]
async fn handles_that_share_a_cache_show_each_their_own_columns() {
    let (table, _) = counted(numbers()).await;
    commit(&table, &upserts(0..10, 1)).await;
    let cache = LookupCache::new(4 << 20).unwrap();
    let key = [Datum::BigInt(5)];
    let [id, name, amount] = <[Datum; 3]>::try_from(number(5, 1)).unwrap();
    for (select, wanted) in [
        (["id", "id", "amount"], [&id, &id, &amount]),
        (["name", "name", "name"], [&name, &name, &name]),
        (["id", "name", "amount"], [&id, &name, &amount]),
        (["amount", "name", "id"], [&amount, &name, &id]),
    ] {
        let lookup = table.lookup().select(select).cache(&cache).open().await.unwrap();
        for round in ["cold", "warm"] {
            let row = lookup.get_one(&key).await.unwrap().unwrap();
            assert_eq!(row.iter().collect::<Vec<_>>(), wanted, "{select:?}, {round}");
        }
    }
}

#[tokio::test]
async fn memory_stays_in_its_budget_however_much_is_read() {
    let (table, _) = counted(numbers()).await;
    for version in 0..3 {
        commit(&table, &upserts((0..20_000).map(|id| id * 3 + version), version)).await;
    }
    for budget in [1_u64, 100 << 10, 1 << 20] {
        let lookup = table.lookup().memory(budget).open().await.unwrap();
        let asked: Vec<Row> = (0..60_000).step_by(37).map(|id| number(id, 0)).collect();
        let found = lookup.get(&keys(table.schema(), &asked)).await.unwrap();
        let rows = rows_of(table.schema(), &found.rows);
        let wanted = asked.iter().map(|row| match row[0] {
            Datum::BigInt(id) => number(id, id % 3),
            _ => unreachable!(),
        });
        assert_eq!(as_set(rows), as_set(wanted));
        for id in (0..60_000).step_by(1777) {
            assert_eq!(lookup.get_one(&[Datum::BigInt(id)]).await.unwrap(), Some(number(id, id % 3)));
            assert!(lookup.cache().memory() <= budget, "{} of {budget}", lookup.cache().memory());
        }
    }
}

#[tokio::test]
async fn a_disk_cache_spares_the_store_and_outlives_the_process() {
    let (table, counting) = counted(numbers()).await;
    commit(&table, &upserts(0..60_000, 1)).await;
    let directory = tempfile::tempdir().unwrap();
    let open = || async {
        let table = Table::open_store(table.store().clone()).await.unwrap();
        table.lookup().disk(directory.path(), 10 << 20).open().await.unwrap()
    };
    let key = [Datum::BigInt(30_000)];
    assert_eq!(open().await.get_one(&key).await.unwrap(), Some(number(30_000, 1)));
    let again = open().await;
    counting.reset();
    assert_eq!(again.get_one(&key).await.unwrap(), Some(number(30_000, 1)));
    let counts = counting.reset();
    assert_eq!(counts.total(), 0, "{counts}");
}

#[tokio::test]
async fn keys_that_are_none_are_named() {
    let (table, _) = counted(numbers()).await;
    let empty = table.lookup().open().await.unwrap();
    assert_eq!(empty.get_one(&[Datum::BigInt(1)]).await.unwrap(), None, "no snapshot, no row");
    assert!(!empty.refresh().await.unwrap());
    commit(&table, &upserts(0..10, 1)).await;
    assert!(empty.refresh().await.unwrap());
    assert_eq!(empty.get_one(&[Datum::BigInt(1)]).await.unwrap(), Some(number(1, 1)));
    let all = lanes(table.schema(), &[number(1, 1)]);
    for (wrong, word) in [
        (empty.get_one(&[]).await.unwrap_err(), "0 values"),
        (empty.get_one(&[Datum::Int(1)]).await.unwrap_err(), "key column id"),
        (empty.get_one(&[Datum::Null]).await.unwrap_err(), "NOT NULL"),
        (empty.get(&all).await.unwrap_err(), "no column \"name\""),
        (empty.get(&all.project(&[]).unwrap()).await.unwrap_err(), "columns id"),
    ] {
        assert!(matches!(&wrong, Error::Invalid(text) if text.contains(word)), "{wrong}");
    }
    let table = table.with_options([("lookup.cache-max-memory-size", "1 mb")]).unwrap();
    assert_eq!(table.lookup().open().await.unwrap().cache().budget(), 1 << 20);
    let columns = table.lookup().select(["amount", "id"]).open().await.unwrap();
    assert_eq!(columns.get_one(&[Datum::BigInt(3)]).await.unwrap(), Some(vec![Datum::Decimal(301), Datum::BigInt(3)]));
    assert!(matches!(table.lookup().select(["amonut"]).open().await, Err(Error::Invalid(_))));
    assert!(matches!(table.lookup().at(At::Snapshot(7)).open().await, Err(Error::NotFound(_))));
}

const LONG: &str = "a text that is longer than the bounds of a page keep, which are cut behind sixty-four bytes ";

#[tokio::test]
async fn old_versions_are_those_of_the_first_level_that_has_them() {
    let (table, _) = counted(numbers()).await;
    commit(&table, &upserts(0..3000, 1)).await;
    commit(&table, &upserts((0..3000).step_by(3), 2)).await;
    let gone: Vec<_> = (0..3000).step_by(9).map(|id| (RowKind::Delete, number(id, 3))).collect();
    commit(&table, &gone).await;
    let snapshot = table.history().snapshots.latest().await.unwrap().unwrap();
    let entries = table.history().manifests.live_files(&snapshot, &Default::default()).await.unwrap();
    // As if compactions had put the flushes into levels 5, 3 and 1.
    let levels = [5, 3, 1];
    let mut files: Vec<Arc<DataFileMeta>> = entries.iter().map(|entry| Arc::clone(&entry.file)).collect();
    files.sort_by_key(|file| file.min_sequence_number);
    assert_eq!(files.len(), 3);
    for (file, level) in files.iter_mut().zip(levels) {
        *file = Arc::new(DataFileMeta { level, ..DataFileMeta::clone(file) });
    }
    let mut vectors = FileVectors::new();
    let mut masked = DeletionVector::new();
    masked.mask(0).unwrap();
    vectors.insert(files[2].file_name.clone(), Arc::new(masked));

    let cache = LookupCache::new(4 << 20).unwrap();
    let old = |vectors: &FileVectors| {
        let (history, schema) = (table.history(), table.schema());
        OldVersions::new(history, schema, &cache, &BinaryRow::empty(), 0, &files, vectors).unwrap()
    };
    let ids = [2999_i64, 9, 0, 7, 6, -5, 4000, 9];
    let keys: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    for (vectors, level_of_0) in [(FileVectors::new(), 1), (vectors, 3)] {
        let old = old(&vectors);
        let found = old.find(std::slice::from_ref(&keys), &[2, 0]).await.unwrap();
        let by_key = found.by_key(ids.len());
        let level = |key: usize| {
            let row = by_key[key]? as usize;
            old.files().nth(found.files[row] as usize).map(|file| file.level)
        };
        assert_eq!([0, 1, 2, 3, 4].map(level), [Some(5), Some(1), Some(level_of_0), Some(5), Some(3)]);
        assert_eq!([5, 6, 7].map(level), [None; 3], "absent keys, and a second 9 that stands for the first");
        assert_eq!(found.columns[1].as_primitive::<Int64Type>().values().to_vec(), [0, 6, 7, 9, 2999]);
        let row = by_key[1].unwrap() as usize;
        assert_eq!((found.positions[row], found.kinds.value(row)), (1, RowKind::Delete as i8));
        let row = by_key[4].unwrap() as usize;
        assert_eq!((found.positions[row], found.kinds.value(row)), (2, RowKind::Insert as i8));
        assert_eq!(found.columns[0].as_primitive::<Decimal128Type>().value(row), 602);
        assert!(found.sequence.values().iter().all(|number| *number >= 0));
        let places = old.locate(std::slice::from_ref(&keys)).await.unwrap();
        let same = found.keys.iter().zip(&found.files).zip(&found.positions);
        let same = same.map(|((key, file), position)| OldPlace { key: *key, file: *file, position: *position });
        assert_eq!(places, same.collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn damaged_files_give_errors_or_the_truth_and_never_panic() {
    let place = tempfile::tempdir().unwrap();
    let table = Table::create(place.path().to_str().unwrap(), numbers(), []).await.unwrap();
    commit(&table, &upserts(0..50, 1)).await;
    let directory = place.path().join("bucket-0");
    let path = std::fs::read_dir(&directory).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&path).unwrap();
    let (mut errors, mut rows) = (0, 0);
    for at in (0..whole.len()).step_by(7) {
        for flip in [0x01, 0x80, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= flip;
            std::fs::write(&path, bytes).unwrap();
            let lookup = table.lookup().open().await.unwrap();
            match lookup.get_one(&[Datum::BigInt(17)]).await {
                Ok(_) => rows += 1,
                Err(Error::Corrupt { .. } | Error::Unsupported(_)) => errors += 1,
                Err(other) => panic!("byte {at} ^ {flip}: {other}"),
            }
        }
    }
    assert!(errors > 0 && rows > 0, "{errors} errors, {rows} rows");
    std::fs::remove_file(&path).unwrap();
    let lookup = table.lookup().open().await.unwrap();
    assert!(matches!(lookup.get_one(&[Datum::BigInt(17)]).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn a_lookup_whose_snapshot_is_gone_finds_the_newest_again() {
    let place = tempfile::tempdir().unwrap();
    let table = Table::create(place.path().to_str().unwrap(), numbers(), []).await.unwrap();
    commit(&table, &upserts(0..50, 1)).await;
    let lookup = table.lookup().open().await.unwrap();
    let old = std::fs::read_dir(place.path().join("bucket-0")).unwrap().next().unwrap().unwrap().path();
    for version in 2..5 {
        commit(&table, &upserts(0..50, version)).await;
    }
    // As an expiry that kept one snapshot would leave it.
    for id in 1..4 {
        std::fs::remove_file(place.path().join(format!("snapshot/snapshot-{id}"))).unwrap();
    }
    std::fs::write(place.path().join("snapshot/EARLIEST"), "4").unwrap();
    let kept = std::fs::read(&old).unwrap();
    std::fs::remove_file(&old).unwrap();
    assert!(matches!(lookup.get_one(&[Datum::BigInt(3)]).await, Err(Error::NotFound(_))));
    std::fs::write(&old, kept).unwrap();
    assert!(lookup.refresh().await.unwrap());
    assert_eq!(lookup.snapshot_id(), Some(4));
    assert_eq!(lookup.get_one(&[Datum::BigInt(3)]).await.unwrap(), Some(number(3, 4)));
}

/// A clock that stands still until it is told to go on.
#[derive(Default)]
struct StillClock(AtomicU64);

impl Clock for StillClock {
    fn now_millis(&self) -> i64 {
        self.0.load(Ordering::Relaxed) as i64
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn local_offset_seconds(&self, _: i64) -> i32 {
        0
    }

    fn sleep(&self, duration: Duration) -> futures::future::BoxFuture<'static, ()> {
        self.0.fetch_add(duration.as_millis() as u64, Ordering::Relaxed);
        Box::pin(std::future::ready(()))
    }
}

/// Found by review: the lookup loaded the older snapshot, and stayed where it was for ever.
#[tokio::test]
async fn a_lookup_goes_back_with_a_table_that_was_rolled_back() {
    let clock = Arc::new(StillClock::default());
    let store = TableStore::memory(&Env::seeded(1, Arc::clone(&clock) as Arc<dyn Clock>));
    let table = Table::create_store(store, numbers()).await.unwrap();
    for version in 1..=5 {
        commit(&table, &upserts(0..50, version)).await;
    }
    let key = [Datum::BigInt(3)];
    let lookup = table.lookup().open().await.unwrap();
    assert_eq!((lookup.snapshot_id(), lookup.get_one(&key).await.unwrap()), (Some(5), Some(number(3, 5))));
    let roll_back = async |to: i64| {
        for id in (to + 1..=5).rev() {
            table.store().delete(&format!("snapshot/snapshot-{id}")).await.unwrap();
        }
        table.store().replace("snapshot/LATEST", to.to_string().into()).await.unwrap();
        clock.sleep(Duration::from_secs(60)).await;
    };
    roll_back(3).await;
    assert!(lookup.refresh().await.unwrap());
    assert_eq!((lookup.snapshot_id(), lookup.get_one(&key).await.unwrap()), (Some(3), Some(number(3, 3))));
    assert!(!lookup.refresh().await.unwrap(), "it is the newest");

    // The same number once more, for another snapshot.
    for version in [14, 15] {
        commit(&table, &upserts(0..50, version)).await;
    }
    assert!(lookup.refresh().await.unwrap());
    assert_eq!((lookup.snapshot_id(), lookup.get_one(&key).await.unwrap()), (Some(5), Some(number(3, 15))));
    roll_back(4).await;
    commit(&table, &upserts(0..50, 25)).await;
    assert!(lookup.refresh().await.unwrap());
    assert_eq!((lookup.snapshot_id(), lookup.get_one(&key).await.unwrap()), (Some(5), Some(number(3, 25))));
    clock.sleep(Duration::from_secs(60)).await;
    assert!(!lookup.refresh().await.unwrap(), "it is the newest");
}

#[tokio::test]
async fn a_refresh_follows_new_columns() {
    let (table, _) = counted(numbers()).await;
    commit(&table, &upserts(0..10, 1)).await;
    let lookup = table.lookup().open().await.unwrap();
    assert_eq!(lookup.get_one(&[Datum::BigInt(1)]).await.unwrap(), Some(number(1, 1)));
    let wider = Schema::builder()
        .column("id", DataType::BIGINT)
        .column("name", DataType::STRING)
        .column("amount", DataType::decimal(12, 2))
        .column("more", DataType::INT)
        .primary_key(["id"])
        .option("bucket", "1");
    let wider = Schema { id: 1, ..wider.build().unwrap() };
    table.store().write("schema/schema-1", encode_schema(&wider).unwrap()).await.unwrap();
    let evolved = Table::open_store(table.store().clone()).await.unwrap();
    let row = |id, more: Datum| number(id, 1).into_iter().chain([more]).collect::<Row>();
    commit(&evolved, &[(RowKind::Insert, row(20, Datum::Int(5)))]).await;
    assert!(lookup.refresh().await.unwrap());
    assert_eq!(lookup.shown_schema().fields().len(), 4);
    assert_eq!(lookup.get_one(&[Datum::BigInt(1)]).await.unwrap(), Some(row(1, Datum::Null)));
    assert_eq!(lookup.get_one(&[Datum::BigInt(20)]).await.unwrap(), Some(row(20, Datum::Int(5))));
}

/// One number after another, from a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Random tables: keys of one and several columns, partitions, buckets, sequence columns, deletes; after each commit
/// random keys are looked up in a lookup that follows, in little and in much memory.
#[tokio::test]
async fn random_tables_are_looked_up_as_they_are_read() {
    for seed in 0..10_u64 {
        let mut dice = Dice(seed + 1);
        let mut builder = Schema::builder();
        let mut key = Vec::new();
        let kinds = [DataType::INT, DataType::STRING, DataType::DOUBLE, DataType::BIGINT, DataType::timestamp(9)];
        for column in 0..=dice.roll(3) {
            let name = format!("k{column}");
            builder = builder.column(&name, kinds[((seed + column) % 5) as usize].clone());
            key.push(name);
        }
        let partitioned = dice.roll(2) == 0;
        if partitioned {
            builder = builder.column("day", DataType::DATE).partition_by(["day"]);
            key.push("day".to_string());
        }
        builder = builder.column("v", DataType::INT).column("text", DataType::STRING).primary_key(key);
        builder = builder.option("bucket", (1 + dice.roll(3)).to_string()).option("parquet.page.row.count.limit", "16");
        if dice.roll(3) == 0 {
            builder = builder.option("sequence.field", "v");
        }
        if dice.roll(4) == 0 {
            builder = builder.option("ignore-delete", "true");
        }
        let (table, _) = counted(builder.build().unwrap()).await;
        let schema = table.schema().clone();
        let small = table.lookup().memory(4096).wide_timestamps().open().await.unwrap();
        let large = table.lookup().wide_timestamps().open().await.unwrap();
        let space = 150;
        let row = |dice: &mut Dice| -> Row {
            let id = dice.roll(space) as i32;
            let cells = schema.fields.iter().map(|field| match field.name.as_str() {
                "v" => Datum::Int(dice.roll(50) as i32),
                "text" => {
                    if dice.roll(5) == 0 {
                        Datum::Null
                    } else {
                        Datum::String("t".repeat(dice.roll(30) as usize))
                    }
                }
                "day" => Datum::Date(id % 3),
                // The first key column repeats itself, so that many blocks begin with one value.
                name => {
                    let id = if name == "k0" && schema.primary_keys.len() > 1 { id / 40 } else { id };
                    cell(field.data_type.clone(), id)
                }
            });
            cells.collect()
        };
        for _ in 0..4 {
            let mut batch = Vec::new();
            for _ in 0..20 + dice.roll(120) {
                let kind = if dice.roll(6) == 0 { RowKind::Delete } else { RowKind::Insert };
                batch.push((kind, row(&mut dice)));
            }
            commit(&table, &batch).await;
            let truth = all_rows(&schema, table.scan().wide_timestamps().read().await.unwrap()).await.unwrap();
            let mut asked: Vec<Row> = (0..40).map(|_| row(&mut dice)).collect();
            asked.push(asked[0].clone());
            for lookup in [&small, &large] {
                assert!(lookup.refresh().await.unwrap());
                check(&format!("seed {seed}"), lookup, &asked, &truth).await.unwrap();
                assert!(lookup.cache().memory() <= lookup.cache().budget());
            }
        }
    }
}

fn cell(data_type: DataType, id: i32) -> Datum {
    match data_type.kind {
        TypeKind::Int => Datum::Int(id - 70),
        TypeKind::VarChar(_) => Datum::String(format!("{}{id}", if id % 2 == 0 { "" } else { LONG })),
        TypeKind::Double => Datum::Double(match id {
            0 => f64::NAN,
            1 => -0.0,
            2 => 0.0,
            3 => f64::NEG_INFINITY,
            id => f64::from(id - 70) / 8.0,
        }),
        TypeKind::BigInt => Datum::BigInt(i64::from(id - 70) << 33),
        _ => Datum::Timestamp { millis: i64::from(id - 70) * 1_000_000_007, nanos: id },
    }
}
