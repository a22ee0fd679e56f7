//! `forebay read`: merged rows.

use forebay::predicate;
use futures::StreamExt as _;

use crate::cli::{Common, OutputFormat, Read};
use crate::failure::{Failure, Result};
use crate::output;
use crate::sink::Sink;

/// Reads the rows.
pub async fn run(args: Read, common: &Common) -> Result<()> {
    let table = super::open_table(&args.table, common, &args.options).await?;
    let at = super::at_of(args.at.as_deref())?;
    let mut scan = table.scan().at(at).wide_timestamps();
    if !args.select.is_empty() {
        scan = scan.select(args.select.iter().map(|name| name.trim().to_string()));
    }
    if let Some(limit) = args.limit {
        scan = scan.limit(limit);
    }
    if let Some(text) = &args.filter {
        // A look back has the columns of its time.
        let schema = scan.schema().await?;
        let filter = predicate::parse(text, &schema).map_err(|error| Failure::from(error).context("--where"))?;
        scan = scan.filter(filter);
    }
    if args.count {
        let rows = scan.count().await?;
        return match common.json {
            true => output::print_json(&serde_json::json!({ "count": rows })),
            false => output::print(&format!("{rows}\n")),
        };
    }
    let default = if common.json { OutputFormat::Jsonl } else { OutputFormat::Table };
    let format = args.output.unwrap_or(default);
    let plan = scan.plan().await?;
    let columns = super::selected(&super::columns_of(&plan.schema), &args.select)?;
    let mut rows = scan.read_splits(plan.splits).await?;
    let sink = Sink::open(format, &columns, false)?;
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
    let written = sink.finish(failed.is_none()).await;
    match failed {
        Some(error) => Err(error.into()),
        None => written.map(|_| ()),
    }
}
