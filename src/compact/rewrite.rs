//! Running one task: blocking work, a step after another.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::Int64Array;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use tokio::runtime::Handle;

use super::copies::{Copies, CopyRules, Left, TaskKeys};
use super::expiry::Expiry;
use super::limits::Pace;
use super::old_rows::OldRows;
use super::steps::{Step, StepRules, steps};
use super::vectors::BucketVectors;
use crate::error::{Error, Result};
use crate::files::{FileEncoding, FileNames, RollingWriter, RowGroup, RowGroups, WriteSpec, read_ahead};
use crate::format::{CommitMessage, CompactTask, DataFileMeta, FileSource, Split, data_file_path, written_paths};
use crate::io::TableStore;
use crate::lsm::{Before, CompactMerge, Compacted, KeyBound, MergedBatch};
use crate::read::{BucketReader, CompactedBatches, MergedSlab, SplitReader};
use crate::schema::{MergeEngine, ROW_SEQUENCE, Schema, TableOptions};
use crate::types::DataType;

/// A file of which more than one row in so many is masked is rewritten where it could stay.
const WORN: u64 = 5;

/// Bytes from which on a row group is worth being copied as it is, where row groups are not smaller anyway.
const LEAST_COPIED: u64 = 4 << 20;

/// What a task is run with.
pub(super) struct Rewrite {
    pub(super) store: TableStore,
    pub(super) runtime: Handle,
    pub(super) reader: SplitReader,
    /// All files of the task.
    pub(super) inputs: Split,
    /// Of a table with a key.
    pub(super) keys: Option<TaskKeys>,
    pub(super) names: FileNames,
    pub(super) expiry: Option<Expiry>,
    pub(super) data: WriteSpec,
    /// Present when the task makes a changelog.
    pub(super) changelog: Option<WriteSpec>,
    /// How the rows before are found where files of level 0 are merged, or files reach the top.
    pub(super) before: Before,
    /// Value columns whose change is a change.
    pub(super) compared: Option<Vec<usize>>,
    /// A file of level 0 moves up as it is although a key of it may have a row in a higher level.
    pub(super) newest_wins: bool,
    /// Columns are versioned together by sequences of their own.
    pub(super) has_groups: bool,
    pub(super) key_types: Vec<DataType>,
    pub(super) small_file_size: u64,
    pub(super) force_rewrite: bool,
    pub(super) pace: Arc<Pace>,
    pub(super) schema: Arc<Schema>,
    pub(super) options: TableOptions,
    /// Finds and masks old rows above, with deletion vectors.
    pub(super) old: Option<OldRows>,
    /// The bucket's deletion vectors.
    pub(super) vectors: Arc<Mutex<BucketVectors>>,
}

/// Sections in key order, each of sorted runs.
pub(super) type Sections = Vec<Vec<Vec<DataFileMeta>>>;

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
        self.pace.end(result.is_ok());
        result.map(|()| message)
    }

    fn run_steps(&self, task: &CompactTask, message: &mut CommitMessage) -> Result<()> {
        let rules = StepRules {
            key_types: &self.key_types,
            output_level: task.output_level,
            max_level: task.max_level,
            small_file_size: self.small_file_size,
            rewrites: &|file| self.force_rewrite || self.must_merge(file, task) || self.expires(file),
        };
        let bucket = self.reader.bucket(&self.inputs)?;
        for step in steps(&task.files, &rules)? {
            match step {
                Step::Upgrade(file) => self.move_up(task, &bucket, *file, message)?,
                Step::Merge(sections) => {
                    let inputs: Vec<DataFileMeta> = sections.iter().flatten().flatten().cloned().collect();
                    let mut output = self.output(task, true);
                    let result = self.merge_parts(task, &bucket, sections, &mut output);
                    output.end(result, message)?;
                    message.compact_before.extend(inputs);
                }
            }
        }
        Ok(())
    }

    /// Gives a file another level. Where that is a change to readers of the changelog, the file is read for it.
    fn move_up(
        &self,
        task: &CompactTask,
        bucket: &BucketReader,
        file: DataFileMeta,
        message: &mut CommitMessage,
    ) -> Result<()> {
        let told = match self.before {
            Before::Unknown => false,
            Before::TopLevel => true,
            Before::Lookup | Before::FirstRow => file.level == 0,
        };
        if told && self.changelog.is_some() {
            let batches = self.merge(task, bucket, vec![vec![vec![file.clone()]]])?;
            let mut output = self.output(task, false);
            let result = output.take(batches);
            output.end(result, message)?;
        } else if let (0, Some(old)) = (file.level, &self.old) {
            old.mask(&Arc::new(file.clone()))?;
        }
        message.compact_after.push(DataFileMeta { level: task.output_level, ..file.clone() });
        message.compact_before.push(file);
        Ok(())
    }

    /// Merges sections, and copies the row groups that meet no other key.
    fn merge_parts(
        &self,
        task: &CompactTask,
        bucket: &BucketReader,
        sections: Sections,
        output: &mut Output<'_>,
    ) -> Result<()> {
        let (FileEncoding::Parquet(encoding), Some(keys)) = (&self.data.encoding, &self.keys) else {
            return output.take(self.merge(task, bucket, sections)?);
        };
        let rules = CopyRules {
            least_bytes: (encoding.row_group_bytes as u64 / 4).min(LEAST_COPIED),
            most_rows: self.data.target_rows,
        };
        let (copies, left) =
            keys.part(&self.inputs, sections, &rules, |file| match self.may_copy(file, task, &rules) {
                true => {
                    let path = data_file_path(self.names.directory(), file)?;
                    RowGroups::open(&self.store, &self.runtime, (&path, file), &self.data)
                }
                false => Ok(None),
            })?;
        let Left { sections, groups } = left;
        let batches = self.merge(task, &bucket.within(groups), sections)?;
        output.take_among(batches, copies, keys)
    }

    /// Whether rows of a file may stay as they are where no other file has their keys: merged alone they would give
    /// themselves, and tell no change.
    fn may_copy(&self, file: &DataFileMeta, task: &CompactTask, rules: &CopyRules) -> bool {
        let alone = match self.before {
            Before::Unknown => true,
            Before::TopLevel => file.level == task.output_level,
            Before::Lookup => file.level > 0 && self.options.merge_engine == MergeEngine::Deduplicate,
            Before::FirstRow => false,
        };
        let masked = self.vectors.lock().unwrap_or_else(PoisonError::into_inner).masked_rows(&file.file_name);
        let large = u64::try_from(file.file_size).is_ok_and(|size| size >= rules.least_bytes);
        // Rows of such a file are ordered by its description.
        let ordered = self.options.snapshot_ordering && file.file_source != Some(FileSource::Compact);
        alone && large && !ordered && masked == 0 && self.expiry.is_none() && !self.force_rewrite
    }

    /// Merges sections one after another, ahead of the encoding on a thread of its own.
    fn merge(&self, task: &CompactTask, bucket: &BucketReader, sections: Sections) -> Result<CompactedBatches> {
        let from_level_0 = |file: &DataFileMeta| file.level == 0;
        let before = match self.before {
            Before::Lookup | Before::FirstRow if !sections.iter().flatten().flatten().any(from_level_0) => {
                Before::Unknown
            }
            before => before,
        };
        let mut runs: Vec<Vec<Arc<DataFileMeta>>> = Vec::new();
        let looks_up = matches!(before, Before::Lookup | Before::FirstRow);
        if looks_up && self.old.is_none() {
            let flushed = sections.iter().flatten().flatten().filter(|file| from_level_0(file));
            runs = self.upper_runs(task, flushed)?;
        }
        // Sections follow each other in key order, so that their runs make longer ones.
        let upper = runs.len();
        for section in sections {
            for (at, run) in section.into_iter().enumerate() {
                let files = run.into_iter().map(Arc::new);
                match runs.get_mut(upper + at) {
                    Some(longer) => longer.extend(files),
                    None => runs.push(files.collect()),
                }
            }
        }
        let merge = CompactMerge {
            function: Arc::clone(bucket.function()),
            before,
            changelog: self.changelog.is_some(),
            output_level: task.output_level,
            compared: self.compared.clone(),
        };
        let (bucket, old) = (bucket.clone(), self.old.clone().filter(|_| looks_up));
        Ok(read_ahead(&self.runtime, "a compaction".to_string(), move || {
            let old = old.map(|old| old.run(&runs)).transpose()?.flatten();
            bucket.compact(old, runs, merge)
        }))
    }

    /// The files that stay above and may hold a key of these files, a run for each level.
    fn upper_runs<'a>(
        &self,
        task: &CompactTask,
        files: impl Iterator<Item = &'a DataFileMeta>,
    ) -> Result<Vec<Vec<Arc<DataFileMeta>>>> {
        let of = |key| KeyBound::of(key, &self.key_types);
        let mut range: Option<(KeyBound, KeyBound)> = None;
        for file in files {
            let (min, max) = (of(&file.min_key)?, of(&file.max_key)?);
            range = Some(match range {
                Some((least, most)) => (least.min(min), most.max(max)),
                None => (min, max),
            });
        }
        let Some((least, most)) = range else { return Ok(Vec::new()) };
        let mut levels: BTreeMap<i32, Vec<(KeyBound, Arc<DataFileMeta>)>> = BTreeMap::new();
        for file in &task.upper {
            let (min, max) = (of(&file.min_key)?, of(&file.max_key)?);
            if min <= most && max >= least {
                levels.entry(file.level).or_default().push((min, Arc::new(file.clone())));
            }
        }
        let in_order = |mut files: Vec<(KeyBound, Arc<DataFileMeta>)>| {
            files.sort_by(|a, b| a.0.cmp(&b.0));
            files.into_iter().map(|(_, file)| file).collect()
        };
        Ok(levels.into_values().map(in_order).collect())
    }

    /// Puts the files of an append table together, in their order.
    fn join(&self, task: &CompactTask, message: &mut CommitMessage) -> Result<()> {
        let mut next = task.files.iter().map(|file| file.min_sequence_number).min().unwrap_or(0);
        let tracked = self.schema.has_row_tracking();
        let batches = self.reader.read(&self.inputs)?.map(move |batch| {
            let (rows, _) = batch?;
            let sequence = match rows.column_by_name(ROW_SEQUENCE).filter(|_| tracked) {
                Some(lane) => lane.as_primitive::<Int64Type>().clone(),
                None => Int64Array::from_iter_values(next..next + rows.num_rows() as i64),
            };
            next += rows.num_rows() as i64;
            let rows = MergedBatch { columns: rows.columns().to_vec(), sequence, kinds: None };
            Ok(Compacted { rows, changes: None })
        });
        let mut output = self.output(task, true);
        let result = output.take(Box::new(batches));
        output.end(result, message)?;
        message.compact_before.extend(task.files.iter().cloned());
        Ok(())
    }

    /// Where what the inputs became is written: the rows where they are `rewritten`, and the changes.
    fn output(&self, task: &CompactTask, rewritten: bool) -> Output<'_> {
        let open = |spec| RollingWriter::new(&self.store, &self.runtime, &self.names, spec);
        Output {
            data: rewritten.then(|| open(&self.data)),
            changelog: self.changelog.as_ref().map(open),
            drops_deletes: task.drops_deletes,
            pace: &self.pace,
        }
    }

    fn expires(&self, file: &DataFileMeta) -> bool {
        self.expiry.as_ref().is_some_and(|expiry| expiry.is_due(file, &self.schema))
    }

    /// Whether a file cannot move, or stay, as it is.
    fn must_merge(&self, file: &DataFileMeta, task: &CompactTask) -> bool {
        match file.level {
            0 => self.must_merge_flushed(file, task),
            _ => task.output_level == task.max_level && file.level == task.max_level && self.is_worn(file, task),
        }
    }

    /// For a file of level 0 whose keys may have a row in a higher level: beside deletion vectors it has retractions,
    /// which nobody would look for above, or an old row may win over one of its rows, or must be merged with it before
    /// it is hidden. Where every file of level 0 is read in any case, files of the higher level's own format are written.
    /// A row alone is told as the merge leaves it, without the values of a sequence group that has no sequence: where
    /// there are groups it is stored so too, on the highest level as on any other.
    fn must_merge_flushed(&self, file: &DataFileMeta, task: &CompactTask) -> bool {
        let looks_up = matches!(self.before, Before::Lookup | Before::FirstRow);
        let formats = &self.options.formats;
        let other_format = formats.of_level(0) != formats.of_level(task.output_level);
        let retracts = self.options.deletion_vectors && file.delete_row_count != Some(0);
        let stays_alike = self.newest_wins || (task.output_level == task.max_level && !self.has_groups);
        // Rows that are too old must not go up with their file: they would hide the rows above.
        let may_expire = self.expiry.as_ref().is_some_and(|expiry| expiry.may_be_due(file, &self.schema));
        (looks_up && (other_format || retracts || !stays_alike)) || (may_expire && (looks_up || self.old.is_some()))
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
        let paths = written_paths(&self.schema, &self.options, message, |_| false);
        self.runtime.block_on(self.store.delete_unnamed(paths));
    }
}

/// The new files of a step.
struct Output<'a> {
    /// Absent where the rows stay in their file.
    data: Option<RollingWriter<'a>>,
    changelog: Option<RollingWriter<'a>>,
    drops_deletes: bool,
    pace: &'a Pace,
}

impl Output<'_> {
    fn take(&mut self, batches: CompactedBatches) -> Result<()> {
        for batch in batches {
            let rows = self.kept(batch?)?;
            self.write(&rows)?;
        }
        Ok(())
    }

    /// Takes merged rows, and row groups at their places among them.
    fn take_among(&mut self, batches: CompactedBatches, mut copies: Copies, keys: &TaskKeys) -> Result<()> {
        for batch in batches {
            let rows = self.kept(batch?)?;
            let mut from = 0;
            if let Some(keys) = copies.keys(keys, &rows)? {
                while let Some((place, file, group)) = copies.next_within(&keys, from) {
                    self.write(&rows.slice(from..place))?;
                    self.copy(&file, &group)?;
                    from = place;
                }
            }
            self.write(&rows.slice(from..rows.num_rows()))?;
        }
        while let Some((file, group)) = copies.next() {
            self.copy(&file, &group)?;
        }
        Ok(())
    }

    /// Writes the changes, and gives the rows for the new files.
    fn kept(&mut self, batch: Compacted) -> Result<MergedBatch> {
        let Compacted { rows, changes } = batch;
        self.pace.progress().add_rows(rows.num_rows() as u64);
        if let (Some(changelog), Some(changes)) = (&mut self.changelog, changes) {
            changelog.write(&MergedSlab(changes))?;
        }
        if self.drops_deletes { rows.without_retractions() } else { Ok(rows) }
    }

    fn write(&mut self, rows: &MergedBatch) -> Result<()> {
        match self.data.as_mut().filter(|_| rows.num_rows() > 0) {
            Some(data) => data.write(&MergedSlab(rows.clone())),
            None => Ok(()),
        }
    }

    fn copy(&mut self, file: &RowGroups, group: &RowGroup) -> Result<()> {
        self.pace.copy(group.rows, group.bytes)?;
        let data = self.data.as_mut().ok_or_else(|| Error::bug("a row group of a file that stays"))?;
        data.pass(file, group)
    }

    /// Closes the files and names them all in the message, also after a failure, so that they can be deleted.
    fn end(mut self, result: Result<()>, message: &mut CommitMessage) -> Result<()> {
        let result = result.and_then(|()| self.data.as_mut().map_or(Ok(()), RollingWriter::close));
        message.compact_after.extend(self.data.map(RollingWriter::into_files).unwrap_or_default());
        let result = result.and_then(|()| self.changelog.as_mut().map_or(Ok(()), RollingWriter::close));
        message.compact_changelog.extend(self.changelog.map(RollingWriter::into_files).unwrap_or_default());
        result
    }
}
