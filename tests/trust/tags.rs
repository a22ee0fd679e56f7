//! Tags and branches on a store that fails and beside an expiry: each is whole or not there, and nothing is left over.

use forebay::format::layout;
use forebay::io::{Fault, FaultPlan, Gate, TableStore};
use forebay::scan::At;
use forebay::{Error, Table};

use crate::expiry::{Made, SHAPES, World, make};
use crate::support::{as_set, block_on, number, read_at};

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
            });
        }
    }
}
