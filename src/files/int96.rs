//! Parquet's INT96 timestamps, which hold every `TIMESTAMP(7..9)` where Arrow's nanoseconds do not.
//!
//! Little-endian `int64` nanoseconds of the day, then `int32` Julian day. Days are found by truncating division,
//! as Java Paimon does, so that before 1970 the nanoseconds of the day are negative.
//! Spec: `format-spec/data-files.md`.

use std::sync::Arc;

use arrow_array::builder::Decimal128Builder;
use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl, get_column_reader};
use parquet::data_type::{Int96, Int96Type};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::ChunkReader;

use super::chunks::pages_of;
use super::shred::{Levels, shred};
use crate::error::{Error, Result};
use crate::types::DataType;

const JULIAN_EPOCH: i64 = 2_440_588;
const MILLIS_PER_DAY: i64 = 86_400_000;
const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// Nanoseconds since the epoch of a stored value.
fn to_nanos(value: &Int96) -> i128 {
    let words = value.data();
    let of_day = (u64::from(words[1]) << 32 | u64::from(words[0])) as i64;
    let day = i64::from(words[2] as i32) - JULIAN_EPOCH;
    i128::from(day) * NANOS_PER_DAY + i128::from(of_day)
}

/// The stored value of nanoseconds since the epoch.
fn from_nanos(nanos: i128) -> Result<Int96> {
    let millis = i64::try_from(nanos.div_euclid(1_000_000)).ok();
    let day = millis.and_then(|millis| i32::try_from(millis / MILLIS_PER_DAY + JULIAN_EPOCH).ok());
    let (Some(millis), Some(day)) = (millis, day) else {
        return Err(Error::invalid(format!("timestamp of {nanos} ns is out of range")));
    };
    let of_day = (millis % MILLIS_PER_DAY) * 1_000_000 + nanos.rem_euclid(1_000_000) as i64;
    let mut value = Int96::new();
    value.set_data(of_day as u32, ((of_day as u64) >> 32) as u32, day as u32);
    Ok(value)
}

/// One leaf of a column, ready to be written.
pub(super) struct Encoded {
    /// The values that are there.
    pub values: Vec<Int96>,
    /// How much of the path to the leaf is there, for each of its places.
    pub definition: Vec<i16>,
    /// Which list goes on, for each of its places.
    pub repetition: Vec<i16>,
}

/// A leaf of a column from a lane of it; `leaf` counts the leaves of the column.
pub(super) fn encode(data_type: &DataType, lane: &ArrayRef, leaf: usize) -> Result<Encoded> {
    if data_type.kind.is_nested() {
        let Levels { values, definition, repetition } = shred(data_type, lane, leaf)?;
        let values = values.into_iter().map(from_nanos).collect::<Result<_>>()?;
        return Ok(Encoded { values, definition, repetition });
    }
    let lane = lane.as_primitive::<Decimal128Type>();
    let values = lane.iter().flatten().map(from_nanos).collect::<Result<_>>()?;
    let definition = (0..lane.len()).map(|row| i16::from(lane.is_valid(row))).collect();
    Ok(Encoded { values, definition, repetition: Vec::new() })
}

/// Reads one INT96 column across row groups, in step with the Arrow reader of the other columns.
pub(super) struct Int96Reader<R: ChunkReader> {
    source: Arc<R>,
    metadata: Arc<ParquetMetaData>,
    column: usize,
    groups: std::vec::IntoIter<usize>,
    current: Option<(ColumnReaderImpl<Int96Type>, usize)>,
}

impl<R: ChunkReader + 'static> Int96Reader<R> {
    pub(super) fn new(source: Arc<R>, metadata: Arc<ParquetMetaData>, column: usize, groups: Vec<usize>) -> Self {
        Self { source, metadata, column, groups: groups.into_iter(), current: None }
    }

    /// The next `rows` rows as a lane.
    pub(super) fn read(&mut self, rows: usize) -> Result<ArrayRef, parquet::errors::ParquetError> {
        let mut lane = Decimal128Builder::with_capacity(rows.min(1 << 16)); // the footer may tell more rows than there are
        let mut missing = rows;
        while missing > 0 {
            while self.current.as_ref().is_none_or(|(_, left)| *left == 0) {
                self.next_group()?;
            }
            let Some((reader, left)) = &mut self.current else { break };
            let records = append(reader, missing.min(*left), &mut lane)?;
            if records == 0 {
                return Err(parquet::errors::ParquetError::EOF("INT96 column ends early".to_string()));
            }
            *left -= records;
            missing -= records;
        }
        let lane = lane.finish().with_precision_and_scale(38, 9)?;
        Ok(Arc::new(lane))
    }

    /// The values of the next `rows` rows that are there, for a leaf in a nested column.
    pub(super) fn read_values(&mut self, rows: usize) -> Result<Vec<i128>, parquet::errors::ParquetError> {
        let mut values = Vec::new();
        let mut missing = rows;
        while missing > 0 {
            while self.current.as_ref().is_none_or(|(_, left)| *left == 0) {
                self.next_group()?;
            }
            let Some((reader, left)) = &mut self.current else { break };
            let records = append_values(reader, missing.min(*left), &mut values)?;
            *left -= records;
            missing -= records;
        }
        Ok(values)
    }

    fn next_group(&mut self) -> Result<(), parquet::errors::ParquetError> {
        let end = || parquet::errors::ParquetError::EOF("INT96 column has fewer rows than the others".to_string());
        let group = self.groups.next().ok_or_else(end)?;
        let rows = self.metadata.row_group(group).num_rows() as usize;
        self.current = Some((chunk_reader(&self.source, &self.metadata, group, self.column)?, rows));
        Ok(())
    }
}

/// Reads up to `most` rows to the end of a lane, and tells how many.
fn append(
    reader: &mut ColumnReaderImpl<Int96Type>,
    most: usize,
    lane: &mut Decimal128Builder,
) -> Result<usize, parquet::errors::ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let (records, _, _) = reader.read_records(most, Some(&mut levels), None, &mut values)?;
    let mut values = values.iter();
    if levels.is_empty() {
        values.by_ref().for_each(|value| lane.append_value(to_nanos(value)));
    }
    for level in &levels {
        lane.append_option(if *level > 0 { values.next().map(to_nanos) } else { None });
    }
    Ok(records)
}

/// Reads the values of up to `most` rows of a leaf in a nested column, and tells how many rows.
fn append_values(
    reader: &mut ColumnReaderImpl<Int96Type>,
    most: usize,
    out: &mut Vec<i128>,
) -> Result<usize, parquet::errors::ParquetError> {
    let (mut values, mut definition, mut repetition) = (Vec::new(), Vec::new(), Vec::new());
    let (records, _, _) = reader.read_records(most, Some(&mut definition), Some(&mut repetition), &mut values)?;
    if records == 0 {
        return Err(parquet::errors::ParquetError::EOF("INT96 column ends early".to_string()));
    }
    out.extend(values.iter().map(to_nanos));
    Ok(records)
}

/// A leaf in a nested column: the values of `rows` rows behind the first `before` of their row group.
pub(super) fn read_page_values<R: ChunkReader + 'static>(
    source: R,
    metadata: &ParquetMetaData,
    column: usize,
    group: usize,
    before: usize,
    rows: usize,
) -> Result<Vec<i128>, parquet::errors::ParquetError> {
    let mut reader = page_reader(source, metadata, column, group, before)?;
    let mut values = Vec::new();
    let mut missing = rows;
    while missing > 0 {
        missing -= append_values(&mut reader, missing, &mut values)?;
    }
    Ok(values)
}

fn chunk_reader<R: ChunkReader + 'static>(
    source: &Arc<R>,
    metadata: &ParquetMetaData,
    group: usize,
    column: usize,
) -> Result<ColumnReaderImpl<Int96Type>, parquet::errors::ParquetError> {
    let leaf = metadata.row_group(group).column(column).column_descr_ptr();
    match get_column_reader(leaf, pages_of(source, metadata, group, column)?) {
        ColumnReader::Int96ColumnReader(reader) => Ok(reader),
        _ => Err(parquet::errors::ParquetError::General("column is not INT96".to_string())),
    }
}

/// A reader of a column chunk that has passed the first `before` rows.
fn page_reader<R: ChunkReader + 'static>(
    source: R,
    metadata: &ParquetMetaData,
    column: usize,
    group: usize,
    before: usize,
) -> Result<ColumnReaderImpl<Int96Type>, parquet::errors::ParquetError> {
    let mut reader = chunk_reader(&Arc::new(source), metadata, group, column)?;
    if reader.skip_records(before)? < before {
        return Err(parquet::errors::ParquetError::EOF("INT96 column ends early".to_string()));
    }
    Ok(reader)
}

/// The rows of one page as a lane: `rows` behind the first `before` of their row group.
pub(super) fn read_page<R: ChunkReader + 'static>(
    source: R,
    metadata: &ParquetMetaData,
    column: usize,
    group: usize,
    before: usize,
    rows: usize,
) -> Result<ArrayRef, parquet::errors::ParquetError> {
    let mut reader = page_reader(source, metadata, column, group, before)?;
    let mut lane = Decimal128Builder::with_capacity(rows);
    let mut missing = rows;
    while missing > 0 {
        let records = append(&mut reader, missing, &mut lane)?;
        if records == 0 {
            return Err(parquet::errors::ParquetError::EOF("INT96 column ends early".to_string()));
        }
        missing -= records;
    }
    Ok(Arc::new(lane.finish().with_precision_and_scale(38, 9)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_timestamps_read_back_from_year_one_to_9999() {
        for nanos in [0, 1, -1, -999_999, -1_000_001, 253_402_300_799_999_999_999, -62_135_596_800_000_000_000] {
            assert_eq!(to_nanos(&from_nanos(nanos).unwrap()), nanos);
        }
    }

    #[test]
    fn before_1970_the_nanoseconds_of_the_day_are_negative() {
        let value = from_nanos(-1).unwrap();
        assert_eq!(value.data()[2] as i64, JULIAN_EPOCH);
        assert_eq!((u64::from(value.data()[1]) << 32 | u64::from(value.data()[0])) as i64, -1);
    }
}
