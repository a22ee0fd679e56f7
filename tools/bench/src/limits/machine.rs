//! What memory and disk allow, and the floor of a small commit.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::flush::{encode, everywhere, sorted_run};
use super::{Steps, rounded};
use crate::data::{Keys, batch};
use crate::measure::{Outcome, Stopwatch};

/// Bytes copied and written to tell speeds.
const BLOCK: usize = 128 << 20;
/// A small file of metadata.
const SMALL: usize = 4096;
/// Rows of a small commit, and the files it cannot do without: a data file, two manifest lists, a manifest, a snapshot,
/// and the hint of the newest snapshot.
const COMMIT_ROWS: u64 = 1000;
const COMMIT_FILES: usize = 6;

pub(super) struct Machine {
    /// Sort, gather and encode 1000 rows, and publish six small files without fsync.
    pub commit_ms: f64,
    /// Speeds, for people.
    pub facts: Value,
}

pub(super) fn time(steps: &mut Steps, directory: &Path) -> Outcome<Machine> {
    fs::create_dir_all(directory)?;
    let source = vec![1u8; BLOCK];
    let mut target = vec![0u8; BLOCK];
    let (copy, ()) = steps.time("memcpy of a byte", BLOCK, || {
        target.copy_from_slice(&source);
        Ok(())
    })?;
    let file = directory.join("limits.tmp");
    let published = directory.join("limits.published");
    let (write, ()) = steps.time("write and fsync of a byte", BLOCK, || {
        let mut file = File::create(&file)?;
        file.write_all(&source)?;
        Ok(file.sync_all()?)
    })?;
    let publish = || -> Outcome<()> {
        fs::write(&file, &source[..SMALL])?;
        Ok(fs::rename(&file, &published)?)
    };
    let synced = || -> Outcome<()> {
        let mut file = File::create(&file)?;
        file.write_all(&source[..SMALL])?;
        Ok(file.sync_all()?)
    };
    let (publish_ms, synced_ms) = (median_ms(publish)?, median_ms(synced)?);
    fs::remove_file(&published)?;
    fs::remove_file(&file)?;
    let rows = batch(0, COMMIT_ROWS, Keys { space: COMMIT_ROWS * 100, zipf: false })?;
    let flush_ms = median_ms(|| encode(&sorted_run(&rows)?, everywhere()).map(drop))?;
    let mib = BLOCK as f64 / f64::from(1 << 20);
    let facts = json!({
        "memcpy_mib_per_s": rounded(mib / copy, 1.0),
        "write_and_fsync_mib_per_s": rounded(mib / write, 1.0),
        "small_file_and_rename_ms": rounded(publish_ms, 1000.0),
        "small_file_and_fsync_ms": rounded(synced_ms, 1000.0),
        "flush_of_1000_rows_ms": rounded(flush_ms, 1000.0),
    });
    Ok(Machine { commit_ms: flush_ms + COMMIT_FILES as f64 * publish_ms, facts })
}

fn median_ms(mut step: impl FnMut() -> Outcome<()>) -> Outcome<f64> {
    let mut times = Vec::new();
    for _ in 0..21 {
        let watch = Stopwatch::start();
        step()?;
        times.push(watch.spent().secs * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}
