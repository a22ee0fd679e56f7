//! Tables whose compaction looks old rows up: versions above level 0 are states of the whole row, not parts of it.
//!
//! A file above level 0 holds for each of its keys all that was known when it was written, so of a key's versions up
//! there only the one of the lowest level counts, in its place in the order; the versions of level 0 come beside it.
//! A key that loses versions this way is still merged, even when one version is left.

use std::sync::Arc;

use super::{ColumnFrom, MergeFunction, Merged, NULL, Single, Versions};
use crate::error::Result;

#[derive(Debug)]
pub(super) struct UpperLevels(pub Arc<dyn MergeFunction>);

impl MergeFunction for UpperLevels {
    fn merge(&self, versions: &Versions<'_>) -> Result<Merged> {
        let mut upper = versions.levels.iter().filter(|level| **level > 0);
        let first = upper.next();
        if upper.all(|level| Some(level) == first) {
            return self.0.merge(versions);
        }
        let level = |position: usize| versions.levels[versions.rows[position].0 as usize];
        let (mut kept, mut ends, mut merge) = (Vec::new(), Vec::new(), Vec::new());
        for (key, positions) in versions.keys().enumerate() {
            merge.push(!versions.keeps(key, &positions));
            let lowest = positions.clone().filter(|at| level(*at) > 0).min_by_key(|at| level(*at));
            kept.extend(positions.filter(|at| level(*at) <= 0 || Some(*at) == lowest).map(|at| at as u32));
            ends.push(kept.len() as u32);
        }
        let rows: Vec<(u32, u32)> = kept.iter().map(|position| versions.rows[*position as usize]).collect();
        let single = Single::MergeWhere(&merge);
        let mut merged = self.0.merge(&Versions { rows: &rows, ends: &ends, single, ..*versions })?;
        // The caller knows the positions of its own list only.
        let back = |position: &mut u32| *position = kept.get(*position as usize).copied().unwrap_or(NULL);
        merged.picks.iter_mut().for_each(back);
        for (_, from) in &mut merged.columns {
            if let ColumnFrom::Picks(picks) = from {
                picks.iter_mut().for_each(back);
            }
        }
        Ok(merged)
    }

    fn may_merge_early(&self) -> bool {
        self.0.may_merge_early()
    }

    fn folds_beginnings(&self, retracts: bool) -> bool {
        self.0.folds_beginnings(retracts)
    }
}
