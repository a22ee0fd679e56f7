//! Following a table: the rows of a snapshot first, where asked for, then the changes of one snapshot after another.
//!
//! The whole state is the number of the next snapshot. It is what a consumer file keeps, so a stream that resumes
//! repeats at most the snapshot that was not acknowledged, and misses none: a snapshot whose changes have expired is
//! an error and never skipped.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::Int8Array;

use super::start::{FirstRows, Start, check_kept, expired, oldest_after};
use crate::error::{Error, Result};
use crate::format::layout::POSTPONE_BUCKET;
use crate::format::{BinaryRow, CommitKind, FileKind, ManifestEntry, Snapshot, SnapshotId, Split};
use crate::history::{FileFilter, History};
use crate::predicate::Expr;
use crate::read::{ReadRequest, SplitBatches, SplitReader};
use crate::scan::{PlanRules, Shown, ShownLevels, Vectors, plan_changes, plan_snapshot};
use crate::schema::{BucketMode, ChangelogProducer, Schema, TableOptions};
use crate::types::RowKind;
use crate::write::ChangeBatch;

/// How a stream runs.
#[derive(Debug, Clone, Default)]
pub struct FollowOptions {
    /// Where it begins, unless its consumer has saved progress.
    pub start: Start,
    /// The last snapshot it shows; it ends there.
    pub to: Option<SnapshotId>,
    /// It ends before the first snapshot whose watermark lies above this.
    pub to_watermark: Option<i64>,
    /// Wait for snapshots to come; otherwise it ends at the newest one.
    pub wait: bool,
    /// Keeps progress under this name in the table.
    pub consumer: Option<String>,
    /// Only rows for which this is true.
    pub filter: Option<Expr>,
    /// The columns shown; `None` means all.
    pub select: Option<Vec<String>>,
    /// Leave `TIMESTAMP(7..9)` as `Decimal128(38, 9)` seconds.
    pub wide_timestamps: bool,
    /// Bytes that it may hold.
    pub memory: Option<u64>,
}

/// Changes of one bucket, or rows of a snapshot that is shown whole.
#[derive(Debug, Clone)]
pub struct Change {
    /// The snapshot that made them.
    pub snapshot_id: SnapshotId,
    /// The partition.
    pub partition: BinaryRow,
    /// The bucket.
    pub bucket: i32,
    /// The rows with their kinds.
    pub rows: ChangeBatch,
}

/// A table's changes, one batch after another.
pub struct ChangeStream {
    history: History,
    schema: Arc<Schema>,
    options: TableOptions,
    request: ReadRequest,
    memory: Option<u64>,
    to: Option<SnapshotId>,
    to_watermark: Option<i64>,
    /// The watermark was passed: nothing comes any more.
    ended: bool,
    wait: bool,
    consumer: Option<String>,
    /// The snapshot whose changes come after what is queued.
    next: SnapshotId,
    /// The snapshot that the queued splits belong to.
    current: Option<SnapshotId>,
    /// The queue holds rows of a snapshot that is shown whole.
    showing_rows: bool,
    /// An error may have cost rows.
    failed: bool,
    queue: VecDeque<(Split, Option<RowKind>)>,
    open: Option<Open>,
    /// The change that comes next. It is fetched before the one ahead of it is handed out, so that it is known whether
    /// that one is the last of its snapshot.
    ahead: Option<Change>,
    misses: u64,
    /// The last snapshot was found as a changelog that outlived it; the next one probably is one too.
    in_changelogs: bool,
}

struct Open {
    split: Split,
    kind: Option<RowKind>,
    batches: SplitBatches,
}

/// Each so many polls of an idle table look whether history went on without the awaited snapshot.
const CHECK_EVERY: u64 = 16;

impl ChangeStream {
    /// Opens a stream on a table's newest schema.
    pub(crate) async fn open(
        history: History,
        schema: Arc<Schema>,
        options: TableOptions,
        follow: FollowOptions,
    ) -> Result<Self> {
        let select = match &follow.select {
            Some(names) => schema.positions(names)?,
            None => (0..schema.fields.len()).collect(),
        };
        let saved = match &follow.consumer {
            Some(name) if !options.consumer_ignore_progress => history.consumers.load(name).await?,
            _ => None,
        };
        let (full, next) = match saved {
            Some(next) => {
                check_kept(&history, next).await?;
                (None, next)
            }
            None => {
                let first = follow.start.resolve(&history, &options).await?;
                if let (Some(full), Some(to)) = (&first.full, follow.to)
                    && full.snapshot.id > to
                {
                    let full = full.snapshot.id;
                    let what = format!("the rows of snapshot {full} come first, and {to} is the last snapshot to show");
                    return Err(Error::invalid(what));
                }
                (first.full, first.next)
            }
        };
        let request = ReadRequest {
            schema: Arc::clone(&schema),
            select,
            filter: follow.filter.as_ref().map(|filter| filter.bind(&schema)).transpose()?,
            batch_rows: options.read_batch_rows,
            wide_timestamps: follow.wide_timestamps,
        };
        let mut stream = Self {
            history,
            schema,
            options,
            request,
            memory: follow.memory,
            to: follow.to,
            to_watermark: follow.to_watermark,
            ended: false,
            wait: follow.wait,
            consumer: follow.consumer,
            next,
            current: None,
            showing_rows: false,
            failed: false,
            queue: VecDeque::new(),
            open: None,
            ahead: None,
            misses: 0,
            in_changelogs: false,
        };
        if stream.to_watermark.is_some() {
            // What is shown first, or what was shown before, may lie above it already.
            let before = match &full {
                Some(full) => Some(full.snapshot.clone()),
                None => stream.history.snapshots.try_load(next.saturating_sub(1)).await?,
            };
            stream.ended = before.is_some_and(|before| stream.is_beyond(&before));
        }
        if let Some(full) = full {
            stream.queue_rows(full).await?;
        }
        Ok(stream)
    }

    /// The next changes; `None` at the end. Waits for a snapshot if the stream does; one that does not wait may be asked
    /// again after `None` and goes on with what was committed since.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the next snapshot has expired; the store's errors.
    pub async fn next(&mut self) -> Result<Option<Change>> {
        if self.failed {
            let what = "an earlier read of this stream failed: open it again where its consumer stands".to_string();
            return Err(Error::Storage { what, retryable: false });
        }
        loop {
            if let Some(change) = self.next_queued().await.inspect_err(|_| self.failed = true)? {
                return Ok(Some(change));
            }
            if self.ended || self.to.is_some_and(|to| self.next > to) {
                return Ok(None);
            }
            if !self.advance().await? {
                if !self.wait || self.ended {
                    return Ok(None);
                }
                self.history.store.env().sleep(self.pause()).await;
            }
        }
    }

    /// The snapshot to go on with when everything delivered so far was handled: the one being delivered, or the next one
    /// once its last change was handed out. `None` while the rows of a whole snapshot are delivered: there is no place inside them.
    pub fn position(&self) -> Option<SnapshotId> {
        match self.current {
            Some(_) if self.delivering() && self.showing_rows => None,
            Some(current) if self.delivering() => Some(current),
            _ => Some(self.next),
        }
    }

    fn delivering(&self) -> bool {
        self.ahead.is_some() || self.open.is_some() || !self.queue.is_empty()
    }

    /// Under which name it keeps progress, if it does: the one it was opened with, else the table's option `consumer-id`.
    pub fn consumer(&self) -> Option<&str> {
        self.consumer.as_deref()
    }

    /// Saves [`ChangeStream::position`] in the table for the stream's consumer: everything delivered so far was handled.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a stream without a consumer; the store's errors.
    pub async fn ack(&self) -> Result<()> {
        let Some(consumer) = &self.consumer else {
            return Err(Error::invalid("the stream has no consumer to save progress for"));
        };
        match self.position() {
            Some(next) => self.history.consumers.store(consumer, next).await,
            None => Ok(()),
        }
    }

    fn pause(&self) -> Duration {
        self.options.discovery_interval
    }

    /// The next of the queued changes. A call that is dropped half-way loses nothing: what was fetched stays.
    async fn next_queued(&mut self) -> Result<Option<Change>> {
        if self.ahead.is_none() {
            self.ahead = self.fetch().await?;
        }
        if self.ahead.is_none() {
            return Ok(None);
        }
        let following = self.fetch().await?;
        Ok(std::mem::replace(&mut self.ahead, following))
    }

    async fn fetch(&mut self) -> Result<Option<Change>> {
        loop {
            if let Some(open) = &mut self.open {
                let Some(batch) = open.batches.next().await? else {
                    self.open = None;
                    continue;
                };
                let (rows, kinds) = batch;
                if rows.num_rows() == 0 {
                    continue;
                }
                let kinds = match open.kind {
                    Some(RowKind::Insert) => None,
                    Some(kind) => Some(Int8Array::from_value(kind as i8, rows.num_rows())),
                    None => kinds,
                };
                return Ok(Some(Change {
                    snapshot_id: open.split.snapshot_id,
                    partition: open.split.partition.clone(),
                    bucket: open.split.bucket,
                    rows: ChangeBatch::new(rows, kinds)?,
                }));
            }
            // Taken from the queue only when it is open, so that a call dropped half-way loses nothing.
            let Some((split, kind)) = self.queue.front().cloned() else { return Ok(None) };
            let reader = SplitReader::new(&self.history, self.request.clone(), std::slice::from_ref(&split)).await?;
            let reader = reader.within(self.memory, 1)?;
            self.queue.pop_front();
            self.open = Some(Open { batches: reader.start(split.clone()), split, kind });
        }
    }

    /// Queues the rows of a whole snapshot. What a changelog will tell later is left out: level 0 with producer
    /// lookup, everything below the top with full-compaction. What waits in the postpone bucket comes behind them.
    async fn queue_rows(&mut self, FirstRows { snapshot, since }: FirstRows) -> Result<()> {
        let (id, filter) = (snapshot.id, self.request.filter.as_ref());
        let shown = Shown { levels: ShownLevels::All, since };
        let plan = plan_snapshot(&self.history, &self.schema, &snapshot, filter, shown).await?;
        let lowest = match self.options.changelog_producer {
            ChangelogProducer::None | ChangelogProducer::Input => 0,
            ChangelogProducer::Lookup => 1,
            ChangelogProducer::FullCompaction => self.options.compaction.max_level(),
        };
        let mut queue = VecDeque::new();
        for mut split in plan.splits {
            split.files.retain(|file| file.level >= lowest);
            if !split.files.is_empty() {
                queue.push_back((split, Some(RowKind::Insert)));
            }
        }
        // The snapshot that moves waiting rows is passed over, so they are told here, as they came.
        if self.options.bucket == BucketMode::Postpone && self.options.changelog_producer == ChangelogProducer::None {
            let waiting = FileFilter::bucket(POSTPONE_BUCKET);
            let waiting = self.history.manifests.live_files(&snapshot, &waiting).await?;
            let rules = PlanRules::new(&self.schema, &self.options)?;
            let waiting = plan_changes(&rules, id, &waiting, &Vectors::default());
            queue.extend(waiting.into_iter().map(|split| (split, None)));
        }
        self.queue.append(&mut queue);
        (self.current, self.showing_rows) = (Some(id), true);
        Ok(())
    }

    /// Queues the changes of the next snapshot. Tells whether there is one.
    async fn advance(&mut self) -> Result<bool> {
        let Some(snapshot) = self.find_next().await? else { return Ok(false) };
        if self.is_beyond(&snapshot) {
            self.ended = true;
            return Ok(false);
        }
        if self.is_too_young(&snapshot) {
            return Ok(false);
        }
        if let Err(error) = self.queue_changes(&snapshot).await {
            return Err(self.history.snapshots.explain(snapshot.id, true, error).await);
        }
        (self.current, self.showing_rows) = (Some(snapshot.id), false);
        self.next = snapshot.id.saturating_add(1);
        Ok(true)
    }

    /// Whether `streaming.read.snapshot.delay` holds its changes back. The rows that a stream begins with are not held back.
    fn is_too_young(&self, snapshot: &Snapshot) -> bool {
        let age = self.history.store.env().now_millis().saturating_sub(snapshot.time_millis);
        let delay = self.options.streaming_read_delay.map(|delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
        delay.is_some_and(|delay| age < delay)
    }

    fn is_beyond(&self, snapshot: &Snapshot) -> bool {
        self.to_watermark.zip(snapshot.watermark).is_some_and(|(to, watermark)| watermark > to)
    }

    /// An idle table costs one request a poll, and so does each changelog that outlived its snapshot.
    async fn find_next(&mut self) -> Result<Option<Snapshot>> {
        let snapshots = &self.history.snapshots;
        if self.in_changelogs {
            if let Some(changelog) = snapshots.try_load_changelog(self.next).await? {
                return Ok(Some(changelog));
            }
            self.in_changelogs = false;
        }
        self.misses += 1;
        if !self.misses.is_multiple_of(CHECK_EVERY) {
            if let Some(snapshot) = snapshots.try_load(self.next).await? {
                self.misses = 0;
                return Ok(Some(snapshot));
            }
            if self.misses > 1 {
                return Ok(None);
            }
        }
        let ids = snapshots.ids().await?;
        let (Some(first), Some(last)) = (ids.first().copied(), ids.last().copied()) else { return Ok(None) };
        if self.next > last.saturating_add(1) {
            return Err(Error::conflict(format!(
                "snapshot {} was followed, and the newest one is {last}: the table was rolled back or made anew",
                self.next - 1
            )));
        }
        if self.next > last {
            return Ok(None);
        }
        self.misses = 0;
        // It came while we looked, or it expired: then its changes may be kept.
        if self.next >= first
            && let Some(snapshot) = snapshots.try_load(self.next).await?
        {
            return Ok(Some(snapshot));
        }
        match snapshots.try_load_changelog(self.next).await? {
            Some(changelog) => {
                self.in_changelogs = true;
                Ok(Some(changelog))
            }
            None => Err(expired(self.next, oldest_after(&self.history, self.next).await?)),
        }
    }

    async fn queue_changes(&mut self, snapshot: &Snapshot) -> Result<()> {
        let rules = PlanRules::new(&self.schema, &self.options)?;
        if snapshot.commit_kind == CommitKind::Overwrite && self.shows_overwrites() {
            return self.queue_overwrite(&rules, snapshot).await;
        }
        let (manifests, all) = (&self.history.manifests, FileFilter::default());
        let entries = match self.options.changelog_producer {
            ChangelogProducer::None if snapshot.commit_kind == CommitKind::Append => {
                manifests.delta_files(snapshot, &all).await?
            }
            ChangelogProducer::None => Vec::new(),
            _ => manifests.changelog_files(snapshot, &all).await?,
        };
        let added: Vec<_> = entries.into_iter().filter(|entry| entry.kind == FileKind::Add).collect();
        let none = Vectors::default(); // rows are told as they came, and no file that comes has masked rows
        self.queue.extend(plan_changes(&rules, snapshot.id, &added, &none).into_iter().map(|split| (split, None)));
        Ok(())
    }

    fn shows_overwrites(&self) -> bool {
        match self.schema.has_primary_key() {
            true => self.options.streaming_read_overwrite,
            false => self.options.streaming_read_append_overwrite,
        }
    }

    /// What an overwrite took away as `-D`, then what it brought as `+I`.
    async fn queue_overwrite(&mut self, rules: &PlanRules, snapshot: &Snapshot) -> Result<()> {
        let entries = match self.history.manifests.delta_files(snapshot, &FileFilter::default()).await {
            // A changelog keeps what a producer told, not the files that an overwrite took away.
            Err(Error::NotFound(_)) if self.in_changelogs => {
                return Err(expired(snapshot.id, oldest_after(&self.history, snapshot.id).await?));
            }
            entries => entries?,
        };
        // Rows that wait were not told yet where a changelog tells them when they are moved.
        let told_later = self.options.changelog_producer != ChangelogProducer::None;
        let seen = |entry: &Arc<ManifestEntry>| entry.bucket != POSTPONE_BUCKET || !told_later;
        let (added, deleted): (Vec<Arc<ManifestEntry>>, Vec<_>) =
            entries.into_iter().filter(seen).partition(|entry| entry.kind == FileKind::Add);
        let deleted = if self.schema.has_primary_key() { deleted } else { Vec::new() };
        let before = match deleted.is_empty() {
            true => Vectors::default(),
            false => self.vectors_before(snapshot).await?,
        };
        let after = Vectors::of(&self.history, snapshot).await?;
        for (entries, kind, vectors) in [(deleted, RowKind::Delete, before), (added, RowKind::Insert, after)] {
            for mut split in plan_changes(rules, snapshot.id, &entries, &vectors) {
                (split.changes, split.raw) = (false, !self.schema.has_primary_key());
                self.queue.push_back((split, Some(kind)));
            }
        }
        Ok(())
    }

    /// The vectors of the snapshot before, whose rows an overwrite took away.
    async fn vectors_before(&self, snapshot: &Snapshot) -> Result<Vectors> {
        let before = snapshot.id.saturating_sub(1);
        match self.history.snapshots.try_load(before).await? {
            Some(before) => Vectors::of(&self.history, &before).await,
            // Only its vectors could tell which rows were there.
            None if self.options.deletion_vectors => Err(expired(before, oldest_after(&self.history, before).await?)),
            None => Ok(Vectors::default()),
        }
    }
}
