//! Tags and branches on a store that fails and beside an expiry: each is whole or not there, and nothing is left over.

use std::collections::BTreeMap;

use forebay::format::layout;
use forebay::io::{Fault, FaultPlan, Gate, TableStore};
use forebay::scan::At;
use forebay::schema::SchemaChange;
use forebay::types::{Datum, RowKind};
use forebay::{Error, Table};

use crate::expiry::{Made, SHAPES, World, make};
use crate::support::{as_set, block_on, commit_changes, number, read_at};

async fn open(store: &TableStore) -> Table {
    Table::open_store(store.clone()).await.unwrap()
}

async fn delete_tags(store: &TableStore) -> Result<(), Error> {
    let table = Table::open_store(store.clone()).await?;
    for name in table.history().tags.list().await? {
        table.delete_tag(&name).await?;
    }
    Ok(())
}

/// A tag that is there reads as its snapshot did.
async fn check_tags(world: &World, made: &Made, what: &str) {
    let table = open(&world.raw).await;
    for name in table.history().tags.list().await.unwrap() {
        let id = table.history().tags.load(&name).await.unwrap().snapshot.id;
        let rows =
            read_at(&table, At::Tag(name.clone())).await.unwrap_or_else(|error| panic!("{what}: {name}: {error}"));
        assert_eq!(as_set(rows), made.rows[&id], "{what}: tag {name}");
    }
}

#[test]
fn tags_that_are_deleted_take_what_they_alone_kept_whenever_it_crashes() {
    let step = if number("FOREBAY_SEEDS", 0) > 0 { 1 } else { 4 };
    for (nth, shape) in SHAPES.into_iter().filter(|shape| !shape.tags.is_empty()).enumerate() {
        let made = block_on(make(shape));
        let operations = block_on(async {
            let world = World::of(&made).await;
            world.expire().await.unwrap();
            world.faulty.replan(FaultPlan::none());
            let before = world.faulty.operations();
            delete_tags(&world.store).await.unwrap();
            assert!(open(&world.raw).await.history().tags.list().await.unwrap().is_empty());
            world.check_exact(&made, shape.name).await;
            world.faulty.operations() - before
        });
        for index in (0..operations).filter(|index| *index as usize % step == nth % step) {
            for after_effect in [false, true] {
                block_on(async {
                    let what = format!("{}, crash at {index}, after effect {after_effect}", shape.name);
                    let world = World::of(&made).await;
                    world.expire().await.unwrap();
                    world.faulty.replan(FaultPlan::none().crash(index, after_effect));
                    drop(delete_tags(&world.store).await);
                    world.faulty.revive();
                    world.check_sound(&made, &what).await;
                    check_tags(&world, &made, &what).await;
                    delete_tags(&world.raw).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                    world.expire().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                    world.check_exact(&made, &what).await;
                });
            }
        }
    }
}

async fn make_tag(store: &TableStore) -> Result<i64, Error> {
    Table::open_store(store.clone()).await?.create_tag("late", &At::Snapshot(3), None).await
}

async fn settled(world: &World, made: &Made, made_tag: Result<i64, Error>, what: &str) -> bool {
    let there = open(&world.raw).await.history().tags.try_load("late").await.unwrap().is_some();
    match &made_tag {
        Ok(_) => assert!(there, "{what}: the tag is made"),
        Err(Error::NotFound(_)) => assert!(!there, "{what}: the tag is taken back"),
        Err(error) => panic!("{what}: {error}"),
    }
    check_tags(world, made, what).await;
    world.expire().await.unwrap();
    world.check_exact(made, what).await;
    there
}

#[test]
fn a_tag_that_is_made_while_its_snapshot_expires_is_whole_or_not_there() {
    for shape in [SHAPES[0], SHAPES[3], SHAPES[5]] {
        let made = block_on(make(shape));
        let (expiring, making) = block_on(async {
            let world = World::of(&made).await;
            make_tag(&world.store).await.unwrap();
            let making = world.faulty.operations();
            let world = World::of(&made).await;
            world.expire().await.unwrap();
            (world.faulty.operations(), making)
        });
        let (mut whole, mut gone) = (0, 0);
        let turns = (0..expiring).step_by(2).map(|index| (index, true)).chain((0..making).map(|index| (index, false)));
        for (index, expiry_waits) in turns {
            block_on(async {
                let what = format!("{}, {index}, the expiry waits: {expiry_waits}", shape.name);
                let world = World::of(&made).await;
                let gate = Gate::default();
                world.faulty.replan(FaultPlan::none().at(index, Fault::Pause(gate.clone())));
                let (store, raw) = (world.store.clone(), world.raw.clone());
                let waiting = tokio::spawn(async move {
                    match expiry_waits {
                        true => Table::open_store(store).await?.maintain().expire_snapshots()?.run().await.map(|_| 0),
                        false => make_tag(&store).await,
                    }
                });
                gate.reached().await;
                let beside = match expiry_waits {
                    true => make_tag(&raw).await,
                    false => open(&raw).await.maintain().expire_snapshots().unwrap().run().await.map(|_| 0),
                };
                gate.open();
                let waited = waiting.await.unwrap();
                let made_tag = if expiry_waits { waited.map(drop).and(Ok(())).and(beside) } else { waited };
                match settled(&world, &made, made_tag, &what).await {
                    true => whole += 1,
                    false => gone += 1,
                }
            });
        }
        assert!(whole > 5 && gone > 1, "{}: {whole} whole, {gone} gone", shape.name);
    }
}

#[test]
fn a_tag_that_is_deleted_while_its_snapshot_expires_leaves_nothing_behind() {
    let delete = async |store: &TableStore| {
        let table = Table::open_store(store.clone()).await?;
        table.delete_tag("late").await.map(drop)
    };
    let expire = async |store: &TableStore| {
        let table = Table::open_store(store.clone()).await?;
        table.maintain().expire_snapshots()?.run().await.map(drop)
    };
    for shape in [SHAPES[0], SHAPES[1], SHAPES[3], SHAPES[5]] {
        let made = block_on(make(shape));
        let world = async || {
            let world = World::of(&made).await;
            make_tag(&world.raw).await.unwrap();
            world
        };
        let (deleting, expiring) = block_on(async {
            let deleted = world().await;
            delete(&deleted.store).await.unwrap();
            let expired = world().await;
            expire(&expired.store).await.unwrap();
            (deleted.faulty.operations(), expired.faulty.operations())
        });
        let turns = (0..deleting).map(|index| (index, true)).chain((0..expiring).map(|index| (index, false)));
        for (index, delete_waits) in turns {
            block_on(async {
                let what = format!("{}, {index}, the deletion waits: {delete_waits}", shape.name);
                let (world, gate) = (world().await, Gate::default());
                world.faulty.replan(FaultPlan::none().at(index, Fault::Pause(gate.clone())));
                let store = world.store.clone();
                let waiting = tokio::spawn(async move {
                    match delete_waits {
                        true => delete(&store).await,
                        false => expire(&store).await,
                    }
                });
                gate.reached().await;
                let beside = if delete_waits { expire(&world.raw).await } else { delete(&world.raw).await };
                gate.open();
                for done in [waiting.await.unwrap(), beside] {
                    done.unwrap_or_else(|error| panic!("{what}: {error}"));
                }
                world.expire().await.unwrap();
                world.check_exact(&made, &what).await;
            });
        }
    }
}

#[test]
fn a_branch_that_is_made_or_deleted_is_whole_or_not_seen_whenever_it_crashes() {
    let made = block_on(make(SHAPES[5]));
    let run = async |store: &TableStore, delete: bool| -> Result<(), Error> {
        let table = Table::open_store(store.clone()).await?;
        match delete {
            true => table.delete_branch("late").await,
            false => table.create_branch("late", Some("t6")).await.map(drop),
        }
    };
    for delete in [false, true] {
        let world = async || {
            let world = World::of(&made).await;
            world.expire().await.unwrap();
            if delete {
                run(&world.raw, false).await.unwrap();
            }
            world
        };
        let operations = block_on(async {
            let world = world().await;
            let before = world.faulty.operations();
            run(&world.store, delete).await.unwrap();
            world.faulty.operations() - before
        });
        for (index, after_effect) in (0..operations).flat_map(|index| [(index, false), (index, true)]) {
            block_on(async {
                let what = format!("delete: {delete}, crash at {index}, after effect {after_effect}");
                let world = world().await;
                world.faulty.replan(FaultPlan::none().crash(index, after_effect));
                drop(run(&world.store, delete).await);
                world.faulty.revive();
                world.check_sound(&made, &what).await;
                let table = open(&world.raw).await;
                match table.branch("late").await {
                    Ok(branch) => {
                        let rows = read_at(&branch, At::Latest).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                        // One that is being deleted has no snapshots and then no schema.
                        let wanted = if delete && rows.is_empty() { Vec::new() } else { made.rows[&6].clone() };
                        assert_eq!(as_set(rows), wanted, "{what}");
                    }
                    Err(Error::NotFound(_)) => {}
                    Err(error) => panic!("{what}: {error}"),
                }
                world.expire().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                match table.delete_branch("late").await {
                    Ok(()) | Err(Error::NotFound(_)) => {}
                    Err(error) => panic!("{what}: {error}"),
                }
                let left = world.raw.list_recursive(&layout::branch("late").unwrap()).await.unwrap();
                assert!(left.is_empty(), "{what}: {left:?}");
                // Nothing that is left keeps others from making it anew.
                run(&world.raw, false).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                let left = world.raw.list(layout::BRANCH_DIR).await.unwrap();
                assert!(left.is_empty(), "{what}: {left:?}");
            });
        }
    }
}

/// A branch from the table's newest snapshot with three commits, a compaction, a column more and a tag of its own.
async fn grow_branch(store: &TableStore) -> BTreeMap<i64, Vec<String>> {
    let table = open(store).await;
    table.create_tag("top", &At::Latest, None).await.unwrap();
    let branch = table.create_branch("late", Some("top")).await.unwrap();
    let row = |id: i64, commit: i64| {
        (RowKind::Insert, vec![Datum::BigInt(id), Datum::String(format!("branch, commit {commit}"))])
    };
    for commit in 1..=2 {
        commit_changes(&branch, "branch-sink", commit, &[row(commit, commit), row(100 + commit, commit)]).await;
    }
    branch.compact().full().run().await.unwrap();
    let comment = SchemaChange::SetOption("num-sorted-run.compaction-trigger".into(), "7".into());
    let branch = branch.alter(&[comment]).await.unwrap();
    commit_changes(&branch, "branch-sink", 3, &[row(3, 3)]).await;
    branch.create_tag("own", &At::Latest, None).await.unwrap();
    let mut rows = BTreeMap::new();
    for id in branch.history().snapshots.ids().await.unwrap() {
        rows.insert(id, as_set(read_at(&branch, At::Snapshot(id)).await.unwrap()));
    }
    rows
}

#[test]
fn a_fast_forward_ends_at_one_of_the_branchs_snapshots_whenever_it_crashes() {
    let made = block_on(make(SHAPES[0]));
    let forward = async |store: &TableStore| Table::open_store(store.clone()).await?.fast_forward("late").await;
    let operations = block_on(async {
        let world = World::of(&made).await;
        let rows = grow_branch(&world.raw).await;
        let before = world.faulty.operations();
        let done = forward(&world.store).await.unwrap();
        let newest = *rows.keys().last().unwrap();
        assert_eq!((done.from, done.to), (rows.keys().next().copied(), newest));
        assert_eq!((done.schemas, done.tags), (1, 1));
        assert_eq!(world.raw.read("snapshot/LATEST").await.unwrap(), newest.to_string());
        world.faulty.operations() - before
    });
    assert!(operations > 10, "{operations}");
    for (index, after_effect) in (0..operations).flat_map(|index| [(index, false), (index, true)]) {
        block_on(async {
            let what = format!("crash at {index}, after effect {after_effect}");
            let world = World::of(&made).await;
            let rows = grow_branch(&world.raw).await;
            world.faulty.replan(FaultPlan::none().crash(index, after_effect));
            drop(forward(&world.store).await);
            world.faulty.revive();
            let table = open(&world.raw).await;
            let at = table.history().snapshots.latest_id().await.unwrap().unwrap();
            assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), rows[&at], "{what}");
            // The table goes on from there, and so does the next try.
            world.expire().await.unwrap_or_else(|error| panic!("{what}: {error}"));
            let done = forward(&world.raw).await.unwrap_or_else(|error| panic!("{what}: {error}"));
            let newest = *rows.keys().last().unwrap();
            assert_eq!(done.to, newest, "{what}");
            let table = open(&world.raw).await;
            assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), rows[&newest], "{what}");
            assert!(table.history().tags.try_load("own").await.unwrap().is_some(), "{what}");
            table.delete_branch("late").await.unwrap();
            world.expire().await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(as_set(read_at(&table, At::Latest).await.unwrap()), rows[&newest], "{what}, alone");
        });
    }
}

#[test]
fn a_commit_beside_a_fast_forward_wins_whole_or_comes_after_it() {
    let made = block_on(make(SHAPES[0]));
    let (mut before, mut after) = (0, 0);
    let operations = block_on(async {
        let world = World::of(&made).await;
        grow_branch(&world.raw).await;
        let before = world.faulty.operations();
        open(&world.store).await.fast_forward("late").await.unwrap();
        world.faulty.operations() - before
    });
    for index in 0..operations {
        block_on(async {
            let what = format!("at {index}");
            let world = World::of(&made).await;
            let rows = grow_branch(&world.raw).await;
            let gate = Gate::default();
            world.faulty.replan(FaultPlan::none().at(index, Fault::Pause(gate.clone())));
            let store = world.store.clone();
            let forward = tokio::spawn(async move { open(&store).await.fast_forward("late").await });
            gate.reached().await;
            let table = open(&world.raw).await;
            let row = vec![Datum::BigInt(500), Datum::String("beside".into())];
            let id = commit_changes(&table, "beside", 1, &[(RowKind::Insert, row)]).await;
            gate.open();
            let outcome = forward.await.unwrap();
            let newest = table.history().snapshots.latest_id().await.unwrap().unwrap();
            let shown = as_set(read_at(&open(&world.raw).await, At::Latest).await.unwrap());
            assert!(shown.iter().any(|row| row.contains("beside")), "{what}: the commit is lost");
            match outcome {
                // The branch's snapshots were all there, and the commit came after them.
                Ok(done) => {
                    assert!(id > done.to, "{what}");
                    after += 1;
                }
                Err(Error::Conflict(_)) => {
                    assert_eq!(newest, id, "{what}: something follows the commit");
                    before += 1;
                }
                Err(error) => panic!("{what}: {error}"),
            }
            let until = as_set(read_at(&open(&world.raw).await, At::Snapshot(id - 1)).await.unwrap());
            assert_eq!(
                until,
                rows.get(&(id - 1)).cloned().unwrap(),
                "{what}: the commit rests on a snapshot of the branch"
            );
        });
    }
    assert!(before > 3 && after > 0, "{before} before, {after} after");
}

#[test]
fn a_branch_that_is_renamed_is_whole_under_one_name_whenever_it_crashes() {
    let made = block_on(make(SHAPES[0]));
    let rename = async |store: &TableStore| Table::open_store(store.clone()).await?.rename_branch("late", "new").await;
    let operations = block_on(async {
        let world = World::of(&made).await;
        grow_branch(&world.raw).await;
        let before = world.faulty.operations();
        rename(&world.store).await.unwrap();
        world.faulty.operations() - before
    });
    for (index, after_effect) in (0..operations).flat_map(|index| [(index, false), (index, true)]) {
        block_on(async {
            let what = format!("crash at {index}, after effect {after_effect}");
            let world = World::of(&made).await;
            let rows = grow_branch(&world.raw).await;
            let wanted = rows.values().next_back().unwrap();
            world.faulty.replan(FaultPlan::none().crash(index, after_effect));
            drop(rename(&world.store).await);
            world.faulty.revive();
            let table = open(&world.raw).await;
            let mut whole = 0;
            for name in ["late", "new"] {
                let Ok(branch) = table.branch(name).await else { continue };
                if read_at(&branch, At::Latest).await.is_ok_and(|rows| as_set(rows) == *wanted) {
                    whole += 1;
                }
            }
            assert!(whole > 0, "{what}: the branch is nowhere");
            match rename(&world.raw).await {
                Ok(()) | Err(Error::NotFound(_)) => {}
                Err(error) => panic!("{what}: {error}"),
            }
            let branch = table.branch("new").await.unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(as_set(read_at(&branch, At::Latest).await.unwrap()), *wanted, "{what}");
            for id in rows.keys() {
                assert_eq!(as_set(read_at(&branch, At::Snapshot(*id)).await.unwrap()), rows[id], "{what}, {id}");
            }
            let left = world.raw.list_recursive(&layout::branch("late").unwrap()).await.unwrap();
            assert!(left.is_empty(), "{what}: {left:?}");
            world.expire().await.unwrap_or_else(|error| panic!("{what}: {error}"));
        });
    }
}

#[test]
fn tags_that_are_renamed_or_replaced_are_whole_whenever_it_crashes() {
    for replaces in [false, true] {
        let made = block_on(make(SHAPES[1]));
        let change = async |store: &TableStore| {
            let table = Table::open_store(store.clone()).await?;
            match replaces {
                false => table.rename_tag("t2", "moved").await,
                true => table.replace_tag("t2", &At::Latest, None).await.map(drop),
            }
        };
        let operations = block_on(async {
            let world = World::of(&made).await;
            world.expire().await.unwrap();
            let before = world.faulty.operations();
            change(&world.store).await.unwrap();
            world.check_exact(&made, "without a crash").await;
            world.faulty.operations() - before
        });
        for (index, after_effect) in (0..operations).flat_map(|index| [(index, false), (index, true)]) {
            block_on(async {
                let what = format!("replaces: {replaces}, crash at {index}, after effect {after_effect}");
                let world = World::of(&made).await;
                world.expire().await.unwrap();
                world.faulty.replan(FaultPlan::none().crash(index, after_effect));
                drop(change(&world.store).await);
                world.faulty.revive();
                world.check_sound(&made, &what).await;
                check_tags(&world, &made, &what).await;
                let names = open(&world.raw).await.history().tags.list().await.unwrap();
                assert!(names.iter().any(|name| name == "t2" || name == "moved"), "{what}: {names:?}");
                match change(&world.raw).await {
                    Ok(()) | Err(Error::NotFound(_)) => {}
                    Err(error) => panic!("{what}: {error}"),
                }
                check_tags(&world, &made, &what).await;
                world.expire().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                world.check_exact(&made, &what).await;
            });
        }
    }
}
