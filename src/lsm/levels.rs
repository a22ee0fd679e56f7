//! The files of one bucket as sorted runs: every file of level 0 is a run, every higher level is one.
//! Spec: `format-spec/compaction.md`, levels.

use std::cmp::Reverse;

use super::KeyBound;
use crate::error::Result;
use crate::format::DataFileMeta;
use crate::types::DataType;

/// The place of a file from old to new: of two versions of a key that are equal otherwise, that of the newer file wins.
pub fn age(file: &DataFileMeta) -> impl Ord + use<> {
    let sequence = (file.max_sequence_number, file.min_sequence_number);
    (Reverse(file.level), sequence, file.creation_time, file.file_name.clone())
}

/// Files of one level that do not overlap, by rising keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Their level.
    pub level: i32,
    /// The files; one of them in level 0.
    pub files: Vec<DataFileMeta>,
}

impl Run {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(u64::try_from(file.file_size).unwrap_or(0)))
    }
}

/// The runs of one bucket, newest first: level 0 from the newest file to the oldest, then level 1, 2, ..
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Levels {
    runs: Vec<Run>,
    max_level: i32,
}

impl Levels {
    /// Orders live files. `num_levels` counts level 0; files of a higher level raise it.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when the key of a file is no key of these types.
    pub fn new(files: Vec<DataFileMeta>, num_levels: i32, key_types: &[DataType]) -> Result<Self> {
        let highest = files.iter().map(|file| file.level).max().unwrap_or(0);
        let (mut flushed, upper): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.level <= 0);
        flushed.sort_by(|a, b| newest_first(a).cmp(&newest_first(b)));
        let mut runs: Vec<Run> = flushed.into_iter().map(|file| Run { level: 0, files: vec![file] }).collect();
        let mut keyed = Vec::with_capacity(upper.len());
        for file in upper {
            keyed.push((file.level, KeyBound::of(&file.min_key, key_types)?, file));
        }
        keyed.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(&b.1)));
        for (level, _, file) in keyed {
            match runs.last_mut() {
                Some(run) if run.level == level => run.files.push(file),
                _ => runs.push(Run { level, files: vec![file] }),
            }
        }
        Ok(Self { runs, max_level: highest.max(num_levels - 1) })
    }

    /// The runs, newest first.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The level that full compactions write to.
    pub fn max_level(&self) -> i32 {
        self.max_level
    }

    /// The highest level that has files; -1 when none has.
    pub fn highest_level(&self) -> i32 {
        self.runs.last().map_or(-1, |run| run.level)
    }

    /// Files of level 0.
    pub fn level_0(&self) -> usize {
        self.runs.iter().take_while(|run| run.level == 0).count()
    }

    /// All files, newest runs first.
    pub fn files(&self) -> impl Iterator<Item = &DataFileMeta> {
        self.runs.iter().flat_map(|run| &run.files)
    }
}

/// Java's order of level 0.
fn newest_first(file: &DataFileMeta) -> impl Ord + '_ {
    (Reverse(file.max_sequence_number), file.min_sequence_number, file.creation_time, file.file_name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::data_file;

    #[test]
    fn files_age_by_level_then_sequence_then_time_then_name() {
        let file = |name: &str, level, sequence: (i64, i64), created| DataFileMeta {
            level,
            min_sequence_number: sequence.0,
            max_sequence_number: sequence.1,
            creation_time: Some(created),
            ..data_file(name, 1)
        };
        let old_to_new = [
            file("z", 5, (90, 99), 9),
            file("z", 1, (80, 89), 9),
            file("z", 0, (0, 9), 9),
            file("z", 0, (1, 9), 8),
            file("y", 0, (1, 9), 9),
            file("z", 0, (1, 9), 9),
        ];
        assert!(old_to_new.windows(2).all(|pair| age(&pair[0]) < age(&pair[1])));
    }
}
