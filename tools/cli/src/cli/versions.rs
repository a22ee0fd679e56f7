//! What is typed to name snapshots and lines of them: `tag`, `branch`.

use clap::{Args, Subcommand};

use super::{OutputFormat, Point};

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
    Create(NamedPoint),
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
    Replace(NamedPoint),
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

/// A snapshot and its name.
#[derive(Debug, Args)]
pub struct NamedPoint {
    /// The table: a location or db.table
    pub table: String,
    /// The tag's name
    pub name: String,
    /// Which snapshot [default: the newest]
    #[command(flatten)]
    pub point: Point,
    /// The time after which expiry deletes the tag: '7 d' [default: option tag.default-time-retained]
    #[arg(long, value_name = "TIME")]
    pub time_retained: Option<String>,
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
