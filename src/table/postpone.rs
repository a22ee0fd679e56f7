//! Postponed rows: those that wait in `bucket-postpone`, unseen by batch reads, are moved into real buckets.
//!
//! A partition that has real buckets keeps their number; another one gets `postpone.default-bucket-num`, or as many as
//! its waiting rows or bytes ask for. The move is a compaction. Without a changelog streams, which delivered the rows when
//! they came, pass over it; with one it tells them. Spec: `format-spec/bucket.md`, postponed buckets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use super::expiring;
use super::rescale::live_of;
use super::told::tell_with;
use crate::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, Committer, Publisher, PutIfAbsent};
use crate::compact::{CompactLimits, Throttle};
use crate::error::{Error, Result};
use crate::format::layout::POSTPONE_BUCKET;
use crate::format::{BinaryRow, CommitMessage, DataFileMeta, ManifestEntry, Snapshot, SnapshotId};
use crate::history::{FileFilter, History};
use crate::predicate::Expr;
use crate::read::{ReadRequest, SplitReader};
use crate::scan::{PlanRules, Vectors, partition_filter, plan_changes};
use crate::schema::{BucketMode, PostponeOptions, Schema, TableOptions, Use, check_options};
use crate::write::{ChangeBatch, Channel, StreamWriter};

/// Tries of one partition while others compact or rescale it.
const TRIES: u32 = 5;

/// What became of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedPartition {
    /// The partition.
    pub partition: BinaryRow,
    /// Its number of real buckets.
    pub buckets: i32,
    /// Rows that were waiting.
    pub rows: i64,
    /// Rows of changelog that the move told.
    pub changelog_rows: i64,
    /// The snapshot that moved them.
    pub snapshot_id: SnapshotId,
}

/// Moves postponed rows into real buckets.
pub struct MovePostponed {
    history: History,
    schema: Arc<Schema>,
    spill_directory: Option<PathBuf>,
    partitions: Option<Expr>,
    memory: Option<u64>,
    threads: Option<usize>,
    bytes_per_second: Option<u64>,
    publisher: Arc<dyn Publisher>,
}

impl MovePostponed {
    pub(super) fn new(history: History, schema: Arc<Schema>, spill_directory: Option<PathBuf>) -> Self {
        Self {
            history,
            schema,
            spill_directory,
            partitions: None,
            memory: None,
            threads: None,
            bytes_per_second: None,
            publisher: Arc::new(PutIfAbsent),
        }
    }

    /// Commits by this publisher.
    pub(super) fn published_by(mut self, publisher: Arc<dyn Publisher>) -> Self {
        self.publisher = publisher;
        self
    }

    /// Only partitions for which this is true. It may speak of partition columns alone.
    #[must_use]
    pub fn filter(mut self, filter: Expr) -> Self {
        self.partitions = Some(filter);
        self
    }

    /// The memory that a move may take, instead of option `write-buffer-size`, and 512 MiB where it compacts.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// The threads that sort and encode.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads.max(1));
        self
    }

    /// The bytes of waiting files that are read in a second.
    #[must_use]
    pub fn bytes_per_second(mut self, bytes: u64) -> Self {
        self.bytes_per_second = Some(bytes);
        self
    }

    /// Rows that wait in the newest snapshot.
    ///
    /// # Errors
    /// As [`MovePostponed::run`].
    pub async fn waiting_rows(&self) -> Result<u64> {
        let Some(latest) = self.history.snapshots.latest().await? else { return Ok(0) };
        let waiting = self.waiting(&latest).await?;
        Ok(waiting.values().flatten().map(|entry| u64::try_from(entry.file.row_count).unwrap_or(0)).sum())
    }

    /// Moves the rows of every partition that has any; each partition is a commit of its own.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a table that postpones nothing or a filter on other columns than those of partitions; [`Error::Unsupported`] for waiting files of a format that
    /// cannot be read; [`Error::Conflict`] when others kept changing a partition.
    pub async fn run(self) -> Result<Vec<MovedPartition>> {
        check_options(&self.schema, Use::Write)?;
        if TableOptions::parse(&self.schema)?.bucket != BucketMode::Postpone {
            return Err(Error::invalid("only a table with option bucket=-2 postpones rows"));
        }
        let Some(latest) = self.history.snapshots.latest().await? else { return Ok(Vec::new()) };
        let waiting = self.waiting(&latest).await?;
        let mut moved = Vec::new();
        let throttle = Throttle::new(self.history.store.env(), Handle::current(), self.bytes_per_second);
        for partition in waiting.into_keys() {
            moved.extend(self.move_partition(&partition, &throttle).await?);
        }
        Ok(moved)
    }

    /// The waiting files of each partition, in the order they were committed in.
    async fn waiting(&self, snapshot: &Snapshot) -> Result<BTreeMap<BinaryRow, Vec<Arc<ManifestEntry>>>> {
        let filter = match &self.partitions {
            Some(filter) => partition_filter(&self.schema, &TableOptions::parse(&self.schema)?, filter)?,
            None => FileFilter::bucket(POSTPONE_BUCKET),
        };
        let mut waiting: BTreeMap<BinaryRow, Vec<Arc<ManifestEntry>>> = BTreeMap::new();
        let files = self.history.manifests.live_files(snapshot, &filter).await?;
        for entry in files.into_iter().filter(|entry| entry.bucket == POSTPONE_BUCKET) {
            waiting.entry(entry.partition.clone()).or_default().push(entry);
        }
        Ok(waiting)
    }

    async fn move_partition(&self, partition: &BinaryRow, throttle: &Throttle) -> Result<Option<MovedPartition>> {
        let user = self.history.store.env().uuid();
        let options = TableOptions::parse(&self.schema)?;
        let committer = Committer::new(self.history.clone(), &self.schema, &options, &user)?
            .published_by(Arc::clone(&self.publisher))
            .whole();
        let mut committer = expiring(committer, &self.history, &self.schema)?;
        let mut last = String::new();
        for _ in 0..TRIES {
            let Some(latest) = self.history.snapshots.latest().await? else { return Ok(None) };
            let Some(files) = self.waiting(&latest).await?.remove(partition) else { return Ok(None) };
            let live = live_of(&self.history, &latest, partition).await?;
            let buckets = match live.iter().map(|entry| entry.total_buckets).find(|total| *total > 0) {
                Some(total) => total,
                None => bucket_count(&options.postpone, &files),
            };
            let rows = files.iter().map(|entry| entry.file.row_count).sum();
            let schema = Arc::new(self.moving_schema(buckets));
            let mut written = self.rewrite(&schema, &latest, &files, throttle.clone()).await?;
            match self.tell(&schema, partition, buckets, &mut written).await {
                Ok(None) => {}
                Ok(Some(reason)) => {
                    committer.abort(&written).await?;
                    last = reason;
                    continue;
                }
                Err(error) => {
                    committer.abort(&written).await?;
                    return Err(error);
                }
            }
            let told = written.iter().flat_map(|message| &message.compact_changelog);
            let changelog_rows = told.map(|file| file.row_count).sum();
            let compact_before = files.iter().map(|entry| DataFileMeta::clone(&entry.file)).collect();
            let gone = CommitMessage {
                compact_before,
                ..CommitMessage::new(partition.clone(), POSTPONE_BUCKET, POSTPONE_BUCKET)
            };
            let messages = std::iter::once(gone).chain(written.iter().cloned()).collect();
            match committer.commit(BATCH_COMMIT, messages, CommitProperties::default()).await? {
                CommitOutcome::Conflicted { reason } => {
                    committer.abort(&written).await?;
                    last = reason;
                }
                outcome => {
                    committer.finish().await; // whoever moves may end with this call
                    let (partition, snapshot_id) = (partition.clone(), outcome.snapshot_id()?);
                    return Ok(Some(MovedPartition { partition, buckets, rows, changelog_rows, snapshot_id }));
                }
            }
        }
        Err(Error::conflict(format!("postponed rows: others keep changing the partition: {last}")))
    }

    /// The table as one with that many buckets.
    fn moving_schema(&self, buckets: i32) -> Schema {
        let mut schema = Schema::clone(&self.schema);
        schema.options.insert("bucket".to_string(), buckets.to_string());
        // Kinds were taken from their column when the rows came, and dropped kinds were dropped then.
        schema.options.remove("rowkind.field");
        schema
    }

    /// Compacts moved rows with those that are in their buckets, where compactions make the changelog: followers are told
    /// of them by the snapshot in which batch reads see them. Says what is in the way.
    async fn tell(
        &self,
        schema: &Arc<Schema>,
        partition: &BinaryRow,
        buckets: i32,
        written: &mut [CommitMessage],
    ) -> Result<Option<String>> {
        let Some(latest) = self.history.snapshots.latest().await? else { return Ok(None) };
        // As late as possible: what came since the rows were numbered is ordered with them.
        let live = live_of(&self.history, &latest, partition).await?;
        if live.iter().any(|entry| entry.total_buckets > 0 && entry.total_buckets != buckets) {
            return Ok(Some("it was rescaled".to_string()));
        }
        let otherwise = CompactLimits::default();
        let limits = CompactLimits {
            memory: self.memory.unwrap_or(otherwise.memory),
            threads: self.threads.unwrap_or(otherwise.threads),
            bytes_per_second: self.bytes_per_second,
        };
        tell_with(&self.history, schema, limits, (&latest, live), written).await.map(|()| None)
    }

    /// The waiting rows, in their order and with their kinds, in level-0 files of real buckets.
    async fn rewrite(
        &self,
        schema: &Arc<Schema>,
        snapshot: &Snapshot,
        files: &[Arc<ManifestEntry>],
        throttle: Throttle,
    ) -> Result<Vec<CommitMessage>> {
        let mut options = TableOptions::parse(schema)?;
        let rules = PlanRules::new(schema, &options)?;
        let splits = plan_changes(&rules, snapshot.id, files, &Vectors::default());
        let request = ReadRequest {
            schema: Arc::clone(schema),
            select: (0..schema.fields.len()).collect(),
            filter: None,
            batch_rows: options.read_batch_rows,
            wide_timestamps: true,
        };
        let reader = SplitReader::new(&self.history, request, &splits).await?;
        let reader = reader.with_pace(Arc::new(move |file, rows| throttle.take_rows(file, rows)));
        let spill = self.spill_directory.clone();
        // Compactions come later, all at once.
        options.compaction.write_only = true;
        options.write_buffer_size = self.memory.unwrap_or(options.write_buffer_size);
        let mut writer =
            StreamWriter::new(self.history.clone(), Arc::clone(schema), options, "", Channel::ONLY, spill)?
                .keeping_nulls();
        if let Some(threads) = self.threads {
            writer = writer.with_threads(threads);
        }
        for split in splits {
            let mut batches = reader.start(split);
            loop {
                let written = match batches.next().await {
                    Ok(None) => break,
                    Ok(Some((rows, kinds))) => match ChangeBatch::new(rows, kinds) {
                        Ok(batch) => writer.write(&batch).await,
                        Err(error) => Err(error),
                    },
                    Err(error) => Err(error),
                };
                if let Err(error) = written {
                    if let Err(second) = writer.abort().await {
                        tracing::warn!(%second, "files of moved rows that failed stay behind");
                    }
                    return Err(error);
                }
            }
        }
        let messages = writer.prepare_commit().await?.into_iter().map(|mut message| {
            message.compact_after = std::mem::take(&mut message.new_files);
            message.compact_changelog = std::mem::take(&mut message.changelog_files);
            message.base_snapshot = None; // a compaction is checked in any case
            message
        });
        Ok(messages.collect())
    }
}

/// The buckets that a partition's first move makes.
fn bucket_count(options: &PostponeOptions, files: &[Arc<ManifestEntry>]) -> i32 {
    let sum = |of: fn(&DataFileMeta) -> i64| {
        files.iter().fold(0_u64, |sum, entry| sum.saturating_add(u64::try_from(of(&entry.file)).unwrap_or(0)))
    };
    let wished = match (options.default_buckets, options.target_rows) {
        (Some(count), _) => return count,
        (None, Some(rows)) => sum(|file| file.row_count).div_ceil(rows.max(1)),
        (None, None) => sum(|file| file.file_size).div_ceil(options.target_size.max(1)),
    };
    i32::try_from(wished).unwrap_or(i32::MAX).clamp(1, i32::from(i16::MAX))
}
