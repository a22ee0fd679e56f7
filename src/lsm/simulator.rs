//! What a policy costs: read, write and space amplification over a workload, simulated on sets of keys.
//!
//! After each flush the picker is asked as a writer asks it, and what it takes is merged at once. `bench policies` plots
//! the points. Spec: `format-spec/compaction.md`, picking.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use super::levels::Levels;
use super::picker::{Moment, pick, put_off};
use crate::error::{Error, Result};
use crate::format::{BinaryRow, DataFileMeta, FileSource, SimpleStats};
use crate::schema::CompactionOptions;
use crate::types::{DataType, Datum};

/// A bucket after one flush and the compaction that followed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Point {
    /// Rows that came in until now.
    pub came: u64,
    /// Rows that flushes and compactions wrote until now.
    pub written: u64,
    /// Sorted runs that a reader merges.
    pub runs: usize,
    /// Rows in the files.
    pub stored: u64,
    /// Keys that are live.
    pub live: u64,
}

impl Point {
    /// Rows written for each row that came in.
    pub fn write_amplification(&self) -> f64 {
        self.written as f64 / self.came.max(1) as f64
    }

    /// Rows stored for each row that is live.
    pub fn space_amplification(&self) -> f64 {
        self.stored as f64 / self.live.max(1) as f64
    }
}

/// How a workload comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Milliseconds from one flush to the next; the first one comes at midnight.
    pub millis: i64,
    /// Bytes of a row in a file.
    pub row_bytes: u64,
}

struct Simulated {
    meta: DataFileMeta,
    keys: BTreeSet<i32>,
}

impl Simulated {
    fn new(name: String, level: i32, keys: BTreeSet<i32>, number: i64, pace: &Pace) -> Result<Self> {
        let key = |value: Option<&i32>| BinaryRow::encode(&[Datum::Int(value.copied().unwrap_or(0))], &[DataType::INT]);
        let rows = keys.len() as u64;
        let meta = DataFileMeta {
            file_name: name,
            file_size: i64::try_from(rows.saturating_mul(pace.row_bytes)).unwrap_or(i64::MAX),
            row_count: i64::try_from(rows).unwrap_or(i64::MAX),
            min_key: key(keys.first())?,
            max_key: key(keys.last())?,
            key_stats: SimpleStats::empty(),
            value_stats: SimpleStats::empty(),
            min_sequence_number: number,
            max_sequence_number: number,
            schema_id: 0,
            level,
            extra_files: Vec::new(),
            creation_time: Some(number.saturating_mul(pace.millis)),
            delete_row_count: Some(0),
            embedded_file_index: None,
            file_source: Some(if level == 0 { FileSource::Append } else { FileSource::Compact }),
            value_stats_cols: None,
            external_path: None,
            first_row_id: None,
            write_cols: None,
            write_cols_sequences: None,
        };
        Ok(Self { meta, keys })
    }
}

/// Flushes a workload, which is the keys of each flush, and compacts after each as the policy says; a point for each flush.
///
/// # Errors
/// [`Error::Invalid`] for a flush without keys.
pub fn simulate(
    workload: impl IntoIterator<Item = BTreeSet<i32>>,
    options: &CompactionOptions,
    pace: &Pace,
) -> Result<Vec<Point>> {
    let mut files: BTreeMap<String, Simulated> = BTreeMap::new();
    let mut live: BTreeSet<i32> = BTreeSet::new();
    let mut points: Vec<Point> = Vec::new();
    let mut now = Moment::default();
    for (commit, keys) in (0_i64..).zip(workload) {
        if keys.is_empty() {
            return Err(Error::invalid("a flush has a key at least"));
        }
        let mut point = points.last().copied().unwrap_or_default();
        now.local_millis = commit.saturating_mul(pace.millis);
        live.extend(&keys);
        point.came += keys.len() as u64;
        point.written += keys.len() as u64;
        let name = format!("flush-{commit}");
        files.insert(name.clone(), Simulated::new(name, 0, keys, commit, pace)?);
        let metas = files.values().map(|file| file.meta.clone()).collect();
        let levels = Levels::new(metas, options.num_levels, &[DataType::INT])?;
        let unit = pick(&levels, options, &now);
        now.put_off = put_off(&levels, options, &now, unit.is_some());
        if let Some(unit) = unit {
            let newest = unit.files().map(|file| file.max_sequence_number).max().unwrap_or(commit);
            let taken = unit.files().filter_map(|file| files.remove(&file.file_name));
            let merged: BTreeSet<i32> = taken.flat_map(|file| file.keys).collect();
            point.written += merged.len() as u64;
            let name = format!("compact-{commit}");
            files.insert(name.clone(), Simulated::new(name, unit.output_level, merged, newest, pace)?);
        }
        // Every file is a run: a compaction writes one.
        point.runs = files.len();
        point.stored = files.values().map(|file| file.keys.len() as u64).sum();
        point.live = live.len() as u64;
        points.push(point);
    }
    Ok(points)
}
