//! What can be typed: the arguments of every command, and their help.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use forebay::read::Sort;

/// Upserts, exactly-once commits, merged reads and changes on Apache Paimon tables, without a JVM.
#[derive(Debug, Parser)]
#[command(name = "forebay", version, max_term_width = 110, propagate_version = true, subcommand_required = true)]
#[command(after_help = "A TABLE is a location (./dir, /abs/dir, file:///dir, s3://bucket/dir, gs://bucket/dir, \
                        abfss://container@account.dfs.core.windows.net/dir, https://host/dir to read) or db.table inside a warehouse.\n\
                        Start with `forebay demo`. Exit code: 0 success, 1 failure, 2 wrong usage.")]
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

/// Arguments of `create`.
#[derive(Debug, Args)]
#[command(
    after_help = "Types: BOOLEAN TINYINT SMALLINT INT BIGINT FLOAT DOUBLE DECIMAL(p,s) CHAR(n) VARCHAR(n) STRING BINARY(n) \
                        VARBINARY(n) BYTES DATE TIME(p) TIMESTAMP(p) TIMESTAMP_LTZ(p) ARRAY<t> MAP<k, v> MULTISET<t> ROW<name t, ..> \
                        VARIANT, each with or without NOT NULL.\n\
                        A table with a primary key gets option bucket=1 when none is given."
)]
pub struct Create {
    /// The table: a location, or db.table (the database is created when it is missing)
    pub table: String,
    /// A column: 'name TYPE [NOT NULL] [DEFAULT value] [COMMENT 'text']'; repeat for each
    #[arg(short, long = "column", value_name = "COLUMN", conflicts_with_all = ["schema", "like"], required_unless_present_any = ["schema", "like"])]
    pub columns: Vec<String>,
    /// Columns from a JSON file: an array of Paimon's schema fields, or a whole schema file
    #[arg(long, value_name = "FILE.json", conflicts_with = "like")]
    pub schema: Option<PathBuf>,
    /// Columns like those of a Parquet or Arrow file
    #[arg(long, value_name = "FILE.parquet")]
    pub like: Option<PathBuf>,
    /// The primary key; its columns become NOT NULL
    #[arg(short = 'k', long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub primary_key: Vec<String>,
    /// The partition columns
    #[arg(short, long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub partition_by: Vec<String>,
    /// A table option; repeat for each
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
    /// A comment on the table
    #[arg(long)]
    pub comment: Option<String>,
    /// Succeed when the table exists (its columns are not compared)
    #[arg(long)]
    pub if_not_exists: bool,
}

/// How rows come in: what `write` and `load` have in common.
#[derive(Debug, Args)]
pub struct Incoming {
    /// The input's format; by default told from the file's extension
    #[arg(short, long, value_enum)]
    pub format: Option<InputFormat>,
    /// Before the first row, add columns that the table lacks and widen those that are too narrow (Parquet and Arrow files)
    #[arg(long)]
    pub merge_schema: bool,
    /// The memory that rows are buffered in before they are written: 256mb, 1gb (option write-buffer-size)
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// CSV: an unquoted text that stands for NULL, besides the empty one
    #[arg(long, value_name = "TEXT")]
    pub null: Option<String>,
    /// CSV: what stands between fields; 'tab' for a tabulator
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    pub delimiter: Option<u8>,
    /// A table option for this run only
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

impl Incoming {
    /// The table's options for this run.
    pub fn table_options(&self) -> Vec<(String, String)> {
        let memory = self.memory.iter().map(|size| ("write-buffer-size".to_string(), size.clone()));
        self.options.iter().cloned().chain(memory).collect()
    }
}

/// Arguments of `write`.
#[derive(Debug, Args)]
#[command(after_help = "CSV: the first line names the columns. An empty field is NULL, \"\" is an empty text.\n\
                        JSON lines: an object a line; decimals and 64-bit integers exact, timestamps 2023-11-14T22:13:20.123456 \
                        (with Z for TIMESTAMP_LTZ), bytes base64.\n\
                        changes: {\"kind\":\"+I\",\"row\":{..}} a line, as `forebay changes` prints them.\n\n\
                        With --commit-user, a rerun of the same input continues behind the last commit of that user and \
                        duplicates nothing, as long as that commit's snapshot has not expired.")]
pub struct Write {
    /// The table: a location or db.table
    pub table: String,
    /// Input files; standard input when none is given, or for '-'
    pub files: Vec<PathBuf>,
    /// Commit after so many rows; by default once, at the end
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub commit_every: Option<u64>,
    /// A stable name that makes a rerun continue where it was
    #[arg(long, value_name = "NAME")]
    pub commit_user: Option<String>,
    /// What comes in
    #[command(flatten)]
    pub incoming: Incoming,
}

/// Arguments of `load`.
#[derive(Debug, Args)]
#[command(after_help = "One commit, at the end: all files or none. Formats are those of `forebay write`.\n\
                        With --overwrite and no --partition, a partitioned table's partitions that get rows are replaced (and \
                        nothing when there is no row), unless option dynamic-partition-overwrite=false: then the whole table. With \
                        --partition exactly these are replaced, also by nothing; rows elsewhere are refused. Streams pass over it.")]
pub struct Load {
    /// The table: a location or db.table
    pub table: String,
    /// Input files; '-' is standard input
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Put the rows in the place of what is there
    #[arg(long)]
    pub overwrite: bool,
    /// Replace this partition; repeat for each of its columns, or for several values of one
    #[arg(short, long = "partition", value_name = "COLUMN=VALUE", value_parser = key_value, requires = "overwrite")]
    pub partitions: Vec<(String, String)>,
    /// A name for this load alone: a rerun that finds a commit of it does nothing
    #[arg(long, value_name = "NAME")]
    pub commit_user: Option<String>,
    /// What comes in
    #[command(flatten)]
    pub incoming: Incoming,
}

/// What `delete` and `update` have in common.
#[derive(Debug, Args)]
pub struct Statement {
    /// The table: a location or db.table
    pub table: String,
    /// Which rows: "amount > 100 and status in ('open', 'paid')"; "true" for all
    #[arg(short = 'w', long = "where", value_name = "EXPR")]
    pub filter: String,
    /// Only count the rows
    #[arg(short = 'd', long)]
    pub dry_run: bool,
    /// A name for this statement alone: a rerun that finds a commit of it does nothing
    #[arg(long, value_name = "NAME")]
    pub commit_user: Option<String>,
    /// The memory that rows are buffered in before they are written: 256mb, 1gb (option write-buffer-size)
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// A table option for this run only
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

/// Arguments of `delete`.
#[derive(Debug, Args)]
#[command(
    after_help = "Tables with a primary key get -D changes; append tables get deletion vectors where deletion-vectors.enabled is \
                        set, else the files with such rows are written again. A condition on partition columns alone takes whole \
                        partitions away, unread. One commit, of the rows that are there when it begins."
)]
pub struct Delete {
    /// Which rows, and how
    #[command(flatten)]
    pub statement: Statement,
}

/// Arguments of `update`.
#[derive(Debug, Args)]
#[command(
    after_help = "Tables with a primary key get +U changes (merge engines deduplicate and partial-update); on append tables the \
                        rows are masked or their files written again, as `forebay delete` does. One commit, of the rows that are \
                        there when it begins."
)]
pub struct Update {
    /// Which rows, and how
    #[command(flatten)]
    pub statement: Statement,
    /// A column and its new value: a literal, null or another column: "status = 'paid'"; may be repeated
    #[arg(short, long, value_name = "COLUMN=VALUE", required = true)]
    pub set: Vec<String>,
}

/// Arguments of `truncate`.
#[derive(Debug, Args)]
#[command(
    after_help = "One commit. Files stay until the snapshots that need them expire, so older snapshots can still be read."
)]
pub struct Truncate {
    /// The table: a location or db.table
    pub table: String,
    /// Drop this partition only; repeat for each of its columns, or for several values of one
    #[arg(short, long = "partition", value_name = "COLUMN=VALUE", value_parser = key_value)]
    pub partitions: Vec<(String, String)>,
    /// Only tell what would go
    #[arg(short = 'd', long)]
    pub dry_run: bool,
    /// A name for this truncation alone: a rerun that finds a commit of it does nothing
    #[arg(long, value_name = "NAME")]
    pub commit_user: Option<String>,
    /// A table option for this run only
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

/// Arguments of `read`.
#[derive(Debug, Args)]
#[command(
    after_help = "Of tables with row-tracking.enabled the name TABLE$row_tracking shows _ROW_ID and _SEQUENCE_NUMBER too; \
                        --select and --where may name them in any case."
)]
pub struct Read {
    /// The table: a location or db.table
    pub table: String,
    /// The columns, in this order
    #[arg(short, long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub select: Vec<String>,
    /// Which rows: "amount > 100 and status in ('open', 'paid')", "place.city = 'Berlin'", "tags['color'] = 'red'",
    /// "cast(code as INT) > 5"
    #[arg(short = 'w', long = "where", value_name = "EXPR")]
    pub filter: Option<String>,
    /// As of which point
    #[command(flatten)]
    pub point: Point,
    /// The changes between two points instead of rows, the first one exclusive: two tags, two snapshots' numbers or two times
    #[arg(long, value_name = "A..B", conflicts_with_all = ["Point", "limit", "order_by", "read_optimized"])]
    pub between: Option<String>,
    /// Which changes: what was written (delta), the changelog, or the rows that differ [default: of two tags diff, else
    /// delta without a changelog producer and changelog with one]
    #[arg(long, value_enum, requires = "between")]
    pub between_mode: Option<BetweenMode>,
    /// Only what full compactions have made, without merging; the same as the name TABLE$ro
    #[arg(long)]
    pub read_optimized: bool,
    /// At most so many rows
    #[arg(short = 'n', long, value_name = "ROWS")]
    pub limit: Option<usize>,
    /// The first rows of an order, in that order: "amount desc", "day, amount desc nulls first"; NULL is smaller than all
    #[arg(long, value_name = "COLUMN [asc|desc] [nulls first|last],..", value_delimiter = ',', requires = "limit")]
    pub order_by: Vec<Sort>,
    /// Only how many rows there are: told by the table's metadata where it can
    #[arg(long, conflicts_with_all = ["select", "output", "order_by"])]
    pub count: bool,
    /// How rows come out [default: table; jsonl with --json]
    #[arg(long, value_enum)]
    pub output: Option<OutputFormat>,
    /// A table option for this run only
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

/// Arguments of `lookup`.
#[derive(Debug, Args)]
#[command(
    after_help = "A KEY is the value of the primary key's column, or name=value; of several columns, their values in the \
                        key's order or by name, with commas between them: 5,2024-01-01 or day=2024-01-01,id=5. \
                        \"..\" around a value keeps commas in it.\n\
                        Rows come out in the order of the keys. When a key has no row, the others come out all the same, the \
                        missing keys are named on standard error, and the exit code is 1."
)]
pub struct Lookup {
    /// The table: a location or db.table
    pub table: String,
    /// The keys
    #[arg(value_name = "KEY", required_unless_present = "keys_from")]
    pub keys: Vec<String>,
    /// More keys, from a file whose columns are those of the primary key; '-' is standard input
    #[arg(long, value_name = "FILE")]
    pub keys_from: Option<PathBuf>,
    /// That file's format; by default told from its extension
    #[arg(short, long, value_enum, requires = "keys_from")]
    pub format: Option<InputFormat>,
    /// The columns, in this order
    #[arg(short, long, value_name = "COLUMN,..", value_delimiter = ',')]
    pub select: Vec<String>,
    /// As of which point
    #[command(flatten)]
    pub point: Point,
    /// Succeed when keys have no row
    #[arg(long)]
    pub missing_ok: bool,
    /// The memory for what is read of files: 256mb, 1gb
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// How rows come out [default: table; jsonl with --json]
    #[arg(long, value_enum)]
    pub output: Option<OutputFormat>,
    /// A table option for this run only
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

/// Arguments of `changes`.
#[derive(Debug, Args)]
#[command(
    after_help = "A line of jsonl is {\"kind\":\"+I\",\"snapshot\":3,\"row\":{..}}, which `forebay write --format changes` takes.\n\
                        Without --follow and --to the command ends with the newest snapshot."
)]
pub struct Changes {
    /// The table: a location or db.table
    pub table: String,
    /// Where to begin: latest-full (all rows, then changes), latest, earliest, compacted-full (the rows of the newest
    /// compaction, then changes), a snapshot's number (its changes first), full:SNAPSHOT or tag:NAME (all its rows, then
    /// changes), a time, since:TIME (by the age of files where changes expired), or files:TIME (the rows of files made since)
    /// [default: as the table's options say (scan.mode), else latest-full]
    #[arg(long, value_name = "START")]
    pub from: Option<String>,
    /// The last snapshot
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "follow")]
    pub to: Option<i64>,
    /// End before the first snapshot whose watermark lies above this: a number (milliseconds since 1970), or a time
    #[arg(long, value_name = "WATERMARK")]
    pub to_watermark: Option<String>,
    /// Go on until interrupted
    #[arg(long)]
    pub follow: bool,
    /// Keep the progress in the table under this name, and continue from there
    #[arg(long, value_name = "NAME")]
    pub consumer: Option<String>,
    /// How changes come out
    #[arg(long, value_enum, default_value_t = OutputFormat::Jsonl)]
    pub output: OutputFormat,
    /// A table option for this run only
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

/// Arguments of `compact`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "A TARGET is a table, a database of --warehouse, or a warehouse's location; without one, all of --warehouse.\n\
                  A compaction that another commit contradicts loses its own work only, and is planned again.\n\
                  Over machines: `compact plan` writes tasks as files, `compact run` turns a task into a message, `compact \
                  commit` commits messages."
)]
pub struct Compact {
    /// Split the work: plan, run tasks, commit
    #[command(subcommand)]
    pub part: Option<CompactPart>,
    /// The tables, databases or warehouses
    #[arg(value_name = "TARGET")]
    pub targets: Vec<String>,
    /// What of them
    #[command(flatten)]
    pub scope: CompactScope,
    /// With which means
    #[command(flatten)]
    pub means: CompactMeans,
    /// Only tables like this (db.table, with * and ?); may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub include: Vec<String>,
    /// No tables like this; may be repeated
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Go on until interrupted: look for what is due, the tables with the most waiting files first
    #[arg(long)]
    pub watch: bool,
    /// With --watch: the time between two looks
    #[arg(long, value_name = "TIME", default_value = "10 s")]
    pub interval: String,
    /// With --watch: serve Prometheus metrics here over HTTP: 127.0.0.1:9100
    #[arg(long, value_name = "ADDRESS", requires = "watch")]
    pub metrics: Option<std::net::SocketAddr>,
    /// Only show what would be done
    #[arg(short = 'd', long)]
    pub dry_run: bool,
}

/// What of a table is compacted.
#[derive(Debug, Clone, Args)]
pub struct CompactScope {
    /// Everything into the highest level, not only what is due
    #[arg(long)]
    pub full: bool,
    /// Only a partition: 'day=2026-01-01,hour=7'; may be repeated
    #[arg(short, long, value_name = "COLUMN=VALUE,..")]
    pub partition: Vec<String>,
    /// Only partitions for which this is true: "day >= '2026-01-01'"
    #[arg(short = 'w', long = "where", value_name = "EXPR")]
    pub filter: Option<String>,
    /// Only this bucket; may be repeated
    #[arg(short, long, value_name = "N")]
    pub bucket: Vec<i32>,
    /// A table option for this run only
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

/// What a compaction may take of the machine.
#[derive(Debug, Clone, Args)]
pub struct CompactMeans {
    /// The memory for all tasks together: 512mb, 2gb
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// The threads that merge and encode [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Input worked through in a second: 50mb
    #[arg(long, value_name = "SIZE")]
    pub rate_limit: Option<String>,
}

/// The parts of a compaction that may run on different machines.
#[derive(Debug, Subcommand)]
pub enum CompactPart {
    /// Write what is due as files, a task each
    Plan {
        /// The table: a location or db.table
        table: String,
        /// The directory the tasks are written to
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// What of it
        #[command(flatten)]
        scope: CompactScope,
    },
    /// Run tasks and write a commit message for each
    Run {
        /// The table: a location or db.table
        table: String,
        /// The tasks' files
        #[arg(required = true)]
        tasks: Vec<PathBuf>,
        /// The directory the messages are written to [default: beside each task]
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// With which means
        #[command(flatten)]
        means: CompactMeans,
        /// A table option for this run only
        #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
        options: Vec<(String, String)>,
    },
    /// Commit messages; those that lost to another commit are dropped with their files
    Commit {
        /// The table: a location or db.table
        table: String,
        /// The messages' files
        #[arg(required = true)]
        messages: Vec<PathBuf>,
        /// A table option for this run only
        #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
        options: Vec<(String, String)>,
    },
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The table: a location or db.table
    pub table: String,
    /// What to look at
    #[arg(value_enum, default_value_t = View::Picture)]
    pub view: View,
    /// Of which snapshot [default: the newest]
    #[command(flatten)]
    pub point: Point,
    /// How rows come out [default: table; jsonl with --json]
    #[arg(long, value_enum)]
    pub output: Option<OutputFormat>,
}

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only this database
    pub database: Option<String>,
}

/// Arguments of `describe`.
#[derive(Debug, Args)]
pub struct Describe {
    /// The table: a location or db.table
    pub table: String,
}

/// Arguments of `drop`.
#[derive(Debug, Args)]
pub struct Drop {
    /// The table: db.table or a location; with --database the database's name
    pub table: String,
    /// Drop a database, which must have no tables
    #[arg(long)]
    pub database: bool,
    /// Do it; without this the command only says what would go
    #[arg(short, long)]
    pub yes: bool,
    /// Succeed when there is nothing to drop
    #[arg(long)]
    pub if_exists: bool,
}

/// Arguments of `alter`.
#[derive(Debug, Args)]
#[command(
    after_help = "All of it becomes one new schema, or none of it. It is applied in the order of this list: columns are dropped, \
                        renamed, changed and added, then moved. A field inside of a column is named by its path: address.city, \
                        items.element.price, prices.value. Rows that are there stay as they are and are read in the new schema."
)]
pub struct Alter {
    /// The table: a location, or db.table with --warehouse
    pub table: String,
    /// Drop a column; may be repeated, as all that follow
    #[arg(long, value_name = "COLUMN")]
    pub drop_column: Vec<String>,
    /// Rename a column
    #[arg(long, value_name = "COLUMN=NAME", value_parser = key_value)]
    pub rename_column: Vec<(String, String)>,
    /// Give a column another type: price=DECIMAL(16,2)
    #[arg(long, value_name = "COLUMN=TYPE", value_parser = key_value)]
    pub column_type: Vec<(String, String)>,
    /// Allow NULL in a column
    #[arg(long, value_name = "COLUMN")]
    pub nullable: Vec<String>,
    /// Set a column's comment; an empty one takes it away
    #[arg(long, value_name = "COLUMN=TEXT", value_parser = key_value)]
    pub column_comment: Vec<(String, String)>,
    /// Give a column a default value, for rows that are written from then on: amount=0
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = key_value)]
    pub column_default: Vec<(String, String)>,
    /// Take a column's default value away
    #[arg(long, value_name = "COLUMN")]
    pub drop_column_default: Vec<String>,
    /// Add a column: "note STRING", "amount INT default 0", "address.zip STRING comment 'postal code'"
    #[arg(long, value_name = "COLUMN TYPE")]
    pub add_column: Vec<String>,
    /// Move a column: note=first, note=last, note=after:id, note=before:id
    #[arg(long, value_name = "COLUMN=PLACE", value_parser = key_value)]
    pub move_column: Vec<(String, String)>,
    /// Set a table option
    #[arg(short = 'o', long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Take a table option away
    #[arg(long, value_name = "KEY")]
    pub unset: Vec<String>,
    /// Set the table's comment; an empty one takes it away
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
}

/// Arguments of `rescale`.
#[derive(Debug, Args)]
#[command(
    after_help = "One commit for each partition, so others may be written meanwhile. Without --partition option `bucket` of the \
                        table is changed too."
)]
pub struct Rescale {
    /// The table: a location, or db.table with --warehouse
    pub table: String,
    /// The new number of buckets
    #[arg(short, long, value_name = "N")]
    pub buckets: i32,
    /// Only this partition; repeat for each of its columns, or for several values of one
    #[arg(short, long = "partition", value_name = "COLUMN=VALUE", value_parser = key_value)]
    pub partitions: Vec<(String, String)>,
    /// A table option for this run alone (write-buffer-size, ..)
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

/// Arguments of `tag`.
#[derive(Debug, Args)]
pub struct Tag {
    /// What to do
    #[command(subcommand)]
    pub action: TagAction,
}

/// What `tag` does.
#[derive(Debug, Subcommand)]
pub enum TagAction {
    /// Give a snapshot a name
    Create {
        /// The table: a location or db.table
        table: String,
        /// The tag's name
        name: String,
        /// Which snapshot [default: the newest]
        #[command(flatten)]
        point: Point,
        /// The time after which other engines may delete the tag: '7 d' [default: option tag.default-time-retained]
        #[arg(long, value_name = "TIME")]
        time_retained: Option<String>,
    },
    /// Give a tag another name
    Rename {
        /// The table: a location or db.table
        table: String,
        /// The tag's name
        name: String,
        /// Its new name
        to: String,
    },
    /// Point a tag at another snapshot, and delete what it alone kept
    Replace {
        /// The table: a location or db.table
        table: String,
        /// The tag's name
        name: String,
        /// Which snapshot [default: the newest]
        #[command(flatten)]
        point: Point,
        /// The time after which other engines may delete the tag: '7 d' [default: option tag.default-time-retained]
        #[arg(long, value_name = "TIME")]
        time_retained: Option<String>,
    },
    /// Delete a tag, and what it alone kept
    Delete {
        /// The table: a location or db.table
        table: String,
        /// The tag's name
        name: String,
    },
    /// List the tags
    List {
        /// The table: a location or db.table
        table: String,
        /// How rows come out [default: table; jsonl with --json]
        #[arg(long, value_enum)]
        output: Option<OutputFormat>,
    },
}

/// Arguments of `branch`.
#[derive(Debug, Args)]
#[command(
    after_help = "A branch is named TABLE$branch_NAME, or with --branch, wherever a table is read, followed, written, altered or \
                        inspected. Expiry is the table's own; it leaves what branches need."
)]
pub struct Branch {
    /// What to do
    #[command(subcommand)]
    pub action: BranchAction,
}

/// What `branch` does.
#[derive(Debug, Subcommand)]
pub enum BranchAction {
    /// Make an empty branch with the table's schemas, or one that begins with a tag
    Create {
        /// The table: a location or db.table
        table: String,
        /// The branch's name
        name: String,
        /// The tag it begins with
        #[arg(long, value_name = "TAG")]
        from_tag: Option<String>,
    },
    /// Take a branch's snapshots, schemas and tags into the table, where these follow the table's newest snapshot
    FastForward {
        /// The table: a location or db.table
        table: String,
        /// The branch's name
        name: String,
    },
    /// Give a branch another name; commits under the old one fail
    Rename {
        /// The table: a location or db.table
        table: String,
        /// The branch's name
        name: String,
        /// Its new name
        to: String,
    },
    /// Delete a branch; data files that only it named stay
    Delete {
        /// The table: a location or db.table
        table: String,
        /// The branch's name
        name: String,
        /// Do it; without this the command only says what would go
        #[arg(short, long)]
        yes: bool,
    },
    /// List the branches
    List {
        /// The table: a location or db.table
        table: String,
        /// How rows come out [default: table; jsonl with --json]
        #[arg(long, value_enum)]
        output: Option<OutputFormat>,
    },
}

/// Arguments of `expire`.
#[derive(Debug, Args)]
#[command(after_help = "What is not said here is taken from the table's options (snapshot.num-retained.min and .max, \
                        snapshot.time-retained, changelog.*). Files that a tag, a branch or a changelog needs stay, and what a \
                        consumer has not read. A snapshot younger than a quarter of snapshot.time-retained stays too: a commit \
                        under way may rest on it.")]
pub struct Expire {
    /// The table: a location, or db.table with --warehouse
    pub table: String,
    /// Keep at most so many snapshots, whatever their age
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub retain_max: Option<i64>,
    /// Keep at least so many snapshots, whatever their age
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub retain_min: Option<i64>,
    /// Take what is older than this: a time (2024-01-31T12:00:00, with Z or in local time) or an age ('2 h', '7 d')
    #[arg(long, value_name = "TIME")]
    pub older_than: Option<String>,
    /// Take at most so many snapshots, and as many changelogs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..))]
    pub max_deletes: Option<i64>,
    /// Only list what would go
    #[arg(long)]
    pub dry_run: bool,
    /// A table option for this run alone (changelog.time-retained, ..)
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

/// Arguments of `catalog`.
#[derive(Debug, Args)]
pub struct Catalog {
    /// What to do.
    #[command(subcommand)]
    pub action: CatalogAction,
}

/// What `catalog` does.
#[derive(Debug, Subcommand)]
pub enum CatalogAction {
    /// Answer Paimon's REST catalog requests: Java, Flink, Spark, pypaimon and forebay commit through it
    #[command(
        after_help = "Clients: metastore=rest, uri=http://HOST:PORT, warehouse=NAME, token.provider=bear, token=..
                      forebay: --warehouse rest+http://HOST:PORT, and the token in FOREBAY_CATALOG_TOKEN.
                      Clients read and write the warehouse's files themselves; the service commits by create-if-absent, keeps no                       state, and may run as often as you like. It speaks plain HTTP: put TLS before it."
    )]
    Serve(Serve),
}

/// Arguments of `catalog serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The address to listen on; port 0 takes a free one, which is told on standard output
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:10000")]
    pub listen: std::net::SocketAddr,
    /// The name that clients give as warehouse; by default the last part of the location
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A file with the bearer token that clients must show; else FOREBAY_CATALOG_TOKEN
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Serve without a token on an address that others reach
    #[arg(long)]
    pub insecure: bool,
    /// Tell each request on standard error
    #[arg(short, long)]
    pub verbose: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where the table is made; by default in a new temporary directory, which is kept
    pub dir: Option<PathBuf>,
    /// TPC-H scale: 1 is 1,500,000 orders
    #[arg(long, default_value_t = 0.1)]
    pub scale: f64,
    /// Buckets of the table
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub buckets: u32,
}

/// Formats that come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// Comma-separated values with a header line
    Csv,
    /// A JSON object a line
    Jsonl,
    /// Parquet files
    Parquet,
    /// Arrow IPC files or streams
    Arrow,
    /// A change a line: {"kind":"+I","row":{..}}
    Changes,
}

/// Formats that go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Table,
    /// A JSON object a line
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
    /// A Parquet file
    Parquet,
    /// An Arrow IPC stream
    Arrow,
}

/// Which changes `read --between` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BetweenMode {
    /// The rows that were written, as they came
    Delta,
    /// The changelog
    Changelog,
    /// The rows that differ
    Diff,
}

/// What `inspect` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum View {
    /// A row for each snapshot
    Snapshots,
    /// A row for each changelog that outlived its snapshot
    Changelogs,
    /// A row for each version of the schema
    Schemas,
    /// The manifests of a snapshot
    Manifests,
    /// The live data files
    Files,
    /// Rows, files and bytes of each partition
    Partitions,
    /// Rows, files and bytes of each bucket, and how many buckets each partition should have
    Buckets,
    /// The bucket count that would fit each partition
    Advice,
    /// The table's options
    Options,
    /// Readers that keep their progress in the table
    Consumers,
    /// Snapshots with a name
    Tags,
    /// Lines of snapshots beside the table's own
    Branches,
    /// The levels of each bucket, drawn as text
    Picture,
}

impl View {
    /// Whether it shows what one snapshot holds.
    pub fn is_of_a_snapshot(self) -> bool {
        use View::{Advice, Buckets, Files, Manifests, Partitions, Picture};
        matches!(self, Manifests | Files | Partitions | Buckets | Advice | Picture)
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("give it as KEY=VALUE")?;
    match key.trim() {
        "" => Err("the key is empty".into()),
        key => Ok((key.to_string(), value.trim().to_string())),
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
