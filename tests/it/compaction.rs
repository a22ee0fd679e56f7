//! Tables of Java and of ourselves, compacted by us: nobody sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use forebay::commit::CommitProperties;
use forebay::scan::At;
use forebay::schema::{BucketMode, Schema, SchemaChange};
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};
use serde_json::Value;

use crate::goldens::{HASH_DECIDES, differ, each_golden};
use crate::support::{Row, all_rows, as_set, changes, copy, given_row, json_lines, row_of, rows_of};

async fn newest(table: &Table) -> Result<Vec<String>, Error> {
    let stream = table.scan().at(At::Latest).wide_timestamps().read().await?;
    Ok(as_set(all_rows(table.schema(), stream).await?))
}

/// Java made two adds of one sequence number there, and which wins is open.
const UNDEFINED: [&str; 2] = ["two_writers_overlap", "two_writers_sequence"];

/// The rows that all operations of a golden leave, each key as its last one says.
fn applied(dir: &Path, schema: &Schema) -> Vec<String> {
    let keys = schema.positions(&schema.primary_keys).unwrap();
    let mut rows: BTreeMap<String, Option<Row>> = BTreeMap::new();
    for line in json_lines(&dir.join("ops.jsonl")).iter().filter(|line| line.get("kind").is_some()) {
        let row = row_of(schema, &line["row"]);
        let key = format!("{:?}", keys.iter().map(|at| &row[*at]).collect::<Vec<_>>());
        let kind = RowKind::from_short(line["kind"].as_str().unwrap()).unwrap();
        rows.insert(key, RowKind::adds(kind as i8).then_some(row));
    }
    as_set(rows.into_values().flatten())
}

#[tokio::test]
async fn a_golden_compacted_by_us_reads_as_before() {
    each_golden("compacted", |name, dir| async move {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("t");
        copy(&dir.join("table"), &path);
        // Beside deletion vectors level 0 is seen once it is compacted, unless a reader asks for it.
        let table = Table::open(path.to_str().unwrap(), []).await?;
        let table = table.with_options([("deletion-vectors.merge-on-read", "true")])?;
        if table.schema().bucket_mode()? == BucketMode::Postpone {
            // A compaction of the job moves waiting rows first, and then they show.
            table.move_postponed().run().await?;
            differ("rows that waited".to_string(), &applied(&dir, table.schema()), &newest(&table).await?)?;
        }
        let before = newest(&table).await?;
        for full in [false, true] {
            let compaction = table.compact();
            let report = if full { compaction.full() } else { compaction }.run().await?;
            assert_eq!(report.lost_tasks, 0, "{name}");
            let after = newest(&table).await?;
            if !UNDEFINED.contains(&name.as_str()) && after != before {
                let lost: Vec<_> = before.iter().filter(|row| !after.contains(row)).take(3).collect();
                let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).take(3).collect();
                return Err(Error::Bug(format!("full: {full}, lost {lost:#?}, new {new:#?}")));
            }
        }
        Ok(())
    })
    .await;
}

/// The lines of a file of a golden by commit.
fn by_commit(dir: &Path, file: &str, commit_of: impl Fn(&Value) -> i64) -> BTreeMap<i64, Vec<Value>> {
    let mut commits: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for line in json_lines(&dir.join(file)) {
        commits.entry(commit_of(&line)).or_default().push(line);
    }
    commits
}

/// What a job of its own does when not everything is asked for.
const DEDICATED: &str = "compaction (not full), dedicated";

/// Whether nothing beside writes and compactions happened to a golden.
fn is_plain(dir: &Path) -> bool {
    let plain = |line: &Value| {
        let action = line["action"].as_str();
        line.get("branch").is_none()
            && line.get("user").is_none_or(|user| user != "writer-2")
            && action.is_none_or(|action| ["full-compaction", DEDICATED].contains(&action))
    };
    json_lines(&dir.join("ops.jsonl")).iter().all(plain)
}

/// What is compared after a commit: rows, and changes with their kinds.
#[derive(Default)]
struct Shown {
    rows: Vec<String>,
    changes: Vec<String>,
}

/// What Java shows after each commit. `at` counts its snapshots.
fn java(dir: &Path, schema: &Schema) -> (BTreeMap<i64, Shown>, BTreeSet<i64>) {
    let text = std::fs::read_to_string(dir.join("schema.json")).unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    let (mut commit_of, mut newest, mut compacted) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for snapshot in told["snapshots"].as_array().unwrap() {
        let (id, commit) = (snapshot["snapshot"].as_i64().unwrap(), snapshot["commit"].as_i64().unwrap());
        commit_of.insert(id, commit);
        newest.insert(commit, id);
        if snapshot["kind"] == "COMPACT" {
            compacted.insert(commit);
        }
    }
    let of = |line: &Value| commit_of[&line["snapshot"].as_i64().unwrap()];
    let mut shown: BTreeMap<i64, Shown> = newest.keys().map(|commit| (*commit, Shown::default())).collect();
    for (commit, lines) in by_commit(dir, "rows.jsonl", of) {
        let last = lines.into_iter().filter(|line| line["snapshot"].as_i64() == newest.get(&commit).copied());
        shown.get_mut(&commit).unwrap().rows = as_set(last.map(|line| row_of(schema, &line["row"])));
    }
    for (commit, lines) in by_commit(dir, "changes.jsonl", of) {
        let changes = lines
            .iter()
            .map(|line| (RowKind::from_short(line["kind"].as_str().unwrap()).unwrap(), row_of(schema, &line["row"])));
        shown.get_mut(&commit).unwrap().changes = as_set(changes);
    }
    (shown, compacted)
}

/// Applies the operations of a golden through our writer, compacts in the commits in which Java did, and shows what is
/// there after each.
async fn replayed(dir: &Path, place: &Path, compacted: &BTreeSet<i64>) -> Result<BTreeMap<i64, Shown>, Error> {
    let mut schema = Table::open(dir.join("table").to_str().unwrap(), []).await?.schema().as_ref().clone();
    schema.id = 0;
    let table = Table::create(place.to_str().unwrap(), schema, []).await?;
    // Beside deletion vectors rows are seen once they are compacted, which is done here after each commit.
    let table = table.with_options([("write-only", "true")])?;
    let schema = table.schema().clone();
    let mut writer = table.stream_writer("writer-1").await?;
    let mut committer = table.committer("writer-1")?;
    let (mut shown, mut ends): (BTreeMap<i64, Shown>, Vec<(i64, i64)>) = (BTreeMap::new(), Vec::new());
    for (commit, lines) in by_commit(dir, "ops.jsonl", |line| line["commit"].as_i64().unwrap()) {
        let row = |line: &Value| {
            let kind = RowKind::from_short(line["kind"].as_str()?).unwrap();
            Some((kind, given_row(&schema, &line["row"])))
        };
        let rows: Vec<_> = lines.iter().filter_map(row).collect();
        if schema.bucket_mode()? == BucketMode::KeyDynamic {
            // Java's index of keys was made anew for each commit there, and forgot where deleted keys had been.
            writer = table.stream_writer("writer-1").await?;
        }
        if !rows.is_empty() {
            writer.write(&changes(&schema, &rows)).await?;
        }
        let messages = writer.prepare_commit().await?;
        committer.commit(commit, messages, CommitProperties::default()).await?;
        let asked = |action: &str| lines.iter().any(|line| line["action"] == action);
        if asked("full-compaction") {
            table.compact().full().run().await?;
        } else if asked(DEDICATED) || compacted.contains(&commit) {
            table.compact().run().await?;
        }
        ends.push((table.history().snapshots.latest_id().await?.unwrap(), commit));
        shown.insert(commit, Shown { rows: newest(&table).await?, changes: Vec::new() });
    }
    let mut stream = table.changes().from(Start::Earliest).wide_timestamps().read().await?;
    let mut found: BTreeMap<i64, Vec<(RowKind, Row)>> = BTreeMap::new();
    while let Some(change) = stream.next().await? {
        let commit = ends[ends.partition_point(|(id, _)| *id < change.snapshot_id)].1;
        let rows = rows_of(&schema, change.rows.rows()).into_iter().enumerate();
        found.entry(commit).or_default().extend(rows.map(|(at, row)| (change.rows.kind(at), row)));
    }
    for (commit, changes) in found {
        shown.get_mut(&commit).unwrap().changes = as_set(changes);
    }
    Ok(shown)
}

#[tokio::test]
async fn operations_and_compactions_replayed_give_the_rows_and_the_changelog_of_java() {
    each_golden("replayed", |name, dir| async move {
        if !is_plain(&dir) || UNDEFINED.contains(&name.as_str()) {
            return Err(Error::Unsupported("its history has more than writes and compactions".into()));
        }
        if HASH_DECIDES.contains(&name.as_str()) {
            return Err(Error::Unsupported("which rows count-limit keeps is decided by Java's hash order".into()));
        }
        let place = tempfile::tempdir().unwrap();
        let schema = Table::open(dir.join("table").to_str().unwrap(), []).await?.schema().clone();
        let (wanted, compacted) = java(&dir, &schema);
        let found = replayed(&dir, &place.path().join("t"), &compacted).await?;
        for (commit, wanted) in wanted {
            let found = &found[&commit];
            differ(format!("rows after commit {commit}"), &wanted.rows, &found.rows)?;
            differ(format!("changes of commit {commit}"), &wanted.changes, &found.changes)?;
        }
        Ok(())
    })
    .await;
}

/// Milliseconds since 1970, now; the margins of the test are hours.
fn now_millis() -> i64 {
    forebay::Env::system().now_millis()
}

#[tokio::test]
async fn compaction_drops_rows_that_are_too_old() {
    let hours_ago = |hours: i64| now_millis() - hours * 3_600_000;
    type AsTime = fn(i64) -> Datum;
    let kinds: [(DataType, AsTime); 6] = [
        (DataType::timestamp(6), |millis| Datum::Timestamp { millis, nanos: 1000 }),
        (DataType::INT, |millis| Datum::Int((millis / 1000) as i32)),
        (DataType::BIGINT, |millis| Datum::BigInt(millis / 1000)),
        (DataType::BIGINT, Datum::BigInt),
        (DataType::timestamp(3), |millis| Datum::Timestamp { millis, nanos: 0 }),
        (DataType::timestamp_ltz(9), |millis| Datum::Timestamp { millis, nanos: 17 }),
    ];
    for (time_type, time) in kinds {
        let place = tempfile::tempdir().unwrap();
        let schema = Schema::builder().column("k", DataType::INT).column("made", time_type.clone()).primary_key(["k"]);
        let schema =
            schema.option("bucket", "1").option("write-only", "true").option("record-level.time-field", "made");
        let schema = schema.option("record-level.expire-time", "2 d").build().unwrap();
        let table = Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap();
        let mut writer = table.writer().await.unwrap();
        let row = |key: i32, hours: i64| (RowKind::Insert, vec![Datum::Int(key), time(hours_ago(hours))]);
        // Key 3 was young and is old now: its old version goes, and the young one is told again, as Java does.
        let rows = [row(1, 1), row(2, 30), row(3, 1), row(4, 60), (RowKind::Insert, vec![Datum::Int(5), Datum::Null])];
        writer.write(&changes(table.schema(), &rows)).await.unwrap();
        writer.commit().await.unwrap();
        writer.write(&changes(table.schema(), &[row(3, 60), row(6, 100)])).await.unwrap();
        writer.commit().await.unwrap();
        let keys = async |table: &Table| {
            let rows = all_rows(table.schema(), table.scan().wide_timestamps().read().await.unwrap()).await.unwrap();
            let mut keys: Vec<i32> =
                rows.iter().map(|row| if let Datum::Int(key) = row[0] { key } else { -1 }).collect();
            keys.sort_unstable();
            keys
        };
        assert_eq!(keys(&table).await, [1, 2, 3, 4, 5, 6], "nothing goes before a compaction");
        table.compact().full().run().await.unwrap();
        assert_eq!(keys(&table).await, [1, 2, 3, 5], "{time_type}");
        // Nothing is due, and then the file at the top is, by its statistics.
        assert!(table.compact().full().plan().await.unwrap().is_empty());
        let sooner = table.clone().with_options([("record-level.expire-time", "1 d")]).unwrap();
        sooner.compact().full().run().await.unwrap();
        // INT96 has no statistics: such a file waits for a compaction that takes it anyway.
        let told = time_type != DataType::timestamp_ltz(9);
        assert_eq!(keys(&table).await, if told { vec![1, 3, 5] } else { vec![1, 2, 3, 5] }, "{time_type}");
    }
}

/// Found by acceptance: it masked the young row above, which went with it.
#[tokio::test]
async fn a_late_row_that_is_too_old_takes_nothing_with_it() {
    let now = now_millis() / 1000;
    let row = |key: i32, value: i32, age: i64| {
        (RowKind::Insert, vec![Datum::Int(key), Datum::Int(value), Datum::BigInt(now - age)])
    };
    let told = "truncate(16)";
    for (vectors, producer, engine, folded, statistics) in [
        ("true", "none", "deduplicate", 5, told),
        ("true", "lookup", "deduplicate", 5, told),
        // A file that does not tell how old its rows are is not moved up as it is.
        ("true", "none", "deduplicate", 5, "none"),
        ("true", "lookup", "deduplicate", 5, "none"),
        ("true", "none", "partial-update", 5, told),
        ("true", "lookup", "aggregation", 105, told),
        ("false", "lookup", "aggregation", 105, told),
        ("false", "lookup", "deduplicate", 5, "none"),
        ("false", "none", "deduplicate", 5, told),
    ] {
        let place = tempfile::tempdir().unwrap();
        let schema = Schema::builder().column("k", DataType::INT).column("v", DataType::INT);
        let schema = schema.column("made", DataType::BIGINT).primary_key(["k"]);
        let options = [
            ("bucket", "1"),
            ("write-only", "true"),
            ("record-level.time-field", "made"),
            ("record-level.expire-time", "1 h"),
            ("deletion-vectors.enabled", vectors),
            ("changelog-producer", producer),
            ("merge-engine", engine),
            ("metadata.stats-mode", statistics),
            ("fields.v.aggregate-function", "sum"),
            ("fields.made.aggregate-function", "max"),
        ];
        let aggregates = |name: &str| name.starts_with("fields.");
        let taken = options.into_iter().filter(|(name, _)| engine == "aggregation" || !aggregates(name));
        let schema = taken.fold(schema, |schema, (name, value)| schema.option(name, value)).build().unwrap();
        let table = Table::create(place.path().join("t").to_str().unwrap(), schema, []).await.unwrap();
        let mut writer = table.writer().await.unwrap();
        for (rows, full) in [
            (vec![row(1, 100, 0), row(2, 100, 0), row(3, 100, 0)], true),
            (vec![row(1, 5, 7200), row(2, 5, 0), row(4, 5, 7200)], false),
            (vec![row(1, 5, 7200)], false),
            (vec![row(3, 5, 7200)], true),
        ] {
            writer.write(&changes(table.schema(), &rows)).await.unwrap();
            writer.commit().await.unwrap();
            let compaction = table.compact();
            if full { compaction.full() } else { compaction }.run().await.unwrap();
        }
        table.compact().full().run().await.unwrap();
        let what = format!("{engine}, {producer}, vectors: {vectors}, statistics: {statistics}");
        let shown = newest(&table).await.unwrap();
        let wanted = [row(1, 100, 0), row(2, folded, 0), row(3, 100, 0)].map(|(_, row)| row);
        assert_eq!(shown, as_set(wanted), "{what}");
    }
}

#[tokio::test]
async fn a_time_that_cannot_tell_age_is_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let cases = [
        (Some("nothing"), true, "nothing"),
        (Some("name"), true, "STRING"),
        (None, true, "time-field"),
        (Some("made"), false, "without a primary key"),
    ];
    for (number, (field, key, word)) in cases.into_iter().enumerate() {
        let mut schema = Schema::builder().column("made", DataType::BIGINT.not_null()).column("name", DataType::STRING);
        if key {
            schema = schema.primary_key(["made"]).option("bucket", "1");
        }
        let options: Vec<(&str, &str)> = field
            .map(|field| ("record-level.time-field", field))
            .into_iter()
            .chain([("record-level.expire-time", "1 d")])
            .collect();
        let place = place.path().join(number.to_string());
        let named = |error: Error| {
            let error = error.to_string();
            assert!(error.contains("record-level") && error.contains(word), "{error}");
        };
        // Nothing is created, altered or compacted by such options.
        let told = options.iter().fold(schema.clone(), |schema, (name, value)| schema.option(*name, *value));
        named(Table::create(place.to_str().unwrap(), told.build().unwrap(), []).await.err().unwrap());
        let table = Table::create(place.to_str().unwrap(), schema.build().unwrap(), []).await.unwrap();
        let set = |(name, value): &(&str, &str)| SchemaChange::SetOption((*name).to_string(), (*value).to_string());
        named(table.alter(&options.iter().map(set).collect::<Vec<_>>()).await.err().unwrap());
        named(table.with_options(options).unwrap().compact().run().await.unwrap_err());
    }
}
