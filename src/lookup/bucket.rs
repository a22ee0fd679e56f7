//! The files of one bucket in the order lookups go through them: level 0 from the newest flush to the oldest, then the
//! levels from 1 up. Each flush, and each level, is a run: no key stands in two of its files.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_select::concat::concat;

use super::file::LookupFile;
use super::rules::Rules;
use crate::error::{Error, Result};
use crate::format::{BinaryRow, DataFileMeta, bucket_directory};
use crate::lsm::{Keys, age};
use crate::scan::FileVectors;
use crate::types::Datum;

/// The files of one bucket.
#[derive(Debug)]
pub(super) struct BucketFiles {
    /// In search order.
    pub files: Vec<LookupFile>,
    /// The files of each run, by key.
    pub runs: Vec<Range<usize>>,
    /// The highest sequence number in the runs behind each run.
    behind: Vec<i64>,
    /// The first and the last key of each file, side by side.
    bounds: Keys,
    /// The place of each file from old to new, as scans order equal versions.
    pub ages: Vec<u32>,
    /// The values of the partition columns.
    pub partition: Vec<Datum>,
}

impl BucketFiles {
    pub(super) fn new(
        rules: &Rules,
        partition: &BinaryRow,
        bucket: i32,
        mut metas: Vec<&Arc<DataFileMeta>>,
        vectors: &FileVectors,
    ) -> Result<Self> {
        let directory = bucket_directory(&rules.schema, &rules.options, partition, bucket)?;
        // Newest first, as scans let one of two equal versions win.
        metas.sort_by_cached_key(|file| Reverse(age(file)));
        let all = bounds_of(rules, &metas)?;
        // Inside a level by key.
        let mut order: Vec<usize> = (0..metas.len()).collect();
        order.sort_by(|a, b| {
            let by_level = metas[*a].level.cmp(&metas[*b].level);
            let by_key = if metas[*a].level == 0 { a.cmp(b) } else { all.compare(2 * a, &all, 2 * b) };
            by_level.then(by_key)
        });
        let mut runs: Vec<Range<usize>> = Vec::new();
        for (place, at) in order.iter().enumerate() {
            let joins = place > 0 && metas[*at].level > 0 && {
                let before = order[place - 1];
                metas[before].level == metas[*at].level && all.compare(2 * before + 1, &all, 2 * at).is_lt()
            };
            match runs.last_mut() {
                Some(run) if joins => run.end = place + 1,
                _ => runs.push(place..place + 1),
            }
        }
        let ordered: Vec<&Arc<DataFileMeta>> = order.iter().map(|at| metas[*at]).collect();
        let newest = |run: &Range<usize>| ordered[run.clone()].iter().map(|file| file.max_sequence_number).max();
        let mut behind = vec![i64::MIN; runs.len()];
        for run in (1..runs.len()).rev() {
            behind[run - 1] = behind[run].max(newest(&runs[run]).unwrap_or(i64::MIN));
        }
        let file =
            |meta: &&Arc<DataFileMeta>| LookupFile::new(rules, &directory, meta, vectors.get(&meta.file_name).cloned());
        Ok(Self {
            files: ordered.iter().map(file).collect::<Result<_>>()?,
            bounds: bounds_of(rules, &ordered)?,
            ages: order.iter().map(|at| (metas.len() - at) as u32).collect(),
            runs,
            behind,
            partition: partition.decode(&rules.schema.types_of(&rules.schema.partition_keys)?)?,
        })
    }

    /// The file of a run whose key range holds a key.
    #[inline]
    pub(super) fn in_run(&self, run: usize, key: &Keys, at: usize) -> Option<usize> {
        let Range { start, end } = self.runs[run].clone();
        let (mut low, mut high) = (start, end);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.bounds.compare(2 * middle + 1, key, at).is_lt() { low = middle + 1 } else { high = middle }
        }
        (low < end && self.bounds.compare(2 * low, key, at).is_le()).then_some(low)
    }

    /// Whether no run behind this one can hold a newer version than any of this file.
    #[inline]
    pub(super) fn is_newest(&self, run: usize, file: usize) -> bool {
        self.files[file].meta.min_sequence_number > self.behind[run]
    }
}

/// The first and the last key of each file, side by side.
fn bounds_of(rules: &Rules, metas: &[&Arc<DataFileMeta>]) -> Result<Keys> {
    let mut parts: Vec<Vec<ArrayRef>> = vec![Vec::with_capacity(metas.len() * 2); rules.key_types.len()];
    for meta in metas {
        for (what, key) in [("_MIN_KEY", &meta.min_key), ("_MAX_KEY", &meta.max_key)] {
            let values = key.decode(&rules.key_types)?;
            for ((value, data_type), part) in values.iter().zip(&rules.key_types).zip(&mut parts) {
                if value.is_null() {
                    return Err(Error::corrupt(&meta.file_name, format!("{what}: NULL")));
                }
                part.push(value.repeat(&data_type.kind, 1)?);
            }
        }
    }
    let column = |(part, data_type): (&Vec<ArrayRef>, &crate::types::DataType)| match part.as_slice() {
        [] => Datum::Null.repeat(&data_type.kind, 0),
        some => {
            let refs: Vec<_> = some.iter().map(AsRef::as_ref).collect();
            concat(&refs).map_err(|error| Error::bug(error.to_string()))
        }
    };
    let lanes: Vec<ArrayRef> = parts.iter().zip(&rules.key_types).map(column).collect::<Result<_>>()?;
    rules.encoder.encode(&lanes, metas.len() * 2)
}
