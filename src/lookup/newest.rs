//! The newest row of each wanted key of a bucket, as a merged read shows it.
//!
//! For engine `deduplicate` only places are merged, and values are read of the winners alone; for any other engine all
//! versions are read and merged by its function.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, Int8Array, Int64Array, UInt32Array, UInt64Array};
use arrow_select::take::take;

use super::bucket::BucketFiles;
use super::find::{Hit, Until};
use super::rules::{Request, Rules};
use super::values::{Column, Place};
use crate::error::{Error, Result};
use crate::lsm::{Keys, MergeFunction, MergedBatch, RunBatch, RunReader, SequenceOrder, merge_runs};

/// Keys that are merged at once.
const MERGED_KEYS: usize = 8192;

/// Rows by the ranks of their keys.
pub(super) struct Newest {
    /// The keys that have a row, rising.
    pub ranks: Vec<u32>,
    /// The columns that were asked for.
    pub columns: Vec<ArrayRef>,
}

impl Rules {
    /// The newest rows of the wanted keys.
    pub(super) async fn newest(
        self: &Arc<Self>,
        bucket: &BucketFiles,
        request: &Request,
        select: &[usize],
    ) -> Result<Newest> {
        if !self.one_wins() {
            return self.merged(bucket, request, select).await;
        }
        let until = if self.newest_wins() { Until::Newest } else { Until::End };
        let hits = self.find(bucket, request, until).await?;
        let mut winners = Vec::with_capacity(hits.len());
        let mut contested = Vec::new();
        for versions in hits.chunk_by(|a, b| a.rank == b.rank) {
            match versions {
                [hit] if !bucket.files[hit.file as usize].may_retract() => winners.push(*hit),
                some => contested.extend_from_slice(some),
            }
        }
        winners.extend(self.decide(bucket, request, contested).await?);
        winners.sort_unstable();
        let ranks: Vec<u32> = winners.iter().map(|hit| hit.rank).collect();
        let columns: Vec<Column> = select.iter().map(|at| Column::Value(*at)).collect();
        let columns = self.values_of(bucket, request, &winners, &columns).await?;
        Ok(Newest { ranks, columns })
    }

    /// Columns of hits, in their order. Key columns come from the request, which knows them.
    pub(super) async fn values_of(
        self: &Arc<Self>,
        bucket: &BucketFiles,
        request: &Request,
        hits: &[Hit],
        columns: &[Column],
    ) -> Result<Vec<ArrayRef>> {
        let key_of = |column: &Column| match column {
            Column::Value(at) => self.key_columns.iter().position(|key| key == at),
            _ => None,
        };
        let read: Vec<Column> = columns.iter().copied().filter(|column| key_of(column).is_none()).collect();
        // By place, and back: pages are read in order, each once.
        let mut order: Vec<u32> = (0..hits.len() as u32).collect();
        order.sort_unstable_by_key(|at| (hits[*at as usize].file, hits[*at as usize].row));
        let place = |at: &u32| (hits[*at as usize].file, hits[*at as usize].row);
        let places: Vec<Place> = order.iter().map(place).collect();
        let mut lanes = self.gather(bucket, &places, &read).await?;
        if !order.is_sorted() {
            let mut back = vec![0_u32; order.len()];
            order.iter().zip(0..).for_each(|(at, place)| back[*at as usize] = place);
            let back = UInt32Array::from(back);
            for lane in &mut lanes {
                *lane = take(lane, &back, None).map_err(|error| Error::bug(error.to_string()))?;
            }
        }
        let ranks: Vec<u32> = hits.iter().map(|hit| hit.rank).collect();
        let keys = request.take(&ranks)?;
        let mut lanes = lanes.into_iter();
        let mut lane = |column: &Column| match key_of(column) {
            Some(key) => Ok(Arc::clone(&keys[key])),
            None => lanes.next().ok_or_else(|| Error::bug("a column was not read")),
        };
        let lane = |column: &Column| match lane(column)? {
            numbers if *column == Column::Sequence && self.options.snapshot_ordering => {
                in_order(bucket, hits, &numbers)
            }
            lane => Ok(lane),
        };
        columns.iter().map(lane).collect()
    }

    /// Which of several versions wins, and whether it is a row. Hits come and go in any order.
    async fn decide(self: &Arc<Self>, bucket: &BucketFiles, request: &Request, mut hits: Vec<Hit>) -> Result<Vec<Hit>> {
        if hits.is_empty() {
            return Ok(hits);
        }
        hits.sort_unstable_by_key(|hit| (hit.file, hit.row));
        let sequence_columns = self.order.as_ref().map(|order| order.columns().to_vec()).unwrap_or_default();
        let mut wanted = vec![Column::Sequence, Column::Kind];
        wanted.extend(sequence_columns.iter().map(|at| Column::Value(*at)));
        let lanes = self.values_of(bucket, request, &hits, &wanted).await?;
        // The places travel through the merge as columns behind the user's sequence columns.
        let places: [ArrayRef; 3] = [
            Arc::new(UInt32Array::from_iter_values(hits.iter().map(|hit| hit.rank))),
            Arc::new(UInt32Array::from_iter_values(hits.iter().map(|hit| hit.file))),
            Arc::new(UInt64Array::from_iter_values(hits.iter().map(|hit| hit.row))),
        ];
        let columns: Vec<ArrayRef> = lanes[2..].iter().cloned().chain(places).collect();
        let runs = self.runs(bucket, request, &hits, &lanes[0], &lanes[1], &columns)?;
        let types: Vec<_> = sequence_columns.iter().map(|at| self.schema.fields[*at].data_type.clone()).collect();
        let order = match types.len() {
            0 => None,
            count => Some(SequenceOrder::new((0..count).collect(), &types, self.options.sequence_descending)?),
        };
        let merged = self.merge(runs, order, Arc::clone(&self.function)).await?;
        let mut winners = Vec::new();
        for batch in merged {
            let [.., ranks, files, rows] = batch.columns.as_slice() else {
                return Err(Error::bug("a merge lost its places"));
            };
            let ranks = ranks.as_primitive::<UInt32Type>().values();
            let files = files.as_primitive::<UInt32Type>().values();
            let rows = rows.as_primitive::<UInt64Type>().values();
            let hit = |((rank, file), row): ((&u32, &u32), &u64)| Hit { rank: *rank, file: *file, row: *row };
            winners.extend(ranks.iter().zip(files).zip(rows).map(hit));
        }
        Ok(winners)
    }

    /// The newest rows by the table's merge function, from all versions.
    async fn merged(self: &Arc<Self>, bucket: &BucketFiles, request: &Request, select: &[usize]) -> Result<Newest> {
        let mut hits = self.find(bucket, request, Until::End).await?;
        hits.sort_unstable_by_key(|hit| (hit.file, hit.row));
        let mut wanted: Vec<Column> = (0..self.schema.fields.len()).map(Column::Value).collect();
        wanted.extend([Column::Sequence, Column::Kind]);
        let lanes = self.values_of(bucket, request, &hits, &wanted).await?;
        let (columns, system) = lanes.split_at(self.schema.fields.len());
        let runs = self.runs(bucket, request, &hits, &system[0], &system[1], columns)?;
        let merged = self.merge(runs, self.order.clone(), Arc::clone(&self.function)).await?;
        let mut ranks = Vec::new();
        let mut rank = 0_u32;
        for batch in &merged {
            let keys: Vec<ArrayRef> = self.key_columns.iter().map(|at| Arc::clone(&batch.columns[*at])).collect();
            let keys = self.encoder.encode(&keys, batch.num_rows())?;
            for row in 0..keys.len() {
                while (rank as usize) < request.order.len()
                    && request.keys.compare(request.row(rank), &keys, row).is_lt()
                {
                    rank += 1;
                }
                ranks.push(rank);
            }
        }
        let columns = select.iter().map(|at| {
            let parts: Vec<&dyn Array> = merged.iter().map(|batch| batch.columns[*at].as_ref()).collect();
            match parts.as_slice() {
                [] => Ok(columns[*at].slice(0, 0)),
                some => arrow_select::concat::concat(some).map_err(|error| Error::bug(error.to_string())),
            }
        });
        Ok(Newest { ranks, columns: columns.collect::<Result<_>>()? })
    }

    /// Hits, sorted by place, as one run for each file, the oldest first.
    fn runs(
        &self,
        bucket: &BucketFiles,
        request: &Request,
        hits: &[Hit],
        sequence: &ArrayRef,
        kinds: &ArrayRef,
        columns: &[ArrayRef],
    ) -> Result<Vec<RunReader>> {
        let mut runs: BTreeMap<u32, RunReader> = BTreeMap::new();
        let mut from = 0;
        for of_file in hits.chunk_by(|a, b| a.file == b.file) {
            let (file, rows) = (of_file[0].file as usize, of_file.len());
            let ranks: Vec<u32> = of_file.iter().map(|hit| hit.rank).collect();
            let cut = |lane: &ArrayRef| lane.slice(from, rows);
            let path = &bucket.files[file].path;
            let batch = RunBatch {
                keys: self.keys_of(request, &ranks)?,
                sequence: sequence_lane(path, &cut(sequence))?,
                kinds: Some(kind_lane(path, &cut(kinds))?),
                columns: columns.iter().map(cut).collect(),
                age: bucket.ages[file],
                level: bucket.files[file].meta.level,
            };
            runs.insert(bucket.ages[file], Box::new(std::iter::once(Ok(batch))));
            from += rows;
        }
        Ok(runs.into_values().collect())
    }

    fn keys_of(&self, request: &Request, ranks: &[u32]) -> Result<Keys> {
        self.encoder.encode(&request.take(ranks)?, ranks.len())
    }

    async fn merge(
        &self,
        runs: Vec<RunReader>,
        order: Option<SequenceOrder>,
        function: Arc<dyn MergeFunction>,
    ) -> Result<Vec<MergedBatch>> {
        let work = move || {
            let merged = merge_runs(runs, order, function, MERGED_KEYS)?;
            merged.map(|batch| batch?.without_retractions()).collect()
        };
        self.history.store.env().computing(work).await
    }
}

/// The numbers by which snapshots order versions: those of the files, where they tell them.
fn in_order(bucket: &BucketFiles, hits: &[Hit], numbers: &ArrayRef) -> Result<ArrayRef> {
    let numbers = sequence_lane("", numbers)?;
    let of = |(hit, own): (&Hit, &i64)| Ok(bucket.files[hit.file as usize].meta.order_of_all()?.unwrap_or(*own));
    let told = hits.iter().zip(numbers.values()).map(of).collect::<Result<Vec<i64>>>()?;
    Ok(Arc::new(Int64Array::from(told)))
}

/// Sequence numbers of a file's rows.
pub(super) fn sequence_lane(path: &str, lane: &ArrayRef) -> Result<Int64Array> {
    let numbers = lane.as_primitive_opt::<Int64Type>().filter(|lane| lane.null_count() == 0);
    numbers.cloned().ok_or_else(|| Error::corrupt(path, "column _SEQUENCE_NUMBER has the wrong type"))
}

/// Row kinds of a file's rows.
pub(super) fn kind_lane(path: &str, lane: &ArrayRef) -> Result<Int8Array> {
    let kinds = lane.as_primitive_opt::<Int8Type>();
    let kinds = kinds.ok_or_else(|| Error::corrupt(path, "column _VALUE_KIND has the wrong type"))?;
    match kinds.iter().find(|kind| !matches!(kind, Some(0..=3))) {
        Some(bad) => Err(Error::corrupt(path, format!("column _VALUE_KIND: {bad:?} is no row kind"))),
        None => Ok(kinds.clone()),
    }
}
