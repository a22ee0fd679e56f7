//! How long a commit takes beside a running compaction: the same commits with none, with the writer's own in the
//! background, and with a compactor in a process of its own (`forebay compact --watch`).
//!
//! A commit is timed from `prepare_commit` to the published snapshot; what a write waits for (back-pressure, flushes)
//! stands beside it. The ways take turns, and percentiles are over the commits of all rounds.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use forebay::Table;
use serde_json::json;

use crate::args::Args;
use crate::data::{Expected, Keys, batches};
use crate::engine::{Engine, Place};
use crate::forebay::Forebay;
use crate::measure::{Outcome, Stopwatch, answer};

const WAYS: [&str; 3] = ["no compaction", "the writer's own", "a compactor beside it"];

/// Milliseconds of one way.
#[derive(Default)]
struct Times {
    writes: Vec<f64>,
    commits: Vec<f64>,
}

/// `--directory DIR --forebay PROGRAM [--commits N] [--rows N] [--keys N] [--buckets N] [--every-ms N] [--rounds N]`.
pub async fn run(mut args: Args) -> Outcome<()> {
    let warehouse: String = args.require("directory")?;
    let forebay: String = args.require("forebay")?;
    let commits: u64 = args.take_or("commits", 100)?;
    let rows: u64 = args.take_or("rows", 20_000)?;
    let keys = Keys { space: args.take_or("keys", 1_000_000)?, zipf: false };
    let buckets: u64 = args.take_or("buckets", 1)?;
    let every = Duration::from_millis(args.take_or("every-ms", 500)?);
    let rounds: usize = args.take_or("rounds", 3)?;
    args.finish()?;
    let mut times: [Times; WAYS.len()] = Default::default();
    for round in 0..rounds {
        for turn in 0..WAYS.len() {
            let at = (turn + round) % WAYS.len();
            let place = Place { warehouse: warehouse.clone(), table: "commits".to_string() };
            if place.directory().exists() {
                std::fs::remove_dir_all(place.directory())?;
            }
            let own = WAYS[at] == WAYS[1];
            let options = [("bucket", buckets.to_string()), ("write-only", (!own).to_string())];
            let table = Forebay::create(&place, &options.map(|(name, value)| (name.to_string(), value))).await?;
            let compactor = (at == 2).then(|| Compactor::start(&forebay, &place)).transpose()?;
            let before = times[at].commits.len();
            stream(&table, commits, rows, keys, every, &mut times[at]).await?;
            drop(compactor);
            gate(&place, commits * rows, keys).await?;
            let of = |share| percentile(times[at].commits[before..].to_vec(), share);
            eprintln!("round {} {}: p50 {:.1} ms, p99 {:.1} ms", round + 1, WAYS[at], of(500), of(990));
        }
    }
    println!("| | commit p50 | p99 | p99 to that without | write p99 |\n|---|---|---|---|---|");
    let alone = percentile(times[0].commits.clone(), 990);
    for (way, times) in WAYS.iter().zip(times) {
        let of = |share| percentile(times.commits.clone(), share);
        let (p50, p99, writes) = (of(500), of(990), percentile(times.writes.clone(), 990));
        println!("| {way} | {p50:.1} ms | {p99:.1} ms | {:.2} | {writes:.1} ms |", p99 / alone);
        answer(&json!({"way": way, "p50_ms": p50, "p99_ms": p99, "write_p99_ms": writes, "most_ms": of(1000)}));
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a bench measures the real clock")]
async fn stream(
    table: &Forebay,
    commits: u64,
    rows: u64,
    keys: Keys,
    every: Duration,
    times: &mut Times,
) -> Outcome<()> {
    let mut writer = table.writer().await?;
    for commit in 0..commits {
        let input = batches(commit * rows, (commit + 1) * rows, keys).collect::<Outcome<Vec<_>>>()?;
        let watch = Stopwatch::start();
        for rows in &input {
            table.write(&mut writer, rows).await?;
        }
        let written = watch.spent().secs * 1e3;
        table.commit(&mut writer, commit as i64).await?;
        let all = watch.spent().secs * 1e3;
        times.writes.push(written);
        times.commits.push(all - written);
        tokio::time::sleep(every.saturating_sub(Duration::from_secs_f64(all / 1e3))).await;
    }
    Ok(())
}

/// The table must hold what the generator wants, whoever compacted it.
async fn gate(place: &Place, rows: u64, keys: Keys) -> Outcome<()> {
    let mut read = Table::open(&place.directory().to_string_lossy(), []).await?.scan().select(["id"]).read().await?;
    let mut found = 0;
    while let Some(batch) = read.next_batch().await? {
        found += batch.num_rows() as u64;
    }
    let wanted = Expected::after(rows, keys).rows;
    if found == wanted { Ok(()) } else { Err(format!("{found} rows were read, {wanted} are there").into()) }
}

fn percentile(mut values: Vec<f64>, per_mille: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((values.len() * per_mille / 1000).min(last)).copied().unwrap_or(f64::NAN)
}

/// A running `forebay compact --watch`, ended with this value.
struct Compactor(Child);

impl Compactor {
    fn start(forebay: &str, place: &Place) -> Outcome<Self> {
        let mut command = Command::new(forebay);
        command.arg("compact").arg(place.directory()).args(["--watch", "--interval", "200ms"]);
        Ok(Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?))
    }
}

impl Drop for Compactor {
    fn drop(&mut self) {
        // It may have ended by itself, which the gate and the figures show.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
