//! Forebay: a streaming lakehouse engine on Apache Paimon's table format.
//!
//! The rooms below stand in floor order: a room imports only rooms declared above it
//! (`tests/house_rules.rs` holds that order).

mod error;

mod env;

pub mod types;

pub mod schema;

pub mod predicate;

pub mod format;

pub mod io;

pub mod files;

pub mod lsm;

pub mod history;

pub mod scan;

pub mod read;

pub mod write;

pub mod commit;

pub mod stream;

pub mod inspect;

pub mod table;

pub mod catalog;

pub use env::{Clock, Env};
pub use error::{Error, Result};
pub use table::Table;
