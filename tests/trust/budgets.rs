//! What each call may cost in requests. A call that got dearer fails here and prints what it asks for.

use std::sync::Arc;

use forebay::Table;
use forebay::commit::CommitProperties;
use forebay::io::{CountingStore, Counts, Op, PathClass, TableStore};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};

use crate::support::{Changes, batch, block_on, read_at, rows_of, seeded_env};

fn counting() -> (TableStore, CountingStore) {
    let mut counter = None;
    let store = TableStore::memory(&seeded_env(1)).wrapped(|inner| {
        let counting = CountingStore::new(inner);
        counter = Some(counting.clone());
        Arc::new(counting)
    });
    (store, counter.unwrap())
}

fn schema(producer: &str) -> Schema {
    let schema = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("v", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "1")
        .option("write-only", "true") // the cost of a compaction is another matter
        .option("changelog-producer", producer);
    schema.build().unwrap()
}

fn some_rows(from: i64) -> Changes {
    (from..from + 10).map(|id| (RowKind::Insert, vec![Datum::BigInt(id), Datum::String(format!("row {id}"))])).collect()
}

/// Prints what a call cost and holds it to its budget.
fn hold(what: &str, counts: &Counts, budget: u64) {
    println!("{what}: {} of {budget} requests\n{counts}\n", counts.total());
    assert!(counts.total() <= budget, "{what} costs {} requests, {budget} are allowed\n{counts}", counts.total());
    assert!(counts.total() > 0 || budget == 0, "{what} was not counted");
}

#[test]
fn a_small_commit_a_plan_and_a_read_stay_inside_their_budgets() {
    for (producer, changelog) in [("none", 0), ("input", 1)] {
        block_on(async {
            let (store, counter) = counting();
            let table = Table::create_store(store.clone(), schema(producer)).await.unwrap();
            let mut writer = table.stream_writer("w").await.unwrap();
            let mut committer = table.committer("w").unwrap();
            let (mut flushed, mut committed) = (Counts::default(), Counts::default());
            for identifier in 1..=8 {
                writer.write(&batch(table.schema(), &some_rows(identifier * 5))).await.unwrap();
                counter.reset();
                let messages = writer.prepare_commit().await.unwrap();
                flushed = counter.reset();
                committer.commit(identifier, messages, CommitProperties::default()).await.unwrap();
                committed = counter.reset();
            }
            // Six look for the newest snapshot, for its sequence numbers; one writes the file.
            hold(&format!("flush of few rows, producer {producer}"), &flushed, 7 + changelog);
            hold(&format!("small commit, producer {producer}"), &committed, 10 + 2 * changelog);
            assert_eq!(committed.of(Op::Create), 1, "one create publishes");
            assert_eq!(committed.at(Op::Create, PathClass::Snapshot), 1);

            let opened = Table::open_store(store.clone()).await.unwrap();
            hold("open", &counter.reset(), 2);
            let plan = opened.scan().plan().await.unwrap();
            assert_eq!(plan.splits.len(), 1);
            // Five find the newest snapshot; two lists and eight manifests.
            hold("plan of a table that was just opened", &counter.reset(), 5 + 2 + 8);
            opened.scan().plan().await.unwrap();
            hold("the same plan again", &counter.reset(), 5);
            assert_eq!(read_at(&opened, At::Latest).await.unwrap().len(), 45);
            // A small data file is one request.
            hold("read of eight small files", &counter.reset(), 5 + 8);
        });
    }
}

#[test]
fn an_idle_poll_costs_one_request_and_a_followed_snapshot_a_few() {
    for (producer, what) in [("none", "data"), ("input", "changelog")] {
        block_on(async {
            let (store, counter) = counting();
            let table = Table::create_store(store.clone(), schema(producer)).await.unwrap();
            let mut writer = table.stream_writer("w").await.unwrap();
            let mut committer = table.committer("w").unwrap();
            let reader = Table::open_store(store).await.unwrap();
            let mut stream = reader.changes().from(Start::Snapshot(1)).follow().await.unwrap();
            for identifier in 1..=3 {
                writer.write(&batch(table.schema(), &some_rows(identifier * 10))).await.unwrap();
                let messages = writer.prepare_commit().await.unwrap();
                committer.commit(identifier, messages, CommitProperties::default()).await.unwrap();
                counter.reset();
                let change = stream.next().await.unwrap().unwrap();
                assert_eq!(rows_of(table.schema(), change.rows.rows()).len(), 10);
                let counts = counter.reset();
                // The snapshot, its list, its manifest, its file.
                hold(&format!("follow of a snapshot's {what} file"), &counts, if identifier == 1 { 6 } else { 4 });
            }
            // The waiting is virtual, so polls are counted by the time that passed.
            let interval = 10_000;
            let begin = table.store().env().now_millis();
            let poll = async {
                let _ = stream.next().await;
            };
            let timer = async {
                while table.store().env().now_millis() - begin < 64 * interval {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! { () = poll => panic!("nothing was committed"), () = timer => {} }
            let counts = counter.reset();
            let polls = ((table.store().env().now_millis() - begin) / interval) as u64;
            // The first poll, which does not know yet that the table is idle, looks whether history went on without the
            // awaited snapshot, too.
            hold(&format!("{polls} idle polls"), &counts, polls + 1);
            assert!(polls >= 64);
        });
    }
}

/// As `forebay changes --follow` does: it asks a stream that does not wait again and again.
#[test]
fn a_stream_that_ended_is_asked_again_for_one_request() {
    block_on(async {
        let (store, counter) = counting();
        let table = Table::create_store(store.clone(), schema("none")).await.unwrap();
        let mut writer = table.stream_writer("w").await.unwrap();
        writer.write(&batch(table.schema(), &some_rows(1))).await.unwrap();
        let messages = writer.prepare_commit().await.unwrap();
        table.committer("w").unwrap().commit(1, messages, CommitProperties::default()).await.unwrap();
        let mut stream = table.changes().from(Start::Earliest).read().await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap().rows.rows().num_rows(), 10);
        counter.reset();
        for _ in 0..64 {
            assert!(stream.next().await.unwrap().is_none());
        }
        hold("64 idle polls", &counter.reset(), 64 + 1);
    });
}

/// Old rows are fetched by their pages: a file above is not read as a whole for a few keys.
#[test]
fn a_changelog_of_few_keys_reads_few_pages_of_the_levels_above() {
    block_on(async {
        let (store, counter) = counting();
        let table = Table::create_store(store.clone(), schema("lookup")).await.unwrap();
        let mut random = crate::support::Random(3);
        let mut row = |id: i64| {
            let text: String = (0..12).map(|_| format!("{:08x}", random.below(1 << 32))).collect();
            (RowKind::Insert, vec![Datum::BigInt(id), Datum::String(text)])
        };
        let all: Changes = (0..40_000).map(&mut row).collect();
        crate::support::commit_changes(&table, "w", 1, &all).await;
        table.compact().full().run().await.unwrap();
        let few: Changes = (7_000..7_020).map(&mut row).collect();
        crate::support::commit_changes(&table, "w", 2, &few).await;
        let large = crate::compaction::live_files(&table).await.iter().map(|file| file.file_size).max().unwrap();
        counter.reset();
        let report = table.compact().run().await.unwrap();
        let read = counter.reset().bytes_read();
        assert_eq!((report.files_before, report.changelog_rows), (1, 40), "the large file stays, and 20 rows changed");
        assert!(large > 2 << 20 && read * 3 < large as u64, "{read} bytes were read, the file above has {large}");
        let told = crate::support::read_changes(&table).await.unwrap();
        let before = |(_, kind, row): &(i64, RowKind, _)| (*kind == RowKind::UpdateBefore).then(|| format!("{row:?}"));
        let befores: std::collections::BTreeSet<String> = told.iter().filter_map(before).collect();
        let expected = all[7_000..7_020].iter().map(|(_, row)| format!("{row:?}")).collect();
        assert_eq!(befores, expected);
    });
}
