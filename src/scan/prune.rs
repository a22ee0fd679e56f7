//! What a filter tells about manifests, buckets and files. Pure.
//! Spec: `format-spec/read.md`, pruning.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::format::{BinaryRow, DataFileMeta, ManifestFilter, assign};
use crate::lsm::KeyBound;
use crate::predicate::{ColumnRange, Predicate, may_match};
use crate::schema::{BucketMode, Schema, TableOptions, column_mapping};
use crate::types::{DataType, Datum};

/// A filter, cut into what partitions, keys and values can answer.
pub struct Pruner {
    schema: Arc<Schema>,
    partition: Option<Predicate>,
    key: Option<Predicate>,
    value: Option<Predicate>,
    partition_types: Vec<DataType>,
    keys: Vec<String>,
    /// Rows of bucket keys that a matching row may have; `None` means any.
    bucket_keys: Option<Vec<Vec<Datum>>>,
    options: TableOptions,
    /// For each schema of files the table's columns by position, as the file has them.
    known: BTreeMap<i64, Known>,
}

struct Known {
    /// Names in the file of the table's columns.
    names: BTreeMap<String, Option<usize>>,
    schema: Schema,
}

/// Combinations of bucket keys beyond which bucket pruning is not worth it.
const MOST_BUCKET_KEYS: usize = 1000;

impl Pruner {
    /// # Errors
    /// [`crate::Error::Invalid`] for a key that is no column.
    pub fn new(schema: &Arc<Schema>, options: &TableOptions, filter: Option<&Predicate>) -> Result<Self> {
        let keys = schema.trimmed_primary_keys();
        let in_partition = |column: &str| schema.partition_keys.iter().any(|key| key == column);
        let split = |filter: Option<&Predicate>, by: &dyn Fn(&str) -> bool| match filter {
            Some(filter) => filter.split_by(by),
            None => (None, None),
        };
        let (partition, rest) = split(filter, &in_partition);
        let (key, _) = split(rest.as_ref(), &|column| keys.iter().any(|key| key == column));
        Ok(Self {
            partition_types: schema.types_of(&schema.partition_keys)?,
            bucket_keys: rest.as_ref().and_then(|filter| bucket_keys(schema, options, filter)),
            schema: Arc::clone(schema),
            options: options.clone(),
            partition,
            key,
            value: rest,
            keys,
            known: BTreeMap::new(),
        })
    }

    /// Learns the schema that files were written with, so that their statistics can be read.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] when a column has another type there.
    pub fn know(&mut self, file_schema: &Schema) -> Result<()> {
        let mapping = column_mapping(file_schema, &self.schema)?;
        let names = self.schema.fields.iter().zip(mapping).map(|(field, there)| (field.name.clone(), there));
        self.known.insert(file_schema.id, Known { names: names.collect(), schema: file_schema.clone() });
        Ok(())
    }

    /// Whether a partition can hold a matching row.
    pub fn partition_may_match(&self, partition: &BinaryRow) -> bool {
        let Some(filter) = &self.partition else { return true };
        let Ok(values) = partition.decode(&self.partition_types) else { return true };
        may_match(filter, &|column| {
            let at = self.schema.partition_keys.iter().position(|key| key == column)?;
            let value = values.get(at)?.clone();
            let nulls = i64::from(value.is_null());
            let value = (!value.is_null()).then_some(value);
            Some(ColumnRange { min: value.clone(), max: value, null_count: Some(nulls), row_count: 1 })
        })
    }

    /// Whether a bucket can hold a matching row, in a partition that was written with `total` buckets.
    pub fn bucket_may_match(&self, bucket: i32, total: i32) -> bool {
        self.buckets(total).is_none_or(|buckets| buckets.contains(&bucket))
    }

    fn buckets(&self, total: i32) -> Option<BTreeSet<i32>> {
        let keys = self.bucket_keys.as_ref().filter(|_| total > 0)?;
        let types = self.schema.types_of(&self.options.bucket_key).ok()?;
        let mut buckets = BTreeSet::new();
        for key in keys {
            let lanes = key.iter().zip(&types).map(|(value, t)| value.repeat(t.kind, 1));
            let lanes = lanes.collect::<Result<Vec<_>>>().ok()?;
            buckets.extend(assign(self.options.bucket_function, &lanes, &types, total, 1).ok()?);
        }
        Some(buckets)
    }

    /// Whether a file with these bounds of its key can hold a matching row.
    pub fn keys_may_match(&self, min: &KeyBound, max: &KeyBound) -> bool {
        let Some(filter) = &self.key else { return true };
        // Only the first key column is ordered over the whole file.
        may_match(filter, &|column| {
            let first = self.keys.first().filter(|key| *key == column)?;
            let _ = first;
            let (min, max) = (min.0.first()?.clone(), max.0.first()?.clone());
            Some(ColumnRange { min: Some(min), max: Some(max), null_count: Some(0), row_count: 1 })
        })
    }

    /// Whether a file's statistics allow a matching row.
    pub fn values_may_match(&self, file: &DataFileMeta) -> bool {
        let (Some(filter), Some(known)) = (&self.value, self.known.get(&file.schema_id)) else { return true };
        may_match(filter, &|column| {
            let there = known.names.get(column)?;
            let Some(field) = there.and_then(|at| known.schema.fields.get(at)) else {
                // A column that the file does not have is all NULL.
                return Some(ColumnRange { min: None, max: None, null_count: Some(file.row_count), row_count: file.row_count });
            };
            let stats = file.column_stats(&known.schema, &field.name)?;
            let bound = |value: &Datum| (!value.is_null()).then(|| value.clone());
            Some(ColumnRange {
                min: bound(&stats.min),
                max: bound(&stats.max),
                null_count: stats.null_count,
                row_count: file.row_count,
            })
        })
    }

    /// The same as a filter that decides while a manifest is decoded.
    pub fn manifest_filter(&self) -> ManifestFilter<'_> {
        if self.partition.is_none() && self.bucket_keys.is_none() {
            return ManifestFilter::default();
        }
        let partitions: Mutex<HashMap<Vec<u8>, bool>> = Mutex::default();
        let buckets: Mutex<HashMap<i32, Option<BTreeSet<i32>>>> = Mutex::default();
        ManifestFilter::new(move |head| {
            let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
            let of_total = buckets.entry(head.total_buckets).or_insert_with(|| self.buckets(head.total_buckets));
            if of_total.as_ref().is_some_and(|buckets| !buckets.contains(&head.bucket)) {
                return false;
            }
            let mut partitions = partitions.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(known) = partitions.get(head.partition) {
                return *known;
            }
            let row = BinaryRow::from_prefixed(bytes::Bytes::copy_from_slice(head.partition));
            let keep = row.is_ok_and(|row| self.partition_may_match(&row)) || self.partition.is_none();
            partitions.insert(head.partition.to_vec(), keep);
            keep
        })
    }
}

/// The bucket keys that a filter's equalities allow, when it has one for each.
fn bucket_keys(schema: &Schema, options: &TableOptions, filter: &Predicate) -> Option<Vec<Vec<Datum>>> {
    if !matches!(options.bucket, BucketMode::Fixed(_)) || options.bucket_key.is_empty() {
        return None;
    }
    let equalities = filter.key_equalities();
    let mut rows: Vec<Vec<Datum>> = vec![Vec::new()];
    for key in &options.bucket_key {
        schema.index_of(key)?;
        let values = equalities.get(key)?;
        if rows.len() * values.len() > MOST_BUCKET_KEYS {
            return None;
        }
        let extend = |row: &Vec<Datum>| values.iter().map(|value| row.iter().cloned().chain([value.clone()]).collect::<Vec<_>>()).collect::<Vec<_>>();
        rows = rows.iter().flat_map(extend).collect();
    }
    Some(rows)
}
