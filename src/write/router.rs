//! Which bucket a row belongs to: columns in, one number for each row out.
//! Spec: `format-spec/bucket.md`.

use std::collections::{BTreeSet, HashMap};

use arrow_array::ArrayRef;
use arrow_row::{OwnedRow, RowConverter, SortField};

use super::dynamic::{DynamicBuckets, IndexUpdate};
use crate::error::{Error, Result};
use crate::format::{BinaryRow, assign, bucket_hashes};
use crate::schema::{BucketFunction, Schema};
use crate::types::{DataType, lane_type};

/// How the bucket of a row is found.
pub(super) enum Buckets {
    /// Everything goes to this one.
    One(i32),
    /// By the hash of the bucket key.
    Fixed(BucketFunction, i32),
    /// By the index of the keys.
    Dynamic(Box<DynamicBuckets>),
}

/// Routes rows to buckets, which it numbers in the order it meets them.
pub(super) struct Router {
    partitions: PartitionColumns,
    bucket_columns: Vec<usize>,
    bucket_types: Vec<DataType>,
    buckets: Buckets,
    known: HashMap<(u32, i32), u32>,
    targets: Vec<(BinaryRow, i32)>,
}

impl Router {
    pub(super) fn new(schema: &Schema, buckets: Buckets) -> Result<Self> {
        let keys = match &buckets {
            Buckets::One(_) => Vec::new(),
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
        })
    }

    /// The partition and bucket that a target's number stands for.
    pub(super) fn target(&self, number: u32) -> Option<&(BinaryRow, i32)> {
        self.targets.get(number as usize)
    }

    /// Begins anew, without any target.
    pub(super) fn forget_targets(&mut self) {
        self.known.clear();
        self.targets.clear();
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

    /// For each row the number of its target.
    pub(super) fn route(&mut self, columns: &[ArrayRef], partitions: Vec<u32>) -> Result<Vec<u32>> {
        let rows = partitions.len();
        let keys = || -> Vec<ArrayRef> { self.bucket_columns.iter().map(|at| columns[*at].clone()).collect() };
        let buckets = match &mut self.buckets {
            Buckets::One(bucket) => vec![*bucket; rows],
            Buckets::Fixed(_, 1) => vec![0; rows],
            Buckets::Fixed(function, buckets) => assign(*function, &keys(), &self.bucket_types, *buckets, rows)?,
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
                _ => self.number(partition, bucket),
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

    fn number(&mut self, partition: u32, bucket: i32) -> u32 {
        let next = self.targets.len() as u32;
        let number = *self.known.entry((partition, bucket)).or_insert(next);
        if number == next {
            self.targets.push((self.partitions.value(partition).clone(), bucket));
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
        let fields = types.iter().map(|t| SortField::new(lane_type(t.kind))).collect::<Vec<_>>();
        let converter = if fields.is_empty() {
            None
        } else {
            Some(RowConverter::new(fields).map_err(|error| Error::bug(error.to_string()))?)
        };
        let columns = schema.positions(&schema.partition_keys)?;
        Ok(Self { columns, types, converter, known: HashMap::new(), values: vec![BinaryRow::empty()] })
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
        let Some(converter) = &self.converter else { return Ok(vec![0; rows]) };
        let lanes: Vec<ArrayRef> = self.columns.iter().map(|at| columns[*at].clone()).collect();
        let keys = converter.convert_columns(&lanes).map_err(|error| Error::bug(error.to_string()))?;
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
                    self.values.push(BinaryRow::encode_columns(&lanes, &self.types, row)?);
                    self.known.insert(owned, number);
                    number
                }
            };
            numbers.push(number);
        }
        Ok(numbers)
    }
}
