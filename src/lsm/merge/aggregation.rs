//! Merge engine `aggregation`: each column is folded by its function.

use super::fold::ColumnFold;
use super::steps::Step;
use super::{MergeFunction, Merged, Versions};
use crate::error::{Error, Result};
use crate::schema::{Schema, TableOptions};
use crate::types::RowKind;

/// Each column is folded by its function. With `removes` a `-D` removes the row, and what follows starts from it.
#[derive(Debug)]
pub(super) struct Aggregation {
    removes: bool,
    columns: Vec<(usize, ColumnFold)>,
}

impl Aggregation {
    pub(super) fn of(schema: &Schema, options: &TableOptions, columns: &[usize]) -> Result<Self> {
        let removes = options.merge.aggregation_removes;
        if removes && let Some((name, _)) = options.merge.columns.iter().find(|(_, column)| column.ignore_retract) {
            return Err(Error::invalid(format!(
                "options aggregation.remove-record-on-delete and fields.{name}.ignore-retract contradict each other"
            )));
        }
        let mut folds = Vec::with_capacity(columns.len());
        for (place, at) in columns.iter().enumerate() {
            let field = &schema.fields[*at];
            if schema.primary_keys.contains(&field.name) {
                continue;
            }
            let of = options.merge.columns.get(&field.name).cloned().unwrap_or_default();
            let named = of.function.as_ref().or(options.merge.default_function.as_ref()).map(String::as_str);
            let function = match named {
                _ if options.sequence_fields.contains(&field.name) => "last_value",
                Some(function) => function,
                None => "last_non_null_value",
            };
            folds.push((place, ColumnFold::of(field, function, &of)?));
        }
        Ok(Self { removes, columns: folds })
    }
}

impl MergeFunction for Aggregation {
    fn merge(&self, versions: &Versions<'_>) -> Result<Merged> {
        if versions.keeps_all() {
            return Ok(Merged::of_picks((0..versions.rows.len() as u32).collect()));
        }
        let mut steps = vec![Step::Add; versions.rows.len()];
        let mut kinds = vec![RowKind::Insert as i8; versions.ends.len()];
        for (key, positions) in versions.keys().enumerate() {
            if versions.keeps(key, &positions) {
                steps[positions.start] = Step::Take;
                kinds[key] = versions.kind(positions.start);
                continue;
            }
            for position in positions {
                let kind = versions.kind(position);
                let removed = self.removes && kind == RowKind::Delete as i8;
                kinds[key] = if removed { RowKind::Delete } else { RowKind::Insert } as i8;
                steps[position] = match RowKind::retracts(kind) {
                    _ if removed => Step::Take,
                    true => Step::Retract,
                    false => Step::Add,
                };
            }
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (place, fold) in &self.columns {
            columns.push((*place, fold.run(versions, *place, &steps)?));
        }
        let picks = versions.ends.iter().map(|end| end - 1).collect();
        Ok(Merged { picks, kinds: (!versions.has_no_kinds()).then_some(kinds), columns })
    }

    /// The folded row is added to nothing, which gives it back, unless a removed row left what no function adds.
    fn folds_beginnings(&self, retracts: bool) -> bool {
        !(retracts && self.removes)
    }
}
