//! What an engine must do to be measured, and the workloads over it.
//!
//! Shared with `peers/rust`: Forebay and the `paimon` crate run the very same loops, and differ in an adapter only. The
//! clock runs from the creation of a writer to the return of its commit, and from opening a table to its last row;
//! making input is outside. Each verb answers with lines of JSON (see `rounds`).

use std::collections::HashSet;
use std::path::PathBuf;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use serde_json::json;

use crate::args::Args;
use crate::data::{Keys, batches};
use crate::measure::{Outcome, Spent, Stopwatch, answer, peak_mib};

/// Where a table is: `<warehouse>/b.db/<table>`.
pub struct Place {
    /// An absolute directory.
    pub warehouse: String,
    /// Name within the database `b`.
    pub table: String,
}

impl Place {
    /// Where the arguments say it is.
    pub fn of(args: &mut Args) -> Outcome<Self> {
        Ok(Self { warehouse: args.require("warehouse")?, table: args.require("table")? })
    }

    /// The table's directory.
    pub fn directory(&self) -> PathBuf {
        PathBuf::from(&self.warehouse).join("b.db").join(&self.table)
    }
}

/// What a plan holds.
pub struct PlanSize {
    /// Units of reading.
    pub splits: usize,
    /// Data files in them.
    pub files: usize,
}

/// A table, opened by the engine to be measured.
pub trait Engine: Sized {
    /// Rows in, commits out; one for a whole run if the engine allows that.
    type Writer;
    /// Reads what each commit brought.
    type Follower;

    /// Creates the bench's table with some options.
    async fn create(place: &Place, options: &[(String, String)]) -> Outcome<Self>;
    /// A handle that knows nothing yet.
    async fn open(place: &Place) -> Outcome<Self>;
    /// Begins writing.
    async fn writer(&self) -> Outcome<Self::Writer>;
    /// Upserts rows.
    async fn write(&self, writer: &mut Self::Writer, rows: &RecordBatch) -> Outcome<()>;
    /// Makes what was written visible.
    async fn commit(&self, writer: &mut Self::Writer, identifier: i64) -> Outcome<()>;
    /// Plans a read of the whole table.
    async fn plan(&self) -> Outcome<PlanSize>;
    /// Reads the newest rows; no columns means all.
    async fn scan(&self, columns: &[String], each: impl FnMut(&RecordBatch) -> Outcome<()>) -> Outcome<()>;
    /// Follows the commits after this call.
    async fn follow(&self) -> Outcome<Self::Follower>;
    /// Looks once for a new commit, and gives the number of rows read.
    async fn poll(&self, follower: &mut Self::Follower) -> Outcome<usize>;
}

/// Runs one verb, if it is an engine's.
pub async fn run<E: Engine>(verb: &str, args: Args) -> Outcome<()> {
    match verb {
        "write" => write::<E>(args).await,
        "scan" => scan::<E>(args).await,
        "plan" => plan::<E>(args).await,
        "latency" => latency::<E>(args).await,
        _ => Err(format!("{verb:?} is not a verb of an engine").into()),
    }
}

/// `--options k=v,k=v` on top of what every table of the bench has.
fn table_options(args: &mut Args) -> Outcome<Vec<(String, String)>> {
    let always = ["file.format=parquet", "file.compression=zstd", "write-only=true"].map(str::to_string);
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("--options: {text:?} has no ="))?;
        Ok((name.to_string(), value.to_string()))
    };
    let mut options = always.iter().map(pair).collect::<Outcome<Vec<_>>>()?;
    options.push(("bucket".into(), args.take_or("buckets", 1u32)?.to_string()));
    for text in args.list("options")? {
        options.push(pair(&text)?);
    }
    Ok(options)
}

async fn fresh<E: Engine>(place: &Place, options: &[(String, String)]) -> Outcome<E> {
    match std::fs::remove_dir_all(place.directory()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => E::create(place, options).await,
    }
}

/// W1, W1b, W2: `--rows N --commits N [--keys N] [--zipf] [--buckets N]`.
async fn write<E: Engine>(mut args: Args) -> Outcome<()> {
    let place = Place::of(&mut args)?;
    let rows: u64 = args.require("rows")?;
    let commits: u64 = args.require("commits")?;
    let keys = Keys { space: args.take_or("keys", rows)?, zipf: args.flag("zipf")? };
    let options = table_options(&mut args)?;
    args.finish()?;
    if !rows.is_multiple_of(commits) {
        return Err(format!("--rows {rows} is not a multiple of --commits {commits}").into());
    }
    let each = rows / commits;
    let table = fresh::<E>(&place, &options).await?;
    let watch = Stopwatch::start();
    let mut writer = table.writer().await?;
    let mut spent = watch.spent();
    let mut seconds = Vec::new();
    for commit in 0..commits {
        let input = batches(commit * each, (commit + 1) * each, keys).collect::<Outcome<Vec<_>>>()?;
        let watch = Stopwatch::start();
        for rows in &input {
            table.write(&mut writer, rows).await?;
        }
        table.commit(&mut writer, commit as i64).await?;
        let this = watch.spent();
        seconds.push(this.secs);
        spent += this;
    }
    let Spent { secs, cpu } = spent;
    let line = json!({"rows": rows, "secs": secs, "cpu": cpu, "commits": seconds, "peak_mib": peak_mib("self")});
    answer(&line);
    Ok(())
}

/// W3, W3p, W9: `[--columns a,b] [--sum c_long] [--reps N]`. The sum is the gate, and a reason to touch the rows.
async fn scan<E: Engine>(mut args: Args) -> Outcome<()> {
    let place = Place::of(&mut args)?;
    let columns = args.list("columns")?;
    let summed = args.take_or("sum", "c_long".to_string())?;
    let reps = args.take_or("reps", 3u32)?;
    args.finish()?;
    for _ in 0..reps {
        let watch = Stopwatch::start();
        let table = E::open(&place).await?;
        let (mut rows, mut sum) = (0, 0);
        let count = |batch: &RecordBatch| {
            rows += batch.num_rows();
            sum += sum_of(batch, &summed)?;
            Ok(())
        };
        table.scan(&columns, count).await?;
        let Spent { secs, cpu } = watch.spent();
        let sum = sum.to_string();
        answer(&json!({"rows": rows, "sum": sum, "secs": secs, "cpu": cpu, "peak_mib": peak_mib("self")}));
    }
    Ok(())
}

fn sum_of(batch: &RecordBatch, name: &str) -> Outcome<i128> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("the rows have no column {name}"))?;
    if column.null_count() > 0 {
        return Err(format!("{name} holds NULL, which no row of the bench has").into());
    }
    match column.data_type() {
        DataType::Int64 => Ok(column.as_primitive::<Int64Type>().values().iter().map(|value| i128::from(*value)).sum()),
        DataType::Int32 => Ok(column.as_primitive::<Int32Type>().values().iter().map(|value| i128::from(*value)).sum()),
        other => Err(format!("{name} is {other}, and only integers are summed").into()),
    }
}

/// W8: time to plan with a fresh handle, and again with the same one.
async fn plan<E: Engine>(mut args: Args) -> Outcome<()> {
    let place = Place::of(&mut args)?;
    let reps = args.take_or("reps", 5u32)?;
    args.finish()?;
    for _ in 0..reps {
        let watch = Stopwatch::start();
        let table = E::open(&place).await?;
        let size = table.plan().await?;
        let cold = watch.spent();
        let watch = Stopwatch::start();
        table.plan().await?;
        let again = watch.spent();
        let (splits, files) = (size.splits, size.files);
        answer(
            &json!({"splits": splits, "files": files, "secs": cold.secs, "cpu": cold.cpu, "again_secs": again.secs}),
        );
    }
    Ok(())
}

/// W7: small commits by one writer, and a reader in the same process that polls until it has the rows.
async fn latency<E: Engine>(mut args: Args) -> Outcome<()> {
    let place = Place::of(&mut args)?;
    let rows: u64 = args.take_or("rows", 1000)?;
    let commits: u64 = args.require("commits")?;
    let options = table_options(&mut args)?;
    args.finish()?;
    let keys = Keys { space: rows * commits, zipf: false };
    let table = fresh::<E>(&place, &options).await?;
    let mut writer = table.writer().await?;
    let mut follower = table.follow().await?;
    let (mut commit_ms, mut visible_ms) = (Vec::new(), Vec::new());
    for commit in 0..commits {
        let range = commit * rows..(commit + 1) * rows;
        let wanted = range.clone().map(|row| keys.of(row)).collect::<HashSet<_>>().len();
        let input = batches(range.start, range.end, keys).collect::<Outcome<Vec<_>>>()?;
        let watch = Stopwatch::start();
        for rows in &input {
            table.write(&mut writer, rows).await?;
        }
        table.commit(&mut writer, commit as i64).await?;
        commit_ms.push(watch.spent().secs * 1e3);
        let watch = Stopwatch::start();
        let mut seen = 0;
        while seen < wanted {
            seen += table.poll(&mut follower).await?;
        }
        visible_ms.push(watch.spent().secs * 1e3);
        if seen != wanted {
            return Err(format!("commit {commit} showed {seen} rows instead of {wanted}").into());
        }
    }
    answer(&json!({"rows": rows, "commit_ms": commit_ms, "visible_ms": visible_ms}));
    Ok(())
}
