//! Compaction of one table: planning against a snapshot, running tasks.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use super::copies::TaskKeys;
use super::expiry::Expiry;
use super::limits::{CompactLimits, CompactProgress, Pace, Throttle};
use super::old_rows::OldRows;
use super::plan::{BucketFiles, CompactRequest, buckets_of, plan_append, plan_bucket};
use super::rewrite::Rewrite;
use super::vectors::BucketVectors;
use crate::error::{Error, Result};
use crate::files::{FileLayout, FileNames, WriteSpec, require_roots};
use crate::format::{
    BinaryRow, CommitMessage, CompactTask, DataFileMeta, DeletionVectorRange, FileSource, IndexManifestEntry, Snapshot,
    SnapshotId, Split, bucket_directory, written_paths,
};
use crate::history::{FileFilter, History};
use crate::lookup::{LookupCache, OldVersions};
use crate::lsm::{Before, KeyEncoder, Moment};
use crate::read::{ReadRequest, RowTest, SplitReader};
use crate::scan::{Vectors, partition_filter};
use crate::schema::{BucketMode, ChangelogProducer, MergeEngine, Schema, TableOptions};

/// Keys are few when there are so many rows above for each.
const FEW: u64 = 4;

/// The least memory of a task that runs beside others.
const TASK_MEMORY: u64 = 32 << 20;

/// Compacts one table. Cheap to clone.
#[derive(Clone)]
pub struct Compactor {
    history: History,
    schema: Arc<Schema>,
    options: TableOptions,
    layout: Arc<FileLayout>,
    limits: CompactLimits,
    throttle: Throttle,
    progress: Arc<CompactProgress>,
    /// What lookups of old rows have read, for the next task.
    lookups: LookupCache,
}

impl Compactor {
    /// A compactor of a table with its newest schema. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a table that this version cannot compact.
    pub fn new(history: History, schema: Arc<Schema>, options: TableOptions, limits: CompactLimits) -> Result<Self> {
        // Rows keep their ids: in the files that a compaction writes they are columns.
        let schema = if options.row_tracking { Arc::new(schema.with_row_tracking()) } else { schema };
        let layout = Arc::new(FileLayout::of(&schema, options.thin_mode)?);
        WriteSpec::check(&schema, &options, &layout)?;
        require_roots(&history.store, &options)?;
        let throttle = Throttle::new(history.store.env(), Handle::current(), limits.bytes_per_second);
        Expiry::at(&schema, &options, 0)?;
        let lookups = LookupCache::new(limits.memory / 4)?;
        Ok(Self { history, schema, options, layout, limits, throttle, progress: Arc::default(), lookups })
    }

    /// The same compactor, which counts elsewhere what it did.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<CompactProgress>) -> Self {
        self.progress = progress;
        self
    }

    /// The same compactor, which keeps what lookups of old rows read with other compactors of the process. Otherwise it has
    /// a cache of its own, of a quarter of its memory.
    #[must_use]
    pub fn with_lookups(mut self, lookups: &LookupCache) -> Self {
        self.lookups = lookups.clone();
        self
    }

    /// How far the tasks are.
    pub fn progress(&self) -> &Arc<CompactProgress> {
        &self.progress
    }

    /// What is to be compacted in the newest snapshot, the most urgent first. With changelog-producer full-compaction
    /// every bucket with rows below the highest level is compacted fully: nothing else tells followers of them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for partitions told by columns that are none of them and for buckets that no partition has; the
    /// store's errors.
    pub async fn plan(&self, request: &CompactRequest) -> Result<Vec<CompactTask>> {
        let Some(snapshot) = self.history.snapshots.latest().await? else {
            return self.check_buckets(request, &[]).map(|()| Vec::new());
        };
        self.plan_at(&snapshot, request).await
    }

    /// What is to be compacted in a snapshot.
    ///
    /// # Errors
    /// As [`Compactor::plan`].
    pub async fn plan_at(&self, snapshot: &Snapshot, request: &CompactRequest) -> Result<Vec<CompactTask>> {
        let vectors = Vectors::of(&self.history, snapshot).await?;
        let filter = match &request.partitions {
            Some(filter) => partition_filter(&self.schema, &self.options, filter)?,
            None => FileFilter::default(),
        };
        let entries = self.history.manifests.live_files(snapshot, &filter).await?;
        // Whoever asks does not put level 0 off.
        let put_off = self.options.compaction.lookup_max_interval;
        let now = Moment { local_millis: self.history.store.env().local_millis(), put_off };
        let mut tasks = Vec::new();
        let buckets = buckets_of(entries);
        self.check_buckets(request, &buckets)?;
        for bucket in buckets {
            if let Some(file) = bucket.files.iter().find(|file| file.schema_id > self.schema.id) {
                let (theirs, ours) = (file.schema_id, self.schema.id);
                return Err(Error::conflict(format!(
                    "file {} was written with schema {theirs}, and this handle has schema {ours}: open the table again",
                    file.file_name
                )));
            }
            let wanted = request.buckets.is_empty() || request.buckets.contains(&bucket.bucket);
            if wanted && bucket.bucket >= 0 {
                let full = request.full || self.tells_by_full(&bucket);
                tasks.extend(self.plan_live(bucket, snapshot.id, full, &vectors, &now)?);
            }
        }
        // Every run more is one more that each reader merges.
        tasks.sort_by_key(|task| {
            std::cmp::Reverse((task.files.iter().filter(|file| file.level == 0).count(), task.bytes()))
        });
        Ok(tasks)
    }

    /// Whether a bucket has rows of which only a full compaction tells followers.
    fn tells_by_full(&self, bucket: &BucketFiles) -> bool {
        let levels = bucket.files.iter().map(|file| file.level);
        let highest = levels.clone().max().unwrap_or(0).max(self.options.compaction.max_level());
        self.options.changelog_producer == ChangelogProducer::FullCompaction
            && levels.into_iter().any(|it| it < highest)
    }

    /// Refuses buckets above those of the table's option and of all partitions.
    fn check_buckets(&self, request: &CompactRequest, live: &[BucketFiles]) -> Result<()> {
        let of_option = match self.options.bucket {
            BucketMode::Fixed(buckets) => buckets,
            BucketMode::Unaware => 1,
            BucketMode::Dynamic | BucketMode::KeyDynamic | BucketMode::Postpone => 0,
        };
        let of_live = live.iter().map(|bucket| bucket.total_buckets.max(bucket.bucket.saturating_add(1))).max();
        let buckets = of_option.max(of_live.unwrap_or(0));
        match request.buckets.iter().find(|bucket| !(0..buckets).contains(*bucket)) {
            Some(bucket) => {
                Err(Error::invalid(format!("there is no bucket {bucket}: the table has {buckets}, from 0")))
            }
            None => Ok(()),
        }
    }

    /// What is to be compacted in a bucket.
    pub(crate) fn plan_live(
        &self,
        bucket: BucketFiles,
        snapshot_id: SnapshotId,
        full: bool,
        vectors: &Vectors,
        now: &Moment,
    ) -> Result<Vec<CompactTask>> {
        // What newer columns hold would be lost. A writer takes the schema up before its next commit.
        if bucket.files.iter().any(|file| file.schema_id > self.schema.id) {
            return Ok(Vec::new());
        }
        let place = (snapshot_id, self.schema.id);
        let of_bucket = vectors.of_bucket(&bucket.partition, bucket.bucket, &bucket.files);
        if !self.schema.has_primary_key() {
            let holds = |entry: &IndexManifestEntry, task: &CompactTask| {
                let names = |range: &DeletionVectorRange| task.files.iter().any(|it| it.file_name == range.data_file);
                entry.deletion_vectors.iter().flatten().any(names)
            };
            let masked: HashMap<&str, Option<i64>> = of_bucket
                .iter()
                .flat_map(|entry| entry.deletion_vectors.iter().flatten())
                .map(|range| (range.data_file.as_str(), range.cardinality))
                .collect();
            let threshold = self.options.compaction.delete_ratio;
            // A vector that does not tell how many rows it masks may mask many.
            let worn = |file: &DataFileMeta| {
                let rows = masked.get(file.file_name.as_str());
                rows.is_some_and(|rows| full || rows.is_none_or(|rows| rows as f64 > file.row_count as f64 * threshold))
            };
            let mut tasks = plan_append(bucket, place, &self.options, full, &worn);
            for task in &mut tasks {
                task.vectors = of_bucket.iter().filter(|entry| holds(entry, task)).cloned().collect();
            }
            return Ok(tasks);
        }
        let key_types = self.schema.types_of(&self.schema.trimmed_primary_keys())?;
        let masked: HashSet<&str> = of_bucket
            .iter()
            .flat_map(|entry| entry.deletion_vectors.iter().flatten())
            .map(|range| range.data_file.as_str())
            .collect();
        let expiry = Expiry::at(&self.schema, &self.options, self.history.store.env().now_millis())?;
        let expires = |file: &DataFileMeta| expiry.as_ref().is_some_and(|expiry| expiry.is_due(file, &self.schema));
        let rewrites = |file: &DataFileMeta| masked.contains(file.file_name.as_str()) || expires(file);
        let task = plan_bucket(bucket, place, &self.options, &key_types, full, now, &rewrites)?;
        // What a retraction of level 0 takes back is masked, wherever it stands.
        let drops = |task: &CompactTask| task.drops_deletes || self.options.deletion_vectors;
        let with_vectors = |task: CompactTask| CompactTask { drops_deletes: drops(&task), vectors: of_bucket, ..task };
        Ok(task.map(with_vectors).into_iter().collect())
    }

    /// Runs a task and describes what it did for the committer. Nothing is visible before that commits; a message that
    /// will not be committed is given to [`crate::commit::Committer::abort`].
    ///
    /// # Errors
    /// The store's errors, [`Error::Corrupt`] with the file; then the task left no file.
    pub async fn run(&self, task: &CompactTask) -> Result<CommitMessage> {
        self.run_with(task, self.limits).await
    }

    /// The same for a task that somebody else must not feel: it leaves one of the threads, and so a core, to them.
    ///
    /// # Errors
    /// As [`Compactor::run`].
    pub(crate) async fn run_beside(&self, task: &CompactTask) -> Result<CommitMessage> {
        self.run_with(task, CompactLimits { threads: self.limits.threads.saturating_sub(1).max(1), ..self.limits })
            .await
    }

    /// Runs tasks side by side within the limits, in their order. Answers what became of each.
    pub async fn run_all(&self, tasks: &[CompactTask]) -> Vec<Result<CommitMessage>> {
        use futures::{FutureExt, StreamExt};
        let room = usize::try_from(self.limits.memory / TASK_MEMORY).unwrap_or(usize::MAX);
        let across = self.limits.threads.min(tasks.len()).min(room).max(1);
        let limits = CompactLimits {
            memory: self.limits.memory / across as u64,
            threads: (self.limits.threads / across).max(1),
            ..self.limits
        };
        let runs: Vec<_> = tasks.iter().map(|task| self.run_with(task, limits).boxed()).collect();
        futures::stream::iter(runs).buffered(across).collect().await
    }

    /// Merges files of level 0 that are in no message yet into files of level 0 that take their place; a file that meets no
    /// other may stay. It tells no changes and looks at no other file.
    ///
    /// # Errors
    /// As [`Compactor::run`].
    pub(crate) async fn join_flushed(
        &self,
        (partition, bucket): (BinaryRow, i32),
        files: Vec<DataFileMeta>,
    ) -> Result<Vec<DataFileMeta>> {
        let task = CompactTask {
            snapshot_id: 0,
            schema_id: self.schema.id,
            partition,
            bucket,
            total_buckets: -1,
            output_level: 0,
            max_level: self.options.compaction.num_levels.saturating_sub(1),
            drops_deletes: false,
            files,
            upper: Vec::new(),
            vectors: Vec::new(),
        };
        let stay = task.files.clone();
        let mut rewrite = self.prepare(&task, self.limits, Before::Unknown).await?;
        // They are the rows of a commit, not of a compaction, and all of them are put together.
        rewrite.data.origin = FileSource::Append;
        rewrite.small_file_size = u64::MAX;
        let message = self.history.store.env().blocking(move || rewrite.run(&task)).await?;
        let mut joined = message.compact_after;
        joined.extend(stay.into_iter().filter(|file| !message.compact_before.contains(file)));
        Ok(joined)
    }

    /// Deletes the files of a message that was told to nobody, but not those that were only moved. What cannot be
    /// deleted is an orphan that nobody names.
    pub(crate) async fn discard(&self, message: &CommitMessage) {
        let paths = written_paths(&self.schema, &self.options, message, |_| false);
        self.history.store.delete_unnamed(paths).await;
    }

    /// Puts what a compaction did into the message. Files that it took from an earlier compaction of this commit were
    /// never told to anybody, and go.
    pub(crate) async fn absorb(&self, message: &mut CommitMessage, done: CommitMessage) {
        let mut obsolete = CommitMessage::new(done.partition.clone(), done.bucket, done.total_buckets);
        for file in done.compact_before {
            let same = |other: &DataFileMeta| other.file_name == file.file_name && other.level == file.level;
            let Some(at) = message.compact_after.iter().position(same) else {
                message.compact_before.push(file);
                continue;
            };
            let named = |files: &[DataFileMeta]| files.iter().any(|other| other.file_name == file.file_name);
            let stays = named(&message.compact_before) || named(&done.compact_after) || named(&message.new_files);
            message.compact_after.remove(at);
            if !stays {
                obsolete.compact_after.push(file);
            }
        }
        message.compact_after.extend(done.compact_after);
        message.compact_changelog.extend(done.compact_changelog);
        message.compact_new_index.extend(done.compact_new_index);
        message.compact_deleted_index.extend(done.compact_deleted_index);
        self.discard(&obsolete).await;
    }

    async fn run_with(&self, task: &CompactTask, limits: CompactLimits) -> Result<CommitMessage> {
        if task.schema_id > self.schema.id {
            return Err(Error::invalid(format!(
                "the task is of schema {}, and the table was opened with schema {}",
                task.schema_id, self.schema.id
            )));
        }
        task.files.iter().try_for_each(|file| refuse_unknown(file, self.options.row_tracking))?;
        let rewrite = self.prepare(task, limits, self.before(task)).await?;
        let task = task.clone();
        self.history.store.env().blocking(move || rewrite.run(&task)).await
    }

    async fn prepare(&self, task: &CompactTask, limits: CompactLimits, before: Before) -> Result<Rewrite> {
        let env = self.history.store.env();
        let makes_changelog = self.makes_changelog(before);
        let directory = bucket_directory(&self.schema, &self.options, &task.partition, task.bucket)?;
        let writers = if makes_changelog { 2 } else { 1 };
        let encode_bytes = usize::try_from(limits.memory / 4 / writers).unwrap_or(usize::MAX);
        let mut data = WriteSpec::of_data(&self.schema, &self.options, &self.layout, task.output_level, encode_bytes)?;
        data.encoding.set_threads(limits.threads);
        data.origin = FileSource::Compact;
        let changelog = makes_changelog.then(|| {
            let (schema, options, layout) = (&self.schema, &self.options, &self.layout);
            WriteSpec::of_changelog(schema, options, layout, task.output_level, encode_bytes)
        });
        let mut changelog = changelog.transpose()?;
        if let Some(changelog) = &mut changelog {
            changelog.encoding.set_threads(limits.threads);
        }
        let request = ReadRequest {
            schema: Arc::clone(&self.schema),
            select: (0..self.schema.fields.len()).collect(),
            filter: None,
            batch_rows: self.options.read_batch_rows,
            wide_timestamps: true,
        };
        let vectors = Arc::new(Mutex::new(self.vectors_of(task).await?));
        let pace = Arc::new(Pace::new(self.throttle.clone(), Arc::clone(&self.progress), task));
        let expiry = Expiry::at(&self.schema, &self.options, env.now_millis())?;
        let joins = expiry.clone().map(|rule| (rule.column, joins(rule, task)));
        let old = match self.options.deletion_vectors || self.looks_up_few(task, before) {
            true => self.old_rows(task, &request, (&vectors, &pace), joins.clone(), limits).await?,
            false => None,
        };
        let inputs = Split {
            snapshot_id: task.snapshot_id,
            schema_id: task.schema_id,
            partition: task.partition.clone(),
            bucket: task.bucket,
            files: task.files.iter().chain(&task.upper).cloned().map(Arc::new).collect(),
            vectors: task.vectors.clone(),
            raw: !self.schema.has_primary_key(),
            changes: false,
        };
        let memory = limits.memory / if old.is_some() { 4 } else { 2 };
        let keys = match self.schema.has_primary_key() {
            true => Some(self.keys_of(&request, &inputs, memory).await?),
            false => None,
        };
        let mut reader = SplitReader::new(&self.history, request, std::slice::from_ref(&inputs)).await?;
        reader = reader.with_pace({
            let pace = Arc::clone(&pace);
            Arc::new(move |file, rows| pace.read(file, rows))
        });
        if let Some((column, test)) = joins {
            reader = reader.with_row_test(column, test)?;
        }
        Ok(Rewrite {
            expiry,
            store: self.history.store.clone(),
            runtime: Handle::current(),
            // Old rows take a quarter for their cache and an eighth for the keys that ask for them.
            reader: reader.with_memory(memory),
            inputs,
            keys,
            names: FileNames::new(env, &self.options, directory),
            data,
            changelog,
            before,
            compared: self.compared_columns()?,
            newest_wins: self.options.merge_engine == MergeEngine::Deduplicate
                && self.options.sequence_fields.is_empty(),
            has_groups: self.options.merge_engine == MergeEngine::PartialUpdate
                && !self.options.merge.groups.is_empty(),
            key_types: self.schema.types_of(&self.schema.trimmed_primary_keys())?,
            small_file_size: self.options.compaction.small_file_size,
            force_rewrite: self.options.compaction.force_rewrite,
            pace,
            schema: Arc::clone(&self.schema),
            options: self.options.clone(),
            old,
            vectors,
        })
    }

    async fn keys_of(&self, request: &ReadRequest, inputs: &Split, memory: u64) -> Result<TaskKeys> {
        let trimmed = self.schema.trimmed_primary_keys();
        let columns = self.schema.positions(&trimmed)?;
        let request = ReadRequest { select: columns.clone(), ..request.clone() };
        let reader = SplitReader::new(&self.history, request, std::slice::from_ref(inputs)).await?;
        let encoder = KeyEncoder::new(&self.schema.types_of(&trimmed)?)?;
        Ok(TaskKeys { reader: reader.with_memory(memory), encoder, columns })
    }

    async fn vectors_of(&self, task: &CompactTask) -> Result<BucketVectors> {
        BucketVectors::load(&self.history.store, &self.schema, &self.options, task.vectors.clone()).await
    }

    /// What finds the old rows above a task that brings keys up from level 0.
    async fn old_rows(
        &self,
        task: &CompactTask,
        request: &ReadRequest,
        (vectors, pace): (&Arc<Mutex<BucketVectors>>, &Arc<Pace>),
        joins: Option<(usize, RowTest)>,
        limits: CompactLimits,
    ) -> Result<Option<OldRows>> {
        let flushed: Vec<_> = task.files.iter().filter(|file| file.level == 0).cloned().map(Arc::new).collect();
        if flushed.is_empty() || task.upper.is_empty() {
            return Ok(None);
        }
        let trimmed = self.schema.trimmed_primary_keys();
        let key_columns = self.schema.positions(&trimmed)?;
        let tested = joins.iter().map(|(column, _)| *column).filter(|column| !key_columns.contains(column));
        let select = key_columns.iter().copied().chain(tested).collect();
        let request = ReadRequest { select, ..request.clone() };
        let split = Split {
            snapshot_id: task.snapshot_id,
            schema_id: task.schema_id,
            partition: task.partition.clone(),
            bucket: task.bucket,
            files: flushed,
            vectors: Vec::new(), // rows of level 0 are never masked
            raw: false,
            changes: false,
        };
        let reader = SplitReader::new(&self.history, request, std::slice::from_ref(&split)).await?;
        let shared = vectors.lock().unwrap_or_else(PoisonError::into_inner).shared();
        let upper: Vec<_> = task.upper.iter().cloned().map(Arc::new).collect();
        let (history, schema, cache) = (&self.history, &self.schema, &self.lookups);
        let versions = OldVersions::new(history, schema, cache, &task.partition, task.bucket, &upper, &shared)?;
        Ok(Some(OldRows {
            runtime: Handle::current(),
            versions: Arc::new(versions),
            keys: reader.with_memory(limits.memory / 8),
            joins,
            flushed: split,
            encoder: KeyEncoder::new(&self.schema.types_of(&trimmed)?)?,
            key_columns,
            columns: (0..self.schema.fields.len()).collect(),
            vectors: self.options.deletion_vectors.then(|| Arc::clone(vectors)),
            level: task.max_level.saturating_add(1),
            pace: Arc::clone(pace),
        }))
    }
}

/// Decides which rows of a task's files are young enough for its merge. What is read beside them is not asked.
fn joins(rule: Expiry, task: &CompactTask) -> RowTest {
    let inputs: HashSet<String> = task.files.iter().map(|file| file.file_name.clone()).collect();
    Arc::new(move |file, times| inputs.contains(&file.file_name).then(|| rule.keeps(times)).transpose())
}

impl Compactor {
    /// How a task finds the rows before.
    fn before(&self, task: &CompactTask) -> Before {
        match self.options.changelog_producer {
            _ if !self.schema.has_primary_key() => Before::Unknown,
            ChangelogProducer::FullCompaction if task.output_level == task.max_level => Before::TopLevel,
            ChangelogProducer::FullCompaction => Before::Unknown,
            _ if self.options.merge_engine == MergeEngine::FirstRow => Before::FirstRow,
            _ if self.options.compaction.needs_lookup => Before::Lookup,
            _ => Before::Unknown,
        }
    }

    /// Whether a task brings so few keys up from level 0 that their old rows above are rather looked up, page by page,
    /// than met by reading the files above as a whole.
    fn looks_up_few(&self, task: &CompactTask, before: Before) -> bool {
        let rows = |files: &mut dyn Iterator<Item = &DataFileMeta>| {
            files.map(|file| u64::try_from(file.row_count).unwrap_or(0)).fold(0, u64::saturating_add)
        };
        let flushed = rows(&mut task.files.iter().filter(|file| file.level == 0));
        matches!(before, Before::Lookup | Before::FirstRow)
            && flushed.saturating_mul(FEW) <= rows(&mut task.upper.iter())
    }

    fn makes_changelog(&self, before: Before) -> bool {
        match self.options.changelog_producer {
            ChangelogProducer::None | ChangelogProducer::Input => false,
            ChangelogProducer::FullCompaction | ChangelogProducer::Lookup => before != Before::Unknown,
        }
    }

    /// The columns whose change is a change, where rows that did not change are to be left out of the changelog.
    fn compared_columns(&self) -> Result<Option<Vec<usize>>> {
        let options = &self.options.compaction;
        if !options.row_deduplicate {
            return Ok(None);
        }
        let ignored = self.schema.positions(&options.row_deduplicate_ignored)?;
        Ok(Some((0..self.schema.fields.len()).filter(|column| !ignored.contains(column)).collect()))
    }
}

/// What would be lost if the file were rewritten or moved by this version.
fn refuse_unknown(file: &DataFileMeta, row_tracking: bool) -> Result<()> {
    let what = match file {
        DataFileMeta { first_row_id: Some(_), write_cols: None, .. } if row_tracking => return Ok(()),
        _ if row_tracking && file.holds_row_ids() => return Ok(()),
        DataFileMeta { first_row_id: Some(_), .. } => "row ids",
        DataFileMeta { write_cols: Some(_), .. } => "some of the columns only",
        _ => return Ok(()),
    };
    Err(Error::unsupported(format!("compaction of data file {}: a file with {what}", file.file_name)))
}
