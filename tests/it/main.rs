//! The library from outside: tables written by Apache Paimon and by ourselves, read, followed and written again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod alter;
mod buckets;
mod changes;
mod compaction;
mod defaults;
mod deletion_vectors;
mod engines;
mod expiry;
mod external;
mod formats;
mod goldens;
mod indexes;
#[cfg(feature = "jdbc")]
mod jdbc;
mod lookup;
mod modify;
mod nested;
mod order;
mod other_schemas;
mod overwrite;
mod picking;
mod protected_reads;
mod row_groups;
mod row_tracking;
mod schema_rollback;
mod snapshot_ordering;
mod spawned;
mod support;
mod time;
mod vintages;
mod write;
mod writer_compaction;
