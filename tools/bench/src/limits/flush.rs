//! The floor of a flush: sort and deduplicate, gather, encode.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use super::Steps;
use crate::data::BATCH;
use crate::measure::Outcome;

/// Columns with few enough values for a dictionary to pay.
const LOW_CARDINALITY: [&str; 4] = ["c_int", "c_date", "c_status", "c_city"];
/// Bits of a radix digit.
const DIGIT: u32 = 11;

/// What one flush costs.
pub(super) struct Flush {
    /// Sort, gather and encode as Paimon's defaults say: zstd level 1, a dictionary wherever it fits.
    pub seconds: f64,
    /// The same with dictionaries only where they pay.
    pub tuned_seconds: f64,
    /// Size of a row in the file.
    pub bytes_per_row: f64,
}

impl Flush {
    pub(super) fn time(steps: &mut Steps, prefix: &str, input: &RecordBatch) -> Outcome<Self> {
        let rows = input.num_rows();
        let (sort, order) = steps.time(&format!("{prefix}sort and deduplicate"), rows, || Ok(newest_of_each(input)))?;
        let gather = || Ok(take_record_batch(input, &order)?);
        let (gather, sorted) = steps.time(&format!("{prefix}gather"), rows, gather)?;
        let (encode, file) = steps.time(&format!("{prefix}encode"), rows, || encode(&sorted, everywhere()))?;
        let name = format!("{prefix}encode, dictionary where it pays");
        let (tuned, _) = steps.time(&name, rows, || super::flush::encode(&sorted, where_it_pays()))?;
        let bytes_per_row = file.len() as f64 / sorted.num_rows() as f64;
        Ok(Self { seconds: sort + gather + encode, tuned_seconds: sort + gather + tuned, bytes_per_row })
    }
}

/// The whole of a flush, untimed.
pub(super) fn whole(input: &RecordBatch) -> Outcome<()> {
    let sorted = sorted_run(input)?;
    std::hint::black_box(encode(&sorted, everywhere())?);
    Ok(())
}

/// The newest row of each key, in key order.
pub(super) fn sorted_run(input: &RecordBatch) -> Outcome<RecordBatch> {
    Ok(take_record_batch(input, &newest_of_each(input))?)
}

/// Positions of the newest row of each key, in key order: a stable radix sort on the bits in which keys differ.
fn newest_of_each(input: &RecordBatch) -> UInt32Array {
    let keys = input.column(0).as_primitive::<Int64Type>().values();
    let unsigned = |key: i64| (key as u64) ^ (1 << 63);
    let mut pairs: Vec<(u64, u32)> = keys.iter().zip(0..).map(|(key, at)| (unsigned(*key), at)).collect();
    let (all, any) = pairs.iter().fold((u64::MAX, 0), |(all, any), pair| (all & pair.0, any | pair.0));
    let mut other = vec![(0, 0); pairs.len()];
    for shift in (0..64 - (all ^ any).leading_zeros()).step_by(DIGIT as usize) {
        let digit = |key: u64| (key >> shift) as usize & ((1 << DIGIT) - 1);
        let mut ends = vec![0; 1 << DIGIT];
        pairs.iter().for_each(|pair| ends[digit(pair.0)] += 1);
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        for pair in &pairs {
            let place = &mut ends[digit(pair.0)];
            other[*place] = *pair;
            *place += 1;
        }
        std::mem::swap(&mut pairs, &mut other);
    }
    let last = |at: &usize| pairs.get(at + 1).is_none_or(|next| next.0 != pairs[*at].0);
    UInt32Array::from_iter_values((0..pairs.len()).filter(last).map(|at| pairs[at].1))
}

fn zstd() -> WriterPropertiesBuilder {
    let level = ZstdLevel::try_new(1).unwrap_or_default();
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::Chunk)
}

/// Paimon's default.
pub(super) fn everywhere() -> WriterProperties {
    zstd().set_dictionary_enabled(true).build()
}

fn where_it_pays() -> WriterProperties {
    let plain = zstd().set_dictionary_enabled(false);
    let of =
        |builder: WriterPropertiesBuilder, name| builder.set_column_dictionary_enabled(ColumnPath::from(name), true);
    LOW_CARDINALITY.into_iter().fold(plain, of).build()
}

/// A Parquet file in memory.
pub(super) fn encode(rows: &RecordBatch, properties: WriterProperties) -> Outcome<Vec<u8>> {
    let mut writer = ArrowWriter::try_new(Vec::with_capacity(64 << 20), rows.schema(), Some(properties))?;
    for start in (0..rows.num_rows()).step_by(BATCH as usize) {
        writer.write(&rows.slice(start, (rows.num_rows() - start).min(BATCH as usize)))?;
    }
    Ok(writer.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Keys, batch};

    #[test]
    fn the_radix_sort_keeps_the_newest_row_of_each_key() {
        let input = batch(0, 5000, Keys { space: 700, zipf: true }).unwrap();
        let keys = input.column(0).as_primitive::<Int64Type>().values();
        let newest: std::collections::BTreeMap<i64, u32> = keys.iter().copied().zip(0..).collect();
        assert_eq!(newest_of_each(&input), UInt32Array::from_iter_values(newest.into_values()));
    }
}
