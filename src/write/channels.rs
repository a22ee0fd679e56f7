//! How the rows of one job are spread over parallel writers, by Paimon's rule.
//! Spec: `format-spec/bucket.md`, channels.

use arrow_array::{ArrayRef, RecordBatch};

use super::router::PartitionColumns;
use crate::error::{Error, Result};
use crate::format::{assign, bucket_hashes};
use crate::schema::{BucketMode, Schema, TableOptions};
use crate::types::{DataType, accept_filled};

/// One of the parallel writers of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channel {
    /// Its number, from 0.
    pub index: u32,
    /// How many there are.
    pub count: u32,
}

impl Channel {
    /// The only writer of a job.
    pub const ONLY: Self = Self { index: 0, count: 1 };

    /// The writers and the classes of keys of a table: each class has buckets and a writer of its own.
    pub(super) fn classes(self, options: &TableOptions) -> i32 {
        let count = self.count.min(MAX_CHANNELS) as i32;
        let dynamic = &options.dynamic_bucket;
        // One writer alone stands for the assigners that the options wish for.
        let most = if count == 1 { i32::MAX } else { count };
        let wished = dynamic.initial_buckets.or(if count == 1 { dynamic.assigner_parallelism } else { Some(count) });
        wished.unwrap_or(1).min(most).min(dynamic.max_buckets.unwrap_or(i32::MAX)).clamp(1, MAX_CHANNELS as i32)
    }

    pub(super) fn check(self) -> Result<Self> {
        if self.count == 0 || self.index >= self.count || self.count > MAX_CHANNELS {
            return Err(Error::invalid(format!("writer {} of {} does not exist", self.index, self.count)));
        }
        Ok(self)
    }
}

/// More writers than a table can have dynamic buckets make no sense.
const MAX_CHANNELS: u32 = 32_767;

/// The channel of a partition's class 0.
pub(super) fn first_channel(partition_hash: i32, channels: i32) -> i32 {
    (partition_hash % channels).abs()
}

/// The class of a key.
pub(super) fn class_of(key_hash: i32, classes: i32) -> i32 {
    (key_hash % classes).abs()
}

/// Says which of a job's parallel writers takes a row.
pub struct Channels {
    schema: std::sync::Arc<Schema>,
    options: TableOptions,
    partitions: PartitionColumns,
    key_columns: Vec<usize>,
    key_types: Vec<DataType>,
    defaults: Vec<Option<ArrayRef>>,
    count: i32,
}

impl Channels {
    pub(crate) fn new(schema: std::sync::Arc<Schema>, options: TableOptions, count: u32) -> Result<Self> {
        Channel { index: 0, count }.check()?;
        let keys = match options.bucket {
            BucketMode::Fixed(_) => schema.bucket_keys(),
            BucketMode::Dynamic | BucketMode::Postpone => schema.trimmed_primary_keys(),
            BucketMode::Unaware => {
                return Err(Error::invalid("a table without buckets: any writer may take any row"));
            }
            other => return Err(Error::unsupported(format!("parallel writers of a table with {other:?} buckets"))),
        };
        Ok(Self {
            partitions: PartitionColumns::new(&schema)?,
            key_columns: schema.positions(&keys)?,
            key_types: schema.types_of(&keys)?,
            count: count as i32,
            defaults: schema.default_lanes()?,
            schema,
            options,
        })
    }

    /// For each row the number of the writer that must take it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for rows that do not fit the table.
    pub fn of(&mut self, rows: &RecordBatch) -> Result<Vec<u32>> {
        let rows = accept_filled(&self.schema.columns(), &self.defaults, rows)?;
        let (columns, count) = (rows.columns(), rows.num_rows());
        let keys: Vec<ArrayRef> = self.key_columns.iter().map(|at| columns[*at].clone()).collect();
        let offsets = match self.options.bucket {
            BucketMode::Fixed(buckets) => assign(self.options.bucket_function, &keys, &self.key_types, buckets, count)?,
            // The order of different writers' rows is not kept, so a key has one writer.
            BucketMode::Postpone => {
                let hashes = bucket_hashes(&keys, &self.key_types, count)?;
                hashes.into_iter().map(|hash| class_of(hash, self.count)).collect()
            }
            _ => {
                let classes = Channel { index: 0, count: self.count as u32 }.classes(&self.options);
                let hashes = bucket_hashes(&keys, &self.key_types, count)?;
                hashes.into_iter().map(|hash| class_of(hash, classes)).collect()
            }
        };
        let partitions = self.partitions.of(columns, count)?;
        let channel = |(partition, offset): (u32, i32)| {
            let first = first_channel(self.partitions.value(partition).hash(), self.count);
            ((i64::from(first) + i64::from(offset)) % i64::from(self.count)) as u32
        };
        Ok(partitions.into_iter().zip(offsets).map(channel).collect())
    }
}
