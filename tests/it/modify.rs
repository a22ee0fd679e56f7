//! Deleting and updating rows by conditions, held against the same done to rows in memory.

use forebay::format::CommitKind;
use forebay::predicate::{self, Expr, parse_assignment};
use forebay::schema::Schema;
use forebay::stream::Start;
use forebay::table::{Means, Modified};
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::buckets::Dice;
use crate::support::{Row, all_rows, as_set, changes, rows_of};

const KINDS: [&[(&str, &str)]; 10] = [
    &[("key", "id,day"), ("bucket", "3")],
    &[("key", "id,day"), ("bucket", "-1")],
    &[("key", "id"), ("bucket", "-1")],
    &[("key", "id,day"), ("bucket", "2"), ("deletion-vectors.enabled", "true")],
    &[("key", "id,day"), ("bucket", "2"), ("changelog-producer", "lookup")],
    &[
        ("key", "id,day"),
        ("bucket", "1"),
        ("merge-engine", "partial-update"),
        ("partial-update.remove-record-on-delete", "true"),
    ],
    &[("bucket", "-1")],
    &[("bucket", "-1"), ("deletion-vectors.enabled", "true")],
    &[("bucket", "2"), ("bucket-key", "id")],
    &[("bucket", "2"), ("bucket-key", "id"), ("deletion-vectors.enabled", "true")],
];

fn schema(options: &[(&str, &str)]) -> Schema {
    let mut builder = Schema::builder()
        .column("id", DataType::BIGINT)
        .column("day", DataType::INT)
        .column("n", DataType::INT)
        .column("note", DataType::STRING)
        .partition_by(["day"]);
    for (key, value) in options {
        builder = match *key {
            "key" => builder.primary_key(value.split(',')),
            key => builder.option(key, *value),
        };
    }
    builder.build().unwrap()
}

async fn create(place: &tempfile::TempDir, options: &[(&str, &str)]) -> Table {
    Table::create(place.path().join("t").to_str().unwrap(), schema(options), []).await.unwrap()
}

fn row(id: i64, day: i32, n: Option<i32>, note: &str) -> Row {
    vec![Datum::BigInt(id), Datum::Int(day), n.map_or(Datum::Null, Datum::Int), Datum::String(note.into())]
}

async fn append(table: &Table, rows: &[Row]) {
    let rows: Vec<_> = rows.iter().map(|row| (RowKind::Insert, row.clone())).collect();
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &rows)).await.unwrap();
    writer.commit().await.unwrap().snapshot_id().unwrap();
    writer.close().await.unwrap();
}

async fn rows(table: &Table) -> Vec<Row> {
    all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap()
}

fn condition(table: &Table, text: &str) -> Expr {
    predicate::parse(text, table.schema()).unwrap()
}

async fn delete(table: &Table, text: &str) -> Result<Modified, Error> {
    table.delete(condition(table, text)).run().await
}

async fn update(table: &Table, sets: &[&str], text: &str) -> Result<Modified, Error> {
    let sets: Vec<_> = sets.iter().map(|set| parse_assignment(set, table.schema()).unwrap()).collect();
    table.update(sets, condition(table, text)).run().await
}

/// One, or as many as `FOREBAY_SEEDS` says.
fn seeds() -> u64 {
    std::env::var("FOREBAY_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Whether a condition is true for a row, in the words of this test.
fn holds(row: &Row, bound: i32) -> bool {
    matches!(row[2], Datum::Int(n) if n < bound)
}

#[tokio::test]
async fn rows_are_deleted_and_updated_as_in_memory() {
    for (kind, options) in KINDS.iter().enumerate() {
        for seed in 0..seeds() {
            let place = tempfile::tempdir().unwrap();
            let table = create(&place, options).await;
            let mut dice = Dice(seed * 31 + kind as u64);
            let keyed = table.schema().has_primary_key();
            let mut wanted: Vec<Row> = Vec::new();
            let mut next = 0;
            for step in 0..12 {
                match dice.roll(4) {
                    0 | 1 => {
                        let mut new = Vec::new();
                        for _ in 0..dice.roll(60) + 1 {
                            let old = keyed && !wanted.is_empty() && dice.roll(3) == 0;
                            let n = (dice.roll(5) > 0).then(|| dice.roll(100) as i32);
                            let note = format!("{step}");
                            if old {
                                let at = dice.roll(wanted.len() as u64) as usize;
                                // NULL is no update under partial-update.
                                wanted[at][2] = Datum::Int(n.unwrap_or(1));
                                wanted[at][3] = Datum::String(note);
                                new.push(wanted[at].clone());
                            } else {
                                new.push(row(next, dice.roll(3) as i32, n, &note));
                                wanted.push(row(next, 0, n, &note));
                                let last = wanted.len() - 1;
                                wanted[last][1] = new[new.len() - 1][1].clone();
                                next += 1;
                            }
                        }
                        append(&table, &new).await;
                    }
                    2 => {
                        let bound = dice.roll(40) as i32;
                        let counted = wanted.iter().filter(|row| holds(row, bound)).count() as u64;
                        let tried =
                            table.delete(condition(&table, &format!("n < {bound}"))).dry_run().run().await.unwrap();
                        let done = delete(&table, &format!("n < {bound}")).await.unwrap();
                        assert_eq!((tried.rows, done.rows), (Some(counted), Some(counted)), "{options:?}");
                        assert!(tried.snapshot_id.is_none());
                        assert_eq!(done.snapshot_id.is_some(), counted > 0);
                        wanted.retain(|row| !holds(row, bound));
                    }
                    _ => {
                        let bound = dice.roll(60) as i32;
                        let counted = wanted.iter().filter(|row| holds(row, bound)).count() as u64;
                        let done = update(&table, &["note = 'set'", "n = 7"], &format!("n < {bound}")).await.unwrap();
                        assert_eq!(done.rows, Some(counted), "{options:?}");
                        for row in wanted.iter_mut().filter(|row| holds(row, bound)) {
                            row[2] = Datum::Int(7);
                            row[3] = Datum::String("set".into());
                        }
                    }
                }
                assert_eq!(as_set(rows(&table).await), as_set(wanted.clone()), "{options:?}, seed {seed}, step {step}");
                if dice.roll(4) == 0 {
                    table.compact().full().run().await.unwrap();
                    assert_eq!(
                        as_set(rows(&table).await),
                        as_set(wanted.clone()),
                        "{options:?}, seed {seed}, compacted"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn the_means_fit_the_table() {
    for (options, means, kind) in [
        (KINDS[0], Means::Changes, CommitKind::Append),
        (KINDS[6], Means::Rewrite, CommitKind::Overwrite),
        (KINDS[7], Means::Vectors, CommitKind::Overwrite),
    ] {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        append(&table, &(0..100).map(|id| row(id, 1, Some(id as i32), "x")).collect::<Vec<_>>()).await;
        let done = delete(&table, "n >= 95").await.unwrap();
        assert_eq!((done.means, done.rows), (means, Some(5)), "{options:?}");
        let snapshot = table.history().snapshots.load(done.snapshot_id.unwrap()).await.unwrap();
        assert_eq!(snapshot.commit_kind, kind);
        // A second look finds nothing, and makes no snapshot.
        assert_eq!(delete(&table, "n >= 95").await.unwrap().snapshot_id, None);
        let whole = delete(&table, "day = 1").await.unwrap();
        assert_eq!((whole.means, whole.truncated.unwrap().partitions.len()), (Means::Partitions, 1));
        assert_eq!(rows(&table).await, Vec::<Row>::new());
    }
}

#[tokio::test]
async fn values_come_from_literals_null_and_other_columns_as_they_were() {
    for options in [KINDS[0], KINDS[6], KINDS[7]] {
        let place = tempfile::tempdir().unwrap();
        let schema =
            Schema::builder().column("id", DataType::BIGINT).column("a", DataType::INT).column("b", DataType::INT);
        let mut builder = schema.column("s", "VARCHAR(3)".parse::<DataType>().unwrap()).column("t", DataType::STRING);
        for (key, value) in options.iter().filter(|(key, _)| *key != "key") {
            builder = builder.option(*key, *value);
        }
        if options[0].0 == "key" {
            builder = builder.primary_key(["id"]);
        }
        let table = Table::create(place.path().to_str().unwrap(), builder.build().unwrap(), []).await.unwrap();
        let text = |text: &str| Datum::String(text.into());
        let row = |id, a, b, s: &str, t: &str| vec![Datum::BigInt(id), a, b, text(s), text(t)];
        let int = Datum::Int;
        append(&table, &[row(1, int(1), int(2), "s", "t"), row(2, int(3), int(4), "s", "long text")]).await;
        // Both from the row as it was.
        update(&table, &["a = b", "b = a"], "id = 1").await.unwrap();
        update(&table, &["b = null"], "id = 2").await.unwrap();
        let wanted = [row(1, int(2), int(1), "s", "t"), row(2, int(3), Datum::Null, "s", "long text")];
        assert_eq!(as_set(rows(&table).await), as_set(wanted.clone()), "{options:?}");
        // A value that does not fit is refused, and nothing of the statement is seen.
        let error = update(&table, &["s = t"], "id >= 1").await.unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("column s")), "{error}");
        assert_eq!(as_set(rows(&table).await), as_set(wanted), "{options:?}");
    }
}

#[test]
fn assignments_that_do_not_fit_are_refused() {
    let schema = schema(&[("key", "id,day"), ("bucket", "1")]);
    for (text, words) in [
        ("m = 1", "m"),
        ("n = 'x'", "INT"),
        ("n = 1.5", "INT"),
        ("n = note", "takes no"),
        ("id = null", "takes no NULL"),
        ("n = 1 + 1", "expected the end"),
        ("n", "="),
        ("1 = n", "column"),
        ("n > 1", "="),
        ("n = ", "column or a literal"),
    ] {
        let error = parse_assignment(text, &schema).unwrap_err();
        assert!(matches!(&error, Error::Invalid(told) if told.contains(words)), "{text}: {error}");
    }
    assert!(parse_assignment("`note` = 'it''s'", &schema).is_ok());
}

#[tokio::test]
async fn what_would_do_nothing_or_harm_is_refused_by_name() {
    let first: &[(&str, &str)] = &[("key", "id,day"), ("bucket", "1"), ("merge-engine", "first-row")];
    let sums: &[(&str, &str)] =
        &[("key", "id,day"), ("bucket", "1"), ("merge-engine", "aggregation"), ("fields.n.aggregate-function", "sum")];
    let partial: &[(&str, &str)] = &[("key", "id,day"), ("bucket", "1"), ("merge-engine", "partial-update")];
    let ignoring: &[(&str, &str)] = &[("key", "id,day"), ("bucket", "1"), ("ignore-delete", "true")];
    let ordered: &[(&str, &str)] = &[("key", "id,day"), ("bucket", "1"), ("sequence.field", "n")];
    let waiting: &[(&str, &str)] = &[("key", "id,day"), ("bucket", "-2")];
    for (options, sets, words) in [
        (first, None, "first-row"),
        (sums, None, "aggregation.remove-record-on-delete"),
        (partial, None, "partial-update.remove-record-on-delete"),
        (ignoring, None, "ignore-delete"),
        (waiting, None, "postponed"),
        (first, Some("note = 'x'"), "first-row"),
        (sums, Some("note = 'x'"), "aggregation"),
        (partial, Some("note = null"), "NULL"),
        (partial, Some("day = 3"), "primary key"),
        (ordered, Some("n = 1"), "orders the versions"),
        (waiting, Some("n = 1"), "postponed"),
        (KINDS[0], Some("id = 3"), "primary key"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        append(&table, &[row(1, 1, Some(1), "x")]).await;
        let latest = table.history().snapshots.latest_id().await.unwrap();
        let done = match sets {
            None => delete(&table, "n = 1").await,
            Some(set) => update(&table, &[set], "n = 1").await,
        };
        let error = done.unwrap_err();
        assert!(matches!(&error, Error::Unsupported(text) if text.contains(words)), "{options:?}: {error}");
        assert_eq!(table.history().snapshots.latest_id().await.unwrap(), latest);
    }
}

#[tokio::test]
async fn keys_move_when_their_partition_is_set() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, KINDS[2]).await;
    append(&table, &[row(1, 1, Some(1), "x"), row(2, 1, Some(2), "x")]).await;
    update(&table, &["day = 9"], "n = 1").await.unwrap();
    assert_eq!(as_set(rows(&table).await), as_set([row(1, 9, Some(1), "x"), row(2, 1, Some(2), "x")]));
    // Rows of append tables go to other partitions too.
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, KINDS[7]).await;
    append(&table, &[row(1, 1, Some(1), "x"), row(2, 1, Some(2), "x")]).await;
    update(&table, &["day = 9"], "n = 1").await.unwrap();
    assert_eq!(as_set(rows(&table).await), as_set([row(1, 9, Some(1), "x"), row(2, 1, Some(2), "x")]));
}

#[tokio::test]
async fn a_changelog_of_the_input_tells_what_was_before() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, &[("key", "id,day"), ("bucket", "1"), ("changelog-producer", "input")]).await;
    append(&table, &[row(1, 1, Some(1), "x"), row(2, 1, Some(2), "x")]).await;
    let first = update(&table, &["note = 'y'"], "n = 1").await.unwrap().snapshot_id.unwrap();
    delete(&table, "n = 2").await.unwrap();
    let mut stream = table.changes().from(Start::Snapshot(first)).read().await.unwrap();
    let mut found = Vec::new();
    while let Some(change) = stream.next().await.unwrap() {
        let rows = rows_of(table.schema(), change.rows.rows());
        found.extend(rows.into_iter().enumerate().map(|(at, row)| (change.rows.kind(at), row)));
    }
    let wanted = [
        (RowKind::UpdateBefore, row(1, 1, Some(1), "x")),
        (RowKind::UpdateAfter, row(1, 1, Some(1), "y")),
        (RowKind::Delete, row(2, 1, Some(2), "x")),
    ];
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn a_statement_with_a_user_of_its_own_is_done_once() {
    for options in [KINDS[0], KINDS[6], KINDS[7]] {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        append(&table, &[row(1, 1, Some(1), "x"), row(2, 1, Some(2), "x")]).await;
        let one = table.delete(condition(&table, "n = 1")).commit_user("clean 1");
        let done = one.clone().run().await.unwrap();
        assert!(done.snapshot_id.is_some() && !done.already);
        append(&table, &[row(1, 1, Some(1), "back")]).await;
        let again = one.run().await.unwrap();
        assert!(again.already && again.snapshot_id == done.snapshot_id, "{options:?}");
        assert_eq!(rows(&table).await.len(), 2);
        let whole = table.delete(condition(&table, "day = 1")).commit_user("clean 2");
        assert!(!whole.clone().run().await.unwrap().already);
        append(&table, &[row(3, 1, Some(1), "back")]).await;
        assert!(whole.run().await.unwrap().already);
        assert_eq!(rows(&table).await.len(), 1);
    }
}

#[tokio::test]
async fn kinds_in_a_column_do_not_undo_a_statement() {
    let place = tempfile::tempdir().unwrap();
    let builder =
        Schema::builder().column("id", DataType::BIGINT).column("n", DataType::INT).column("kind", DataType::STRING);
    let builder = builder.primary_key(["id"]).option("bucket", "1").option("rowkind.field", "kind");
    let table = Table::create(place.path().to_str().unwrap(), builder.build().unwrap(), []).await.unwrap();
    let row = |id, n| vec![Datum::BigInt(id), Datum::Int(n), Datum::String("+I".into())];
    append(&table, &[row(1, 1), row(2, 2)]).await;
    delete(&table, "n = 1").await.unwrap();
    update(&table, &["n = 5"], "n = 2").await.unwrap();
    assert_eq!(rows(&table).await, [row(2, 5)]);
}

#[tokio::test]
async fn a_file_of_which_nothing_is_left_goes() {
    for options in [KINDS[6], KINDS[7]] {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        append(&table, &[row(1, 1, Some(1), "x"), row(2, 1, Some(2), "x")]).await;
        append(&table, &[row(3, 1, Some(3), "x")]).await;
        delete(&table, "n = 1").await.unwrap();
        delete(&table, "n = 2").await.unwrap();
        let latest = table.history().snapshots.latest().await.unwrap().unwrap();
        let live =
            table.history().manifests.live_files(&latest, &forebay::history::FileFilter::default()).await.unwrap();
        assert_eq!((live.len(), latest.index_manifest.is_none()), (1, true), "{options:?}");
        assert_eq!(rows(&table).await, [row(3, 1, Some(3), "x")]);
    }
}

#[tokio::test]
async fn a_condition_of_no_column_is_true_for_all_rows_or_for_none() {
    for options in KINDS {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, options).await;
        append(&table, &(0..20).map(|id| row(id, id as i32 % 3, Some(1), "a")).collect::<Vec<_>>()).await;
        assert_eq!(delete(&table, "false").await.unwrap().rows, Some(0), "{options:?}");
        let tried = table.delete(condition(&table, "true")).dry_run().run().await.unwrap();
        assert_eq!((tried.rows, rows(&table).await.len()), (Some(20), 20), "{options:?}");
        assert_eq!(update(&table, &["n = 2"], "true").await.unwrap().rows, Some(20), "{options:?}");
        assert!(rows(&table).await.iter().all(|row| row[2] == Datum::Int(2)), "{options:?}");
        assert_eq!(delete(&table, "true").await.unwrap().rows, Some(20), "{options:?}");
        assert!(rows(&table).await.is_empty(), "{options:?}");
    }
}
