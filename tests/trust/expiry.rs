//! Expiry on a store that fails, beside readers, writers and tags: nothing live goes, and nothing stays that nobody names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use forebay::commit::{CommitOutcome, CommitProperties};
use forebay::format::{FileKind, FileSource, ManifestEntry, Snapshot, Tag, layout};
use forebay::history::{FileFilter, History};
use forebay::io::{Fault, FaultPlan, FaultyStore, Gate, Op, TableStore};
use forebay::maintain::{ExpireReport, Stop};
use forebay::scan::At;
use forebay::schema::{ChangelogProducer, Schema, TableOptions};
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Clock, Error, Start, Table};
use futures::future::BoxFuture;

use crate::support::{
    Changes, Random, TestClock, as_set, block_on, commit_changes, each_seed, faulty_over, files_of, number, read_at,
    read_changes, seeded_env,
};

/// What a table is made of, before anything expires.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub name: &'static str,
    pub options: &'static [(&'static str, &'static str)],
    /// Snapshots that are tagged.
    pub tags: &'static [i64],
    /// A tag from which a branch is made.
    pub branch: Option<i64>,
}

const COMMITS: i64 = 6;

pub const SHAPES: [Shape; 6] = [
    Shape { name: "plain", options: &[], tags: &[], branch: None },
    Shape { name: "tags and a branch", options: &[("changelog-producer", "input")], tags: &[2, 5, 7], branch: Some(4) },
    Shape {
        name: "changelogs outlive snapshots",
        options: &[("changelog-producer", "input"), ("changelog.num-retained.min", "5")],
        tags: &[3],
        branch: None,
    },
    Shape {
        name: "changelogs without a producer",
        options: &[("changelog.num-retained.min", "5")],
        tags: &[3, 4],
        branch: None,
    },
    Shape {
        name: "looked up",
        options: &[
            ("changelog-producer", "lookup"),
            ("changelog.time-retained", "9 d"),
            ("changelog.num-retained.max", "6"),
        ],
        tags: &[],
        branch: Some(3),
    },
    Shape { name: "vectors", options: &[("deletion-vectors.enabled", "true")], tags: &[6], branch: None },
];

fn schema(shape: Shape) -> Schema {
    let mut builder = Schema::builder()
        .column("id", DataType::BIGINT.not_null())
        .column("v", DataType::STRING)
        .primary_key(["id"])
        .option("bucket", "1")
        .option("write-only", "true")
        .option("snapshot.num-retained.min", "2")
        .option("snapshot.time-retained", "1 min")
        .option("snapshot.expire.limit", "4");
    for (key, value) in shape.options {
        builder = builder.option(*key, *value);
    }
    builder.build().unwrap()
}

fn changes_of(commit: i64) -> Changes {
    let kind = |id: i64| if (id + commit) % 5 == 0 { RowKind::Delete } else { RowKind::UpdateAfter };
    let row = |id: i64| vec![Datum::BigInt(id), Datum::String(format!("row {id} of commit {commit}"))];
    (commit..commit + 6).map(|id| (kind(id), row(id))).collect()
}

/// A table with a history: every second commit is followed by a compaction.
pub struct Made {
    files: BTreeMap<String, bytes::Bytes>,
    pub rows: BTreeMap<i64, Vec<String>>,
    changes: Vec<(i64, String)>,
}

pub async fn make(shape: Shape) -> Made {
    let store = TableStore::memory(&seeded_env(1));
    let table = Table::create_store(store.clone(), schema(shape)).await.unwrap();
    for commit in 1..=COMMITS {
        commit_changes(&table, "sink", commit, &changes_of(commit)).await;
        if commit % 2 == 0 {
            // A job expires by the table's options, which the tests do themselves.
            let keeping = table.clone().with_options([("snapshot.time-retained", "100 d")]).unwrap();
            keeping.compact().full().run().await.unwrap();
        }
        store.env().sleep(Duration::from_secs(100)).await;
    }
    let snapshots = &table.history().snapshots;
    for id in shape.tags.iter().copied().chain(shape.branch) {
        let tag = Tag::of(snapshots.load(id).await.unwrap());
        store.write(&layout::tag(&format!("t{id}")).unwrap(), tag.encode().unwrap()).await.unwrap();
    }
    if let Some(id) = shape.branch {
        let branch = layout::branch("b").unwrap();
        for path in [layout::snapshot(id), layout::schema(0), layout::tag(&format!("t{id}")).unwrap()] {
            store.write(&format!("{branch}/{path}"), store.read(&path).await.unwrap()).await.unwrap();
        }
        // The branch lives on without the tag it was made from.
        store.delete(&layout::tag(&format!("t{id}")).unwrap()).await.unwrap();
    }
    let mut rows = BTreeMap::new();
    for id in snapshots.ids().await.unwrap() {
        rows.insert(id, as_set(read_at(&table, At::Snapshot(id)).await.unwrap()));
    }
    assert!(rows.len() > COMMITS as usize + 2, "{rows:?}");
    Made { files: files_of(&store).await, rows, changes: changes_as_text(&table).await }
}

async fn changes_as_text(table: &Table) -> Vec<(i64, String)> {
    let changes = read_changes(table).await.unwrap();
    changes.into_iter().map(|(id, kind, row)| (id, format!("{kind:?} {row:?}"))).collect()
}

/// The same table in a store of its own, an hour after its last commit.
pub struct World {
    pub raw: TableStore,
    pub faulty: FaultyStore,
    pub store: TableStore,
}

impl World {
    pub async fn of(made: &Made) -> Self {
        let env = seeded_env(2);
        env.sleep(Duration::from_secs(3600)).await;
        let raw = TableStore::memory(&env);
        for (path, bytes) in &made.files {
            raw.write(path, bytes.clone()).await.unwrap();
        }
        let (store, faulty) = faulty_over(&raw, &env, FaultPlan::none());
        Self { raw, faulty, store }
    }

    pub async fn expire(&self) -> Result<ExpireReport, Error> {
        expire(&self.store).await
    }

    /// An expiry of somebody whose store does not fail.
    pub async fn expire_raw(&self) -> Result<ExpireReport, Error> {
        expire(&self.raw).await
    }

    pub async fn expire_raw_at_most(&self, count: i64) {
        let table = Table::open_store(self.raw.clone()).await.unwrap();
        table.maintain().expire_snapshots().unwrap().max_deletes(count).run().await.unwrap();
    }

    /// Every snapshot and every change that is left reads as before, and whatever a pointer names is there.
    pub async fn check_sound(&self, made: &Made, what: &str) -> i64 {
        let table = Table::open_store(self.raw.clone()).await.unwrap();
        let ids = table.history().snapshots.ids().await.unwrap();
        let newest = *made.rows.keys().last().unwrap();
        assert_eq!(ids, (ids[0]..=newest).collect::<Vec<_>>(), "{what}: a gap");
        for id in &ids {
            let rows =
                as_set(read_at(&table, At::Snapshot(*id)).await.unwrap_or_else(|error| panic!("{what}: {error}")));
            assert_eq!(rows, made.rows[id], "{what}: snapshot {id}");
        }
        let first = first_change(&table).await;
        let wanted = made.changes.iter().filter(|(id, _)| *id >= first);
        assert_eq!(as_set(changes_as_text(&table).await), as_set(wanted), "{what}: changes from {first}");
        let there: BTreeSet<String> = files_of(&self.raw).await.into_keys().collect();
        let missing: Vec<_> = referenced(&table).await.into_iter().filter(|path| !there.contains(path)).collect();
        assert!(missing.is_empty(), "{what}: something names {missing:?}");
        ids[0]
    }

    /// Besides that, no file is there that nothing names.
    pub async fn check_exact(&self, made: &Made, what: &str) {
        self.check_sound(made, what).await;
        let table = Table::open_store(self.raw.clone()).await.unwrap();
        let named = referenced(&table).await;
        let there = files_of(&self.raw).await.into_keys();
        let over: Vec<_> = there.filter(|path| !is_pointer(path) && !named.contains(path)).collect();
        assert!(over.is_empty(), "{what}: nothing names {over:?}");
    }
}

async fn expire(store: &TableStore) -> Result<ExpireReport, Error> {
    Table::open_store(store.clone()).await?.maintain().expire_snapshots()?.run().await
}

async fn first_change(table: &Table) -> i64 {
    let snapshots = &table.history().snapshots;
    let changelogs = snapshots.changelog_ids().await.unwrap();
    changelogs.first().copied().unwrap_or(i64::MAX).min(snapshots.ids().await.unwrap()[0])
}

fn is_pointer(path: &str) -> bool {
    let pointers = ["snapshot/", "changelog/", "schema/", "tag/", "branch/", "consumer/"];
    pointers.iter().any(|pointer| path.starts_with(pointer))
}

/// The paths of all files that something names, found anew from every pointer of the table.
pub async fn referenced(table: &Table) -> BTreeSet<String> {
    let history = table.history();
    let mut named = Named { table, manifests: history, paths: BTreeSet::new() };
    let snapshots = &history.snapshots;
    let none = TableOptions::parse(table.schema()).unwrap().changelog_producer == ChangelogProducer::None;
    let ids = snapshots.ids().await.unwrap();
    for id in &ids {
        named.snapshot(&snapshots.load(*id).await.unwrap(), true).await;
    }
    for name in history.tags.list().await.unwrap() {
        named.snapshot(&history.tags.load(&name).await.unwrap().snapshot, false).await;
    }
    let changelogs = snapshots.changelog_ids().await.unwrap();
    for id in changelogs.iter().filter(|id| **id < ids[0]) {
        named.changelog(&snapshots.try_load_changelog(*id).await.unwrap().unwrap(), none).await;
    }
    if none && !changelogs.is_empty() {
        named.leavers(&snapshots.load(ids[0]).await.unwrap()).await;
    }
    for branch in history.branches.list().await.unwrap() {
        let pointers = history.on_branch(&branch).unwrap();
        for id in pointers.snapshots.ids().await.unwrap() {
            named.snapshot(&pointers.snapshots.load(id).await.unwrap(), true).await;
        }
        for name in pointers.tags.list().await.unwrap() {
            named.snapshot(&pointers.tags.load(&name).await.unwrap().snapshot, false).await;
        }
    }
    named.paths
}

struct Named<'a> {
    table: &'a Table,
    manifests: &'a History,
    paths: BTreeSet<String>,
}

impl Named<'_> {
    async fn snapshot(&mut self, snapshot: &Snapshot, with_changelog: bool) {
        self.lists(&[&snapshot.base_manifest_list, &snapshot.delta_manifest_list]).await;
        let live = self.manifests.manifests.live_files(snapshot, &FileFilter::default()).await.unwrap();
        live.iter().for_each(|entry| self.data(entry));
        if let Some(name) = &snapshot.index_manifest {
            self.paths.insert(layout::manifest(name).unwrap());
            for entry in self.manifests.manifests.index(name).await.unwrap().iter() {
                self.paths.insert(layout::index(&entry.file_name).unwrap());
            }
        }
        if with_changelog {
            self.own_changelog(snapshot).await;
        }
    }

    async fn own_changelog(&mut self, snapshot: &Snapshot) {
        let Some(list) = &snapshot.changelog_manifest_list else { return };
        self.lists(&[list]).await;
        let files = self.manifests.manifests.changelog_files(snapshot, &FileFilter::default()).await.unwrap();
        files.iter().for_each(|entry| self.data(entry));
    }

    async fn changelog(&mut self, changelog: &Snapshot, none: bool) {
        if changelog.changelog_manifest_list.is_some() {
            return self.own_changelog(changelog).await;
        }
        if none {
            self.lists(&[&changelog.base_manifest_list, &changelog.delta_manifest_list]).await;
            let delta = self.manifests.manifests.delta_files(changelog, &FileFilter::default()).await.unwrap();
            let flushed = |entry: &&Arc<ManifestEntry>| entry.file.file_source == Some(FileSource::Append);
            delta.iter().filter(flushed).filter(|entry| entry.kind == FileKind::Add).for_each(|entry| self.data(entry));
            self.leavers(changelog).await;
        }
    }

    /// Without a producer flushed files stay until the changelog of the commit that took them goes.
    async fn leavers(&mut self, snapshot: &Snapshot) {
        let delta = self.manifests.manifests.delta_files(snapshot, &FileFilter::default()).await.unwrap();
        let flushed = |entry: &&Arc<ManifestEntry>| entry.file.file_source == Some(FileSource::Append);
        delta.iter().filter(flushed).for_each(|entry| self.data(entry));
    }

    async fn lists(&mut self, names: &[&String]) {
        for name in names {
            self.paths.insert(layout::manifest(name).unwrap());
            for meta in self.manifests.manifests.list(name).await.unwrap().iter() {
                self.paths.insert(layout::manifest(&meta.file_name).unwrap());
            }
        }
    }

    fn data(&mut self, entry: &ManifestEntry) {
        let options = TableOptions::parse(self.table.schema()).unwrap();
        let directory =
            forebay::format::bucket_directory(self.table.schema(), &options, &entry.partition, entry.bucket).unwrap();
        self.paths.insert(format!("{directory}/{}", entry.file.file_name));
    }
}

#[test]
fn an_expiry_leaves_what_the_options_keep_and_nothing_else() {
    for shape in SHAPES {
        block_on(async {
            let made = make(shape).await;
            let world = World::of(&made).await;
            let report = world.expire().await.unwrap();
            world.check_exact(&made, shape.name).await;
            let newest = *made.rows.keys().last().unwrap();
            assert_eq!(world.check_sound(&made, shape.name).await, newest - 1, "{}: {report:?}", shape.name);
            assert!(report.files >= 5 && report.failed == 0 && report.bytes > 0, "{}: {report:?}", shape.name);
            let table = Table::open_store(world.raw.clone()).await.unwrap();
            let changelogs = table.history().snapshots.changelog_ids().await.unwrap();
            match shape.options.iter().any(|(key, _)| key.starts_with("changelog.")) {
                true => assert!(!changelogs.is_empty() && *changelogs.last().unwrap() == newest - 2, "{changelogs:?}"),
                false => assert!(changelogs.is_empty()),
            }
            assert!(world.expire().await.unwrap().is_empty(), "{}: a second run finds nothing", shape.name);
        });
    }
}

#[test]
fn a_crash_anywhere_leaves_every_pointer_whole_and_the_next_run_cleans_up() {
    // Every operation of all shapes takes minutes; a third of them, another one for each shape, runs by default.
    let step = if number("FOREBAY_SEEDS", 0) > 0 { 1 } else { 3 };
    for (nth, shape) in SHAPES.into_iter().enumerate() {
        let made = block_on(make(shape));
        let operations = block_on(async {
            let world = World::of(&made).await;
            world.expire().await.unwrap();
            world.faulty.trace().into_iter().map(|(op, ..)| op).collect::<Vec<_>>()
        });
        println!("{}: {} operations", shape.name, operations.len());
        let mut left = 0;
        let befores = (0..operations.len()).map(|index| (index, false));
        let afters = operations.iter().enumerate().filter(|(_, op)| op.mutates()).map(|(index, _)| (index, true));
        for (index, after_effect) in befores.chain(afters).filter(|(index, _)| index % step == nth % step) {
            block_on(async {
                let what =
                    format!("{}, crash at {index} ({}), after effect {after_effect}", shape.name, operations[index]);
                let world = World::of(&made).await;
                world.faulty.replan(FaultPlan::none().crash(index as u64, after_effect));
                // A failed delete is told and not fatal, so a crash near the end may pass for one.
                let died = world.expire().await;
                assert!(
                    died.as_ref().map_or(true, |report| report.failed > 0 || index + 3 > operations.len()),
                    "{what}"
                );
                world.faulty.revive();
                world.check_sound(&made, &what).await;
                left += usize::from(!world.raw.list(layout::EXPIRY_DIR).await.unwrap().is_empty());
                world.expire().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                world.check_exact(&made, &what).await;
            });
        }
        assert!(left > 5, "{}: {left} crashes left a note", shape.name);
    }
}

/// A golden table in memory: Java wrote and expired it.
async fn golden(name: &str) -> TableStore {
    let own = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let directory = own.join(name).join("table");
    let from = TableStore::local(&directory, &forebay::Env::system()).unwrap();
    let env = seeded_env(3);
    // Java's clock is ahead of the test's.
    env.sleep(Duration::from_secs(200_000_000)).await;
    let store = TableStore::memory(&env);
    for (path, bytes) in files_of(&from).await {
        store.write(&path, bytes).await.unwrap();
    }
    store
}

#[test]
fn what_java_leaves_is_what_is_named_and_we_go_on_from_there() {
    for name in ["expire_decoupled", "expire_decoupled_none", "expire_lookup", "tags_expire"] {
        block_on(async {
            let store = golden(name).await;
            let table = Table::open_store(store.clone()).await.unwrap();
            let exact = async |what: &str| {
                let named = referenced(&table).await;
                let there: BTreeSet<String> =
                    files_of(&store).await.into_keys().filter(|path| !is_pointer(path)).collect();
                let over: Vec<_> = there.difference(&named).collect();
                let missing: Vec<_> = named.difference(&there).collect();
                assert!(over.is_empty() && missing.is_empty(), "{name} {what}: {over:?} over, {missing:?} missing");
            };
            exact("as Java left it").await;
            let newest = *table.history().snapshots.ids().await.unwrap().last().unwrap();
            let rows = as_set(read_at(&table, At::Snapshot(newest)).await.unwrap());
            let changes = changes_as_text(&table).await;
            let report = table.maintain().expire_snapshots().unwrap().retain_max(1).run().await.unwrap();
            exact("after our expiry").await;
            assert_eq!(table.history().snapshots.ids().await.unwrap(), [newest], "{name}: {report:?}");
            assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), rows, "{name}");
            let first = first_change(&table).await;
            let wanted = changes.into_iter().filter(|(id, _)| *id >= first);
            assert_eq!(as_set(changes_as_text(&table).await), as_set(wanted), "{name}");
        });
    }
}

#[test]
fn a_reader_of_an_old_plan_gets_its_rows_or_an_error_that_names_the_retention() {
    for shape in SHAPES {
        let made = block_on(make(shape));
        block_on(async {
            let world = World::of(&made).await;
            let table = Table::open_store(world.raw.clone()).await.unwrap();
            let mut old = Vec::new();
            for id in made.rows.keys() {
                let plan = table.scan().at(At::Snapshot(*id)).plan().await.unwrap();
                old.push((*id, plan));
            }
            let (mut whole, mut told) = (0, 0);
            // A fresh handle, so that nothing is read from memory that is gone from the store.
            for _ in 0..made.rows.len() {
                for (id, plan) in &old {
                    match read_plan(&Table::open_store(world.raw.clone()).await.unwrap(), plan.clone()).await {
                        Ok(rows) => {
                            assert_eq!(as_set(rows), made.rows[id], "{}: snapshot {id}", shape.name);
                            whole += 1;
                        }
                        Err(Error::NotFound(what)) => {
                            assert!(what.contains("snapshot.time-retained"), "{}: snapshot {id}: {what}", shape.name);
                            told += 1;
                        }
                        Err(error) => panic!("{}: snapshot {id}: {error}", shape.name),
                    }
                    match read_at(&Table::open_store(world.raw.clone()).await.unwrap(), At::Snapshot(*id)).await {
                        Ok(rows) => assert_eq!(as_set(rows), made.rows[id], "{}: snapshot {id}", shape.name),
                        Err(Error::NotFound(what)) => assert!(what.contains("retained"), "{what}"),
                        Err(error) => panic!("{}: snapshot {id}: {error}", shape.name),
                    }
                }
                let table = Table::open_store(world.raw.clone()).await.unwrap();
                table.maintain().expire_snapshots().unwrap().max_deletes(1).run().await.unwrap();
            }
            assert!(
                whole > 10 && (told > 5 || !shape.tags.is_empty()),
                "{}: {whole} plans read, {told} told",
                shape.name
            );
        });
    }
}

async fn read_plan(table: &Table, plan: forebay::scan::Plan) -> Result<Vec<crate::support::Row>, Error> {
    let schema = table.schema();
    let request = forebay::read::ReadRequest {
        schema: Arc::clone(schema),
        select: (0..schema.fields.len()).collect(),
        filter: None,
        batch_rows: 100,
        wide_timestamps: false,
    };
    let reader = forebay::read::SplitReader::new(table.history(), request, &plan.splits).await?;
    let mut stream = forebay::read::RowStream::new(reader, plan.splits, None);
    let mut rows = Vec::new();
    while let Some(batch) = stream.next_batch().await? {
        rows.extend(crate::support::rows_of(schema, &batch));
    }
    Ok(rows)
}

#[test]
fn a_follower_goes_from_changelogs_to_snapshots_while_both_expire() {
    for shape in SHAPES {
        let made = block_on(make(shape));
        block_on(async {
            let world = World::of(&made).await;
            let table = Table::open_store(world.raw.clone()).await.unwrap();
            let mut stream = table.changes().from(Start::Earliest).consumer("slow").read().await.unwrap();
            let mut found = Vec::new();
            // Its consumer holds back what it has not read, so it never misses a change.
            stream.ack().await.unwrap();
            loop {
                let table = Table::open_store(world.raw.clone()).await.unwrap();
                table.maintain().expire_snapshots().unwrap().run().await.unwrap();
                let Some(change) = stream.next().await.unwrap() else { break };
                let rows = crate::support::rows_of(table.schema(), change.rows.rows());
                let kinds = (0..rows.len()).map(|at| change.rows.kind(at));
                let shown = rows.iter().zip(kinds).map(|(row, kind)| (change.snapshot_id, format!("{kind:?} {row:?}")));
                found.extend(shown);
                stream.ack().await.unwrap();
            }
            assert_eq!(as_set(found), as_set(&made.changes), "{}", shape.name);
            world.check_exact(&made, shape.name).await;
            // From a number and from a time below the oldest snapshot that is kept, too.
            let table = Table::open_store(world.raw.clone()).await.unwrap();
            let first = first_change(&table).await;
            for id in made.rows.keys() {
                let from = table.changes().from(Start::Snapshot(*id)).read().await;
                match from {
                    Ok(_) => assert!(*id >= first, "{}: {id} is kept from {first} on", shape.name),
                    Err(Error::NotFound(what)) => {
                        assert!(*id < first && what.contains("changelog.time-retained"), "{}: {what}", shape.name);
                    }
                    Err(error) => panic!("{}: {error}", shape.name),
                }
            }
        });
    }
}

#[test]
fn a_consumer_holds_back_and_a_broken_one_holds_everything() {
    block_on(async {
        let made = make(SHAPES[0]).await;
        let world = World::of(&made).await;
        let table = Table::open_store(world.raw.clone()).await.unwrap();
        table.history().consumers.store("me", 3).await.unwrap();
        let report = world.expire().await.unwrap();
        assert_eq!((report.snapshots.as_slice(), report.stop), ([1, 2].as_slice(), Some(Stop::Consumer("me".into()))));
        world.check_exact(&made, "held").await;
        let before = files_of(&world.raw).await;
        for (path, bytes) in
            [("consumer/consumer-me", "{"), ("tag/tag-broken", "{}"), ("branch/branch-b/snapshot/snapshot-1", "{}")]
        {
            let kept = world.raw.try_read(path).await.unwrap();
            world.raw.write("consumer/consumer-me", "{\"nextSnapshot\":9}".into()).await.unwrap();
            world.raw.write(path, bytes.into()).await.unwrap();
            let with_it = files_of(&world.raw).await;
            let error = world.expire().await.unwrap_err();
            assert!(matches!(error, Error::Corrupt { .. }), "{path}: {error}");
            assert_eq!(files_of(&world.raw).await, with_it, "{path}: something went");
            match kept {
                Some(bytes) => world.raw.write(path, bytes).await.unwrap(),
                None => world.raw.delete(path).await.unwrap(),
            }
        }
        world.raw.write("consumer/consumer-me", before["consumer/consumer-me"].clone()).await.unwrap();
        assert_eq!(files_of(&world.raw).await, before);
    });
}

#[test]
fn a_manifest_that_cannot_be_read_deletes_nothing() {
    block_on(async {
        let made = make(SHAPES[1]).await;
        let world = World::of(&made).await;
        let table = Table::open_store(world.raw.clone()).await.unwrap();
        let snapshot = table.history().snapshots.load(3).await.unwrap();
        let path = layout::manifest(&snapshot.delta_manifest_list).unwrap();
        let bytes = world.raw.read(&path).await.unwrap();
        world.raw.write(&path, bytes.slice(..bytes.len() / 2)).await.unwrap();
        let before = files_of(&world.raw).await;
        let error = world.expire().await.unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
        assert_eq!(files_of(&world.raw).await, before);
        // One that an expiry of Java took before it died is no hindrance.
        world.raw.delete(&path).await.unwrap();
        world.expire().await.unwrap();
    });
}

#[test]
fn a_tag_that_comes_while_snapshots_go_keeps_its_files() {
    for shape in [SHAPES[0], SHAPES[3], SHAPES[5]] {
        let made = block_on(make(shape));
        block_on(async {
            let world = World::of(&made).await;
            let table = Table::open_store(world.raw.clone()).await.unwrap();
            let tag = Tag::of(table.history().snapshots.load(3).await.unwrap());
            // It pauses before the note, when the plan is made.
            let world_of_calm = World::of(&made).await;
            world_of_calm.expire().await.unwrap();
            let note = world_of_calm.faulty.trace().iter().position(|(op, ..)| *op == Op::Put).unwrap();
            let gate = Gate::default();
            world.faulty.replan(FaultPlan::none().at(note as u64, Fault::Pause(gate.clone())));
            let store = world.store.clone();
            let expiring = tokio::spawn(async move { expire(&store).await });
            gate.reached().await;
            world.raw.write(&layout::tag("late").unwrap(), tag.encode().unwrap()).await.unwrap();
            gate.open();
            expiring.await.unwrap().unwrap();
            world.check_exact(&made, shape.name).await;
        });
    }
}

#[test]
fn two_expiries_and_one_that_slept_take_nothing_that_is_needed() {
    let made = block_on(make(SHAPES[2]));
    let operations = block_on(async {
        let world = World::of(&made).await;
        world.expire().await.unwrap();
        world.faulty.operations()
    });
    for index in (0..operations).step_by(3) {
        block_on(async {
            let world = World::of(&made).await;
            let gate = Gate::default();
            world.faulty.replan(FaultPlan::none().at(index, Fault::Pause(gate.clone())));
            let store = world.store.clone();
            let sleeper = tokio::spawn(async move { expire(&store).await });
            gate.reached().await;
            expire(&world.raw).await.unwrap();
            world.check_sound(&made, &format!("beside one that sleeps at {index}")).await;
            gate.open();
            match sleeper.await.unwrap() {
                Ok(_) | Err(Error::Conflict(_) | Error::NotFound(_)) => {}
                Err(error) => panic!("{index}: {error}"),
            }
            world.check_sound(&made, &format!("after one that slept at {index}")).await;
            expire(&world.raw).await.unwrap();
            world.check_exact(&made, &format!("after one that slept at {index}")).await;
        });
    }
}

#[test]
fn a_count_limit_spares_what_a_commit_under_way_may_rest_on() {
    block_on(async {
        let store = TableStore::memory(&seeded_env(5));
        let schema = schema(SHAPES[0]);
        let table = Table::create_store(store.clone(), schema).await.unwrap();
        for commit in 1..=5 {
            store.env().sleep(Duration::from_secs(6)).await;
            commit_changes(&table, "sink", commit, &changes_of(commit)).await;
        }
        // A quarter of a minute: the snapshots that were the newest within it stay, though one was to be left.
        let expire = || table.maintain().expire_snapshots().unwrap().retain_min(1).retain_max(1);
        let report = expire().run().await.unwrap();
        assert_eq!((report.snapshots.as_slice(), report.stop), ([1].as_slice(), Some(Stop::Guarded)));
        store.env().sleep(Duration::from_secs(60)).await;
        assert_eq!(expire().dry_run().run().await.unwrap().snapshots, [2, 3, 4]);
        assert_eq!(expire().run().await.unwrap().snapshots, [2, 3, 4]);
    });
}

/// A clock whose wall time is wrong. What is monotonic stays so.
struct Lying {
    clock: TestClock,
    by: AtomicI64,
}

impl Clock for Lying {
    fn now_millis(&self) -> i64 {
        self.clock.now_millis() + self.by.load(Ordering::SeqCst)
    }
    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
    fn local_offset_seconds(&self, millis: i64) -> i32 {
        self.clock.local_offset_seconds(millis)
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }
}

#[test]
fn clocks_that_lie_lose_no_row() {
    const WEEK: i64 = 7 * 24 * 3_600_000;
    each_seed("clocks_that_lie", 12, |seed| {
        block_on(async {
            let mut random = Random(seed);
            let clock = Arc::new(Lying { clock: TestClock::default(), by: AtomicI64::new(0) });
            let store = TableStore::memory(&forebay::Env::seeded(seed, clock.clone()));
            let shape = *random.pick(&SHAPES[..4]);
            let table = Table::create_store(store.clone(), schema(shape)).await.unwrap();
            // Expiry after commits, too.
            let table = table.with_options([("write-only", "false")]).unwrap();
            let mut wanted = BTreeMap::new();
            let mut newest = 0;
            for commit in 1..=25 {
                clock.by.store(*random.pick(&[0, 0, WEEK, -WEEK, 1]), Ordering::SeqCst);
                let changes = changes_of(commit);
                for (kind, row) in &changes {
                    let key = format!("{:?}", row[0]);
                    match kind.is_retract() {
                        true => drop(wanted.remove(&key)),
                        false => drop(wanted.insert(key, row.clone())),
                    }
                }
                let snapshot = commit_changes(&table, "sink", commit, &changes).await;
                assert!(snapshot > newest, "seed {seed}: snapshot {snapshot} after {newest}");
                newest = snapshot;
                if random.chance(30) {
                    clock.by.store(*random.pick(&[WEEK, -WEEK, 0]), Ordering::SeqCst);
                    let expire = table.maintain().expire_snapshots().unwrap();
                    expire.retain_min(random.below(2) as i64 + 1).run().await.unwrap();
                }
                store.env().sleep(Duration::from_secs(random.below(40))).await;
                let ids = table.history().snapshots.ids().await.unwrap();
                let last = *ids.last().unwrap();
                assert_eq!(ids, (ids[0]..=last).collect::<Vec<_>>(), "seed {seed}: a gap");
                let fresh = Table::open_store(store.clone()).await.unwrap();
                let rows = as_set(read_at(&fresh, At::Latest).await.unwrap());
                assert_eq!(rows, as_set(wanted.values()), "seed {seed}, commit {commit}");
                for id in ids {
                    read_at(&fresh, At::Snapshot(id)).await.unwrap();
                }
            }
        });
    });
}

#[test]
fn a_writer_that_slept_past_the_retention_takes_no_rows_away() {
    let mut outcomes = BTreeSet::new();
    for index in 0.. {
        let more = block_on(async {
            let env = seeded_env(9);
            let raw = TableStore::memory(&env);
            let (store, faulty) = faulty_over(&raw, &env, FaultPlan::none());
            let table = Table::create_store(raw.clone(), schema(SHAPES[0])).await.unwrap();
            commit_changes(&table, "other", 1, &changes_of(1)).await;
            let slow = Table::open_store(store.clone()).await.unwrap();
            let mut writer = slow.stream_writer("slow").await.unwrap();
            writer.write(&crate::support::batch(slow.schema(), &[change(1000)])).await.unwrap();
            let messages = writer.prepare_commit().await.unwrap();
            let mut committer = slow.committer("slow").unwrap();
            let gate = Gate::default();
            faulty.replan(FaultPlan::none().at(index, Fault::Pause(gate.clone())));
            let sleeper = tokio::spawn(async move { committer.commit(1, messages, CommitProperties::default()).await });
            tokio::select! {
                () = gate.reached() => {}
                () = async { while !sleeper.is_finished() { tokio::task::yield_now().await } } => return false,
            }
            for commit in 2..=6 {
                commit_changes(&table, "other", commit, &[change(commit)]).await;
                env.sleep(Duration::from_secs(120)).await;
            }
            expire(&raw).await.unwrap();
            let before = as_set(read_at(&table, At::Latest).await.unwrap());
            gate.open();
            let outcome = sleeper.await.unwrap();
            let fresh = Table::open_store(raw.clone()).await.unwrap();
            let after = as_set(read_at(&fresh, At::Latest).await.unwrap());
            let lost: Vec<_> = before.iter().filter(|row| !after.contains(row)).collect();
            assert!(lost.is_empty(), "operation {index}: {outcome:?} took away {lost:?}");
            let there = after.iter().any(|row| row.contains("1000"));
            match &outcome {
                Ok(CommitOutcome::Committed { .. }) => assert!(there, "operation {index}: acknowledged and lost"),
                Ok(CommitOutcome::Conflicted { .. }) | Err(_) => assert!(!there, "operation {index}: {outcome:?}"),
                Ok(_) => {}
            }
            outcomes.insert(format!("{outcome:?}").split(' ').next().unwrap_or_default().to_string());
            let ids = fresh.history().snapshots.ids().await.unwrap();
            assert_eq!(ids, (ids[0]..=*ids.last().unwrap()).collect::<Vec<_>>(), "operation {index}: a gap");
            true
        });
        if !more {
            assert!(index > 8, "{index} operations");
            break;
        }
    }
    println!("{outcomes:?}");
}

fn change(id: i64) -> (RowKind, crate::support::Row) {
    (RowKind::UpdateAfter, vec![Datum::BigInt(id), Datum::String(format!("row {id}"))])
}
