//! Random operations against an oracle in memory: the merged rows of every snapshot, filtered reads, and the changes.

use std::collections::{BTreeMap, BTreeSet};

use forebay::commit::{CommitOutcome, CommitProperties};
use forebay::format::{CommitMessage, Split};
use forebay::history::FileFilter;
use forebay::io::TableStore;
use forebay::predicate::{Expr, col};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Env, Table};

use crate::support::{
    Changes, Random, Row, as_set, batch, block_on, each_seed, read_at, read_changes, rows_of, seeded_env,
};

const KINDS: [RowKind; 6] = [
    RowKind::Insert,
    RowKind::UpdateAfter,
    RowKind::Insert,
    RowKind::UpdateAfter,
    RowKind::UpdateBefore,
    RowKind::Delete,
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Key {
    BigInt,
    String,
    Composite,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sequence {
    /// Arrival decides.
    None,
    /// A column with ties and NULLs decides, then arrival.
    Random,
    /// A column without ties decides, so writers may overlap.
    Unique,
}

/// What a seed decides about the table.
#[derive(Debug)]
struct Case {
    key: Key,
    partitioned: bool,
    sequence: Sequence,
    input: bool,
    options: Vec<(&'static str, &'static str)>,
}

impl Case {
    fn new(random: &mut Random) -> Self {
        let key = *random.pick(&[Key::BigInt, Key::String, Key::Composite]);
        let sequence = *random.pick(&[Sequence::None, Sequence::None, Sequence::Random, Sequence::Unique]);
        let input = random.chance(50);
        let mut options = vec![
            ("bucket", *random.pick(&["1", "2", "4"])),
            ("write-buffer-size", *random.pick(&["48 kb", "96 kb", "256 mb"])),
            ("changelog-producer", if input { "input" } else { "none" }),
            ("write-buffer-spillable", *random.pick(&["true", "true", "false"])),
            ("manifest.merge-min-count", *random.pick(&["2", "30"])),
            ("target-file-row-num", *random.pick(&["50", "1000000"])),
        ];
        if sequence != Sequence::None {
            options.push(("sequence.field", "seq"));
            // A compaction drops tombstones, and then they hide no late row of a lower sequence any more.
            options.push(("write-only", "true"));
        }
        Self { key, partitioned: random.chance(50), sequence, input, options }
    }

    fn schema(&self) -> Schema {
        let keys: &[(&str, DataType)] = match self.key {
            Key::BigInt => &[("id", DataType::BIGINT)],
            Key::String => &[("id", DataType::STRING)],
            Key::Composite => {
                &[("id", DataType::STRING), ("part", DataType::decimal(12, 2)), ("at", DataType::timestamp(3))]
            }
        };
        let mut builder = Schema::builder();
        for (name, data_type) in keys {
            builder = builder.column(*name, data_type.clone().not_null());
        }
        builder = builder
            .column("seq", DataType::INT)
            .column("n", DataType::INT)
            .column("text", DataType::STRING)
            .column("day", DataType::DATE.not_null());
        let mut primary: Vec<&str> = keys.iter().map(|(name, _)| *name).collect();
        if self.partitioned {
            builder = builder.partition_by(["day"]);
            primary.push("day");
        }
        for (key, value) in &self.options {
            builder = builder.option(*key, *value);
        }
        builder.primary_key(primary).build().unwrap()
    }

    fn id(&self, of: u64) -> Datum {
        match self.key {
            Key::BigInt => Datum::BigInt(of as i64 * 1_000_000_007 - 20_000_000_000),
            Key::String | Key::Composite => Datum::String(format!("{}key äß {of}", "long ".repeat(of as usize % 5))),
        }
    }

    fn row(&self, random: &mut Random, counter: &mut u64) -> Row {
        *counter += 1;
        let of = random.below(60);
        let mut row = vec![self.id(of)];
        if self.key == Key::Composite {
            row.push(Datum::Decimal(i128::from(of) * 101 - 3000));
            row.push(Datum::Timestamp { millis: (of as i64 % 7 - 3) * 86_399_999, nanos: 0 });
        }
        row.push(match self.sequence {
            Sequence::Unique => Datum::Int((*counter * 7919 % 1_000_003) as i32),
            _ if random.chance(10) => Datum::Null,
            _ => Datum::Int(random.below(40) as i32),
        });
        row.push(if random.chance(10) { Datum::Null } else { Datum::Int(random.below(100) as i32) });
        let length = random.below(12) as usize * random.below(20) as usize;
        row.push(if random.chance(10) {
            Datum::Null
        } else {
            Datum::String(format!("{counter} {}", "x".repeat(length)))
        });
        // Unpartitioned tables have the day as a plain value.
        row.push(Datum::Date(random.below(3) as i32 - 1));
        row
    }

    fn changes(&self, random: &mut Random, counter: &mut u64) -> Vec<Changes> {
        let batches = random.below(12);
        let change = |random: &mut Random, counter: &mut u64| (*random.pick(&KINDS), self.row(random, counter));
        (0..batches).map(|_| (0..1 + random.below(60)).map(|_| change(random, counter)).collect()).collect()
    }
}

/// The oracle: the newest version of every key, tombstones included.
struct Oracle {
    key_columns: Vec<usize>,
    sequence: Option<usize>,
    newest: BTreeMap<String, (RowKind, Row)>,
}

impl Oracle {
    fn new(schema: &Schema, sequence: Sequence) -> Self {
        let key_columns = schema.primary_keys.iter().map(|name| schema.index_of(name).unwrap()).collect();
        let sequence = (sequence != Sequence::None).then(|| schema.index_of("seq").unwrap());
        Self { key_columns, sequence, newest: BTreeMap::new() }
    }

    fn apply(&mut self, changes: &[(RowKind, Row)]) {
        for (kind, row) in changes {
            let key = format!("{:?}", self.key_columns.iter().map(|at| &row[*at]).collect::<Vec<_>>());
            let of = |row: &Row| match self.sequence.map(|at| &row[at]) {
                Some(Datum::Int(sequence)) => i64::from(*sequence),
                _ => i64::MIN,
            };
            if self.newest.get(&key).is_none_or(|(_, old)| of(row) >= of(old)) {
                self.newest.insert(key, (*kind, row.clone()));
            }
        }
    }

    fn rows(&self) -> Vec<Row> {
        let live = self.newest.values().filter(|(kind, _)| !kind.is_retract());
        live.map(|(_, row)| row.clone()).collect()
    }
}

/// What a snapshot must show.
struct Expected {
    time: i64,
    rows: Vec<Row>,
    changes: Changes,
}

/// The snapshots of the new files and of a compaction. Of two writers that compact one bucket, one may lose its work.
async fn commit(table: &Table, user: &str, identifier: i64, messages: Vec<CommitMessage>) -> (i64, Option<i64>) {
    let mut committer = table.committer(user).unwrap();
    match committer.commit(identifier, messages, CommitProperties::default()).await.unwrap() {
        CommitOutcome::Committed { append: Some(append), compact, .. } => (append, compact),
        other => panic!("{other:?}"),
    }
}

async fn run(seed: u64, store: TableStore) {
    let mut random = Random(seed);
    let case = Case::new(&mut random);
    let table = Table::create_store(store, case.schema()).await.unwrap();
    let schema = table.schema().clone();
    let env: Env = table.store().env().clone();
    let mut oracle = Oracle::new(&schema, case.sequence);
    let mut expected: BTreeMap<i64, Expected> = BTreeMap::new();
    let mut writers = [table.stream_writer("a").await.unwrap(), table.stream_writer("b").await.unwrap()];
    let mut counter = 0;
    for identifier in 1..=3 + random.below(5) as i64 {
        if random.chance(40) {
            abort_one(&table, &case, &mut random, &mut counter).await;
        }
        // Both writers are open over all commits. Where a column decides the order they also overlap.
        let mut order = vec![identifier as usize % 2];
        if case.sequence == Sequence::Unique {
            order.push(1 - order[0]);
        }
        let mut prepared = Vec::new();
        for writer in order.iter().copied() {
            let changes = case.changes(&mut random, &mut counter);
            for some in &changes {
                writers[writer].write(&batch(&schema, some)).await.unwrap();
            }
            prepared.push((writer, changes.concat(), writers[writer].prepare_commit().await.unwrap()));
        }
        for (writer, changes, messages) in prepared.into_iter().rev() {
            env.sleep(std::time::Duration::from_secs(1)).await;
            let (id, compacted) = commit(&table, ["a", "b"][writer], identifier, messages).await;
            oracle.apply(&changes);
            let expect = |changes| Expected { time: env.now_millis(), rows: oracle.rows(), changes };
            expected.insert(id, expect(changes));
            expected.extend(compacted.map(|id| (id, expect(Vec::new()))));
        }
    }
    for writer in writers {
        writer.abort().await.unwrap(); // nothing waits, but a compaction may run beside it
    }
    let table = Table::open_store(table.store().clone()).await.unwrap();
    check_rows(&table, &case, &expected, &mut random).await;
    check_changes(&table, &case, &expected).await;
    check_files(&table).await;
}

/// A writer that gives up, before or after it has told its files.
async fn abort_one(table: &Table, case: &Case, random: &mut Random, counter: &mut u64) {
    let mut writer = table.stream_writer("quitter").await.unwrap();
    for some in case.changes(random, counter) {
        writer.write(&batch(table.schema(), &some)).await.unwrap();
    }
    if random.chance(50) {
        writer.abort().await.unwrap();
    } else {
        let messages = writer.prepare_commit().await.unwrap();
        table.committer("quitter").unwrap().abort(&messages).await.unwrap();
        writer.abort().await.unwrap();
    }
}

type Test = Box<dyn Fn(&Row) -> bool>;

/// A filter, and the same as a function.
fn filter(case: &Case, schema: &Schema, random: &mut Random) -> (Expr, Test) {
    let at = |name: &str| schema.index_of(name).unwrap();
    let (n, text, day, id) = (at("n"), at("text"), at("day"), at("id"));
    let number = |datum: &Datum| match datum {
        Datum::Int(value) | Datum::Date(value) => Some(*value),
        _ => None,
    };
    match random.below(6) {
        0 => {
            let bound = random.below(100) as i32;
            (col("n").lt(bound), Box::new(move |row| number(&row[n]).is_some_and(|value| value < bound)))
        }
        1 => (col("text").is_null(), Box::new(move |row| row[text].is_null())),
        2 => {
            let wanted = random.below(4) as i32 - 1;
            let expr = forebay::predicate::parse(&format!("day = DATE '{}'", day_text(wanted)), schema).unwrap();
            (expr, Box::new(move |row| number(&row[day]) == Some(wanted)))
        }
        3 => {
            let wanted = case.id(random.below(70));
            let expr = match &wanted {
                Datum::BigInt(value) => col("id").eq(*value),
                Datum::String(value) => col("id").eq(value.as_str()),
                other => panic!("{other:?}"),
            };
            (expr, Box::new(move |row| row[id] == wanted))
        }
        4 => {
            let (low, day_is) = (random.below(100) as i32, random.below(3) as i32 - 1);
            let text_of = format!("n >= {low} AND day <> DATE '{}'", day_text(day_is));
            let test =
                move |row: &Row| number(&row[n]).is_some_and(|value| value >= low) && number(&row[day]) != Some(day_is);
            (forebay::predicate::parse(&text_of, schema).unwrap(), Box::new(test))
        }
        _ => {
            let bound = random.below(20) as i32;
            let expr = col("n").lt(bound).or(col("n").is_null());
            (expr, Box::new(move |row| number(&row[n]).is_none_or(|value| value < bound)))
        }
    }
}

fn day_text(day: i32) -> &'static str {
    ["1969-12-31", "1970-01-01", "1970-01-02", "1970-01-03"][(day + 1) as usize]
}

async fn check_rows(table: &Table, case: &Case, expected: &BTreeMap<i64, Expected>, random: &mut Random) {
    let schema = table.schema();
    for (id, wanted) in expected {
        let all = as_set(&wanted.rows);
        let found = read_at(table, At::Snapshot(*id)).await.unwrap();
        assert_eq!(as_set(found), all, "snapshot {id} of {case:?}");
        let found = read_at(table, At::Timestamp(wanted.time)).await.unwrap();
        assert_eq!(as_set(found), all, "snapshot {id} by its time, {case:?}");
        for _ in 0..4 {
            let (expr, test) = filter(case, schema, random);
            let scan = table.scan().at(At::Snapshot(*id)).filter(expr.clone());
            // Planned here, read "elsewhere".
            let splits: Vec<Split> = scan.plan().await.unwrap().splits;
            let splits = splits.iter().map(|split| Split::decode(&split.encode()).unwrap()).collect();
            let mut stream = scan.read_splits(splits).await.unwrap();
            let mut found = Vec::new();
            while let Some(batch) = stream.next_batch().await.unwrap() {
                found.extend(rows_of(schema, &batch));
            }
            let wanted = as_set(wanted.rows.iter().filter(|row| test(row)));
            assert_eq!(as_set(found), wanted, "snapshot {id} where {expr:?}, {case:?}");
        }
        let limit = random.below(30) as usize;
        let mut stream = table.scan().at(At::Snapshot(*id)).limit(limit).read().await.unwrap();
        let mut found = Vec::new();
        while let Some(batch) = stream.next_batch().await.unwrap() {
            found.extend(as_set(rows_of(schema, &batch)));
        }
        assert_eq!(found.len(), limit.min(wanted.rows.len()), "limit {limit} of snapshot {id}, {case:?}");
        assert!(found.iter().all(|row| all.contains(row)), "limit {limit} of snapshot {id}, {case:?}");
    }
}

async fn check_changes(table: &Table, case: &Case, expected: &BTreeMap<i64, Expected>) {
    let found = read_changes(table).await.unwrap();
    if case.input {
        let wanted = expected
            .iter()
            .flat_map(|(id, wanted)| wanted.changes.iter().map(move |(kind, row)| (*id, *kind, row.clone())));
        assert_eq!(as_set(found.clone()), as_set(wanted), "the changelog is what was written, {case:?}");
    }
    // With a sequence column a late row of an old version is a change that the merged rows do not follow.
    if case.sequence == Sequence::None {
        let mut replayed = Oracle::new(table.schema(), Sequence::None);
        let mut rest = found.into_iter().peekable();
        for (id, wanted) in expected {
            while let Some((_, kind, row)) = rest.next_if(|(snapshot, ..)| snapshot == id) {
                replayed.apply(&[(kind, row)]);
            }
            assert_eq!(as_set(replayed.rows()), as_set(&wanted.rows), "changes up to snapshot {id}, {case:?}");
        }
        assert!(rest.next().is_none());
    }
}

/// Files on disk are those that snapshots name: aborted writers leave nothing.
async fn check_files(table: &Table) {
    let history = table.history();
    let mut named = BTreeSet::new();
    for id in history.snapshots.ids().await.unwrap() {
        let snapshot = history.snapshots.load(id).await.unwrap();
        let all = FileFilter::default();
        let mut entries = history.manifests.live_files(&snapshot, &all).await.unwrap();
        entries.extend(history.manifests.changelog_files(&snapshot, &all).await.unwrap());
        named.extend(entries.iter().map(|entry| entry.file.file_name.clone()));
    }
    let there = table.store().list_recursive("").await.unwrap().into_iter().map(|file| file.name);
    let there: BTreeSet<String> = there
        .filter(|path| path.contains("bucket-"))
        .map(|path| path.rsplit('/').next().unwrap().to_string())
        .collect();
    assert_eq!(there, named);
}

#[test]
fn random_operations_in_memory_agree_with_the_oracle() {
    each_seed("random_operations_in_memory", 12, |seed| {
        block_on(async { run(seed, TableStore::memory(&seeded_env(seed))).await });
    });
}

#[test]
fn random_operations_on_disk_agree_with_the_oracle() {
    each_seed("random_operations_on_disk", 4, |seed| {
        let directory = tempfile::tempdir().unwrap();
        let store = TableStore::local(directory.path().join("t"), &seeded_env(seed)).unwrap();
        block_on(run(seed.wrapping_add(1 << 32), store));
    });
}
