//! Bytes that rot: every metadata file and a data file of a small table, flipped and cut everywhere.
//!
//! Whatever is read of a damaged table is an error that names a file, or the rows of before. `FOREBAY_BYTES=all` tries
//! every byte; otherwise a part of them that the seed chooses.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use forebay::io::{PathClass, TableStore};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::support::{as_set, batch, block_on, commit_changes, each_seed, files_of, read_at, read_changes, seeded_env};

/// What a read showed, by its name.
type Seen = BTreeMap<String, Result<Vec<String>, Error>>;

/// Everything that can be read of a table.
async fn look(store: &TableStore, snapshots: &[i64]) -> Seen {
    let table = match Table::open_store(store.clone()).await {
        Ok(table) => table,
        Err(error) => return BTreeMap::from([("open".to_string(), Err(error))]),
    };
    let mut seen = BTreeMap::new();
    for id in snapshots {
        seen.insert(format!("rows at {id}"), read_at(&table, At::Snapshot(*id)).await.map(as_set));
    }
    seen.insert("rows".to_string(), read_at(&table, At::Latest).await.map(as_set));
    seen.insert("changes".to_string(), read_changes(&table).await.map(as_set));
    let consumers = table.history().consumers.list().await;
    seen.insert("consumers".to_string(), consumers.map(as_set));
    seen
}

/// What became of the reads.
#[derive(Default)]
struct Found {
    errors: u64,
    same: u64,
    /// Reads that showed something else, by file class.
    wrong: BTreeMap<String, Vec<String>>,
    /// Errors that name no file, and panics.
    bad: Vec<String>,
}

/// Options are known by their own names.
fn names_a_file(text: &str) -> bool {
    text.contains("invalid: option ")
        || ["snapshot/", "manifest/", "schema/", "bucket-", "consumer/"]
            .iter()
            .any(|directory| text.contains(directory))
}

impl Found {
    fn judge(&mut self, path: &str, how: &str, pristine: &Seen, seen: Seen) {
        let class = PathClass::of(path).to_string();
        for (what, result) in seen {
            match result {
                Err(error @ Error::Bug(_)) => self.bad.push(format!("{path}, {how}, {what}: {error}")),
                Err(error) if names_a_file(&error.to_string()) => self.errors += 1,
                Err(error) => self.bad.push(format!("{path}, {how}, {what}: names no file: {error}")),
                Ok(rows) if pristine[&what].as_ref() == Ok(&rows) => self.same += 1,
                Ok(rows) => {
                    let text = format!("{path}, {how}, {what}: {} rows", rows.len());
                    self.wrong.entry(class.clone()).or_default().push(text);
                }
            }
        }
    }
}

/// The places of a file that are damaged.
fn places(length: usize, seed: u64, most: usize) -> Vec<usize> {
    if std::env::var("FOREBAY_BYTES").is_ok_and(|bytes| bytes == "all") {
        return (0..length).collect();
    }
    let step = length.div_ceil(most).max(1);
    (seed as usize % step..length).step_by(step).collect()
}

/// Where an Avro file's header ends: what is cut there is a whole file of no records.
fn header_end(bytes: &[u8]) -> Option<usize> {
    let sync = bytes.starts_with(b"Obj\x01").then(|| &bytes[bytes.len() - 16..])?;
    bytes.windows(16).position(|window| window == sync).map(|at| at + 16)
}

async fn damage_all(store: &TableStore, seed: u64) -> Found {
    let files = files_of(store).await;
    let table = Table::open_store(store.clone()).await.unwrap();
    let snapshots = table.history().snapshots.ids().await.unwrap();
    let pristine = look(store, &snapshots).await;
    assert!(pristine.values().all(Result::is_ok), "{pristine:?}");
    let mut found = Found::default();
    let one_data_file = files.keys().find(|path| path.contains("/data-")).cloned();
    for (path, bytes) in &files {
        if path.contains("bucket-") && Some(path) != one_data_file.as_ref() {
            continue;
        }
        let flip = |at: usize, mask: u8| {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= mask;
            (format!("byte {at} ^ {mask:#x}"), Bytes::from(damaged))
        };
        let flips = places(bytes.len(), seed, 20).into_iter();
        let flips = flips.map(|at| flip(at, [0xFF, 1, 0x20, 0x80][(at + seed as usize) % 4]));
        let mut cuts = places(bytes.len(), seed, 8);
        cuts.extend(header_end(bytes));
        let cuts = cuts.into_iter();
        let cuts = cuts.map(|length| (format!("cut to {length}"), bytes.slice(..length)));
        for (how, damaged) in flips.chain(cuts) {
            store.write(path, damaged).await.unwrap();
            let seen = tokio::time::timeout(Duration::from_secs(60), look(store, &snapshots)).await;
            found.judge(path, &how, &pristine, seen.unwrap_or_else(|_| panic!("{path}, {how}: a read hangs")));
        }
        store.write(path, bytes.clone()).await.unwrap();
    }
    assert_eq!(files_of(store).await, files, "reading changed the table");
    found
}

async fn our_table(seed: u64) -> TableStore {
    let schema = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("day", DataType::INT.not_null())
        .column("v", DataType::STRING)
        .partition_by(["day"])
        .primary_key(["id", "day"])
        .option("bucket", "1")
        .option("changelog-producer", "input");
    let store = TableStore::memory(&seeded_env(seed));
    let table = Table::create_store(store.clone(), schema.build().unwrap()).await.unwrap();
    for identifier in 1..=3 {
        let row = |id: i64| vec![Datum::BigInt(id), Datum::Int(0), Datum::String(format!("{id} of {identifier}"))];
        let changes: Vec<_> = (identifier..identifier + 6).map(|id| (RowKind::Insert, row(id))).collect();
        commit_changes(&table, "w", identifier, &changes).await;
    }
    // A writer that only says what is gone.
    let mut writer = table.stream_writer("w").await.unwrap();
    let gone = vec![(RowKind::Delete, vec![Datum::BigInt(1), Datum::Int(0), Datum::Null])];
    writer.write(&batch(table.schema(), &gone)).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    table.committer("w").unwrap().commit(4, messages, Default::default()).await.unwrap();
    table.history().consumers.store("reader", 2).await.unwrap();
    store
}

async fn golden(name: &str, seed: u64) -> TableStore {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name).join("table");
    let env = seeded_env(seed);
    let disk = TableStore::local(directory, &env).unwrap();
    let store = TableStore::memory(&env);
    for (path, bytes) in files_of(&disk).await {
        store.write(&path, bytes).await.unwrap();
    }
    store
}

fn report(what: &str, found: &Found) {
    println!("{what}: {} errors, {} reads as before", found.errors, found.same);
    for (class, reads) in &found.wrong {
        println!("  {class}: {} reads showed something else", reads.len());
        reads.iter().take(12).for_each(|read| println!("    {read}"));
    }
    assert!(found.bad.is_empty(), "{}: {:#?}", found.bad.len(), &found.bad[..found.bad.len().min(20)]);
    // Values that no checksum of the format covers and that are as good as others: a consumer's one number, and the
    // pages of a data file. Snapshots, schemas, lists and manifests must never tell something else.
    let covered: Vec<_> = found.wrong.iter().filter(|(class, _)| !["data", "note"].contains(&class.as_str())).collect();
    assert!(covered.is_empty(), "{covered:#?}");
    assert!(found.errors > 0 && found.same > 0);
}

#[test]
fn a_damaged_table_of_ours_is_refused_or_reads_as_before() {
    each_seed("a_damaged_table_of_ours", 1, |seed| {
        report("ours", &block_on(async { damage_all(&our_table(seed).await, seed).await }));
    });
}

#[test]
fn a_damaged_table_of_java_is_refused_or_reads_as_before() {
    each_seed("a_damaged_table_of_java", 1, |seed| {
        report("dedup_plain", &block_on(async { damage_all(&golden("dedup_plain", seed).await, seed).await }));
    });
}
