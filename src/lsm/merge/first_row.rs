//! Merge engine `first-row`: the oldest version stays.

use super::{MergeFunction, Merged, Versions};
use crate::error::{Error, Result};
use crate::types::RowKind;

/// The oldest version stays. Retractions are refused, or skipped with `ignore_delete`: then a key that has nothing else
/// gives no row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FirstRow {
    /// Option `ignore-delete`.
    pub ignore_delete: bool,
}

impl MergeFunction for FirstRow {
    fn merge(&self, versions: &Versions<'_>) -> Result<Merged> {
        let mut picks = Vec::with_capacity(versions.ends.len());
        for (key, mut positions) in versions.keys().enumerate() {
            if versions.keeps(key, &positions) {
                picks.push(positions.start as u32);
                continue;
            }
            let retracts = |position: &usize| RowKind::retracts(versions.kind(*position));
            if !self.ignore_delete && positions.clone().any(|position| retracts(&position)) {
                return Err(Error::invalid(
                    "merge engine first-row takes no -U and -D rows; option ignore-delete = true drops them",
                ));
            }
            picks.extend(positions.find(|position| !retracts(position)).map(|position| position as u32));
        }
        Ok(Merged::of_picks(picks))
    }

    fn may_merge_early(&self) -> bool {
        true
    }

    fn folds_beginnings(&self, _: bool) -> bool {
        true
    }
}
