//! Every merge engine with every changelog producer on a store that fails: a writer that dies and comes back, one or
//! two compactors, and a reader, against an oracle of the rows and one of the changelog.
//!
//! | engine | producers |
//! |---|---|
//! | deduplicate, partial-update, aggregation | none, input, lookup, full-compaction |
//! | first-row | none, lookup |
//! | partial-update that removes rows, and with a sequence group that takes values back | lookup, full-compaction |
//!
//! Of the last no oracle can tell the rows; their changelog must tell what the table shows. Beside fixed buckets the same is
//! done on tables with deletion vectors and on tables with dynamic buckets, as far as they go with an engine and a producer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use forebay::commit::{CommitOutcome, CommitProperties};
use forebay::compact::CompactRequest;
use forebay::io::{Fault, FaultPlan, FaultyStore, TableStore};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::compaction::{all_is_told, seeing_all, vectors};
use crate::support::{
    Changes, Random, Row, as_set, batch, block_on, each_seed, faulty_over, read_at, read_changes, seeded_env,
};

const COMMITS: i64 = 6;
const KEYS: u64 = 12;
/// Partial-update by which a -D removes the row.
const REMOVING: &str = "partial-update, removing";
/// Partial-update with a sequence group, whose values a retraction takes back.
const GROUPED: &str = "partial-update, grouped";
const COMBINATIONS: [(&str, &str); 18] = [
    ("deduplicate", "none"),
    ("deduplicate", "input"),
    ("deduplicate", "lookup"),
    ("deduplicate", "full-compaction"),
    ("partial-update", "none"),
    ("partial-update", "input"),
    ("partial-update", "lookup"),
    ("partial-update", "full-compaction"),
    ("aggregation", "none"),
    ("aggregation", "input"),
    ("aggregation", "lookup"),
    ("aggregation", "full-compaction"),
    ("first-row", "none"),
    ("first-row", "lookup"),
    (REMOVING, "lookup"),
    (REMOVING, "full-compaction"),
    (GROUPED, "lookup"),
    (GROUPED, "full-compaction"),
];

/// The rows by key.
type Rows = BTreeMap<i64, Row>;

/// What keeps the keys of a table apart.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    Fixed,
    /// Fixed buckets whose old versions are masked.
    Vectors,
    /// A hash index tells each key's bucket.
    Dynamic,
}

/// One combination and what a seed decides about it.
struct Case {
    form: Form,
    engine: &'static str,
    producer: &'static str,
    /// The writer compacts nothing itself.
    write_only: bool,
    /// Two buckets, whose changelog files of a commit are put together.
    shared: bool,
    seed: u64,
}

impl Case {
    fn schema(&self) -> Schema {
        let builder = Schema::builder()
            .column("id", DataType::BIGINT.not_null())
            .column("n", DataType::INT)
            .column("text", DataType::STRING)
            .primary_key(["id"])
            .option("bucket", self.buckets())
            .option("precommit-compact", self.shared.to_string())
            .option("merge-engine", self.engine.split(',').next().unwrap())
            .option("changelog-producer", self.producer)
            .option("write-only", self.write_only.to_string())
            .option("num-sorted-run.compaction-trigger", "3")
            .option("commit.max-retries", "5");
        let own: &[(&str, &str)] = match self.engine {
            "aggregation" => &[
                ("fields.n.aggregate-function", "sum"),
                ("fields.text.aggregate-function", "max"),
                ("fields.text.ignore-retract", "true"),
            ],
            REMOVING => &[("partial-update.remove-record-on-delete", "true")],
            GROUPED => &[("fields.n.sequence-group", "text")],
            _ => &[],
        };
        let form: &[(&str, &str)] = match self.form {
            Form::Fixed => &[],
            Form::Vectors => &[("deletion-vectors.enabled", "true"), ("num-levels", "6")],
            Form::Dynamic => &[("dynamic-bucket.target-row-num", if self.shared { "4" } else { "1000" })],
        };
        own.iter().chain(form).fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap()
    }

    fn buckets(&self) -> &'static str {
        match (self.form, self.shared) {
            (Form::Dynamic, _) => "-1",
            (_, true) => "2",
            (_, false) => "1",
        }
    }

    /// What the source sends with a commit, the same each time.
    fn changes(&self, identifier: i64) -> Changes {
        let mut random = Random(self.seed.wrapping_mul(1009).wrapping_add(identifier as u64));
        let count = 1 + random.below(20);
        let row = |random: &mut Random| {
            let null = |random: &mut Random, value| if random.chance(25) { Datum::Null } else { value };
            let (n, text) = (random.below(100) as i32, format!("{} of {identifier}", random.below(9)));
            vec![
                Datum::BigInt(random.below(KEYS) as i64),
                null(random, Datum::Int(n)),
                null(random, Datum::String(text)),
            ]
        };
        let change = |_| {
            let taken = matches!(self.engine, "deduplicate" | "aggregation" | REMOVING | GROUPED) && random.chance(20);
            (if taken { RowKind::Delete } else { RowKind::UpdateAfter }, row(&mut random))
        };
        let mut changes: Changes = (0..count).map(change).collect();
        if self.engine == "aggregation" && identifier == 1 {
            // A -D that is alone of its key is no row and may be dropped: every key has an addition first.
            let first = (0..KEYS).map(|id| vec![Datum::BigInt(id as i64), Datum::Int(1), Datum::Null]);
            changes.splice(0..0, first.map(|row| (RowKind::Insert, row)));
        }
        changes
    }

    /// One change on the rows, as Paimon's documentation has it for the engine.
    fn apply(&self, rows: &mut Rows, kind: RowKind, row: &Row) {
        let Datum::BigInt(id) = row[0] else { panic!("{row:?}") };
        match (self.engine, kind.is_retract()) {
            ("deduplicate", true) => drop(rows.remove(&id)),
            ("deduplicate", false) => drop(rows.insert(id, row.clone())),
            ("first-row", _) => drop(rows.entry(id).or_insert_with(|| row.clone())),
            ("partial-update", _) => {
                let there = rows.entry(id).or_insert_with(|| vec![row[0].clone(), Datum::Null, Datum::Null]);
                let comes = row.iter().zip(there).filter(|(value, _)| !value.is_null());
                comes.for_each(|(value, there)| *there = value.clone());
            }
            ("aggregation", taken) => {
                let there = rows.entry(id).or_insert_with(|| vec![row[0].clone(), Datum::Null, Datum::Null]);
                if let Datum::Int(n) = row[1] {
                    let sum = if let Datum::Int(sum) = there[1] { sum } else { 0 };
                    there[1] = Datum::Int(if taken { sum - n } else { sum + n });
                }
                match (&there[2], &row[2]) {
                    (_, Datum::String(_)) if taken => {}
                    (Datum::String(old), Datum::String(new)) if old >= new => {}
                    (_, Datum::String(_)) => there[2] = row[2].clone(),
                    _ => {}
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// The rows after so many commits.
    fn rows_after(&self, commits: i64) -> Rows {
        let mut rows = Rows::new();
        for (kind, row) in (1..=commits).flat_map(|identifier| self.changes(identifier)) {
            self.apply(&mut rows, kind, &row);
        }
        rows
    }

    /// What partial-update makes of an addition after a removal depends, as in Java, on which of the two a flush or a
    /// compaction folded first: no oracle of the operations alone can tell.
    fn has_oracle(&self) -> bool {
        !matches!(self.engine, REMOVING | GROUPED)
    }

    /// The keys that so many commits name, whatever became of their rows.
    fn keys_after(&self, commits: i64) -> BTreeSet<String> {
        (1..=commits).flat_map(|identifier| self.changes(identifier)).map(|(_, row)| format!("{:?}", row[0])).collect()
    }

    /// Whether readers see rows before a compaction.
    fn shows_level_0(&self) -> bool {
        self.engine != "first-row"
    }
}

struct World {
    case: Case,
    raw: Table,
    store: TableStore,
    faulty: FaultyStore,
}

impl World {
    async fn new(case: Case) -> Self {
        let env = seeded_env(case.seed);
        let raw = TableStore::memory(&env);
        let (store, faulty) = faulty_over(&raw, &env, FaultPlan::none());
        let raw = seeing_all(Table::create_store(raw, case.schema()).await.unwrap());
        Self { case, raw, store, faulty }
    }

    /// One life of the writer, through faults: it asks what is committed and goes on from there.
    async fn write(&self, random: &mut Random) -> Result<(), Error> {
        let table = Table::open_store(self.store.clone()).await?;
        let mut committer = table.committer("sink")?;
        let open = committer.filter_committed(&(1..=COMMITS).collect::<Vec<_>>()).await?;
        let mut writer = table.stream_writer("sink").await?;
        for identifier in open.into_iter().take(1 + random.below(2) as usize) {
            writer.write(&batch(table.schema(), &self.case.changes(identifier))).await?;
            let messages = writer.prepare_commit().await?;
            match committer.commit(identifier, messages, CommitProperties::default()).await? {
                CommitOutcome::Unknown { reason } => return Err(Error::storage(reason)),
                CommitOutcome::Committed { .. } | CommitOutcome::AlreadyCommitted { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        // Nothing waits, but a compaction may run beside it.
        writer.abort().await
    }

    /// Two compactors through faults: the second has planned before the first commits, and may lose.
    async fn compact(&self, random: &mut Random) -> Result<(), Error> {
        let table = Table::open_store(self.store.clone()).await?;
        let full = random.chance(40);
        let late = table.compact().compactor()?;
        let tasks = late.plan(&CompactRequest { full: random.chance(30), ..CompactRequest::default() }).await?;
        let compaction = if full { table.compact().full() } else { table.compact() };
        compaction.run().await?;
        for task in tasks {
            let message = late.run(&task).await?;
            let mut committer = table.committer("late compactor")?;
            let messages = vec![message];
            let properties = CommitProperties::default();
            let outcome = committer.commit(forebay::commit::BATCH_COMMIT, messages.clone(), properties).await?;
            if let CommitOutcome::Conflicted { .. } = outcome {
                committer.abort(&messages).await?;
            }
        }
        Ok(())
    }

    /// How many of the sink's commits a snapshot has.
    async fn commits_at(&self, snapshot: i64) -> i64 {
        let mut newest = 0;
        for id in 1..=snapshot {
            let snapshot = self.raw.history().snapshots.load(id).await.unwrap();
            if snapshot.commit_user == "sink" {
                newest = newest.max(snapshot.commit_identifier);
            }
        }
        newest
    }

    /// Rows that a reader found must be those of the commits, or of a part of them where it sees what is compacted.
    fn judge(&self, what: &str, found: Vec<Row>, commits: i64) {
        if !self.case.has_oracle() {
            return;
        }
        let wanted = self.case.rows_after(commits);
        if self.case.shows_level_0() {
            assert_eq!(as_set(found), as_set(wanted.into_values()), "{what}");
        } else {
            let all = as_set(wanted.into_values());
            let found = as_set(found);
            assert!(found.iter().all(|row| all.contains(row)), "{what}: {found:#?} of {all:#?}");
        }
    }
}

/// What became of one case.
#[derive(Debug, Default)]
struct Seen {
    roles: Vec<&'static str>,
    /// Masked rows, counted after each life.
    masked: i64,
    /// The most buckets that an index told of.
    indexed: usize,
}

/// Lives until all is committed; then everything is compacted and compared.
async fn troubled(case: Case) -> Seen {
    let mut random = Random(case.seed);
    let what = format!("{:?}: {} with {}, write-only: {}", case.form, case.engine, case.producer, case.write_only);
    let plan = |seed| {
        FaultPlan::seeded(seed)
            .chance(0.01, Fault::FailBefore)
            .chance(0.01, Fault::FailAfter)
            .chance(0.05, Fault::LostAnswer)
            .chance(0.01, Fault::TornBody)
            .chance(0.02, Fault::Delay(Duration::from_secs(1)))
    };
    let world = World::new(case).await;
    let mut seen = Seen::default();
    for lives in 0.. {
        assert!(lives < 300, "{what}: after {lives} lives not all is committed");
        let mut next = plan(random.next());
        if random.chance(25) {
            next = next.crash(random.below(80), random.chance(50));
        }
        world.faulty.replan(next);
        let (role, outcome) = match random.chance(60) {
            true => ("write", world.write(&mut random).await),
            false => ("compact", world.compact(&mut random).await),
        };
        seen.roles.push(if outcome.is_ok() { role } else { "failure" });
        if let Ok(table) = Table::open_store(world.store.clone()).await.map(seeing_all)
            && let Ok(Some(newest)) = table.history().snapshots.latest_id().await
            && let Ok(rows) = read_at(&table, At::Snapshot(newest)).await
        {
            world.judge(&format!("{what}, read through faults"), rows, world.commits_at(newest).await);
        }
        world.faulty.revive();
        let newest = world.raw.history().snapshots.latest_id().await.unwrap().unwrap_or(0);
        if newest > 0 {
            check_index(&world, &what, newest, &mut seen).await;
        }
        if world.commits_at(newest).await == COMMITS && seen.roles.iter().filter(|role| **role == "compact").count() > 2
        {
            break;
        }
    }
    world.raw.compact().full().run().await.unwrap();
    let newest = world.raw.history().snapshots.latest_id().await.unwrap().unwrap();
    for id in 1..=newest {
        let rows = read_at(&world.raw, At::Snapshot(id)).await.unwrap();
        world.judge(&format!("{what}, snapshot {id}"), rows, world.commits_at(id).await);
    }
    let found = read_at(&world.raw, At::Latest).await.unwrap();
    if world.case.has_oracle() {
        assert_eq!(as_set(&found), as_set(world.case.rows_after(COMMITS).values()), "{what}: the end");
    }
    check_index(&world, &what, newest, &mut seen).await;
    if world.case.form == Form::Vectors {
        // Everything is up, and whoever merges nothing sees the same.
        let plain = world.raw.clone().with_options([("deletion-vectors.merge-on-read", "false")]).unwrap();
        assert!(plain.scan().plan().await.unwrap().splits.iter().all(|split| split.raw), "{what}");
        assert_eq!(as_set(read_at(&plain, At::Latest).await.unwrap()), as_set(&found), "{what}: without merging");
    }
    check_changes(&world, &what, newest, found).await;
    seen
}

/// What the newest index files say is true: no vector dangles, and a hash index has each key that was ever committed,
/// in one bucket.
async fn check_index(world: &World, what: &str, newest: i64, seen: &mut Seen) {
    match world.case.form {
        Form::Fixed => {}
        Form::Vectors => seen.masked += vectors(&world.raw).await.values().sum::<i64>(),
        Form::Dynamic => {
            let history = world.raw.history();
            let snapshot = history.snapshots.load(newest).await.unwrap();
            let mut hashes: BTreeMap<i32, i64> = BTreeMap::new();
            if let Some(name) = &snapshot.index_manifest {
                for file in history.manifests.index(name).await.unwrap().iter() {
                    assert_eq!(
                        hashes.insert(file.bucket, file.row_count),
                        None,
                        "{what}: a bucket has two index files"
                    );
                }
            }
            let keys = world.case.keys_after(world.commits_at(newest).await).len() as i64;
            assert_eq!(hashes.values().sum::<i64>(), keys, "{what}, snapshot {newest}: {hashes:?}");
            seen.indexed = seen.indexed.max(hashes.len());
        }
    }
}

/// The changelog replays to the rows, and on the way, after each snapshot of one bucket, to the rows after one of the
/// commits so far, no earlier one than before. Where compactions made it, each change is one of the state before: a row
/// that is taken back was there, and one that is added was not; and wherever nothing waits for its compaction, in any
/// number of buckets, it has led to what the table shows.
async fn check_changes(world: &World, what: &str, newest: i64, wanted: Vec<Row>) {
    let mut changes = read_changes(&world.raw).await.unwrap().into_iter().peekable();
    let made = matches!(world.case.producer, "lookup" | "full-compaction");
    let (mut rows, mut told, mut complete) = (Rows::new(), 0, 0);
    for snapshot in 1..=newest {
        let mut some = false;
        while let Some((_, kind, row)) = changes.next_if(|(of, ..)| *of == snapshot) {
            some = true;
            let Datum::BigInt(id) = row[0] else { panic!("{row:?}") };
            let what = format!("{what}: {kind:?} {row:?} of snapshot {snapshot}");
            match (made, kind.is_retract()) {
                (false, _) => world.case.apply(&mut rows, kind, &row),
                (true, true) => assert_eq!(rows.remove(&id), Some(row), "{what} takes back what is not there"),
                (true, false) => assert_eq!(rows.insert(id, row), None, "{what} is added to what is there"),
            }
        }
        if some && !world.case.shared && world.case.has_oracle() {
            told = check_state(world, what, &rows, told, snapshot).await;
        }
        if made && all_is_told(&world.raw, snapshot).await {
            complete += 1;
            let found = read_at(&world.raw, At::Snapshot(snapshot)).await.unwrap();
            assert_eq!(as_set(rows.values()), as_set(found), "{what}: the changelog up to snapshot {snapshot}");
        }
    }
    assert!(changes.next().is_none(), "{what}: changes behind snapshot {newest}");
    assert!(!made || complete > 0, "{what}: the changelog was never complete");
    assert_eq!(as_set(rows.values()), as_set(wanted), "{what}: the changelog");
}

/// The first commit from `told` on after which the rows are these; there is one that the snapshot has.
async fn check_state(world: &World, what: &str, rows: &Rows, told: i64, snapshot: i64) -> i64 {
    let most = world.commits_at(snapshot).await;
    let mut commits = told..=most;
    let equal = |commits: &i64| as_set(rows.values()) == as_set(world.case.rows_after(*commits).values());
    commits.find(equal).unwrap_or_else(|| {
        panic!("{what}: the changelog up to snapshot {snapshot} gives the rows of no commit from {told} to {most}")
    })
}

/// Each combination that a form of table takes, under faults.
fn all_combinations(form: Form, seed: u64, mut each: impl FnMut(Seen)) {
    for (engine, producer) in COMBINATIONS {
        // Old rows of first-row never change, so that it masks nothing, and full-compaction merges what vectors masked.
        if form == Form::Vectors && (engine == "first-row" || producer == "full-compaction") {
            continue;
        }
        let write_only = (seed + engine.len() as u64).is_multiple_of(2);
        let shared = (seed / 2 + producer.len() as u64).is_multiple_of(2);
        each(block_on(troubled(Case { form, engine, producer, write_only, shared, seed })));
    }
}

fn all_roles(roles: &[&str]) {
    for role in ["write", "compact", "failure"] {
        assert!(roles.contains(&role), "nothing is seen of {role}");
    }
}

#[test]
fn every_engine_with_every_producer_under_faults_has_its_rows_and_its_changelog() {
    let mut roles = Vec::new();
    each_seed("every_engine_with_every_producer", 2, |seed| {
        all_combinations(Form::Fixed, seed, |seen| roles.extend(seen.roles));
    });
    all_roles(&roles);
}

#[test]
fn engines_with_deletion_vectors_under_faults_have_their_rows_and_their_changelog() {
    let (mut roles, mut masked) = (Vec::new(), 0);
    each_seed("engines_with_deletion_vectors_under_faults", 3, |seed| {
        all_combinations(Form::Vectors, seed, |seen| {
            roles.extend(seen.roles);
            masked += seen.masked;
        });
    });
    println!("{masked} masked rows");
    all_roles(&roles);
    assert!(masked > 20, "{masked} masked rows");
}

#[test]
fn engines_with_dynamic_buckets_under_faults_have_their_rows_and_every_key_one_bucket() {
    let (mut roles, mut indexed) = (Vec::new(), 0);
    each_seed("engines_with_dynamic_buckets_under_faults", 2, |seed| {
        all_combinations(Form::Dynamic, seed, |seen| {
            roles.extend(seen.roles);
            indexed = indexed.max(seen.indexed);
        });
    });
    all_roles(&roles);
    assert!(indexed > 2, "{indexed} buckets");
}
