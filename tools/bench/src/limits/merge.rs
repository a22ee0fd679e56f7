//! The floor of a merged read: decode the runs, merge their keys, gather the survivors.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use arrow_select::interleave::interleave;
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::Steps;
use super::flush::{encode, everywhere, sorted_run};
use crate::data::{BATCH, Keys, batch};
use crate::measure::Outcome;

/// `id`, `c_int`, `c_city`.
const PROJECTED: [usize; 3] = [0, 1, 8];

/// Overlapping runs, in memory and as files.
pub(super) struct Runs {
    rows: Vec<RecordBatch>,
    files: Vec<Bytes>,
}

/// What reading them merged costs.
pub(super) struct MergeTimes {
    pub all: f64,
    pub projected: f64,
    pub rows_out: f64,
    /// Seconds to decode one row, all columns.
    pub decode_per_row: f64,
}

impl Runs {
    pub(super) fn make(runs: u64, rows: u64, keys: Keys) -> Outcome<Self> {
        let run = |run| sorted_run(&batch(run * rows, (run + 1) * rows, keys)?);
        let rows = (0..runs).map(run).collect::<Outcome<Vec<_>>>()?;
        let files = rows.iter().map(|run| Ok(encode(run, everywhere())?.into())).collect::<Outcome<_>>()?;
        Ok(Self { rows, files })
    }

    pub(super) fn time(&self, steps: &mut Steps) -> Outcome<MergeTimes> {
        let rows = self.rows.iter().map(RecordBatch::num_rows).sum();
        let all: Vec<usize> = (0..self.rows[0].num_columns()).collect();
        let (decode, _) = steps.time("decode", rows, || self.decode(&all))?;
        let (decode_projected, _) = steps.time("decode 3 columns", rows, || self.decode(&PROJECTED))?;
        let (merge, order) = steps.time("merge keys", rows, || Ok(merge(&self.keys())))?;
        let (gather, _) = steps.time("gather merged", order.len(), || self.gather(&order, &all))?;
        let (gather_projected, _) =
            steps.time("gather merged 3 columns", order.len(), || self.gather(&order, &PROJECTED))?;
        Ok(MergeTimes {
            all: decode + merge + gather,
            projected: decode_projected + merge + gather_projected,
            rows_out: order.len() as f64,
            decode_per_row: decode / rows as f64,
        })
    }

    /// The whole of a merged read, untimed.
    pub(super) fn whole(&self) -> Outcome<()> {
        let all: Vec<usize> = (0..self.rows[0].num_columns()).collect();
        self.decode(&all)?;
        self.gather(&merge(&self.keys()), &all)?;
        Ok(())
    }

    fn keys(&self) -> Vec<&[i64]> {
        self.rows.iter().map(|run| run.column(0).as_primitive::<Int64Type>().values().as_ref()).collect()
    }

    /// Decodes every file, and drops what it decoded as a reader of a stream would.
    fn decode(&self, columns: &[usize]) -> Outcome<usize> {
        let mut rows = 0;
        for file in &self.files {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file.clone())?;
            let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
            for batch in builder.with_projection(mask).with_batch_size(BATCH as usize).build()? {
                rows += std::hint::black_box(batch?).num_rows();
            }
        }
        Ok(rows)
    }

    fn gather(&self, order: &[(usize, usize)], columns: &[usize]) -> Outcome<usize> {
        let mut bytes = 0;
        for chunk in order.chunks(BATCH as usize) {
            for column in columns {
                let runs: Vec<&dyn Array> = self.rows.iter().map(|run| run.column(*column).as_ref()).collect();
                bytes += std::hint::black_box(interleave(&runs, chunk)?).get_array_memory_size();
            }
        }
        Ok(bytes)
    }
}

/// Merges sorted runs with a tree of losers; of equal keys the newest run's row stays. Gives (run, row).
fn merge(runs: &[&[i64]]) -> Vec<(usize, usize)> {
    const END: (u64, usize) = (u64::MAX, usize::MAX);
    let leaves = runs.len().next_power_of_two().max(2);
    // A head orders by key and then newest first. A key of all ones cannot meet END, which has the greatest run.
    let head = |run: usize, at: usize| match runs.get(run).and_then(|keys| keys.get(at)) {
        Some(key) => ((*key as u64) ^ (1 << 63), runs.len() - 1 - run),
        None => END,
    };
    let mut heads: Vec<_> = (0..leaves).map(|run| head(run, 0)).collect();
    let mut winners: Vec<usize> = vec![0; leaves].into_iter().chain(0..leaves).collect();
    let mut losers = vec![0; leaves];
    for node in (1..leaves).rev() {
        let (left, right) = (winners[2 * node], winners[2 * node + 1]);
        let (winner, loser) = if heads[left] <= heads[right] { (left, right) } else { (right, left) };
        (winners[node], losers[node]) = (winner, loser);
    }
    let mut winner = winners[1];
    let mut places = vec![0; leaves];
    let mut order = Vec::with_capacity(runs.iter().map(|run| run.len()).sum());
    let mut last = None;
    while heads[winner] != END {
        let key = heads[winner].0;
        if last.replace(key) != Some(key) {
            order.push((winner, places[winner]));
        }
        places[winner] += 1;
        heads[winner] = head(winner, places[winner]);
        let mut node = (leaves + winner) / 2;
        while node >= 1 {
            let rival = losers[node];
            if heads[rival] < heads[winner] {
                losers[node] = winner;
                winner = rival;
            }
            node /= 2;
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_run_wins_a_key() {
        let runs: [&[i64]; 3] = [&[-1, 2, 5, i64::MAX], &[2, 3], &[i64::MIN, 5, i64::MAX]];
        assert_eq!(merge(&runs), [(2, 0), (0, 0), (1, 0), (1, 1), (2, 1), (2, 2)]);
    }
}
