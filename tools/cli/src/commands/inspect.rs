//! `forebay inspect`: the inside of a table.

use arrow_array::cast::AsArray as _;
use arrow_array::types::Int64Type;
use arrow_array::{Array as _, RecordBatch};
use forebay::inspect;
use forebay::scan::At;
use serde_json::json;

use crate::cli::{Common, Inspect, OutputFormat, View};
use crate::failure::{Failure, Result};
use crate::output;
use crate::sink::Sink;
use crate::values::arrow_types;

/// Shows a view.
pub async fn run(args: Inspect, common: &Common) -> Result<()> {
    let history = super::open_history(&args.table, common).await?;
    let at = match super::at_of(&args.point)? {
        None => At::Latest,
        Some(at) if args.view.is_of_a_snapshot() => at,
        Some(_) => return Err(Failure::usage("this view is of the whole table, not of one of its snapshots")),
    };
    let rows = match args.view {
        View::Picture => {
            let picture = inspect::picture(&history, &at).await?;
            return match common.json {
                true => output::print_json(&json!({ "picture": picture })),
                false => output::print(&format!("{}\n", output::clean_lines(picture.trim_end()))),
            };
        }
        View::Snapshots => inspect::snapshots(&history).await?,
        View::Changelogs => inspect::changelogs(&history).await?,
        View::Schemas => inspect::schemas(&history).await?,
        View::Manifests => inspect::manifests(&history, &at).await?,
        View::Files => inspect::files(&history, &at).await?,
        View::Partitions => inspect::partitions(&history, &at).await?,
        View::Buckets => {
            tell_advice(&inspect::buckets_advice(&history, &at).await?);
            inspect::buckets(&history, &at).await?
        }
        View::Advice => inspect::buckets_advice(&history, &at).await?,
        View::Options => inspect::options(&history).await?,
        View::Consumers => inspect::consumers(&history).await?,
        View::Tags => inspect::tags(&history).await?,
        View::Branches => inspect::branches(&history).await?,
    };
    show(rows, args.output, common).await
}

/// Shows rows that the engine tells of itself.
pub async fn show(rows: RecordBatch, output: Option<OutputFormat>, common: &Common) -> Result<()> {
    let columns = arrow_types::columns_of(&rows.schema())?;
    let default = if common.json { OutputFormat::Jsonl } else { OutputFormat::Table };
    let sink = Sink::open(output.unwrap_or(default), &columns, false)?;
    sink.write(rows, None).await;
    sink.finish(true).await.map(|_| ())
}

/// Partitions whose bucket count does not fit, on standard error: the rows of the view stay as they are.
fn tell_advice(advice: &RecordBatch) {
    let text = |name: &str, row| {
        let column = advice.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        column.filter(|column| column.is_valid(row)).map(|column| column.value(row).to_string())
    };
    let number = |name: &str, row| {
        let column = advice.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
        column.map_or(0, |column| column.value(row))
    };
    for row in 0..advice.num_rows() {
        let (now, advised) = (number("buckets", row), number("advised_buckets", row));
        if now != advised {
            let partition = text("partition", row).map_or("the table".to_string(), |name| format!("partition {name}"));
            let why = text("advice", row).unwrap_or_default();
            output::note(&format!("{partition}: {advised} buckets would fit better than {now}: {why}"));
        }
    }
}
