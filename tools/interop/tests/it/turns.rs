//! Tables whose compactions look old rows up, by turns: we commit, Java commits, both compact. Rows and changelog are those of
//! an oracle at each snapshot, for every merge engine, with deletion vectors where Java has them, and without.

use std::collections::{BTreeMap, BTreeSet};

use forebay::Table;
use forebay::format::CommitKind;
use forebay::types::{Datum, RowKind};
use forebay_interop::{Engine, Op, Random, Row, Server, TableSpec, View, assert_same, create, open, seeds};
use serde_json::{Value, json};

use crate::support::{masked_rows, place, server_compact, server_write};

const KEYS: i64 = 40;
const ENGINES: [&str; 4] = ["deduplicate", "partial-update", "aggregation", "first-row"];

/// The rows by key.
type Rows = BTreeMap<i64, Row>;

/// What a table must show, told by the operations alone.
struct Oracle {
    engine: &'static str,
    producer: &'static str,
    /// Readers see what is compacted.
    hides_level_0: bool,
    now: Rows,
    /// What was compacted last.
    compacted: Rows,
    /// Keys that were written since then.
    touched: BTreeSet<i64>,
    expected: View,
}

fn texts<T: std::fmt::Debug>(all: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut texts: Vec<String> = all.into_iter().map(|one| format!("{one:?}")).collect();
    texts.sort();
    texts
}

impl Oracle {
    fn new(engine: &'static str, producer: &'static str, vectors: bool) -> Self {
        Self {
            engine,
            producer,
            hides_level_0: vectors || engine == "first-row",
            now: Rows::new(),
            compacted: Rows::new(),
            touched: BTreeSet::new(),
            expected: View::default(),
        }
    }

    /// One operation on the rows, as Paimon's documentation has it for the engine.
    fn apply(&mut self, op: &Op) {
        let Datum::BigInt(id) = op.row[0] else { panic!("{op:?}") };
        self.touched.insert(id);
        let (rows, taken) = (&mut self.now, op.kind.is_retract());
        let new = || vec![op.row[0].clone(), Datum::Null, Datum::Null];
        match self.engine {
            "deduplicate" if taken => drop(rows.remove(&id)),
            "deduplicate" => drop(rows.insert(id, op.row.clone())),
            "first-row" => drop(rows.entry(id).or_insert_with(|| op.row.clone())),
            "partial-update" => {
                let there = rows.entry(id).or_insert_with(new);
                let comes = op.row.iter().zip(there).filter(|(value, _)| !value.is_null());
                comes.for_each(|(value, there)| *there = value.clone());
            }
            _ => {
                let there = rows.entry(id).or_insert_with(new);
                if let Datum::Int(n) = op.row[1] {
                    let sum = if let Datum::Int(sum) = there[1] { sum } else { 0 };
                    there[1] = Datum::Int(if taken { sum - n } else { sum + n });
                }
                match (&there[2], &op.row[2]) {
                    (_, Datum::String(_)) if taken => {}
                    (Datum::String(old), Datum::String(new)) if old >= new => {}
                    (_, Datum::String(_)) => there[2] = op.row[2].clone(),
                    _ => {}
                }
            }
        }
    }

    /// What compactions that look old rows up tell of what was written since the last one.
    fn told(&mut self) -> Vec<(RowKind, Row)> {
        let mut told = Vec::new();
        for id in std::mem::take(&mut self.touched) {
            match (self.compacted.get(&id), self.now.get(&id)) {
                (None, None) => {}
                (None, Some(new)) => told.push((RowKind::Insert, new.clone())),
                (Some(old), None) => told.push((RowKind::Delete, old.clone())),
                // The first row stays.
                (Some(_), Some(_)) if self.engine == "first-row" => {}
                (Some(old), Some(new)) => {
                    told.extend([(RowKind::UpdateBefore, old.clone()), (RowKind::UpdateAfter, new.clone())]);
                }
            }
        }
        self.compacted.clone_from(&self.now);
        told
    }

    /// Notes the snapshots of a turn, of which the first may hold operations.
    async fn note(&mut self, table: &Table, snapshots: std::ops::RangeInclusive<i64>, operations: &[Op]) {
        operations.iter().for_each(|op| self.apply(op));
        for id in snapshots {
            let appends = table.history().snapshots.load(id).await.unwrap().commit_kind == CommitKind::Append;
            let changes = match (appends, self.producer) {
                (false, "lookup") => self.told(),
                (false, _) => {
                    self.told();
                    Vec::new()
                }
                (true, "input") => operations.iter().map(|op| (op.kind, op.row.clone())).collect(),
                _ => Vec::new(),
            };
            if !changes.is_empty() {
                self.expected.changes.insert(id, texts(changes));
            }
            let shown = if appends && self.hides_level_0 { &self.compacted } else { &self.now };
            self.expected.rows.insert(id, texts(shown.values()));
        }
    }
}

fn spec(engine: &str, producer: &str, random: &mut Random) -> TableSpec {
    let spec = TableSpec::of(&["id BIGINT", "n INT", "text STRING"])
        .key(&["id"])
        .option("bucket", random.pick(&["1", "1", "2"]))
        .option("merge-engine", engine)
        .option("changelog-producer", producer)
        .option("num-levels", random.pick(&["3", "4", "6"]))
        .option("num-sorted-run.compaction-trigger", random.pick(&["2", "3", "5"]));
    match engine {
        "aggregation" => spec
            .option("fields.n.aggregate-function", "sum")
            .option("fields.text.aggregate-function", "max")
            .option("fields.text.ignore-retract", "true"),
        _ => spec,
    }
}

fn operations(engine: &str, random: &mut Random, turn: usize) -> Vec<Op> {
    let null = |random: &mut Random, value| if random.chance(25) { Datum::Null } else { value };
    let mut operations = Vec::new();
    if turn == 0 && engine == "aggregation" {
        // A -D that is alone of its key is no row and may be dropped: every key has an addition first.
        let first = |id| Op::insert(vec![Datum::BigInt(id), Datum::Int(1), Datum::Null]);
        operations.extend((0..KEYS).map(first));
    }
    for _ in 0..random.pick(&[1, 8, 30]) {
        let (n, text) = (random.below(100) as i32, format!("{} of {turn}", random.below(9)));
        let (n, text) = (null(random, Datum::Int(n)), null(random, Datum::String(text)));
        let id = random.below(KEYS as usize) as i64;
        let taken = matches!(engine, "deduplicate" | "aggregation") && random.chance(20);
        let kind = if taken { RowKind::Delete } else { RowKind::Insert };
        operations.push(Op { kind, row: vec![Datum::BigInt(id), n, text] });
    }
    operations
}

/// Each engine of ours and Java's writes and compacts by turns. Answers how many rows were masked on the way.
async fn by_turns(with: Engine, engine: &'static str, producer: &'static str, vectors: bool, seed: u64) -> i64 {
    let mut server = Server::get(with);
    let mut random = Random::new(seed);
    // Compactions come from jobs then, and of several commits at once.
    let write_only = random.chance(40);
    let mut spec = spec(engine, producer, &mut random).option("write-only", if write_only { "true" } else { "false" });
    if vectors {
        spec = spec
            .option("deletion-vectors.enabled", "true")
            .option("deletion-vectors.bitmap64", random.pick(&["true", "false"]));
    }
    let (place, mut oracle) = (place(), Oracle::new(engine, producer, vectors));
    let path = place.path().join("t");
    match random.chance(50) {
        true => drop(create(&path, &spec).await),
        false => spec.create_by(&mut server, &path),
    }
    let (mut newest, mut masked, mut done) = (0, 0, Vec::new());
    for turn in 0..12 {
        let compacts = newest > 0 && random.chance(if write_only { 50 } else { 15 });
        let ours = random.chance(50);
        done.push(match (ours, compacts) {
            (true, false) => "we write",
            (false, false) => "they write",
            (true, true) => "we compact",
            (false, true) => "they compact",
        });
        let operations = if compacts { Vec::new() } else { operations(engine, &mut random, turn) };
        let identifier = turn as i64 + 1;
        let full = random.chance(30);
        let snapshot = match (ours, compacts) {
            (true, false) => {
                let user = format!("ours-{identifier}");
                forebay_interop::Writer::of(&open(&path).await, &user).await.commit(identifier, &operations).await;
                open(&path).await.history().snapshots.latest_id().await.unwrap().unwrap()
            }
            (false, false) => {
                let compact = if write_only { "none" } else { "auto" };
                server_write(&mut server, &path, &spec, identifier, &operations, compact)
            }
            (true, true) => {
                let table = open(&path).await;
                let compaction = if full { table.compact().full() } else { table.compact() };
                compaction.run().await.unwrap().snapshots.last().copied().unwrap_or(newest)
            }
            (false, true) => server_compact(&mut server, &path, &spec, full),
        };
        let table = open(&path).await;
        oracle.note(&table, newest + 1..=snapshot, &operations).await;
        newest = snapshot;
        masked += masked_rows(&table).await;
    }
    let table = open(&path).await;
    let what = format!("seed {seed}, {done:?}: {spec:?}");
    let ours = View::ours(&table).await;
    let theirs = View::of(&mut server, &table, &path).await;
    let mut wanted = oracle.expected;
    if producer == "none" {
        // Both tell what was flushed.
        wanted.changes.clone_from(&theirs.changes);
    }
    assert_same(&format!("{what}, read by {}", with.name()), &wanted, &theirs);
    assert_same(&format!("{what}, read by forebay"), &wanted, &ours);
    masked
}

#[tokio::test]
async fn both_look_old_rows_up_by_turns_and_tell_each_change_once() {
    for seed in seeds(3) {
        for engine in ENGINES {
            by_turns(Engine::Java2x, engine, "lookup", false, seed).await;
        }
    }
}

#[tokio::test]
async fn java_1x_and_we_look_old_rows_up_by_turns() {
    for seed in seeds(1) {
        for engine in ENGINES {
            by_turns(Engine::Java1x, engine, "lookup", false, seed).await;
        }
    }
}

#[tokio::test]
async fn deletion_vectors_of_every_engine_are_kept_by_turns() {
    for engine in ["deduplicate", "partial-update", "aggregation"] {
        let (mut sum, mut tables) = (0, 0);
        for seed in seeds(2) {
            for producer in ["none", "input", "lookup"] {
                sum += by_turns(Engine::Java2x, engine, producer, true, seed).await;
                tables += 1;
            }
        }
        println!("{engine}: {sum} masked rows");
        assert!(sum > 0, "{engine}: nothing was masked in {tables} tables");
    }
}

#[tokio::test]
async fn what_deletion_vectors_do_not_go_with_is_refused_by_both() {
    let mut server = Server::get(Engine::Java2x);
    for (engine, producer) in [("first-row", "none"), ("first-row", "lookup"), ("deduplicate", "full-compaction")] {
        let spec = spec(engine, producer, &mut Random::new(1)).option("deletion-vectors.enabled", "true");
        let place = place();
        let mut creation: Value = spec.creation();
        creation["command"] = json!("create");
        creation["table"] = json!(place.path().join("theirs"));
        let theirs = server.call(&creation);
        assert!(theirs.is_err(), "{engine} with {producer}: Java takes it");
        let schema = forebay::schema::Schema::builder()
            .column("id", forebay::types::DataType::BIGINT)
            .primary_key(["id"])
            .option("bucket", "1")
            .option("merge-engine", engine)
            .option("changelog-producer", producer)
            .option("deletion-vectors.enabled", "true");
        let ours = match schema.build() {
            Err(error) => Err(error),
            Ok(schema) => Table::create(place.path().join("ours").to_str().unwrap(), schema, []).await,
        };
        let error = ours.map(drop).unwrap_err();
        assert!(error.to_string().contains("deletion-vectors.enabled"), "{engine} with {producer}: {error}");
    }
}
