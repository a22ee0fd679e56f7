//! What each call may cost in requests. A call that got dearer fails here and prints what it asks for.

use std::sync::Arc;

use forebay::Table;
use forebay::commit::CommitProperties;
use forebay::history::ManifestCache;
use forebay::io::{CountingStore, Counts, Op, PathClass, TableStore};
use forebay::lookup::LookupCache;
use forebay::scan::At;
use forebay::schema::{Schema, SchemaChange};
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};

use crate::support::{Changes, batch, block_on, commit_changes, read_at, rows_of, seeded_env};

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

fn upserts(ids: impl IntoIterator<Item = i64>, text: &str) -> Changes {
    let row = |id| vec![Datum::BigInt(id), Datum::String(format!("{text} {id}"))];
    ids.into_iter().map(|id| (RowKind::UpdateAfter, row(id))).collect()
}

/// What a service does that looks at its tables again and again.
#[test]
fn a_second_look_at_an_unchanged_table_reads_no_manifest_again() {
    block_on(async {
        let (store, counter) = counting();
        let table = Table::create_store(store.clone(), schema("none")).await.unwrap();
        for identifier in 1..=4 {
            commit_changes(&table, "w", identifier, &some_rows(identifier * 5)).await;
        }
        let cache = ManifestCache::default();
        counter.reset();
        let opened = Table::open_store(store.clone()).await.unwrap().sharing(&cache);
        assert_eq!(opened.compact().plan().await.unwrap(), []);
        let first = counter.reset();
        // Two for the schema, five find the newest snapshot; two lists and four manifests.
        hold("the first look", &first, 2 + 5 + 2 + 4);
        let again = opened.renewed().await.unwrap();
        assert_eq!(again.compact().plan().await.unwrap(), []);
        let second = counter.reset();
        hold("the second look", &second, 2 + 5);
        assert!(second.total() < first.total());
        // Another handle that shares the cache, too; and of a new commit only what it brought.
        commit_changes(&table, "w", 5, &some_rows(40)).await;
        counter.reset();
        let other = Table::open_store(store.clone()).await.unwrap().sharing(&cache);
        assert_eq!(other.compact().plan().await.unwrap().len(), 1);
        hold("a look after one commit", &counter.reset(), 2 + 5 + 2 + 1);
        // New columns are seen, and so is that the table was dropped.
        let more =
            SchemaChange::AddColumn { path: vec!["more".into()], data_type: DataType::INT, comment: None, place: None };
        table.alter(&[more]).await.unwrap();
        assert_eq!(again.renewed().await.unwrap().schema().fields.len(), 3);
        table.drop().await.unwrap();
        assert!(matches!(again.renewed().await, Err(forebay::Error::NotFound(_))));
        let anew = Table::create_store(store, schema("input")).await.unwrap();
        let seen = again.renewed().await.unwrap();
        assert_eq!((seen.schema().fields.len(), seen.schema().option("changelog-producer")), (2, Some("input")));
        commit_changes(&anew, "w", 1, &some_rows(1)).await;
        assert_eq!(read_at(&seen, At::Latest).await.unwrap().len(), 10);
    });
}

#[test]
fn tables_that_share_a_cache_hold_to_one_limit() {
    block_on(async {
        let cache = ManifestCache::new(40_000);
        let mut tables = Vec::new();
        for n in 0..6 {
            let store = TableStore::memory(&seeded_env(n));
            let table = Table::create_store(store, schema("none")).await.unwrap().sharing(&cache);
            for identifier in 1..=6 {
                commit_changes(&table, "w", identifier, &some_rows(identifier * 5 + n as i64)).await;
            }
            tables.push(table);
        }
        for _ in 0..3 {
            for (n, table) in (0_i64..).zip(&tables) {
                let rows = read_at(table, At::Latest).await.unwrap();
                assert_eq!(
                    rows.iter().map(|row| row[0].clone()).min_by(|a, b| a.total_cmp(b)),
                    Some(Datum::BigInt(5 + n))
                );
                assert!(cache.memory() <= cache.budget(), "{cache:?}");
            }
        }
        assert!(cache.memory() > 0);
    });
}

#[test]
fn compactions_that_share_their_lookups_read_pages_of_old_rows_once() {
    block_on(async {
        let mut costs = Vec::new();
        for shared in [false, true] {
            let (store, counter) = counting();
            let table = Table::create_store(store, schema("lookup")).await.unwrap();
            commit_changes(&table, "w", 1, &upserts(0..60_000, "old")).await;
            table.compact().full().run().await.unwrap();
            let lookups = LookupCache::new(64 << 20).unwrap();
            for round in 2..=3 {
                commit_changes(&table, "w", round, &upserts([100, 40_000], "new")).await;
                counter.reset();
                let compaction = table.compact();
                let compaction = if shared { compaction.lookups(&lookups) } else { compaction };
                assert_eq!(compaction.run().await.unwrap().changelog_rows, 4);
            }
            costs.push(counter.reset().at(Op::Get, PathClass::Data));
        }
        println!("{costs:?} reads of data files");
        assert!(costs[1] < costs[0], "{costs:?}");
    });
}
