//! Rows that go: overwrites, dropped partitions, truncation, deletions and updates of both engines by turns, read alike
//! after each turn; and overwrites described alike.

use std::collections::BTreeMap;
use std::path::Path;

use forebay::predicate::{Expr, col, parse, parse_assignment};
use forebay::types::{Datum, RowKind};
use forebay::write::ChangeBatch;
use forebay::{Error, Table};
use forebay_interop::{
    Engine, Op, Random, Row, Server, TableSpec, View, create, difference, json_row, lanes, open, seeds, write_once,
};
use serde_json::{Value, json};

use crate::flink::{sql, table};
use crate::form::assert_alike;
use crate::support::{agreed, place, server_compact, server_write};

fn spec(options: &[(&str, &str)]) -> TableSpec {
    let spec = TableSpec::of(&["id INT", "day INT", "n INT", "note STRING"]).partition(&["day"]);
    options.iter().fold(spec, |spec, (name, value)| match *name {
        "key" => spec.key(&["id", "day"]),
        name => spec.option(name, value),
    })
}

/// What both engines can write, delete from and update.
const TABLES: [&[(&str, &str)]; 6] = [
    &[("key", ""), ("bucket", "2")],
    &[("key", ""), ("bucket", "2"), ("changelog-producer", "input")],
    &[("key", ""), ("bucket", "-1")],
    &[],
    &[("deletion-vectors.enabled", "true")],
    &[("bucket", "2"), ("bucket-key", "id")],
];

fn row(id: usize, day: usize, n: i32, note: &str) -> Row {
    vec![Datum::Int(id as i32), Datum::Int(day as i32), Datum::Int(n), Datum::String(note.into())]
}

/// The rows there should be.
#[derive(Default)]
struct Rows {
    keyed: bool,
    rows: Vec<Row>,
}

impl Rows {
    fn write(&mut self, new: &[Row]) {
        for row in new {
            if self.keyed {
                self.rows.retain(|old| old[..2] != row[..2]);
            }
            self.rows.push(row.clone());
        }
    }

    fn drop(&mut self, day: usize) {
        self.rows.retain(|row| row[1] != Datum::Int(day as i32));
    }

    fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.rows.iter().map(|row| format!("{row:?}")).collect();
        texts.sort();
        texts
    }
}

/// How an overwrite chooses what it replaces.
#[derive(Clone, Copy)]
enum Which {
    Written,
    Day(usize),
    Table,
}

async fn we_overwrite(path: &Path, which: Which, rows: &[Row]) {
    let dynamic = if matches!(which, Which::Table) { "false" } else { "true" };
    let table = open(path).await.with_options([("dynamic-partition-overwrite", dynamic)]).unwrap();
    let mut overwrite = table.overwrite();
    if let Which::Day(day) = which {
        overwrite = overwrite.partitions(col("day").eq(day as i32));
    }
    let mut writer = overwrite.writer().await.unwrap();
    if !rows.is_empty() {
        let rows = lanes(table.schema(), &rows.iter().collect::<Vec<_>>());
        writer.write(&ChangeBatch::of_kind(rows, RowKind::Insert)).await.unwrap();
    }
    let outcome = writer.commit().await.unwrap();
    assert!(!matches!(outcome, forebay::CommitOutcome::Conflicted { .. }), "{outcome:?}");
    writer.close().await.unwrap();
}

fn they_overwrite(server: &mut Server, path: &Path, spec: &TableSpec, identifier: i64, which: Which, rows: &[Row]) {
    let schema = spec.schema();
    let rows: Vec<Value> = rows.iter().map(|row| json!({"kind": "+I", "row": json_row(&schema, row)})).collect();
    let dynamic = if matches!(which, Which::Written) { "true" } else { "false" };
    let partition = match which {
        Which::Day(day) => json!({"day": day.to_string()}),
        _ => json!({}),
    };
    let options = json!({"dynamic-partition-overwrite": dynamic, "write-max-writers-to-spill": "1000"});
    let arguments = json!({
        "user": server.engine().name(), "identifier": identifier, "rows": rows, "compact": "none", "options": options,
        "partition": partition,
    });
    server.run("overwrite", path, arguments);
}

fn condition(table: &Table, text: &str) -> Expr {
    parse(text, table.schema()).unwrap()
}

async fn by_turns(engine: Engine, tables: &[&[(&str, &str)]], seeds: impl Iterator<Item = u64> + Clone) {
    let mut server = Server::get(engine);
    for options in tables {
        for seed in seeds.clone() {
            let mut random = Random::new(seed);
            let spec = spec(options).option("target-file-size", random.pick(&["20 kb", "1 mb"]));
            let place = place();
            let path = place.path().join("t");
            match random.chance(50) {
                true => drop(create(&path, &spec).await),
                false => spec.create_by(&mut server, &path),
            }
            let mut wanted = Rows { keyed: !spec.primary_key.is_empty(), rows: Vec::new() };
            let mut done: Vec<String> = Vec::new();
            for turn in 0..16 {
                let say = turn_of(&mut random, &mut server, &spec, &path, turn, &mut wanted).await;
                done.push(say);
                let what = format!("seed {seed}, {done:?}: {spec:?}");
                let view = agreed(&what, &mut server, &path).await;
                if let Some((_, rows)) = view.rows.iter().next_back()
                    && let Some(difference) = difference(&wanted.texts(), rows)
                {
                    panic!("{what}: {difference}");
                }
            }
        }
    }
}

async fn turn_of(
    random: &mut Random,
    server: &mut Server,
    spec: &TableSpec,
    path: &Path,
    turn: usize,
    wanted: &mut Rows,
) -> String {
    let identifier = turn as i64 + 1;
    let days: Vec<usize> = (0..3).filter(|_| random.chance(60)).collect();
    let count = random.pick(&[0, 3, 40]);
    let rows: Vec<Row> = (0..count)
        .filter_map(|_| {
            let day = *days.get(random.below(3))?;
            Some(row(random.below(60), day, random.below(100) as i32, &format!("turn {turn}")))
        })
        .collect();
    // One key once, so that its row does not depend on an order.
    let mut once: BTreeMap<String, Row> = BTreeMap::new();
    rows.into_iter().for_each(|row| drop(once.insert(format!("{:?}", &row[..2]), row)));
    let rows: Vec<Row> = once.into_values().collect();
    let operations: Vec<Op> = rows.iter().cloned().map(Op::insert).collect();
    let ours = random.chance(50);
    let who = if ours { "we" } else { "they" };
    let day = random.below(3);
    match random.below(10) {
        _ if turn == 0 => {
            write_once(path, "ours", identifier, &operations).await;
            wanted.write(&rows);
            format!("we write {}", rows.len())
        }
        0..=2 => {
            match ours {
                true => drop(write_once(path, "ours", identifier, &operations).await),
                false => drop(server_write(server, path, spec, identifier, &operations, "none")),
            }
            wanted.write(&rows);
            format!("{who} write {}", rows.len())
        }
        kind @ 3..=4 => {
            let which = match (kind, random.chance(50)) {
                (3, _) => Which::Written,
                (_, true) => Which::Day(day),
                _ => Which::Table,
            };
            let rows: Vec<Row> = match which {
                Which::Day(day) => rows.into_iter().filter(|row| row[1] == Datum::Int(day as i32)).collect(),
                _ => rows,
            };
            match which {
                Which::Written => rows.iter().for_each(|row| match row[1] {
                    Datum::Int(day) => wanted.drop(day as usize),
                    _ => unreachable!(),
                }),
                Which::Day(day) => wanted.drop(day),
                Which::Table => wanted.rows.clear(),
            }
            match ours {
                true => we_overwrite(path, which, &rows).await,
                false => they_overwrite(server, path, spec, identifier, which, &rows),
            }
            wanted.write(&rows);
            format!("{who} overwrite with {}", rows.len())
        }
        5 => {
            wanted.drop(day);
            match ours {
                true => drop(open(path).await.drop_partitions(col("day").eq(day as i32)).await.unwrap()),
                false => drop(server.run(
                    "drop_partition",
                    path,
                    json!({"user": "d", "partition": {"day": day.to_string()}}),
                )),
            }
            format!("{who} drop day {day}")
        }
        6 if random.chance(30) => {
            wanted.rows.clear();
            match ours {
                true => drop(open(path).await.truncate().run().await.unwrap()),
                false => drop(server.run("truncate", path, json!({"user": "t"}))),
            }
            format!("{who} truncate")
        }
        6..=7 => {
            let bound = random.below(50) as i32;
            let table = open(path).await;
            let text = format!("n < {bound} and day <> {day}");
            let matches = |row: &Row| matches!(row[2], Datum::Int(n) if n < bound) && row[1] != Datum::Int(day as i32);
            let count = wanted.rows.iter().filter(|row| matches(row)).count() as u64;
            let (modify, verb) = match random.chance(50) {
                true => {
                    wanted.rows.retain(|row| !matches(row));
                    (table.delete(condition(&table, &text)), "delete")
                }
                false => {
                    for row in wanted.rows.iter_mut().filter(|row| matches(row)) {
                        (row[2], row[3]) = (Datum::Int(99), Datum::String("set".into()));
                    }
                    let sets = ["n = 99", "note = 'set'"].map(|set| parse_assignment(set, table.schema()).unwrap());
                    (table.update(sets, condition(&table, &text)), "update")
                }
            };
            assert_eq!(modify.run().await.unwrap().rows, Some(count), "{text}");
            format!("we {verb} {count}")
        }
        _ => {
            match ours {
                true => drop(open(path).await.compact().full().run().await.unwrap()),
                false => drop(server_compact(server, path, spec, true)),
            }
            format!("{who} compact")
        }
    }
}

#[tokio::test]
async fn rows_go_by_turns_with_java_2x() {
    by_turns(Engine::Java2x, &TABLES, seeds(2).collect::<Vec<_>>().into_iter()).await;
}

#[tokio::test]
async fn rows_go_by_turns_with_java_1x() {
    by_turns(Engine::Java1x, &TABLES, seeds(1).collect::<Vec<_>>().into_iter()).await;
}

/// The same overwrites by both engines, each on its own table.
#[tokio::test]
async fn our_overwrites_are_described_as_java_describes_its_own() {
    for engine in [Engine::Java2x, Engine::Java1x] {
        let mut server = Server::get(engine);
        // Java writes changelog files of an overwrite and forgets them; we write none.
        for options in [TABLES[0], TABLES[3], TABLES[5]] {
            let spec = spec(options);
            let place = place();
            let (ours, javas) = (place.path().join("ours"), place.path().join("javas"));
            create(&ours, &spec).await;
            spec.create_by(&mut server, &javas);
            let some = |days: &[usize], note: &str| -> Vec<Row> {
                days.iter().flat_map(|day| (0..20).map(|id| row(id, *day, id as i32, note))).collect()
            };
            let operations: Vec<Op> = some(&[1, 2, 3], "first").into_iter().map(Op::insert).collect();
            write_once(&ours, "ours", 1, &operations).await;
            server_write(&mut server, &javas, &spec, 1, &operations, "none");
            let overwrites = [
                (Which::Written, some(&[2], "second")),
                (Which::Day(3), some(&[3], "third")),
                (Which::Written, Vec::new()),
                (Which::Day(1), Vec::new()),
            ];
            // A batch job's identifier.
            for (which, rows) in &overwrites {
                we_overwrite(&ours, *which, rows).await;
                they_overwrite(&mut server, &javas, &spec, i64::MAX, *which, rows);
            }
            assert_alike(&format!("{engine:?}, {spec:?}"), &mut server, &spec, &ours, &javas);
            open(&ours).await.truncate().run().await.unwrap();
            server.run("truncate", &javas, json!({"user": "t"}));
            assert_alike(&format!("{engine:?}, truncated, {spec:?}"), &mut server, &spec, &ours, &javas);
        }
    }
}

/// Java commits between our look and our commit.
#[tokio::test]
async fn a_commit_of_java_in_between_is_replaced_with_the_rest() {
    let mut server = Server::get(Engine::Java2x);
    for options in TABLES {
        let (spec, place) = (spec(options), place());
        let path = place.path().join("t");
        let table = create(&path, &spec).await;
        let some =
            |ids: std::ops::Range<usize>, note: &str| -> Vec<Row> { ids.map(|id| row(id, 1, 0, note)).collect() };
        let operations = |rows: &[Row]| rows.iter().cloned().map(Op::insert).collect::<Vec<_>>();
        write_once(&path, "ours", 1, &operations(&some(0..9, "old"))).await;
        let mut writer = table.overwrite().partitions(col("day").eq(1)).writer().await.unwrap();
        let new = lanes(table.schema(), &some(3..5, "new").iter().collect::<Vec<_>>());
        writer.write(&ChangeBatch::of_kind(new, RowKind::Insert)).await.unwrap();
        server_write(&mut server, &path, &spec, 2, &operations(&some(5..30, "between")), "none");
        writer.commit().await.unwrap().snapshot_id().unwrap();
        writer.close().await.unwrap();
        let view = agreed(&format!("{spec:?}"), &mut server, &path).await;
        let mut wanted: Vec<String> = some(3..5, "new").iter().map(|row| format!("{row:?}")).collect();
        wanted.sort();
        assert_eq!(view.rows.values().next_back(), Some(&wanted), "{spec:?}");
    }
}

#[tokio::test]
async fn flink_and_we_overwrite_delete_and_update_by_turns() {
    let mut flink = Server::get(Engine::Flink);
    let mut java = Server::get(Engine::Java2x);
    let place = place();
    let spec = spec(TABLES[0]);
    let path = table(place.path(), "t");
    create(&path, &spec).await;
    we_overwrite(&path, Which::Written, &[row(1, 1, 1, "we"), row(2, 2, 2, "we"), row(3, 3, 3, "we")]).await;
    let run = |flink: &mut Server, statement: &str| drop(sql(flink, place.path(), None, &[statement.to_string()]));
    run(&mut flink, "INSERT OVERWRITE t VALUES (4, 2, 4, 'flink'), (5, 2, 5, 'flink')");
    let table = open(&path).await;
    let sets = [parse_assignment("note = 'set'", table.schema()).unwrap()];
    assert_eq!(table.update(sets, condition(&table, "n >= 3")).run().await.unwrap().rows, Some(3));
    run(&mut flink, "UPDATE t SET note = 'flink again' WHERE n = 4");
    assert_eq!(open(&path).await.delete(condition(&table, "n = 5")).run().await.unwrap().rows, Some(1));
    run(&mut flink, "DELETE FROM t WHERE n = 1");
    run(&mut flink, "INSERT OVERWRITE t PARTITION (`day` = 7) SELECT 9, 9, 'nine'");
    open(&path).await.drop_partitions(col("day").eq(3)).await.unwrap();
    let view = agreed("after Flink's statements and ours", &mut java, &path).await;
    let mut wanted = [row(4, 2, 4, "flink again"), row(9, 7, 9, "nine")].map(|row| format!("{row:?}")).to_vec();
    wanted.sort();
    assert_eq!(view.rows.values().next_back(), Some(&wanted));
    let answer = sql(&mut flink, place.path(), None, &["SELECT COUNT(*) FROM t".to_string()]);
    assert_eq!(answer["rows"], json!([[2]]));
}

#[tokio::test]
async fn pypaimon_reads_what_is_left() {
    let mut python = Server::get(Engine::Python);
    for options in TABLES {
        let (spec, place) = (spec(options), place());
        let path = place.path().join("t");
        let table = create(&path, &spec).await;
        let rows: Vec<Row> = (0..60).map(|id| row(id, id % 3, id as i32, "x")).collect();
        let operations: Vec<Op> = rows.iter().cloned().map(Op::insert).collect();
        write_once(&path, "ours", 1, &operations).await;
        table.delete(condition(&table, "n < 20 and day <> 1")).run().await.unwrap();
        let sets = [parse_assignment("note = 'set'", table.schema()).unwrap()];
        table.update(sets, condition(&table, "n > 50")).run().await.unwrap();
        we_overwrite(&path, Which::Written, &[row(1, 2, 3, "new")]).await;
        table.drop_partitions(col("day").eq(0)).await.unwrap();
        let (ours, theirs) = (View::ours(&table).await, View::rows_of(&mut python, &table, &path).await);
        assert!(ours.rows.len() >= 5);
        assert_eq!(ours.rows, theirs.rows, "{spec:?}");
    }
}

/// Java replaced a file whose rows we were about to mask: the statement begins anew and finds the rows elsewhere.
#[tokio::test]
async fn a_statement_finds_rows_in_the_files_that_java_compacted() {
    let mut server = Server::get(Engine::Java2x);
    for options in [TABLES[3], TABLES[4]] {
        let (spec, place) = (spec(options), place());
        let path = place.path().join("t");
        let table = create(&path, &spec).await;
        for commit in 0..6 {
            let operations: Vec<Op> = (0..20).map(|id| Op::insert(row(commit * 20 + id, 1, id as i32, "x"))).collect();
            write_once(&path, "ours", commit as i64 + 1, &operations).await;
        }
        table.delete(condition(&table, "n < 5")).run().await.unwrap();
        server_compact(&mut server, &path, &spec, true);
        let done = table.delete(condition(&table, "n < 10")).run().await.unwrap();
        assert_eq!(done.rows, Some(30), "{spec:?}");
        let view = agreed(&format!("{spec:?}"), &mut server, &path).await;
        assert_eq!(view.rows.values().next_back().map(Vec::len), Some(60));
        let refused = table.delete(condition(&table, "n < 0")).run().await;
        assert!(
            matches!(refused, Ok(ref done) if done.snapshot_id.is_none()) || matches!(refused, Err(Error::Conflict(_)))
        );
    }
}
