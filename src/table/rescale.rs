//! Rescaling: the rows of a partition, moved into another number of buckets by an overwrite of that partition.
//!
//! Other partitions are not touched, so a stream may go on writing to them. Rows that come to the partition meanwhile
//! contradict the overwrite, which is then tried again; rows that were routed by the old count and come after it are
//! refused at their commit. Where compactions make the changelog, what it has not told yet is compacted first: the
//! overwrite itself tells nothing. Spec: `format-spec/bucket.md`, rescaling.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::alter::publish_change;
use super::told::{all_is_told, tell, telling};
use crate::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, Committer, Publisher, PutIfAbsent};
use crate::error::{Error, Result};
use crate::format::{BinaryRow, CommitMessage, DataFileMeta, IndexFile, ManifestEntry, Snapshot, SnapshotId};
use crate::history::{EntryTest, FileFilter, History};
use crate::lsm::KeyBound;
use crate::predicate::Expr;
use crate::read::{ReadRequest, RowStream, SplitReader};
use crate::scan::{Shown, ShownLevels, plan_snapshot, schema_of};
use crate::schema::{BucketMode, Schema, SchemaChange, SchemaId, TableOptions, Use, check_options};
use crate::types::RowKind;
use crate::write::{ChangeBatch, Channel, StreamWriter};

/// Tries of one partition while rows keep coming to it.
const TRIES: u32 = 5;

/// What became of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RescaledPartition {
    /// The partition.
    pub partition: BinaryRow,
    /// Its buckets before.
    pub buckets_before: usize,
    /// Its buckets now.
    pub buckets: usize,
    /// Rows that were moved.
    pub rows: i64,
    /// The snapshot that did it; `None` when the partition had that bucket count already.
    pub snapshot_id: Option<SnapshotId>,
}

/// Moves the rows of partitions into another number of buckets.
pub struct Rescale {
    history: History,
    schema: Arc<Schema>,
    spill_directory: Option<PathBuf>,
    buckets: i32,
    filter: Option<Expr>,
    publisher: Arc<dyn Publisher>,
}

impl Rescale {
    pub(super) fn new(history: History, schema: Arc<Schema>, spill_directory: Option<PathBuf>, buckets: i32) -> Self {
        Self { history, schema, spill_directory, buckets, filter: None, publisher: Arc::new(PutIfAbsent) }
    }

    /// Commits by this publisher.
    pub(super) fn published_by(mut self, publisher: Arc<dyn Publisher>) -> Self {
        self.publisher = publisher;
        self
    }

    /// Only partitions for which this is true; it may speak of partition columns only. Then option `bucket` stays as it
    /// is: new partitions get the count that they would have got.
    #[must_use]
    pub fn partitions(mut self, filter: Expr) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Rescales one partition after another. Each is a commit of its own: what was done stays when a later one fails.
    ///
    /// Of a table with dynamic buckets the keys are spread anew over that many buckets, and the index is made anew.
    /// Without [`Rescale::partitions`] the table's option `bucket` is changed first, so that new partitions and writers
    /// that are opened afterwards use the new count; writers that are open go on in partitions not yet rescaled.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bucket count or filter that cannot be, [`Error::Unsupported`] for tables without buckets;
    /// also for rows of a table with a changelog made by compactions that `write-buffer-size` and the disk limit cannot
    /// hold at once; [`Error::Conflict`] when rows kept coming to a partition.
    pub async fn run(mut self) -> Result<Vec<RescaledPartition>> {
        check_options(&self.schema, Use::Write)?;
        let mode = TableOptions::parse(&self.schema)?.bucket;
        if !(1..=i32::from(i16::MAX)).contains(&self.buckets) {
            return Err(Error::invalid(format!("{} buckets: not between 1 and {}", self.buckets, i16::MAX)));
        }
        if !matches!(mode, BucketMode::Fixed(_) | BucketMode::Dynamic | BucketMode::Postpone) {
            return Err(Error::unsupported(format!("rescaling a table with {mode:?} buckets")));
        }
        self.check_filter()?;
        if self.filter.is_none() && matches!(mode, BucketMode::Fixed(now) if now != self.buckets) {
            self.change_option().await?;
        }
        let mut done = Vec::new();
        for partition in self.wanted().await? {
            done.push(self.rescale(&partition, mode).await?);
        }
        Ok(done)
    }

    fn check_filter(&self) -> Result<()> {
        let Some(filter) = &self.filter else { return Ok(()) };
        match filter.columns().into_iter().find(|column| !self.schema.partition_keys.contains(column)) {
            Some(column) => Err(Error::invalid(format!("rescale: {column:?} is no partition column"))),
            None => Ok(()),
        }
    }

    /// Writes the next schema, in which option `bucket` has the new value.
    async fn change_option(&mut self) -> Result<()> {
        let buckets = self.buckets.to_string();
        let told = [SchemaChange::SetOption("bucket".to_string(), buckets.clone())];
        if self.publisher.change_schema(&self.history, &told).await? {
            let id = self.history.schemas.require_latest().await?.id;
            return self.go_on_with(id).await;
        }
        let change = |newest: &Schema| {
            let mut next = Schema { id: newest.id + 1, ..newest.clone() };
            next.options.insert("bucket".to_string(), buckets.clone());
            Ok(next)
        };
        let schema = publish_change(&self.history, change).await?;
        self.go_on_with(schema.id).await
    }

    /// The schema in which the option was changed, with the other options that the handle was given.
    async fn go_on_with(&mut self, id: SchemaId) -> Result<()> {
        let mut schema = Schema::clone(&*schema_of(&self.history, &self.schema, id).await?);
        schema.options.insert("bucket".to_string(), self.buckets.to_string());
        self.schema = Arc::new(schema);
        Ok(())
    }

    async fn wanted(&self) -> Result<BTreeSet<BinaryRow>> {
        let Some(latest) = self.history.snapshots.latest().await? else { return Ok(BTreeSet::new()) };
        let shown = Shown { levels: ShownLevels::All, since: None };
        let plan = plan_snapshot(&self.history, &self.schema, &latest, self.filter.as_ref(), shown).await?;
        Ok(plan.splits.into_iter().map(|split| split.partition).collect())
    }

    async fn rescale(&self, partition: &BinaryRow, mode: BucketMode) -> Result<RescaledPartition> {
        let user = self.history.store.env().uuid();
        let mut committer = self.committer(&user)?;
        let options = TableOptions::parse(&self.schema)?;
        let mut last = String::new();
        for _ in 0..TRIES {
            let Some((mut latest, mut live)) = self.live(partition).await? else { break };
            let mut done = self.begun(partition, &live);
            let same = live.iter().all(|entry| entry.total_buckets == self.buckets);
            if live.is_empty() || (same && mode != BucketMode::Dynamic) {
                return Ok(done);
            }
            if !all_is_told(&live, &options) {
                let mut teller = self.committer(&self.history.store.env().uuid())?;
                tell(&self.history, &self.schema, &latest, live, &mut teller).await?;
                let Some(now) = self.live(partition).await? else { break };
                (latest, live) = now;
                if live.is_empty() {
                    return Ok(done); // retractions were all that was left
                }
                if !all_is_told(&live, &options) {
                    last = "the newest were not told to followers yet".to_string();
                    continue;
                }
            }
            let old_index = index_of(&self.history, &latest, partition).await?;
            let written = self.rewrite(&latest, partition).await?;
            self.check_told(&written, &options, &mut committer).await?;
            done.rows = written.iter().flat_map(|message| &message.new_files).map(|file| file.row_count).sum();
            if mode == BucketMode::Dynamic {
                done.buckets = written.len();
            }
            let messages = overwrite(latest.id, partition, &live, old_index, written.clone());
            match committer.commit(BATCH_COMMIT, messages, CommitProperties::default()).await? {
                CommitOutcome::Conflicted { reason } => {
                    committer.abort(&written).await?;
                    last = reason;
                }
                outcome => {
                    done.snapshot_id = Some(outcome.snapshot_id()?);
                    return Ok(done);
                }
            }
        }
        Err(Error::conflict(format!("rescale: rows keep coming to the partition: {last}")))
    }

    /// The newest snapshot, and the live files of a partition in it.
    async fn live(&self, partition: &BinaryRow) -> Result<Option<(Snapshot, Vec<Arc<ManifestEntry>>)>> {
        let Some(latest) = self.history.snapshots.latest().await? else { return Ok(None) };
        let live = live_of(&self.history, &latest, partition).await?;
        Ok(Some((latest, live)))
    }

    /// A partition that nothing was done with yet.
    fn begun(&self, partition: &BinaryRow, live: &[Arc<ManifestEntry>]) -> RescaledPartition {
        let counted =
            live.first().and_then(|entry| usize::try_from(entry.total_buckets).ok()).filter(|count| *count > 0);
        let seen = || live.iter().map(|entry| entry.bucket).collect::<BTreeSet<i32>>().len();
        RescaledPartition {
            partition: partition.clone(),
            buckets_before: counted.unwrap_or_else(seen),
            buckets: self.buckets as usize,
            rows: 0,
            snapshot_id: None,
        }
    }

    /// Refuses files of level 0, whose rows the next compaction would tell once more.
    async fn check_told(
        &self,
        written: &[CommitMessage],
        options: &TableOptions,
        committer: &mut Committer,
    ) -> Result<()> {
        let low = written.iter().flat_map(|message| &message.new_files).any(|file| file.level == 0);
        let Some(_) = telling(options).filter(|_| low) else { return Ok(()) };
        committer.abort(written).await?;
        Err(Error::unsupported(
            "rescaling a partition whose rows neither option write-buffer-size nor the disk that write-buffer-spillable and \
             write-buffer-spill.max-disk-size allow can hold: the changelog would tell them again; raise one of them for the \
             rescale",
        ))
    }

    fn committer(&self, user: &str) -> Result<Committer> {
        let options = TableOptions::parse(&self.schema)?;
        let committer = Committer::new(self.history.clone(), &self.schema, &options, user)?;
        Ok(committer.published_by(Arc::clone(&self.publisher)))
    }

    /// The rows of a partition in files of the new buckets.
    async fn rewrite(&self, snapshot: &Snapshot, partition: &BinaryRow) -> Result<Vec<CommitMessage>> {
        let mut rows =
            read_partition(&self.history, &self.schema, snapshot, |of, bucket| of == partition && bucket >= 0).await?;
        let schema = Arc::new(self.writing_schema()?);
        let mut options = TableOptions::parse(&schema)?;
        let levels = options.compaction.num_levels;
        let spill = self.spill_directory.clone();
        // One commit moves whole buckets; compactions come later.
        options.compaction.write_only = true;
        let writer = StreamWriter::new(self.history.clone(), Arc::clone(&schema), options, "", Channel::ONLY, spill)?;
        let mut writer = writer.anew().keeping_nulls();
        loop {
            let written = match rows.next_batch().await {
                Ok(None) => break,
                Ok(Some(batch)) => writer.write(&ChangeBatch::of_kind(batch, RowKind::Insert)).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                if let Err(second) = writer.abort().await {
                    tracing::warn!(%second, "files of a rescale that failed stay behind");
                }
                return Err(error);
            }
        }
        let mut messages = writer.prepare_commit().await?;
        upgrade(&schema, levels, &mut messages)?;
        Ok(messages)
    }

    /// The newest columns with the new count; merged rows make no changelog and need no deletes dropped.
    fn writing_schema(&self) -> Result<Schema> {
        let mut schema = Schema::clone(&self.schema);
        let key = match TableOptions::parse(&schema)?.bucket {
            BucketMode::Dynamic => "dynamic-bucket.initial-buckets",
            _ => "bucket", // also of postponed rows that were moved
        };
        schema.options.insert(key.to_string(), self.buckets.to_string());
        schema.options.insert("changelog-producer".to_string(), "none".to_string());
        // The kind of a merged row is +I, whatever its column says.
        schema.options.remove("rowkind.field");
        Ok(schema)
    }
}

/// Files of sorted rows that do not overlap are a sorted run: they may stand on the highest level, where readers need no
/// merge and nothing of level 0 is left out.
pub(super) fn upgrade(schema: &Schema, levels: i32, messages: &mut [CommitMessage]) -> Result<()> {
    let types = schema.types_of(&schema.trimmed_primary_keys())?;
    if types.is_empty() {
        return Ok(());
    }
    for message in messages {
        let mut ranges = Vec::with_capacity(message.new_files.len());
        for file in &message.new_files {
            ranges.push((KeyBound::of(&file.min_key, &types)?, KeyBound::of(&file.max_key, &types)?));
        }
        ranges.sort_by(|a, b| a.0.cmp(&b.0));
        if ranges.windows(2).all(|pair| pair[0].1 < pair[1].0) {
            message.new_files.iter_mut().for_each(|file| file.level = (levels - 1).max(1));
        }
    }
    Ok(())
}

/// The live files of the real buckets of a partition.
pub(super) async fn live_of(
    history: &History,
    snapshot: &Snapshot,
    partition: &BinaryRow,
) -> Result<Vec<Arc<ManifestEntry>>> {
    let wanted = partition.clone();
    let entry: EntryTest = Arc::new(move |head| *head.partition == wanted && head.bucket >= 0);
    history.manifests.live_files(snapshot, &FileFilter { entry: Some(entry), ..FileFilter::default() }).await
}

/// The index files of the real buckets of a partition.
async fn index_of(history: &History, snapshot: &Snapshot, partition: &BinaryRow) -> Result<Vec<IndexFile>> {
    let Some(name) = &snapshot.index_manifest else { return Ok(Vec::new()) };
    let files = history.manifests.index(name).await?;
    let of = |file: &&IndexFile| file.partition == *partition && file.bucket >= 0;
    Ok(files.iter().filter(of).cloned().collect())
}

/// The rows, merged, of the buckets that are wanted.
pub(super) async fn read_partition(
    history: &History,
    schema: &Arc<Schema>,
    snapshot: &Snapshot,
    wanted: impl Fn(&BinaryRow, i32) -> bool,
) -> Result<RowStream> {
    let shown = Shown { levels: ShownLevels::All, since: None };
    let mut plan = plan_snapshot(history, schema, snapshot, None, shown).await?;
    plan.splits.retain(|split| wanted(&split.partition, split.bucket));
    let request = ReadRequest {
        schema: Arc::clone(schema),
        select: (0..schema.fields.len()).collect(),
        filter: None,
        batch_rows: TableOptions::parse(schema)?.read_batch_rows,
        wide_timestamps: true,
    };
    let reader = SplitReader::new(history, request, &plan.splits).await?;
    Ok(RowStream::new(reader, plan.splits, None))
}

/// New messages, and those that take away everything that was there, bucket by bucket.
fn overwrite(
    planned: SnapshotId,
    partition: &BinaryRow,
    live: &[Arc<ManifestEntry>],
    old_index: Vec<IndexFile>,
    written: Vec<CommitMessage>,
) -> Vec<CommitMessage> {
    let mut old: BTreeMap<(i32, i32), (Vec<DataFileMeta>, Vec<IndexFile>)> = BTreeMap::new();
    for entry in live {
        old.entry((entry.bucket, entry.total_buckets)).or_default().0.push(DataFileMeta::clone(&entry.file));
    }
    for file in old_index {
        let total = old.keys().find(|(bucket, _)| *bucket == file.bucket).map_or(-1, |(_, total)| *total);
        old.entry((file.bucket, total)).or_default().1.push(file);
    }
    let gone = old.into_iter().map(|((bucket, total), (deleted_files, deleted_index))| CommitMessage {
        deleted_files,
        deleted_index,
        base_snapshot: Some(planned),
        ..CommitMessage::new(partition.clone(), bucket, total)
    });
    gone.chain(written.into_iter().map(|message| CommitMessage { index_read: None, ..message })).collect()
}
