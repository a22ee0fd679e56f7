//! Running one task: blocking work, a step after another.

use std::sync::Arc;

use arrow_array::Int64Array;
use tokio::runtime::Handle;

use super::limits::{CompactProgress, Throttle};
use super::steps::{Step, StepRules, steps};
use crate::error::Result;
use crate::files::{FileNames, RollingWriter, WriteSpec, read_ahead};
use crate::format::{CommitMessage, CompactTask, DataFileMeta, Split};
use crate::io::TableStore;
use crate::lsm::MergedBatch;
use crate::read::{BucketReader, MergedSlab, SplitReader};
use crate::types::DataType;

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
}

impl Rewrite {
    /// Runs a task. When it fails, its files are deleted.
    pub(super) fn run(&self, task: &CompactTask) -> Result<CommitMessage> {
        let mut message = CommitMessage::new(task.partition.clone(), task.bucket, task.total_buckets);
        let result = match self.key_types.is_empty() {
            true => self.join(task, &mut message),
            false => self.run_steps(task, &mut message),
        };
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
            rewrites: &|_| self.force_rewrite,
        };
        let bucket = self.reader.bucket(&self.inputs)?;
        for step in steps(&task.files, &rules)? {
            match step {
                Step::Upgrade(file) => {
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
            let bucket = bucket.clone();
            // Merging runs ahead of encoding on a thread of its own.
            read_ahead(&self.runtime, "a compaction".to_string(), move || bucket.merge(runs))
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
