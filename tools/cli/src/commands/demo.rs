//! `forebay demo`: the main job in one command, on a table made on the spot.
//!
//! A feed of TPC-H orders, as inserts, then updates and deletes, goes through the writer in several commits. The demo
//! keeps its own account of what must be in the table, in a plain map that shares nothing with the engine, and compares
//! it with a merged read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int64Type};
use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, Int8Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use forebay::commit::CommitProperties;
use forebay::inspect;
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::stream::Start;
use forebay::types::{DataType, RowKind, external_schema};
use forebay::write::ChangeBatch;
use forebay::{Env, Table};
use futures::StreamExt as _;
use tpchgen::distribution::Distributions;
use tpchgen::generators::{Order, OrderGenerator};
use tpchgen::text::TextPool;

use crate::cli::{Common, Demo};
use crate::failure::{Failure, Result};
use crate::output::{self, count};
use crate::values::json_out::JsonRows;

/// Rows handed to the writer at once.
const BATCH_ROWS: usize = 32 << 10;
/// Commits of the first load, and of updates and deletes after it.
const LOADS: i32 = 3;
const UPDATES: i32 = 2;
/// Bytes of comments that the generator cuts its texts from: the official 300 MB take seconds to make.
const TEXT_BYTES: i32 = 4 << 20;
/// Changes of the last commit that are shown.
const SHOWN: usize = 4;

/// Runs the demo.
pub async fn run(args: Demo, common: &Common) -> Result<()> {
    if !(args.scale > 0.0 && args.scale <= 1000.0) {
        return Err(Failure::usage("--scale must lie above 0 and be at most 1000"));
    }
    let location = place(args.dir.as_deref())?;
    let table = Table::create(&location, orders_schema(args.buckets)?, common.options()).await?;
    say(&format!(
        "A table of TPC-H orders at {location}: primary key o_orderkey, {} buckets, changelog-producer input.\n",
        args.buckets
    ))?;

    let mut feed = Feed::default();
    let mut total = Total::default();
    let (snapshot, wrote) = pour(&table, args.scale, &mut feed, &mut total).await?;
    say(&format!(
        "{:<32}{:>12} rows{:>9.2} s{:>14} rows/s\n",
        "all of it",
        count(total.rows),
        total.seconds,
        rate(total)
    ))?;
    check(&table, &feed).await?;
    last_changes(&table, snapshot, wrote).await?;
    say("\nThe levels of each bucket (forebay inspect draws them):\n")?;
    let picture = inspect::picture(table.history(), &At::Latest).await?;
    say(&format!("{}\n", output::clean_lines(picture.trim_end())))?;
    say(&format!(
        "\nTry next, on {location}:\n\
         \x20 forebay read {location} --where 'o_totalprice > 500000' --limit 5\n\
         \x20 forebay read {location} --at 1 --limit 5\n\
         \x20 forebay changes {location} --from {snapshot} | head -3\n\
         \x20 forebay inspect {location} files\n\
         and open the very same directory with Java Paimon, Flink, Spark or pypaimon.\n"
    ))
}

/// The directory of the table: a new temporary one, or one in which nothing is lost.
fn place(dir: Option<&Path>) -> Result<String> {
    let place = match dir {
        Some(dir) => {
            let taken = std::fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
            if taken || dir.is_file() {
                return Err(Failure::new("already-exists", format!("{} is not empty", dir.display()))
                    .help("name a new directory"));
            }
            std::path::absolute(dir)?
        }
        None => tempfile::Builder::new().prefix("forebay-demo-").tempdir()?.keep().join("orders"),
    };
    let utf8 = |place: PathBuf| place.into_os_string().into_string();
    utf8(place).map_err(|_| Failure::usage("the directory's name is not UTF-8"))
}

fn orders_columns() -> [(&'static str, DataType); 9] {
    [
        ("o_orderkey", DataType::BIGINT.not_null()),
        ("o_custkey", DataType::BIGINT.not_null()),
        ("o_orderstatus", DataType::STRING.not_null()),
        ("o_totalprice", DataType::decimal(15, 2).not_null()),
        ("o_orderdate", DataType::DATE.not_null()),
        ("o_orderpriority", DataType::STRING.not_null()),
        ("o_clerk", DataType::STRING.not_null()),
        ("o_shippriority", DataType::INT.not_null()),
        ("o_comment", DataType::STRING.not_null()),
    ]
}

fn orders_schema(buckets: u32) -> Result<Schema> {
    let mut builder = Schema::builder().primary_key(["o_orderkey"]).comment("TPC-H orders, made by forebay demo");
    for (name, data_type) in orders_columns() {
        builder = builder.column(name, data_type);
    }
    Ok(builder.option("bucket", buckets.to_string()).option("changelog-producer", "input").build()?)
}

/// The demo's own account: the price of each order that must be there, in cents.
#[derive(Default)]
struct Feed {
    prices: HashMap<i64, i64>,
}

#[derive(Default, Clone, Copy)]
struct Total {
    rows: u64,
    seconds: f64,
}

fn rate(total: Total) -> String {
    count((total.rows as f64 / total.seconds.max(1e-3)) as u64)
}

/// Writes everything; gives the last snapshot and how many changes its commit holds.
async fn pour(table: &Table, scale: f64, feed: &mut Feed, total: &mut Total) -> Result<(i64, u64)> {
    let distributions = Distributions::static_default();
    let pool = TextPool::new(TEXT_BYTES, distributions);
    let part =
        |part: i32| OrderGenerator::new_with_distributions_and_text_pool(scale, part, LOADS, distributions, &pool);
    let mut writer = table.stream_writer("demo").await?;
    let mut committer = table.committer("demo")?;
    let env = Env::system();
    let mut last = (0, 0);
    for identifier in 1..=LOADS + UPDATES {
        let round = (identifier - LOADS).max(0);
        let mut source: Source<'_> = match round {
            0 => Source::new(round, part(identifier).into_iter()),
            _ => Source::new(round, (1..=LOADS).flat_map(|number| part(number).into_iter())),
        };
        // Making the feed is not the engine's work: the clock runs for writing and committing only.
        let (mut rows, mut spent) = (0, Duration::ZERO);
        while let Some(change) = source.next(feed)? {
            let start = env.monotonic();
            rows += change.rows().num_rows() as u64;
            writer.write(&change).await?;
            spent += env.monotonic() - start;
        }
        let start = env.monotonic();
        let messages = writer.prepare_commit().await?;
        let outcome = committer.commit(i64::from(identifier), messages, CommitProperties::default()).await?;
        spent += env.monotonic() - start;
        let id = outcome.snapshot_id()?;
        let what = if round == 0 { "inserts" } else { "updates and deletes" };
        tell_commit(id, what, rows, spent)?;
        total.rows += rows;
        total.seconds += spent.as_secs_f64();
        last = (id, rows);
    }
    Ok(last)
}

fn tell_commit(id: i64, what: &str, rows: u64, spent: Duration) -> Result<()> {
    let seconds = spent.as_secs_f64();
    let speed = rate(Total { rows, seconds });
    say(&format!(
        "{:<32}{:>12} rows{seconds:>9.2} s{speed:>14} rows/s\n",
        format!("snapshot {id}: {what}"),
        count(rows)
    ))
}

/// The changes of one commit, made while they are written.
struct Source<'a> {
    /// 0 for a load, else the number of the round of updates.
    round: u64,
    orders: Box<dyn Iterator<Item = (u64, Order<'a>)> + 'a>,
    batches: Batches,
}

impl<'a> Source<'a> {
    fn new(round: i32, orders: impl Iterator<Item = Order<'a>> + 'a) -> Self {
        Self { round: round.unsigned_abs().into(), orders: Box::new((0..).zip(orders)), batches: Batches::default() }
    }

    /// The next batch; none at the end.
    fn next(&mut self, feed: &mut Feed) -> Result<Option<ChangeBatch>> {
        while self.batches.kinds.len() < BATCH_ROWS
            && let Some((at, order)) = self.orders.next()
        {
            match self.round {
                0 => insert(&mut self.batches, &order, feed),
                round => update(&mut self.batches, round, at, &order, feed),
            }
        }
        if self.batches.kinds.is_empty() { Ok(None) } else { self.batches.cut().map(Some) }
    }
}

fn insert(batches: &mut Batches, order: &Order<'_>, feed: &mut Feed) {
    feed.prices.insert(order.o_orderkey, order.o_totalprice.0);
    batches.push(RowKind::Insert, order, order.o_totalprice.0, order.o_orderstatus.as_str());
}

/// In each round every tenth order gets a new price and status (`-U` and `+U`), and every hundredth goes.
fn update(batches: &mut Batches, round: u64, at: u64, order: &Order<'_>, feed: &mut Feed) {
    let key = order.o_orderkey;
    let Some(price) = feed.prices.get(&key).copied() else {
        return;
    };
    // An order that was updated before has a price of its own.
    let status = if price == order.o_totalprice.0 { order.o_orderstatus.as_str() } else { "P" };
    if at % 100 == round {
        batches.push(RowKind::Delete, order, price, status);
        feed.prices.remove(&key);
    } else if at % 10 == round + 1 {
        let new = price + 100 * round as i64;
        batches.push(RowKind::UpdateBefore, order, price, status);
        batches.push(RowKind::UpdateAfter, order, new, "P");
        feed.prices.insert(key, new);
    }
}

/// Orders on their way into Arrow.
#[derive(Default)]
struct Batches {
    kinds: Vec<i8>,
    keys: Vec<i64>,
    customers: Vec<i64>,
    statuses: Vec<String>,
    prices: Vec<i128>,
    dates: Vec<i32>,
    priorities: Vec<String>,
    clerks: Vec<String>,
    ship_priorities: Vec<i32>,
    comments: Vec<String>,
}

impl Batches {
    fn push(&mut self, kind: RowKind, order: &Order<'_>, price: i64, status: &str) {
        self.kinds.push(kind as i8);
        self.keys.push(order.o_orderkey);
        self.customers.push(order.o_custkey);
        self.statuses.push(status.to_string());
        self.prices.push(i128::from(price));
        self.dates.push(order.o_orderdate.to_unix_epoch());
        self.priorities.push(order.o_orderpriority.to_string());
        self.clerks.push(order.o_clerk.to_string());
        self.ship_priorities.push(order.o_shippriority);
        self.comments.push(order.o_comment.to_string());
    }

    /// Takes what was pushed.
    fn cut(&mut self) -> Result<ChangeBatch> {
        let taken = std::mem::take(self);
        let prices = Decimal128Array::from(taken.prices).with_precision_and_scale(15, 2)?;
        let texts = |texts: Vec<String>| Arc::new(StringArray::from(texts)) as ArrayRef;
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(taken.keys)),
            Arc::new(Int64Array::from(taken.customers)),
            texts(taken.statuses),
            Arc::new(prices),
            Arc::new(Date32Array::from(taken.dates)),
            texts(taken.priorities),
            texts(taken.clerks),
            Arc::new(Int32Array::from(taken.ship_priorities)),
            texts(taken.comments),
        ];
        let rows = RecordBatch::try_new(external_schema(orders_columns()), columns)?;
        Ok(ChangeBatch::new(rows, Some(Int8Array::from(taken.kinds)))?)
    }
}

/// Compares a merged read with the demo's own account, order by order.
async fn check(table: &Table, feed: &Feed) -> Result<()> {
    let env = Env::system();
    let start = env.monotonic();
    let mut rows = table.scan().select(["o_orderkey", "o_totalprice"]).read().await?;
    let (mut found, mut sum, mut wrong) = (0_u64, 0_i128, 0_u64);
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        let keys = batch.column(0).as_primitive::<Int64Type>();
        let prices = batch.column(1).as_primitive::<Decimal128Type>();
        for (key, price) in keys.values().iter().zip(prices.values()) {
            found += 1;
            sum += price;
            wrong += u64::from(feed.prices.get(key).map(|price| i128::from(*price)) != Some(*price));
        }
    }
    let spent = (env.monotonic() - start).as_secs_f64();
    let (wanted, wanted_sum) =
        (feed.prices.len() as u64, feed.prices.values().map(|price| i128::from(*price)).sum::<i128>());
    let money = |cents: i128| format!("{}.{:02}", count((cents / 100) as u64), cents % 100);
    say(&format!(
        "\nMerged read in {spent:.2} s: {} orders worth {}; the feed's own account: {} orders worth {}.\n",
        count(found),
        money(sum),
        count(wanted),
        money(wanted_sum)
    ))?;
    if wrong > 0 || found != wanted || sum != wanted_sum {
        return Err(Failure::new(
            "bug",
            format!("the merged read is wrong: {} orders differ", count(wrong.max(found.abs_diff(wanted)))),
        ));
    }
    say("They agree, order by order.\n")
}

/// Shows the first changes of the last commit, and counts all of them.
async fn last_changes(table: &Table, snapshot: i64, wrote: u64) -> Result<()> {
    let columns = super::columns_of(table.schema());
    let json = JsonRows::new(&columns);
    let mut changes = table.changes().from(Start::Snapshot(snapshot)).to(snapshot).wide_timestamps().read().await?;
    let (mut seen, mut shown, mut left) = (0_u64, Vec::new(), SHOWN);
    while let Some(change) = changes.next().await? {
        let (batch, kinds) = change.rows.into_parts();
        seen += batch.num_rows() as u64;
        let some = left.min(batch.num_rows());
        left -= some;
        let kinds = kinds.map(|kinds| kinds.slice(0, some));
        json.changes(snapshot, &batch.slice(0, some), kinds.as_ref(), &mut shown)?;
    }
    say(&format!(
        "\nThe last commit's changes: {} of {} written. The first:\n{}",
        count(seen),
        count(wrote),
        String::from_utf8_lossy(&shown)
    ))?;
    if seen != wrote {
        return Err(Failure::new("bug", "the changelog does not hold what was written"));
    }
    Ok(())
}

fn say(text: &str) -> Result<()> {
    output::print(text)
}
