//! Minimum, maximum and null counts of columns.
//!
//! Bounds are bounds, not values: strings and bytes may be cut. `None` and NULL mean unknown and never prune.
//! Spec: `format-spec/statistics.md`.

use std::sync::Arc;

use super::{BinaryRow, DataFileMeta};
use crate::error::{Error, Result};
use crate::schema::StatsMode;
use crate::types::{DataType, Datum};

/// Statistics over the columns it covers (all key columns, or the value columns that `value_stats_cols` names).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleStats {
    /// The smallest value of each covered column; NULL where unknown.
    pub min: BinaryRow,
    /// The largest value of each covered column; NULL where unknown.
    pub max: BinaryRow,
    /// The number of NULLs of each covered column; `None` where unknown. Shared by files that have the same.
    pub null_counts: Arc<[Option<i64>]>,
}

/// The statistics of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnStats {
    /// The column's type in the file's schema.
    pub data_type: DataType,
    /// No value is smaller; NULL where unknown.
    pub min: Datum,
    /// No value is larger; NULL where unknown.
    pub max: Datum,
    /// The number of NULLs; `None` where unknown.
    pub null_count: Option<i64>,
}

/// What a mode keeps of a column's statistics; `None` when it keeps nothing.
pub fn reduce_stats(mode: StatsMode, stats: &ColumnStats) -> Option<ColumnStats> {
    let mut kept = stats.clone();
    let bounds = match mode {
        StatsMode::None => return None,
        StatsMode::Full => Some((stats.min.clone(), stats.max.clone())),
        StatsMode::Truncate(length) => truncate_max(&stats.max, length)
            .map(|max| (truncate_min(&stats.min, length), max))
            .filter(|(min, max)| !min.is_null() && !max.is_null()),
        StatsMode::Counts => None,
    };
    (kept.min, kept.max) = bounds.unwrap_or((Datum::Null, Datum::Null));
    Some(kept)
}

impl SimpleStats {
    /// Statistics over no column.
    pub fn empty() -> Self {
        Self { min: BinaryRow::empty(), max: BinaryRow::empty(), null_counts: Arc::default() }
    }

    /// Statistics over exactly these columns, such as key columns (collected with `truncate(128)`).
    ///
    /// # Errors
    /// [`Error::Invalid`] when a bound does not fit its column's type.
    pub fn of(columns: &[ColumnStats]) -> Result<Self> {
        let types: Vec<DataType> = columns.iter().map(|column| column.data_type.clone()).collect();
        let mins: Vec<Datum> = columns.iter().map(|column| column.min.clone()).collect();
        let maxs: Vec<Datum> = columns.iter().map(|column| column.max.clone()).collect();
        Ok(Self {
            min: BinaryRow::encode(&mins, &types)?,
            max: BinaryRow::encode(&maxs, &types)?,
            null_counts: columns.iter().map(|column| column.null_count).collect(),
        })
    }

    /// Value statistics of named columns, each reduced to its mode, and what belongs into `_VALUE_STATS_COLS`:
    /// dense statistics leave columns of mode `none` out and name the rest, others keep every column.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a bound does not fit its column's type.
    pub fn build(columns: &[(&str, StatsMode, ColumnStats)], dense: bool) -> Result<(Self, Option<Vec<String>>)> {
        let mut kept = Vec::with_capacity(columns.len());
        let mut names = Vec::new();
        for (name, mode, stats) in columns {
            match reduce_stats(*mode, stats) {
                Some(stats) => {
                    kept.push(stats);
                    names.push((*name).to_string());
                }
                None if dense => {}
                None => kept.push(ColumnStats {
                    data_type: stats.data_type.clone(),
                    min: Datum::Null,
                    max: Datum::Null,
                    null_count: None,
                }),
            }
        }
        let all = !dense || names.len() == columns.len();
        Ok((Self::of(&kept)?, (!all).then_some(names)))
    }

    /// The statistics of one covered column, by its position among the covered columns.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when its bytes are wrong; the caller names the file.
    pub fn column(&self, index: usize, data_type: &DataType) -> Result<ColumnStats> {
        Ok(ColumnStats {
            data_type: data_type.clone(),
            min: self.min.get(index, &data_type.kind)?,
            max: self.max.get(index, &data_type.kind)?,
            null_count: self.null_counts.get(index).copied().flatten().filter(|count| *count >= 0),
        })
    }

    /// All covered columns; empty when the statistics are.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when they cover another number of columns.
    pub fn columns(&self, types: &[DataType]) -> Result<Vec<ColumnStats>> {
        if self.min.arity() != types.len() || self.max.arity() != types.len() {
            let (min, max, wanted) = (self.min.arity(), self.max.arity(), types.len());
            return Err(Error::corrupt(
                "",
                format!("statistics over {min} and {max} columns where {wanted} are meant"),
            ));
        }
        types.iter().enumerate().map(|(index, data_type)| self.column(index, data_type)).collect()
    }
}

impl DataFileMeta {
    /// The value statistics of each of the columns of the schema the file was written with (`schema_id`);
    /// `None` where the file has none.
    ///
    /// # Errors
    /// [`Error::Corrupt`] that names the data file.
    pub fn value_column_stats(&self, columns: &[(&str, &DataType)]) -> Result<Vec<Option<ColumnStats>>> {
        let covered = self.value_stats_cols.as_ref().or(self.write_cols.as_ref());
        let arity = self.value_stats.min.arity();
        if arity == 0 && self.value_stats.max.arity() == 0 {
            return Ok(vec![None; columns.len()]);
        }
        let expected = covered.map_or(columns.len(), Vec::len);
        if arity != expected || self.value_stats.max.arity() != expected {
            let what = format!("_VALUE_STATS covers {arity} columns where {expected} are meant");
            return Err(Error::corrupt(&self.file_name, what));
        }
        let position = |at: usize, name: &str| match covered {
            None => Some(at),
            Some(names) => names.iter().position(|covered| covered == name),
        };
        let stats = columns.iter().enumerate().map(|(at, (name, data_type))| {
            position(at, name).map(|index| self.value_stats.column(index, data_type)).transpose()
        });
        stats.collect::<Result<_>>().map_err(|error| error.in_file(&self.file_name))
    }
}

/// A prefix is never larger.
fn truncate_min(value: &Datum, length: usize) -> Datum {
    match value {
        Datum::String(text) => Datum::String(text.chars().take(length).collect()),
        Datum::Bytes(bytes) => Datum::Bytes(bytes.iter().take(length).copied().collect()),
        other => other.clone(),
    }
}

/// The smallest longer-or-equal bound of at most `length` characters or bytes: the prefix with its last character
/// raised, or the one before where that is the largest already; `None` when all are.
fn truncate_max(value: &Datum, length: usize) -> Option<Datum> {
    match value {
        Datum::String(text) => {
            let Some((cut, _)) = text.char_indices().nth(length) else {
                return Some(value.clone());
            };
            let mut prefix: Vec<char> = text[..cut].chars().collect();
            while let Some(last) = prefix.pop() {
                if let Some(next) = next_char(last) {
                    prefix.push(next);
                    return Some(Datum::String(prefix.into_iter().collect()));
                }
            }
            None
        }
        Datum::Bytes(bytes) if bytes.len() > length => {
            let mut prefix = bytes[..length].to_vec();
            while let Some(last) = prefix.pop() {
                if last < u8::MAX {
                    prefix.push(last + 1);
                    return Some(Datum::Bytes(prefix));
                }
            }
            None
        }
        other => Some(other.clone()),
    }
}

/// The next code point, over the gap of the surrogates, which no UTF-8 text can hold.
fn next_char(c: char) -> Option<char> {
    match c {
        '\u{d7ff}' => Some('\u{e000}'),
        c => char::from_u32(u32::from(c) + 1),
    }
}

#[cfg(test)]
mod tests;
