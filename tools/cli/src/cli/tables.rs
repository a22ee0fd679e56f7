//! What is typed to make, change and find tables: `create`, `alter`, `drop`, `list`, `describe`.

use std::path::PathBuf;

use clap::Args;

use super::{column, column_value, key_value};
use crate::names::Names;

/// Arguments of `create`.
#[derive(Debug, Args)]
#[command(
    after_help = "Types: BOOLEAN TINYINT SMALLINT INT BIGINT FLOAT DOUBLE DECIMAL(p,s) CHAR(n) VARCHAR(n) STRING BINARY(n) \
                        VARBINARY(n) BYTES DATE TIME(p) TIMESTAMP(p) TIMESTAMP_LTZ(p) ARRAY<t> MAP<k, v> MULTISET<t> ROW<name t, ..> \
                        VARIANT, each with or without NOT NULL.\n\
                        A table with a primary key gets option bucket=1 when none is given; dynamic buckets (-1) where the key lacks a partition column."
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
    /// The primary key; its columns become NOT NULL. A name with commas stands between backticks
    #[arg(short = 'k', long, value_name = "COLUMN,..")]
    pub primary_key: Vec<Names>,
    /// The partition columns; a name with commas stands between backticks
    #[arg(short, long, value_name = "COLUMN,..")]
    pub partition_by: Vec<Names>,
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

/// Arguments of `alter`.
#[derive(Debug, Args)]
#[command(
    after_help = "All of it becomes one new schema, or none of it. It is applied in the order of this list: columns are dropped, \
                        renamed, changed and added, then moved. A field inside of a column is named by its path: address.city, \
                        items.element.price, prices.value; a name with dots, blanks or signs stands between backticks. Rows that are there stay as they are and are read in the new schema."
)]
pub struct Alter {
    /// The table: a location, or db.table with --warehouse
    pub table: String,
    /// Drop a column; may be repeated, as all that follow
    #[arg(long, value_name = "COLUMN", value_parser = column)]
    pub drop_column: Vec<Vec<String>>,
    /// Rename a column
    #[arg(long, value_name = "COLUMN=NAME", value_parser = column_value)]
    pub rename_column: Vec<(Vec<String>, String)>,
    /// Give a column another type: price=DECIMAL(16,2)
    #[arg(long, value_name = "COLUMN=TYPE", value_parser = column_value)]
    pub column_type: Vec<(Vec<String>, String)>,
    /// Allow NULL in a column
    #[arg(long, value_name = "COLUMN", value_parser = column)]
    pub nullable: Vec<Vec<String>>,
    /// Forbid NULL in a column. Rows that are there may hold it: the table says
    /// alter-column-null-to-not-null.disabled=false first
    #[arg(long, value_name = "COLUMN", value_parser = column)]
    pub not_null: Vec<Vec<String>>,
    /// Set a column's comment; an empty one takes it away
    #[arg(long, value_name = "COLUMN=TEXT", value_parser = column_value)]
    pub column_comment: Vec<(Vec<String>, String)>,
    /// Give a column a default value, for rows that are written from then on: amount=0
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = column_value)]
    pub column_default: Vec<(Vec<String>, String)>,
    /// Take a column's default value away
    #[arg(long, value_name = "COLUMN", value_parser = column)]
    pub drop_column_default: Vec<Vec<String>>,
    /// Add a column: "note STRING", "amount INT default 0", "address.zip STRING comment 'postal code'"
    #[arg(long, value_name = "COLUMN TYPE")]
    pub add_column: Vec<String>,
    /// Move a column: note=first, note=last, note=after:id, note=before:id
    #[arg(long, value_name = "COLUMN=PLACE", value_parser = column_value)]
    pub move_column: Vec<(Vec<String>, String)>,
    /// Set a table option
    #[arg(short = 'o', long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Take a table option away
    #[arg(long, value_name = "KEY")]
    pub unset: Vec<String>,
    /// Set the table's comment; an empty one takes it away
    #[arg(long, value_name = "TEXT")]
    pub comment: Option<String>,
    /// Make an older schema the newest again, alone: for changes that no commit has taken up. The files of newer schemas
    /// are deleted; refused when a snapshot, a tag or a changelog names one
    #[arg(long, value_name = "SCHEMA")]
    pub rollback_schema: Option<i64>,
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
