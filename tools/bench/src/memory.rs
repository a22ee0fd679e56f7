//! Promise: the peak memory of a writer, and of a read and a compaction of a thousand runs, stays within its budget and
//! 64 MiB, with a changelog or without.
//!
//! The rows go through the command line as a user's would: an Arrow stream into `forebay write --memory`, made as it is
//! read, so that neither side holds it. The peak is the kernel's high-water mark of that process.

use std::io::BufWriter;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arrow_ipc::writer::StreamWriter;
use serde_json::json;

use crate::args::Args;
use crate::data::{Expected, Keys, batches, schema};
use crate::measure::{Outcome, Stopwatch, answer, peak_mib};

/// What a process may take beside its budget.
const BESIDE_MIB: f64 = 64.0;
/// The bench's columns in the words of `forebay create`.
const COLUMNS: [&str; 11] = [
    "id BIGINT NOT NULL",
    "c_int INT",
    "c_long BIGINT",
    "c_double DOUBLE",
    "c_dec DECIMAL(12, 2)",
    "c_date DATE",
    "c_ts TIMESTAMP(6)",
    "c_status STRING",
    "c_city STRING",
    "c_name STRING",
    "c_note STRING",
];

/// `--rows N --memory 256mb --forebay PROGRAM --directory DIR [--commit-every N] [--buckets N] [--runs N] [--producer
/// none|input|lookup|full-compaction]`. With runs, the rows come in so many commits that nobody compacts, and a read and the
/// full compaction of all of them are measured.
pub fn run(mut args: Args) -> Outcome<()> {
    let rows: u64 = args.take_or("rows", 5_000_000)?;
    let memory: String = args.take_or("memory", "256mb".into())?;
    let forebay: String = args.require("forebay")?;
    let directory: PathBuf = args.require("directory")?;
    let runs: u64 = args.take_or("runs", 0)?;
    let each: u64 = args.take_or("commit-every", rows.div_ceil(runs.max(1)))?;
    let buckets: u32 = args.take_or("buckets", 1)?;
    let producer: String = args.take_or("producer", "none".into())?;
    args.finish()?;
    let budget = mebibytes(&memory)?;
    let keys = Keys { space: rows, zipf: false };
    let table = directory.join("memory");
    if table.exists() {
        std::fs::remove_dir_all(&table)?;
    }
    let table = table.to_string_lossy().into_owned();

    let mut create = Command::new(&forebay);
    create.args(["create", &table, "--primary-key", "id", "-o", &format!("bucket={buckets}")]);
    create.args(["-o", &format!("changelog-producer={producer}")]);
    if runs > 0 {
        create.args(["-o", "write-only=true"]);
    }
    create.args(COLUMNS.iter().flat_map(|column| ["--column", column]));
    succeed(create.spawn()?, "create")?;

    let watch = Stopwatch::start();
    let mut write = Command::new(&forebay);
    write.args(["write", &table, "--format", "arrow", "--memory", &memory, "--commit-every", &each.to_string()]);
    let peak = peak_while_writing(write.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?, rows, keys)?;
    let secs = watch.spent().secs;
    let expected = Expected::after(rows, keys).rows;
    let read = if runs > 0 { Some(read(&forebay, &table, &memory)?) } else { None };
    let compacted = if runs > 0 { Some(compact(&forebay, &table, &memory)?) } else { None };

    let found = count(&forebay, &table)?;
    let limit = budget + BESIDE_MIB;
    if let Some((peak, secs, rows)) = read {
        answer(&json!({"runs": runs, "read_peak_mib": peak, "read_secs": secs, "rows_read": rows, "limit_mib": limit}));
        if rows != expected {
            return Err(format!("the gate wants {expected} rows of many runs, and {rows} were read").into());
        }
    }
    if let Some((peak, secs)) = compacted {
        answer(&json!({"runs": runs, "compact_peak_mib": peak, "compact_secs": secs, "limit_mib": limit}));
    }
    let peak = compacted.map_or(peak, |(compacting, _)| peak.max(compacting));
    let peak = read.map_or(peak, |(reading, ..)| peak.max(reading));
    answer(&json!({
        "rows": rows, "producer": producer, "memory_mib": budget, "peak_mib": peak, "limit_mib": limit, "secs": secs,
        "rows_found": found, "rows_expected": expected,
    }));
    if found != expected {
        return Err(format!("the gate wants {expected} rows, and {found} were read").into());
    }
    if peak == 0.0 {
        return Err("the system does not tell a process's memory in /proc".into());
    }
    if peak > limit {
        return Err(format!("the peak of {peak:.0} MiB is above {limit:.0} MiB").into());
    }
    Ok(())
}

/// Feeds the rows, and watches the reader's memory until it ends.
fn peak_while_writing(mut child: Child, rows: u64, keys: Keys) -> Outcome<f64> {
    let input = child.stdin.take().ok_or("the child has no input")?;
    peak_while(&child.id().to_string(), || {
        let mut stream = StreamWriter::try_new(BufWriter::new(input), &schema())?;
        for batch in batches(0, rows, keys) {
            stream.write(&batch?)?;
        }
        stream.finish()?;
        drop(stream);
        succeed(child, "write")
    })
}

/// A full compaction: the peak of its process and the seconds it took.
fn compact(forebay: &str, table: &str, memory: &str) -> Outcome<(f64, f64)> {
    let watch = Stopwatch::start();
    let child = Command::new(forebay).args(["compact", table, "--full", "--memory", memory]).spawn()?;
    let peak = peak_while(&child.id().to_string(), || succeed(child, "compact"))?;
    Ok((peak, watch.spent().secs))
}

/// A read of all columns: the peak of its process, the seconds it took and its rows.
fn read(forebay: &str, table: &str, memory: &str) -> Outcome<(f64, f64, u64)> {
    let watch = Stopwatch::start();
    let mut read = Command::new(forebay);
    read.args(["read", table, "--memory", memory, "--output", "arrow"]).stdout(Stdio::piped());
    let child = read.spawn()?;
    let mut rows = 0;
    let peak = peak_while(&child.id().to_string(), || {
        rows = count_rows(child)?;
        Ok(())
    })?;
    Ok((peak, watch.spent().secs, rows))
}

/// The peak memory of a process, in MiB, while some work is done with it.
fn peak_while(process: &str, work: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let done = AtomicBool::new(false);
    let (worked, peak) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut peak = 0f64;
            while !done.load(Ordering::Relaxed) {
                peak = peak.max(peak_mib(process));
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        let worked = work();
        done.store(true, Ordering::Relaxed);
        (worked, watcher.join())
    });
    worked?;
    peak.map_err(|_| "the watcher died".into())
}

fn succeed(mut child: Child, verb: &str) -> Outcome<()> {
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("forebay {verb}: {status}").into()) }
}

/// Rows of the table as the command line reads them.
fn count(forebay: &str, table: &str) -> Outcome<u64> {
    let mut read = Command::new(forebay);
    read.args(["read", table, "--select", "id", "--output", "arrow"]).stdout(Stdio::piped());
    count_rows(read.spawn()?)
}

/// Rows that a process writes as Arrow.
fn count_rows(mut child: Child) -> Outcome<u64> {
    let output = child.stdout.take().ok_or("the child has no output")?;
    let mut rows = 0;
    for batch in arrow_ipc::reader::StreamReader::try_new(std::io::BufReader::new(output), None)? {
        rows += batch?.num_rows() as u64;
    }
    succeed(child, "read")?;
    Ok(rows)
}

/// `256mb`, `1gb`: the sizes this bench is asked for.
fn mebibytes(text: &str) -> Outcome<f64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let times = match lower[digits.len()..].trim() {
        "mb" | "mib" => 1.0,
        "gb" | "gib" => 1024.0,
        other => return Err(format!("--memory {text:?}: {other:?} is not mb or gb").into()),
    };
    Ok(digits.parse::<f64>()? * times)
}
