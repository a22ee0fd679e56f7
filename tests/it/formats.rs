//! Files of two formats in one table: who writes which, what moves, and what is found in them.

use std::collections::BTreeMap;

use forebay::commit::CommitProperties;
use forebay::format::{BinaryRow, DataFileMeta, ManifestEntry};
use forebay::history::FileFilter;
use forebay::predicate::parse;
use forebay::schema::{Schema, SchemaBuilder, SchemaChange};
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::support::{Row, all_rows, as_set, changes, rows_of};

fn columns() -> SchemaBuilder {
    Schema::builder()
        .column("id", DataType::BIGINT)
        .column("note", DataType::STRING)
        .column("price", DataType::decimal(12, 2))
        .column("at", DataType::timestamp_ltz(6))
        .primary_key(["id"])
        .option("bucket", "1")
}

async fn create(place: &tempfile::TempDir, builder: SchemaBuilder, options: &[(&str, &str)]) -> Table {
    let schema = options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap();
    Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap()
}

fn row(id: i64, version: i64) -> Row {
    let note = (id % 7 > 0).then(|| Datum::String(format!("note {id} of version {version}")));
    let time = Datum::Timestamp { millis: 1_700_000_000_000 + version, nanos: 1000 };
    vec![Datum::BigInt(id), note.unwrap_or(Datum::Null), Datum::Decimal(i128::from(id * version - 500)), time]
}

/// Commits rows of a version, and deletes of some.
async fn write(table: &Table, identifier: i64, ids: impl Iterator<Item = i64>, gone: &[i64]) {
    let mut rows: Vec<(RowKind, Row)> = ids.map(|id| (RowKind::Insert, row(id, identifier))).collect();
    rows.extend(gone.iter().map(|id| (RowKind::Delete, row(*id, identifier))));
    let mut writer = table.stream_writer("w").await.unwrap();
    writer.write(&changes(table.schema(), &rows)).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    let mut committer = table.committer("w").unwrap();
    committer.commit(identifier, messages, CommitProperties::default()).await.unwrap().snapshot_id().unwrap();
}

async fn live(table: &Table) -> Vec<ManifestEntry> {
    let latest = table.history().snapshots.latest().await.unwrap().unwrap();
    let live = table.history().manifests.live_files(&latest, &FileFilter::default()).await.unwrap();
    live.iter().map(|entry| ManifestEntry::clone(entry)).collect()
}

/// The endings of live files by level.
async fn endings(table: &Table) -> BTreeMap<i32, Vec<String>> {
    let mut endings: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for entry in live(table).await {
        let ending = entry.file.file_name.split_once('.').unwrap().1.to_string();
        endings.entry(entry.file.level).or_default().push(ending);
    }
    endings
}

async fn rows(table: &Table) -> Vec<String> {
    as_set(all_rows(table.schema(), table.scan().wide_timestamps().read().await.unwrap()).await.unwrap())
}

async fn told(table: &Table) -> Vec<String> {
    let mut stream = table.changes().from(Start::Earliest).read().await.unwrap();
    let mut told = Vec::new();
    while let Some(change) = stream.next().await.unwrap() {
        let rows = rows_of(table.schema(), change.rows.rows()).into_iter().enumerate();
        told.extend(rows.map(|(at, row)| (change.snapshot_id, change.rows.kind(at), row)));
    }
    as_set(told)
}

/// The same commits and compactions in a table of one format, whose rows and changes are the truth.
async fn in_both(options: &[(&str, &str)], builder: impl Fn() -> SchemaBuilder) -> [(tempfile::TempDir, Table); 2] {
    let mut tables = Vec::new();
    for options in [&[("write-only", "true")][..], options] {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, builder(), options).await;
        let table = table.with_options([("write-only", "true")]).unwrap();
        for commit in 1..=4_i64 {
            write(&table, commit, (0..300).filter(|id| id % (commit + 1) == 0), &[commit, commit * 2]).await;
            if commit == 2 {
                table.compact().full().run().await.unwrap();
            }
        }
        tables.push((place, table));
    }
    tables.try_into().unwrap_or_else(|_| panic!("two tables"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_level_has_its_format_and_rows_and_changes_are_those_of_parquet() {
    for (options, low, high) in [
        (&[("file.format", "avro")][..], "avro", "avro"),
        (&[("file.format.per.level", "0:avro,5:parquet")], "avro", "parquet"),
        (
            &[("file.format.per.level", "0:parquet,5:avro"), ("file.suffix.include.compression", "true")],
            "zst.parquet",
            "zst.avro",
        ),
        (&[("file.format", "orc"), ("orc.stripe.row.count", "40")], "orc", "orc"),
        (&[("file.format.per.level", "0:orc,5:avro"), ("orc.compress", "zlib")], "orc", "avro"),
        (&[("changelog-producer", "input"), ("changelog-file.format", "orc"), ("file.format", "orc")], "orc", "orc"),
        (
            &[("file.format", "avro"), ("changelog-producer", "input"), ("changelog-file.format", "parquet")],
            "avro",
            "avro",
        ),
    ] {
        let producer = options.iter().find(|(name, _)| *name == "changelog-producer").copied();
        let builder = || match producer {
            Some((name, value)) => columns().option(name, value),
            None => columns(),
        };
        let [(_one, parquet), (place, table)] = in_both(options, builder).await;
        let names = endings(&table).await;
        assert_eq!(names, BTreeMap::from([(0, vec![low.to_string(); 2]), (5, vec![high.to_string()])]), "{options:?}");
        assert_eq!(rows(&table).await, rows(&parquet).await, "{options:?}");
        assert_eq!(told(&table).await, told(&parquet).await, "{options:?}");
        if producer.is_some() {
            let names = std::fs::read_dir(place.path().join("t/bucket-0")).unwrap().map(|it| it.unwrap().file_name());
            let logs = names.filter_map(|it| it.into_string().ok()).filter(|name| name.starts_with("changelog-"));
            let logs: Vec<String> = logs.collect();
            let format = options.iter().find(|(name, _)| *name == "changelog-file.format").unwrap().1;
            assert_eq!(logs.len(), 4, "one for each commit: {logs:?}");
            assert!(logs.iter().all(|name| name.ends_with(&format!(".{format}"))), "{logs:?}");
        }
        // Keys are found in files of either format.
        let lookup = table.lookup().open().await.unwrap();
        let all = all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap();
        for id in 0..300 {
            let wanted = all.iter().find(|row| row[0] == Datum::BigInt(id));
            for _ in ["cold", "warm"] {
                assert_eq!(lookup.get_one(&[Datum::BigInt(id)]).await.unwrap().as_ref(), wanted, "{options:?}: {id}");
            }
        }
    }
}

/// Files of one run that nothing overlaps move as they are, unless every row is read on its way up.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_moves_keeps_its_format_unless_old_rows_are_looked_up() {
    for (producer, ending) in [("none", "avro"), ("full-compaction", "avro"), ("lookup", "parquet")] {
        let place = tempfile::tempdir().unwrap();
        let options = [("changelog-producer", producer), ("file.format.per.level", "0:avro"), ("write-only", "true")];
        let table = create(&place, columns(), &options).await;
        write(&table, 1, 0..50, &[]).await;
        table.compact().full().run().await.unwrap();
        assert_eq!(endings(&table).await, BTreeMap::from([(5, vec![ending.to_string()])]), "{producer}");
        assert_eq!(rows(&table).await.len(), 50);
        assert_eq!(told(&table).await.len(), 50, "{producer}");
    }
}

fn bound(file: &DataFileMeta, of: fn(&DataFileMeta) -> &BinaryRow) -> Datum {
    of(file).get(0, &DataType::BIGINT.kind).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_avro_file_is_described_by_the_rows_its_writer_saw() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, columns(), &[("file.format", "avro")]).await;
    write(&table, 1, 5..105, &[200]).await;
    let file = &live(&table).await[0].file;
    assert_eq!((file.row_count, file.delete_row_count, file.level), (101, Some(1), 0));
    assert_eq!((bound(file, |it| &it.min_key), bound(file, |it| &it.max_key)), (Datum::BigInt(5), Datum::BigInt(200)));
    let value = |at: usize| file.value_stats.column(at, &table.schema().fields[at].data_type).unwrap();
    assert_eq!((value(0).min, value(0).max, value(0).null_count), (Datum::BigInt(5), Datum::BigInt(200), Some(0)));
    assert_eq!(value(1).null_count, Some(14));
    assert_eq!(file.key_stats.null_counts[..], [Some(0)]);
    // Without statistics not even those of the key are kept.
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, columns(), &[("file.format", "avro"), ("metadata.stats-mode", "none")]).await;
    write(&table, 1, 5..105, &[]).await;
    let file = &live(&table).await[0].file;
    assert_eq!((&file.key_stats.null_counts[..], file.value_stats.null_counts.len()), (&[None][..], 0));
}

#[tokio::test]
async fn rows_wait_in_avro_unless_a_column_does_not_fit() {
    for (data_type, ending) in [(DataType::timestamp(6), ".avro"), (DataType::timestamp(9), ".parquet")] {
        let place = tempfile::tempdir().unwrap();
        let builder = Schema::builder().column("id", DataType::BIGINT).column("at", data_type).primary_key(["id"]);
        let table = create(&place, builder, &[("bucket", "-2")]).await;
        let mut writer = table.writer().await.unwrap();
        let time = Datum::Timestamp { millis: 7, nanos: 0 };
        let told = [(RowKind::Insert, vec![Datum::BigInt(1), time])];
        writer.write(&changes(table.schema(), &told)).await.unwrap();
        writer.commit().await.unwrap();
        let file = &live(&table).await[0].file;
        assert!(file.file_name.ends_with(ending), "{}", file.file_name);
        let kept = if ending == ".avro" { 0 } else { 2 };
        assert_eq!((file.value_stats.null_counts.len(), file.min_sequence_number), (kept, -1));
        table.move_postponed().run().await.unwrap();
        assert_eq!(rows(&table).await.len(), 1);
        assert!(endings(&table).await[&0].iter().all(|ending| ending == "parquet"));
    }
}

#[tokio::test]
async fn rows_with_nested_columns_wait_in_avro_too() {
    let place = tempfile::tempdir().unwrap();
    let nested: DataType = "MAP<INT, ROW<a ARRAY<STRING>>>".parse().unwrap();
    let builder = Schema::builder().column("id", DataType::BIGINT).column("m", nested).primary_key(["id"]);
    let table = create(&place, builder, &[("bucket", "-2")]).await;
    let row = |id: i64| {
        let texts = Datum::Array(vec![Datum::String(format!("text {id}")), Datum::Null]);
        vec![Datum::BigInt(id), Datum::Map(vec![(Datum::Int(id as i32), Datum::Row(vec![texts]))])]
    };
    let mut writer = table.writer().await.unwrap();
    let told: Vec<_> = (0..50).map(|id| (RowKind::Insert, row(id))).collect();
    writer.write(&changes(table.schema(), &told)).await.unwrap();
    writer.commit().await.unwrap();
    assert!(live(&table).await[0].file.file_name.ends_with(".avro"));
    table.move_postponed().run().await.unwrap();
    assert_eq!(rows(&table).await, as_set((0..50).map(row)));
}

#[tokio::test]
async fn what_avro_cannot_hold_or_java_does_not_write_is_refused_before_a_byte() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("t");
    for (option, value) in
        [("file.format", "avro"), ("file.format.per.level", "3:avro"), ("changelog-file.format", "avro")]
    {
        let schema = columns().column("fine", DataType::timestamp(9)).option(option, value).build().unwrap();
        let error = Table::create(path.to_str().unwrap(), schema, []).await.map(drop).unwrap_err();
        assert!(
            matches!(&error, Error::Invalid(text) if text.contains("\"fine\"") && text.contains(option)),
            "{error}"
        );
    }
    for (options, word) in [
        (&[("file.format", "avro"), ("file.compression", "gzip")][..], "gzip"),
        (&[("file.format.per.level", "5:avro"), ("file.compression.per.level", "5:lz4")], "lz4"),
        (&[("file.compression", "deflate")], "deflate"),
        (&[("file.format", "avro"), ("file.compression.per.level", "0:none")], "none"),
    ] {
        let schema = options.iter().fold(columns(), |schema, (name, value)| schema.option(*name, *value));
        let created = Table::create(path.to_str().unwrap(), schema.build().unwrap(), []).await.map(drop).unwrap_err();
        // A table of others may have them, or a call may ask for them.
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, columns(), &[]).await.with_options(options.iter().copied()).unwrap();
        let written = table.stream_writer("w").await.map(drop).unwrap_err();
        for error in [created, written] {
            assert!(matches!(&error, Error::Unsupported(text) if text.contains(word)), "{options:?}: {error}");
        }
    }
    // A name that Avro does not have.
    let words = columns().column("two words", DataType::INT).option("file.format", "avro").build().unwrap();
    let error = Table::create(path.to_str().unwrap(), words, []).await.map(drop).unwrap_err();
    assert!(matches!(&error, Error::Unsupported(text) if text.contains("two words")), "{error}");
    assert!(!path.exists());
}

fn typed(builder: SchemaBuilder, columns: &[(&str, &str)]) -> SchemaBuilder {
    let add = |builder: SchemaBuilder, (name, text): &(&str, &str)| {
        builder.column(*name, text.parse::<DataType>().unwrap_or_else(|error| panic!("{text}: {error}")))
    };
    columns.iter().fold(builder, add)
}

fn text(text: &str) -> Datum {
    Datum::String(text.into())
}

async fn commit(table: &Table, rows: &[Row]) {
    let rows: Vec<_> = rows.iter().map(|row| (RowKind::Insert, row.clone())).collect();
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &rows)).await.unwrap();
    writer.commit().await.unwrap();
    writer.close().await.unwrap();
}

async fn found(table: &Table, filter: &str) -> Vec<String> {
    let filter = parse(filter, table.schema()).unwrap();
    as_set(all_rows(table.schema(), table.scan().filter(filter).read().await.unwrap()).await.unwrap())
}

/// A row lies in the bucket, and is known to the indexes, of the value that readers see.
#[tokio::test]
async fn a_char_that_ends_with_blanks_is_found_as_it_is_shown() {
    let indexes = [("file-index.bloom-filter.columns", "c"), ("file-index.bitmap.columns", "d")];
    for format in ["orc", "parquet"] {
        let place = tempfile::tempdir().unwrap();
        let options = [("bucket", "13"), ("bucket-key", "c"), ("file.format", format)];
        let builder = typed(Schema::builder(), &[("c", "CHAR(5)"), ("d", "CHAR(5)"), ("n", "INT")]);
        let table = create(&place, builder, &[&options[..], &indexes].concat()).await;
        let row = |c: &str, n: i32| vec![text(c), text(c), Datum::Int(n)];
        let given: Vec<Row> = (0..40).map(|n| row(&format!("k{n} "), n)).collect();
        commit(&table, &given).await;
        let end = if format == "orc" { "" } else { " " };
        for n in 0..40 {
            let (shown, wanted) = (format!("k{n}{end}"), as_set([row(&format!("k{n}{end}"), n)]));
            assert_eq!(found(&table, &format!("n = {n}")).await, wanted, "{format}");
            assert_eq!(found(&table, &format!("c = '{shown}'")).await, wanted, "{format}, by bucket and bloom filter");
            assert_eq!(found(&table, &format!("d = '{shown}'")).await, wanted, "{format}, by bitmap");
        }
    }
}

/// With ORC at one level only, a value is the same at all of them.
#[tokio::test]
async fn no_value_changes_when_it_moves_to_a_level_of_orc() {
    for (options, changes_to) in [
        (&[("file.format.per.level", "0:parquet,5:orc")][..], "x"),
        (&[("changelog-file.format", "orc"), ("changelog-producer", "input")], "x"),
        (&[("file.format.per.level", "0:parquet,5:avro")], "x  "),
    ] {
        let place = tempfile::tempdir().unwrap();
        let columns = [("k", "CHAR(5) NOT NULL"), ("c", "CHAR(5)"), ("a", "ARRAY<CHAR(5)>")];
        let builder = typed(Schema::builder(), &columns).primary_key(["k"]).option("bucket", "1");
        let table = create(&place, builder, options).await;
        let row = |c: &str| vec![text("a"), text(c), Datum::Array(vec![text(c), Datum::Null])];
        commit(&table, &[row("x  ")]).await;
        assert_eq!(rows(&table).await, as_set([row(changes_to)]), "{options:?}");
        table.compact().full().run().await.unwrap();
        assert_eq!(rows(&table).await, as_set([row(changes_to)]), "{options:?}");
    }
}

/// The batch is not taken, and the writer goes on.
#[tokio::test]
async fn what_some_level_does_not_hold_is_refused_when_it_is_given() {
    let half = Datum::Timestamp { millis: -500, nanos: 0 };
    let fine = Datum::Timestamp { millis: -1500, nanos: 0 };
    for options in [
        &[("file.format.per.level", "0:parquet,5:orc")][..],
        &[("changelog-file.format", "orc"), ("changelog-producer", "lookup")],
        &[("file.format", "orc")],
    ] {
        let place = tempfile::tempdir().unwrap();
        let columns = [("k", "CHAR(5) NOT NULL"), ("at", "TIMESTAMP(3)"), ("all", "ARRAY<TIMESTAMP(6)>")];
        let builder = typed(Schema::builder(), &columns).primary_key(["k"]).option("bucket", "1");
        let table = create(&place, builder, options).await;
        let mut writer = table.stream_writer("w").await.unwrap();
        let good = vec![text("a"), fine.clone(), Datum::Array(vec![fine.clone()])];
        for (bad, words) in [
            (vec![text("a"), half.clone(), Datum::Null], ["column at", "1969-12-31 23:59:59.5"]),
            (vec![text("a"), Datum::Null, Datum::Array(vec![half.clone()])], ["column all", "1969-12-31 23:59:59.5"]),
            (vec![text("a "), Datum::Null, Datum::Null], ["column k", "\"a \""]),
        ] {
            let batch = [(RowKind::Insert, good.clone()), (RowKind::Insert, bad)];
            let error = writer.write(&changes(table.schema(), &batch)).await.unwrap_err();
            assert!(matches!(&error, Error::Unsupported(_)), "{options:?}: {error}");
            assert!(words.iter().all(|word| error.to_string().contains(word)), "{options:?}: {error}");
        }
        assert!(writer.prepare_commit().await.unwrap().is_empty(), "{options:?}");
        writer.write(&changes(table.schema(), &[(RowKind::Insert, good.clone())])).await.unwrap();
        let messages = writer.prepare_commit().await.unwrap();
        table.committer("w").unwrap().commit(1, messages, CommitProperties::default()).await.unwrap();
        assert_eq!(rows(&table).await, as_set([good]));
    }
}

/// Rows that Parquet held before its table was altered, and as other engines write them.
#[tokio::test]
async fn commits_go_on_beside_rows_that_a_higher_level_does_not_hold() {
    for (options, needed) in [
        (&[("changelog-producer", "none")][..], false),
        (&[("commit.force-compact", "true")], false),
        (&[("changelog-producer", "lookup"), ("lookup-wait", "false")], false),
        (&[("changelog-producer", "lookup")], true),
        (&[("changelog-producer", "full-compaction"), ("full-compaction.delta-commits", "3")], true),
    ] {
        let place = tempfile::tempdir().unwrap();
        let builder = typed(Schema::builder(), &[("k", "INT NOT NULL"), ("at", "TIMESTAMP(3)")]).primary_key(["k"]);
        let triggers =
            [("bucket", "1"), ("num-sorted-run.compaction-trigger", "2"), ("num-sorted-run.stop-trigger", "3")];
        let table = create(&place, builder, &[&triggers[..], options].concat()).await;
        let row = |k: i32, millis: i64| vec![Datum::Int(k), Datum::Timestamp { millis, nanos: 0 }];
        let alone = table.clone().with_options([("write-only", "true")]).unwrap();
        commit(&alone, &[row(0, -500)]).await;
        let to_orc = SchemaChange::SetOption("file.format.per.level".into(), "1:orc,2:orc,3:orc,4:orc,5:orc".into());
        let table = table.alter(&[to_orc]).await.unwrap();
        let mut writer = table.stream_writer("w").await.unwrap();
        let mut committer = table.committer("w").unwrap();
        let mut failed = None;
        for identifier in 1..=20 {
            let batch = changes(table.schema(), &[(RowKind::Insert, row(identifier, 1000))]);
            writer.write(&batch).await.unwrap();
            match writer.prepare_commit().await {
                Ok(messages) => {
                    committer.commit(identifier.into(), messages, CommitProperties::default()).await.unwrap();
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        match (needed, failed) {
            (false, None) => {
                let wanted = (1..=20).map(|k| row(k, 1000)).chain([row(0, -500)]);
                assert_eq!(rows(&table).await, as_set(wanted), "{options:?}");
                drop(writer.finish_compactions().await);
            }
            (true, Some(error)) => {
                let told = error.to_string();
                assert!(told.contains("column at") && told.contains("ORC-763"), "{options:?}: {error}");
                writer.abort().await.unwrap();
            }
            (_, failed) => panic!("{options:?}: {failed:?}"),
        }
    }
}
