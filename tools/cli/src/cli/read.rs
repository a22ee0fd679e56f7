//! What is typed to look at rows and at a table's inside: `read`, `lookup`, `changes`, `inspect`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use forebay::read::LEAST_READ_MEMORY;

use super::{InputFormat, Point, key_value, memory};
use crate::names::{Names, Order};

/// Arguments of `read`.
#[derive(Debug, Args)]
#[command(
    after_help = "Of tables with row-tracking.enabled the name TABLE$row_tracking shows _ROW_ID and _SEQUENCE_NUMBER too; \
                        --select and --where may name them without it too."
)]
pub struct Read {
    /// The table: a location or db.table
    pub table: String,
    /// The columns, in this order; a name with commas stands between backticks
    #[arg(short, long, value_name = "COLUMN,..")]
    pub select: Vec<Names>,
    /// Which rows: "amount > 100 and status in ('open', 'paid')", "place.city = 'Berlin'", "tags['color'] = 'red'",
    /// "cast(code as INT) > 5", "upper(name) like 'A%'", "delivered > ordered"
    #[arg(short = 'w', long = "where", value_name = "EXPR", allow_hyphen_values = true)]
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
    #[arg(long, value_name = "COLUMN [asc|desc] [nulls first|last],..", requires = "limit")]
    pub order_by: Vec<Order>,
    /// The memory for what is read of files, 32mb or more: 256mb, 1gb [default: up to 384 MiB for each of two buckets at once]
    #[arg(long, value_name = "SIZE", value_parser = memory::<{ LEAST_READ_MEMORY >> 10 }>)]
    pub memory: Option<u64>,
    /// Only how many rows there are: told by the table's metadata where it can
    #[arg(long, conflicts_with_all = ["select", "output", "order_by"])]
    pub count: bool,
    /// Guard what is read from expiry by a tag, which goes when the read ends; a read that dies leaves it for this time:
    /// '1 h'
    #[arg(long, value_name = "TIME", conflicts_with = "between")]
    pub protect: Option<String>,
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
    /// The columns, in this order; a name with commas stands between backticks
    #[arg(short, long, value_name = "COLUMN,..")]
    pub select: Vec<Names>,
    /// As of which point
    #[command(flatten)]
    pub point: Point,
    /// Succeed when keys have no row
    #[arg(long)]
    pub missing_ok: bool,
    /// The memory for what is read of files, 1mb or more: 256mb, 1gb
    #[arg(long, value_name = "SIZE", value_parser = memory::<1024>)]
    pub memory: Option<u64>,
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
    /// The memory for what is read of files, 32mb or more: 256mb, 1gb [default: up to 384 MiB]
    #[arg(long, value_name = "SIZE", value_parser = memory::<{ LEAST_READ_MEMORY >> 10 }>)]
    pub memory: Option<u64>,
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
    /// The rows that differ, with those of level 0 that batch reads do not show yet; of tables without a primary key those
    /// of files that are new
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
