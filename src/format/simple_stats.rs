//! Minimum, maximum and null counts of columns.
//! Spec: `format-spec/statistics.md`.

use super::BinaryRow;

/// Statistics over the columns it covers (all key columns, or the value columns that `value_stats_cols` names).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimpleStats {
    /// The smallest value of each covered column; NULL where unknown.
    pub min: BinaryRow,
    /// The largest value of each covered column; NULL where unknown.
    pub max: BinaryRow,
    /// The number of NULLs of each covered column; `None` where unknown.
    pub null_counts: Vec<Option<i64>>,
}
