//! What is typed to bring rows in and to take them away: `write`, `load`, `delete`, `update`, `truncate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{delimiter, key_value, memory};

/// How rows come in: what `write` and `load` have in common.
#[derive(Debug, Args)]
pub struct Incoming {
    /// The input's format; by default told from the file's extension
    #[arg(short, long, value_enum)]
    pub format: Option<InputFormat>,
    /// Before the first row, add columns that the table lacks and widen those that are too narrow (Parquet and Arrow files)
    #[arg(long)]
    pub merge_schema: bool,
    /// The memory that rows are buffered in before they are written, 64kb or more: 256mb, 1gb (option write-buffer-size)
    #[arg(long, value_name = "SIZE", value_parser = memory::<64>)]
    pub memory: Option<u64>,
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
        let memory = self.memory.iter().map(|bytes| ("write-buffer-size".to_string(), format!("{bytes} b")));
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
                        duplicates nothing, as long as that commit's snapshot has not expired.\n\n\
                        --memory bounds rows, sorting, merging, encoding and the compaction beside them. Of tables with bucket=-1 \
                        the keys of every partition that gets rows are known besides, up to 1 GiB: they take of the rows' share \
                        first.\n\
                        A bucket that has as many runs as num-sorted-run.stop-trigger allows makes the writer wait for its \
                        compaction; progress and summary tell for how long (stalledSeconds with --json).")]
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
    #[arg(short = 'w', long = "where", value_name = "EXPR", allow_hyphen_values = true)]
    pub filter: String,
    /// Only count the rows
    #[arg(short = 'd', long)]
    pub dry_run: bool,
    /// A name for this statement alone: a rerun that finds a commit of it does nothing
    #[arg(long, value_name = "NAME")]
    pub commit_user: Option<String>,
    /// The memory that rows are buffered in before they are written, 64kb or more: 256mb, 1gb (option write-buffer-size)
    #[arg(long, value_name = "SIZE", value_parser = memory::<64>)]
    pub memory: Option<u64>,
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
