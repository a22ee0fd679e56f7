//! The aggregate functions over nested columns by their names, with the options that belong to them.

use super::Function;
use super::nested::{Collect, MergeMap, NestedPartialUpdate, NestedUpdate};
use crate::error::{Error, Result};
use crate::schema::{ColumnMergeOptions, Field};
use crate::types::{DataType, TypeKind};

/// The function of a name for a column.
pub(super) fn of(field: &Field, function: &str, options: &ColumnMergeOptions) -> Result<Function> {
    let kind = &field.data_type.kind;
    let wrong = |what: &str| Error::invalid(format!("aggregate function {function} of column {:?} {what}", field.name));
    let takes = |what: &str| wrong(&format!("takes {what}, not {kind}"));
    Ok(match (function, kind) {
        ("collect", TypeKind::Array(_)) => Function::Collect(Collect { distinct: options.distinct }),
        ("collect", _) => return Err(takes("ARRAY")),
        ("merge_map", TypeKind::Map(_)) => Function::MergeMap(MergeMap { time: None }),
        ("merge_map", _) => return Err(takes("MAP")),
        ("merge_map_with_keytime", TypeKind::Map(map)) => {
            let fields = row_fields(&map.value).filter(|fields| fields.len() >= 2);
            let fields = fields.ok_or_else(|| takes("a MAP whose values are a ROW of two fields or more"))?;
            let at = match &options.time_field {
                None => fields.len() - 1,
                Some(name) => position(fields, name).ok_or_else(|| {
                    wrong(&format!(
                        "has no time: option fields.{}.ts-field names {name:?}, which is no field",
                        field.name
                    ))
                })?,
            };
            // Java reads the time as a text and compares it as one.
            match fields[at].data_type.kind {
                TypeKind::Char(_) | TypeKind::VarChar(_) => Function::MergeMap(MergeMap { time: Some(at) }),
                _ => return Err(wrong(&format!("needs a text for its time, not {}", fields[at].data_type.kind))),
            }
        }
        ("merge_map_with_keytime", _) => return Err(takes("MAP")),
        (_, TypeKind::Array(element)) => {
            let fields = row_fields(element).ok_or_else(|| takes("an ARRAY of ROW"))?;
            let places = |option: &str, names: &[String]| -> Result<Vec<usize>> {
                let place = |name: &String| {
                    let missing = || wrong(&format!("option fields.{}.{option}: {name:?} is no field", field.name));
                    position(fields, name).ok_or_else(missing)
                };
                names.iter().map(place).collect()
            };
            let key = places("nested-key", &options.nested_key)?;
            let nulls = options.nested_key_nulls.unwrap_or_default();
            let needs_key = |what: &str| wrong(&format!("{what} needs option fields.{}.nested-key", field.name));
            if function == "nested_partial_update" {
                if key.is_empty() {
                    return Err(needs_key("itself"));
                }
                return Ok(Function::NestedPartialUpdate(NestedPartialUpdate { key, nulls }));
            }
            if key.is_empty() && options.nested_key_nulls.is_some() {
                return Err(needs_key("option nested-key-null-strategy"));
            }
            if key.is_empty() && !options.nested_sequence.is_empty() {
                return Err(needs_key("option nested-sequence-field"));
            }
            let sequence = places("nested-sequence-field", &options.nested_sequence)?;
            if let Some(at) = sequence.iter().find(|at| fields[**at].data_type.kind.is_nested()) {
                return Err(wrong(&format!("has no order by {:?}, which is nested", fields[*at].name)));
            }
            let limit = options.count_limit.unwrap_or(i32::MAX as usize);
            Function::NestedUpdate(NestedUpdate { key, nulls, sequence, limit })
        }
        _ => return Err(takes("an ARRAY of ROW")),
    })
}

fn row_fields(data_type: &DataType) -> Option<&[Field]> {
    match &data_type.kind {
        TypeKind::Row(fields) => Some(fields),
        _ => None,
    }
}

fn position(fields: &[Field], name: &str) -> Option<usize> {
    fields.iter().position(|field| field.name == name)
}
