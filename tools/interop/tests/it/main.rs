//! Forebay and other engines on the same tables, in both directions. `tools/interop/setup` builds the engines; every
//! test prints its seed, and `FOREBAY_INTEROP_SEEDS=20` runs twenty times as many.

mod both_ways;
mod care;
mod compaction;
mod evolution;
mod flink;
mod form;
mod mixed;
mod names;
mod options;
mod support;
