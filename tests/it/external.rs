//! Files outside of a table's root: written, read, compacted and expired where it is allowed, refused anywhere else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay::commit::CommitProperties;
use forebay::io::{ALLOW_EXTERNAL, BlockCache, CacheOptions, CachedKind};
use forebay::predicate::parse;
use forebay::schema::{Schema, SchemaChange};
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::support::{Row, all_rows, as_set, changes, rows_of};

const TURNS: (&str, &str) = ("data-file.external-paths.strategy", "round-robin");

/// A directory with a table and two roots beside it.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    async fn new(options: &[(&str, &str)]) -> (Self, Table) {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        let mut schema = Schema::builder()
            .column("id", DataType::INT)
            .column("day", DataType::INT)
            .column("v", DataType::STRING)
            .partition_by(["day"])
            .option("data-file.external-paths", place.roots())
            .option(TURNS.0, TURNS.1);
        for (name, value) in options {
            schema = match *name {
                "key" => schema.primary_key(value.split(',')),
                name => schema.option(name, *value),
            };
        }
        let location = place.path("t").to_str().unwrap().to_string();
        let table = Table::create(&location, schema.build().unwrap(), place.allowed("x")).await.unwrap();
        (place, table)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn roots(&self) -> String {
        let of = |name: &str| format!("file:{}", self.path("x").join(name).display());
        format!("{},{}/", of("a"), of("b"))
    }

    /// The options that allow a directory beside the table.
    fn allowed(&self, name: &str) -> Vec<(String, String)> {
        vec![(ALLOW_EXTERNAL.to_string(), format!("/nowhere, {}", self.path(name).display()))]
    }

    async fn open(&self, options: Vec<(String, String)>) -> Table {
        Table::open(self.path("t").to_str().unwrap(), options).await.unwrap()
    }

    fn files(&self, below: &str) -> BTreeMap<PathBuf, u64> {
        let mut files = BTreeMap::new();
        walk(&self.path(below), &mut files);
        files
    }

    /// Data files and what lies beside them, inside and outside.
    fn data(&self) -> (usize, usize) {
        let in_buckets = |path: &PathBuf| path.components().any(|part| part.as_os_str() == "bucket-0");
        let count = |below: &str| self.files(below).keys().filter(|path| in_buckets(path)).count();
        (count("t"), count("x"))
    }
}

fn walk(directory: &Path, files: &mut BTreeMap<PathBuf, u64>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => walk(&entry.path(), files),
            false => drop(files.insert(entry.path(), entry.metadata().unwrap().len())),
        }
    }
}

fn row(id: i32, v: &str) -> Row {
    vec![Datum::Int(id), Datum::Int(id % 2), Datum::String(v.to_string())]
}

async fn commit(table: &Table, ids: std::ops::Range<i32>, v: &str) {
    let rows: Vec<_> = ids.map(|id| (RowKind::Insert, row(id, v))).collect();
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &rows)).await.unwrap();
    writer.commit().await.unwrap().snapshot_id().unwrap();
    writer.close().await.unwrap();
}

async fn read(table: &Table) -> Result<Vec<String>, Error> {
    Ok(as_set(all_rows(table.schema(), table.scan().read().await?).await?))
}

async fn changelog(table: &Table) -> Result<Vec<String>, Error> {
    let mut stream = table.changes().from(Start::Earliest).read().await?;
    let mut rows = Vec::new();
    while let Some(change) = stream.next().await? {
        rows.extend(rows_of(table.schema(), change.rows.rows()));
    }
    Ok(as_set(rows))
}

fn rows(of: &[(std::ops::Range<i32>, &str)]) -> Vec<String> {
    as_set(of.iter().flat_map(|(ids, v)| ids.clone().map(|id| row(id, v))))
}

/// A refusal that names the file's place and how to allow it.
fn refused<T: std::fmt::Debug>(place: &Place, result: Result<T, Error>) {
    match result {
        Err(Error::Unsupported(text)) => {
            assert!(text.contains(place.path("x").to_str().unwrap()) && text.contains("--allow-external"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

const KEYED: [(&str, &str); 5] = [
    ("key", "id,day"),
    ("bucket", "1"),
    ("changelog-producer", "input"),
    ("file-index.bloom-filter.columns", "v"),
    ("file-index.in-manifest-threshold", "1 b"),
];

#[tokio::test]
async fn files_go_to_the_roots_in_turn_and_are_found_there() {
    let (place, table) = Place::new(&[&KEYED[..], &[("write-only", "true")]].concat()).await;
    commit(&table, 0..40, "old").await;
    commit(&table, 20..60, "new").await;
    let table = place.open(place.allowed("x")).await;
    let wanted = rows(&[(0..20, "old"), (20..60, "new")]);
    assert_eq!(read(&table).await.unwrap(), wanted);
    assert_eq!(changelog(&table).await.unwrap(), rows(&[(0..40, "old"), (20..60, "new")]));
    // Two partitions with a data file, its index and a changelog file for each commit, at the least.
    assert_eq!(place.data().0, 0);
    assert!(place.data().1 >= 12, "{:?}", place.data());
    assert!(!place.files("x/a").is_empty() && !place.files("x/b").is_empty());
    let lookup = table.lookup().open().await.unwrap();
    assert_eq!(lookup.get_one(&[Datum::Int(30), Datum::Int(0)]).await.unwrap(), Some(row(30, "new")));
    table.compact().full().run().await.unwrap();
    assert_eq!(read(&table).await.unwrap(), wanted);
    assert_eq!(place.data().0, 0);
    // The index beside a file outside leaves nothing of it to read.
    let filter = parse("v = 'none'", table.schema()).unwrap();
    let none = all_rows(table.schema(), table.scan().filter(filter).read().await.unwrap()).await.unwrap();
    assert!(none.is_empty());
    // Without the option new files go below the table; those outside stay where they are until they are rewritten.
    let change = SchemaChange::RemoveOption("data-file.external-paths".to_string());
    table.alter(&[change]).await.unwrap();
    let table = place.open(place.allowed("x")).await;
    commit(&table, 60..62, "more").await;
    assert!(place.data().0 >= 6, "{:?}", place.data());
    table.compact().full().run().await.unwrap();
    assert_eq!(read(&table).await.unwrap(), rows(&[(0..20, "old"), (20..60, "new"), (60..62, "more")]));
}

#[tokio::test]
async fn nothing_outside_is_touched_where_it_is_not_allowed() {
    let (place, table) = Place::new(&KEYED).await;
    commit(&table, 0..40, "v").await;
    let before = place.files("");
    for options in [vec![], place.allowed("y"), place.allowed("x/a/b"), place.allowed("t")] {
        let table = place.open(options).await;
        refused(&place, read(&table).await);
        refused(&place, changelog(&table).await);
        let lookup = async { table.lookup().open().await?.get_one(&[Datum::Int(30), Datum::Int(0)]).await };
        refused(&place, lookup.await);
        refused(&place, table.writer().await.map(drop));
        refused(&place, table.compact().full().run().await.map(drop));
    }
    assert_eq!(place.files(""), before);
    // A sibling whose name begins alike, and a way through it.
    std::fs::create_dir(place.path("xx")).unwrap();
    refused(&place, read(&place.open(place.allowed("xx")).await).await);
    let through = vec![(ALLOW_EXTERNAL.to_string(), format!("{}/xx/../x", place.directory.path().display()))];
    assert_eq!(read(&place.open(through).await).await.unwrap(), rows(&[(0..40, "v")]));
}

#[tokio::test]
async fn expiry_deletes_outside_where_it_may_and_tells_what_stays() {
    for allowed in [true, false] {
        let plain = [("key", "id,day"), ("bucket", "1"), ("write-only", "true"), ("snapshot.time-retained", "1 ms")];
        let (place, table) = Place::new(&plain).await;
        for v in ["a", "b", "c"] {
            commit(&table, 0..10, v).await;
        }
        table.compact().full().run().await.unwrap();
        commit(&table, 10..12, "d").await;
        let before = place.data().1;
        let table = place.open(if allowed { place.allowed("x") } else { vec![] }).await;
        let expire = table.maintain().expire_snapshots().unwrap();
        let report = expire.retain_min(1).retain_max(1).older_than(Duration::ZERO).run().await.unwrap();
        assert_eq!(report.snapshots.len(), 4);
        let table = place.open(place.allowed("x")).await;
        assert_eq!(read(&table).await.unwrap(), rows(&[(0..10, "c"), (10..12, "d")]));
        match allowed {
            // The compaction's two files and those of the last commit are live.
            true => assert_eq!((report.outside, report.failed, place.data().1), (0, 0, 4)),
            false => assert_eq!((report.outside, report.failed, place.data().1), (6, 0, before)),
        }
    }
}

#[tokio::test]
async fn an_aborted_commit_leaves_no_file_outside() {
    let (place, table) = Place::new(&KEYED).await;
    let mut writer = table.stream_writer("w").await.unwrap();
    writer.write(&changes(table.schema(), &[(RowKind::Insert, row(1, "v"))])).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    assert!(place.data().1 >= 3);
    let mut committer = table.committer("w").unwrap();
    committer.abort(&messages).await.unwrap();
    assert_eq!(place.data(), (0, 0));
    // The messages name what is gone.
    assert!(committer.commit(1, Vec::new(), CommitProperties::default()).await.is_ok());
}

#[tokio::test]
async fn index_files_beside_the_data_lie_outside_with_it() {
    let beside = ("index-file-in-data-file-dir", "true");
    // Deletion vectors of an append table.
    let (place, table) = Place::new(&[beside, ("deletion-vectors.enabled", "true"), ("bucket", "-1")]).await;
    commit(&table, 0..40, "v").await;
    let filter = parse("id < 10", table.schema()).unwrap();
    table.delete(filter).run().await.unwrap();
    let table = place.open(place.allowed("x")).await;
    assert_eq!(read(&table).await.unwrap(), rows(&[(10..40, "v")]));
    let indexes = |below: &str| {
        let is_index = |path: &&PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("index-");
        place.files(below).keys().filter(is_index).filter(|path| !path.to_str().unwrap().contains("manifest")).count()
    };
    assert_eq!((indexes("t"), indexes("x") > 0), (0, true));
    refused(&place, read(&place.open(vec![]).await).await);
    // Key hashes of a dynamic bucket.
    let (place, table) = Place::new(&[beside, ("key", "id,day"), ("bucket", "-1")]).await;
    commit(&table, 0..40, "old").await;
    let table = place.open(place.allowed("x")).await;
    commit(&table, 0..50, "new").await;
    assert_eq!(read(&table).await.unwrap(), rows(&[(0..50, "new")]));
    let hashes = place.files("x").keys().filter(|path| path.to_str().unwrap().contains("/index-")).count();
    assert!(hashes > 0);
}

#[tokio::test]
async fn the_roots_may_lie_in_another_store() {
    let directory = tempfile::tempdir().unwrap();
    let schema = Schema::builder()
        .column("id", DataType::INT)
        .column("day", DataType::INT)
        .column("v", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "1")
        .option("write-only", "true")
        .option("snapshot.time-retained", "1 ms")
        .option("data-file.external-paths", format!("memory://external-roots/x,file:{}", directory.path().display()))
        .option(TURNS.0, TURNS.1)
        .build()
        .unwrap();
    let allowed = format!("memory://external-roots/x,{}", directory.path().display());
    let options = vec![(ALLOW_EXTERNAL.to_string(), allowed)];
    let table = Table::create("memory://external-table/t", schema, options.clone()).await.unwrap();
    // Each writer begins at a root by chance: of so many files each root gets one.
    for _ in 0..30 {
        commit(&table, 0..10, "a").await;
    }
    commit(&table, 0..10, "d").await;
    assert_eq!(read(&table).await.unwrap(), rows(&[(0..10, "d")]));
    let expire = table.maintain().expire_snapshots().unwrap().retain_min(1).retain_max(1);
    let report = expire.older_than(Duration::ZERO).run().await.unwrap();
    assert_eq!((report.outside, report.failed), (0, 0));
    assert_eq!(read(&table).await.unwrap(), rows(&[(0..10, "d")]));
    let one =
        Table::open("memory://external-table/t", vec![(ALLOW_EXTERNAL.to_string(), "memory://external-roots".into())]);
    let error = read(&one.await.unwrap()).await.unwrap_err().to_string();
    assert!(error.contains(directory.path().to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_second_handle_reads_what_the_first_one_fetched_from_the_disk() {
    let directory = tempfile::tempdir().unwrap();
    let options = || {
        let dir = directory.path().to_str().unwrap();
        let told = [
            ("enabled", "true"),
            ("dir", dir),
            ("max-size", "64 mb"),
            ("whitelist", "meta,data,file-index,bucket-index"),
        ];
        told.map(|(name, value)| (format!("local-cache.{name}"), value.to_string())).to_vec()
    };
    let kinds = vec![CachedKind::Meta, CachedKind::Data, CachedKind::FileIndex, CachedKind::BucketIndex];
    let cache = BlockCache::open(CacheOptions { kinds, ..CacheOptions::new(directory.path(), 64 << 20) }).unwrap();
    let schema = Schema::builder()
        .column("id", DataType::INT)
        .column("day", DataType::INT)
        .column("v", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "2")
        .option("write-only", "true");
    let table = Table::create("memory://cached-table/t", schema.build().unwrap(), options()).await.unwrap();
    for v in ["a", "b", "c"] {
        commit(&table, 0..100, v).await;
    }
    // The writer's handle has its manifests in memory.
    let table = Table::open("memory://cached-table/t", options()).await.unwrap();
    assert_eq!(read(&table).await.unwrap(), rows(&[(0..100, "c")]));
    let fetched = cache.counts().misses;
    assert!(fetched > 0);
    let again = Table::open("memory://cached-table/t", options()).await.unwrap();
    assert_eq!(read(&again).await.unwrap(), rows(&[(0..100, "c")]));
    assert_eq!(cache.counts().misses, fetched, "nothing immutable was asked for again");
    commit(&again, 0..100, "d").await;
    assert_eq!(read(&again).await.unwrap(), rows(&[(0..100, "d")]), "new snapshots are seen");
}
