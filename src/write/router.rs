//! Which bucket a row belongs to: columns in, one number for each row out.
//! Spec: `format-spec/bucket.md`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use arrow_array::ArrayRef;
use arrow_row::{OwnedRow, RowConverter, SortField};

use super::dynamic::{DynamicBuckets, IndexUpdate};
use crate::error::{Error, Result};
use crate::format::{BinaryRow, assign, bucket_hashes};
use crate::schema::{BucketFunction, BucketMode, Schema, TableOptions};
use crate::types::{DataType, lane_type};

/// How the bucket of a row is found.
pub(super) enum Buckets {
    /// Everything goes to this one.
    One(i32),
    /// By the hash of the bucket key; partitions that know no count of their own have this one.
    Fixed(BucketFunction, i32),
    /// By the index of the keys.
    Dynamic(Box<DynamicBuckets>),
    /// As [`Router::give`] tells for the next rows.
    Given(Vec<i32>),
}

/// Routes rows to buckets, which it numbers in the order it meets them.
pub(super) struct Router {
    partitions: PartitionColumns,
    bucket_columns: Vec<usize>,
    bucket_types: Vec<DataType>,
    buckets: Buckets,
    known: HashMap<(u32, i32), u32>,
    targets: Vec<(BinaryRow, i32)>,
    /// The bucket count that the rows of each target were routed by; -1 where none is fixed.
    totals: Vec<i32>,
}

impl Router {
    pub(super) fn new(schema: &Schema, buckets: Buckets) -> Result<Self> {
        let keys = match &buckets {
            Buckets::One(_) | Buckets::Given(_) => Vec::new(),
            Buckets::Fixed(..) => schema.bucket_keys(),
            Buckets::Dynamic(_) => schema.trimmed_primary_keys(),
        };
        Ok(Self {
            partitions: PartitionColumns::new(schema)?,
            bucket_columns: schema.positions(&keys)?,
            bucket_types: schema.types_of(&keys)?,
            buckets,
            known: HashMap::new(),
            targets: Vec::new(),
            totals: Vec::new(),
        })
    }

    /// The buckets of the rows that are routed next.
    pub(super) fn give(&mut self, buckets: Vec<i32>) {
        self.buckets = Buckets::Given(buckets);
    }

    /// What is in the table does not matter.
    pub(super) fn anew(&mut self) {
        if let Buckets::Dynamic(dynamic) = &mut self.buckets {
            dynamic.anew();
        }
    }

    /// The same rows go to the same buckets by another schema; new partitions get its bucket count. No target is known.
    pub(super) fn take_up(&mut self, schema: &Schema, options: &TableOptions) -> Result<()> {
        let keys = match &self.buckets {
            Buckets::One(_) | Buckets::Given(_) => Vec::new(),
            Buckets::Fixed(..) => schema.bucket_keys(),
            Buckets::Dynamic(_) => schema.trimmed_primary_keys(),
        };
        (self.bucket_columns, self.bucket_types) = (schema.positions(&keys)?, schema.types_of(&keys)?);
        if let (Buckets::Fixed(_, count), BucketMode::Fixed(wanted)) = (&mut self.buckets, options.bucket) {
            *count = wanted;
        }
        self.partitions.take_up(schema)
    }

    /// The partition and bucket that a target's number stands for.
    pub(super) fn target(&self, number: u32) -> Option<&(BinaryRow, i32)> {
        self.targets.get(number as usize)
    }

    /// The bucket count that a target's rows were routed by.
    pub(super) fn total(&self, number: u32) -> i32 {
        self.totals.get(number as usize).copied().unwrap_or(-1)
    }

    /// Begins anew, without any target.
    pub(super) fn forget_targets(&mut self) {
        self.known.clear();
        self.targets.clear();
        self.totals.clear();
        self.partitions.forget();
    }

    /// How many targets were met.
    pub(super) fn targets(&self) -> usize {
        self.targets.len()
    }

    /// For each row the number of its partition. What routing needs of them is read.
    pub(super) async fn partitions(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let numbers = self.partitions.of(columns, rows)?;
        if let Buckets::Dynamic(dynamic) = &mut self.buckets {
            let met: BTreeSet<u32> = numbers.iter().copied().collect();
            dynamic.load(met.into_iter().map(|number| self.partitions.value(number))).await?;
        }
        Ok(numbers)
    }

    /// Memory that indexes of dynamic buckets take.
    pub(super) fn index_bytes(&self) -> usize {
        match &self.buckets {
            Buckets::Dynamic(dynamic) => dynamic.bytes(),
            _ => 0,
        }
    }

    /// For each row the number of its target. `count_of` tells the bucket counts of partitions that have rows.
    pub(super) fn route(
        &mut self,
        columns: &[ArrayRef],
        partitions: Vec<u32>,
        count_of: impl Fn(&BinaryRow) -> Option<i32>,
    ) -> Result<Vec<u32>> {
        let rows = partitions.len();
        let mut counts: HashMap<u32, i32> = HashMap::new();
        let keys = || -> Vec<ArrayRef> { self.bucket_columns.iter().map(|at| columns[*at].clone()).collect() };
        let buckets = match &mut self.buckets {
            Buckets::One(bucket) => vec![*bucket; rows],
            Buckets::Given(buckets) => std::mem::take(buckets),
            Buckets::Fixed(function, default) => {
                for run in partitions.chunk_by(|a, b| a == b) {
                    let count = || count_of(self.partitions.value(run[0])).unwrap_or(*default);
                    counts.entry(run[0]).or_insert_with(count);
                }
                let keys = keys();
                let mut of_count: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
                for count in counts.values() {
                    if !of_count.contains_key(count) {
                        of_count.insert(*count, assign(*function, &keys, &self.bucket_types, *count, rows)?);
                    }
                }
                match (of_count.len(), of_count.pop_first()) {
                    (1, Some((_, buckets))) => buckets,
                    (_, first) => {
                        of_count.extend(first);
                        let bucket = |(row, partition): (usize, &u32)| of_count[&counts[partition]][row];
                        partitions.iter().enumerate().map(bucket).collect()
                    }
                }
            }
            Buckets::Dynamic(dynamic) => {
                let hashes = bucket_hashes(&keys(), &self.bucket_types, rows)?;
                let mut buckets = Vec::with_capacity(rows);
                for run in partitions.chunk_by(|a, b| a == b) {
                    let hashes = hashes[buckets.len()..][..run.len()].iter().copied();
                    dynamic.assign(self.partitions.value(run[0]), hashes, &mut buckets)?;
                }
                buckets
            }
        };
        let mut targets = Vec::with_capacity(rows);
        let mut last = None;
        for (partition, bucket) in partitions.into_iter().zip(buckets) {
            let target = match last {
                Some((place, target)) if place == (partition, bucket) => target,
                _ => self.number(partition, bucket, counts.get(&partition).copied().unwrap_or(-1)),
            };
            last = Some(((partition, bucket), target));
            targets.push(target);
        }
        Ok(targets)
    }

    /// What the rows since the last call change of the tables' indexes.
    pub(super) async fn prepare(&mut self) -> Result<Vec<IndexUpdate>> {
        match &mut self.buckets {
            Buckets::Dynamic(dynamic) => dynamic.prepare().await,
            _ => Ok(Vec::new()),
        }
    }

    fn number(&mut self, partition: u32, bucket: i32, total: i32) -> u32 {
        let next = self.targets.len() as u32;
        let number = *self.known.entry((partition, bucket)).or_insert(next);
        if number == next {
            self.targets.push((self.partitions.value(partition).clone(), bucket));
            self.totals.push(total);
        }
        number
    }
}

/// The partition columns of a table; numbers partitions in the order it meets them.
pub(super) struct PartitionColumns {
    columns: Vec<usize>,
    types: Vec<DataType>,
    converter: Option<RowConverter>,
    known: HashMap<OwnedRow, u32>,
    /// The row without fields, then the partitions that were met.
    values: Vec<BinaryRow>,
}

impl PartitionColumns {
    pub(super) fn new(schema: &Schema) -> Result<Self> {
        let types = schema.types_of(&schema.partition_keys)?;
        let fields = types.iter().map(|t| SortField::new(lane_type(&t.kind))).collect::<Vec<_>>();
        let converter = if fields.is_empty() {
            None
        } else {
            Some(RowConverter::new(fields).map_err(|error| Error::bug(error.to_string()))?)
        };
        let columns = schema.positions(&schema.partition_keys)?;
        Ok(Self { columns, types, converter, known: HashMap::new(), values: vec![BinaryRow::empty()] })
    }

    /// The same partitions by another schema, in which their columns may stand elsewhere.
    pub(super) fn take_up(&mut self, schema: &Schema) -> Result<()> {
        self.columns = schema.positions(&schema.partition_keys)?;
        Ok(())
    }

    fn forget(&mut self) {
        self.known.clear();
        self.values.truncate(1);
    }

    /// The partition of a number that [`PartitionColumns::of`] gave.
    pub(super) fn value(&self, number: u32) -> &BinaryRow {
        &self.values[number as usize]
    }

    /// For each row the number of its partition.
    pub(super) fn of(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let lanes: Vec<ArrayRef> = self.columns.iter().map(|at| columns[*at].clone()).collect();
        self.of_lanes(&lanes, rows)
    }

    /// The same for the partition columns alone.
    pub(super) fn of_lanes(&mut self, lanes: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let Some(converter) = &self.converter else { return Ok(vec![0; rows]) };
        let keys = converter.convert_columns(lanes).map_err(|error| Error::bug(error.to_string()))?;
        let mut numbers = Vec::with_capacity(rows);
        for row in 0..rows {
            if row > 0 && keys.row(row) == keys.row(row - 1) {
                numbers.push(numbers[row - 1]);
                continue;
            }
            let owned = keys.row(row).owned();
            let number = match self.known.get(&owned) {
                Some(number) => *number,
                None => {
                    let number = self.values.len() as u32;
                    self.values.push(BinaryRow::encode_columns(lanes, &self.types, row)?);
                    self.known.insert(owned, number);
                    number
                }
            };
            numbers.push(number);
        }
        Ok(numbers)
    }
}
