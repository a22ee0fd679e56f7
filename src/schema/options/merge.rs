//! What a table's options tell of its merge engine, column by column. Whether columns and functions fit is asked
//! where the engine is made (`lsm::merge`).

use std::collections::BTreeMap;

use super::reader::{Reader, split_exactly};
use crate::error::{Error, Result};

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
    /// The key of the rows in an array.
    pub nested_key: Vec<String>,
    /// What a NULL in such a key does; `None` when nothing is told.
    pub nested_key_nulls: Option<NullKeys>,
    /// The fields that tell which of two rows of such a key is newer.
    pub nested_sequence: Vec<String>,
    /// The most rows in an array.
    pub count_limit: Option<usize>,
    /// The field that holds the time of a map's entry.
    pub time_field: Option<String>,
}

/// What a NULL in the key of a row in an array does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NullKeys {
    /// It is a value as others are.
    #[default]
    Merge,
    /// The row is left out.
    Ignore,
    /// It is an error.
    Error,
}

/// The words of option `fields.<column>.nested-key-null-strategy`.
fn null_keys(text: &str) -> Result<NullKeys> {
    match text.to_ascii_lowercase().as_str() {
        "merge" => Ok(NullKeys::Merge),
        "ignore" => Ok(NullKeys::Ignore),
        "error" => Ok(NullKeys::Error),
        _ => Err(Error::invalid(format!("{text:?} is none of merge, ignore, error"))),
    }
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
        self.nested(&mut columns)?;
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

    /// What the options tell of columns of arrays and maps.
    fn nested(&self, columns: &mut BTreeMap<String, ColumnMergeOptions>) -> Result<()> {
        for (name, key) in self.family("fields.<column>.nested-key", |text| Ok(split_exactly(text)))? {
            columns.entry(name).or_default().nested_key = key;
        }
        for (name, nulls) in self.family("fields.<column>.nested-key-null-strategy", null_keys)? {
            columns.entry(name).or_default().nested_key_nulls = Some(nulls);
        }
        for (name, order) in self.family("fields.<column>.nested-sequence-field", |text| Ok(split_exactly(text)))? {
            columns.entry(name).or_default().nested_sequence = order;
        }
        for (name, limit) in self.family("fields.<column>.count-limit", super::reader::number::<i64>)? {
            columns.entry(name).or_default().count_limit = Some(usize::try_from(limit).unwrap_or(0));
        }
        for (name, field) in self.family("fields.<column>.ts-field", |text| Ok(text.to_string()))? {
            columns.entry(name).or_default().time_field = Some(field);
        }
        Ok(())
    }
}
