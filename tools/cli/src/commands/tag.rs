//! `forebay tag`: snapshots with a name.

use std::time::Duration;

use forebay::inspect;
use forebay::scan::At;
use forebay::schema::parse_duration;
use serde_json::json;

use super::inspect::show;
use crate::cli::{Common, NamedPoint, Tag, TagAction};
use crate::failure::{Failure, Result};
use crate::output;

/// Makes, moves, renames, deletes or lists.
pub async fn run(args: Tag, common: &Common) -> Result<()> {
    match args.action {
        TagAction::Create(given) => point_at(&given, false, common).await,
        TagAction::Replace(given) => point_at(&given, true, common).await,
        TagAction::Rename { table, name, to } => {
            let table = super::open_table(&table, common, &[]).await?;
            table.rename_tag(&name, &to).await?;
            if common.json {
                return output::print_json(&json!({"table": table.location(), "tag": to, "before": name}));
            }
            output::note(&format!("{}: tag {name} is {to}", table.location()));
            Ok(())
        }
        TagAction::Delete { table, name } => delete(&table, &name, common).await,
        TagAction::List { table, output } => {
            show(inspect::tags(&super::open_history(&table, common).await?).await?, output, common).await
        }
    }
}

async fn point_at(given: &NamedPoint, replaces: bool, common: &Common) -> Result<()> {
    let NamedPoint { table, name, point, time_retained } = given;
    let retained: Option<Duration> =
        time_retained.as_deref().map(parse_duration).transpose().map_err(|error| {
            Failure::from(error).context("--time-retained").help("give a time like '7 d' or '12 h'")
        })?;
    let at = super::at_of(point)?.unwrap_or(At::Latest);
    let table = super::open_table(table, common, &[]).await?;
    let snapshot = match replaces {
        false => table.create_tag(name, &at, retained).await?,
        true => table.replace_tag(name, &at, retained).await?,
    };
    if common.json {
        return output::print_json(&json!({"table": table.location(), "tag": name, "snapshot": snapshot}));
    }
    output::note(&format!("{}: tag {name} is snapshot {snapshot}", table.location()));
    Ok(())
}

async fn delete(table: &str, name: &str, common: &Common) -> Result<()> {
    let table = super::open_table(table, common, &[]).await?;
    let report = table.delete_tag(name).await?;
    if common.json {
        let (files, bytes) = (report.files, report.bytes);
        output::print_json(&json!({"table": table.location(), "deleted": name, "files": files, "bytes": bytes}))?;
    } else {
        let files = output::count(report.files);
        let bytes = indicatif::HumanBytes(report.bytes);
        output::note(&format!("{}: tag {name} is gone, with {files} files ({bytes})", table.location()));
    }
    match report.first_failure {
        None => Ok(()),
        Some(first) => Err(Failure::new("storage", format!("some files could not be deleted, the first: {first}"))
            .help("forebay expire goes on where this ended")),
    }
}
