//! Tests of the commit: decisions with tables of cases, effects on faulty stores.

mod decisions;
mod faults;
mod indexes;
mod merging;
mod numbers;
mod prepared;
mod protocol;
mod salvage;
mod support;
