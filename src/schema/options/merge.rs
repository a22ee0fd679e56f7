//! What a table's options tell of its merge engine, column by column. Whether columns and functions fit is asked
//! where the engine is made (`lsm::merge`).

use std::collections::BTreeMap;

use super::reader::{Reader, split_exactly};
use crate::error::Result;

/// How versions of a key become one row, beside the name of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MergeOptions {
    /// A `-D` removes the row in aggregation.
    pub aggregation_removes: bool,
    /// A `-D` removes the row in partial-update.
    pub partial_update_removes: bool,
    /// A `-D` of a sequence group with one of these columns removes the row.
    pub removing_columns: Option<Vec<String>>,
    /// The aggregate function of columns that name none.
    pub default_function: Option<String>,
    /// What is told of single columns.
    pub columns: BTreeMap<String, ColumnMergeOptions>,
    /// Columns that are versioned together.
    pub groups: Vec<SequenceGroup>,
    /// Of versions above level 0 only the one of the lowest level counts: the others are older states of the same row,
    /// because compaction looks old rows up.
    pub upper_levels_are_states: bool,
}

/// What the options tell of one column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnMergeOptions {
    /// The name of its aggregate function.
    pub function: Option<String>,
    /// Retractions leave its aggregate as it is.
    pub ignore_retract: bool,
    /// Join each value once.
    pub distinct: bool,
    /// Text between joined values.
    pub delimiter: Option<String>,
}

/// `fields.<order>.sequence-group = <columns>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceGroup {
    /// The columns that tell which version is newer.
    pub order: Vec<String>,
    /// The columns that are versioned by them.
    pub columns: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn merge(&self, needs_lookup: bool) -> Result<MergeOptions> {
        let mut columns: BTreeMap<String, ColumnMergeOptions> = BTreeMap::new();
        for (name, function) in self.family("fields.<column>.aggregate-function", |text| Ok(text.to_string()))? {
            columns.entry(name).or_default().function = Some(function);
        }
        for (name, ignore) in self.family("fields.<column>.ignore-retract", super::reader::boolean)? {
            columns.entry(name).or_default().ignore_retract = ignore;
        }
        for (name, distinct) in self.family("fields.<column>.distinct", super::reader::boolean)? {
            columns.entry(name).or_default().distinct = distinct;
        }
        for (name, delimiter) in self.family("fields.<column>.list-agg-delimiter", |text| Ok(text.to_string()))? {
            columns.entry(name).or_default().delimiter = Some(delimiter);
        }
        let groups = self.family("fields.<columns>.sequence-group", |text| Ok(split_exactly(text)))?;
        let group = |(order, columns): (String, _)| SequenceGroup { order: split_exactly(&order), columns };
        Ok(MergeOptions {
            aggregation_removes: self.boolean("aggregation.remove-record-on-delete")?,
            partial_update_removes: self.boolean("partial-update.remove-record-on-delete")?,
            removing_columns: self.text("partial-update.remove-record-on-sequence-group").map(split_exactly),
            default_function: self.text("fields.default-aggregate-function").map(ToString::to_string),
            columns,
            groups: groups.into_iter().map(group).collect(),
            upper_levels_are_states: needs_lookup,
        })
    }
}
