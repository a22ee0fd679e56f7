//! Running one task: blocking work, a step after another.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::Int64Array;
use tokio::runtime::Handle;

use super::limits::{CompactProgress, Throttle};
use super::old_rows::{OldRows, flushed};
use super::steps::{Step, StepRules, steps};
use super::vectors::BucketVectors;
use crate::error::Result;
use crate::files::{FileNames, RollingWriter, WriteSpec, read_ahead};
use crate::format::{CommitMessage, CompactTask, DataFileMeta, Split};
use crate::io::TableStore;
use crate::lsm::MergedBatch;
use crate::read::{BucketReader, MergedBatches, MergedSlab, SplitReader};
use crate::schema::{MergeEngine, Schema, TableOptions};
use crate::types::DataType;

/// A file of which more than one row in so many is masked is rewritten where it could stay.
const WORN: u64 = 5;

/// What a task is run with.
pub(super) struct Rewrite {
    pub(super) store: TableStore,
    pub(super) runtime: Handle,
    pub(super) reader: SplitReader,
    /// All files of the task.
    pub(super) inputs: Split,
    pub(super) names: FileNames,
    pub(super) data: WriteSpec,
    pub(super) key_types: Vec<DataType>,
    pub(super) small_file_size: u64,
    pub(super) force_rewrite: bool,
    pub(super) throttle: Throttle,
    pub(super) progress: Arc<CompactProgress>,
    pub(super) schema: Arc<Schema>,
    pub(super) options: TableOptions,
    /// Finds and masks old rows above, with deletion vectors.
    pub(super) old: Option<OldRows>,
    /// The bucket's deletion vectors.
    pub(super) vectors: Arc<Mutex<BucketVectors>>,
}

impl Rewrite {
    /// Runs a task. When it fails, its files are deleted.
    pub(super) fn run(&self, task: &CompactTask) -> Result<CommitMessage> {
        let mut message = CommitMessage::new(task.partition.clone(), task.bucket, task.total_buckets);
        let result = match self.key_types.is_empty() {
            true => self.join(task, &mut message),
            false => self.run_steps(task, &mut message),
        };
        let result = result.and_then(|()| self.store_vectors(&mut message));
        if result.is_err() {
            self.discard(&message);
        }
        self.progress.end_task();
        result.map(|()| message)
    }

    fn run_steps(&self, task: &CompactTask, message: &mut CommitMessage) -> Result<()> {
        let rules = StepRules {
            key_types: &self.key_types,
            output_level: task.output_level,
            max_level: task.max_level,
            small_file_size: self.small_file_size,
            rewrites: &|file| self.force_rewrite || self.must_merge(file, task),
        };
        let bucket = self.reader.bucket(&self.inputs)?;
        for step in steps(&task.files, &rules)? {
            match step {
                Step::Upgrade(file) => {
                    if let Some(old) = &self.old {
                        old.mask(&Arc::new((*file).clone()))?;
                    }
                    message.compact_after.push(DataFileMeta { level: task.output_level, ..(*file).clone() });
                    message.compact_before.push(*file);
                }
                Step::Merge(sections) => self.merge(task, &bucket, sections, message)?,
            }
        }
        Ok(())
    }

    /// Merges sections one after another into one row of files.
    fn merge(
        &self,
        task: &CompactTask,
        bucket: &BucketReader,
        sections: Vec<Vec<Vec<DataFileMeta>>>,
        message: &mut CommitMessage,
    ) -> Result<()> {
        let inputs: Vec<DataFileMeta> = sections.iter().flatten().flatten().cloned().collect();
        let batches = sections.into_iter().flat_map(|runs| {
            let runs = runs.into_iter().map(|run| run.into_iter().map(Arc::new).collect()).collect();
            let (bucket, old, looks_up) = (bucket.clone(), self.old.clone(), self.options.deletion_vectors);
            // Merging runs ahead of encoding on a thread of its own.
            read_ahead(&self.runtime, "a compaction".to_string(), move || merge(&bucket, old, looks_up, runs))
        });
        let drops = task.drops_deletes;
        let batches = batches.map(|batch| if drops { batch?.without_retractions() } else { batch });
        self.write(inputs, batches, message)
    }

    /// Puts the files of an append table together, in their order.
    fn join(&self, task: &CompactTask, message: &mut CommitMessage) -> Result<()> {
        let mut next = task.files.iter().map(|file| file.min_sequence_number).min().unwrap_or(0);
        let batches = self.reader.read(&self.inputs)?.map(|batch| {
            let (rows, _) = batch?;
            let sequence = Int64Array::from_iter_values(next..next + rows.num_rows() as i64);
            next += rows.num_rows() as i64;
            Ok(MergedBatch { columns: rows.columns().to_vec(), sequence, kinds: None })
        });
        self.write(task.files.clone(), batches, message)
    }

    fn write(
        &self,
        inputs: Vec<DataFileMeta>,
        mut batches: impl Iterator<Item = Result<MergedBatch>>,
        message: &mut CommitMessage,
    ) -> Result<()> {
        let sum = |of: fn(&DataFileMeta) -> i64| inputs.iter().map(|file| of(file).max(0) as u64).sum::<u64>();
        let row_bytes = sum(|file| file.file_size) / sum(|file| file.row_count).max(1);
        let mut writer = RollingWriter::new(&self.store, &self.runtime, &self.names, &self.data);
        let result = batches.try_for_each(|batch| {
            let batch = batch?;
            let (rows, bytes) = (batch.num_rows() as u64, batch.num_rows() as u64 * row_bytes);
            self.throttle.take(bytes);
            self.progress.add(rows, bytes);
            if rows > 0 { writer.write(&MergedSlab(batch)) } else { Ok(()) }
        });
        let result = result.and_then(|()| writer.close());
        message.compact_after.extend(writer.into_files());
        message.compact_before.extend(inputs);
        result
    }

    /// Whether a file cannot move, or stay, as it is.
    fn must_merge(&self, file: &DataFileMeta, task: &CompactTask) -> bool {
        match file.level {
            0 => self.options.deletion_vectors && self.must_merge_flushed(file, task),
            _ => task.output_level == task.max_level && file.level == task.max_level && self.is_worn(file, task),
        }
    }

    /// Beside deletion vectors, for a file of level 0: it has retractions, which nobody would look for above, or an old
    /// row may win over one of its rows.
    fn must_merge_flushed(&self, file: &DataFileMeta, task: &CompactTask) -> bool {
        let newest_wins =
            self.options.merge_engine == MergeEngine::Deduplicate && self.options.sequence_fields.is_empty();
        file.delete_row_count != Some(0) || !(newest_wins || task.output_level == task.max_level)
    }

    /// Whether masked rows are many, or the only reason why the file is compacted.
    fn is_worn(&self, file: &DataFileMeta, task: &CompactTask) -> bool {
        let masked = self.vectors.lock().unwrap_or_else(PoisonError::into_inner).masked_rows(&file.file_name);
        let rows = u64::try_from(file.row_count).unwrap_or(0);
        let many = masked.saturating_mul(WORN) > rows;
        masked > 0 && (many || task.files.iter().all(|file| file.level == task.max_level))
    }

    fn store_vectors(&self, message: &mut CommitMessage) -> Result<()> {
        let vectors = std::mem::take(&mut *self.vectors.lock().unwrap_or_else(PoisonError::into_inner));
        self.runtime.block_on(vectors.store(&self.store, &self.schema, &self.options, message))
    }

    /// Deletes the files of a failed task, but not those that were only moved.
    fn discard(&self, message: &CommitMessage) {
        let moved = |file: &DataFileMeta| message.compact_before.iter().any(|old| old.file_name == file.file_name);
        let written = message.compact_after.iter().filter(|file| !moved(file)).chain(&message.compact_changelog);
        for file in written {
            let path = self.names.path(&file.file_name);
            if let Err(error) = self.runtime.block_on(self.store.delete(&path)) {
                tracing::warn!(%path, %error, "a file of a failed compaction stays behind");
            }
        }
    }
}

/// Merges the runs of a section, and the old rows above of what comes up from level 0. With `looks_up` keys of a single
/// version are merged too, where rows come up.
fn merge(
    bucket: &BucketReader,
    old: Option<OldRows>,
    looks_up: bool,
    runs: Vec<Vec<Arc<DataFileMeta>>>,
) -> Result<MergedBatches> {
    if !looks_up || flushed(&runs).is_none() {
        return bucket.merge(runs);
    }
    let old = old.map(|old| old.run(&runs)).transpose()?.flatten();
    bucket.merge_with(old, runs)
}
