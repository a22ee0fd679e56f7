//! Which row groups of a merge are copied as they are, and where among the merged rows they belong.
//!
//! ```text
//! key    ─────────────────────────────────────────────▶
//! old    [group 0][group 1][group 2][group 3][group 4]
//! new      a                  b  c                        their keys are read before
//! out    [merged ][group 1][merged ][group 3][group 4]
//! ```
//!
//! A row group of the oldest files is copied when no newer key lies in its range. One merge gives all other rows in key
//! order; where its keys pass a copied group's, the group is put between them.
//! Spec: `format-spec/compaction.md`, executing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow_array::ArrayRef;

use super::rewrite::Sections;
use crate::error::Result;
use crate::files::{RowGroup, RowGroups};
use crate::format::{DataFileMeta, Split};
use crate::lsm::{KeyEncoder, Keys, MergedBatch};
use crate::read::SplitReader;

/// The keys of a task's files.
pub(super) struct TaskKeys {
    /// Reads the key columns alone.
    pub(super) reader: SplitReader,
    pub(super) encoder: KeyEncoder,
    /// The key's positions among all columns.
    pub(super) columns: Vec<usize>,
}

/// What may be copied.
pub(super) struct CopyRules {
    /// Bytes below which a row group is rather merged with its neighbours.
    pub(super) least_bytes: u64,
    /// The most rows of a row group that is copied.
    pub(super) most_rows: u64,
}

impl CopyRules {
    fn allow(&self, group: &RowGroup) -> bool {
        group.copied.is_some() && group.bytes >= self.least_bytes && group.rows <= self.most_rows
    }
}

/// The row groups that are copied and not yet at their place, in key order.
#[derive(Default)]
pub(super) struct Copies(VecDeque<Copy>);

struct Copy {
    file: Arc<RowGroups>,
    group: RowGroup,
    /// The keys of the first and the last row of all groups of its file.
    ends: Arc<Keys>,
}

/// What is left to merge.
pub(super) struct Left {
    pub(super) sections: Sections,
    /// Of the files named only these row groups.
    pub(super) groups: HashMap<String, Vec<usize>>,
}

impl TaskKeys {
    /// Parts a merge into what is copied and what is left. `open` gives the row groups of a file whose rows may stay as
    /// they are.
    pub(super) fn part(
        &self,
        inputs: &Split,
        sections: Sections,
        rules: &CopyRules,
        mut open: impl FnMut(&DataFileMeta) -> Result<Option<RowGroups>>,
    ) -> Result<(Copies, Left)> {
        let (oldest, newer) = divide(&sections);
        let rows =
            |files: &mut dyn Iterator<Item = &DataFileMeta>| files.map(|file| file.row_count.max(0)).sum::<i64>();
        if rows(&mut newer.iter().flatten().map(AsRef::as_ref)) > rows(&mut oldest.iter().copied()) {
            return Ok((Copies::default(), Left { sections, groups: HashMap::new() }));
        }
        let mut copies = Vec::new();
        let mut groups = HashMap::new();
        for file in oldest {
            let Some(opened) = open(file)?.map(Arc::new) else { continue };
            let ends = Arc::new(self.encoder.encode(opened.ends(), opened.groups().len() * 2)?);
            groups.insert(file.file_name.clone(), (0..opened.groups().len()).collect::<Vec<_>>());
            for group in opened.groups().iter().filter(|group| rules.allow(group)) {
                let copy = Copy { file: Arc::clone(&opened), group: group.clone(), ends: Arc::clone(&ends) };
                copies.push((file.file_name.clone(), copy));
            }
        }
        if !copies.is_empty() && !newer.is_empty() {
            for keys in self.reader.bucket(inputs)?.keys(newer)? {
                let keys = keys?;
                let keys = self.encoder.encode(&keys, keys.first().map_or(0, |lane| lane.len()))?;
                copies.retain(|(_, copy)| !copy.meets(&keys));
            }
        }
        for (name, copy) in &copies {
            if let Some(groups) = groups.get_mut(name) {
                groups.retain(|place| *place != copy.group.place);
            }
        }
        let left = |file: &DataFileMeta| groups.get(&file.file_name).is_none_or(|groups| !groups.is_empty());
        let of_run = |run: Vec<DataFileMeta>| -> Vec<_> { run.into_iter().filter(left).collect() };
        let of_section =
            |runs: Vec<_>| -> Vec<_> { runs.into_iter().map(of_run).filter(|run| !run.is_empty()).collect() };
        let sections = sections.into_iter().map(of_section).filter(|runs| !runs.is_empty()).collect();
        let mut copies: Vec<Copy> = copies.into_iter().map(|(_, copy)| copy).collect();
        copies.sort_by(|a, b| a.ends.compare(a.first(), &b.ends, b.first()));
        Ok((Copies(copies.into()), Left { sections, groups }))
    }

    fn of(&self, rows: &MergedBatch) -> Result<Keys> {
        let lanes: Vec<ArrayRef> = self.columns.iter().map(|at| Arc::clone(&rows.columns[*at])).collect();
        self.encoder.encode(&lanes, rows.num_rows())
    }
}

impl Copy {
    /// Where the key of its first row stands.
    fn first(&self) -> usize {
        self.group.place * 2
    }

    /// Whether one of the keys, which rise, lies in the group's range.
    fn meets(&self, keys: &Keys) -> bool {
        let first = keys.equal_range(&self.ends, self.first()).start;
        first < keys.len() && keys.compare(first, &self.ends, self.first() + 1).is_le()
    }
}

impl Copies {
    /// The next group, if it comes before the end of these rows, and the place in them where it belongs. The rows begin
    /// at a place of those that were given first.
    pub(super) fn next_within(&mut self, keys: &Keys, from: usize) -> Option<(usize, Arc<RowGroups>, RowGroup)> {
        let copy = self.0.front()?;
        if keys.is_empty() || copy.ends.compare(copy.first(), keys, keys.len() - 1).is_gt() {
            return None;
        }
        let place = keys.equal_range(&copy.ends, copy.first()).start.max(from);
        self.next().map(|(file, group)| (place, file, group))
    }

    /// The next group.
    pub(super) fn next(&mut self) -> Option<(Arc<RowGroups>, RowGroup)> {
        self.0.pop_front().map(|copy| (copy.file, copy.group))
    }

    /// The keys of merged rows, as far as groups have to find their places among them.
    pub(super) fn keys(&self, of: &TaskKeys, rows: &MergedBatch) -> Result<Option<Keys>> {
        if self.0.is_empty() { Ok(None) } else { of.of(rows).map(Some) }
    }
}

/// The oldest files, whose ranges do not overlap, and the others as sorted runs.
fn divide(sections: &Sections) -> (Vec<&DataFileMeta>, Vec<Vec<Arc<DataFileMeta>>>) {
    let top = sections.iter().flatten().flatten().map(|file| file.level).max().unwrap_or(0);
    let (mut oldest, mut newer) = (Vec::new(), Vec::new());
    for runs in sections {
        let is_oldest = |file: &&DataFileMeta| runs.len() == 1 || (file.level == top && top > 0);
        for run in runs {
            let (old, new): (Vec<_>, Vec<_>) = run.iter().partition(is_oldest);
            oldest.extend(old);
            if !new.is_empty() {
                newer.push(new.into_iter().cloned().map(Arc::new).collect());
            }
        }
    }
    (oldest, newer)
}
