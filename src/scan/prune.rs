//! What a filter tells about manifests, buckets and files. Pure.
//! Spec: `format-spec/read.md`, pruning.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
use crate::format::{BinaryRow, DataFileMeta, EntryHead, FileIndex, IndexedAs, ManifestFileMeta, assign};
use crate::history::{EntryTest, FileFilter, ManifestTest};
use crate::lsm::KeyBound;
use crate::predicate::{ColumnRange, Expr, may_match};
use crate::schema::{BucketFunction, BucketMode, ROW_ID, Schema, TableOptions, column_mapping};
use crate::types::{DataType, Datum, TypeKind, widen};

/// Combinations of bucket keys beyond which bucket pruning is not worth it.
const MOST_BUCKET_KEYS: usize = 1000;

/// A filter, cut into what partitions, keys and values can answer.
pub struct Pruner {
    schema: Arc<Schema>,
    entries: Arc<EntryPruner>,
    /// The conjuncts on key columns.
    key: Option<Expr>,
    /// The conjuncts on columns that are no partition columns.
    value: Option<Expr>,
    first_key: Option<String>,
    /// Rows that wait in `bucket-postpone` are unseen.
    postponed: bool,
    /// Whether indexes in file descriptions are asked.
    indexed: bool,
    /// For each schema that files were written with, where it has the table's columns.
    known: BTreeMap<i64, Known>,
}

struct Known {
    positions: BTreeMap<String, Option<usize>>,
    schema: Schema,
}

impl Pruner {
    /// # Errors
    /// [`crate::Error::Invalid`] for a key that is no column.
    pub fn new(schema: &Arc<Schema>, options: &TableOptions, filter: Option<&Expr>) -> Result<Self> {
        let keys = schema.trimmed_primary_keys();
        let in_partition = |column: &str| schema.partition_keys.iter().any(|key| key == column);
        let (partition, value) = filter.map_or((None, None), |filter| filter.clone().split_by(in_partition));
        let in_key = |column: &str| keys.iter().any(|key| key == column);
        let key = value.clone().and_then(|filter| filter.split_by(in_key).0);
        let bucket_types = schema.types_of(&options.bucket_key)?;
        let entries = EntryPruner {
            partition_keys: schema.partition_keys.clone(),
            partition_types: schema.types_of(&schema.partition_keys)?,
            cut_keys: bucket_types.iter().any(|it| matches!(it.kind, TypeKind::Char(_))),
            bucket_types,
            bucket_keys: value.as_ref().and_then(|filter| bucket_keys(options, filter)),
            function: options.bucket_function,
            partition,
            partitions: Mutex::default(),
            buckets: Mutex::default(),
        };
        let first_key = keys.into_iter().next();
        Ok(Self {
            schema: Arc::clone(schema),
            entries: Arc::new(entries),
            key,
            value,
            first_key,
            postponed: options.bucket == BucketMode::Postpone,
            indexed: options.file_index.read,
            known: BTreeMap::new(),
        })
    }

    /// Learns the schema that files were written with, so that their statistics can be read.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] when a column has another type there.
    pub fn know(&mut self, file_schema: &Schema) -> Result<()> {
        let mapping = column_mapping(file_schema, &self.schema)?;
        let positions = self.schema.fields.iter().zip(mapping).map(|(field, there)| (field.name.clone(), there));
        self.known.insert(file_schema.id, Known { positions: positions.collect(), schema: file_schema.clone() });
        Ok(())
    }

    /// What decides while manifests are read; only files of these levels are seen.
    pub fn file_filter(&self, levels: RangeInclusive<i32>) -> FileFilter {
        let mut filter = self.partition_filter();
        let postponed = self.postponed;
        let all_levels = *levels.start() <= 0 && *levels.end() == i32::MAX;
        if !all_levels || postponed {
            let seen = move |head: &EntryHead<'_>| levels.contains(&head.level) && !(postponed && head.bucket < 0);
            filter.entry = Some(match filter.entry {
                Some(matches) => Arc::new(move |head| seen(head) && matches(head)),
                None => Arc::new(seen),
            });
        }
        filter
    }

    /// The same for whoever looks at all files, also at those that no read sees.
    pub fn partition_filter(&self) -> FileFilter {
        let entries = &self.entries;
        let (by_manifest, by_entry) = (Arc::clone(entries), Arc::clone(entries));
        let manifest: ManifestTest = Arc::new(move |meta| by_manifest.manifest_may_match(meta));
        let entry: EntryTest = Arc::new(move |head| by_entry.entry_may_match(head));
        let partitioned = entries.partition.is_some();
        let narrow = partitioned || entries.bucket_keys.is_some();
        FileFilter { manifest: partitioned.then_some(manifest), entry: narrow.then_some(entry), narrow }
    }

    /// Whether [`Pruner::keys_may_match`] or [`Pruner::values_may_match`] can ever say no.
    pub fn prunes_files(&self) -> bool {
        self.value.is_some()
    }

    /// Whether a file with these bounds of its key can hold a matching row.
    pub fn keys_may_match(&self, min: &KeyBound, max: &KeyBound) -> bool {
        let Some(filter) = &self.key else { return true };
        // Only the first key column is ordered over the whole file.
        may_match(filter, &|column| {
            self.first_key.as_ref().filter(|key| *key == column)?;
            let (min, max) = (min.values().first()?.clone(), max.values().first()?.clone());
            let kind = &self.schema.fields[self.schema.index_of(column)?].data_type.kind;
            let bound = |bound: Datum| Some(bound).filter(|bound| !bound.is_of_old_days());
            Some(ColumnRange { min: bound(least(min, kind)), max: bound(max), null_count: Some(0), row_count: 1 })
        })
    }

    /// Whether a file's statistics, and the index in its description, allow a matching row.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] for a damaged index.
    pub fn values_may_match(&self, file: &DataFileMeta) -> Result<bool> {
        Ok(self.statistics_may_match(file) && self.index_may_match(file)?)
    }

    fn index_may_match(&self, file: &DataFileMeta) -> Result<bool> {
        let (Some(filter), Some(known)) = (&self.value, self.known.get(&file.schema_id)) else { return Ok(true) };
        let (Some(index), Ok(rows)) = (&file.embedded_file_index, u64::try_from(file.row_count)) else {
            return Ok(true);
        };
        if !self.indexed {
            return Ok(true);
        }
        let column_of = |column: &str| IndexedAs::of(&file.file_name, (&known.schema, &self.schema), column);
        Ok(!FileIndex::select_within(index, &file.file_name, filter, rows, &column_of)?.is_empty())
    }

    fn statistics_may_match(&self, file: &DataFileMeta) -> bool {
        let Some(filter) = &self.value else { return true };
        let Some(ranges) = self.ranges_of(file) else { return true };
        may_match(filter, &ranges)
    }

    /// What a file's statistics tell of a column's values; `None` where they tell nothing.
    pub fn range_of(&self, file: &DataFileMeta, column: &str) -> Option<ColumnRange> {
        self.ranges_of(file)?(column)
    }

    fn ranges_of(&self, file: &DataFileMeta) -> Option<impl Fn(&str) -> Option<ColumnRange>> {
        let known = self.known.get(&file.schema_id)?;
        let row_count = u64::try_from(file.row_count).ok()?;
        let stats = file.value_column_stats(&known.schema.columns()).unwrap_or_default();
        Some(move |column: &str| {
            if self.schema.tracks(column) {
                return row_ids(file, row_count).filter(|_| column == ROW_ID);
            }
            let Some(at) = known.positions.get(column)? else {
                return Some(ColumnRange::constant(&Datum::Null, row_count)); // the file does not have the column
            };
            let stats = stats.get(*at)?.as_ref()?;
            let kind = &self.schema.fields[self.schema.index_of(column)?].data_type.kind;
            // Readers take its values from the partition, with blanks that an ORC file does not have.
            if matches!(kind, TypeKind::Char(_)) && self.schema.partition_keys.iter().any(|key| key == column) {
                return None;
            }
            // Not every writer counts NaN in a float's bounds, and NaN is the largest value here.
            let float = matches!(&stats.data_type.kind, TypeKind::Float | TypeKind::Double);
            let bound = |value: &Datum| {
                let known = !value.is_null() && !float && !value.is_of_old_days();
                known.then(|| widen(value, &stats.data_type.kind, kind)).flatten()
            };
            Some(ColumnRange {
                min: bound(&least(stats.min.clone(), &stats.data_type.kind)),
                max: bound(&stats.max),
                null_count: stats.null_count.and_then(|count| u64::try_from(count).ok()),
                row_count,
            })
        })
    }
}

/// A bound from below of texts as readers see them. Java fills CHARs of ORC files up with blanks before it takes bounds, and
/// readers cut them off. What is below a blank stands before the end of a text then, and behind it without: it ends the bound.
fn least(bound: Datum, kind: &TypeKind) -> Datum {
    match (bound, kind) {
        (Datum::String(text), TypeKind::Char(_)) => {
            let kept = text.find(|c| c < ' ').map_or(text.as_str(), |at| &text[..at]);
            Datum::String(kept.trim_end_matches(' ').to_string())
        }
        (bound, _) => bound,
    }
}

/// The row ids of a file that the manifest tells.
fn row_ids(file: &DataFileMeta, row_count: u64) -> Option<ColumnRange> {
    let first = file.first_row_id.filter(|_| !file.holds_row_ids())?;
    let last = first.checked_add(file.row_count - 1)?;
    let bound = |id| Some(Datum::BigInt(id));
    Some(ColumnRange { min: bound(first), max: bound(last), null_count: Some(0), row_count })
}

/// What partitions and buckets can answer. Remembers its answers.
struct EntryPruner {
    partition: Option<Expr>,
    partition_keys: Vec<String>,
    partition_types: Vec<DataType>,
    /// Bucket keys that a matching row may have; `None` means any.
    bucket_keys: Option<Vec<Vec<Datum>>>,
    bucket_types: Vec<DataType>,
    /// CHAR is among them.
    cut_keys: bool,
    function: BucketFunction,
    partitions: Mutex<HashMap<BinaryRow, bool>>,
    buckets: Mutex<HashMap<i32, Option<BTreeSet<i32>>>>,
}

impl EntryPruner {
    fn entry_may_match(&self, head: &EntryHead<'_>) -> bool {
        let in_bucket = || self.bucket_may_match(head.bucket, head.total_buckets);
        // Readers of ORC cut blanks off that a CHAR had when its row was given its bucket.
        let routed_otherwise = self.cut_keys && head.file_name.ends_with(".orc");
        (routed_otherwise || in_bucket()) && self.partition_may_match(head.partition)
    }

    fn manifest_may_match(&self, meta: &ManifestFileMeta) -> bool {
        let Some(filter) = &self.partition else { return true };
        let rows = u64::try_from(meta.num_added_files.saturating_add(meta.num_deleted_files)).unwrap_or(u64::MAX);
        let Ok(stats) = meta.partition_stats.columns(&self.partition_types) else { return true };
        may_match(filter, &|column| {
            let stats = stats.get(self.partition_keys.iter().position(|key| key == column)?)?;
            let bound = |value: &Datum| (!value.is_null()).then(|| value.clone());
            let null_count = stats.null_count.and_then(|count| u64::try_from(count).ok());
            Some(ColumnRange { min: bound(&stats.min), max: bound(&stats.max), null_count, row_count: rows })
        })
    }

    fn partition_may_match(&self, partition: &BinaryRow) -> bool {
        let Some(filter) = &self.partition else { return true };
        let mut known = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(partition.clone()).or_insert_with(|| {
            let Ok(values) = partition.decode(&self.partition_types) else { return true };
            may_match(filter, &|column| {
                let at = self.partition_keys.iter().position(|key| key == column)?;
                Some(ColumnRange::constant(values.get(at)?, 1))
            })
        })
    }

    /// `total` is the bucket count that the entry's partition was written with.
    fn bucket_may_match(&self, bucket: i32, total: i32) -> bool {
        let Some(keys) = &self.bucket_keys else { return true };
        let mut known = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let buckets = known.entry(total).or_insert_with(|| self.buckets_of(keys, total));
        buckets.as_ref().is_none_or(|buckets| buckets.contains(&bucket))
    }

    fn buckets_of(&self, keys: &[Vec<Datum>], total: i32) -> Option<BTreeSet<i32>> {
        let mut buckets = BTreeSet::new();
        for key in keys {
            let lanes = key.iter().zip(&self.bucket_types).map(|(value, t)| value.repeat(&t.kind, 1));
            let lanes = lanes.collect::<Result<Vec<_>>>().ok()?;
            buckets.extend(assign(self.function, &lanes, &self.bucket_types, total, 1).ok()?);
        }
        Some(buckets)
    }
}

/// The bucket keys that a filter's equalities allow, when it has one for each.
fn bucket_keys(options: &TableOptions, filter: &Expr) -> Option<Vec<Vec<Datum>>> {
    if !matches!(options.bucket, BucketMode::Fixed(_)) || options.bucket_key.is_empty() {
        return None;
    }
    let equalities = filter.key_equalities();
    let mut rows: Vec<Vec<Datum>> = vec![Vec::new()];
    for key in &options.bucket_key {
        let values = equalities.get(key)?;
        if rows.len() * values.len() > MOST_BUCKET_KEYS || values.iter().any(Datum::is_of_old_days) {
            return None;
        }
        let extend = |row: &Vec<Datum>| {
            values
                .iter()
                .map(|value| row.iter().cloned().chain([value.clone()]).collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        rows = rows.iter().flat_map(extend).collect();
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{ColumnStats, FileKind, SimpleStats, data_file};
    use crate::predicate::{Literal, col};
    use crate::schema::StatsMode;

    fn table() -> Arc<Schema> {
        let text = |text: &str| text.parse::<DataType>().unwrap();
        let builder = Schema::builder().column("c", text("CHAR(5)")).column("s", text("STRING"));
        let options = [("bucket", "16"), ("bucket-key", "c"), ("file.format", "orc")];
        Arc::new(options.iter().fold(builder, |it, (name, value)| it.option(*name, *value)).build().unwrap())
    }

    fn text(text: &str) -> Literal {
        Literal::Datum(Datum::String(text.to_string()))
    }

    fn eq(column: &str, value: &str) -> Expr {
        col(column).eq(text(value))
    }

    fn le(column: &str, value: &str) -> Expr {
        col(column).le(text(value))
    }

    fn pruner(schema: &Arc<Schema>, filter: &Expr) -> Pruner {
        let options = TableOptions::parse(schema).unwrap();
        let mut pruner = Pruner::new(schema, &options, Some(filter)).unwrap();
        pruner.know(schema).unwrap();
        pruner
    }

    /// Whether a file whose columns have these bounds may hold what a filter wants.
    fn may_match(filter: &Expr, (min, max): (&str, &str)) -> bool {
        let schema = table();
        let stats = |at: usize| {
            let bound = |text: &str| Datum::String(text.to_string());
            let data_type = schema.fields[at].data_type.clone();
            ColumnStats { data_type, min: bound(min), max: bound(max), null_count: Some(0) }
        };
        let columns = [("c", StatsMode::Full, stats(0)), ("s", StatsMode::Full, stats(1))];
        let (value_stats, _) = SimpleStats::build(&columns, false).unwrap();
        let file = DataFileMeta { row_count: 2, value_stats, ..data_file("data-0.orc", 10) };
        pruner(&schema, filter).values_may_match(&file).unwrap()
    }

    #[test]
    fn bounds_of_char_that_are_filled_up_lose_no_row() {
        assert!(may_match(&eq("c", "ab"), ("ab   ", "cd   ")));
        assert!(may_match(&le("c", "ab"), ("ab   ", "ab   ")));
        assert!(may_match(&eq("c", ""), ("     ", "cd   ")));
        // 'ab' has the larger text of the two when it is filled up.
        assert!(may_match(&eq("c", "ab"), ("ab\t  ", "ab   ")));
        assert!(!may_match(&eq("c", "aa"), ("ab   ", "cd   ")), "bounds still tell");
        assert!(!may_match(&eq("c", "ce"), ("ab   ", "cd   ")));
        assert!(!may_match(&eq("s", "ab"), ("ab   ", "cd   ")), "a text of its own length");
    }

    #[test]
    fn bounds_of_old_days_tell_nothing() {
        let builder = Schema::builder().column("t", DataType::timestamp(3));
        let schema = Arc::new(builder.option("file.format", "orc").build().unwrap());
        let hides = |filter: &str, min: i64, max: i64| {
            let at = |millis| Datum::Timestamp { millis, nanos: 0 };
            let data_type = schema.fields[0].data_type.clone();
            let stats = ColumnStats { data_type, min: at(min), max: at(max), null_count: Some(0) };
            let (value_stats, _) = SimpleStats::build(&[("t", StatsMode::Full, stats)], false).unwrap();
            let file = DataFileMeta { row_count: 2, value_stats, ..data_file("data-0.orc", 10) };
            let filter = crate::predicate::parse(filter, &schema).unwrap();
            !pruner(&schema, &filter).values_may_match(&file).unwrap()
        };
        // Java wrote 1000-01-01, and every reader shows 1000-01-06.
        let old = -30_610_224_000_000;
        assert!(!hides("t = '1000-01-06 00:00:00'", old, old));
        assert!(!hides("t < '1000-01-01 00:00:00'", old, 0));
        assert!(hides("t > '2000-01-01 00:00:00'", old, 0), "the other bound tells");
        assert!(hides("t < '1969-01-01 00:00:00'", 0, 0));
    }

    #[test]
    fn a_bucket_of_orc_files_is_read_whatever_its_char_hashes_to() {
        let schema = table();
        let seen = |name: &str, bucket: i32| {
            let filter = pruner(&schema, &eq("c", "ab")).file_filter(0..=i32::MAX);
            let (kind, partition) = (FileKind::Add, BinaryRow::empty());
            let head = EntryHead { kind, partition: &partition, bucket, total_buckets: 16, level: 0, file_name: name };
            filter.entry.unwrap()(&head)
        };
        assert_eq!((0..16).filter(|bucket| seen("data-0.parquet", *bucket)).count(), 1);
        assert_eq!((0..16).filter(|bucket| seen("data-0.orc", *bucket)).count(), 16);
    }
}
