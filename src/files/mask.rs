//! A deletion vector as the rows of a file that are left to read.

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::metadata::ParquetMetaData;

use super::prune::Pruning;
use crate::error::{Error, Result};
use crate::format::DeletionVector;

/// Rows of a file with masked ones: as many bits are held.
const MOST_ROWS: usize = 1 << 32;

/// Masked rows in a row that make it worth to look for whole pages among them.
const PAGES_WORTH: u64 = 8192;

/// Whether whole pages may be masked.
pub(super) fn may_mask_pages(vector: &DeletionVector) -> bool {
    vector.len() >= PAGES_WORTH && vector.ranges_from(0).any(|range| range.end - range.start >= PAGES_WORTH)
}

/// The rows of the groups that are left, one bit each: those of the pages that are left without those masked. Groups
/// that are masked as a whole are dropped.
pub(super) fn unmasked(
    path: &str,
    metadata: &ParquetMetaData,
    pruning: &mut Pruning,
    vector: &DeletionVector,
) -> Result<BooleanBuffer> {
    let mut starts = Vec::with_capacity(metadata.num_row_groups());
    let mut total = 0_u64;
    for group in metadata.row_groups() {
        let rows = u64::try_from(group.num_rows()).map_err(|_| Error::corrupt(path, "a row group's rows"))?;
        starts.push(total..total + rows);
        total += rows;
    }
    if let Some(last) = vector.last().filter(|last| *last >= total) {
        return Err(Error::corrupt(path, format!("its deletion vector masks row {last} of {total}")));
    }
    if pruning.pages.is_none() {
        let whole = |group: &usize| {
            vector
                .ranges_from(starts[*group].start)
                .next()
                .is_some_and(|range| range.start <= starts[*group].start && range.end >= starts[*group].end)
        };
        pruning.groups.retain(|group| !whole(group));
    }
    let length = pruning.groups.iter().map(|group| starts[*group].end - starts[*group].start).sum::<u64>();
    let length = match usize::try_from(length) {
        Ok(length) if length <= MOST_ROWS => length,
        _ => return Err(Error::exhausted(format!("{path}: {length} rows, more than {MOST_ROWS} with masked ones"))),
    };
    let mut bits = BooleanBufferBuilder::new(length);
    match &pruning.pages {
        Some(pages) => pages.iter().for_each(|part| bits.append_n(part.row_count, !part.skip)),
        None => bits.append_n(length, true),
    }
    if bits.len() != length {
        return Err(Error::bug(format!("{path}: pages with {} rows, groups with {length}", bits.len())));
    }
    let mut first = 0;
    for group in &pruning.groups {
        let span = &starts[*group];
        for range in vector.ranges_from(span.start).take_while(|range| range.start < span.end) {
            for row in range.start..range.end.min(span.end) {
                bits.set_bit(first + (row - span.start) as usize, false);
            }
        }
        first += (span.end - span.start) as usize;
    }
    Ok(bits.finish())
}

/// The same for the Parquet reader, which takes it as bits or as ranges, whichever is cheaper.
pub(super) fn selection(left: &BooleanBuffer) -> RowSelection {
    RowSelection::from_boolean_buffer(left.clone())
}
