//! The rules of the format's chapter, one row after another and one value after another: slow, plain, and made
//! without looking at the kernels.

use std::cmp::Ordering;

use super::Version;
use super::nested_model::{self, is_nested};
use crate::schema::{ColumnMergeOptions, MergeEngine, Schema, TableOptions};
use crate::types::{Datum, RowKind};

/// What a refused merge is here.
pub(super) struct Refused;

type Outcome<T> = Result<T, Refused>;

pub(super) struct Model<'a> {
    pub schema: &'a Schema,
    pub options: TableOptions,
}

/// The row of a key while its versions come.
struct Row {
    values: Vec<Datum>,
    /// Which columns have seen their first value.
    begun: Vec<bool>,
    removed: bool,
    added: bool,
    filled: bool,
}

fn retracts(kind: RowKind) -> bool {
    matches!(kind, RowKind::UpdateBefore | RowKind::Delete)
}

impl Model<'_> {
    /// The versions of a key as one; `None` where nothing is left.
    pub(super) fn merge(&self, versions: &[Version]) -> Outcome<Option<Version>> {
        let ignore = self.options.ignore_delete;
        match self.options.merge_engine {
            MergeEngine::Deduplicate => Ok(versions.iter().rfind(|version| !ignore || !retracts(version.0)).cloned()),
            _ if versions.len() == 1 => Ok(Some(versions[0].clone())),
            MergeEngine::FirstRow => {
                if !ignore && versions.iter().any(|version| retracts(version.0)) {
                    return Err(Refused);
                }
                Ok(versions.iter().find(|version| !retracts(version.0)).cloned())
            }
            MergeEngine::Aggregation => self.aggregate(versions).map(Some),
            MergeEngine::PartialUpdate => self.update(versions).map(Some),
        }
    }

    fn empty(&self) -> Row {
        let columns = self.schema.fields.len();
        let (values, begun) = (vec![Datum::Null; columns], vec![false; columns]);
        Row { values, begun, removed: false, added: false, filled: false }
    }

    fn column(&self, at: usize) -> (&str, Option<&str>, ColumnMergeOptions) {
        let name = &self.schema.fields[at].name;
        let of = self.options.merge.columns.get(name).cloned().unwrap_or_default();
        let own = self.options.merge.columns.get(name).and_then(|of| of.function.as_deref());
        (name, own.or(self.options.merge.default_function.as_deref()), of)
    }

    /// Whether the elements of a column of arrays have parts.
    fn trusts(&self, at: usize) -> bool {
        self.schema.fields[at].data_type.kind.parts().iter().any(|element| element.kind.is_nested())
    }

    fn aggregate(&self, versions: &[Version]) -> Outcome<Version> {
        let mut row = self.empty();
        for (kind, values) in versions {
            row.removed = self.options.merge.aggregation_removes && *kind == RowKind::Delete;
            if row.removed {
                row.values.clone_from(values);
                continue;
            }
            for (at, comes) in values.iter().enumerate() {
                let (name, function, of) = self.column(at);
                let function = match function {
                    _ if self.schema.primary_keys.iter().any(|key| key == name) => "primary-key",
                    _ if self.options.sequence_fields.iter().any(|field| field == name) => "last_value",
                    other => other.unwrap_or("last_non_null_value"),
                };
                let there = row.values[at].clone();
                row.values[at] = match retracts(*kind) {
                    true => retract(function, &of, there, comes.clone())?,
                    false if is_nested(function) => {
                        nested_model::add(function, &of, self.trusts(at), there, comes.clone(), false)?
                    }
                    false => add(function, &of, &mut row.begun[at], there, comes.clone()),
                };
            }
        }
        Ok((if row.removed { RowKind::Delete } else { RowKind::Insert }, row.values))
    }

    fn update(&self, versions: &[Version]) -> Outcome<Version> {
        let mut row = self.empty();
        for (kind, values) in versions {
            row.removed = false;
            if !retracts(*kind) {
                self.add_part(&mut row, values)?;
                (row.added, row.filled) = (true, true);
                continue;
            }
            if !std::mem::replace(&mut row.filled, true) {
                row.values.clone_from(values);
            }
            if self.options.ignore_delete {
            } else if !self.options.merge.groups.is_empty() {
                self.retract_part(&mut row, *kind, values)?;
            } else if self.options.merge.partial_update_removes {
                if *kind == RowKind::Delete {
                    row.removed = true;
                    row.values.clone_from(values);
                }
            } else {
                return Err(Refused);
            }
        }
        Ok((if row.removed || !row.added { RowKind::Delete } else { RowKind::Insert }, row.values))
    }

    /// The positions of the sequence columns and of the other columns of every group.
    fn groups(&self) -> Vec<(Vec<usize>, Vec<usize>)> {
        let places = |names: &[String]| names.iter().map(|name| self.schema.index_of(name).unwrap()).collect();
        self.options.merge.groups.iter().map(|group| (places(&group.order), places(&group.columns))).collect()
    }

    fn add_part(&self, row: &mut Row, values: &[Datum]) -> Outcome<()> {
        let groups = self.groups();
        let in_group = |at: usize| groups.iter().any(|(order, columns)| order.contains(&at) || columns.contains(&at));
        for at in (0..values.len()).filter(|at| !in_group(*at)) {
            if !values[at].is_null() {
                row.values[at] = values[at].clone();
            }
        }
        for (order, columns) in groups {
            if order.iter().all(|at| values[*at].is_null()) {
                continue;
            }
            let late = compare(&order, values, &row.values).is_lt();
            for at in columns {
                let (_, function, of) = self.column(at);
                let (there, comes) = (row.values[at].clone(), values[at].clone());
                row.values[at] = match function {
                    None if late => there,
                    None => comes,
                    Some(function) if is_nested(function) => {
                        nested_model::add(function, &of, self.trusts(at), there, comes, late)?
                    }
                    Some(function) if late => add(function, &of, &mut row.begun[at], comes, there),
                    Some(function) => add(function, &of, &mut row.begun[at], there, comes),
                };
            }
            if !late {
                order.into_iter().for_each(|at| row.values[at] = values[at].clone());
            }
        }
        Ok(())
    }

    fn retract_part(&self, row: &mut Row, kind: RowKind, values: &[Datum]) -> Outcome<()> {
        // Paimon goes column by column and may refuse a retraction of a column that stands before the removing one: here
        // a row that is to go goes.
        for (order, _) in self.groups() {
            let empty = order.iter().all(|at| values[*at].is_null());
            let late = compare(&order, values, &row.values).is_lt();
            let removing = self.options.merge.removing_columns.iter().flatten();
            let removes = removing.into_iter().any(|name| order.contains(&self.schema.index_of(name).unwrap()));
            if !empty && !late && removes && kind == RowKind::Delete {
                row.removed = true;
                row.values = values.to_vec();
                return Ok(());
            }
        }
        for (order, columns) in self.groups() {
            if order.iter().all(|at| values[*at].is_null()) {
                continue;
            }
            let late = compare(&order, values, &row.values).is_lt();
            for at in columns {
                let (_, function, of) = self.column(at);
                let there = row.values[at].clone();
                row.values[at] = match function {
                    None if late => there,
                    None => Datum::Null,
                    Some(function) => retract(function, &of, there, values[at].clone())?,
                };
            }
            if !late {
                order.into_iter().for_each(|at| row.values[at] = values[at].clone());
            }
        }
        Ok(())
    }
}

fn compare(columns: &[usize], a: &[Datum], b: &[Datum]) -> Ordering {
    columns.iter().map(|at| a[*at].total_cmp(&b[*at])).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn add(function: &str, of: &ColumnMergeOptions, begun: &mut bool, there: Datum, comes: Datum) -> Datum {
    match function {
        "primary-key" | "last_value" => comes,
        "last_non_null_value" if comes.is_null() => there,
        "last_non_null_value" => comes,
        "first_value" => {
            if std::mem::replace(begun, true) {
                there
            } else {
                comes
            }
        }
        "first_non_null_value" => {
            if *begun || comes.is_null() {
                return there;
            }
            *begun = true;
            comes
        }
        "listagg" => join(of, there, comes),
        _ if comes.is_null() => there,
        _ if there.is_null() => comes,
        "max" => {
            if there.total_cmp(&comes).is_lt() {
                comes
            } else {
                there
            }
        }
        "min" => {
            if there.total_cmp(&comes).is_lt() {
                there
            } else {
                comes
            }
        }
        "bool_and" => Datum::Boolean(there == Datum::Boolean(true) && comes == Datum::Boolean(true)),
        "bool_or" => Datum::Boolean(there == Datum::Boolean(true) || comes == Datum::Boolean(true)),
        "sum" => match (there, comes) {
            (Datum::Int(a), Datum::Int(b)) => Datum::Int(a + b),
            (Datum::Decimal(a), Datum::Decimal(b)) => Datum::Decimal(a + b),
            other => panic!("{other:?}"),
        },
        other => panic!("the model has no {other}"),
    }
}

fn retract(function: &str, of: &ColumnMergeOptions, there: Datum, taken: Datum) -> Outcome<Datum> {
    if of.ignore_retract && function != "primary-key" {
        return Ok(there);
    }
    if is_nested(function) {
        return nested_model::retract(function, of, there, taken);
    }
    Ok(match function {
        "primary-key" => taken,
        "last_value" => Datum::Null,
        "last_non_null_value" => {
            if taken.is_null() {
                there
            } else {
                Datum::Null
            }
        }
        "sum" => match (there, taken) {
            (there, Datum::Null) => there,
            (Datum::Null, Datum::Int(b)) => Datum::Int(-b),
            (Datum::Null, Datum::Decimal(b)) => Datum::Decimal(-b),
            (Datum::Int(a), Datum::Int(b)) => Datum::Int(a - b),
            (Datum::Decimal(a), Datum::Decimal(b)) => Datum::Decimal(a - b),
            other => panic!("{other:?}"),
        },
        _ => return Err(Refused),
    })
}

fn join(of: &ColumnMergeOptions, there: Datum, comes: Datum) -> Datum {
    let Datum::String(new) = &comes else { return there };
    if new.trim().is_empty() {
        return there;
    }
    let Datum::String(old) = &there else { return comes };
    if old.trim().is_empty() {
        return comes;
    }
    let mut words: Vec<&str> = old.split(',').collect();
    let before = words.len();
    for word in new.split(',') {
        if !of.distinct || (!word.trim().is_empty() && !words.contains(&word)) {
            words.push(word);
        }
    }
    let mut text = old.clone();
    words[before..].iter().for_each(|word| text = format!("{text},{word}"));
    Datum::String(text)
}
