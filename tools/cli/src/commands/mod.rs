//! The commands, and what they share: opening tables, asking, reading times.

mod alter;
mod branch;
mod catalog;
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
mod partition;
mod read;
mod rescale;
mod tag;
mod truncate;
mod write;

use forebay::catalog::{Catalog, TableName};
use forebay::format::{BinaryRow, partition_path};
use forebay::history::History;
use forebay::io::open_location;
use forebay::scan::At;
use forebay::schema::{Schema, TableOptions};
use forebay::{Env, Table};

use crate::cli::{Cli, Command, Common, Point};
use crate::failure::{Failure, Result};
use crate::target::{Address, Shown, Target};
use crate::values::Columns;

/// Runs a command.
pub async fn run(cli: Cli) -> Result<()> {
    let common = cli.common;
    check_branch(&cli.command, &common)?;
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
        Command::Tag(args) => tag::run(args, &common).await,
        Command::Branch(args) => branch::run(args, &common).await,
        Command::Expire(args) => expire::run(args, &common).await,
        Command::Rescale(args) => rescale::run(args, &common).await,
        Command::List(args) => list::run(args, &common).await,
        Command::Describe(args) => describe::run(args, &common).await,
        Command::Drop(args) => drop::run(args, &common).await,
        Command::Catalog(args) => catalog::run(args, &common).await,
        Command::Completions(args) => completions::run(&args),
        Command::Demo(args) => demo::run(args, &common).await,
    }
}

/// Where a JDBC catalog's user and password are.
const JDBC_USER: &str = "FOREBAY_JDBC_USER";
const JDBC_PASSWORD: &str = "FOREBAY_JDBC_PASSWORD";

/// Opens a warehouse, by its catalog where one is named. Secrets are better left to the environment than typed.
fn open_catalog(warehouse: &str, common: &Common) -> Result<Catalog> {
    let mut options = common.options();
    let told = |options: &[(String, String)], key: &str| options.iter().any(|(k, _)| k == key);
    if let Some(uri) = &common.catalog {
        let kind = match uri {
            uri if uri.starts_with("jdbc:") => "jdbc",
            uri if uri.starts_with("http://") || uri.starts_with("https://") => "rest",
            uri if uri.starts_with("thrift://") => {
                let help = "the tables of a Hive catalog open by their locations, or by a warehouse directory";
                return Err(Failure::usage("--catalog: Hive catalogs are not supported").help(help));
            }
            _ => {
                let help = "jdbc:postgresql://HOST/DB, jdbc:mysql://HOST/DB, jdbc:sqlite:FILE or http://HOST:PORT";
                return Err(Failure::usage("--catalog names no catalog").help(help));
            }
        };
        if warehouse.starts_with("rest+") || ["metastore", "uri"].iter().any(|key| told(&options, key)) {
            return Err(Failure::usage("which catalog: that of --catalog, or the one the warehouse or --store names?"));
        }
        options.extend([("metastore".to_string(), kind.to_string()), ("uri".to_string(), uri.clone())]);
    }
    let kind = match options.iter().find(|(key, _)| key == "metastore").map(|(_, value)| value.as_str()) {
        _ if warehouse.starts_with("rest+") => "rest",
        kind => kind.unwrap_or_default(),
    };
    let environment: &[(&str, &str)] = match kind {
        "rest" => &[("token", catalog::TOKEN)],
        "jdbc" => &[("jdbc.user", JDBC_USER), ("jdbc.password", JDBC_PASSWORD)],
        _ => &[],
    };
    for (key, variable) in environment {
        if let (Ok(value), false) = (std::env::var(variable), told(&options, key)) {
            options.push(((*key).to_string(), value));
        }
    }
    Ok(Catalog::open(warehouse, options)?)
}

/// The directory of a partition below its table; empty for a table without partitions.
fn partition_name(schema: &Schema, partition: &BinaryRow) -> Result<String> {
    let options = TableOptions::parse(schema)?;
    let types = schema.types_of(&schema.partition_keys)?;
    let (legacy, default) = (options.partition_legacy_name, &options.partition_default_name);
    Ok(partition_path(&schema.partition_keys, &types, partition, legacy, default)?)
}

/// Opens the table, or the branch, that an argument names.
async fn open_table(name: &str, common: &Common, options: &[(String, String)]) -> Result<Table> {
    let view = open_view(name, common, options).await?;
    match view.shown {
        Shown::Rows => Ok(view.table),
        _ => Err(Failure::usage(format!("{name:?} can only be read")).help("see forebay help read")),
    }
}

/// A table as a name shows it.
struct View {
    table: Table,
    shown: Shown,
}

async fn open_view(name: &str, common: &Common, options: &[(String, String)]) -> Result<View> {
    let address = Address::parse(name, common)?;
    let table = match address.target {
        Target::Location(location) => Table::open(&location, common.options()).await?,
        Target::Named { warehouse, database, table } => {
            open_catalog(&warehouse, common)?.table(&TableName::new(database, table)?).await?
        }
    };
    // Option branch is said in the call: the branch has a schema of its own.
    let told = options.iter().rev().find(|(key, _)| key == "branch").map(|(_, value)| value.clone());
    let branch = match (address.branch, told) {
        (Some(named), Some(told)) if named != told => {
            return Err(Failure::usage(format!("which branch: {named:?}, or {told:?} of option branch?")));
        }
        (named, told) => named.or(told),
    };
    let table = match &branch {
        Some(branch) => table.branch(branch).await?,
        None => table,
    };
    let options: Vec<(String, String)> = options.iter().filter(|(key, _)| key != "branch").cloned().collect();
    let table = if options.is_empty() { table } else { table.with_options(options)? };
    Ok(View { table, shown: address.shown })
}

/// The history of the table that an argument names: what can be looked at although its rows could not be read.
async fn open_history(name: &str, common: &Common) -> Result<History> {
    let address = Address::parse(name, common)?;
    if address.shown != Shown::Rows {
        return Err(Failure::usage(format!("{name:?} can only be read")).help("see forebay help read"));
    }
    let history = History::new(match address.target {
        Target::Location(location) => {
            open_location(&location, &common.options().into_iter().collect(), &Env::system())?
        }
        Target::Named { warehouse, database, table } => {
            open_catalog(&warehouse, common)?.require_table(&TableName::new(database, table)?).await?
        }
    });
    match &address.branch {
        None => Ok(history),
        Some(branch) => {
            let history = history.on_branch(branch)?;
            match history.schemas.latest().await? {
                Some(_) => Ok(history),
                None => Err(Failure::new("not-found", format!("branch {branch:?} of {name}"))),
            }
        }
    }
}

/// Refuses `--branch` where it would say nothing.
fn check_branch(command: &Command, common: &Common) -> Result<()> {
    let what = match command {
        Command::Create(_) => "create: make a branch by `forebay branch create`",
        Command::Drop(_) => "drop: delete a branch by `forebay branch delete`",
        Command::Branch(_) => "branch: it is a command of the table itself",
        Command::Expire(_) => "expire: it is a command of the table itself",
        Command::Compact(_) => "compact: name the branch, TABLE$branch_NAME",
        Command::List(_) => "list",
        Command::Catalog(_) => "catalog",
        Command::Completions(_) => "completions",
        Command::Demo(_) => "demo",
        _ => return Ok(()),
    };
    match common.branch {
        None => Ok(()),
        Some(_) => Err(Failure::usage(format!("--branch does not go with {what}"))),
    }
}

/// A commit user that was given.
fn commit_user(user: String) -> Result<String> {
    match user.trim().is_empty() {
        true => Err(Failure::usage("the commit user's name is empty")),
        false => Ok(user),
    }
}

/// A commit user of this run alone.
fn new_user(table: &Table) -> Result<String> {
    let unique = Env::system().uuid();
    Ok(match TableOptions::parse(table.schema())?.commit.user_prefix {
        Some(prefix) => format!("{prefix}_{unique}"),
        None => unique,
    })
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

/// The columns of rows that come in: one with a default value may be left out, also where it is NOT NULL.
fn input_columns_of(schema: &Schema) -> Columns {
    let column = |field: &forebay::types::Field| {
        let nullable = field.data_type.nullable || field.default_value.is_some();
        (field.name.clone(), forebay::types::DataType { nullable, ..field.data_type.clone() })
    };
    schema.fields.iter().map(column).collect()
}

/// The columns that come out.
fn selected(columns: &Columns, names: &[String]) -> Result<Columns> {
    if names.is_empty() {
        return Ok(columns.clone());
    }
    let find = |name: &String| {
        let found = columns.iter().find(|(column, _)| column == name);
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

/// The point of a table's history that the arguments name; `None` where they name none.
fn at_of(point: &Point) -> Result<Option<At>> {
    if let Some(text) = &point.at {
        return match parse_moment(text) {
            Some(Moment::Snapshot(id)) => Ok(Some(At::Snapshot(id))),
            Some(Moment::Millis(millis)) => Ok(Some(At::Timestamp(millis))),
            None => Err(Failure::usage(format!("--at {text:?} is neither a snapshot nor a time")).help(MOMENTS)),
        };
    }
    if let Some(text) = &point.watermark {
        return Ok(Some(At::Watermark(watermark_of("--watermark", text)?)));
    }
    let named = point.tag.clone().map(At::Tag);
    Ok(named.or_else(|| point.at_version.clone().map(At::Version)))
}

/// Reads a watermark: milliseconds since the epoch, or a time.
fn watermark_of(argument: &str, text: &str) -> Result<i64> {
    if let Ok(millis) = text.trim().parse() {
        return Ok(millis);
    }
    match parse_moment(text) {
        Some(Moment::Millis(millis)) => Ok(millis),
        _ => Err(Failure::usage(format!("{argument} {text:?} is no watermark"))
            .help("give milliseconds since 1970, or a time like 2024-01-31T12:00:00Z")),
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
