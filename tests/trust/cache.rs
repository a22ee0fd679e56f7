//! A cache on disk is never believed: blocks are damaged, cut, swapped and deleted, and the store behind it fails, while
//! tables are written, read and expired through it. Rows are right or there is an error that is the store's.

use std::path::{Path, PathBuf};
use std::time::Duration;

use forebay::io::{BlockCache, CacheOptions, CachedKind, Fault, FaultPlan, TableStore};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Env, Error, Table};

use crate::support::{Random, as_set, block_on, commit_changes, each_seed, faulty_over, read_at};

fn blocks(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory.join("forebay-1")).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "block"));
    paths.sort();
    paths
}

/// What a crash, a bad disk or another program may do to a directory of blocks.
fn damage(random: &mut Random, directory: &Path) {
    let blocks = blocks(directory);
    for path in &blocks {
        // A read that failed may have left tasks behind that delete blocks and keep others; a cut one may be empty.
        let Some(bytes) = std::fs::read(path).ok().filter(|bytes| !bytes.is_empty() && random.chance(50)) else {
            continue;
        };
        match random.below(5) {
            0 => drop(std::fs::remove_file(path)),
            1 => std::fs::write(path, &bytes[..random.below(bytes.len() as u64) as usize]).unwrap(),
            2 => {
                let mut bytes = bytes;
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << random.below(8);
                std::fs::write(path, bytes).unwrap();
            }
            3 => std::fs::write(path, std::fs::read(random.pick(&blocks)).unwrap_or_default()).unwrap(),
            _ => drop(std::fs::rename(path, path.with_extension("7.part"))),
        }
    }
}

#[test]
fn rows_are_right_whatever_becomes_of_the_cache_and_the_store() {
    each_seed("rows_are_right_whatever_becomes_of_the_cache_and_the_store", 6, |seed| {
        block_on(async move {
            let mut random = Random(seed);
            let directory = tempfile::tempdir().unwrap();
            let options = || CacheOptions {
                block_bytes: [64, 512, 1 << 20][seed as usize % 3],
                kinds: CachedKind::ALL.to_vec(),
                ..CacheOptions::new(directory.path(), [20_000, 1 << 20][seed as usize % 2])
            };
            let plain = TableStore::memory(&Env::system());
            let (plain, faulty) = faulty_over(&plain, &Env::system(), FaultPlan::none());
            let schema = Schema::builder()
                .column("id", DataType::BIGINT)
                .column("v", DataType::STRING)
                .primary_key(["id"])
                .option("bucket", "1")
                .option("write-only", "true")
                .option("snapshot.time-retained", "1 ms");
            Table::create_store(plain.clone(), schema.build().unwrap()).await.unwrap();
            for round in 1..=6_i64 {
                // Each round is a process of its own.
                let cache = BlockCache::open(options()).unwrap();
                let store = plain.wrapped(|inner| cache.wrap(inner, "memory://trust", &Env::system()));
                let table = Table::open_store(store).await.unwrap();
                let changes: Vec<_> = (0..200)
                    .map(|id| (RowKind::Insert, vec![Datum::BigInt(id), Datum::String(format!("{round} {id}"))]))
                    .collect();
                commit_changes(&table, "w", round, &changes).await;
                let wanted = as_set(changes.iter().map(|(_, row)| row));
                for step in 0..8 {
                    if step % 2 == 1 {
                        let plan = FaultPlan::seeded(seed + step).chance(0.2, Fault::TornBody);
                        faulty.replan(plan.chance(0.1, Fault::FailBefore));
                    }
                    let table = Table::open_store(table.store().clone()).await;
                    let read = match table {
                        Ok(table) => read_at(&table, At::Latest).await,
                        Err(error) => Err(error),
                    };
                    match read {
                        Ok(rows) => assert_eq!(as_set(rows.iter()), wanted, "round {round}, step {step}"),
                        // A body that is torn looks like a file that is.
                        Err(Error::Storage { .. } | Error::Corrupt { .. }) if step % 2 == 1 => {}
                        Err(error) => panic!("round {round}, step {step}: {error}"),
                    }
                    faulty.revive();
                    damage(&mut random, directory.path());
                }
                if round % 2 == 0 {
                    table.compact().full().run().await.unwrap();
                    let expire = table.maintain().expire_snapshots().unwrap().retain_min(1).retain_max(1);
                    assert_eq!(expire.older_than(Duration::ZERO).run().await.unwrap().failed, 0);
                }
            }
        });
    });
}
