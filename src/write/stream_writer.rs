//! The writer of one parallel task: rows in, commit messages out at every checkpoint.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Int8Array, RecordBatch};
use arrow_select::filter::filter_record_batch;
use tokio::runtime::Handle;

use super::ChangeBatch;
use super::channels::Channel;
use super::compaction::WriterCompaction;
use super::dynamic::{DynamicBuckets, IndexUpdate};
use super::flush::{BucketRows, FlushRules, Flushed, flush, merge_spills, spill};
use super::joining::first_joined;
use super::key_places::KeyPlaces;
use super::router::{Buckets, Router};
use super::sequence_numbers::SequenceNumbers;
use super::settings::Settings;
use super::take_up::{Gone, check_same};
use crate::compact::join_changelogs;
use crate::error::{Error, Result};
use crate::files::{FileNames, require_roots};
use crate::format::layout::{self, POSTPONE_BUCKET};
use crate::format::{
    BinaryRow, CommitKind, CommitMessage, DataFileMeta, Snapshot, SnapshotId, bucket_directory, written_paths,
};
use crate::history::History;
use crate::lsm::{KeyEncoder, WriteBuffer};
use crate::read::{Spill, SpillFormat};
use crate::scan::schema_of;
use crate::schema::{BucketMode, Schema, TableOptions, Use, check_options};
use crate::types::{RowKind, accept_filled, check_keys, lane_schema};

/// Spills that are merged at once.
pub(super) const MAX_SPILLS: usize = 32;
/// Bytes that sorting takes for each row, beside the row.
const SORT_BYTES: usize = 64;
/// Rows of an input batch that are taken in at once.
const CHUNK: usize = 64 << 10;

/// Writes rows of one table. Nothing is visible before the messages of [`StreamWriter::prepare_commit`] are committed.
///
/// All buckets and partitions share one memory budget, option `write-buffer-size`. What does not fit goes to local
/// disk as sorted runs, or to level-0 files where `write-buffer-spillable` is off or the disk limit is reached.
///
/// A table that is altered meanwhile: the first row after a commit asks for the newest schema, and the writer goes on
/// with it (`format-spec/write.md`, another schema).
pub struct StreamWriter {
    settings: Settings,
    history: History,
    rules: Arc<FlushRules>,
    router: Router,
    buffer: WriteBuffer,
    buckets: Vec<BucketState>,
    spills: Vec<Spill>,
    /// Bytes of buffered rows that fill the budget.
    limit: usize,
    sequence: SequenceNumbers,
    /// `None` where a job of its own compacts.
    compaction: Option<WriterCompaction>,
    /// Nothing was flushed since the last commit.
    fresh: bool,
    commit_user: String,
    /// The beginning of the names of postponed files.
    postpone: Option<String>,
    /// Columns that this writer had and the table has no more; `None` where it keeps its schema to the end.
    gone: Option<Gone>,
    /// Nothing was written since the last commit.
    between_commits: bool,
    /// Where every key is, in tables whose keys may move between partitions.
    places: Option<Box<KeyPlaces>>,
    /// The snapshot that it was made from, or the newest of this writer's own that follows.
    places_seen: SnapshotId,
    /// What is written replaces whole partitions: nothing of what is there counts.
    anew: bool,
    /// Bucket counts were taken in once.
    knows_counts: bool,
    /// Rows may be lost: set while they are moved, cleared when that succeeded.
    broken: bool,
}

/// What the writer holds of one bucket.
struct BucketState {
    names: Arc<FileNames>,
    /// Rows in the buffer, in arrival order.
    rows: Vec<(u32, u32)>,
    /// The sequence number that follows the last flushed row.
    next_sequence: i64,
    done: Vec<Flushed>,
}

impl StreamWriter {
    /// A writer on a table's newest schema: one of a job's parallel ones.
    pub(crate) fn new(
        history: History,
        schema: Arc<Schema>,
        options: TableOptions,
        commit_user: &str,
        channel: Channel,
        spill_directory: Option<PathBuf>,
    ) -> Result<Self> {
        history.store.require_writable()?;
        let settings = Settings::new(schema, options)?;
        require_roots(&history.store, &settings.options)?;
        let postpone = match settings.options.bucket {
            BucketMode::Postpone => Some(postpone_prefix(&history, &settings.options, commit_user)?),
            _ => None,
        };
        let rules = rules_of(&history, &settings, postpone.clone(), spill_directory)?;
        let compaction = compaction_of(&history, &settings)?;
        Ok(Self {
            router: Router::new(&settings.schema, buckets_of(&history, &settings, channel)?)?,
            buffer: buffer_of(&settings)?,
            buckets: Vec::new(),
            spills: Vec::new(),
            // Encoding takes a quarter, merging of spills too, and so does a compaction beside the writer.
            limit: budget(&settings) / if compaction.is_some() { 4 } else { 2 },
            compaction,
            sequence: SequenceNumbers::default(),
            fresh: true,
            commit_user: commit_user.to_string(),
            postpone,
            gone: Some(Gone::default()),
            between_commits: false,
            places: None,
            places_seen: 0,
            anew: false,
            knows_counts: false,
            broken: false,
            rules: Arc::new(rules),
            history,
            settings,
        })
    }

    /// The same for rows that replace whole partitions: neither bucket counts nor key indexes of what is there matter.
    #[must_use]
    pub(crate) fn anew(mut self) -> Self {
        self.anew = true;
        self.gone = None;
        self.router.anew();
        self
    }

    /// The same for rows of the table itself: their NULLs stay, whatever default values the columns have, and so does what only
    /// others would store.
    #[must_use]
    pub(crate) fn keeping_nulls(mut self) -> Self {
        self.settings.defaults.clear();
        self.settings.own_rows = true;
        self.gone = None;
        self
    }

    /// The same with so many threads that sort and encode, until it goes on with another schema.
    #[must_use]
    pub(crate) fn with_threads(mut self, threads: usize) -> Self {
        if let Some(rules) = Arc::get_mut(&mut self.rules) {
            rules.threads = threads.max(1);
        }
        self
    }

    /// Takes rows in. Columns are found by name and cast without loss. A column that is NULL or missing gets its default
    /// value, whatever the row's kind; without one a missing nullable column is NULL.
    ///
    /// # Errors
    /// [`Error::Invalid`] for rows that do not fit the table, and [`Error::Conflict`] that names what another schema of
    /// the table took away, a column of the rows or what this writer rests on: none of the batch is taken then. After any
    /// other error, or when the call was dropped half-way, rows may be lost: the writer refuses to go on and must be aborted.
    pub async fn write(&mut self, batch: &ChangeBatch) -> Result<()> {
        self.take_up_schema().await?;
        let (rows, kinds) = self.accept(batch)?;
        self.begin()?;
        self.between_commits = false;
        if !self.knows_counts && !self.anew && matches!(self.settings.options.bucket, BucketMode::Fixed(_)) {
            self.sequence.refresh(&self.history).await?;
            self.knows_counts = true;
        }
        let mut start = 0;
        while start < rows.num_rows() {
            let length = CHUNK.min(rows.num_rows() - start);
            let columns: Vec<ArrayRef> = rows.columns().iter().map(|column| column.slice(start, length)).collect();
            let kinds = kinds.as_ref().map(|kinds| kinds.slice(start, length));
            let (columns, kinds) = match &self.settings.options.bucket {
                BucketMode::KeyDynamic => self.place(columns, kinds, length).await?,
                _ => (columns, kinds),
            };
            let rows = columns.first().map_or(length, |column| column.len());
            let partitions = self.router.partitions(&columns, rows).await?;
            self.take(columns, partitions, kinds, rows)?;
            start += length;
            if self.buffer.bytes() + self.buffer.rows() * SORT_BYTES >= self.room_for_rows() {
                self.make_room().await?;
            }
        }
        self.broken = false;
        Ok(())
    }

    /// Finds the buckets of rows whose keys may be in another partition.
    async fn place(
        &mut self,
        columns: Vec<ArrayRef>,
        kinds: Option<Int8Array>,
        rows: usize,
    ) -> Result<(Vec<ArrayRef>, Option<Int8Array>)> {
        let mut places = match self.places.take() {
            Some(places) => {
                if self.fresh && !self.anew {
                    self.places_seen = self.only_own_commits(self.places_seen).await?;
                }
                places
            }
            None => {
                let settings = &self.settings;
                let directory = self.rules.spill_directory.as_deref();
                let (schema, options) = (&settings.schema, &settings.options);
                let loaded = match self.anew {
                    true => (KeyPlaces::empty(schema, options, directory)?, 0),
                    false => KeyPlaces::load(&self.history, schema, options, directory).await?,
                };
                self.places_seen = loaded.1;
                Box::new(loaded.0)
            }
        };
        let work = move || {
            let placed = places.place(columns, kinds, rows)?;
            Ok((placed, places))
        };
        let (placed, places) = self.blocking(work).await?;
        self.places = Some(places);
        self.router.give(placed.buckets);
        Ok((placed.columns, placed.kinds))
    }

    /// The newest snapshot, when nobody else wrote rows since another one: the index does not know theirs.
    async fn only_own_commits(&self, since: SnapshotId) -> Result<SnapshotId> {
        let Some(latest) = self.history.snapshots.latest_id().await? else { return Ok(since) };
        for id in since + 1..=latest {
            let snapshot = self.history.snapshots.try_load(id).await?;
            let own = |it: &Snapshot| it.commit_kind == CommitKind::Compact || it.commit_user == self.commit_user;
            if !snapshot.as_ref().is_some_and(own) {
                return Err(Error::conflict(format!(
                    "snapshot {id} is another writer's, and keys of this table may move between partitions: this \
                     writer does not know where they are now; open a new writer"
                )));
            }
        }
        Ok(latest)
    }

    /// Goes on with the table's newest schema, between two commits: with its columns, their default values and its options.
    async fn take_up_schema(&mut self) -> Result<()> {
        let Some(gone) = self.gone.as_ref().filter(|_| self.between_commits && !self.broken) else { return Ok(()) };
        let newest = self.history.schemas.require_latest().await?;
        let old = Arc::clone(&self.settings.schema);
        if newest.id <= old.id {
            self.between_commits = false;
            return Ok(());
        }
        let schema = schema_of(&self.history, &old, newest.id).await?;
        check_options(&schema, Use::Write)?;
        let mut options = TableOptions::parse(&schema)?;
        // Whether a writer compacts is settled when it is opened.
        options.compaction.write_only = self.settings.options.compaction.write_only;
        check_same(&old, &schema, &self.settings.options, &options)?;
        let (gone, settings) = (gone.after(&old, &schema), Settings::new(schema, options)?);
        let rules = rules_of(&self.history, &settings, self.postpone.clone(), self.rules.spill_directory.clone())?;
        let (buffer, compaction) = (buffer_of(&settings)?, compaction_of(&self.history, &settings)?);
        self.router.take_up(&settings.schema, &settings.options)?;
        if let Some(places) = &mut self.places {
            places.take_up(&settings.schema)?;
        }
        self.limit = budget(&settings) / if compaction.is_some() { 4 } else { 2 };
        match (&mut self.compaction, compaction) {
            (Some(running), Some(next)) => running.take_up(next),
            (mine, next) => *mine = next,
        }
        tracing::info!(from = old.id, to = newest.id, "the writer goes on with the table's new schema");
        self.gone = Some(gone);
        (self.rules, self.buffer, self.settings) = (Arc::new(rules), buffer, settings);
        self.between_commits = false;
        Ok(())
    }

    /// The schema that rows are written with: the newest one as of the first row after the last commit.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.settings.schema
    }

    /// Rows are about to move. Whoever comes to the end clears the mark.
    fn begin(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.broken, true) {
            let what =
                "an earlier call of this writer failed, so rows may be lost: abort it and write again".to_string();
            return Err(Error::Storage { what, retryable: false });
        }
        Ok(())
    }

    /// Writes rows as `+I`.
    ///
    /// # Errors
    /// As [`StreamWriter::write`].
    pub async fn upsert(&mut self, rows: &RecordBatch) -> Result<()> {
        self.write(&ChangeBatch::of_kind(rows.clone(), RowKind::Insert)).await
    }

    /// Writes rows as `-D`. Columns beside the key may be missing where they are nullable.
    ///
    /// # Errors
    /// As [`StreamWriter::write`].
    pub async fn delete(&mut self, rows: &RecordBatch) -> Result<()> {
        self.write(&ChangeBatch::of_kind(rows.clone(), RowKind::Delete)).await
    }

    /// Rows and kinds as they will be stored, without those that an option drops.
    fn accept(&self, batch: &ChangeBatch) -> Result<(RecordBatch, Option<Int8Array>)> {
        let options = &self.settings.options;
        let Settings { schema, defaults, .. } = &self.settings;
        let rows = match &self.gone {
            Some(gone) => Cow::Owned(gone.without(batch.rows())?),
            None => Cow::Borrowed(batch.rows()),
        };
        let rows = accept_filled(&schema.columns(), defaults, &rows)?;
        if !self.settings.own_rows {
            let mut lanes = schema.fields.iter().zip(rows.columns());
            lanes.try_for_each(|(field, lane)| check_keys(&field.name, &field.data_type.kind, lane))?;
        }
        self.settings.check_values(rows.columns())?;
        let rows = self.settings.storable(rows)?;
        let kinds = match self.settings.kind_column {
            Some(column) => Some(kinds_of_column(&rows, column)?),
            None => batch.kinds().cloned(),
        };
        let Some(kinds) = kinds else { return Ok((rows, None)) };
        let dropped = |kind: i8| match RowKind::from_byte(kind) {
            Ok(RowKind::UpdateBefore) => options.ignore_delete || options.ignore_update_before,
            Ok(RowKind::Delete) => options.ignore_delete,
            _ => false,
        };
        let keep = BooleanArray::from_iter(kinds.values().iter().map(|kind| Some(!dropped(*kind))));
        let (rows, kinds) = match keep.true_count() == keep.len() {
            true => (rows, kinds),
            false => (
                filter_record_batch(&rows, &keep).map_err(|error| Error::bug(error.to_string()))?,
                Int8Array::from_iter_values(kinds.values().iter().copied().filter(|kind| !dropped(*kind))),
            ),
        };
        if schema.has_primary_key() {
            return Ok((rows, Some(kinds)));
        }
        // Files of append tables keep no kinds.
        let adds = |kind: &i8| [RowKind::Insert as i8, RowKind::UpdateAfter as i8].contains(kind);
        match kinds.values().iter().all(adds) {
            true => Ok((rows, None)),
            false => {
                Err(Error::invalid("an append table takes +I and +U rows only (option ignore-delete drops the others)"))
            }
        }
    }

    fn take(
        &mut self,
        columns: Vec<ArrayRef>,
        partitions: Vec<u32>,
        kinds: Option<Int8Array>,
        rows: usize,
    ) -> Result<()> {
        let (sequence, anew) = (&self.sequence, self.anew);
        let count_of = |partition: &BinaryRow| sequence.total_buckets(partition).filter(|_| !anew);
        let targets = self.router.route(&columns, partitions, count_of)?;
        let batch = self.buffer.push(columns, kinds, rows)?;
        while self.buckets.len() < self.router.targets() {
            let state = self.bucket_state(self.buckets.len() as u32)?;
            self.buckets.push(state);
        }
        if let [bucket] = self.buckets.as_mut_slice() {
            bucket.rows.extend((0..rows as u32).map(|row| (batch, row)));
            return Ok(());
        }
        for (row, target) in (0..).zip(targets) {
            self.buckets[target as usize].rows.push((batch, row));
        }
        Ok(())
    }

    fn bucket_state(&self, target: u32) -> Result<BucketState> {
        let (partition, bucket) = self.target(target)?;
        let directory = bucket_directory(&self.settings.schema, &self.settings.options, partition, *bucket)?;
        let names = FileNames::new(self.history.store.env(), &self.settings.options, directory);
        Ok(BucketState { names: Arc::new(names), rows: Vec::new(), next_sequence: 0, done: Vec::new() })
    }

    fn target(&self, target: u32) -> Result<&(BinaryRow, i32)> {
        self.router.target(target).ok_or_else(|| Error::bug(format!("no target {target}")))
    }

    /// Bytes that buffered rows may take. The indexes of dynamic buckets take of it, up to three quarters.
    fn room_for_rows(&self) -> usize {
        self.limit.saturating_sub(self.router.index_bytes()).max(self.limit / 4)
    }

    /// Spills or flushes everything in memory.
    async fn make_room(&mut self) -> Result<()> {
        let disk: u64 = self.spills.iter().map(Spill::bytes).sum();
        let options = &self.settings.options;
        let spills = self.settings.merge.is_some() && options.write_buffer_spillable;
        if !spills || disk + self.buffer.bytes() as u64 > options.write_buffer_max_disk {
            self.flush().await?;
            return self.bound_runs().await;
        }
        self.spill().await?;
        if self.spills.len() >= MAX_SPILLS {
            let (rules, spills) = (Arc::clone(&self.rules), std::mem::take(&mut self.spills));
            let targets = self.buckets.len() as u32;
            self.spills = vec![self.blocking(move || merge_spills(&rules, &spills, 0..targets)).await?];
        }
        Ok(())
    }

    async fn spill(&mut self) -> Result<()> {
        let waiting = self.waiting_rows().await?;
        let (rules, buffer) = (Arc::clone(&self.rules), self.take_buffer());
        let (spill, buffer) = self.blocking(move || Ok((spill(&rules, &buffer, &waiting)?, buffer))).await?;
        self.give_buffer_back(buffer);
        self.spills.push(spill);
        Ok(())
    }

    /// Writes everything, in memory and spilled, to files.
    async fn flush(&mut self) -> Result<()> {
        if !self.spills.is_empty() && !self.buffer.is_empty() {
            self.spill().await?; // so that a merge holds batches of runs and nothing beside
        }
        let waiting = self.waiting_rows().await?;
        let (rules, buffer) = (Arc::clone(&self.rules), self.take_buffer());
        let spills = std::mem::take(&mut self.spills);
        let work = move || {
            let flushed = flush(&rules, &buffer, &spills, waiting)?;
            Ok((flushed, buffer))
        };
        let (flushed, buffer) = self.blocking(work).await?;
        self.give_buffer_back(buffer);
        for files in flushed {
            self.buckets[files.target as usize].done.push(files);
        }
        Ok(())
    }

    /// Merges flushes of this commit that would give a bucket more runs than option `num-sorted-run.stop-trigger` and one.
    /// The files of one flush do not overlap, and count as one run.
    async fn bound_runs(&mut self) -> Result<()> {
        let Some(compaction) = self.compaction.as_mut().filter(|_| !self.anew) else { return Ok(()) };
        let mut flushed = BTreeMap::new();
        for (target, _) in (0..).zip(&self.buckets).filter(|(_, bucket)| bucket.done.len() > 1) {
            let place = self.router.target(target).ok_or_else(|| Error::bug(format!("no target {target}")))?;
            flushed.insert(place.clone(), target as usize);
        }
        if flushed.is_empty() {
            return Ok(());
        }
        let room = compaction.room(flushed.keys().cloned().collect(), &self.sequence).await?;
        for (place, target) in flushed {
            let bucket = &mut self.buckets[target];
            let first = first_joined(&bucket.done, room.get(&place).copied().unwrap_or(usize::MAX));
            let Some(newest) = bucket.done.get(first..).filter(|newest| newest.len() > 1) else { continue };
            let old: Vec<_> = newest.iter().flat_map(|flushed| flushed.files.iter().cloned()).collect();
            let files = compaction.join(place, old.clone()).await?;
            let changelog = bucket.done.drain(first..).flat_map(|flushed| flushed.changelog).collect();
            bucket.done.push(Flushed { target: target as u32, files, changelog });
            let stays = |file: &DataFileMeta| bucket.done[first].files.iter().any(|it| it.file_name == file.file_name);
            let gone = |file: &&DataFileMeta| !stays(file);
            let paths: Vec<String> = old.iter().filter(gone).flat_map(|file| bucket.names.paths(file)).collect();
            self.history.store.delete_unnamed(Ok(paths)).await;
        }
        Ok(())
    }

    /// How long this writer stood still because a bucket had as many runs as option `num-sorted-run.stop-trigger` allows:
    /// for compactions of it, and to merge what was flushed for one commit.
    pub fn stalled(&self) -> Duration {
        self.compaction.as_ref().map_or(Duration::ZERO, WriterCompaction::stalled)
    }

    /// Takes the rows out of the buckets that have any, in memory or spilled, and gives them their sequence numbers.
    async fn waiting_rows(&mut self) -> Result<Vec<BucketRows>> {
        if self.fresh && !self.anew && (self.settings.merge.is_some() || self.is_bucketed_append()) {
            self.sequence.refresh(&self.history).await?;
        }
        self.fresh = false;
        let numbered = self.settings.options.bucket != BucketMode::Postpone;
        let mut waiting = Vec::new();
        for target in 0..self.buckets.len() as u32 {
            let waits = !self.buckets[target as usize].rows.is_empty();
            if !waits && self.spills.iter().all(|spill| !spill.holds(target)) {
                continue;
            }
            let (partition, bucket) = self.target(target)?.clone();
            self.check_total(&partition, self.router.total(target))?;
            let state = &mut self.buckets[target as usize];
            let first_sequence = self.sequence.next(&partition, bucket)?.max(state.next_sequence);
            let rows = std::mem::take(&mut state.rows);
            let end = first_sequence.checked_add(rows.len() as i64);
            state.next_sequence = end.ok_or_else(|| Error::exhausted("the sequence numbers of a bucket"))?;
            waiting.push(BucketRows { target, rows, first_sequence, numbered, names: Arc::clone(&state.names) });
        }
        Ok(waiting)
    }

    /// A partition that was rescaled since its rows were routed: with two counts a key would live in two buckets.
    fn check_total(&self, partition: &BinaryRow, routed: i32) -> Result<()> {
        match self.sequence.total_buckets(partition) {
            Some(live) if routed > 0 && live != routed && !self.anew => Err(Error::conflict(format!(
                "a partition was rescaled from {routed} to {live} buckets while this writer held rows of it; write them \
                 again with a new writer"
            ))),
            _ => Ok(()),
        }
    }

    /// Append tables without buckets count from 0 in every writer.
    fn is_bucketed_append(&self) -> bool {
        self.settings.merge.is_none() && matches!(self.settings.options.bucket, BucketMode::Fixed(_))
    }

    /// Flushes what was written since the last call and describes it for the committer.
    ///
    /// # Errors
    /// The store's and the local disk's errors; then the writer is to be dropped, after [`StreamWriter::abort`].
    pub async fn prepare_commit(&mut self) -> Result<Vec<CommitMessage>> {
        self.begin()?;
        if !self.buffer.is_empty() || !self.spills.is_empty() {
            self.flush().await?;
            self.bound_runs().await?;
        }
        self.fresh = true;
        let indexes = self.router.prepare().await?;
        let mut messages = Vec::new();
        for target in 0..self.buckets.len() as u32 {
            let done = std::mem::take(&mut self.buckets[target as usize].done);
            let (partition, bucket) = self.target(target)?.clone();
            let total_buckets = if bucket == POSTPONE_BUCKET { POSTPONE_BUCKET } else { self.router.total(target) };
            let mut message = CommitMessage::new(partition, bucket, total_buckets);
            message.base_snapshot = (total_buckets > 0 && !self.anew).then(|| self.sequence.seen());
            for flushed in done {
                message.new_files.extend(flushed.files);
                message.changelog_files.extend(flushed.changelog);
            }
            if self.settings.options.bucket == BucketMode::KeyDynamic && !self.anew {
                message.base_snapshot = Some(self.places_seen);
            }
            if !message.is_empty() {
                messages.push(message);
            }
        }
        add_indexes(&mut messages, indexes);
        if let Some(compaction) = &mut self.compaction
            && let Err(error) = compaction.prepare(&mut messages, &mut self.sequence).await
        {
            // Nobody else knows of these files.
            for message in &messages {
                self.delete_files(message).await;
            }
            return Err(error);
        }
        // In the order of plans, which then need not sort.
        messages.sort_by(|a, b| (&a.partition, a.bucket).cmp(&(&b.partition, b.bucket)));
        self.join_changelogs(&mut messages).await?;
        self.forget_targets()?;
        self.between_commits = true;
        self.broken = false;
        Ok(messages)
    }

    /// Partitions come and go; what is remembered of each is its last sequence number.
    fn forget_targets(&mut self) -> Result<()> {
        for target in 0..self.buckets.len() as u32 {
            let (partition, bucket) = self.target(target)?.clone();
            let next = self.buckets[target as usize].next_sequence;
            if next > 0 {
                self.sequence.raise(&partition, bucket, next - 1);
            }
        }
        self.buckets.clear();
        self.router.forget_targets();
        Ok(())
    }

    /// Tells that the compaction in an earlier message was dropped, as [`crate::commit::CommitOutcome`] says: what it took
    /// is compacted again. A writer that is not told finds out some commits later.
    pub fn compaction_was_dropped(&mut self) {
        if let Some(compaction) = &mut self.compaction {
            compaction.forget();
        }
    }

    /// Waits for the compactions that run beside this writer, at its end, after its last commit. Their messages are
    /// committed as a compaction's, or aborted; a writer that is dropped instead leaves files of them behind.
    pub async fn finish_compactions(&mut self) -> Vec<CommitMessage> {
        match &mut self.compaction {
            Some(compaction) => {
                let mut messages = compaction.finish().await;
                let Settings { schema, options, .. } = &self.settings;
                if let Err(error) = join_changelogs(&self.history.store, schema, options, &mut messages).await {
                    tracing::warn!(%error, "small changelog files stay as they are");
                }
                messages
            }
            None => Vec::new(),
        }
    }

    /// Puts small changelog files together. When that fails nobody was told of the messages, and their files are deleted.
    async fn join_changelogs(&self, messages: &mut [CommitMessage]) -> Result<()> {
        let Settings { schema, options, .. } = &self.settings;
        let joined = join_changelogs(&self.history.store, schema, options, messages).await;
        if joined.is_err() {
            for message in messages {
                self.delete_files(message).await;
            }
        }
        joined
    }

    /// Deletes the files that were flushed and stand in no message yet, and forgets all rows.
    ///
    /// # Errors
    /// The store's first error; the other files are deleted all the same.
    pub async fn abort(self) -> Result<()> {
        let mut result = Ok(());
        if let Some(compaction) = self.compaction {
            compaction.abort().await;
        }
        let mut paths = Vec::new();
        for bucket in &self.buckets {
            let files = bucket.done.iter().flat_map(|flushed| flushed.files.iter().chain(&flushed.changelog));
            paths.extend(files.flat_map(|file| bucket.names.paths(file)));
        }
        for path in paths {
            result = result.and(self.history.store.delete(&path).await);
        }
        result
    }

    /// Deletes the files of a message that was told to nobody. What cannot be deleted is an orphan.
    async fn delete_files(&self, message: &CommitMessage) {
        let paths = written_paths(&self.settings.schema, &self.settings.options, message, |_| false);
        self.history.store.delete_unnamed(paths).await;
    }

    fn take_buffer(&mut self) -> WriteBuffer {
        let empty = self.buffer.like();
        std::mem::replace(&mut self.buffer, empty)
    }

    fn give_buffer_back(&mut self, mut buffer: WriteBuffer) {
        buffer.clear();
        self.buffer = buffer;
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        self.history.store.env().blocking(work).await
    }
}

/// The memory of a writer in bytes.
fn budget(settings: &Settings) -> usize {
    usize::try_from(settings.options.write_buffer_size).unwrap_or(usize::MAX)
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn encoder_of(settings: &Settings) -> Result<KeyEncoder> {
    let schema = &settings.schema;
    KeyEncoder::new(&schema.types_of(&schema.trimmed_primary_keys())?)
}

fn buffer_of(settings: &Settings) -> Result<WriteBuffer> {
    let key_columns = settings.layout.key_columns.clone();
    Ok(WriteBuffer::new(encoder_of(settings)?, key_columns, settings.order.clone()))
}

fn compaction_of(history: &History, settings: &Settings) -> Result<Option<WriterCompaction>> {
    WriterCompaction::new(history, &settings.schema, &settings.options, (budget(settings) / 4) as u64, threads())
}

fn rules_of(
    history: &History,
    settings: &Settings,
    postpone: Option<String>,
    spill_directory: Option<PathBuf>,
) -> Result<FlushRules> {
    let lanes = lane_schema(settings.schema.columns());
    let budget = budget(settings);
    Ok(FlushRules {
        store: history.store.clone(),
        runtime: Handle::current(),
        data: settings.data_spec(budget / 4, postpone)?,
        changelog: settings.changelog_spec(budget / 4)?,
        merge: settings.merge.clone(),
        order: settings.order.clone(),
        spill_format: SpillFormat::new(&lanes, encoder_of(settings)?, settings.layout.key_columns.clone()),
        spill_directory,
        merge_bytes: budget / 4,
        threads: threads(),
    })
}

fn buckets_of(history: &History, settings: &Settings, channel: Channel) -> Result<Buckets> {
    let options = &settings.options;
    Ok(match options.bucket {
        BucketMode::Fixed(buckets) => Buckets::Fixed(options.bucket_function, buckets),
        BucketMode::Unaware => Buckets::One(0),
        BucketMode::Dynamic => {
            let schema = Arc::clone(&settings.schema);
            Buckets::Dynamic(Box::new(DynamicBuckets::new(history.clone(), schema, options.clone(), channel)?))
        }
        BucketMode::KeyDynamic if channel == Channel::ONLY => Buckets::Given(Vec::new()),
        BucketMode::KeyDynamic => {
            return Err(Error::unsupported("parallel writers of a table whose keys may move between partitions"));
        }
        BucketMode::Postpone => Buckets::One(POSTPONE_BUCKET),
    })
}

/// The beginning of the names of postponed files. It tells one writer's files from another's, whose order is unknown.
fn postpone_prefix(history: &History, options: &TableOptions, commit_user: &str) -> Result<String> {
    layout::check_name("commit user", commit_user)?;
    let writer = history.store.env().random_u64() & 0x7fff_ffff;
    Ok(format!("{}-u-{commit_user}-s-{writer}-w-", options.data_file_prefix))
}

/// Puts index files into the messages of their buckets, and what the routing rests on into each partition's first.
fn add_indexes(messages: &mut Vec<CommitMessage>, indexes: Vec<IndexUpdate>) {
    for update in indexes {
        for (new, old) in update.files {
            let of = |message: &CommitMessage| message.bucket == new.bucket && message.partition == new.partition;
            let at = messages.iter().position(of).unwrap_or_else(|| {
                messages.push(CommitMessage::new(new.partition.clone(), new.bucket, -1));
                messages.len() - 1
            });
            messages[at].deleted_index.extend(old);
            messages[at].new_index.push(new);
        }
        if let Some(first) = messages.iter_mut().find(|message| message.partition == update.partition) {
            first.index_read = Some(update.read);
        }
    }
}

/// The kinds that the column of option `rowkind.field` spells.
fn kinds_of_column(rows: &RecordBatch, column: usize) -> Result<Int8Array> {
    let texts = rows.column(column).as_string::<i32>();
    let kinds = texts.iter().map(|text| RowKind::from_short(text.unwrap_or("NULL")).map(|kind| kind as i8));
    Ok(Int8Array::from_iter_values(kinds.collect::<Result<Vec<_>>>()?))
}
