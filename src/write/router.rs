//! Which bucket a row belongs to: columns in, one number for each row out.
//! Spec: `format-spec/bucket.md`.

use std::collections::HashMap;

use arrow_array::ArrayRef;
use arrow_row::{OwnedRow, RowConverter, SortField};

use crate::error::{Error, Result};
use crate::format::{BinaryRow, assign};
use crate::schema::{BucketFunction, BucketMode, Schema};
use crate::types::{DataType, lane_type};

/// Routes rows to buckets, which it numbers in the order it meets them.
pub(super) struct Router {
    partition_columns: Vec<usize>,
    partition_types: Vec<DataType>,
    converter: Option<RowConverter>,
    partitions: HashMap<OwnedRow, u32>,
    values: Vec<BinaryRow>,
    bucket_columns: Vec<usize>,
    bucket_types: Vec<DataType>,
    function: BucketFunction,
    /// `None`: everything goes to bucket 0.
    buckets: Option<i32>,
    known: HashMap<(u32, i32), u32>,
    targets: Vec<(BinaryRow, i32)>,
}

impl Router {
    pub(super) fn new(schema: &Schema, mode: BucketMode, function: BucketFunction) -> Result<Self> {
        let buckets = match mode {
            BucketMode::Fixed(buckets) => Some(buckets),
            BucketMode::Unaware => None,
            BucketMode::Dynamic | BucketMode::KeyDynamic => {
                return Err(Error::unsupported("option bucket=-1: writing tables with dynamic buckets"));
            }
            BucketMode::Postpone => return Err(Error::unsupported("option bucket=-2: writing postpone buckets")),
        };
        let partition_types = schema.types_of(&schema.partition_keys)?;
        let bucket_keys = schema.bucket_keys();
        let fields = partition_types.iter().map(|t| SortField::new(lane_type(t.kind))).collect::<Vec<_>>();
        let converter = if fields.is_empty() {
            None
        } else {
            Some(RowConverter::new(fields).map_err(|error| Error::bug(error.to_string()))?)
        };
        Ok(Self {
            partition_columns: schema.positions(&schema.partition_keys)?,
            partition_types,
            converter,
            partitions: HashMap::new(),
            values: vec![BinaryRow::empty()],
            bucket_columns: schema.positions(&bucket_keys)?,
            bucket_types: schema.types_of(&bucket_keys)?,
            function,
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
        self.partitions.clear();
        self.values.truncate(1);
    }

    /// How many targets were met.
    pub(super) fn targets(&self) -> usize {
        self.targets.len()
    }

    /// For each row the number of its target.
    pub(super) fn route(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let partitions = self.partitions_of(columns, rows)?;
        let buckets = match self.buckets {
            Some(1) | None => vec![0; rows],
            Some(buckets) => {
                let keys: Vec<ArrayRef> = self.bucket_columns.iter().map(|at| columns[*at].clone()).collect();
                assign(self.function, &keys, &self.bucket_types, buckets, rows)?
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

    fn number(&mut self, partition: u32, bucket: i32) -> u32 {
        let next = self.targets.len() as u32;
        let number = *self.known.entry((partition, bucket)).or_insert(next);
        if number == next {
            self.targets.push((self.values[partition as usize].clone(), bucket));
        }
        number
    }

    fn partitions_of(&mut self, columns: &[ArrayRef], rows: usize) -> Result<Vec<u32>> {
        let Some(converter) = &self.converter else { return Ok(vec![0; rows]) };
        let lanes: Vec<ArrayRef> = self.partition_columns.iter().map(|at| columns[*at].clone()).collect();
        let keys = converter.convert_columns(&lanes).map_err(|error| Error::bug(error.to_string()))?;
        let mut numbers = Vec::with_capacity(rows);
        for row in 0..rows {
            if row > 0 && keys.row(row) == keys.row(row - 1) {
                numbers.push(numbers[row - 1]);
                continue;
            }
            let owned = keys.row(row).owned();
            let number = match self.partitions.get(&owned) {
                Some(number) => *number,
                None => {
                    let number = self.values.len() as u32;
                    self.values.push(BinaryRow::encode_columns(&lanes, &self.partition_types, row)?);
                    self.partitions.insert(owned, number);
                    number
                }
            };
            numbers.push(number);
        }
        Ok(numbers)
    }
}
