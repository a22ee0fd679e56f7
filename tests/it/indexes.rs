//! File indexes: written in every kind of file, used where they may be, followed by whoever deletes files.

use std::sync::Arc;
use std::time::Duration;

use forebay::format::{DataFileMeta, FileIndex, HeadRead};
use forebay::history::FileFilter;
use forebay::io::{CountingStore, Op, PathClass, TableStore};
use forebay::predicate::parse;
use forebay::schema::{Schema, SchemaChange};
use forebay::types::{DataType, Datum, RowKind, TypeKind};
use forebay::{Env, Error, Table};

use crate::buckets::Dice;
use crate::support::{Row, all_rows, as_set, changes};

const ALL_KINDS: [(&str, &str); 4] = [
    ("file-index.bloom-filter.columns", "name"),
    ("file-index.bitmap.columns", "name,class"),
    ("file-index.bsi.columns", "score"),
    ("file-index.range-bitmap.columns", "score,name"),
];

/// A table in memory whose requests are counted. Its statistics tell nothing, so that only indexes can.
async fn counted(key: bool, options: &[(&str, &str)]) -> (Table, CountingStore) {
    let mut builder = Schema::builder()
        .column("id", DataType::INT)
        .column("name", DataType::STRING)
        .column("class", DataType::INT)
        .column("score", DataType::BIGINT)
        .option("bucket", "1")
        .option("write-only", "true")
        .option("metadata.stats-mode", "none");
    builder = if key { builder.primary_key(["id"]) } else { builder.option("bucket-key", "id") };
    for (name, value) in options {
        builder = builder.option(*name, *value);
    }
    let mut counting = None;
    let store = TableStore::memory(&Env::system()).wrapped(|inner| {
        let store = CountingStore::new(inner);
        counting = Some(store.clone());
        Arc::new(store)
    });
    (Table::create_store(store, builder.build().unwrap()).await.unwrap(), counting.unwrap())
}

fn row(id: i32, dice: &mut Dice) -> Row {
    let name = match dice.roll(9) {
        0 => Datum::Null,
        letter => Datum::String(format!("{}-{}", ["ab", "b", "cd"][letter as usize % 3], id % 50)),
    };
    let score = if dice.roll(11) == 0 { Datum::Null } else { Datum::BigInt(i64::from(id) * 3 - 900) };
    vec![Datum::Int(id), name, Datum::Int((dice.roll(5)) as i32), score]
}

async fn commit(table: &Table, rows: &[(RowKind, Row)]) {
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), rows)).await.unwrap();
    writer.commit().await.unwrap();
    writer.close().await.unwrap();
}

fn inserts(ids: std::ops::Range<i32>, dice: &mut Dice) -> Vec<(RowKind, Row)> {
    ids.map(|id| (RowKind::Insert, row(id, dice))).collect()
}

async fn files(table: &Table) -> Vec<Arc<DataFileMeta>> {
    let snapshot = table.history().snapshots.latest().await.unwrap().unwrap();
    let entries = table.history().manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap();
    entries.iter().map(|entry| Arc::clone(&entry.file)).collect()
}

async fn read(table: &Table, condition: &str) -> Result<Vec<Row>, Error> {
    let filter = parse(condition, table.schema())?;
    all_rows(table.schema(), table.scan().filter(filter).read().await?).await
}

/// How many data files, and files beside them, a read touched.
async fn touched(table: &Table, counting: &CountingStore, condition: &str) -> u64 {
    counting.reset();
    read(table, condition).await.unwrap();
    counting.counts().at(Op::Get, PathClass::Data)
}

const CONDITIONS: [&str; 14] = [
    "name = 'ab-7'",
    "name = 'nobody'",
    "name in ('b-1', 'cd-2') and class = 3",
    "not (name = 'b-1' or score > 0)",
    "name like 'ab%' and score < 100",
    "name not like 'ab%' and class in (1, 2)",
    "name like '%-7'",
    "name is null and score is null",
    "name is not null and score between -60 and 60",
    "score = 0 or name = 'cd-40'",
    "class <> 2 and not class = 3",
    "not (score is null) and score <= -300",
    "id between 100 and 200 and name = 'b-3'",
    "score > 100000",
];

/// Rows of the table with indexes are those of the same table without, for every condition and place of an index.
#[tokio::test]
async fn rows_read_by_indexes_are_those_read_without() {
    for (key, deletion_vectors) in [(false, false), (true, false), (true, true)] {
        for threshold in ["500 B", "0 B", "1 mb"] {
            let mut options = ALL_KINDS.to_vec();
            options.push(("file-index.in-manifest-threshold", threshold));
            if deletion_vectors {
                options.push(("deletion-vectors.enabled", "true"));
            }
            let (table, _) = counted(key, &options).await;
            let mut dice = Dice(7);
            for part in 0..4 {
                let mut rows = inserts(part * 100..part * 100 + 160, &mut dice);
                if key {
                    rows.push((RowKind::Delete, row(part * 90, &mut dice)));
                }
                commit(&table, &rows).await;
                if part == 1 || deletion_vectors {
                    table.compact().full().run().await.unwrap();
                }
            }
            assert!(files(&table).await.iter().all(|file| indexed(file, threshold)), "{threshold}");
            let blind = table.clone().with_options([("file-index.read.enabled", "false")]).unwrap();
            for condition in CONDITIONS {
                let (with, without) = (read(&table, condition).await.unwrap(), read(&blind, condition).await.unwrap());
                assert_eq!(as_set(with), as_set(without), "key {key}, {threshold}: {condition}");
            }
        }
    }
}

/// Whether a file has its indexes where they belong.
fn indexed(file: &DataFileMeta, threshold: &str) -> bool {
    let beside = file.extra_files == [format!("{}.index", file.file_name)];
    match threshold {
        "1 mb" => file.embedded_file_index.is_some() && file.extra_files.is_empty(),
        // A bloom filter of a million values is no small one.
        _ => file.embedded_file_index.is_none() && beside,
    }
}

#[tokio::test]
async fn files_without_a_matching_row_are_not_opened() {
    for (key, threshold) in [(false, "1 mb"), (false, "0 B"), (true, "1 mb"), (true, "0 B")] {
        let mut options = ALL_KINDS.to_vec();
        options.push(("file-index.in-manifest-threshold", threshold));
        options.push(("file-index.bloom-filter.name.items", "1000"));
        let (table, counting) = counted(key, &options).await;
        let mut dice = Dice(11);
        for part in 0..3 {
            commit(&table, &inserts(part * 100..part * 100 + 100, &mut dice)).await;
        }
        if key {
            // One file of a level beside two that are merged: what is read raw, and what is not.
            table.compact().full().run().await.unwrap();
        }
        let blind = table.clone().with_options([("file-index.read.enabled", "false")]).unwrap();
        let beside = u64::from(threshold == "0 B");
        let files = if key { 1 } else { 3 };
        for nothing in ["name = 'nobody'", "score = 1", "score between 90001 and 100000", "name like 'zz%'"] {
            let gets = touched(&table, &counting, nothing).await;
            assert_eq!(gets, files * beside, "key {key}, {threshold}: {nothing}");
            assert!(touched(&blind, &counting, nothing).await >= files, "{nothing}");
        }
        if !key {
            // 147 is the score of row 349, which is not there, and 297 that of row 399; -897 is that of row 1.
            let one = touched(&table, &counting, "score = -897").await;
            assert!(one > 3 * beside && one <= 3 * beside + 4, "{threshold}: {one}");
        }
    }
}

/// Counts are told without opening a data file where nothing is merged or looked for, and are right everywhere.
#[tokio::test]
async fn rows_are_counted_as_they_are_read() {
    let vectors = ("deletion-vectors.enabled", "true");
    for (key, options, by_files) in [
        (false, vec![], true),
        (true, vec![], false),
        (true, vec![vectors], true),
        (true, vec![("merge-engine", "first-row")], true),
        (true, vec![("merge-engine", "partial-update")], false),
    ] {
        let (table, counting) = counted(key, &options).await;
        assert_eq!(table.scan().count().await.unwrap(), 0);
        let mut dice = Dice(17);
        for part in 0..3 {
            commit(&table, &inserts(part * 100..part * 100 + 150, &mut dice)).await;
            if by_files && key {
                table.compact().full().run().await.unwrap();
            }
        }
        if !by_files {
            commit(&table, &[(RowKind::Insert, row(7, &mut dice)), (RowKind::Insert, row(9000, &mut dice))]).await;
        }
        let rows = all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap().len() as u64;
        counting.reset();
        assert_eq!(table.scan().count().await.unwrap(), rows, "{options:?}");
        assert_eq!(counting.counts().at(Op::Get, PathClass::Data) == 0, by_files, "{options:?}");
        assert_eq!(table.scan().limit(5).count().await.unwrap(), 5);
        assert_eq!(table.scan().limit(5000).count().await.unwrap(), rows);
        for condition in CONDITIONS.into_iter().chain(["true", "false"]) {
            let filter = parse(condition, table.schema()).unwrap();
            let wanted = read(&table, condition).await.unwrap().len() as u64;
            assert_eq!(table.scan().filter(filter).count().await.unwrap(), wanted, "{options:?}: {condition}");
        }
    }
}

#[tokio::test]
async fn conditions_on_partitions_are_counted_without_a_file() {
    let mut counting = None;
    let store = TableStore::memory(&Env::system()).wrapped(|inner| {
        let store = CountingStore::new(inner);
        counting = Some(store.clone());
        Arc::new(store)
    });
    let counting = counting.unwrap();
    let schema = Schema::builder().column("id", DataType::INT).column("p", DataType::STRING).partition_by(["p"]);
    let table = Table::create_store(store, schema.build().unwrap()).await.unwrap();
    let part =
        |id: i32| if id % 4 == 3 { Datum::Null } else { Datum::String(["abc", "ab", "x"][id as usize % 4].into()) };
    let rows: Vec<_> = (0..40).map(|id| (RowKind::Insert, vec![Datum::Int(id), part(id)])).collect();
    commit(&table, &rows).await;
    for (condition, wanted) in [
        ("p like 'a_c'", 10),
        ("p = 'ab' or p is null", 20),
        ("p not like 'ab%'", 10),
        ("not p = 'x'", 20),
        ("true", 40),
    ] {
        counting.reset();
        let filter = parse(condition, table.schema()).unwrap();
        assert_eq!(table.scan().filter(filter).count().await.unwrap(), wanted, "{condition}");
        assert_eq!(counting.counts().at(Op::Get, PathClass::Data), 0, "{condition}");
    }
    let filter = parse("p = 'x' and id < 10", table.schema()).unwrap();
    assert_eq!(table.scan().filter(filter).count().await.unwrap(), 2);
}

/// A version that a newer one hides must not come up again because the newer file has no matching row.
#[tokio::test]
async fn merged_files_are_skipped_together_or_not_at_all() {
    for threshold in ["1 mb", "0 B"] {
        let mut options = ALL_KINDS.to_vec();
        options.push(("file-index.in-manifest-threshold", threshold));
        let (table, _) = counted(true, &options).await;
        let row = |name: &str| vec![Datum::Int(1), Datum::String(name.to_string()), Datum::Int(1), Datum::BigInt(1)];
        commit(&table, &[(RowKind::Insert, row("old"))]).await;
        commit(&table, &[(RowKind::UpdateAfter, row("new"))]).await;
        assert_eq!(read(&table, "name = 'old'").await.unwrap(), Vec::<Row>::new(), "{threshold}");
        assert_eq!(read(&table, "name = 'new'").await.unwrap().len(), 1, "{threshold}");
    }
}

#[tokio::test]
async fn an_index_is_used_by_the_name_and_type_its_file_was_written_with() {
    for threshold in ["1 mb", "0 B"] {
        let options = [ALL_KINDS[1], ("file-index.in-manifest-threshold", threshold)];
        let (table, counting) = counted(false, &options).await;
        let mut dice = Dice(3);
        commit(&table, &inserts(0..100, &mut dice)).await;
        let changes = [
            SchemaChange::RemoveOption("file-index.bitmap.columns".into()),
            SchemaChange::RenameColumn(vec!["name".into()], "label".into()),
            SchemaChange::RenameColumn(vec!["score".into()], "name".into()),
            SchemaChange::ChangeType(vec!["class".into()], TypeKind::BigInt),
            SchemaChange::AddColumn {
                path: vec!["extra".into()],
                data_type: DataType::INT,
                comment: None,
                place: None,
            },
        ];
        let table = table.alter(&changes).await.unwrap();
        let blind = table.clone().with_options([("file-index.read.enabled", "false")]).unwrap();
        let conditions =
            ["label = 'ab-7'", "name = -897", "class = 3", "label is null and class > 2", "extra is null", "extra = 1"];
        for condition in conditions {
            let (with, without) = (read(&table, condition).await.unwrap(), read(&blind, condition).await.unwrap());
            assert_eq!(as_set(with), as_set(without), "{threshold}: {condition}");
        }
        let beside = u64::from(threshold == "0 B");
        assert_eq!(touched(&table, &counting, "label = 'nobody'").await, beside, "renamed");
        assert!(touched(&table, &counting, "class = 77").await > beside, "retyped");
    }
}

#[tokio::test]
async fn a_file_beside_goes_where_its_data_file_goes() {
    let directory = tempfile::tempdir().unwrap();
    let mut schema = Schema::builder().column("id", DataType::INT).column("name", DataType::STRING).primary_key(["id"]);
    for (name, value) in [
        ("bucket", "1"),
        ("write-only", "true"),
        ("snapshot.time-retained", "1 ms"),
        ("file-index.bloom-filter.columns", "name"),
    ] {
        schema = schema.option(name, value);
    }
    let table = Table::create(directory.path().to_str().unwrap(), schema.build().unwrap(), []).await.unwrap();
    let on_disk = || {
        let names = std::fs::read_dir(directory.path().join("bucket-0")).unwrap();
        let mut names: Vec<String> = names.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let row = |id| vec![Datum::Int(id), Datum::String(format!("name {id}"))];
    let rows = |ids: std::ops::Range<i32>| ids.map(|id| (RowKind::Insert, row(id))).collect::<Vec<_>>();

    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &rows(0..10))).await.unwrap();
    writer.abort().await.unwrap();
    assert!(!directory.path().join("bucket-0").exists() || on_disk().is_empty());

    let mut writer = table.stream_writer("user").await.unwrap();
    writer.write(&changes(table.schema(), &rows(0..10))).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    assert_eq!(on_disk().len(), 2, "a data file and its index");
    table.committer("user").unwrap().abort(&messages).await.unwrap();
    assert!(on_disk().is_empty(), "{:?}", on_disk());
    writer.abort().await.unwrap();

    commit(&table, &rows(0..10)).await;
    let moved = files(&table).await;
    table.compact().full().run().await.unwrap();
    let upgraded = files(&table).await;
    assert_eq!((&upgraded[0].file_name, &upgraded[0].extra_files), (&moved[0].file_name, &moved[0].extra_files));
    commit(&table, &rows(5..20)).await;
    table.compact().full().run().await.unwrap();
    assert_eq!(on_disk().len(), 6);
    table
        .maintain()
        .expire_snapshots()
        .unwrap()
        .retain_min(1)
        .retain_max(1)
        .older_than(Duration::ZERO)
        .run()
        .await
        .unwrap();
    let left = files(&table).await;
    assert_eq!(on_disk(), [left[0].file_name.clone(), left[0].extra_files[0].clone()]);
    assert_eq!(read(&table, "name = 'name 17'").await.unwrap(), [row(17)]);
}

#[tokio::test]
async fn a_damaged_or_missing_index_is_told() {
    let mut options = ALL_KINDS.to_vec();
    options.push(("file-index.in-manifest-threshold", "0 B"));
    let (table, _) = counted(false, &options).await;
    commit(&table, &inserts(0..100, &mut Dice(5))).await;
    let file = files(&table).await[0].clone();
    let path = format!("bucket-0/{}", file.extra_files[0]);
    let whole = table.store().read(&path).await.unwrap();
    let HeadRead::Whole(index) = FileIndex::decode(&whole, &path).unwrap() else { panic!("a head beyond its file") };
    let kinds: Vec<String> = index.shown().map(|(column, kind, _)| format!("{column} {kind}")).collect();
    assert_eq!(
        kinds,
        ["class bitmap", "name bitmap", "name bloom-filter", "name range-bitmap", "score bsi", "score range-bitmap"]
    );
    for end in [0, 10, 30, whole.len() - 1] {
        table.store().replace(&path, whole.slice(..end)).await.unwrap();
        let error = read(&table, "score = 5 and name = 'ab-1'").await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. } | Error::Storage { .. }), "{end}: {error}");
    }
    table.store().delete(&path).await.unwrap();
    assert!(matches!(read(&table, "score = 5").await.unwrap_err(), Error::NotFound(_)));
    let blind = table.clone().with_options([("file-index.read.enabled", "false")]).unwrap();
    assert!(read(&blind, "score = 5").await.is_ok());
}
