//! W4t: what a full compaction costs where only some ranges of the keys were touched since the last one: with row groups
//! copied as they are, and with every row rewritten (`compaction.force-rewrite-all-files`), on tables of the same rows.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use forebay::Table;
use forebay::compact::CompactProgress;
use serde_json::json;

use crate::args::Args;
use crate::data::{Expected, Keys, batches, c_int};
use crate::engine::{Engine, Place};
use crate::forebay::Forebay;
use crate::measure::{Outcome, Spent, Stopwatch, answer};
use crate::workloads::median;

const COMMITS: u64 = 10;
const WAYS: [(&str, &str); 2] = [("copied", "false"), ("rewritten", "true")];

/// Every `bands`-th part of the key space is touched in its first tenth.
#[derive(Clone, Copy)]
struct Touched {
    keys: Keys,
    bands: u64,
}

impl Touched {
    fn holds(self, key: i64) -> bool {
        let width = (self.keys.space / self.bands).max(1);
        key.unsigned_abs() % width < width / 10
    }
}

/// `--directory DIR [--rows N] [--bands N] [--rounds N]`.
pub async fn run(mut args: Args) -> Outcome<()> {
    let warehouse: String = args.require("directory")?;
    let rows: u64 = args.take_or("rows", 2_000_000)?;
    let bands: u64 = args.take_or("bands", 4)?;
    let rounds: usize = args.take_or("rounds", 3)?;
    args.finish()?;
    let touched = Touched { keys: Keys { space: rows, zipf: false }, bands };
    let wanted = wanted(rows, touched);
    let (mut ratios, mut last) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut spent = [Spent::default(); WAYS.len()];
        last.clear();
        for turn in 0..WAYS.len() {
            let at = (turn + round) % WAYS.len();
            let place = Place { warehouse: warehouse.clone(), table: "touched".to_string() };
            let (took, copied, written) = measure(&place, rows, touched, WAYS[at].1).await?;
            spent[at] = took;
            let found = read(&place).await?;
            if found != wanted {
                return Err(format!("{}: {found:?} rows and sum(c_int), {wanted:?} are there", WAYS[at].0).into());
            }
            eprintln!("round {} {}: {:.2} s, {copied} of {written} rows copied", round + 1, WAYS[at].0, took.secs);
            last.push(
                json!({"way": WAYS[at].0, "secs": took.secs, "cpu": took.cpu, "copied": copied, "rows": written}),
            );
        }
        ratios.push(spent[1].secs / spent[0].secs);
    }
    println!("W4t {rows} rows, {bands} ranges, a tenth of the keys: {:.2} x faster than rewriting", median(ratios));
    last.iter().for_each(answer);
    Ok(())
}

async fn measure(place: &Place, rows: u64, touched: Touched, force: &str) -> Outcome<(Spent, u64, u64)> {
    if place.directory().exists() {
        std::fs::remove_dir_all(place.directory())?;
    }
    let options = [("bucket", "1"), ("write-only", "true"), ("compaction.force-rewrite-all-files", force)];
    let options = options.map(|(name, value)| (name.to_string(), value.to_string()));
    let table = Forebay::create(place, &options).await?;
    let mut writer = table.writer().await?;
    for commit in 0..COMMITS {
        let each = rows / COMMITS;
        for rows in batches(commit * each, (commit + 1) * each, touched.keys) {
            table.write(&mut writer, &rows?).await?;
        }
        table.commit(&mut writer, commit as i64).await?;
    }
    compact(place).await?;
    for rows in batches(rows, rows * 2, touched.keys) {
        let rows = rows?;
        let keys = rows.column_by_name("id").ok_or("the rows have no column id")?.as_primitive::<Int64Type>();
        let keep: BooleanArray = keys.values().iter().map(|key| Some(touched.holds(*key))).collect();
        table.write(&mut writer, &filter_record_batch(&rows, &keep)?).await?;
    }
    table.commit(&mut writer, COMMITS as i64).await?;
    compact(place).await
}

async fn compact(place: &Place) -> Outcome<(Spent, u64, u64)> {
    let progress = Arc::new(CompactProgress::default());
    let watch = Stopwatch::start();
    let table = Table::open(&place.directory().to_string_lossy(), []).await?;
    table.compact().full().progress(Arc::clone(&progress)).run().await?;
    Ok((watch.spent(), progress.copied_rows(), progress.rows()))
}

async fn read(place: &Place) -> Outcome<(u64, i64)> {
    let mut found = (0, 0);
    let count = |batch: &RecordBatch| {
        let column = batch.column_by_name("c_int").ok_or("the rows have no column c_int")?;
        found.0 += batch.num_rows() as u64;
        found.1 += column.as_primitive::<Int32Type>().values().iter().map(|it| i64::from(*it)).sum::<i64>();
        Ok(())
    };
    Forebay::open(place).await?.scan(&[], count).await?;
    Ok(found)
}

/// Rows and `sum(c_int)` that the generator wants.
fn wanted(rows: u64, touched: Touched) -> (u64, i64) {
    let mut last = Expected::last_rows(rows, touched.keys);
    for row in rows..rows * 2 {
        let key = touched.keys.of(row);
        if touched.holds(key) {
            last[key as usize] = row;
        }
    }
    let there = last.into_iter().filter(|row| *row != Expected::NEVER);
    there.fold((0, 0), |(count, sum), row| (count + 1, sum + i64::from(c_int(row))))
}
