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
            let mut start = 0;
            for end in versions.ends {
                let keeps = |position: &u32| !is_retract(versions.kind(*position as usize));
                picks.extend((start..*end).rev().find(keeps));
                start = *end;
            }
        } else {
            picks.extend(versions.ends.iter().map(|end| end - 1));
        }
        Ok(Merged { picks, computed: Vec::new() })
    }

    fn may_merge_early(&self) -> bool {
        true
    }
}

fn is_retract(byte: i8) -> bool {
    byte == RowKind::UpdateBefore as i8 || byte == RowKind::Delete as i8
}
