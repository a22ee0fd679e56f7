//! The options that decide when and how files are compacted.
//! Spec: `format-spec/compaction.md`.

use std::time::Duration;

use super::reader::{Reader, number, split_names};
use super::{ChangelogProducer, MergeEngine};
use crate::error::Result;
use crate::schema::{parse_duration, parse_memory_size};

/// How eagerly level 0 is compacted where old values are looked up (`lookup-compact`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LookupCompact {
    /// Each time.
    #[default]
    Radical,
    /// Every so many times.
    Gentle,
}

const LOOKUP_COMPACTS: super::reader::Words<LookupCompact> =
    &[("radical", LookupCompact::Radical), ("gentle", LookupCompact::Gentle)];

/// Rows that compaction drops when they are old (`record-level.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordExpiry {
    /// The age at which a row goes.
    pub after: Duration,
    /// The column that tells when a row was made. Without one nothing can be compacted.
    pub field: Option<String>,
}

/// Hours of the day in which more is compacted at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuietHours {
    /// The first of them.
    pub start: u8,
    /// The first hour after them; below `start` they go over midnight.
    pub end: u8,
    /// What is added to the size ratio then.
    pub ratio: u64,
}

impl QuietHours {
    /// Whether an hour of the day is quiet.
    pub fn holds(&self, hour: u8) -> bool {
        match self.start <= self.end {
            true => (self.start..self.end).contains(&hour),
            false => hour >= self.start || hour < self.end,
        }
    }
}

/// When and how files are compacted.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::struct_excessive_bools)] // each is an option of its own
pub struct CompactionOptions {
    /// The writer never compacts: a job of its own does.
    pub write_only: bool,
    /// A commit waits for the compaction of what it holds.
    pub force_commit: bool,
    /// Levels of a bucket, level 0 included.
    pub num_levels: i32,
    /// Runs after which a bucket is compacted.
    pub run_trigger: usize,
    /// Runs after which a writer waits for the compaction.
    pub stop_trigger: usize,
    /// Bytes of all runs but the oldest, in percent of the oldest, above which everything is compacted.
    pub max_size_amplification: u64,
    /// How much larger the next run may be than all before it together, in percent.
    pub size_ratio: u64,
    /// Hours in which that is more.
    pub quiet_hours: Option<QuietHours>,
    /// Everything is compacted after this time.
    pub optimization_interval: Option<Duration>,
    /// Everything is compacted while it is smaller than this.
    pub total_size_threshold: Option<u64>,
    /// Everything is compacted when more than this lies above the highest level.
    pub incremental_size_threshold: Option<u64>,
    /// Files below this size are rewritten together with their neighbours.
    pub small_file_size: u64,
    /// A full compaction rewrites every file.
    pub force_rewrite: bool,
    /// Every file of level 0 is compacted each time.
    pub force_up_level_0: bool,
    /// Old values are looked up: level 0 is compacted also where no size asks for it.
    pub needs_lookup: bool,
    /// How eagerly.
    pub lookup_compact: LookupCompact,
    /// Times until a gentle compaction of level 0.
    pub lookup_max_interval: usize,
    /// A commit waits until level 0 was compacted.
    pub lookup_wait: bool,
    /// Commits between two full compactions; where these make the changelog each commit, unless told otherwise.
    pub full_delta_commits: Option<i64>,
    /// No -U/+U for rows that did not change.
    pub row_deduplicate: bool,
    /// Columns that do not count as a change.
    pub row_deduplicate_ignored: Vec<String>,
    /// Small files of an append table that are worth a compaction.
    pub min_file_num: usize,
    /// Files of one compaction of an append table.
    pub file_num_limit: usize,
    /// Share of masked rows above which a file of an append table is rewritten.
    pub delete_ratio: f64,
    /// Rows that go when they are old.
    pub record_expiry: Option<RecordExpiry>,
}

impl CompactionOptions {
    pub(super) fn read(
        read: &Reader<'_>,
        target_file_size: u64,
        producer: ChangelogProducer,
        engine: MergeEngine,
    ) -> Result<Self> {
        let run_trigger: usize = read.with("num-sorted-run.compaction-trigger", number)?;
        let percent = |name: &str| read.with(name, |text| Ok(super::reader::count::<i64>(text)?.max(0) as u64));
        let hour = |name: &str| read.with(name, super::reader::count::<i64>);
        let (start, end) = (hour("compaction.offpeak.start.hour")?, hour("compaction.offpeak.end.hour")?);
        let ratio = percent("compaction.offpeak-ratio")?;
        let quiet_hours = match (u8::try_from(start), u8::try_from(end)) {
            (Ok(start), Ok(end)) if start != end => Some(QuietHours { start, end, ratio }),
            _ => None,
        };
        let ratio = |name| {
            read.with(name, |text| {
                text.parse::<f64>().map_err(|_| crate::Error::invalid(format!("{text:?} is no number")))
            })
        };
        let small = ratio("compaction.small-file-ratio")?;
        let interval = read.optional("lookup-compact.max-interval", number::<usize>)?;
        let field = read.text("record-level.time-field").map(ToString::to_string);
        let record_expiry = read.optional("record-level.expire-time", parse_duration)?;
        let record_expiry = record_expiry.map(|after| RecordExpiry { after, field });
        Ok(Self {
            record_expiry,
            // A compaction beside the writer would merge rows that have no snapshot yet.
            write_only: read.boolean("write-only")? || read.boolean("sequence.snapshot-ordering")?,
            force_commit: read.boolean("commit.force-compact")?,
            num_levels: read
                .optional("num-levels", number)?
                .unwrap_or(i32::try_from(run_trigger).unwrap_or(i32::MAX - 1).saturating_add(1))
                .max(2),
            run_trigger,
            stop_trigger: read.optional("num-sorted-run.stop-trigger", number)?.unwrap_or(run_trigger + 3),
            max_size_amplification: percent("compaction.max-size-amplification-percent")?,
            size_ratio: percent("compaction.size-ratio")?,
            quiet_hours,
            optimization_interval: read.optional("compaction.optimization-interval", parse_duration)?,
            total_size_threshold: read.optional("compaction.total-size-threshold", parse_memory_size)?,
            incremental_size_threshold: read.optional("compaction.incremental-size-threshold", parse_memory_size)?,
            small_file_size: (small.clamp(0.0, 1.0) * target_file_size as f64) as u64,
            force_rewrite: read.boolean("compaction.force-rewrite-all-files")?,
            force_up_level_0: read.boolean("compaction.force-up-level-0")?,
            needs_lookup: producer == ChangelogProducer::Lookup
                || engine == MergeEngine::FirstRow
                || read.boolean("deletion-vectors.enabled")?
                || read.boolean("force-lookup")?,
            lookup_compact: read.word("lookup-compact", LOOKUP_COMPACTS)?,
            lookup_max_interval: interval.unwrap_or(run_trigger.saturating_mul(2)).max(run_trigger),
            lookup_wait: read.boolean("lookup-wait")?,
            // A changelog that only full compactions make needs some.
            full_delta_commits: read
                .optional("full-compaction.delta-commits", number)?
                .or((producer == ChangelogProducer::FullCompaction).then_some(1)),
            row_deduplicate: read.boolean("changelog-producer.row-deduplicate")?,
            row_deduplicate_ignored: read
                .text("changelog-producer.row-deduplicate-ignore-fields")
                .map(split_names)
                .unwrap_or_default(),
            min_file_num: read.with("compaction.min.file-num", number)?,
            file_num_limit: read.with("compaction.file-num-limit", number)?,
            delete_ratio: ratio("compaction.delete-ratio-threshold")?,
        })
    }

    /// The highest level.
    pub fn max_level(&self) -> i32 {
        self.num_levels - 1
    }
}
