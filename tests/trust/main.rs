//! The harness of trust: what this engine promises, held against seeds, crashes, kills, budgets and hostile bytes.
//!
//! A small number of seeds runs by default. `FOREBAY_SEED` is the first seed and `FOREBAY_SEEDS` how many; every
//! failure prints the command that replays it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test fails by panicking

mod asleep;
mod budgets;
mod cache;
mod compaction;
mod damage;
mod dynamic;
mod engines;
mod expiry;
mod hostile;
mod kill;
mod model;
mod postponed;
mod read_tags;
mod removal;
mod schema_rollback;
mod simulation;
mod support;
mod tags;
mod told;
mod vectors;
