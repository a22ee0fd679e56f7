//! Forebay and other engines on the same tables, in both directions. `tools/interop/setup` builds the engines; every
//! test prints its seed, and `FOREBAY_INTEROP_SEEDS=20` runs twenty times as many.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a panic is how a test fails

mod both_ways;
mod buckets;
mod care;
mod compaction;
mod defaults;
mod deletion_vectors;
mod engines;
mod evolution;
mod expiry;
mod external;
mod filters;
mod flink;
mod form;
mod formats;
mod indexes;
mod jdbc;
mod living;
mod mixed;
mod names;
mod nested_aggregates;
mod options;
mod peers;
mod postponed;
mod read_tags;
mod removal;
mod rest;
mod retention;
mod row_ids;
mod rust;
mod sketches;
mod spark;
mod support;
mod time;
mod turns;
mod vintages;
