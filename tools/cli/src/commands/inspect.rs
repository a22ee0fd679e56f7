//! `forebay inspect`: the inside of a table.

use forebay::inspect;
use serde_json::json;

use crate::cli::{Common, Inspect, OutputFormat, View};
use crate::failure::Result;
use crate::output;
use crate::sink::Sink;
use crate::values::arrow_types;

/// Shows a view.
pub async fn run(args: Inspect, common: &Common) -> Result<()> {
    let history = super::open_history(&args.table, common).await?;
    let rows = match args.view {
        View::Picture => {
            let picture = inspect::picture(&history).await?;
            return match common.json {
                true => output::print_json(&json!({ "picture": picture })),
                false => output::print(&format!("{}\n", output::clean_lines(picture.trim_end()))),
            };
        }
        View::Snapshots => inspect::snapshots(&history).await?,
        View::Schemas => inspect::schemas(&history).await?,
        View::Manifests => inspect::manifests(&history).await?,
        View::Files => inspect::files(&history).await?,
        View::Partitions => inspect::partitions(&history).await?,
        View::Buckets => inspect::buckets(&history).await?,
        View::Options => inspect::options(&history).await?,
        View::Consumers => inspect::consumers(&history).await?,
    };
    let columns = arrow_types::columns_of(&rows.schema())?;
    let default = if common.json { OutputFormat::Jsonl } else { OutputFormat::Table };
    let sink = Sink::open(args.output.unwrap_or(default), &columns, false)?;
    sink.write(rows, None).await;
    sink.finish(true).await.map(|_| ())
}
