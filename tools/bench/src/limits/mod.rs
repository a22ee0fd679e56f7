//! The floor: what the unavoidable steps of each workload cost on the same rows, in the same run, with plain calls of
//! arrow and parquet on one thread.
//!
//! A figure of an engine means little without it, because machines differ and are shared. The floor leaves out what an
//! engine may find a way around (routing, copying, system columns, commits), so no engine reaches it by itself; a
//! better encoder than today's would move it. The answer is one line of JSON: nanoseconds per row of each step, the
//! floors in rows per second and milliseconds, and how much two threads bring where each does the whole job.

mod flush;
mod machine;
mod manifests;
mod merge;

use std::hint::black_box;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::data::{Keys, batch};
use crate::measure::{Outcome, Stopwatch, answer};
use flush::Flush;
use merge::Runs;

/// Timed steps: name and nanoseconds per row.
struct Steps {
    reps: usize,
    nanos: Map<String, Value>,
}

impl Steps {
    /// Times a step, and gives the median of seconds together with its last result.
    fn time<T>(&mut self, name: &str, rows: usize, mut step: impl FnMut() -> Outcome<T>) -> Outcome<(f64, T)> {
        let mut seconds = Vec::with_capacity(self.reps);
        let mut result = None;
        for _ in 0..self.reps.max(1) {
            drop(result.take());
            let watch = Stopwatch::start();
            result = Some(black_box(step()?));
            seconds.push(watch.spent().secs);
        }
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        self.nanos.insert(name.to_string(), json!(rounded(median * 1e9 / rows as f64, 10.0)));
        Ok((median, result.ok_or("a step runs at least once")?))
    }
}

fn rounded(value: f64, places: f64) -> f64 {
    (value * places).round() / places
}

/// Runs a job on two threads at once, and says how much faster that is than twice on one.
fn two_cores(alone: f64, reps: usize, job: impl Fn() -> Outcome<()> + Sync) -> Outcome<f64> {
    let mut seconds = Vec::with_capacity(reps);
    for _ in 0..reps.max(1) {
        let watch = Stopwatch::start();
        std::thread::scope(|scope| {
            let threads = [scope.spawn(&job), scope.spawn(&job)];
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread of the floor died")?)
        })?;
        seconds.push(watch.spent().secs);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(2.0 * alone / seconds[seconds.len() / 2])
}

/// `--rows` of one flush, `--runs` of a merge, `--keys`, `--zipf-keys`, `--reps`, `--directory` for the disk, and
/// `--manifests` with the directory of a table whose plan is W8.
pub fn run(mut args: Args) -> Outcome<()> {
    let rows: u64 = args.take_or("rows", 500_000)?;
    let runs: u64 = args.take_or("runs", 10)?;
    let keys = Keys { space: args.take_or("keys", rows * runs)?, zipf: false };
    let skewed = Keys { space: args.take_or("zipf-keys", rows * 2)?, zipf: true };
    let reps = args.take_or("reps", 3)?;
    let directory: PathBuf = args.require("directory")?;
    let manifests: Option<PathBuf> = args.take("manifests")?;
    args.finish()?;

    let mut steps = Steps { reps, nanos: Map::new() };
    let mut floors = Map::new();
    let mut floor = |name: &str, value: f64| floors.insert(name.to_string(), json!(rounded(value, 100.0)));

    let input = batch(0, rows, keys)?;
    let flush = Flush::time(&mut steps, "", &input)?;
    floor("W1", rows as f64 / flush.seconds);
    floor("W1 tuned", rows as f64 / flush.tuned_seconds);
    let write_scaling = two_cores(flush.seconds, reps, || flush::whole(&input))?;
    drop(input);
    let skewed = Flush::time(&mut steps, "zipf ", &batch(0, rows, skewed)?)?;
    floor("W2", rows as f64 / skewed.seconds);

    let merge = Runs::make(runs, rows, keys)?;
    let times = merge.time(&mut steps)?;
    floor("W3", times.rows_out / times.all);
    floor("W3p", times.rows_out / times.projected);
    floor("W9", 1.0 / times.decode_per_row);
    let read_scaling = two_cores(times.all, 1, || merge.whole())?;
    drop(merge);

    let machine = machine::time(&mut steps, &directory)?;
    floor("W7", machine.commit_ms);
    if let Some(table) = manifests {
        floor("W8", manifests::time(&mut steps, &table)?);
    }
    answer(&json!({
        "floors": floors,
        "write_scaling": rounded(write_scaling, 100.0),
        "read_scaling": rounded(read_scaling, 100.0),
        "bytes_per_row": rounded(flush.bytes_per_row, 10.0),
        "steps": steps.nanos,
        "machine": machine.facts,
    }));
    Ok(())
}
