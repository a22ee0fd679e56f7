//! `forebay read`: merged rows, or the changes between two points.

use forebay::predicate::{self, Expr};
use forebay::scan::Between;
use forebay::schema::{self, Schema, parse_duration};
use forebay::table::IncrementalBuilder;
use forebay::{Error, Table};
use futures::StreamExt as _;

use super::{Moment, View, parse_moment};
use crate::cli::{BetweenMode, Common, OutputFormat, Read};
use crate::failure::{Failure, Result};
use crate::names::Names;
use crate::output;
use crate::sink::{Change, Sink};
use crate::target::Shown;

/// Reads the rows.
pub async fn run(args: Read, common: &Common) -> Result<()> {
    let View { table, shown } = super::open_view(&args.table, common, &args.options).await?;
    let read_optimized = shown == Shown::ReadOptimized || args.read_optimized;
    let row_tracking = shown == Shown::RowTracking;
    let at = super::at_of(&args.point)?;
    let incremental = match &args.between {
        Some(text) => Some(table.incremental(between(&table, text).await?)),
        // What the call says is stronger than the table's options.
        None if at.is_some() => None,
        None => table.incremental_by_options()?,
    };
    if let Some(incremental) = incremental {
        if read_optimized || row_tracking || args.limit.is_some() || args.count || args.protect.is_some() {
            return Err(Failure::usage(
                "the changes between two points have neither a limit, nor a count, nor a highest level, nor row ids, nor a \
                 tag that guards them",
            ));
        }
        return changes(&table, incremental, &args, common).await;
    }
    let mut scan = table.scan().wide_timestamps();
    if let Some(bytes) = args.memory {
        scan = scan.memory(bytes);
    }
    if let Some(at) = at {
        scan = scan.at(at);
    }
    if read_optimized {
        scan = scan.read_optimized();
    }
    if row_tracking {
        scan = scan.row_tracking();
    }
    let select = Names::of(&args.select);
    if !select.is_empty() {
        scan = scan.select(select.iter().cloned());
    }
    if let Some(text) = &args.protect {
        let time = parse_duration(text).map_err(|error| Failure::from(error).context("--protect"));
        scan = scan.protect(time.map_err(|failure| failure.help("give a time like '1 h' or '2 d'"))?);
    }
    if let Some(limit) = args.limit {
        scan = scan.limit(limit);
    }
    scan = scan.order_by(args.order_by.iter().flat_map(|order| order.0.clone()));
    if let Some(text) = &args.filter {
        // A look back has the columns of its time.
        let schema = scan.schema().await?;
        let columns = if schema.tracks(schema::ROW_ID) { schema.with_row_tracking() } else { Schema::clone(&schema) };
        scan = scan.filter(filter(text, &columns)?);
    }
    if args.count {
        let rows = scan.count().await?;
        return match common.json {
            true => output::print_json(&serde_json::json!({ "count": rows })),
            false => output::print(&format!("{rows}\n")),
        };
    }
    let (plan, guard) = scan.plan_guarded().await?;
    let mut columns = match super::selected(&super::columns_of(&plan.schema), &select) {
        Ok(columns) => columns,
        Err(failure) => {
            if let Some(guard) = guard {
                drop(guard.release().await);
            }
            return Err(failure);
        }
    };
    if select.is_empty() && !row_tracking {
        columns.retain(|(name, _)| !plan.schema.tracks(name)); // a condition may have brought them in
    }
    let mut rows = scan.read_guarded(plan.splits, guard).await?;
    let sink = match Sink::open(format(&args, common), &columns, false) {
        Ok(sink) => sink,
        Err(failure) => {
            rows.close().await;
            return Err(failure);
        }
    };
    let mut failed = None;
    while let Some(batch) = rows.next().await {
        match batch {
            Ok(batch) => {
                if !sink.write(batch, None).await {
                    break;
                }
            }
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    // The process must not end before the tag of the read is gone.
    rows.close().await;
    finish(sink, failed).await
}

fn format(args: &Read, common: &Common) -> OutputFormat {
    args.output.unwrap_or(if common.json { OutputFormat::Jsonl } else { OutputFormat::Table })
}

fn filter(text: &str, schema: &Schema) -> Result<Expr> {
    predicate::parse(text, schema).map_err(|error| Failure::from(error).context("--where"))
}

async fn finish(sink: Sink, failed: Option<Error>) -> Result<()> {
    let written = sink.finish(failed.is_none()).await;
    match failed {
        Some(error) => Err(error.into()),
        None => written.map(|_| ()),
    }
}

async fn changes(table: &Table, mut read: IncrementalBuilder, args: &Read, common: &Common) -> Result<()> {
    read = read.wide_timestamps();
    if let Some(bytes) = args.memory {
        read = read.memory(bytes);
    }
    if let Some(mode) = args.between_mode {
        read = read.mode(match mode {
            BetweenMode::Delta => schema::BetweenMode::Delta,
            BetweenMode::Changelog => schema::BetweenMode::Changelog,
            BetweenMode::Diff => schema::BetweenMode::Diff,
        });
    }
    let select = Names::of(&args.select);
    if !select.is_empty() {
        read = read.select(select.iter().cloned());
    }
    if let Some(text) = &args.filter {
        read = read.filter(filter(text, table.schema())?);
    }
    let columns = super::selected(&super::columns_of(table.schema()), &select)?;
    let mut rows = read.read().await?;
    let sink = Sink::open(format(args, common), &columns, true)?;
    let failed = loop {
        match rows.next().await {
            Ok(Some(change)) => {
                let snapshot = change.snapshot_id;
                let (batch, kinds) = change.rows.into_parts();
                if !sink.write(batch, Some(Change { snapshot, kinds })).await {
                    break None;
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    finish(sink, failed).await
}

/// Reads `A..B`: tags first, then snapshots' numbers, then times.
async fn between(table: &Table, text: &str) -> Result<Between> {
    let bad = || {
        Failure::usage(format!("--between {text:?} is no A..B"))
            .help("give two tags, two snapshots' numbers or two times: 3..7, monday..tuesday, 2024-01-31..2024-02-01")
    };
    let (start, end) = text.split_once("..").ok_or_else(bad)?;
    let (start, end) = (start.trim().to_string(), end.trim().to_string());
    let tags = table.history().tags.list().await?;
    if tags.contains(&start) && tags.contains(&end) {
        return Ok(Between::Versions(start, end));
    }
    // The first end is exclusive, so it may be the snapshot before the first of all.
    if let (Ok(start), Ok(end)) = (start.parse(), end.parse()) {
        return Ok(Between::Snapshots(start, end));
    }
    match (parse_moment(&start), parse_moment(&end)) {
        (Some(Moment::Millis(start)), Some(Moment::Millis(end))) => Ok(Between::Timestamps(start, end)),
        (None, None) if !start.is_empty() && !end.is_empty() => Ok(Between::Tags(start, end)),
        _ => Err(bad()),
    }
}
