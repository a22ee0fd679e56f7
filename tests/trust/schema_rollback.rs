//! A schema rollback that crashes, and beside a commit that is the first to name what it takes: whatever a snapshot names
//! is there, and one of the two is told that it lost.

use std::collections::BTreeMap;

use forebay::commit::CommitProperties;
use forebay::format::CommitMessage;
use forebay::history::FileFilter;
use forebay::io::{Fault, FaultPlan, FaultyStore, Gate, TableStore};
use forebay::scan::At;
use forebay::schema::{Schema, SchemaChange};
use forebay::types::{DataType, Datum, RowKind};
use forebay::{CommitOutcome, Error, Table};

use crate::support::{batch, block_on, commit_changes, faulty_over, files_of, read_at, seeded_env};

/// A table with rows of schema 0, two schemas that nothing names, and the messages of a writer with the newest.
struct Made {
    files: BTreeMap<String, bytes::Bytes>,
    messages: Vec<CommitMessage>,
}

fn row(id: i64, cells: usize) -> Vec<Datum> {
    (0..cells).map(|_| Datum::BigInt(id)).collect()
}

async fn make() -> Made {
    let store = TableStore::memory(&seeded_env(1));
    let schema = Schema::builder().column("id", DataType::BIGINT).column("v", DataType::BIGINT).primary_key(["id"]);
    let schema = schema.option("bucket", "1").option("write-only", "true").build().unwrap();
    let mut table = Table::create_store(store.clone(), schema).await.unwrap();
    commit_changes(&table, "sink", 1, &[(RowKind::Insert, row(1, 2))]).await;
    for name in ["a", "b"] {
        table = with_column(&table, name).await;
    }
    let mut writer = table.stream_writer("newer").await.unwrap();
    writer.write(&batch(table.schema(), &[(RowKind::Insert, row(2, 4))])).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    Made { files: files_of(&store).await, messages }
}

async fn with_column(table: &Table, name: &str) -> Table {
    let path = vec![name.to_string()];
    let add = SchemaChange::AddColumn { path, data_type: DataType::BIGINT, comment: None, place: None };
    table.alter(&[add]).await.unwrap()
}

struct World {
    raw: TableStore,
    faulty: FaultyStore,
    store: TableStore,
}

impl World {
    async fn of(made: &Made) -> Self {
        let env = seeded_env(2);
        let raw = TableStore::memory(&env);
        for (path, bytes) in &made.files {
            raw.write(path, bytes.clone()).await.unwrap();
        }
        let (store, faulty) = faulty_over(&raw, &env, FaultPlan::none());
        Self { raw, faulty, store }
    }

    async fn schemas(&self) -> Vec<String> {
        let files = self.raw.list("schema").await.unwrap();
        let mut names: Vec<String> = files.into_iter().map(|file| file.name).collect();
        names.sort();
        names
    }

    /// Every schema is there that a snapshot or a file names, and all rows are shown. Answers how many.
    async fn check_whole(&self, what: &str) -> usize {
        let table = Table::open_store(self.raw.clone()).await.unwrap();
        let history = table.history();
        for id in history.snapshots.ids().await.unwrap() {
            let snapshot = history.snapshots.load(id).await.unwrap();
            let files = history.manifests.live_files(&snapshot, &FileFilter::default()).await.unwrap();
            for schema in files.iter().map(|entry| entry.file.schema_id).chain([snapshot.schema_id]) {
                history.schemas.load(schema).await.unwrap_or_else(|error| panic!("{what}: snapshot {id}: {error}"));
            }
        }
        read_at(&table, At::Latest).await.unwrap_or_else(|error| panic!("{what}: {error}")).len()
    }
}

async fn roll_back(store: &TableStore) -> Result<i64, Error> {
    Ok(Table::open_store(store.clone()).await?.rollback_schema(0).await?.schema().id)
}

async fn commit(store: &TableStore, made: &Made) -> Result<CommitOutcome, Error> {
    let table = Table::open_store(store.clone()).await?;
    table.committer("newer")?.commit(1, made.messages.clone(), CommitProperties::default()).await
}

#[test]
fn a_rollback_that_crashes_leaves_a_schema_as_the_newest_and_the_next_one_ends_it() {
    let made = block_on(make());
    let operations = block_on(async {
        let world = World::of(&made).await;
        assert_eq!(roll_back(&world.store).await, Ok(0));
        assert_eq!(world.schemas().await, ["schema-0"]);
        world.faulty.operations()
    });
    assert!(operations > 8, "{operations}");
    for (index, after_effect) in (0..operations).flat_map(|index| [(index, false), (index, true)]) {
        block_on(async {
            let what = format!("crash at {index}, after effect {after_effect}");
            let world = World::of(&made).await;
            world.faulty.replan(FaultPlan::none().crash(index, after_effect));
            drop(roll_back(&world.store).await);
            world.faulty.revive();
            assert_eq!(world.check_whole(&what).await, 1);
            assert_eq!(roll_back(&world.raw).await, Ok(0), "{what}");
            assert_eq!(world.schemas().await, ["schema-0"], "{what}");
        });
    }
}

/// What became of the two.
#[derive(Default, Debug)]
struct Met {
    committed: usize,
    rolled_back: usize,
    put_back: usize,
}

impl Met {
    async fn settle(&mut self, world: &World, rolled: Result<i64, Error>, done: CommitOutcome, what: &str) {
        let rows = world.check_whole(what).await;
        let schemas = world.schemas().await;
        match (&rolled, &done) {
            (Ok(0), CommitOutcome::Conflicted { reason }) => {
                assert!(reason.contains("rolled back"), "{what}: {reason}");
                assert_eq!((rows, schemas), (1, vec!["schema-0".to_string()]), "{what}");
                self.rolled_back += 1;
            }
            // The commit put back what it names.
            (Ok(0), CommitOutcome::Committed { .. }) => {
                assert_eq!((rows, schemas), (2, vec!["schema-0".to_string(), "schema-2".to_string()]), "{what}");
                self.put_back += 1;
            }
            (Err(Error::Invalid(_) | Error::Conflict(_)), CommitOutcome::Committed { .. }) => {
                assert!(rows == 2 && schemas.contains(&"schema-2".to_string()), "{what}: {rows}, {schemas:?}");
                self.committed += 1;
            }
            other => panic!("{what}: {other:?}"),
        }
        assert!(!schemas_have_notes(world).await, "{what}");
    }
}

async fn schemas_have_notes(world: &World) -> bool {
    world.schemas().await.iter().any(|name| name.starts_with("rollback-"))
}

#[test]
fn a_rollback_beside_a_commit_that_names_what_it_takes_loses_or_wins_whole() {
    let made = block_on(make());
    let (rolling, committing) = block_on(async {
        let world = World::of(&made).await;
        roll_back(&world.store).await.unwrap();
        let rolling = world.faulty.operations();
        let world = World::of(&made).await;
        assert!(matches!(commit(&world.store, &made).await, Ok(CommitOutcome::Committed { .. })));
        (rolling, world.faulty.operations())
    });
    let mut met = Met::default();
    for index in 0..rolling {
        block_on(async {
            let what = format!("the rollback waits at {index}");
            let world = World::of(&made).await;
            let gate = Gate::default();
            world.faulty.replan(FaultPlan::none().at(index, Fault::Pause(gate.clone())));
            let store = world.store.clone();
            let rolling = tokio::spawn(async move { roll_back(&store).await });
            gate.reached().await;
            let done = commit(&world.raw, &made).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            gate.open();
            met.settle(&world, rolling.await.unwrap(), done, &what).await;
        });
    }
    assert!(met.committed > 3 && met.rolled_back > 0, "{met:?}");
    let mut met = Met::default();
    for index in 0..committing {
        block_on(async {
            let what = format!("the commit waits at {index}");
            let world = World::of(&made).await;
            let gate = Gate::default();
            world.faulty.replan(FaultPlan::none().at(index, Fault::Pause(gate.clone())));
            let (store, messages) = (world.store.clone(), made.messages.clone());
            let made = Made { files: BTreeMap::new(), messages };
            let committing = tokio::spawn(async move { commit(&store, &made).await });
            gate.reached().await;
            let rolled = roll_back(&world.raw).await;
            gate.open();
            let done = committing.await.unwrap().unwrap_or_else(|error| panic!("{what}: {error}"));
            met.settle(&world, rolled, done, &what).await;
        });
    }
    assert!(met.committed > 0 && met.rolled_back > 0 && met.put_back > 0, "{met:?}");
}

/// The one state that needs somebody's hand: the commit came between the look and the delete, and the rollback died before
/// it looked again. Its note has the schemas, and repeating the rollback puts them back.
#[test]
fn a_rollback_that_dies_behind_a_commit_is_mended_by_the_next_one() {
    let made = block_on(make());
    let operations = block_on(async {
        let world = World::of(&made).await;
        roll_back(&world.store).await.unwrap();
        world.faulty.operations()
    });
    let mut missing = 0;
    for (waits, dies) in (0..operations).flat_map(|waits| (waits..=operations).map(move |dies| (waits, dies))) {
        block_on(async {
            let what = format!("waits at {waits}, dies behind {dies}");
            let world = World::of(&made).await;
            let gate = Gate::default();
            let plan = FaultPlan::none().at(waits, Fault::Pause(gate.clone())).crash(dies + 1, false);
            world.faulty.replan(plan);
            let store = world.store.clone();
            let rolling = tokio::spawn(async move { roll_back(&store).await });
            gate.reached().await;
            let done = commit(&world.raw, &made).await.unwrap();
            gate.open();
            drop(rolling.await.unwrap());
            world.faulty.revive();
            let committed = matches!(done, CommitOutcome::Committed { .. });
            if committed && !world.schemas().await.contains(&"schema-2".to_string()) {
                missing += 1;
                let table = Table::open_store(world.raw.clone()).await.unwrap();
                let error = read_at(&table, At::Latest).await.unwrap_err();
                assert!(matches!(&error, Error::NotFound(words) if words.contains("schema 2")), "{what}: {error}");
            }
            match (committed, roll_back(&world.raw).await) {
                (true, Err(Error::Invalid(words))) => assert!(words.contains("schema 2"), "{what}: {words}"),
                (false, Ok(0)) => {}
                other => panic!("{what}: {other:?}"),
            }
            assert_eq!(world.check_whole(&what).await, if committed { 2 } else { 1 }, "{what}");
            assert!(!schemas_have_notes(&world).await, "{what}");
        });
    }
    assert!(missing > 2, "{missing}");
}

#[test]
fn files_of_a_schema_whose_number_became_anothers_are_refused() {
    let made = block_on(make());
    block_on(async {
        let world = World::of(&made).await;
        let mine = Table::open_store(world.raw.clone()).await.unwrap();
        let mut writer = mine.stream_writer("mine").await.unwrap();
        let mut committer = mine.committer("mine").unwrap();
        writer.write(&batch(mine.schema(), &[(RowKind::Insert, row(2, 4))])).await.unwrap();
        let messages = writer.prepare_commit().await.unwrap();
        assert_eq!(roll_back(&world.raw).await, Ok(0));
        let mut theirs = Table::open_store(world.raw.clone()).await.unwrap();
        for name in ["x", "y"] {
            theirs = with_column(&theirs, name).await;
        }
        assert_eq!(theirs.schema().id, mine.schema().id);
        commit_changes(&theirs, "theirs", 1, &[(RowKind::Insert, row(3, 4))]).await;
        match committer.commit(1, messages.clone(), CommitProperties::default()).await.unwrap() {
            CommitOutcome::Conflicted { reason } => assert!(reason.contains("rolled back"), "{reason}"),
            other => panic!("{other:?}"),
        }
        committer.abort(&messages).await.unwrap();
        assert_eq!(world.check_whole("two rows").await, 2);
        // A table that is opened anew goes on.
        commit_changes(
            &Table::open_store(world.raw.clone()).await.unwrap(),
            "mine",
            2,
            &[(RowKind::Insert, row(4, 4))],
        )
        .await;
        assert_eq!(world.check_whole("three rows").await, 3);
    });
}
