//! Dynamic buckets on a store that fails: two writers that know nothing of each other, and a compactor. Whoever routed by an
//! index that is another's by now is refused, and begins anew; a key never has two buckets.

use std::collections::{BTreeMap, BTreeSet};

use forebay::commit::{CommitOutcome, CommitProperties};
use forebay::format::CommitKind;
use forebay::history::FileFilter;
use forebay::io::{Fault, FaultPlan, FaultyStore, TableStore};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::compaction::{Oracle, check_changelog};
use crate::support::{
    Changes, Random, Row, as_set, batch, block_on, each_seed, faulty_over, read_at, read_changes, seeded_env,
};

const COMMITS: i64 = 6;
const SOURCES: [&str; 2] = ["one", "two"];
const PRODUCERS: [&str; 4] = ["input", "lookup", "none", "full-compaction"];

fn schema(seed: u64) -> Schema {
    let builder = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("text", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "-1")
        .option("dynamic-bucket.target-row-num", "5")
        .option("changelog-producer", PRODUCERS[seed as usize % 4])
        .option("write-only", (seed / 4).is_multiple_of(2).to_string())
        .option("num-sorted-run.compaction-trigger", "3")
        .option("commit.max-retries", "5");
    builder.build().unwrap()
}

/// What a source sends with a commit, the same each time: keys of both, and one that nobody had before.
fn changes_of(seed: u64, source: usize, identifier: i64) -> Changes {
    let mut random = Random(seed.wrapping_mul(1009).wrapping_add(identifier as u64 * 2 + source as u64));
    let mut change = |id: i64| {
        let kind = if random.chance(20) { RowKind::Delete } else { RowKind::UpdateAfter };
        (kind, vec![Datum::BigInt(id), Datum::String(format!("{} {identifier}", SOURCES[source]))])
    };
    let own = 100 * (source as i64 + 1) + identifier;
    let mut changes = vec![change(own)];
    let mut random = Random(seed.wrapping_mul(7919).wrapping_add(identifier as u64 * 2 + source as u64));
    let ids: BTreeSet<i64> = (0..random.below(12)).map(|_| random.below(20) as i64).collect();
    changes.extend(ids.into_iter().map(change));
    changes
}

#[derive(Debug, Default)]
struct Seen {
    refused: usize,
    failed: usize,
    compacted: usize,
    buckets: usize,
}

struct World {
    seed: u64,
    raw: Table,
    store: TableStore,
    faulty: FaultyStore,
}

impl World {
    async fn new(seed: u64) -> Self {
        let env = seeded_env(seed);
        let raw = TableStore::memory(&env);
        let (store, faulty) = faulty_over(&raw, &env, FaultPlan::none());
        Self { seed, raw: Table::create_store(raw, schema(seed)).await.unwrap(), store, faulty }
    }

    /// One life of a source's writer, through faults. Answers whether it was refused, and then it is over.
    async fn write(&self, source: usize, lives: i64) -> Result<bool, Error> {
        let user = SOURCES[source];
        let table = Table::open_store(self.store.clone()).await?;
        let mut committer = table.committer(user)?;
        let open = committer.filter_committed(&(1..=COMMITS).collect::<Vec<_>>()).await?;
        let mut writer = table.stream_writer(user).await?;
        for identifier in open.into_iter().take(1 + (self.seed as i64 + lives) as usize % 2) {
            writer.write(&batch(table.schema(), &changes_of(self.seed, source, identifier))).await?;
            let messages = writer.prepare_commit().await?;
            match committer.commit(identifier, messages.clone(), CommitProperties::default()).await? {
                CommitOutcome::Unknown { reason } => return Err(Error::storage(reason)),
                CommitOutcome::Committed { .. } | CommitOutcome::AlreadyCommitted { .. } => {}
                CommitOutcome::Conflicted { reason } => {
                    assert!(reason.contains("changed since"), "{reason}");
                    committer.abort(&messages).await?;
                    writer.abort().await?;
                    return Ok(true);
                }
                other => panic!("{other:?}"),
            }
        }
        writer.abort().await?;
        Ok(false)
    }

    async fn compact(&self, full: bool) -> Result<usize, Error> {
        let table = Table::open_store(self.store.clone()).await?;
        let compaction = if full { table.compact().full() } else { table.compact() };
        Ok(compaction.run().await?.snapshots.len())
    }

    /// Every new snapshot shows what the commits up to it say in their order, each of them once, and each key has one
    /// bucket.
    async fn check(&self, judge: &mut Judge) {
        let history = self.raw.history();
        for id in judge.seen + 1..=history.snapshots.latest_id().await.unwrap().unwrap_or(0) {
            judge.seen = id;
            let snapshot = history.snapshots.load(id).await.unwrap();
            if snapshot.commit_kind == CommitKind::Append {
                let source = SOURCES.iter().position(|user| *user == snapshot.commit_user).unwrap();
                let some = changes_of(self.seed, source, snapshot.commit_identifier);
                assert!(judge.committed.insert((source, snapshot.commit_identifier)), "snapshot {id} comes twice");
                judge.keys.extend(some.iter().map(|(_, row)| format!("{:?}", row[0])));
                judge.oracle.apply(&some);
                judge.told.extend(some.into_iter().map(|(kind, row)| (id, kind, row)));
            }
            assert_eq!(
                as_set(read_at(&self.raw, At::Snapshot(id)).await.unwrap()),
                judge.oracle.all(),
                "snapshot {id}"
            );
            let mut hashes = BTreeMap::new();
            if let Some(name) = &snapshot.index_manifest {
                for file in history.manifests.index(name).await.unwrap().iter() {
                    assert_eq!(hashes.insert(file.bucket, file.row_count), None, "a bucket has two index files");
                }
            }
            let (found, wanted) = (hashes.values().sum::<i64>(), judge.keys.len() as i64);
            assert_eq!(found, wanted, "snapshot {id}: a key has two buckets, or none: {hashes:?}");
            let live = history.manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap();
            assert!(live.iter().all(|entry| hashes.contains_key(&entry.bucket)), "snapshot {id}");
            judge.buckets = hashes.len();
        }
    }
}

/// What the snapshots so far are.
struct Judge {
    seen: i64,
    oracle: Oracle,
    committed: BTreeSet<(usize, i64)>,
    keys: BTreeSet<String>,
    told: Vec<(i64, RowKind, Row)>,
    buckets: usize,
}

async fn run(seed: u64) -> Seen {
    let mut random = Random(seed);
    let world = World::new(seed).await;
    let (mut seen, oracle) = (Seen::default(), Oracle::new(world.raw.schema()));
    let (committed, keys, told) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let mut judge = Judge { seen: 0, oracle, committed, keys, told, buckets: 0 };
    for lives in 0.. {
        assert!(lives < 300, "after {lives} lives not all is committed: {seen:?}");
        let mut plan = FaultPlan::seeded(random.next())
            .chance(0.001, Fault::FailBefore)
            .chance(0.001, Fault::FailAfter)
            .chance(0.01, Fault::LostAnswer)
            .chance(0.001, Fault::TornBody);
        if random.chance(20) {
            plan = plan.crash(random.below(250), random.chance(50));
        }
        world.faulty.replan(plan);
        let (one, two, compacted) =
            futures::join!(world.write(0, lives), world.write(1, lives), world.compact(random.chance(30)));
        world.faulty.revive();
        for outcome in [one, two] {
            match outcome {
                Ok(refused) => seen.refused += usize::from(refused),
                Err(_) => seen.failed += 1,
            }
        }
        seen.compacted += compacted.unwrap_or(0);
        world.check(&mut judge).await;
        seen.buckets = judge.buckets;
        if judge.committed.len() == 2 * COMMITS as usize {
            break;
        }
    }
    world.raw.compact().full().run().await.unwrap();
    world.check(&mut judge).await;
    match world.raw.schema().option("changelog-producer") {
        Some("lookup" | "full-compaction") => drop(check_changelog(&world.raw, &format!("seed {seed}")).await),
        _ => assert_eq!(as_set(read_changes(&world.raw).await.unwrap()), as_set(judge.told)),
    }
    seen
}

#[test]
fn writers_of_dynamic_buckets_that_race_under_faults_never_give_a_key_two_buckets() {
    let mut sum = Seen::default();
    each_seed("writers_of_dynamic_buckets_that_race", 8, |seed| {
        let seen = block_on(run(seed));
        sum.refused += seen.refused;
        sum.failed += seen.failed;
        sum.compacted += seen.compacted;
        sum.buckets = sum.buckets.max(seen.buckets);
    });
    println!("{sum:?}");
    assert!(sum.refused > 5 && sum.failed > 5 && sum.compacted > 5 && sum.buckets > 3, "{sum:?}");
}
