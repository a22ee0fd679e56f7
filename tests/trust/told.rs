//! A follower of the changelog that compactions make is told every change, whoever replaces files meanwhile.

use std::collections::BTreeMap;

use forebay::commit::{CommitOutcome, CommitProperties};
use forebay::io::TableStore;
use forebay::scan::At;
use forebay::schema::{Schema, SchemaBuilder};
use forebay::types::{DataType, Datum, RowKind};
use forebay::write::StreamWriter;
use forebay::{Error, Table};

use crate::compaction::{all_is_told, check_changelog};
use crate::support::{
    Changes, Random, Row, as_set, batch, block_on, commit_changes, each_seed, read_at, read_changes, seeded_env,
};

/// Producers, and what makes them compact.
const PRODUCERS: [&[(&str, &str)]; 6] = [
    &[("changelog-producer", "lookup"), ("write-only", "true")],
    &[("changelog-producer", "lookup")],
    &[("changelog-producer", "lookup"), ("lookup-compact", "gentle")],
    &[("changelog-producer", "full-compaction"), ("write-only", "true")],
    &[("changelog-producer", "full-compaction")],
    &[("changelog-producer", "full-compaction"), ("full-compaction.delta-commits", "3")],
];

fn columns() -> SchemaBuilder {
    Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("day", DataType::INT.not_null())
        .column("n", DataType::INT)
        .column("text", DataType::STRING)
}

fn upserts(ids: impl IntoIterator<Item = i64>, text: &str) -> Changes {
    let row = |id| vec![Datum::BigInt(id), Datum::Int(1), Datum::Int(1), Datum::String(text.to_string())];
    ids.into_iter().map(|id| (RowKind::UpdateAfter, row(id))).collect()
}

async fn create(seed: u64, builder: SchemaBuilder, options: &[(&str, &str)]) -> Table {
    let schema = options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap();
    Table::create_store(TableStore::memory(&seeded_env(seed)), schema).await.unwrap()
}

async fn opened(table: &Table) -> Table {
    Table::open_store(table.history().store.clone()).await.unwrap()
}

/// Kinds and texts that followers are told of each key, in their order.
fn told_of(changes: &[(i64, RowKind, Row)]) -> BTreeMap<i64, Vec<(RowKind, String)>> {
    let mut told: BTreeMap<i64, Vec<(RowKind, String)>> = BTreeMap::new();
    for (_, kind, row) in changes {
        let (Datum::BigInt(id), Datum::String(text)) = (&row[0], &row[3]) else { panic!("{row:?}") };
        told.entry(*id).or_default().push((*kind, text.clone()));
    }
    told
}

#[test]
fn a_rescale_tells_what_waited_for_its_compaction() {
    block_on(async {
        for options in PRODUCERS {
            let what = format!("{options:?}");
            let table = create(1, columns().primary_key(["id"]).option("bucket", "1"), options).await;
            commit_changes(&table, "w", 1, &upserts(1..=3, "a")).await;
            table.compact().full().run().await.unwrap();
            commit_changes(&table, "w", 2, &upserts(2..=4, "b")).await;
            let done = table.rescale(2).run().await.unwrap();
            assert_eq!((done.len(), done[0].rows), (1, 4), "{what}");
            let table = opened(&table).await;
            assert!(all_is_told(&table, done[0].snapshot_id.unwrap()).await, "{what}");
            commit_changes(&table, "w", 3, &upserts(3..=4, "c")).await;
            table.compact().full().run().await.unwrap();
            check_changelog(&table, &what).await;

            use RowKind::{Insert as I, UpdateAfter as A, UpdateBefore as B};
            let wanted: [(i64, &[(RowKind, &str)]); 4] = [
                (1, &[(I, "a")]),
                (2, &[(I, "a"), (B, "a"), (A, "b")]),
                (3, &[(I, "a"), (B, "a"), (A, "b"), (B, "b"), (A, "c")]),
                (4, &[(I, "b"), (B, "b"), (A, "c")]),
            ];
            let wanted = wanted.map(|(id, changes)| {
                (id, changes.iter().map(|(kind, text)| (*kind, (*text).to_string())).collect::<Vec<_>>())
            });
            assert_eq!(told_of(&read_changes(&table).await.unwrap()), BTreeMap::from(wanted), "{what}");
        }
    });
}

#[test]
fn a_rescale_whose_rows_would_be_told_again_is_refused() {
    block_on(async {
        let small = [("write-buffer-size", "64 kb"), ("write-buffer-spillable", "false")];
        for (producer, fine) in [("lookup", false), ("full-compaction", false), ("input", true), ("none", true)] {
            let builder = columns().primary_key(["id"]).option("bucket", "3").option("changelog-producer", producer);
            let table = create(2, builder, &[("write-only", "true")]).await;
            for commit in 1..=3 {
                let rows = upserts(0..3000, &format!("{commit} {}", "x".repeat(40)));
                commit_changes(&table, "w", commit, &rows).await;
            }
            let tight = table.clone().with_options(small).unwrap();
            let outcome = tight.rescale(2).run().await;
            if fine {
                assert_eq!(outcome.unwrap()[0].rows, 3000, "{producer}");
                continue;
            }
            assert!(
                matches!(&outcome, Err(Error::Unsupported(text)) if text.contains("write-buffer-spillable")),
                "{producer}: {outcome:?}"
            );
            assert_eq!(table.rescale(2).run().await.unwrap()[0].rows, 3000, "{producer}");
            check_changelog(&opened(&table).await, producer).await;
        }
    });
}

/// A writer that streams, and begins anew where a rescale was in its way.
struct Source {
    table: Table,
    identifier: i64,
    refused: usize,
}

impl Source {
    async fn writer(&self) -> StreamWriter {
        opened(&self.table).await.stream_writer("stream").await.unwrap()
    }

    async fn stream(&mut self, commits: Vec<Changes>) {
        let mut writer = self.writer().await;
        let mut committer = self.table.committer("stream").unwrap();
        for changes in commits {
            self.identifier += 1;
            loop {
                writer.write(&batch(self.table.schema(), &changes)).await.unwrap();
                let prepared = writer.prepare_commit().await;
                tokio::task::yield_now().await;
                match prepared {
                    Ok(messages) => {
                        let properties = CommitProperties::default();
                        match committer.commit(self.identifier, messages.clone(), properties).await.unwrap() {
                            CommitOutcome::Committed { .. } => break,
                            CommitOutcome::Conflicted { reason } => {
                                assert!(reason.contains("rescaled"), "{reason}");
                                committer.abort(&messages).await.unwrap();
                            }
                            other => panic!("{other:?}"),
                        }
                    }
                    Err(Error::Conflict(_)) => {}
                    Err(error) => panic!("{error}"),
                }
                self.refused += 1;
                writer.abort().await.unwrap();
                writer = self.writer().await;
            }
        }
        let late = writer.finish_compactions().await;
        self.table.commit_compaction(late, &mut forebay::table::CompactReport::default()).await.unwrap();
    }
}

/// Gives the changes told, the rescales that were done and the commits that they refused.
async fn rescaled_beside_a_writer(seed: u64) -> (usize, usize, usize) {
    let mut random = Random(seed);
    let options = PRODUCERS[seed as usize % PRODUCERS.len()];
    let engine = *random.pick(&["deduplicate", "deduplicate", "aggregation", "partial-update"]);
    let partitioned = random.chance(50);
    let mut builder = columns()
        .option("bucket", *random.pick(&["1", "2"]))
        .option("merge-engine", engine)
        .option("num-sorted-run.compaction-trigger", *random.pick(&["2", "5"]));
    builder = match partitioned {
        true => builder.partition_by(["day"]).primary_key(["id", "day"]),
        false => builder.primary_key(["id"]),
    };
    if engine == "aggregation" {
        builder = builder
            .option("fields.n.aggregate-function", "sum")
            .option("fields.default-aggregate-function", "last_value");
    }
    if random.chance(30) {
        builder = builder.option("changelog-producer.row-deduplicate", "true");
    }
    let what = format!("seed {seed}: {options:?}, {engine}, partitioned: {partitioned}");
    let table = create(seed, builder, options).await;
    let change = |random: &mut Random| {
        let retracts = engine == "deduplicate" && random.chance(20);
        let row = vec![
            Datum::BigInt(random.below(30) as i64),
            Datum::Int(if partitioned { random.below(2) as i32 } else { 0 }),
            if random.chance(20) { Datum::Null } else { Datum::Int(random.below(9) as i32) },
            Datum::String(format!("{}", random.below(50))),
        ];
        (if retracts { RowKind::Delete } else { RowKind::UpdateAfter }, row)
    };
    let mut source = Source { table: table.clone(), identifier: 0, refused: 0 };
    let mut rescales = 0;
    for _ in 0..4 {
        let commits: Vec<Changes> =
            (0..3).map(|_| (0..1 + random.below(20)).map(|_| change(&mut random)).collect()).collect();
        let buckets = 1 + random.below(4) as i32;
        let job = opened(&table).await;
        let (rescaled, ()) = tokio::join!(job.rescale(buckets).run(), source.stream(commits));
        match rescaled {
            Ok(partitions) => rescales += partitions.iter().filter(|it| it.snapshot_id.is_some()).count(),
            Err(Error::Conflict(_)) => {}
            Err(error) => panic!("{what}: {error}"),
        }
    }
    let table = opened(&table).await;
    table.compact().full().run().await.unwrap();
    let newest = table.history().snapshots.latest_id().await.unwrap().unwrap();
    assert!(all_is_told(&table, newest).await, "{what}");
    let told = check_changelog(&table, &what).await;
    (told, rescales, source.refused)
}

#[test]
fn a_rescale_beside_a_writer_loses_no_change_of_the_changelog() {
    let (mut told, mut rescales, mut refused) = (0, 0, 0);
    each_seed("a_rescale_beside_a_writer_loses_no_change", 24, |seed| {
        let seen = block_on(rescaled_beside_a_writer(seed));
        (told, rescales, refused) = (told + seen.0, rescales + seen.1, refused + seen.2);
    });
    println!("{told} changes told, {rescales} rescales, {refused} commits refused by them");
    assert!(told > 500 && rescales > 20);
}

#[test]
fn a_changelog_that_full_compactions_make_is_made_without_an_option_that_says_when() {
    block_on(async {
        let builder = || columns().primary_key(["id"]).option("bucket", "1");
        let full = ("changelog-producer", "full-compaction");
        // A writer makes it with each commit, and one of four commits where it is told so.
        for (option, snapshots) in [(None, vec![2, 4, 6, 8]), (Some(("full-compaction.delta-commits", "4")), vec![5])] {
            let options: Vec<_> = std::iter::once(full).chain(option).collect();
            let table = create(3, builder(), &options).await;
            let commits = (0..4).map(|at| upserts(at..at + 3, &format!("{at}"))).collect();
            Source { table: table.clone(), identifier: 0, refused: 0 }.stream(commits).await;
            let mut told: Vec<i64> = read_changes(&table).await.unwrap().into_iter().map(|it| it.0).collect();
            told.dedup();
            assert_eq!(told, snapshots, "{option:?}");
            check_changelog(&table, &format!("{options:?}")).await;
        }
        // A job makes it of what write-only writers brought, although nothing else is due.
        let table = create(4, builder(), &[full, ("write-only", "true")]).await;
        for commit in 1..=2 {
            commit_changes(&table, "w", commit, &upserts(0..3, &format!("{commit}"))).await;
            let report = table.compact().run().await.unwrap();
            assert_eq!((report.snapshots.len(), report.changelog_rows), (1, if commit == 1 { 3 } else { 6 }));
            assert_eq!(table.compact().plan().await.unwrap(), []);
        }
        let rows = as_set(read_at(&table, At::Latest).await.unwrap());
        assert_eq!(rows, as_set(upserts(0..3, "2").into_iter().map(|(_, row)| row)));
        check_changelog(&table, "by a job").await;
    });
}

#[test]
fn a_row_without_a_sequence_is_stored_as_it_is_told() {
    block_on(async {
        let grouped = [("merge-engine", "partial-update"), ("fields.n.sequence-group", "text")];
        for producer in ["lookup", "full-compaction"] {
            let options = [&grouped[..], &[("changelog-producer", producer)]].concat();
            let table = create(5, columns().primary_key(["id"]).option("bucket", "1"), &options).await;
            let row = |n, text: &str| vec![Datum::BigInt(7), Datum::Int(1), n, Datum::String(text.to_string())];
            // Alone in its file, which moves to the highest level where nothing else is to be done.
            commit_changes(&table, "w", 1, &[(RowKind::Insert, row(Datum::Null, "a"))]).await;
            table.compact().full().run().await.unwrap();
            check_changelog(&table, producer).await;
            commit_changes(&table, "w", 2, &[(RowKind::Insert, row(Datum::Int(1), "b"))]).await;
            table.compact().full().run().await.unwrap();
            check_changelog(&table, producer).await;
            let wanted = as_set([row(Datum::Int(1), "b")]);
            assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), wanted, "{producer}");
        }
    });
}
