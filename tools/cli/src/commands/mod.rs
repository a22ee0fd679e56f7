//! The commands, and what they share: opening tables, asking, reading times.

mod alter;
mod changes;
mod compact;
mod completions;
mod create;
mod demo;
mod describe;
mod drop;
mod expire;
mod inspect;
mod list;
mod load;
mod lookup;
mod modify;
mod read;
mod rescale;
mod truncate;
mod write;

use forebay::catalog::{Catalog, TableName};
use forebay::history::History;
use forebay::io::open_location;
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::{Env, Table};

use crate::cli::{Cli, Command, Common};
use crate::failure::{Failure, Result};
use crate::target::Target;
use crate::values::Columns;

/// Runs a command.
pub async fn run(cli: Cli) -> Result<()> {
    let common = cli.common;
    match cli.command {
        Command::Create(args) => create::run(args, &common).await,
        Command::Alter(args) => alter::run(*args, &common).await,
        Command::Write(args) => write::run(args, &common).await,
        Command::Load(args) => load::run(args, &common).await,
        Command::Delete(args) => modify::delete(args, &common).await,
        Command::Update(args) => modify::update(args, &common).await,
        Command::Truncate(args) => truncate::run(args, &common).await,
        Command::Read(args) => read::run(args, &common).await,
        Command::Lookup(args) => lookup::run(args, &common).await,
        Command::Changes(args) => changes::run(args, &common).await,
        Command::Compact(args) => compact::run(*args, &common).await,
        Command::Inspect(args) => inspect::run(args, &common).await,
        Command::Expire(args) => expire::run(args, &common).await,
        Command::Rescale(args) => rescale::run(args, &common).await,
        Command::List(args) => list::run(args, &common).await,
        Command::Describe(args) => describe::run(args, &common).await,
        Command::Drop(args) => drop::run(args, &common).await,
        Command::Completions(args) => completions::run(&args),
        Command::Demo(args) => demo::run(args, &common).await,
    }
}

/// Opens a warehouse.
fn open_catalog(warehouse: &str, common: &Common) -> Result<Catalog> {
    Ok(Catalog::open(warehouse, common.store.iter().cloned())?)
}

/// Opens the table that an argument names.
async fn open_table(name: &str, common: &Common, options: &[(String, String)]) -> Result<Table> {
    let table = match Target::parse(name, common)? {
        Target::Location(location) => Table::open(&location, common.store.iter().cloned()).await?,
        Target::Named { warehouse, database, table } => {
            open_catalog(&warehouse, common)?.table(&TableName::new(database, table)?).await?
        }
    };
    match options {
        [] => Ok(table),
        some => Ok(table.with_options(some.iter().cloned())?),
    }
}

/// The history of the table that an argument names: what can be looked at although its rows could not be read.
async fn open_history(name: &str, common: &Common) -> Result<History> {
    Ok(History::new(match Target::parse(name, common)? {
        Target::Location(location) => {
            open_location(&location, &common.store.iter().cloned().collect(), &Env::system())?
        }
        Target::Named { warehouse, database, table } => {
            open_catalog(&warehouse, common)?.require_table(&TableName::new(database, table)?).await?
        }
    }))
}

/// A commit user that was given.
fn commit_user(user: String) -> Result<String> {
    match user.trim().is_empty() {
        true => Err(Failure::usage("the commit user's name is empty")),
        false => Ok(user),
    }
}

/// Tells that a commit of the same user is there.
fn told_already(snapshot: Option<i64>) {
    let snapshot = snapshot.map(|id| format!(" (snapshot {id})")).unwrap_or_default();
    crate::output::note(&format!("this commit user has committed already{snapshot}: nothing was done"));
}

/// Names and types of a schema's columns.
fn columns_of(schema: &Schema) -> Columns {
    schema.fields.iter().map(|field| (field.name.clone(), field.data_type.clone())).collect()
}

/// The columns that come out.
fn selected(columns: &Columns, names: &[String]) -> Result<Columns> {
    if names.is_empty() {
        return Ok(columns.clone());
    }
    let find = |name: &String| {
        let found = columns.iter().find(|(column, _)| column == name.trim());
        found.cloned().ok_or_else(|| Failure::new("invalid", format!("--select: the table has no column {name:?}")))
    };
    names.iter().map(find).collect()
}

/// A point of a table's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The number of a snapshot.
    Snapshot(i64),
    /// Milliseconds since the epoch.
    Millis(i64),
}

/// Reads a snapshot's number or a time. A time without zone is local.
fn parse_moment(text: &str) -> Option<Moment> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return (number > 0).then_some(Moment::Snapshot(number));
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Moment::Millis(instant.as_millisecond()));
    }
    let local = text.parse::<jiff::civil::DateTime>().ok()?;
    let instant = local.to_zoned(jiff::tz::TimeZone::system()).ok()?;
    Some(Moment::Millis(instant.timestamp().as_millisecond()))
}

/// What [`parse_moment`] takes, for messages.
const MOMENTS: &str =
    "give a snapshot's number, or a time like 2024-01-31, 2024-01-31T12:00:00 or 2024-01-31T12:00:00Z";

/// The point of a table's history that `--at` names.
fn at_of(text: Option<&str>) -> Result<At> {
    let Some(text) = text else { return Ok(At::Latest) };
    match parse_moment(text) {
        Some(Moment::Snapshot(id)) => Ok(At::Snapshot(id)),
        Some(Moment::Millis(millis)) => Ok(At::Timestamp(millis)),
        None => Err(Failure::usage(format!("--at {text:?} is neither a snapshot nor a time")).help(MOMENTS)),
    }
}

/// Milliseconds since the epoch as a local time.
fn shown_time(millis: i64) -> String {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(at) => at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
        Err(_) => millis.to_string(),
    }
}

/// Milliseconds since the epoch as JSON: UTC.
fn json_time(millis: i64) -> serde_json::Value {
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into(),
        Err(_) => millis.into(),
    }
}

/// Resolves when the process is told to end: ctrl-c, or a request to terminate.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            },
            Err(_) => _ = tokio::signal::ctrl_c().await,
        }
    }
    #[cfg(not(unix))]
    {
        let _ = tokio::signal::ctrl_c().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_snapshot_or_a_time() {
        assert_eq!(parse_moment("3"), Some(Moment::Snapshot(3)));
        assert_eq!(parse_moment("2023-11-14T22:13:20Z"), Some(Moment::Millis(1_700_000_000_000)));
        assert_eq!(parse_moment("2023-11-14T23:13:20.5+01:00"), Some(Moment::Millis(1_700_000_000_500)));
        assert!(matches!(parse_moment("2023-11-14"), Some(Moment::Millis(_))));
        assert!(matches!(parse_moment("2023-11-14 22:13:20"), Some(Moment::Millis(_))));
        for text in ["", "0", "-1", "yesterday", "2023-13-01"] {
            assert_eq!(parse_moment(text), None, "{text}");
        }
    }
}
