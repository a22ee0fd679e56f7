//! What a merge engine costs: the same rows are written, read merged and compacted by tables that differ in their
//! engine alone, in turns, and each stands as a ratio to deduplicate in the same round.

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use forebay::Table;
use serde_json::json;

use crate::args::Args;
use crate::data::{Expected, Keys, batches};
use crate::engine::{Engine, Place};
use crate::forebay::Forebay;
use crate::measure::{Outcome, Spent, Stopwatch, answer};
use crate::workloads::median;

const COMMITS: u64 = 10;
/// What is measured, in the order of the figures.
const STEPS: [&str; 3] = ["write", "merged read", "full compaction"];

/// A merge engine with its options.
struct Kind {
    name: &'static str,
    options: &'static [(&'static str, &'static str)],
    /// Rows of a first-row table show after a compaction only.
    shows_level_0: bool,
    sum: Sum,
}

/// Which rows of a key make up its `c_int`.
#[derive(Clone, Copy)]
enum Sum {
    Last,
    First,
    All,
}

const KINDS: [Kind; 5] = [
    Kind { name: "deduplicate", options: &[], shows_level_0: true, sum: Sum::Last },
    Kind { name: "first-row", options: &[("merge-engine", "first-row")], shows_level_0: false, sum: Sum::First },
    Kind {
        name: "partial-update",
        options: &[("merge-engine", "partial-update")],
        shows_level_0: true,
        sum: Sum::Last,
    },
    Kind {
        name: "partial-update, 2 sequence groups",
        options: &[
            ("merge-engine", "partial-update"),
            ("fields.c_ts.sequence-group", "c_int,c_long,c_double,c_dec,c_date"),
            ("fields.c_status.sequence-group", "c_city,c_name,c_note"),
        ],
        shows_level_0: true,
        sum: Sum::Last,
    },
    Kind {
        name: "aggregation",
        options: &[
            ("merge-engine", "aggregation"),
            ("fields.c_int.aggregate-function", "sum"),
            ("fields.c_long.aggregate-function", "max"),
            ("fields.c_double.aggregate-function", "sum"),
            ("fields.c_dec.aggregate-function", "sum"),
            ("fields.c_date.aggregate-function", "min"),
            ("fields.c_ts.aggregate-function", "last_value"),
            ("fields.c_city.aggregate-function", "listagg"),
            ("fields.c_name.aggregate-function", "last_value"),
        ],
        shows_level_0: true,
        sum: Sum::All,
    },
];

/// `--directory DIR [--rows N] [--rounds N]`: as W1 and W3, and the full compaction of W4.
pub async fn run(mut args: Args) -> Outcome<()> {
    let warehouse: String = args.require("directory")?;
    let rows: u64 = args.take_or("rows", 1_000_000)?;
    let rounds: usize = args.take_or("rounds", 3)?;
    args.finish()?;
    if rows == 0 || !rows.is_multiple_of(COMMITS) {
        return Err(format!("--rows is a multiple of {COMMITS}").into());
    }
    let keys = Keys { space: rows, zipf: false };
    let mut ratios: Vec<[Vec<f64>; 3]> = KINDS.iter().map(|_| Default::default()).collect();
    for round in 0..rounds {
        let mut spent: Vec<[Option<Spent>; 3]> = vec![[None; 3]; KINDS.len()];
        for turn in 0..KINDS.len() {
            let at = (turn + round) % KINDS.len();
            let place = Place { warehouse: warehouse.clone(), table: "engines".to_string() };
            spent[at] = measure(&KINDS[at], &place, rows, keys).await?;
            eprintln!("round {} {}: {:?}", round + 1, KINDS[at].name, spent[at].map(|it| it.map(|it| it.secs)));
        }
        for (at, ratios) in ratios.iter_mut().enumerate() {
            for step in 0..STEPS.len() {
                if let (Some(it), Some(base)) = (spent[at][step], spent[0][step]) {
                    ratios[step].push(it.secs / base.secs);
                }
            }
        }
    }
    println!("| to deduplicate | {} |\n|---|---|---|---|", STEPS.join(" | "));
    for (kind, ratios) in KINDS.iter().zip(ratios) {
        let medians = ratios.map(|ratios| if ratios.is_empty() { None } else { Some(median(ratios)) });
        let shown = medians.map(|it| it.map_or("".to_string(), |it| format!("{it:.2}")));
        println!("| {} | {} |", kind.name, shown.join(" | "));
        answer(&json!({"engine": kind.name, "ratios": medians}));
    }
    Ok(())
}

async fn measure(kind: &Kind, place: &Place, rows: u64, keys: Keys) -> Outcome<[Option<Spent>; 3]> {
    if place.directory().exists() {
        std::fs::remove_dir_all(place.directory())?;
    }
    let always = [("bucket", "1"), ("write-only", "true")];
    let options = always.iter().chain(kind.options).map(|(name, value)| (name.to_string(), value.to_string()));
    let table = Forebay::create(place, &options.collect::<Vec<_>>()).await?;
    let mut writer = table.writer().await?;
    let mut written = Spent::default();
    for commit in 0..COMMITS {
        let each = rows / COMMITS;
        let input = batches(commit * each, (commit + 1) * each, keys).collect::<Outcome<Vec<_>>>()?;
        let watch = Stopwatch::start();
        for rows in &input {
            table.write(&mut writer, rows).await?;
        }
        table.commit(&mut writer, commit as i64).await?;
        written += watch.spent();
    }
    let read = match kind.shows_level_0 {
        true => Some(scan(kind, place, rows, keys).await?),
        false => None,
    };
    let watch = Stopwatch::start();
    Table::open(&place.directory().to_string_lossy(), []).await?.compact().full().run().await?;
    let compacted = watch.spent();
    scan(kind, place, rows, keys).await?;
    Ok([Some(written), read, Some(compacted)])
}

/// The quickest of three reads of all columns, if each shows the rows that the generator wants.
async fn scan(kind: &Kind, place: &Place, rows: u64, keys: Keys) -> Outcome<Spent> {
    let wanted = (Expected::after(rows, keys).rows as usize, kind.sum.of(rows, keys));
    let mut best: Option<Spent> = None;
    for _ in 0..3 {
        let watch = Stopwatch::start();
        let table = Forebay::open(place).await?;
        let mut found = (0, 0_i64);
        let count = |batch: &RecordBatch| {
            let column = batch.column_by_name("c_int").ok_or("the rows have no column c_int")?;
            found.0 += batch.num_rows();
            found.1 += column.as_primitive::<Int32Type>().values().iter().map(|it| i64::from(*it)).sum::<i64>();
            Ok(())
        };
        table.scan(&[], count).await?;
        let spent = watch.spent();
        if found != wanted {
            return Err(format!("{}: {found:?} rows and sum(c_int) were read, {wanted:?} are there", kind.name).into());
        }
        best = Some(best.filter(|best| best.secs < spent.secs).unwrap_or(spent));
    }
    best.ok_or_else(|| "nothing was read".into())
}

impl Sum {
    fn of(self, rows: u64, keys: Keys) -> i64 {
        let of_row = |row: u64| i64::from(crate::data::c_int(row));
        let each = |rows: Vec<u64>| rows.into_iter().filter(|row| *row != Expected::NEVER).map(of_row).sum();
        match self {
            Self::Last => each(Expected::last_rows(rows, keys)),
            Self::All => (0..rows).map(of_row).sum(),
            Self::First => {
                let mut first = vec![Expected::NEVER; keys.space as usize];
                (0..rows).for_each(|row| first[keys.of(row) as usize] = first[keys.of(row) as usize].min(row));
                each(first)
            }
        }
    }
}
