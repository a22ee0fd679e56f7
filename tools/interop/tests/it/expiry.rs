//! Old rows go at compaction: ours keeps the rows that Java keeps.

use forebay::Env;
use forebay::types::{Datum, RowKind};
use forebay_interop::{Engine, Op, Random, Server, TableSpec, create, open, rows_at, seeds, write_once};

use crate::support::{place, server_compact};

/// Hours after which a row goes. The hours of rows keep away from it.
const LIMIT: i64 = 50;
/// What the text of a row says that must go.
const OLD: &str = "old";

#[tokio::test]
async fn compactions_drop_the_old_rows_that_javas_drop() {
    let mut java = Server::get(Engine::Java2x);
    let mut shown = 0;
    for seed in seeds(16) {
        let mut random = Random::new(seed);
        let kind = random.pick(&["INT", "BIGINT", "BIGINT", "TIMESTAMP(3)", "TIMESTAMP(6) WITH LOCAL TIME ZONE"]);
        let in_millis = random.chance(50);
        let spec = TableSpec::of(&["k INT", &format!("made {kind}"), "v STRING"])
            .key(&["k"])
            .option("bucket", "1")
            .option("num-levels", random.pick(&["3", "6"]))
            .option("write-only", "true")
            .option("merge-engine", random.pick(&["deduplicate", "partial-update", "first-row"]))
            .option("record-level.expire-time", &format!("{LIMIT} h"))
            .option("record-level.time-field", "made");
        let spec =
            if spec.options["merge-engine"] == "partial-update" { spec.option("ignore-delete", "true") } else { spec };
        // Level 0 comes up alone then, and looks up what is above.
        let looks_up = spec.options["merge-engine"] != "first-row" && random.chance(60);
        let spec = match looks_up {
            true if random.chance(50) => spec.option("deletion-vectors.enabled", "true"),
            true => spec.option("changelog-producer", "lookup"),
            false => spec,
        };
        let what = format!("seed {seed}: {spec:?}");
        let now = Env::system().now_millis();
        let place = place();
        let (ours, theirs) = (place.path().join("ours"), place.path().join("theirs"));
        create(&ours, &spec).await;
        create(&theirs, &spec).await;
        let mut old = 0;
        for identifier in 1..=6 {
            let operation = |random: &mut Random| {
                let hours = match random.below(2) {
                    0 => random.between(0, LIMIT - 2),
                    _ => random.between(LIMIT + 2, LIMIT * 3),
                };
                let millis = now - hours * 3_600_000;
                let made = match kind {
                    _ if random.chance(10) => Datum::Null,
                    "INT" => Datum::Int((millis / 1000) as i32),
                    "BIGINT" if in_millis => Datum::BigInt(millis),
                    "BIGINT" => Datum::BigInt(millis / 1000),
                    _ => Datum::Timestamp { millis, nanos: 0 },
                };
                let key = Datum::Int(random.between(0, 60) as i32);
                let is_old = hours > LIMIT && !made.is_null();
                let text = format!("{} {}", if is_old { OLD } else { "young" }, random.below(1000));
                Op { kind: RowKind::Insert, row: vec![key, made, Datum::String(text)] }
            };
            let operations: Vec<Op> = (0..random.between(1, 40)).map(|_| operation(&mut random)).collect();
            old += operations.iter().filter(|op| format!("{:?}", op.row).contains(OLD)).count();
            for table in [&ours, &theirs] {
                write_once(table, "writer", identifier, &operations).await;
            }
            if random.chance(50) || identifier == 6 {
                // What is due of Java's is due of ours; the last one is full in any case.
                let full = !looks_up || identifier == 6 || random.chance(30);
                let compaction = open(&ours).await.compact();
                if full { compaction.full() } else { compaction }.run().await.unwrap();
                server_compact(&mut java, &theirs, &spec, full);
                let found = newest(&ours).await;
                assert_eq!(found, newest(&theirs).await, "{what}, after commit {identifier}");
                let none_is_old = !found.iter().any(|row| row.contains(OLD));
                assert!(none_is_old || !full, "{what}: {found:?}");
                shown += found.len();
            }
        }
        assert!(old > 0, "{what}: no row was old");
    }
    assert!(shown > 0, "no row was young");
}

async fn newest(path: &std::path::Path) -> Vec<String> {
    let table = open(path).await;
    let snapshot = table.history().snapshots.latest_id().await.unwrap().unwrap();
    let mut rows: Vec<String> = rows_at(&table, snapshot).await.unwrap().iter().map(|row| format!("{row:?}")).collect();
    rows.sort();
    rows
}
