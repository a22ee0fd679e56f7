//! Deletion vectors under several compactors: whatever is committed in whatever order, no vector outlives its file, no
//! key is seen twice and none is lost.

use forebay::Table;
use forebay::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties};
use forebay::compact::CompactRequest;
use forebay::format::CommitMessage;
use forebay::io::TableStore;
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};

use crate::compaction::{Oracle, changes, live_files, schema, seeing_all, vectors};
use crate::support::{Random, as_set, block_on, commit_changes, each_seed, read_at, seeded_env};

#[derive(Debug, Default)]
struct Seen {
    committed: usize,
    conflicted: usize,
    masked: i64,
}

/// Compactions that were planned and run, and wait: their commits come late and in any order.
async fn run(seed: u64) -> Seen {
    let mut random = Random(seed);
    let mut schema = schema(&mut random);
    // Many levels, so that compactions leave files above.
    let options = [
        ("deletion-vectors.enabled", "true"),
        ("write-only", "true"),
        ("num-levels", "6"),
        ("num-sorted-run.compaction-trigger", "5"),
    ];
    schema.options.extend(options.map(|(key, value)| (key.to_string(), value.to_string())));
    let table = seeing_all(Table::create_store(TableStore::memory(&seeded_env(seed)), schema).await.unwrap());
    let compactors = [table.compact().compactor().unwrap(), table.compact().full().compactor().unwrap()];
    let mut oracle = Oracle::new(table.schema());
    let (mut counter, mut identifier, mut seen) = (0, 0, Seen::default());
    let mut waiting: Vec<CommitMessage> = Vec::new();
    for _ in 0..3 {
        identifier += 1;
        let some = changes(table.schema(), &mut random, &mut counter);
        commit_changes(&table, "writer", identifier, &some).await;
        oracle.apply(&some);
    }
    table.compact().full().run().await.unwrap();
    for step in 0..40 {
        match random.below(10) {
            0..=3 => {
                identifier += 1;
                let some = changes(table.schema(), &mut random, &mut counter);
                commit_changes(&table, "writer", identifier, &some).await;
                oracle.apply(&some);
            }
            4..=6 => {
                let full = random.chance(20);
                let request = CompactRequest { full, ..CompactRequest::default() };
                let compactor = &compactors[usize::from(full)];
                for task in compactor.plan(&request).await.unwrap() {
                    waiting.push(compactor.run(&task).await.unwrap());
                }
            }
            _ if !waiting.is_empty() => {
                let message = waiting.remove(random.below(waiting.len() as u64) as usize);
                if message.is_empty() {
                    continue;
                }
                let mut committer = table.committer(&format!("compactor {step}")).unwrap();
                let messages = vec![message];
                match committer.commit(BATCH_COMMIT, messages.clone(), CommitProperties::default()).await.unwrap() {
                    CommitOutcome::Committed { .. } => seen.committed += 1,
                    CommitOutcome::Conflicted { .. } => {
                        committer.abort(&messages).await.unwrap();
                        seen.conflicted += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
            _ => continue,
        }
        if table.history().snapshots.latest_id().await.unwrap().is_some() {
            seen.masked += vectors(&table).await.values().sum::<i64>();
            let found = as_set(read_at(&table, At::Latest).await.unwrap());
            assert_eq!(found, oracle.all(), "step {step}");
        }
    }
    // In the end everything comes up, and readers merge nothing.
    let plain = table.clone().with_options([("deletion-vectors.merge-on-read", "false")]).unwrap();
    if identifier > 0 {
        table.compact().run().await.unwrap();
        assert_eq!(as_set(read_at(&plain, At::Latest).await.unwrap()), oracle.all());
        assert!(plain.scan().plan().await.unwrap().splits.iter().all(|split| split.raw));
    }
    seen
}

#[test]
fn compactors_whose_commits_come_late_leave_no_vector_without_its_file_and_no_key_twice() {
    let mut sum = Seen::default();
    each_seed("compactors_whose_commits_come_late", 12, |seed| {
        let seen = block_on(run(seed));
        sum.committed += seen.committed;
        sum.conflicted += seen.conflicted;
        sum.masked += seen.masked;
    });
    println!("{sum:?}");
    assert!(sum.committed > 20 && sum.conflicted > 5 && sum.masked > 100, "{sum:?}");
}

fn two_levels() -> Schema {
    Schema::builder()
        .column("id", DataType::BIGINT)
        .column("n", DataType::INT)
        .primary_key(["id"])
        .option("bucket", "1")
        .option("deletion-vectors.enabled", "true")
        .option("write-only", "true")
        .build()
        .unwrap()
}

/// One compactor brings new versions up and masks the old ones in a file that the other one rewrites, and neither
/// touches an index file that the other one knows.
#[test]
fn a_vector_is_not_committed_for_a_file_that_another_compactor_replaced() {
    for rewrite_first in [true, false] {
        block_on(async {
            let table = Table::create_store(TableStore::memory(&seeded_env(1)), two_levels()).await.unwrap();
            let row = |id: i64, n| (RowKind::Insert, vec![Datum::BigInt(id), Datum::Int(n)]);
            commit_changes(&table, "writer", 1, &(0..100).map(|id| row(id, 0)).collect::<Vec<_>>()).await;
            table.compact().full().run().await.unwrap();
            // A compactor of the same files with other options rewrites the top level, whatever it holds.
            let rewriting = table.clone().with_options([("compaction.force-rewrite-all-files", "true")]).unwrap();
            let rewriting = rewriting.compact().full().compactor().unwrap();
            let full = CompactRequest { full: true, ..CompactRequest::default() };
            let rewritten = rewriting.run(&rewriting.plan(&full).await.unwrap()[0]).await.unwrap();
            commit_changes(&table, "writer", 2, &(0..10).map(|id| row(id, 1)).collect::<Vec<_>>()).await;
            let masking = table.compact().compactor().unwrap();
            let masked = masking.run(&masking.plan(&CompactRequest::default()).await.unwrap()[0]).await.unwrap();
            assert_eq!((masked.compact_new_index.len(), masked.compact_deleted_index.len()), (1, 0));
            assert_eq!((rewritten.compact_new_index.len(), rewritten.compact_deleted_index.len()), (0, 0));
            let order = if rewrite_first { [rewritten, masked] } else { [masked, rewritten] };
            let mut outcomes = Vec::new();
            for (user, message) in order.into_iter().enumerate() {
                let mut committer = table.committer(&format!("compactor {user}")).unwrap();
                outcomes
                    .push(committer.commit(BATCH_COMMIT, vec![message], CommitProperties::default()).await.unwrap());
            }
            assert!(matches!(outcomes[0], CommitOutcome::Committed { .. }), "{outcomes:?}");
            assert!(matches!(outcomes[1], CommitOutcome::Conflicted { .. }), "{outcomes:?}");
            vectors(&table).await;
            table.compact().run().await.unwrap();
            let found = as_set(read_at(&table, At::Latest).await.unwrap());
            let wanted = (0..100).map(|id| vec![Datum::BigInt(id), Datum::Int(i32::from(id < 10))]);
            assert_eq!(found, as_set(wanted), "rewrite first: {rewrite_first}");
            assert!(!live_files(&table).await.is_empty());
        });
    }
}
