//! What a snapshot holds: manifests, files, partitions, buckets.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::columns::Columns;
use super::text::Teller;
use crate::error::Result;
use crate::format::{FileSource, IndexManifestEntry, ManifestEntry, ManifestFileMeta, Snapshot};
use crate::history::{FileFilter, History};
use crate::scan::At;
use crate::schema::{Schema, TableOptions};

/// A snapshot's live files with what is needed to tell them, in the order in which they are shown:
/// by partition and bucket; level 0 first and there the newest first, then by key; append files as they are read.
pub(super) struct Contents {
    pub(super) snapshot: Option<i64>,
    pub(super) schema: Arc<Schema>,
    pub(super) teller: Teller,
    pub(super) files: Vec<Arc<ManifestEntry>>,
    /// Rows that deletion vectors mask, by data file; `None` where the index manifest does not tell.
    masked: HashMap<String, Option<i64>>,
}

impl Contents {
    pub(super) async fn load(history: &History, at: &At) -> Result<Self> {
        let schema = history.schemas.require_latest().await?;
        let mut teller = Teller::new(&schema)?;
        let Some(snapshot) = snapshot_at(history, &schema, at).await? else {
            return Ok(Self { snapshot: None, schema, teller, files: Vec::new(), masked: HashMap::new() });
        };
        let index = match &snapshot.index_manifest {
            Some(name) => history.manifests.index(name).await?,
            None => Arc::default(),
        };
        let vectors = index.iter().filter(|entry| entry.index_type == IndexManifestEntry::DELETION_VECTORS);
        let ranges = vectors.flat_map(|entry| entry.deletion_vectors.iter().flatten());
        let masked = ranges.map(|range| (range.data_file.clone(), range.cardinality)).collect();
        let mut files = history.manifests.live_files(&snapshot, &FileFilter::default()).await?;
        teller.know(history, files.iter().map(|entry| entry.file.schema_id)).await?;
        let keyed = schema.has_primary_key();
        files.sort_by_cached_key(|entry| {
            let file = &entry.file;
            let newest_first = if keyed && file.level == 0 { Reverse(file.max_sequence_number) } else { Reverse(0) };
            let partition = (teller.partition_order(&entry.partition), entry.partition.clone());
            let key = (teller.key_order(&file.min_key), file.min_sequence_number, file.file_name.clone());
            (partition, entry.bucket, file.level, newest_first, key)
        });
        Ok(Self { snapshot: Some(snapshot.id), schema, teller, files, masked })
    }

    /// Rows of a file that are masked; `None` where nobody tells.
    pub(super) fn masked(&self, entry: &ManifestEntry) -> Option<i64> {
        self.masked.get(&entry.file.file_name).copied().unwrap_or(Some(0))
    }

    /// Rows of files that are masked; `None` where nobody tells.
    pub(super) fn masked_of(&self, files: &[Arc<ManifestEntry>]) -> Option<i64> {
        files.iter().map(|entry| self.masked(entry)).try_fold(0_i64, |sum, rows| Some(sum.saturating_add(rows?)))
    }
}

/// The snapshot of a point of the table's history; nothing for a table without one.
async fn snapshot_at(history: &History, schema: &Schema, at: &At) -> Result<Option<Snapshot>> {
    match at {
        // Of a table whose options cannot be read, too.
        At::Latest => history.snapshots.latest().await,
        at => Ok(at.find(history, &TableOptions::parse(schema)?).await?.map(|found| found.snapshot)),
    }
}

/// The manifests of a snapshot, in their order.
///
/// # Errors
/// [`crate::Error::NotFound`] where there is no table, or no such snapshot, [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn manifests(history: &History, at: &At) -> Result<RecordBatch> {
    let schema = history.schemas.require_latest().await?;
    let teller = Teller::new(&schema)?;
    let mut all: Vec<(&str, ManifestFileMeta)> = Vec::new();
    if let Some(snapshot) = snapshot_at(history, &schema, at).await? {
        for (list, name) in [
            ("base", Some(&snapshot.base_manifest_list)),
            ("delta", Some(&snapshot.delta_manifest_list)),
            ("changelog", snapshot.changelog_manifest_list.as_ref()),
        ] {
            if let Some(name) = name {
                all.extend(history.manifests.list(name).await?.iter().map(|meta| (list, meta.clone())));
            }
        }
    }
    let each = || all.iter().map(|(_, meta)| meta);
    Columns::default()
        .text("list", all.iter().map(|(list, _)| Some(list)))
        .text("file_name", each().map(|it| Some(&it.file_name)))
        .long("file_size_in_bytes", each().map(|it| Some(it.file_size)))
        .long("num_added_files", each().map(|it| Some(it.num_added_files)))
        .long("num_deleted_files", each().map(|it| Some(it.num_deleted_files)))
        .long("schema_id", each().map(|it| Some(it.schema_id)))
        .text("min_partition", each().map(|it| teller.partition_bound(&it.partition_stats.min)))
        .text("max_partition", each().map(|it| teller.partition_bound(&it.partition_stats.max)))
        .int("min_bucket", each().map(|it| it.min_bucket))
        .int("max_bucket", each().map(|it| it.max_bucket))
        .int("min_level", each().map(|it| it.min_level))
        .int("max_level", each().map(|it| it.max_level))
        .batch()
}

/// The live files of a snapshot, by partition and bucket.
///
/// # Errors
/// [`crate::Error::NotFound`] where there is no table, or no such snapshot, [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn files(history: &History, at: &At) -> Result<RecordBatch> {
    let contents = Contents::load(history, at).await?;
    let Contents { teller, files, .. } = &contents;
    let each = || files.iter();
    let stats: Vec<_> = each().map(|it| teller.stats(&it.file)).collect();
    let stat = |at: usize| stats.iter().map(move |stats| stats[at].as_ref());
    Columns::default()
        .text("partition", each().map(|it| teller.partition(&it.partition)))
        .int("bucket", each().map(|it| Some(it.bucket)))
        .int("total_buckets", each().map(|it| Some(it.total_buckets)))
        .int("level", each().map(|it| Some(it.file.level)))
        .text("file_name", each().map(|it| Some(&it.file.file_name)))
        .text("file_format", each().map(|it| it.file.file_name.rsplit_once('.').map(|(_, format)| format)))
        .long("schema_id", each().map(|it| Some(it.file.schema_id)))
        .long("record_count", each().map(|it| Some(it.file.row_count)))
        .long("delete_record_count", each().map(|it| it.file.delete_row_count))
        .long("masked_record_count", each().map(|it| contents.masked(it)))
        .long("file_size_in_bytes", each().map(|it| Some(it.file.file_size)))
        .text("min_key", each().map(|it| teller.key(&it.file.min_key)))
        .text("max_key", each().map(|it| teller.key(&it.file.max_key)))
        .long("min_sequence_number", each().map(|it| Some(it.file.min_sequence_number)))
        .long("max_sequence_number", each().map(|it| Some(it.file.max_sequence_number)))
        .text("null_value_counts", stat(0))
        .text("min_values", stat(1))
        .text("max_values", stat(2))
        .wall_clock("creation_time", each().map(|it| it.file.creation_time))
        .text("file_source", each().map(|it| it.file.file_source.map(source)))
        .text("external_path", each().map(|it| it.file.external_path.as_ref()))
        .batch()
}

fn source(source: FileSource) -> &'static str {
    match source {
        FileSource::Append => "APPEND",
        FileSource::Compact => "COMPACT",
    }
}

/// Sums over the files of a partition or a bucket.
fn sums(contents: &Contents, groups: &[&[Arc<ManifestEntry>]], columns: Columns) -> Columns {
    let each = || groups.iter().copied();
    let sum = |files: &[Arc<ManifestEntry>], value: fn(&ManifestEntry) -> i64| {
        files.iter().map(|entry| value(entry)).fold(0, i64::saturating_add)
    };
    columns
        .long("record_count", each().map(|files| Some(sum(files, |entry| entry.file.row_count))))
        .long("masked_record_count", each().map(|files| contents.masked_of(files)))
        .long("file_size_in_bytes", each().map(|files| Some(sum(files, |entry| entry.file.file_size))))
        .long("file_count", each().map(|files| i64::try_from(files.len()).ok()))
        .wall_clock("last_update_time", each().map(|files| files.iter().filter_map(|it| it.file.creation_time).max()))
        .int("total_buckets", each().map(|files| files.last().map(|entry| entry.total_buckets)))
}

/// The partitions of a snapshot. Rows are counted as they are stored, versions and deletes included.
///
/// # Errors
/// [`crate::Error::NotFound`] where there is no table, or no such snapshot, [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn partitions(history: &History, at: &At) -> Result<RecordBatch> {
    let contents = Contents::load(history, at).await?;
    let Contents { teller, files, .. } = &contents;
    let groups: Vec<_> = files.chunk_by(|a, b| a.partition == b.partition).collect();
    let names = groups.iter().map(|files| files.first().and_then(|entry| teller.partition(&entry.partition)));
    sums(&contents, &groups, Columns::default().text("partition", names)).batch()
}

/// The buckets of a snapshot. Rows are counted as they are stored, versions and deletes included.
///
/// # Errors
/// [`crate::Error::NotFound`] where there is no table, or no such snapshot, [`crate::Error::Corrupt`], [`crate::Error::Storage`].
pub async fn buckets(history: &History, at: &At) -> Result<RecordBatch> {
    let contents = Contents::load(history, at).await?;
    let Contents { teller, files, .. } = &contents;
    let groups: Vec<_> = by_bucket(files).collect();
    let names = groups.iter().map(|files| files.first().and_then(|entry| teller.partition(&entry.partition)));
    let numbers = groups.iter().map(|files| files.first().map(|entry| entry.bucket));
    sums(&contents, &groups, Columns::default().text("partition", names).int("bucket", numbers)).batch()
}

/// The files of each bucket.
pub(super) fn by_bucket(files: &[Arc<ManifestEntry>]) -> impl Iterator<Item = &[Arc<ManifestEntry>]> {
    files.chunk_by(|a, b| (&a.partition, a.bucket) == (&b.partition, b.bucket))
}
