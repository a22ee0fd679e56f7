//! Forebay: a streaming lakehouse engine on Apache Paimon's table format.
//!
//! # The tour
//!
//! ```
//! use std::sync::Arc;
//! use arrow_array::{Decimal128Array, Int64Array, RecordBatch};
//! use forebay::predicate::col;
//! use forebay::schema::Schema;
//! use forebay::types::DataType;
//! use forebay::{At, Catalog, Start, TableName};
//!
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! # let directory = tempfile::tempdir().unwrap();
//! # let warehouse = directory.path().to_str().unwrap();
//! let catalog = Catalog::open(warehouse, Vec::<(String, String)>::new())?;
//! catalog.create_database("shop").await?;
//! let schema = Schema::builder()
//!     .column("order_id", DataType::BIGINT)
//!     .column("amount", DataType::decimal(12, 2))
//!     .primary_key(["order_id"])
//!     .option("bucket", "4")
//!     .build()?;
//! let orders = catalog.create_table(&"shop.orders".parse::<TableName>()?, schema).await?;
//!
//! // Written rows are routed, buffered, sorted and flushed; nothing is visible before the commit.
//! let ids = Int64Array::from(vec![1, 2, 3]);
//! let amounts = Decimal128Array::from(vec![5_00, 250_00, 999_99]).with_precision_and_scale(12, 2).unwrap();
//! let batch = RecordBatch::try_from_iter([("order_id", Arc::new(ids) as _), ("amount", Arc::new(amounts) as _)]).unwrap();
//! let mut writer = orders.writer().await?;
//! writer.upsert(&batch).await?;
//! let snapshot = writer.commit().await?.snapshot_id()?;
//! writer.close().await?;                                      // brings the compaction beside it to its end
//!
//! // Merged rows, as Arrow batches.
//! let large = orders.scan().select(["order_id"]).filter(col("amount").gt(100)).at(At::Snapshot(snapshot));
//! let mut rows = large.read().await?;
//! let mut found = 0;
//! while let Some(batch) = rows.next_batch().await? {
//!     found += batch.num_rows();
//! }
//! assert_eq!(found, 2);
//!
//! // The changes, with a place to go on from that is kept in the table.
//! let mut changes = orders.changes().from(Start::LatestFull).consumer("dashboard").read().await?;
//! while let Some(change) = changes.next().await? {
//!     println!("{:?}", change.rows.rows());
//!     changes.ack().await?; // everything delivered so far was handled
//! }
//! # Ok::<(), forebay::Error>(())
//! # }).unwrap();
//! ```
//!
//! # Words
//!
//! A **snapshot** is the immutable state of a table at one commit. A **bucket** holds the rows of one partition whose
//! keys share a hash; on disk it is a tree of sorted **runs** in **levels**. A **commit message** is what a writer hands
//! to the committer, a **split** what a plan hands to a reader; both are bytes that may travel. A **lane** is a column as
//! the engine holds it. The **changelog** is what streams deliver: rows with their **kinds** (`+I`, `-U`, `+U`, `-D`).
//!
//! # Rooms
//!
//! They stand in floor order: a room imports only rooms declared above it (`tests/house_rules.rs` holds that order).

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

pub mod lookup;

pub mod compact;

pub mod write;

pub mod commit;

pub mod maintain;

pub mod stream;

pub mod inspect;

pub mod table;

pub mod catalog;

pub use catalog::{Catalog, TableName};
pub use commit::CommitOutcome;
pub use env::{Clock, Env, give_way};
pub use error::{Error, Result};
pub use scan::At;
pub use stream::Start;
pub use table::Table;
pub use write::ChangeBatch;
