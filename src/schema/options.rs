//! The options of a table as typed values: everything this version honours, and nothing else.
//!
//! Parsing never fails for an option that is not honoured; whether such an option may stand there at all is
//! the question of [`super::check_options`], which every way into a table asks first.
//! Spec: `format-spec/options.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use self::reader::{BUCKET_FUNCTIONS, CHANGELOG_PRODUCERS, MERGE_ENGINES, Reader, SORT_ORDERS, number, split_names};
use super::option_keys::{Rule, find_option};
use super::units::StatsMode;
use super::{BucketMode, Schema, Use, check_options, parse_duration, parse_memory_size};
use crate::error::{Error, Result};

/// How a bucket key becomes a number (`bucket-function.type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BucketFunction {
    /// Paimon's hash of the key's binary row.
    #[default]
    Default,
    /// The remainder of one integer column.
    Mod,
    /// Hive's hash.
    Hive,
}

/// How dynamic buckets grow (`dynamic-bucket.*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DynamicBucketOptions {
    /// Keys that a bucket takes.
    pub target_rows: u64,
    /// Buckets that a partition begins with.
    pub initial_buckets: Option<i32>,
    /// The most buckets of a partition; `None` is no limit.
    pub max_buckets: Option<i32>,
    /// Assigners that one writer alone stands for, where `initial_buckets` does not tell.
    pub assigner_parallelism: Option<i32>,
}

/// How many buckets postponed rows are moved into (`postpone.*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostponeOptions {
    /// Buckets of a partition that has none yet.
    pub default_buckets: Option<i32>,
    /// Else: rows of a bucket.
    pub target_rows: Option<u64>,
    /// Else: bytes of a bucket.
    pub target_size: u64,
}

/// How versions of a key become one row (`merge-engine`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MergeEngine {
    /// The newest version wins.
    #[default]
    Deduplicate,
    /// Columns that are not NULL overwrite.
    PartialUpdate,
    /// Each column is folded by its function.
    Aggregation,
    /// The first version stays.
    FirstRow,
}

/// How the changelog comes to be (`changelog-producer`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ChangelogProducer {
    /// There is none; streams deliver raw rows.
    #[default]
    None,
    /// The input is the changelog.
    Input,
    /// Full compactions compare old and new rows.
    FullCompaction,
    /// Compactions of level 0 look old rows up.
    Lookup,
}

/// What a file's metadata keeps of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatsOptions {
    /// The mode of columns and levels that are not named below.
    pub mode: StatsMode,
    /// The mode of a level.
    pub per_level: BTreeMap<i32, StatsMode>,
    /// The mode of a column, which goes before that of its level.
    pub per_column: BTreeMap<String, StatsMode>,
    /// The mode of changelog files, when it is their own.
    pub changelog: Option<StatsMode>,
    /// Only so many columns, counted from the first, have statistics.
    pub first_columns: Option<usize>,
    /// Leave columns without statistics out of the rows of bounds.
    pub dense: bool,
    /// In thin mode the key columns, whose statistics stand for those of the key too.
    pub thin_keys: Vec<String>,
}

impl StatsOptions {
    /// The modes of a table's columns, in their order, in a data file of a level.
    pub fn modes(&self, columns: &[&str], level: i32) -> Vec<StatsMode> {
        self.choose(columns, self.mode_of(level))
    }

    /// The modes of a table's columns, in their order, in a changelog file that comes with data files of a level.
    pub fn changelog_modes(&self, columns: &[&str], level: i32) -> Vec<StatsMode> {
        self.choose(columns, self.changelog_mode(level))
    }

    /// The mode of a level's data files, for columns that have none of their own.
    pub fn mode_of(&self, level: i32) -> StatsMode {
        self.per_level.get(&level).copied().unwrap_or(self.mode)
    }

    /// The same of changelog files.
    pub fn changelog_mode(&self, level: i32) -> StatsMode {
        self.changelog.unwrap_or_else(|| self.mode_of(level))
    }

    /// The modes of the columns of a file whose writer gathers statistics itself (Avro). Columns of the key and of
    /// versions are columns like others there, and count.
    pub fn gathered_modes(&self, file_columns: &[&str], otherwise: StatsMode) -> Vec<StatsMode> {
        let mode_of = |(at, column): (usize, &&str)| {
            let left_out = self.first_columns.is_some_and(|count| at >= count);
            let own = self.per_column.get(*column).copied();
            own.unwrap_or(if left_out { StatsMode::None } else { otherwise })
        };
        file_columns.iter().enumerate().map(mode_of).collect()
    }

    fn choose(&self, columns: &[&str], otherwise: StatsMode) -> Vec<StatsMode> {
        let mut counted = 0;
        let mut mode_of = |column: &&str| {
            let own = self.per_column.get(*column).copied();
            if own.is_none() && self.thin_keys.iter().any(|key| key == column) {
                return StatsMode::Truncate(KEY_LENGTH);
            }
            counted += 1;
            let left_out = self.first_columns.is_some_and(|count| counted > count);
            own.unwrap_or(if left_out { StatsMode::None } else { otherwise })
        };
        columns.iter().map(&mut mode_of).collect()
    }
}

/// Characters or bytes that bounds of key columns are cut to.
const KEY_LENGTH: usize = 128;

/// How Parquet files are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetOptions {
    /// Bytes of a row group (`file.block-size`, else `parquet.block.size`), where the table tells.
    pub row_group_size: Option<u64>,
    /// Bytes of a page.
    pub page_size: usize,
    /// Bytes of a dictionary page.
    pub dictionary_page_size: usize,
    /// Rows of a page.
    pub page_row_limit: usize,
    /// Whether columns are dictionary-encoded.
    pub dictionary: bool,
    /// The same for single columns.
    pub dictionary_of: BTreeMap<String, bool>,
    /// Effort of zstd.
    pub zstd_level: i32,
}

/// How ORC files are laid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrcOptions {
    /// Their codec, whatever the table's is (`orc.compress`).
    pub codec: Option<Compression>,
    /// Effort of zstd.
    pub zstd_level: i32,
    /// Bytes of a stripe (`file.block-size`, else `orc.stripe.size`), where the table tells.
    pub stripe_size: Option<u64>,
    /// Rows of a stripe at the most.
    pub stripe_rows: u64,
}

/// The commit's limits (`commit.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOptions {
    /// First letters of generated commit users.
    pub user_prefix: Option<String>,
    /// Time for all attempts; `None` is no limit.
    pub timeout: Option<Duration>,
    /// Retries after lost races.
    pub max_retries: u32,
    /// The first wait between them.
    pub min_retry_wait: Duration,
    /// The longest wait between them.
    pub max_retry_wait: Duration,
    /// Make a snapshot even of nothing.
    pub force_create_snapshot: bool,
    /// Whether nothing makes no snapshot; `None` leaves it to the writer (batch yes, stream no).
    pub ignore_empty: Option<bool>,
    /// How long snapshots live at least: the commit's guard against reused snapshot numbers reads it.
    pub snapshot_time_retained: Duration,
}

/// The part of `snapshot.time-retained` within which numbers of snapshots are never used again.
const GUARDED: u32 = 4;

impl CommitOptions {
    /// How old a snapshot is at least before expiry takes it, whatever the count limits say. A commit that slept longer
    /// since it saw its base looks again. Spec: `format-spec/commit.md`, freed slots.
    pub fn guarded_time(&self) -> Duration {
        self.snapshot_time_retained / GUARDED
    }
}

/// When and how manifests are written (`manifest.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestOptions {
    /// The Avro codec, in Paimon's word.
    pub compression: String,
    /// Bytes of a manifest.
    pub target_file_size: u64,
    /// Bytes of changing manifests after which all are merged.
    pub full_compaction_size: u64,
    /// Small manifests after which they are merged.
    pub merge_min_count: usize,
}

/// Everything in a table's options that this version honours.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // each is an option of its own
pub struct TableOptions {
    /// How rows find their bucket.
    pub bucket: BucketMode,
    /// The columns whose hash decides the bucket; empty for tables without buckets.
    pub bucket_key: Vec<String>,
    /// How that hash is made.
    pub bucket_function: BucketFunction,
    /// How dynamic buckets grow.
    pub dynamic_bucket: DynamicBucketOptions,
    /// How many buckets postponed rows are moved into.
    pub postpone: PostponeOptions,
    /// How versions of a key become one row.
    pub merge_engine: MergeEngine,
    /// The same, column by column.
    pub merge: MergeOptions,
    /// How the changelog comes to be.
    pub changelog_producer: ChangelogProducer,
    /// Columns that order the versions of a key, before the sequence number.
    pub sequence_fields: Vec<String>,
    /// Whether the lowest of them is the newest.
    pub sequence_descending: bool,
    /// Versions are ordered by the snapshot that brought them, not by their writers' numbers.
    pub snapshot_ordering: bool,
    /// Every row has an id (`row-tracking.enabled`).
    pub row_tracking: bool,
    /// The rows of a commit are numbered partition by partition.
    pub row_ids_by_partition: bool,
    /// The column that holds the row kind.
    pub rowkind_field: Option<String>,
    /// Drop -U and -D rows, when writing and when merging.
    pub ignore_delete: bool,
    /// Drop -U rows when writing.
    pub ignore_update_before: bool,
    /// How files are stored, level by level.
    pub formats: FormatOptions,
    /// Whether file names tell the codec.
    pub file_suffix_include_compression: bool,
    /// First letters of data file names.
    pub data_file_prefix: String,
    /// First letters of changelog file names.
    pub changelog_file_prefix: String,
    /// The directory below the table that holds the data.
    pub data_file_path_directory: Option<String>,
    /// The roots outside of the table that new data files are spread over.
    pub external_roots: ExternalRoots,
    /// Keep index files beside the data instead of in `index/`.
    pub index_file_in_data_dir: bool,
    /// Keep deletion vectors (`deletion-vectors.enabled`).
    pub deletion_vectors: bool,
    /// Show level 0 in spite of them, merged.
    pub merge_on_read: bool,
    /// Write them in the form of 64 bits (`deletion-vectors.bitmap64`).
    pub bitmap64: bool,
    /// Bytes of a file of them in a table without buckets (`deletion-vector.index-file.target-size`).
    pub vector_file_size: u64,
    /// Leave key columns out of the key part of data files.
    pub thin_mode: bool,
    /// The directory name of a NULL partition value.
    pub partition_default_name: String,
    /// Spell partition values as Java's `toString`.
    pub partition_legacy_name: bool,
    /// Small changelog files of a commit are put together before it: those below so many bytes.
    pub precommit_compact: Option<u64>,
    /// Bytes of a file after which the next begins.
    pub target_file_size: u64,
    /// Rows of a file after which the next begins.
    pub target_file_rows: u64,
    /// How Parquet files are laid out.
    pub parquet: ParquetOptions,
    /// How ORC files are laid out.
    pub orc: OrcOptions,
    /// What metadata keeps of columns.
    pub stats: StatsOptions,
    /// Memory for rows before they are sorted and written.
    pub write_buffer_size: u64,
    /// Whether that may overflow to local disk.
    pub write_buffer_spillable: bool,
    /// The most local disk for that.
    pub write_buffer_max_disk: u64,
    /// Memory that lookups keep what they read in.
    pub lookup_memory: u64,
    /// Rows a reader hands out at once.
    pub read_batch_rows: usize,
    /// Guard what batch reads read by a tag of this age limit.
    pub read_tag: Option<Duration>,
    /// When and how files are compacted.
    pub compaction: CompactionOptions,
    /// Bytes of a split.
    pub split_target_size: u64,
    /// Bytes an opened file counts for in a split.
    pub split_open_file_cost: u64,
    /// Time between two looks for a new snapshot.
    pub discovery_interval: Duration,
    /// An overwrite that names no partition replaces those that get rows (`dynamic-partition-overwrite`).
    pub dynamic_partition_overwrite: bool,
    /// Files of an overwrite that are sorted as a whole go to the highest level (`overwrite-upgrade`).
    pub overwrite_upgrade: bool,
    /// Streams deliver what an overwrite changed.
    pub streaming_read_overwrite: bool,
    /// The age that a snapshot has before streams deliver its changes.
    pub streaming_read_delay: Option<Duration>,
    /// Streams of append tables deliver what an overwrite added.
    pub streaming_read_append_overwrite: bool,
    /// The consumer of streams that name none.
    pub consumer_id: Option<String>,
    /// Start anew in spite of saved progress.
    pub consumer_ignore_progress: bool,
    /// How manifests are written.
    pub manifest: ManifestOptions,
    /// Which file indexes are written and used.
    pub file_index: FileIndexOptions,
    /// The commit's limits.
    pub commit: CommitOptions,
    /// What expiry keeps.
    pub retention: RetentionOptions,
    /// Where reads and streams stand unless a call says otherwise.
    pub scan: ScanOptions,
}

impl TableOptions {
    /// The options of a table with Paimon's defaults. An option of writers alone whose value cannot be honoured keeps its
    /// default: [`check_options`] refuses to write then, and nothing that is read depends on it.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] that names an option whose value is no value of its type.
    pub fn parse(schema: &Schema) -> Result<Self> {
        let error = match Self::parse_all(schema) {
            Ok(options) => return Ok(options),
            Err(error) => error,
        };
        let unfit = Self::unfit(schema);
        if unfit.is_empty() {
            return Err(error);
        }
        let mut readable = schema.clone();
        readable.options.retain(|name, _| !unfit.contains_key(name));
        Self::parse_all(&readable)
    }

    /// The options that no reader looks at whose values cannot be honoured, each by itself.
    pub(super) fn unfit(schema: &Schema) -> BTreeMap<String, Error> {
        let passed_over = |name: &str| find_option(name).is_some_and(|key| key.stance.read == Rule::Harmless);
        let alone = |name: &String| {
            let mut alone = schema.clone();
            alone.options.retain(|other, _| other == name || !passed_over(other));
            Self::parse_all(&alone).err().map(|error| (name.clone(), error))
        };
        schema.options.keys().filter(|name| passed_over(name)).filter_map(alone).collect()
    }

    /// The same, with nothing left out.
    pub(super) fn parse_all(schema: &Schema) -> Result<Self> {
        let read = Reader { options: &schema.options };
        let bucket = schema.bucket_mode()?;
        let target = if schema.has_primary_key() { 128 << 20 } else { 256 << 20 };
        let merge_engine = read.word("merge-engine", MERGE_ENGINES)?;
        let changelog_producer = read.word("changelog-producer", CHANGELOG_PRODUCERS)?;
        let needs_lookup = changelog_producer == ChangelogProducer::Lookup
            || read.boolean("deletion-vectors.enabled")?
            || read.boolean("force-lookup")?;
        let target_file_size = read.optional("target-file-size", parse_memory_size)?.unwrap_or(target);
        Ok(Self {
            bucket,
            bucket_key: match bucket {
                BucketMode::Unaware => vec![],
                _ => schema.bucket_keys(),
            },
            bucket_function: read.word("bucket-function.type", BUCKET_FUNCTIONS)?,
            dynamic_bucket: read.dynamic_bucket()?,
            postpone: PostponeOptions {
                default_buckets: read.optional("postpone.default-bucket-num", number)?,
                target_rows: read.optional("postpone.target-row-num-per-bucket", number)?,
                target_size: read.with("postpone.target-size-per-bucket", parse_memory_size)?,
            },
            merge_engine,
            merge: read.merge(needs_lookup && merge_engine != MergeEngine::FirstRow)?,
            changelog_producer,
            sequence_fields: read.text("sequence.field").map(split_names).unwrap_or_default(),
            sequence_descending: read.word("sequence.field.sort-order", SORT_ORDERS)?,
            snapshot_ordering: read.boolean("sequence.snapshot-ordering")?,
            row_tracking: read.boolean("row-tracking.enabled")?,
            row_ids_by_partition: read.boolean("row-tracking.partition-group-on-commit")?,
            rowkind_field: read.text("rowkind.field").map(ToString::to_string),
            ignore_delete: read.boolean("ignore-delete")?,
            ignore_update_before: read.boolean("ignore-update-before")?,
            formats: FormatOptions::read(&read)?,
            file_suffix_include_compression: read.boolean("file.suffix.include.compression")?,
            data_file_prefix: read.string("data-file.prefix"),
            changelog_file_prefix: read.string("changelog-file.prefix"),
            data_file_path_directory: read.text("data-file.path-directory").map(ToString::to_string),
            external_roots: ExternalRoots::read(&read)?,
            index_file_in_data_dir: read.boolean("index-file-in-data-file-dir")?,
            deletion_vectors: read.boolean("deletion-vectors.enabled")?,
            merge_on_read: read.boolean("deletion-vectors.merge-on-read")?,
            bitmap64: read.boolean("deletion-vectors.bitmap64")?,
            vector_file_size: read.with("deletion-vector.index-file.target-size", parse_memory_size)?,
            thin_mode: read.boolean("data-file.thin-mode")?,
            partition_default_name: read.string("partition.default-name"),
            partition_legacy_name: read.boolean("partition.legacy-name")?,
            precommit_compact: match read.boolean("precommit-compact")? {
                true => Some(read.with("changelog.precommit-compact.buffer-size", parse_memory_size)?),
                false => None,
            },
            target_file_size,
            target_file_rows: read.with("target-file-row-num", number)?,
            parquet: read.parquet()?,
            orc: read.orc()?,
            stats: read.stats(schema)?,
            write_buffer_size: read.with("write-buffer-size", parse_memory_size)?,
            write_buffer_spillable: read.boolean("write-buffer-spillable")?,
            write_buffer_max_disk: read.with("write-buffer-spill.max-disk-size", parse_memory_size)?,
            lookup_memory: read.with("lookup.cache-max-memory-size", parse_memory_size)?,
            // Paimon's default of 1024 is made for its row readers; columns want longer batches.
            read_batch_rows: read.optional("read.batch-size", number)?.unwrap_or(8192),
            read_tag: read.optional("scan.plan-auto-tag-for-read.time-retained", parse_duration)?,
            compaction: CompactionOptions::read(&read, target_file_size, changelog_producer, merge_engine)?,
            split_target_size: read.with("source.split.target-size", parse_memory_size)?,
            split_open_file_cost: read.with("source.split.open-file-cost", parse_memory_size)?,
            discovery_interval: read.with("continuous.discovery-interval", parse_duration)?,
            dynamic_partition_overwrite: read.boolean("dynamic-partition-overwrite")?,
            overwrite_upgrade: read.boolean("overwrite-upgrade")?,
            streaming_read_overwrite: read.boolean("streaming-read-overwrite")?,
            streaming_read_delay: read.optional("streaming.read.snapshot.delay", parse_duration)?,
            streaming_read_append_overwrite: read.boolean("streaming-read-append-overwrite")?,
            consumer_id: read.text("consumer-id").map(ToString::to_string),
            consumer_ignore_progress: read.boolean("consumer.ignore-progress")?,
            manifest: ManifestOptions {
                compression: read.string("manifest.compression").to_lowercase(),
                target_file_size: read.with("manifest.target-file-size", parse_memory_size)?,
                full_compaction_size: read.with("manifest.full-compaction-threshold-size", parse_memory_size)?,
                merge_min_count: read.with("manifest.merge-min-count", number)?,
            },
            file_index: FileIndexOptions::read(&read, schema)?,
            commit: read.commit()?,
            retention: RetentionOptions::read(&read)?,
            scan: ScanOptions::read(&read)?,
        })
    }

    /// Refuses options that cannot be honoured and parses the rest.
    ///
    /// # Errors
    /// Those of [`check_options`] and of [`Self::parse`].
    pub fn checked(schema: &Schema, usage: Use) -> Result<Self> {
        check_options(schema, usage)?;
        Self::parse(schema)
    }
}

mod compaction;
mod external;
mod formats;
mod indexes;
mod merge;
mod reader;
mod retention;
mod scan;

pub use compaction::{CompactionOptions, LookupCompact, QuietHours, RecordExpiry};
pub use external::ExternalRoots;
pub use formats::{Compression, FileFormat, FormatOptions};
pub(super) use indexes::index_refusals;
pub use indexes::{ColumnIndex, FileIndexKind, FileIndexOptions};
pub use merge::{ColumnMergeOptions, MergeOptions, NullKeys, SequenceGroup};
pub use retention::{RetentionLimits, RetentionOptions};
pub use scan::{BetweenMode, BetweenPoints, ScanOptions, ScanPoint};

#[cfg(test)]
mod tests;
