//! Keys that move between partitions: tables whose primary key lacks a partition column.
//!
//! An index of all keys tells where each lives: partition and bucket. It is made anew from the table when the writer's
//! first row comes, lies in a local file and uses a stated part of the write budget. What a row of a known key in
//! another partition does is the merge engine's choice: deduplicate deletes the old row and writes the new one,
//! partial-update and aggregation write to the old partition, first-row drops it.
//! Spec: `format-spec/bucket.md`, keys that move.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int8Array};
use arrow_select::interleave::interleave;
use redb::{Database, Durability, ReadableTable, TableDefinition};

use super::dynamic::MAX_BUCKET;
use super::router::PartitionColumns;
use crate::error::{Error, Result};
use crate::format::{BinaryRow, SnapshotId};
use crate::history::History;
use crate::read::{ReadRequest, SplitReader};
use crate::scan::{Shown, ShownLevels, plan_snapshot};
use crate::schema::{DynamicBucketOptions, MergeEngine, Schema, TableOptions};
use crate::types::{DataType, RowKind};

/// Key bytes to partition number (upper bits) and bucket (16 lower bits).
const PLACES: TableDefinition<'static, &[u8], u64> = TableDefinition::new("places");
/// The least memory of the index.
const LEAST_CACHE: usize = 4 << 20;

/// Where every key of the table is.
pub(super) struct KeyPlaces {
    database: Database,
    /// The index's file, deleted with it.
    _directory: tempfile::TempDir,
    partitions: PartitionColumns,
    partition_columns: Vec<usize>,
    partition_types: Vec<DataType>,
    key_columns: Vec<usize>,
    key_types: Vec<DataType>,
    engine: MergeEngine,
    options: DynamicBucketOptions,
    /// Keys of each bucket, by partition.
    counts: HashMap<u32, BTreeMap<i32, u64>>,
    /// One row of the partition columns of each partition that a key had to go back to.
    lanes: HashMap<u32, Vec<ArrayRef>>,
}

/// Rows with the buckets that they belong to.
pub(super) struct Placed {
    pub columns: Vec<ArrayRef>,
    pub kinds: Option<Int8Array>,
    pub buckets: Vec<i32>,
}

/// One row to be written.
struct Step {
    row: usize,
    /// The partition that it goes to, where that is not its own.
    instead: Option<u32>,
    kind: i8,
    bucket: i32,
}

impl KeyPlaces {
    /// Reads the keys of the newest snapshot, which it answers too (0 where there is none).
    pub(super) async fn load(
        history: &History,
        schema: &Arc<Schema>,
        options: &TableOptions,
        directory: Option<&Path>,
    ) -> Result<(Self, SnapshotId)> {
        let mut places = Self::empty(schema, options, directory)?;
        let Some(latest) = history.snapshots.latest().await? else { return Ok((places, 0)) };
        let shown = Shown { levels: ShownLevels::All, since: None };
        let plan = plan_snapshot(history, schema, &latest, None, shown).await?;
        // Only the columns that the index is made of.
        let select: Vec<usize> = places.partition_columns.iter().chain(&places.key_columns).copied().collect();
        let request = ReadRequest {
            schema: Arc::clone(schema),
            select,
            filter: None,
            batch_rows: options.read_batch_rows,
            wide_timestamps: true,
        };
        let reader = SplitReader::new(history, request, &plan.splits).await?;
        for split in plan.splits {
            let bucket = split.bucket;
            let mut batches = reader.start(split);
            while let Some((rows, _)) = batches.next().await? {
                let env = history.store.env().clone();
                places = env
                    .blocking(move || {
                        places.take(rows.columns(), rows.num_rows(), bucket)?;
                        Ok(places)
                    })
                    .await?;
            }
        }
        Ok((places, latest.id))
    }

    /// No key is anywhere.
    pub(super) fn empty(schema: &Arc<Schema>, options: &TableOptions, directory: Option<&Path>) -> Result<Self> {
        let temporary = match directory {
            Some(directory) => tempfile::tempdir_in(directory),
            None => tempfile::tempdir(),
        };
        let temporary = temporary.map_err(|error| Error::storage(format!("the key index: {error}")))?;
        let cache = usize::try_from(options.write_buffer_size / 8).unwrap_or(usize::MAX).max(LEAST_CACHE);
        let database =
            Database::builder().set_cache_size(cache).create(temporary.path().join("keys")).map_err(failed)?;
        let keys = schema.trimmed_primary_keys();
        Ok(Self {
            database,
            _directory: temporary,
            partitions: PartitionColumns::new(schema)?,
            partition_columns: schema.positions(&schema.partition_keys)?,
            partition_types: schema.types_of(&schema.partition_keys)?,
            key_columns: schema.positions(&keys)?,
            key_types: schema.types_of(&keys)?,
            engine: options.merge_engine,
            options: options.dynamic_bucket,
            counts: HashMap::new(),
            lanes: HashMap::new(),
        })
    }

    /// The same keys by another schema, in which their columns may stand elsewhere.
    pub(super) fn take_up(&mut self, schema: &Schema) -> Result<()> {
        self.partition_columns = schema.positions(&schema.partition_keys)?;
        self.key_columns = schema.positions(&schema.trimmed_primary_keys())?;
        self.partitions.take_up(schema)
    }

    /// Takes in rows of the table: partition columns, then key columns.
    fn take(&mut self, columns: &[ArrayRef], rows: usize, bucket: i32) -> Result<()> {
        let (partition, key) = columns.split_at(self.partition_columns.len());
        let numbers = self.partitions.of_lanes(partition, rows)?;
        let mut write = self.database.begin_write().map_err(failed)?;
        write.set_durability(Durability::None).map_err(failed)?;
        {
            let mut places = write.open_table(PLACES).map_err(failed)?;
            for (row, number) in numbers.into_iter().enumerate() {
                let key = BinaryRow::encode_columns(key, &self.key_types, row)?;
                let before = places.insert(key.row_bytes(), place(number, bucket)).map_err(failed)?;
                if let Some(before) = before.map(|before| before.value()).filter(|it| *it != place(number, bucket)) {
                    return Err(Error::corrupt(
                        "key index",
                        format!(
                            "a key is in bucket {} of one partition and bucket {bucket} of another or the same: two \
                             writers wrote a table whose keys may move between partitions at the same time",
                            before & 0xffff
                        ),
                    ));
                }
                *self.counts.entry(number).or_default().entry(bucket).or_default() += 1;
            }
        }
        write.commit().map_err(failed)
    }

    /// Finds the place of each row, which may become two rows or none.
    pub(super) fn place(&mut self, columns: Vec<ArrayRef>, kinds: Option<Int8Array>, rows: usize) -> Result<Placed> {
        let steps = self.steps(&columns, kinds.as_ref(), rows)?;
        let plain = steps.len() == rows && steps.iter().all(|step| step.instead.is_none());
        let buckets = steps.iter().map(|step| step.bucket).collect();
        if plain {
            return Ok(Placed { columns, kinds, buckets });
        }
        let kinds = Some(Int8Array::from_iter_values(steps.iter().map(|step| step.kind)));
        let columns = self.gather(columns, &steps)?;
        Ok(Placed { columns, kinds, buckets })
    }

    fn steps(&mut self, columns: &[ArrayRef], kinds: Option<&Int8Array>, rows: usize) -> Result<Vec<Step>> {
        let numbers = self.partitions.of(columns, rows)?;
        let keys: Vec<ArrayRef> = self.key_columns.iter().map(|at| columns[*at].clone()).collect();
        let mut steps = Vec::with_capacity(rows);
        let mut write = self.database.begin_write().map_err(failed)?;
        write.set_durability(Durability::None).map_err(failed)?;
        {
            let mut places = write.open_table(PLACES).map_err(failed)?;
            for (row, number) in numbers.into_iter().enumerate() {
                let kind = kinds.map_or(RowKind::Insert as i8, |kinds| kinds.value(row));
                let key = BinaryRow::encode_columns(&keys, &self.key_types, row)?;
                let known = places.get(key.row_bytes()).map_err(failed)?.map(|known| known.value());
                let Some((old, bucket)) = known.map(|known| ((known >> 16) as u32, (known & 0xffff) as i32)) else {
                    let bucket = assign(self.counts.entry(number).or_default(), &self.options, key.hash())?;
                    places.insert(key.row_bytes(), place(number, bucket)).map_err(failed)?;
                    steps.push(Step { row, instead: None, kind, bucket });
                    continue;
                };
                if old == number {
                    steps.push(Step { row, instead: None, kind, bucket });
                    continue;
                }
                match self.engine {
                    MergeEngine::FirstRow => {}
                    MergeEngine::PartialUpdate | MergeEngine::Aggregation => {
                        // As Java spells an add that goes back. A retraction stays one (decision 12).
                        let kind = if RowKind::adds(kind) { RowKind::Insert as i8 } else { kind };
                        steps.push(Step { row, instead: Some(old), kind, bucket });
                    }
                    MergeEngine::Deduplicate => {
                        steps.push(Step { row, instead: Some(old), kind: RowKind::Delete as i8, bucket });
                        if let Some(count) = self.counts.get_mut(&old).and_then(|counts| counts.get_mut(&bucket)) {
                            *count = count.saturating_sub(1);
                        }
                        let bucket = assign(self.counts.entry(number).or_default(), &self.options, key.hash())?;
                        places.insert(key.row_bytes(), place(number, bucket)).map_err(failed)?;
                        steps.push(Step { row, instead: None, kind, bucket });
                    }
                }
            }
        }
        write.commit().map_err(failed)?;
        Ok(steps)
    }

    fn gather(&mut self, columns: Vec<ArrayRef>, steps: &[Step]) -> Result<Vec<ArrayRef>> {
        let mut sources: BTreeMap<u32, usize> = BTreeMap::new();
        for number in steps.iter().filter_map(|step| step.instead) {
            if let std::collections::hash_map::Entry::Vacant(entry) = self.lanes.entry(number) {
                let values = self.partitions.value(number).decode(&self.partition_types)?;
                let lanes = values.iter().zip(&self.partition_types).map(|(value, t)| value.repeat(&t.kind, 1));
                entry.insert(lanes.collect::<Result<Vec<_>>>()?);
            }
            let next = sources.len() + 1;
            sources.entry(number).or_insert(next);
        }
        let as_they_are: Vec<(usize, usize)> = steps.iter().map(|step| (0, step.row)).collect();
        let moved: Vec<(usize, usize)> =
            steps.iter().map(|step| step.instead.map_or((0, step.row), |number| (sources[&number], 0))).collect();
        let mut by_source: Vec<u32> = vec![0; sources.len()];
        sources.iter().for_each(|(number, source)| by_source[source - 1] = *number);
        let gathered = columns.iter().enumerate().map(|(at, column)| {
            let (arrays, indices) = match self.partition_columns.iter().position(|it| *it == at) {
                None => (vec![column.as_ref()], &as_they_are),
                Some(key) => {
                    let others = by_source.iter().map(|number| self.lanes[number][key].as_ref());
                    (std::iter::once(column.as_ref()).chain(others).collect(), &moved)
                }
            };
            interleave(&arrays, indices).map_err(|error| Error::bug(error.to_string()))
        });
        gathered.collect()
    }
}

fn place(partition: u32, bucket: i32) -> u64 {
    (u64::from(partition) << 16) | u64::from(bucket as u16)
}

/// A bucket with room, or the next one, or any where no more may be made.
fn assign(counts: &mut BTreeMap<i32, u64>, options: &DynamicBucketOptions, hash: i32) -> Result<i32> {
    let room = counts.iter().find(|(_, count)| **count < options.target_rows).map(|(bucket, _)| *bucket);
    let last = options.max_buckets.map_or(MAX_BUCKET, |max| (max - 1).min(MAX_BUCKET));
    let new = || (0..=last).find(|bucket| !counts.contains_key(bucket));
    let any = || counts.keys().nth(hash.unsigned_abs() as usize % counts.len().max(1)).copied();
    let bucket = room.or_else(new).or_else(|| any().filter(|_| options.max_buckets.is_some()));
    let bucket = bucket.ok_or_else(|| {
        Error::exhausted("dynamic-bucket.target-row-num: a partition has all buckets there can be: raise it")
    })?;
    *counts.entry(bucket).or_default() += 1;
    Ok(bucket)
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::storage(format!("the key index in a local file: {error}"))
}
