//! Append tables: the places of rows that match, then vectors that mask them or their files written again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};

use super::{Means, Modified, Run, Tried};
use crate::compact::BucketVectors;
use crate::error::{Error, Result};
use crate::format::{BinaryRow, CommitMessage, DataFileMeta, DeletionVector, ManifestEntry, Snapshot, Split};
use crate::predicate::{assign, evaluate};
use crate::read::{ReadRequest, SplitReader};
use crate::scan::{Shown, Vectors, load_vectors, plan_snapshot, visible_files};
use crate::types::RowKind;
use crate::write::{ChangeBatch, Channel, StreamWriter};

/// Files that are searched at once.
const SEARCHES: usize = 4;

/// The rows of a file that match and are not masked already.
struct Found {
    file: Arc<DataFileMeta>,
    rows: DeletionVector,
    /// Whether no other row is left in it.
    all: bool,
}

/// The files with such rows, by partition and bucket.
type Buckets = BTreeMap<(BinaryRow, i32), Vec<Found>>;

/// The live files of a snapshot, with their vectors.
struct Live {
    vectors: Vectors,
    buckets: BTreeMap<(BinaryRow, i32), Vec<Arc<ManifestEntry>>>,
}

impl Run {
    pub(super) async fn change_files(&mut self, snapshot: &Snapshot, means: Means) -> Result<Tried> {
        let found = self.find(snapshot).await?;
        let files = found.values().flatten();
        let rows = files.clone().map(|found| found.rows.len()).sum();
        let done = Modified { rows: Some(rows), files: files.count() as u64, ..Modified::new(means) };
        if self.dry_run || (found.is_empty() && self.identifier == crate::commit::BATCH_COMMIT) {
            return Ok(Tried::Done(done));
        }
        let mut messages = Vec::new();
        let prepared = self.prepare(snapshot, means, found, &mut messages).await;
        if let Err(error) = prepared {
            if let Err(second) = self.committer.abort(&messages).await {
                tracing::warn!(%second, "files of a statement that failed stay behind");
            }
            return Err(error);
        }
        self.commit(messages, done).await
    }

    async fn prepare(
        &self,
        snapshot: &Snapshot,
        means: Means,
        found: Buckets,
        messages: &mut Vec<CommitMessage>,
    ) -> Result<()> {
        let live = self.live(snapshot).await?;
        let written = self.write(means, snapshot, self.splits(means, &live, snapshot, &found)).await?;
        // Its files are live as of the snapshot: the commit finds out whether they still are.
        messages.extend(written.into_iter().map(|message| CommitMessage { base_snapshot: None, ..message }));
        for ((partition, bucket), found) in found {
            let entries = live.buckets.get(&(partition.clone(), bucket)).map_or(&[] as &[_], Vec::as_slice);
            let total = entries.first().map_or(-1, |entry| entry.total_buckets);
            let files: Vec<DataFileMeta> = entries.iter().map(|entry| DataFileMeta::clone(&entry.file)).collect();
            let before = live.vectors.of_bucket(&partition, bucket, &files);
            let (store, schema, options) = (&self.table.history.store, &self.table.schema, &self.options);
            let mut vectors = BucketVectors::load(store, schema, options, before).await?;
            let mut message = CommitMessage::new(partition, bucket, total);
            for Found { file, rows, all } in found {
                if all || means == Means::Rewrite {
                    message.compact_before.push(DataFileMeta::clone(&file));
                    continue;
                }
                for row in rows.iter() {
                    vectors.mask(&file, row)?;
                }
            }
            let stored = vectors.store(store, schema, options, &mut message).await;
            messages.push(as_overwrite(message));
            stored?;
        }
        Ok(())
    }

    /// Looks through the files that may hold such rows, reading only the columns of the condition.
    async fn find(&self, snapshot: &Snapshot) -> Result<Buckets> {
        let (history, schema) = (&self.table.history, &self.table.schema);
        let plan = plan_snapshot(history, schema, snapshot, Some(&self.filter), Shown::EVERYTHING).await?;
        let columns: Vec<String> = self.filter.columns().into_iter().collect();
        let reader = self.reader(schema.positions(&columns)?, &plan.splits).await?;
        let one = |split: &Split, file: &Arc<DataFileMeta>| Split { files: vec![Arc::clone(file)], ..split.clone() };
        let files = plan.splits.iter().flat_map(|split| split.files.iter().map(move |file| one(split, file)));
        let searches: Vec<_> = files.map(|split| self.find_in(&reader, split).boxed()).collect();
        let mut buckets = Buckets::new();
        let found: Vec<_> = stream::iter(searches).buffered(SEARCHES).try_collect().await?;
        for (partition, bucket, found) in found.into_iter().flatten() {
            buckets.entry((partition, bucket)).or_default().push(found);
        }
        Ok(buckets)
    }

    /// The rows of one file. It is read whole, so that a row's place is known by counting.
    async fn find_in(&self, reader: &SplitReader, mut split: Split) -> Result<Option<(BinaryRow, i32, Found)>> {
        let (store, schema) = (&self.table.history.store, &self.table.schema);
        let Some(file) = split.files.first().cloned() else { return Ok(None) };
        let index = std::mem::take(&mut split.vectors);
        let (partition, bucket) = (split.partition.clone(), split.bucket);
        let mut rows = DeletionVector::new();
        let mut place = 0;
        let mut batches = reader.start(split);
        while let Some((batch, _)) = batches.next().await? {
            let which = self.which(&batch)?;
            for row in which.values().set_indices() {
                rows.mask(place + row as u64)?;
            }
            place += batch.num_rows() as u64;
        }
        if u64::try_from(file.row_count) != Ok(place) {
            let told = file.row_count;
            return Err(Error::corrupt(&file.file_name, format!("{place} rows, and its manifest tells {told}")));
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let vectors = load_vectors(store, schema, &self.options, &index).await?;
        let masked = vectors.get(&file.file_name);
        if let Some(masked) = masked {
            rows.unmask_all(masked);
        }
        let all = rows.len() + masked.map_or(0, |masked| masked.len()) == place;
        Ok((!rows.is_empty()).then_some((partition, bucket, Found { file, rows, all })))
    }

    async fn live(&self, snapshot: &Snapshot) -> Result<Live> {
        let (history, schema) = (&self.table.history, &self.table.schema);
        let (vectors, entries) = visible_files(history, schema, &self.options, snapshot).await?;
        let mut buckets: BTreeMap<(BinaryRow, i32), Vec<Arc<ManifestEntry>>> = BTreeMap::new();
        for entry in entries {
            buckets.entry((entry.partition.clone(), entry.bucket)).or_default().push(entry);
        }
        Ok(Live { vectors, buckets })
    }

    /// Rows of files in question as they are written again. By vectors only updated rows are, beside those that are
    /// masked; otherwise all that are left of their files, updated where that is due.
    fn changed(&self, means: Means, rows: &RecordBatch) -> Result<RecordBatch> {
        let which = self.which(rows)?;
        let schema = &self.table.schema;
        match (&self.assignments, means) {
            (Some(assignments), Means::Vectors) => assign(assignments, schema, &only(rows, &which)?, None),
            (Some(assignments), _) => assign(assignments, schema, rows, Some(&which)),
            (None, _) => only(rows, &BooleanArray::new(!which.values(), None)),
        }
    }

    /// A split for each file of which rows are written again, with its vectors.
    fn splits(&self, means: Means, live: &Live, snapshot: &Snapshot, found: &Buckets) -> Vec<Split> {
        let wanted = |found: &Found| match (&self.assignments, means) {
            (Some(_), _) => true,
            (None, Means::Vectors) => false,
            (None, _) => !found.all,
        };
        let mut splits = Vec::new();
        for ((partition, bucket), found) in found {
            for found in found.iter().filter(|found| wanted(found)) {
                let files = vec![Arc::clone(&found.file)];
                splits.push(Split {
                    snapshot_id: snapshot.id,
                    schema_id: self.table.schema.id,
                    vectors: live.vectors.of_files(partition, *bucket, &files),
                    partition: partition.clone(),
                    bucket: *bucket,
                    files,
                    raw: true,
                    changes: false,
                });
            }
        }
        splits
    }

    async fn write(&self, means: Means, snapshot: &Snapshot, splits: Vec<Split>) -> Result<Vec<CommitMessage>> {
        if splits.is_empty() {
            return Ok(Vec::new());
        }
        let table = self.writing(snapshot);
        let reader = self.reader((0..table.schema.fields.len()).collect(), &splits).await?;
        let mut options = self.options.clone();
        // A compaction beside would replace the files in question.
        options.compaction.write_only = true;
        let (history, spill) = (table.history.clone(), table.spill_directory.clone());
        let writer = StreamWriter::new(history, table.schema, options, &self.user, Channel::ONLY, spill)?;
        let mut writer = Box::new(writer.keeping_nulls());
        match self.write_all(means, &reader, splits, &mut writer).await {
            Ok(()) => writer.prepare_commit().await,
            Err(error) => {
                if let Err(second) = writer.abort().await {
                    tracing::warn!(%second, "files of a statement that failed stay behind");
                }
                Err(error)
            }
        }
    }

    async fn write_all(
        &self,
        means: Means,
        reader: &SplitReader,
        splits: Vec<Split>,
        writer: &mut StreamWriter,
    ) -> Result<()> {
        for split in splits {
            let mut batches = reader.start(split);
            while let Some((rows, _)) = batches.next().await? {
                let rows = self.changed(means, &rows)?;
                if rows.num_rows() > 0 {
                    writer.write(&ChangeBatch::of_kind(rows, RowKind::Insert)).await?;
                }
            }
        }
        Ok(())
    }

    async fn reader(&self, select: Vec<usize>, splits: &[Split]) -> Result<SplitReader> {
        let request = ReadRequest {
            schema: Arc::clone(&self.table.schema),
            select,
            filter: None,
            batch_rows: self.options.read_batch_rows,
            wide_timestamps: true,
        };
        SplitReader::new(&self.table.history, request, splits).await
    }

    /// The rows for which the condition is true, and not unknown.
    fn which(&self, rows: &RecordBatch) -> Result<BooleanArray> {
        let truth = evaluate(&self.filter, rows)?;
        Ok(match truth.nulls() {
            Some(nulls) => BooleanArray::new(truth.values() & nulls.inner(), None),
            None => truth,
        })
    }
}

fn only(rows: &RecordBatch, which: &BooleanArray) -> Result<RecordBatch> {
    filter_record_batch(rows, which).map_err(|error| Error::bug(error.to_string()))
}

/// What a compaction would do, as an overwrite does it.
fn as_overwrite(mut message: CommitMessage) -> CommitMessage {
    message.deleted_files = std::mem::take(&mut message.compact_before);
    message.new_index = std::mem::take(&mut message.compact_new_index);
    message.deleted_index = std::mem::take(&mut message.compact_deleted_index);
    message
}
