//! Nested values read as they are told to be by a newer schema: fields of rows by their ids, every part by its type.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StringArray, StructArray, new_null_array};
use arrow_schema::{ArrowError, DataType as ArrowType};

use super::super::{DataType, Field, TypeKind, lane_type};
use super::cast_lane;
use crate::error::{Error, Result};

/// `None` where neither kind is nested.
pub(super) fn can_cast(from: &TypeKind, to: &TypeKind) -> Option<bool> {
    let part = |from: &DataType, to: &DataType| super::can_cast(&from.kind, &to.kind);
    Some(match (from, to) {
        (TypeKind::Array(from), TypeKind::Array(to)) | (TypeKind::Multiset(from), TypeKind::Multiset(to)) => {
            part(from, to)
        }
        (TypeKind::Map(from), TypeKind::Map(to)) => part(&from.key, &to.key) && part(&from.value, &to.value),
        (TypeKind::Row(from), TypeKind::Row(to)) => to.iter().all(|field| match stored(from, field) {
            Some((_, old)) => part(&old.data_type, &field.data_type),
            None => field.data_type.nullable,
        }),
        (TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Row(_), TypeKind::Char(_) | TypeKind::VarChar(_)) => {
            from.parts().into_iter().all(|part| super::can_cast(&part.kind, &TypeKind::STRING))
        }
        (from, to) if from.is_nested() || to.is_nested() => false,
        _ => return None,
    })
}

/// Whether nothing of a ROW of one kind is left in another, or of what an ARRAY or a MAP holds: such values are NULL.
pub fn is_lost(from: &TypeKind, to: &TypeKind) -> bool {
    let part = |from: &DataType, to: &DataType| is_lost(&from.kind, &to.kind);
    match (from, to) {
        (TypeKind::Array(from), TypeKind::Array(to)) => part(from, to),
        (TypeKind::Map(from), TypeKind::Map(to)) => part(&from.key, &to.key) || part(&from.value, &to.value),
        (TypeKind::Row(from), TypeKind::Row(to)) => {
            to.iter().all(|field| stored(from, field).is_none_or(|(_, old)| part(&old.data_type, &field.data_type)))
        }
        _ => false,
    }
}

/// The field of the same id, and where it stands.
fn stored<'a>(fields: &'a [Field], field: &Field) -> Option<(usize, &'a Field)> {
    fields.iter().enumerate().find(|(_, old)| old.id == field.id)
}

pub(super) fn cast(from: &TypeKind, to: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    let wrong = |error: ArrowError| Error::invalid(format!("{from} as {to}: {error}"));
    match (from, to, lane_type(to)) {
        (TypeKind::Array(old), TypeKind::Array(new), ArrowType::List(field)) => {
            let list = lane.as_list::<i32>();
            let values = cast_lane(&old.kind, &new.kind, list.values())?;
            let list = ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned());
            Ok(Arc::new(list.map_err(wrong)?))
        }
        (TypeKind::Row(old), TypeKind::Row(new), ArrowType::Struct(shape)) => {
            let rows = lane.as_struct();
            let field = |field: &Field| {
                let (kind, nullable) = (&field.data_type.kind, field.data_type.nullable);
                match stored(old, field).filter(|(_, old)| !nullable || !is_lost(&old.data_type.kind, kind)) {
                    Some((at, old)) => cast_lane(&old.data_type.kind, kind, rows.column(at)),
                    None => Ok(new_null_array(&lane_type(kind), rows.len())),
                }
            };
            let lanes = new.iter().map(field).collect::<Result<Vec<_>>>()?;
            let rows = StructArray::try_new_with_length(shape, lanes, rows.nulls().cloned(), rows.len());
            Ok(Arc::new(rows.map_err(wrong)?))
        }
        (TypeKind::Map(old), TypeKind::Map(new), shape @ ArrowType::Map(..)) => {
            let map = lane.as_map();
            let values = cast_lane(&old.value.kind, &new.value.kind, map.values())?;
            rebuilt(map, shape, cast_lane(&old.key.kind, &new.key.kind, map.keys())?, values).map_err(wrong)
        }
        (TypeKind::Multiset(old), TypeKind::Multiset(new), shape @ ArrowType::Map(..)) => {
            let map = lane.as_map();
            let keys = cast_lane(&old.kind, &new.kind, map.keys())?;
            rebuilt(map, shape, keys, Arc::clone(map.values())).map_err(wrong)
        }
        _ => Err(Error::unsupported(format!("reading {from} as {to}"))),
    }
}

/// A map of other keys and values in the same places.
fn rebuilt(map: &MapArray, shape: ArrowType, keys: ArrayRef, values: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let ArrowType::Map(field, sorted) = shape else { return Ok(Arc::new(map.clone())) };
    let ArrowType::Struct(fields) = field.data_type() else { return Ok(Arc::new(map.clone())) };
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(field, map.offsets().clone(), entries, map.nulls().cloned(), sorted)?))
}

/// Nested values as texts: `[1, null]`, `{a -> 1, b -> null}`, `{1, x}`. They are not cut to the length of the type, as in
/// Java.
pub(super) fn print(from: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    let texts = |part: &DataType, lane: &ArrayRef| cast_lane(&part.kind, &TypeKind::STRING, lane);
    let mut printed = StringBuilder::new();
    match from {
        TypeKind::Array(element) => {
            let list = lane.as_list::<i32>();
            let elements = texts(element, list.values())?;
            let elements = elements.as_string::<i32>();
            each(list, list.offsets(), ['[', ']'], &mut printed, |text, at| text.push_str(shown(elements, at)));
        }
        TypeKind::Map(types) => {
            let map = lane.as_map();
            let (keys, values) = (texts(&types.key, map.keys())?, texts(&types.value, map.values())?);
            let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
            each(map, map.offsets(), ['{', '}'], &mut printed, |text, at| {
                text.extend([shown(keys, at), " -> ", shown(values, at)]);
            });
        }
        TypeKind::Row(fields) => {
            let rows = lane.as_struct();
            let lanes = fields.iter().zip(rows.columns()).map(|(field, lane)| texts(&field.data_type, lane));
            let lanes = lanes.collect::<Result<Vec<_>>>()?;
            for row in 0..rows.len() {
                let fields: Vec<&str> = lanes.iter().map(|lane| shown(lane.as_string::<i32>(), row)).collect();
                printed.append_option(rows.is_valid(row).then(|| format!("{{{}}}", fields.join(", "))));
            }
        }
        _ => return Err(Error::unsupported(format!("reading {from} as a text"))),
    }
    Ok(Arc::new(printed.finish()))
}

fn shown(texts: &StringArray, at: usize) -> &str {
    if texts.is_valid(at) { texts.value(at) } else { "null" }
}

/// Prints the parts of each value between brackets, with commas.
fn each(
    values: &dyn Array,
    offsets: &[i32],
    [open, close]: [char; 2],
    printed: &mut StringBuilder,
    print: impl Fn(&mut String, usize),
) {
    let mut text = String::new();
    for (row, ends) in offsets.windows(2).enumerate() {
        if values.is_null(row) {
            printed.append_null();
            continue;
        }
        text.clear();
        text.push(open);
        for at in ends[0]..ends[1] {
            if at > ends[0] {
                text.push_str(", ");
            }
            print(&mut text, usize::try_from(at).unwrap_or(0));
        }
        text.push(close);
        printed.append_value(&text);
    }
}
