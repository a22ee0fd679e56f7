//! Merge engine `deduplicate`: the newest version wins whole, whatever its kind.

use super::{MergeFunction, Merged, Versions};
use crate::error::Result;
use crate::types::RowKind;

/// The newest version wins. With `ignore_delete` retractions are skipped, and a key that has nothing else gives no row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Deduplicate {
    /// Option `ignore-delete`.
    pub ignore_delete: bool,
}

impl MergeFunction for Deduplicate {
    fn merge(&self, versions: &Versions<'_>) -> Result<Merged> {
        let mut picks = Vec::with_capacity(versions.ends.len());
        if self.ignore_delete {
            let keeps = |position: &usize| !RowKind::retracts(versions.kind(*position));
            let newest = |mut positions: std::ops::Range<usize>| positions.rfind(keeps);
            picks.extend(versions.keys().filter_map(newest).map(|position| position as u32));
        } else {
            picks.extend(versions.ends.iter().map(|end| end - 1));
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
