//! Forebay and other engines on the same tables. The tests of this crate write with one engine and read with the
//! other; this library is what they share.
//!
//! ```text
//! random schema and operations ─ ours ───┐               ┌─ our rows and changes
//!                              └ Server ─┴─ a table on ──┴─ the server's rows and changes ── all equal?
//!                                           local disk
//! ```
//!
//! A panic is how a test fails, so this library panics where a test could only do the same.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod catalogs;
mod database;
mod json;
mod layout;
mod model;
mod ours;
mod random;
mod server;
mod service;
mod spec;
mod values;
mod view;

pub use database::{JdbcPlace, PASSWORD, Sql};
pub use json::{comparable, datum_of, json_of, json_row, row_of};
pub use layout::{
    avro_forms, data_directories, file_forms, files_below, manifest_forms, orc_forms, parquet_forms, schema_form,
    snapshot_forms,
};
pub use model::{Model, Op, Operations};
pub use ours::{Writer, changes_of, create, lanes, open, rows_at, rows_of, schema_at, snapshots_of, write_once};
pub use random::{Random, seeds};
pub use server::{Engine, Server};
pub use service::{CatalogService, binary};
pub use spec::{Shape, TableSpec};
pub use values::{ALL_KINDS, random_kind, random_value};
pub use view::{View, assert_same, assert_same_rows, difference};

/// A row: a value for each column of the table, in order.
pub type Row = Vec<forebay::types::Datum>;
