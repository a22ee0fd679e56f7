//! Reads that a tag guards, on a store that fails and beside an expiry: they show a snapshot whole or tell that it
//! expired, and no tag outlives its time.

use std::time::Duration;

use forebay::format::{Tag, layout};
use forebay::io::{Fault, FaultPlan, Gate, TableStore};
use forebay::scan::At;
use forebay::types::Datum;
use forebay::{Error, Table};

use crate::expiry::{Made, SHAPES, World, make};
use crate::support::{as_set, block_on, number, rows_of};

const TIME: Duration = Duration::from_secs(60);
/// A snapshot that expires.
const OLD: i64 = 3;

async fn guarded_read(store: &TableStore) -> Result<Vec<Vec<Datum>>, Error> {
    let table = Table::open_store(store.clone()).await?;
    let mut stream = table.scan().at(At::Snapshot(OLD)).protect(TIME).read().await?;
    let mut rows = Vec::new();
    while let Some(batch) = stream.next_batch().await? {
        rows.extend(rows_of(table.schema(), &batch));
    }
    Ok(rows)
}

async fn tags(world: &World) -> Vec<String> {
    Table::open_store(world.raw.clone()).await.unwrap().history().tags.list().await.unwrap()
}

async fn read_tags(world: &World) -> Vec<String> {
    tags(world).await.into_iter().filter(|name| name.starts_with("batch-read-")).collect()
}

/// What is left when the time of every tag of a read is over: nothing of it.
async fn settle(world: &World, made: &Made, what: &str) {
    world.raw.env().sleep(TIME * 2).await;
    world.expire().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(read_tags(world).await, [""; 0], "{what}");
    world.check_exact(made, what).await;
}

#[test]
fn a_guarded_read_that_crashes_leaves_a_tag_that_expires_and_nothing_else() {
    let mut left = 0;
    for shape in [SHAPES[0], SHAPES[1], SHAPES[5]] {
        let made = block_on(make(shape));
        let operations = block_on(async {
            let world = World::of(&made).await;
            assert_eq!(as_set(guarded_read(&world.store).await.unwrap()), made.rows[&OLD]);
            assert_eq!(read_tags(&world).await, [""; 0], "{}", shape.name);
            world.faulty.operations()
        });
        for (index, after_effect) in (0..operations).flat_map(|index| [(index, false), (index, true)]) {
            block_on(async {
                let what = format!("{}, crash at {index}, after effect {after_effect}", shape.name);
                let world = World::of(&made).await;
                world.faulty.replan(FaultPlan::none().crash(index, after_effect));
                match guarded_read(&world.store).await {
                    // The tag went, or its deletion failed: the rows are whole all the same.
                    Ok(rows) => assert_eq!(as_set(rows), made.rows[&OLD], "{what}"),
                    Err(Error::Storage { .. }) => {}
                    Err(error) => panic!("{what}: {error}"),
                }
                left += read_tags(&world).await.len();
                world.faulty.revive();
                // Expiry meets the tag while it counts, and once more when its time is over.
                world.expire().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                world.check_sound(&made, &what).await;
                settle(&world, &made, &what).await;
            });
        }
    }
    assert!(left > 5, "{left} tags were left");
}

#[test]
fn a_guarded_read_beside_an_expiry_is_whole_or_told_that_its_snapshot_expired() {
    for shape in [SHAPES[0], SHAPES[2], SHAPES[5]] {
        let made = block_on(make(shape));
        let (reading, expiring) = block_on(async {
            let world = World::of(&made).await;
            guarded_read(&world.store).await.unwrap();
            let reading = world.faulty.operations();
            let world = World::of(&made).await;
            world.expire().await.unwrap();
            (reading, world.faulty.operations())
        });
        let (mut whole, mut gone) = (0, 0);
        let turns = (0..reading).map(|index| (index, true)).chain((0..expiring).map(|index| (index, false)));
        for (index, read_waits) in turns {
            block_on(async {
                let what = format!("{}, {index}, the read waits: {read_waits}", shape.name);
                let world = World::of(&made).await;
                let gate = Gate::default();
                world.faulty.replan(FaultPlan::none().at(index, Fault::Pause(gate.clone())));
                let (store, raw) = (world.store.clone(), world.raw.clone());
                let read = match read_waits {
                    true => {
                        let mut read = tokio::spawn(async move { guarded_read(&store).await });
                        tokio::select! {
                            () = gate.reached() => {
                                world.expire_raw().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                                gate.open();
                                read.await.unwrap()
                            }
                            read = &mut read => read.unwrap(),
                        }
                    }
                    false => {
                        let expire = tokio::spawn(async move {
                            Table::open_store(store).await?.maintain().expire_snapshots()?.run().await
                        });
                        gate.reached().await;
                        let read = guarded_read(&raw).await;
                        gate.open();
                        expire.await.unwrap().unwrap_or_else(|error| panic!("{what}: {error}"));
                        read
                    }
                };
                match read {
                    Ok(rows) => {
                        assert_eq!(as_set(rows), made.rows[&OLD], "{what}");
                        whole += 1;
                    }
                    Err(Error::NotFound(words)) => {
                        assert!(words.contains(&format!("snapshot {OLD}")) && words.contains("expired"), "{words}");
                        gone += 1;
                    }
                    Err(error) => panic!("{what}: {error}"),
                }
                assert_eq!(read_tags(&world).await, [""; 0], "{what}");
                settle(&world, &made, &what).await;
            });
        }
        assert!(whole > 5 && gone > 1, "{}: {whole} whole, {gone} gone", shape.name);
    }
}

/// Gives every tag of a table a time that is over.
async fn limit_tags(world: &World) {
    for name in tags(world).await {
        let path = layout::tag(&name).unwrap();
        let tag = Tag::decode(&world.raw.read(&path).await.unwrap(), &path).unwrap();
        let tag = Tag { create_time: Some([2023, 1, 1, 0, 0, 0, 0]), time_retained: Some((60, 0)), ..tag };
        world.raw.write(&path, tag.encode().unwrap()).await.unwrap();
    }
}

#[test]
fn tags_whose_time_is_over_go_whole_whenever_the_expiry_crashes() {
    let step = if number("FOREBAY_SEEDS", 0) > 0 { 1 } else { 3 };
    for (nth, shape) in SHAPES.into_iter().filter(|shape| !shape.tags.is_empty()).enumerate() {
        let made = block_on(make(shape));
        let operations = block_on(async {
            let world = World::of(&made).await;
            // Of some the snapshots have expired before, of others they do in the same run.
            world.expire_raw_at_most(2).await;
            limit_tags(&world).await;
            let dry = Table::open_store(world.raw.clone()).await.unwrap();
            let dry = dry.maintain().expire_snapshots().unwrap().dry_run().run().await.unwrap();
            let report = world.expire().await.unwrap();
            // A dry run does not tell of changelogs that would be left, and go in the same run.
            let told = if report.changelogs.is_empty() { report.files } else { dry.would_go.len() as u64 };
            assert_eq!((dry.tags, dry.would_go.len() as u64), (report.tags.clone(), told), "{}", shape.name);
            assert!(!report.tags.is_empty() && tags(&world).await.is_empty(), "{}: {report:?}", shape.name);
            world.check_exact(&made, shape.name).await;
            world.faulty.operations()
        });
        for index in (0..operations).filter(|index| *index as usize % step == nth % step) {
            for after_effect in [false, true] {
                block_on(async {
                    let what = format!("{}, crash at {index}, after effect {after_effect}", shape.name);
                    let world = World::of(&made).await;
                    world.expire_raw_at_most(2).await;
                    limit_tags(&world).await;
                    world.faulty.replan(FaultPlan::none().crash(index, after_effect));
                    drop(world.expire().await);
                    world.faulty.revive();
                    world.check_sound(&made, &what).await;
                    world.expire().await.unwrap_or_else(|error| panic!("{what}: {error}"));
                    assert!(tags(&world).await.is_empty(), "{what}");
                    world.check_exact(&made, &what).await;
                });
            }
        }
    }
}
