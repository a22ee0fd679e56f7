//! What can be typed: the arguments of every command, and their help.

mod others;
mod read;
mod tables;
mod upkeep;
mod versions;
mod write;

use clap::{Args, Parser, Subcommand};
use forebay::schema::parse_memory_size;

use crate::names;

pub use self::others::{Catalog, CatalogAction, Completions, Demo, Serve};
pub use self::read::{BetweenMode, Changes, Inspect, Lookup, OutputFormat, Read, View};
pub use self::tables::{Alter, Create, Describe, Drop, List};
pub use self::upkeep::{Compact, CompactMeans, CompactPart, CompactScope, Expire, Rescale};
pub use self::versions::{Branch, BranchAction, NamedPoint, Tag, TagAction};
pub use self::write::{Delete, InputFormat, Load, Statement, Truncate, Update, Write};

/// Upserts, exactly-once commits, merged reads and changes on Apache Paimon tables, without a JVM.
#[derive(Debug, Parser)]
#[command(name = "forebay", version, max_term_width = 110, propagate_version = true, subcommand_required = true)]
#[command(after_help = "A TABLE is a location (./dir, /abs/dir, file:///dir, s3://bucket/dir, gs://bucket/dir, \
                        abfss://container@account.dfs.core.windows.net/dir, https://host/dir to read) or db.table inside a warehouse.\n\
                        Start with `forebay demo`. Exit code: 0 success, 1 failure, 2 wrong usage. Warnings go to standard error: FOREBAY_LOG=off, \
                        error, warn (the default), info, debug or trace.")]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command understands.
    #[command(flatten)]
    pub common: Common,
}

/// Arguments that every command understands.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The warehouse that db.table names are looked up in: a directory or URL, or a Paimon REST catalog (rest+http://HOST:PORT,
    /// its token in FOREBAY_CATALOG_TOKEN)
    #[arg(long, global = true, env = "FOREBAY_WAREHOUSE", value_name = "LOCATION", help_heading = "Common options")]
    pub warehouse: Option<String>,
    /// The catalog that knows the warehouse's names: a Paimon JDBC catalog (jdbc:postgresql://HOST/DB, jdbc:mysql://HOST/DB,
    /// jdbc:sqlite:FILE; user and password in FOREBAY_JDBC_USER and FOREBAY_JDBC_PASSWORD), or a REST catalog
    /// (http://HOST:PORT), whose --warehouse is a name
    #[arg(long, global = true, env = "FOREBAY_CATALOG", value_name = "URI", help_heading = "Common options")]
    pub catalog: Option<String>,
    /// An option of the store, as Paimon names it (s3.endpoint, fs.gs.auth.type, fs.azure.account.key, ..), or of the catalog
    /// (catalog-key, lock.enabled, jdbc.sslmode, header.NAME, ..); credentials are better left to the environment (AWS_*, GOOGLE_*, AZURE_*)
    #[arg(long = "store", global = true, value_name = "KEY=VALUE", value_parser = key_value, help_heading = "Common options")]
    pub store: Vec<(String, String)>,
    /// A location outside of tables in which their files may lie (data-file.external-paths); repeat for each. Anywhere else
    /// outside of a table nothing is read, written or expired
    #[arg(
        long,
        global = true,
        env = "FOREBAY_ALLOW_EXTERNAL",
        value_name = "LOCATION",
        value_delimiter = ',',
        help_heading = "Common options"
    )]
    pub allow_external: Vec<String>,
    /// Machine output: JSON on standard output, errors as a JSON object on standard error
    #[arg(long, global = true, help_heading = "Common options")]
    pub json: bool,
    /// The branch of the table; the same as the name TABLE$branch_NAME
    #[arg(long, global = true, value_name = "NAME", help_heading = "Common options")]
    pub branch: Option<String>,
}

impl Common {
    /// The options that stores and catalogs are opened with.
    pub fn options(&self) -> Vec<(String, String)> {
        let mut options = self.store.clone();
        if !self.allow_external.is_empty() {
            options.push((forebay::io::ALLOW_EXTERNAL.to_string(), self.allow_external.join(",")));
        }
        options
    }
}

/// The point of a table's history that is shown; one of them at the most.
#[derive(Debug, Clone, Default, Args)]
#[group(multiple = false)]
pub struct Point {
    /// As of a snapshot's number, or of a time (2024-01-31, 2024-01-31T12:00:00, with Z or an offset, else local)
    #[arg(long, value_name = "SNAPSHOT|TIMESTAMP")]
    pub at: Option<String>,
    /// As of a tag
    #[arg(long, value_name = "NAME")]
    pub tag: Option<String>,
    /// As of the first snapshot whose watermark is not below this: a number (milliseconds since 1970), or a time
    #[arg(long, value_name = "WATERMARK")]
    pub watermark: Option<String>,
    /// As of a tag, else watermark-NUMBER, else a snapshot's number
    #[arg(long, value_name = "VERSION")]
    pub at_version: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a table
    Create(Create),
    /// Change a table's columns, options and comments
    Alter(Box<Alter>),
    /// Write rows or changes into a table
    Write(Write),
    /// Load files in one commit, beside what is there or in its place
    Load(Load),
    /// Delete the rows for which a condition is true
    Delete(Delete),
    /// Set columns of the rows for which a condition is true
    Update(Update),
    /// Take all rows away, or those of whole partitions
    Truncate(Truncate),
    /// Read a table's merged rows
    Read(Read),
    /// Look rows up by primary key
    Lookup(Lookup),
    /// Read a table's changes, once or for ever
    Changes(Changes),
    /// Compact tables, once or as a service
    Compact(Box<Compact>),
    /// Look inside a table: snapshots, files, levels
    Inspect(Inspect),
    /// Make, delete and list tags: snapshots with a name, which do not expire
    Tag(Tag),
    /// Make, delete and list branches: lines of snapshots beside the table's own
    Branch(Branch),
    /// Take old snapshots and changelogs away, with the files that only they need
    Expire(Expire),
    /// Move a table's rows into another number of buckets
    Rescale(Rescale),
    /// List databases and tables of a warehouse
    List(List),
    /// Show a table's columns, keys and options
    Describe(Describe),
    /// Drop a table and its files, or a database
    Drop(Drop),
    /// Serve a warehouse as a Paimon REST catalog
    Catalog(Catalog),
    /// Print a completion script for a shell
    Completions(Completions),
    /// The main job in one command, on a table made on the spot
    Demo(Demo),
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("give it as KEY=VALUE")?;
    match key.trim() {
        "" => Err("the key is empty".into()),
        key => Ok((key.to_string(), value.trim().to_string())),
    }
}

/// A column, or what lies in one.
fn column(text: &str) -> Result<Vec<String>, String> {
    names::path(text)
}

/// A column, or what lies in one, and what is said of it.
fn column_value(text: &str) -> Result<(Vec<String>, String), String> {
    let (path, rest) = names::split_path(text, |c| c == '=')?;
    let value = rest.strip_prefix('=').ok_or("give it as COLUMN=VALUE")?;
    match path.as_slice() {
        [name] if name.is_empty() => Err("the column is empty".into()),
        _ => Ok((path, value.trim().to_string())),
    }
}

/// A memory size of so many KiB or more, in bytes.
fn memory<const KIB: u64>(text: &str) -> Result<u64, String> {
    let bytes = parse_memory_size(text).map_err(|error| error.to_string())?;
    let least = if KIB.is_multiple_of(1024) { format!("{} mb", KIB / 1024) } else { format!("{KIB} kb") };
    if bytes < KIB * 1024 { Err(format!("{least} or more are needed")) } else { Ok(bytes) }
}

/// Bytes for each second.
fn rate(text: &str) -> Result<u64, String> {
    match parse_memory_size(text).map_err(|error| error.to_string())? {
        0 => Err("nothing would ever be done; leave it out for no limit".into()),
        bytes => Ok(bytes),
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"tab" | b"\\t" | b"\t" => Ok(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err("give one ASCII character, or 'tab'".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }
}
