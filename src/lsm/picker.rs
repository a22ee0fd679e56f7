//! What to compact: universal compaction as a pure choice.
//!
//! ```text
//! everything ─ its time has come, it is small, too much lies above the highest level, it takes too much space
//! a prefix   ─ runs of like size; too many runs
//! level 0    ─ where old values are looked up, or an option says so
//! ```
//!
//! Only a prefix of the runs (the newest ones) is ever taken, so that what stays is older than what comes out.
//! Spec: `format-spec/compaction.md`, picking.

use super::levels::{Levels, Run};
use crate::format::{DataFileMeta, FileSource};
use crate::schema::{CompactionOptions, LookupCompact};

#[cfg(test)]
pub(super) mod tests;

/// Why files are compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// It was asked for.
    Full,
    /// `compaction.optimization-interval`
    OptimizationInterval,
    /// `compaction.total-size-threshold`
    TotalSize,
    /// `compaction.incremental-size-threshold`
    IncrementalSize,
    /// `compaction.max-size-amplification-percent`
    SizeAmplification,
    /// `compaction.size-ratio`
    SizeRatio,
    /// `num-sorted-run.compaction-trigger`
    RunCount,
    /// Files of level 0 must not stay there.
    Level0,
}

/// What the choice depends on besides files and options.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moment {
    /// Local wall-clock time as if it were UTC, in milliseconds.
    pub local_millis: i64,
    /// How often the compaction of level 0 was put off (`lookup-compact=gentle`).
    pub put_off: usize,
}

impl Moment {
    fn hour(&self) -> u8 {
        u8::try_from(self.local_millis.div_euclid(3_600_000).rem_euclid(24)).unwrap_or(0)
    }
}

/// What is compacted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompactUnit {
    /// The runs, newest first.
    pub runs: Vec<Run>,
    /// The level the rows go to.
    pub output_level: i32,
    /// Whether nothing older than the output stays, so that retractions have nothing to retract any more.
    pub drops_deletes: bool,
    /// Why.
    pub trigger: Trigger,
}

impl CompactUnit {
    /// The first `taken` runs of a bucket.
    fn new(levels: &Levels, taken: usize, output_level: i32, trigger: Trigger) -> Self {
        Self {
            runs: levels.runs()[..taken].to_vec(),
            output_level,
            drops_deletes: output_level > 0 && output_level >= levels.highest_level(),
            trigger,
        }
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &DataFileMeta> {
        self.runs.iter().flat_map(|run| &run.files)
    }

    /// One file that is where it should be.
    fn is_idle(&self) -> bool {
        let mut files = self.files();
        match (files.next(), files.next()) {
            (None, _) => true,
            (Some(file), None) => file.level == self.output_level,
            _ => false,
        }
    }
}

/// What should be compacted, if anything.
pub fn pick(levels: &Levels, options: &CompactionOptions, now: &Moment) -> Option<CompactUnit> {
    let picker = Picker { levels, options, now };
    let unit = picker.early_full().or_else(|| picker.amplified()).or_else(|| picker.alike()).or_else(|| picker.many());
    unit.or_else(|| picker.level_0()).filter(|unit| !unit.is_idle())
}

/// Everything, into the highest level; where only that has files, those that `rewrites` names.
pub fn pick_full(
    levels: &Levels,
    options: &CompactionOptions,
    rewrites: impl Fn(&DataFileMeta) -> bool,
) -> Option<CompactUnit> {
    let unit = CompactUnit::new(levels, levels.runs().len(), levels.max_level(), Trigger::Full);
    if levels.runs().iter().any(|run| run.level != levels.max_level()) {
        return Some(unit);
    }
    let mut runs = unit.runs;
    for run in &mut runs {
        run.files.retain(|file| options.force_rewrite || rewrites(file));
    }
    runs.retain(|run| !run.files.is_empty());
    (!runs.is_empty()).then_some(CompactUnit { runs, ..unit })
}

/// How often level 0 was put off after a choice that took nothing or something.
pub fn put_off(levels: &Levels, options: &CompactionOptions, now: &Moment, picked: bool) -> usize {
    let gentle = options.needs_lookup && options.lookup_compact == LookupCompact::Gentle;
    if picked || !gentle || levels.level_0() == 0 { 0 } else { now.put_off + 1 }
}

struct Picker<'a> {
    levels: &'a Levels,
    options: &'a CompactionOptions,
    now: &'a Moment,
}

impl Picker<'_> {
    fn runs(&self) -> &[Run] {
        self.levels.runs()
    }

    fn all(&self, trigger: Trigger) -> Option<CompactUnit> {
        Some(CompactUnit::new(self.levels, self.runs().len(), self.levels.max_level(), trigger))
    }

    /// Everything, although no run asks for it.
    fn early_full(&self) -> Option<CompactUnit> {
        if self.runs().len() < 2 {
            return None;
        }
        let bytes = |runs: &mut dyn Iterator<Item = &Run>| runs.fold(0_u64, |sum, run| sum.saturating_add(run.bytes()));
        let max_level = self.levels.max_level();
        if let Some(interval) = self.options.optimization_interval {
            let since = self.last_full().map(|last| self.now.local_millis.saturating_sub(last));
            let interval = i64::try_from(interval.as_millis()).unwrap_or(i64::MAX);
            if since.is_none_or(|since| since > interval) {
                return self.all(Trigger::OptimizationInterval);
            }
        }
        if self.options.total_size_threshold.is_some_and(|limit| bytes(&mut self.runs().iter()) < limit) {
            return self.all(Trigger::TotalSize);
        }
        let mut above = self.runs().iter().filter(|run| run.level != max_level);
        if self.options.incremental_size_threshold.is_some_and(|limit| bytes(&mut above) > limit) {
            return self.all(Trigger::IncrementalSize);
        }
        None
    }

    /// When everything was compacted last, as the files tell: the newest compacted file of the highest level.
    fn last_full(&self) -> Option<i64> {
        let top = self.runs().last().filter(|run| run.level == self.levels.max_level())?;
        let compacted = |file: &&DataFileMeta| file.file_source != Some(FileSource::Append);
        top.files.iter().filter(compacted).filter_map(|file| file.creation_time).max()
    }

    /// Everything, when the newer runs are large beside the oldest.
    fn amplified(&self) -> Option<CompactUnit> {
        if self.runs().len() < self.options.run_trigger {
            return None;
        }
        let (oldest, newer) = self.runs().split_last()?;
        let newer = newer.iter().fold(0_u128, |sum, run| sum + u128::from(run.bytes()));
        let limit = u128::from(self.options.max_size_amplification) * u128::from(oldest.bytes());
        if newer * 100 > limit { self.all(Trigger::SizeAmplification) } else { None }
    }

    /// The newest runs, as long as each is not much larger than those before it together.
    fn alike(&self) -> Option<CompactUnit> {
        if self.runs().len() < self.options.run_trigger {
            return None;
        }
        let taken = self.extended(1, false);
        (taken > 1).then(|| self.prefix(taken, Trigger::SizeRatio))
    }

    /// So many of the newest runs that few enough are left.
    fn many(&self) -> Option<CompactUnit> {
        let excess = self.runs().len().checked_sub(self.options.run_trigger).filter(|excess| *excess > 0)?;
        Some(self.prefix(self.extended(excess + 1, true), Trigger::RunCount))
    }

    /// Level 0, where it must not stay.
    fn level_0(&self) -> Option<CompactUnit> {
        let waits = self.options.needs_lookup
            && self.options.lookup_compact == LookupCompact::Gentle
            && self.now.put_off + 1 < self.options.lookup_max_interval;
        let forced = self.options.force_up_level_0 || self.options.needs_lookup;
        if !forced || waits || self.levels.level_0() == 0 {
            return None;
        }
        Some(self.prefix(self.extended(self.levels.level_0(), true), Trigger::Level0))
    }

    /// How many runs are taken when `taken` are at the least and runs of like size follow them. As soon as the unit is
    /// `certain`, runs of level 0 and 1 follow whatever their size: each of them costs every reader.
    fn extended(&self, mut taken: usize, mut certain: bool) -> usize {
        let runs = self.runs();
        let quiet = self.options.quiet_hours.filter(|hours| hours.holds(self.now.hour())).map_or(0, |it| it.ratio);
        let percent = 100 + u128::from(self.options.size_ratio) + u128::from(quiet);
        let mut bytes = runs[..taken].iter().fold(0_u128, |sum, run| sum + u128::from(run.bytes()));
        for next in &runs[taken..] {
            let alike = bytes * percent >= u128::from(next.bytes()) * 100;
            let follows = certain && next.level <= 1;
            if !alike && !follows {
                break;
            }
            bytes += u128::from(next.bytes());
            taken += 1;
            certain = true;
        }
        taken
    }

    /// The newest runs, written to the level above the first run that stays. Level 0 is never written: then more is taken.
    fn prefix(&self, mut taken: usize, trigger: Trigger) -> CompactUnit {
        let runs = self.runs();
        let mut output = runs.get(taken).map_or(self.levels.max_level(), |next| (next.level - 1).max(0));
        if output == 0 {
            let rest = runs.iter().skip(taken);
            let mut found = None;
            for next in rest {
                taken += 1;
                if next.level > 0 {
                    found = Some(next.level);
                    break;
                }
            }
            output = found.unwrap_or(self.levels.max_level());
        }
        if taken == runs.len() {
            output = self.levels.max_level();
        }
        CompactUnit::new(self.levels, taken, output, trigger)
    }
}
