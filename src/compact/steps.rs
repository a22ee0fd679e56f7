//! What becomes of the files of one task: moved as they are, or merged. Pure.
//!
//! ```text
//! key    ─────────────────────────────────────────────▶
//! files  [large]  [small][small]  [a..]     [large]
//!                                   [b..]
//! steps  upgrade  └── merge, one after another ──┘ upgrade
//! ```
//!
//! Spec: `format-spec/compaction.md`, executing.

use crate::error::Result;
use crate::format::DataFileMeta;
use crate::lsm::{KeyBound, Ranged, sections};
use crate::types::DataType;

/// One step of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The file gets another level; its bytes stay.
    Upgrade(Box<DataFileMeta>),
    /// Sections in key order, each of sorted runs, are merged into new files.
    Merge(Vec<Vec<Vec<DataFileMeta>>>),
}

/// What the steps follow.
#[derive(Clone, Copy)]
pub struct StepRules<'a> {
    /// The types of the trimmed key.
    pub key_types: &'a [DataType],
    /// The level the rows go to.
    pub output_level: i32,
    /// The highest level of the bucket.
    pub max_level: i32,
    /// Files below this size are rewritten together with their neighbours.
    pub small_file_size: u64,
    /// Whether a file must be rewritten although it overlaps with none.
    pub rewrites: &'a dyn Fn(&DataFileMeta) -> bool,
}

/// The steps for the files of a task, in key order. A file in no step stays where it is.
///
/// # Errors
/// [`crate::Error::Corrupt`] when a file's key bytes are no key.
pub fn steps(files: &[DataFileMeta], rules: &StepRules<'_>) -> Result<Vec<Step>> {
    let mut ranged = Vec::with_capacity(files.len());
    for file in files {
        let (min, max) = (KeyBound::of(&file.min_key, rules.key_types)?, KeyBound::of(&file.max_key, rules.key_types)?);
        ranged.push(Ranged { min, max, item: file.clone() });
    }
    let mut found = Steps { rules, done: Vec::new(), waiting: Vec::new() };
    for section in sections(ranged) {
        let mut runs: Vec<Vec<DataFileMeta>> =
            section.into_iter().map(|run| run.into_iter().map(|ranged| ranged.item).collect()).collect();
        if runs.len() > 1 {
            found.waiting.push(runs);
            continue;
        }
        for file in runs.pop().unwrap_or_default() {
            if u64::try_from(file.file_size).unwrap_or(0) < rules.small_file_size {
                found.waiting.push(vec![vec![file]]);
            } else {
                found.merge_waiting();
                found.move_up(file);
            }
        }
    }
    found.merge_waiting();
    Ok(found.done)
}

struct Steps<'a> {
    rules: &'a StepRules<'a>,
    done: Vec<Step>,
    /// Sections that will be merged together.
    waiting: Vec<Vec<Vec<DataFileMeta>>>,
}

impl Steps<'_> {
    /// A file alone gains nothing by being rewritten.
    fn merge_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        match waiting.as_slice() {
            [] => {}
            [section] if section.len() == 1 => section[0].iter().for_each(|file| self.move_up(file.clone())),
            _ => self.done.push(Step::Merge(waiting)),
        }
    }

    fn move_up(&mut self, file: DataFileMeta) {
        // At the top nobody needs retractions; a file that does not tell may have some.
        let retracts = self.rules.output_level == self.rules.max_level && file.delete_row_count != Some(0);
        if retracts || (self.rules.rewrites)(&file) {
            self.done.push(Step::Merge(vec![vec![vec![file]]]));
        } else if file.level != self.rules.output_level {
            self.done.push(Step::Upgrade(Box::new(file)));
        }
    }
}
