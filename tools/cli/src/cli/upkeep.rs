//! What is typed to keep tables small: `compact`, `rescale`, `expire`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{key_value, memory, rate};

/// Arguments of `compact`.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "A TARGET is a table, a database of --warehouse, or the location of a database or a warehouse; without one, all of \
                  --warehouse.\n\
                  Tables with the most waiting files come first, as many side by side as there are threads and 64 MiB of memory for; \
                  with --rate-limit one by one.\n\
                  A compaction that another commit contradicts loses its own work only, and is planned again.\n\
                  With changelog-producer full-compaction rows are told by full compactions alone, so such tables are compacted \
                  fully, with --full or without.\n\
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
    #[arg(long, value_name = "TIME", default_value = "10 s", requires = "watch")]
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
    /// Everything into the highest level, not only what is due (always with changelog-producer full-compaction)
    #[arg(long)]
    pub full: bool,
    /// Only a partition: 'day=2026-01-01,hour=7'; may be repeated
    #[arg(short, long, value_name = "COLUMN=VALUE,..")]
    pub partition: Vec<String>,
    /// Only partitions for which this is true: "day >= '2026-01-01'"
    #[arg(short = 'w', long = "where", value_name = "EXPR", allow_hyphen_values = true)]
    pub filter: Option<String>,
    /// Only this bucket; may be repeated
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub bucket: Vec<i32>,
    /// A table option for this run only
    #[arg(short, long = "option", value_name = "KEY=VALUE", value_parser = key_value)]
    pub options: Vec<(String, String)>,
}

/// What a compaction may take of the machine.
#[derive(Debug, Clone, Args)]
pub struct CompactMeans {
    /// The memory for all tasks together, 16mb or more: 512mb, 2gb
    #[arg(long, value_name = "SIZE", value_parser = memory::<16384>)]
    pub memory: Option<u64>,
    /// The threads that merge and encode, of one table or of as many side by side [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,
    /// Bytes of data files read in a second, what is read beside the input included: 50mb
    #[arg(long, value_name = "SIZE", value_parser = rate)]
    pub rate_limit: Option<u64>,
}

/// The parts of a compaction that may run on different machines.
#[derive(Debug, Subcommand)]
pub enum CompactPart {
    /// Write what is due as files, a task each
    Plan {
        /// The table: a location or db.table
        table: String,
        /// The directory the tasks are written to: a new one, or one without tasks and messages
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

/// Arguments of `expire`.
#[derive(Debug, Args)]
#[command(after_help = "What is not said here is taken from the table's options (snapshot.num-retained.min and .max, \
                        snapshot.time-retained, changelog.*). Tags past their own time go first (tag.time-expire-enabled), and consumers that stand still (consumer.expiration-time). Files that \
                        another tag, a branch or a changelog needs stay, and what a consumer has not read. A snapshot younger than a quarter of snapshot.time-retained stays too: a commit \
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
