//! Columns of nested types in Arrow: their shapes, and the way through the door for each of their parts.
//!
//! ARRAY is `List(element)`, MAP and MULTISET are `Map(key_value: key, value)`, ROW is `Struct`. Names and nullability of
//! inner fields are the type's own, so two lanes of one type always have one Arrow type.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, UInt32Array, make_array, new_null_array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType as ArrowType, Field as ArrowField, FieldRef, Fields};

use super::arrow::{lane_type, to_external, to_lane};
use super::comparable::comparable_rows;
use super::{DataType, Datum, TypeKind, external_type};
use crate::error::{Error, Result};

/// The Arrow type of a nested kind, whose parts look as `of` says.
pub(super) fn nested_type(kind: &TypeKind, of: fn(&TypeKind) -> ArrowType) -> ArrowType {
    let field = |name: &str, part: &DataType| ArrowField::new(name, of(&part.kind), part.nullable);
    match kind {
        TypeKind::Array(element) => ArrowType::List(Arc::new(field("element", element))),
        TypeKind::Map(map) => map_type(of(&map.key.kind), field("value", &map.value)),
        TypeKind::Multiset(element) => map_type(of(&element.kind), ArrowField::new("value", ArrowType::Int32, false)),
        kind => match kind.stored_fields() {
            Some(fields) => ArrowType::Struct(fields.iter().map(|it| field(&it.name, &it.data_type)).collect()),
            None => of(kind),
        },
    }
}

/// Keys are never NULL in Arrow, nor are they in Parquet.
fn map_type(key: ArrowType, value: ArrowField) -> ArrowType {
    let entries = Fields::from(vec![ArrowField::new("key", key, false), value]);
    ArrowType::Map(Arc::new(ArrowField::new("key_value", ArrowType::Struct(entries), false)), false)
}

/// The types of a map's or multiset's two columns.
fn entry_types(kind: &TypeKind) -> Option<(DataType, DataType)> {
    match kind {
        TypeKind::Map(map) => Some((map.key.clone().not_null(), map.value.clone())),
        TypeKind::Multiset(element) => Some((element.as_ref().clone().not_null(), DataType::INT.not_null())),
        _ => None,
    }
}

/// An array as a lane of a nested kind; `None` when it is of another shape.
pub(super) fn nested_to_lane(name: &str, kind: &TypeKind, array: &ArrayRef) -> Result<Option<ArrayRef>> {
    let part = |name: &str, part: &DataType, array: &ArrayRef| to_lane(name, &part.kind, array);
    match (kind, array.data_type()) {
        (TypeKind::Array(_), ArrowType::LargeList(it) | ArrowType::FixedSizeList(it, _) | ArrowType::ListView(it)) => {
            let list = plain(name, array, &ArrowType::List(Arc::clone(it)))?;
            rebuild(name, kind, &list, lane_type, &part).map(Some)
        }
        (TypeKind::Array(_), ArrowType::List(_))
        | (TypeKind::Map(_) | TypeKind::Multiset(_), ArrowType::Map(..))
        | (TypeKind::Row(_) | TypeKind::Variant, ArrowType::Struct(_)) => {
            rebuild(name, kind, array, lane_type, &part).map(Some)
        }
        (_, ArrowType::Dictionary(_, values)) => {
            let array = plain(name, array, values)?;
            nested_to_lane(name, kind, &array)
        }
        _ => Ok(None),
    }
}

/// A lane of a nested kind as callers see it.
pub(super) fn nested_to_external(name: &str, kind: &TypeKind, lane: &ArrayRef) -> Result<ArrayRef> {
    if *lane.data_type() == external_type(kind) {
        return Ok(Arc::clone(lane));
    }
    rebuild(name, kind, lane, external_type, &|name, part, array| to_external(name, &part.kind, array))
}

/// The array cast to a type of the same values.
fn plain(name: &str, array: &ArrayRef, wanted: &ArrowType) -> Result<ArrayRef> {
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, wanted, &options).map_err(|error| Error::invalid(format!("column {name}: {error}")))
}

type Part<'a> = &'a dyn Fn(&str, &DataType, &ArrayRef) -> Result<ArrayRef>;

/// The array with each of its parts converted, and fields named as the kind names them.
fn rebuild(
    name: &str,
    kind: &TypeKind,
    array: &ArrayRef,
    of: fn(&TypeKind) -> ArrowType,
    part: Part,
) -> Result<ArrayRef> {
    let wrong = |error: arrow_schema::ArrowError| Error::invalid(format!("column {name}: {error}"));
    match (kind, nested_type(kind, of)) {
        (TypeKind::Array(element), ArrowType::List(field)) => {
            let list = array.as_list::<i32>();
            let (offsets, values) = trimmed(list.offsets(), list.values());
            let (offsets, values) = match element.nullable || values.null_count() == 0 {
                true => (offsets, values),
                false => without_hidden(&offsets, &values, list.nulls()),
            };
            let values = child(&format!("{name}.element"), element, &values, None, part)?;
            Ok(Arc::new(ListArray::try_new(field, offsets, values, list.nulls().cloned()).map_err(wrong)?))
        }
        (kind, ArrowType::Struct(arrow)) => {
            let fields = kind.stored_fields().unwrap_or_default();
            let rows = array.as_struct();
            let columns = row_columns(name, &fields, rows)?;
            let nulls = rows.nulls();
            let lanes = fields.iter().zip(&columns).map(|(field, column)| {
                let column = hidden_with(column, nulls).map_err(wrong)?;
                child(&format!("{name}.{}", field.name), &field.data_type, &column, nulls, part)
            });
            let lanes = lanes.collect::<Result<Vec<_>>>()?;
            let rows = StructArray::try_new_with_length(arrow, lanes, nulls.cloned(), rows.len());
            Ok(Arc::new(rows.map_err(wrong)?))
        }
        (kind, ArrowType::Map(field, sorted)) => rebuild_map(name, kind, array.as_map(), (field, sorted), part),
        _ => Err(Error::bug(format!("column {name}: {kind} is not nested"))),
    }
}

fn rebuild_map(name: &str, kind: &TypeKind, map: &MapArray, wanted: (FieldRef, bool), part: Part) -> Result<ArrayRef> {
    let wrong = |error: arrow_schema::ArrowError| Error::invalid(format!("column {name}: {error}"));
    let (Some((key, value)), ArrowType::Struct(fields)) = (entry_types(kind), wanted.0.data_type()) else {
        return Err(Error::bug(format!("column {name}: {kind} is no map")));
    };
    let entries: ArrayRef = Arc::new(map.entries().clone());
    let (offsets, entries) = trimmed(map.offsets(), &entries);
    let hidden = entries.as_struct().columns().iter().any(|column| column.null_count() > 0);
    let (offsets, entries) = if hidden { without_hidden(&offsets, &entries, map.nulls()) } else { (offsets, entries) };
    let columns = entries.as_struct().columns();
    let keys = child(&format!("{name}.key"), &key, &columns[0], None, part)?;
    let values = child(&format!("{name}.value"), &value, &columns[1], None, part)?;
    let entries = StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(wrong)?;
    let map = MapArray::try_new(Arc::clone(&wanted.0), offsets, entries, map.nulls().cloned(), wanted.1);
    Ok(Arc::new(map.map_err(wrong)?))
}

/// Refuses lanes of a kind with maps or multisets that hold a key twice: in Paimon both are maps.
///
/// # Errors
/// [`Error::Invalid`] that names the column.
pub fn check_keys(name: &str, kind: &TypeKind, lane: &ArrayRef) -> Result<()> {
    if !has_entries(kind) {
        return Ok(());
    }
    if let TypeKind::Array(element) = kind {
        let list = lane.as_list::<i32>();
        let (offsets, values) = trimmed(list.offsets(), list.values());
        let (_, values) = without_hidden(&offsets, &values, list.nulls());
        return check_keys(&format!("{name}.element"), &element.kind, &values);
    }
    let Some((key, value)) = entry_types(kind) else {
        let (fields, rows) = (kind.stored_fields().unwrap_or_default(), lane.as_struct());
        return fields.iter().zip(rows.columns()).try_for_each(|(field, part)| {
            let part = hidden_with(part, rows.nulls()).map_err(|error| Error::bug(error.to_string()))?;
            check_keys(&format!("{name}.{}", field.name), &field.data_type.kind, &part)
        });
    };
    let map = lane.as_map();
    let entries: ArrayRef = Arc::new(map.entries().clone());
    let (offsets, entries) = trimmed(map.offsets(), &entries);
    let (offsets, entries) = without_hidden(&offsets, &entries, map.nulls());
    let columns = entries.as_struct().columns();
    let keys = comparable_rows(&columns[..1]).map_err(|error| Error::bug(format!("column {name}: {error}")))?;
    for ends in offsets.windows(2) {
        let mut seen = HashSet::new();
        if !(ends[0] as usize..ends[1] as usize).all(|at| seen.insert(keys.row(at))) {
            return Err(Error::invalid(format!("column {name}: {kind} holds a key twice")));
        }
    }
    check_keys(&format!("{name}.key"), &key.kind, &columns[0])?;
    check_keys(&format!("{name}.value"), &value.kind, &columns[1])
}

fn has_entries(kind: &TypeKind) -> bool {
    match kind {
        TypeKind::Map(_) | TypeKind::Multiset(_) => true,
        TypeKind::Array(element) => has_entries(&element.kind),
        TypeKind::Row(fields) => fields.iter().any(|field| has_entries(&field.data_type.kind)),
        _ => false,
    }
}

/// A nested column that is NULL where the row around it is: a row that may not be NULL has no NULLs of its own in Arrow, and what
/// lies inside of it must know what is hidden.
fn hidden_with(
    column: &ArrayRef,
    around: Option<&NullBuffer>,
) -> std::result::Result<ArrayRef, arrow_schema::ArrowError> {
    let Some(around) = around.filter(|nulls| nulls.null_count() > 0 && column.data_type().is_nested()) else {
        return Ok(Arc::clone(column));
    };
    let nulls = NullBuffer::union(Some(around), column.nulls());
    Ok(make_array(column.to_data().into_builder().nulls(nulls).build()?))
}

/// One part converted; a NULL where its type allows none is refused, unless the row around it is NULL itself.
fn child(
    name: &str,
    data_type: &DataType,
    array: &ArrayRef,
    around: Option<&NullBuffer>,
    part: Part,
) -> Result<ArrayRef> {
    let converted = part(name, data_type, array)?;
    let nulls = converted.logical_nulls().filter(|nulls| nulls.null_count() > 0);
    let covered = nulls.is_none_or(|nulls| around.is_some_and(|around| around.contains(&nulls)));
    if data_type.nullable || covered {
        return Ok(converted);
    }
    Err(Error::invalid(format!("column {name} is NOT NULL and a row has no value for it")))
}

/// The columns of a struct for the fields of a row, by name. A missing field that may be NULL is NULL.
fn row_columns(name: &str, fields: &[super::Field], rows: &StructArray) -> Result<Vec<ArrayRef>> {
    for (at, given) in rows.fields().iter().enumerate() {
        if !fields.iter().any(|field| field.name == *given.name()) {
            return Err(Error::invalid(format!("column {name} has no field {:?}", given.name())));
        }
        if rows.fields()[..at].iter().any(|earlier| earlier.name() == given.name()) {
            return Err(Error::invalid(format!("column {name}: field {:?} is given twice", given.name())));
        }
    }
    let missing = |field: &super::Field| new_null_array(&lane_type(&field.data_type.kind), rows.len());
    let columns =
        fields.iter().map(|field| rows.column_by_name(&field.name).cloned().unwrap_or_else(|| missing(field)));
    Ok(columns.collect())
}

/// Offsets that begin at zero, and only the values they reach.
fn trimmed(offsets: &OffsetBuffer<i32>, values: &ArrayRef) -> (OffsetBuffer<i32>, ArrayRef) {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    if first == 0 && last as usize == values.len() {
        return (offsets.clone(), Arc::clone(values));
    }
    let moved: Vec<i32> = offsets.iter().map(|offset| offset - first).collect();
    (OffsetBuffer::new(moved.into()), values.slice(first as usize, (last - first) as usize))
}

/// The values of the rows that are not NULL: Arrow lets a NULL row hide values.
fn without_hidden(
    offsets: &OffsetBuffer<i32>,
    values: &ArrayRef,
    nulls: Option<&NullBuffer>,
) -> (OffsetBuffer<i32>, ArrayRef) {
    let Some(nulls) = nulls.filter(|nulls| nulls.null_count() > 0) else {
        return (offsets.clone(), Arc::clone(values));
    };
    let mut kept = Vec::with_capacity(values.len());
    let mut moved = Vec::with_capacity(offsets.len());
    moved.push(0);
    for row in 0..nulls.len() {
        if nulls.is_valid(row) {
            kept.extend(offsets[row] as u32..offsets[row + 1] as u32);
        }
        moved.push(kept.len() as i32);
    }
    match arrow_select::take::take(values, &UInt32Array::from(kept), None) {
        Ok(values) => (OffsetBuffer::new(moved.into()), values),
        Err(_) => (offsets.clone(), Arc::clone(values)),
    }
}

/// A lane that repeats a value of a nested kind.
pub(super) fn repeat(value: &Datum, kind: &TypeKind, rows: usize) -> Result<ArrayRef> {
    let bug = |error: arrow_schema::ArrowError| Error::bug(format!("{kind}: {error}"));
    let one = |values: Vec<&Datum>, part: &DataType| -> Result<ArrayRef> {
        let lanes = values.into_iter().map(|value| value.repeat(&part.kind, 1)).collect::<Result<Vec<_>>>()?;
        match lanes.is_empty() {
            true => Ok(arrow_array::new_empty_array(&lane_type(&part.kind))),
            false => arrow_select::concat::concat(&lanes.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map_err(bug),
        }
    };
    let single: ArrayRef = match (value, kind, lane_type(kind)) {
        (Datum::Array(values), TypeKind::Array(element), ArrowType::List(field)) => {
            let offsets = OffsetBuffer::from_lengths([values.len()]);
            Arc::new(ListArray::try_new(field, offsets, one(values.iter().collect(), element)?, None).map_err(bug)?)
        }
        (Datum::Row(values), kind, ArrowType::Struct(arrow)) if values.len() == arrow.len() => {
            let fields = kind.stored_fields().unwrap_or_default();
            let lanes = values.iter().zip(fields.iter()).map(|(value, field)| one(vec![value], &field.data_type));
            Arc::new(StructArray::try_new(arrow, lanes.collect::<Result<_>>()?, None).map_err(bug)?)
        }
        (Datum::Map(pairs), _, ArrowType::Map(field, sorted)) => {
            let (Some((key, value)), ArrowType::Struct(fields)) = (entry_types(kind), field.data_type()) else {
                return Err(Error::bug(format!("{kind} is no map")));
            };
            let keys = one(pairs.iter().map(|(key, _)| key).collect(), &key)?;
            let values = one(pairs.iter().map(|(_, value)| value).collect(), &value)?;
            let entries = StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(bug)?;
            let offsets = OffsetBuffer::from_lengths([pairs.len()]);
            Arc::new(MapArray::try_new(Arc::clone(&field), offsets, entries, None, sorted).map_err(bug)?)
        }
        _ => return Err(Error::bug(format!("{value:?} is no {kind}"))),
    };
    arrow_select::take::take(&single, &UInt32Array::from(vec![0; rows]), None).map_err(bug)
}

#[cfg(test)]
mod tests {
    use arrow_array::{Int32Array, RecordBatch};

    use super::*;
    use crate::types::accept_batch;

    /// Paimon's writers leave no values under a NULL row, and Arrow has no NULL for a row inside of it that may not be NULL.
    #[test]
    fn what_lies_in_a_null_row_is_hidden_at_every_depth() {
        let inner = DataType::row([("value", DataType::INT.not_null())]).not_null();
        let outer = DataType::row([("inner", inner)]);
        let value: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
        // As a Parquet reader gives it: only the outer row knows that it is NULL.
        let fields = Fields::from(vec![ArrowField::new("value", ArrowType::Int32, true)]);
        let rows: ArrayRef = Arc::new(StructArray::new(fields.clone(), vec![value], None));
        let around = Fields::from(vec![ArrowField::new("inner", ArrowType::Struct(fields), false)]);
        let given = |nulls: Vec<bool>| {
            let column: ArrayRef =
                Arc::new(StructArray::new(around.clone(), vec![Arc::clone(&rows)], Some(NullBuffer::from(nulls))));
            RecordBatch::try_from_iter([("r", column)]).unwrap()
        };
        let lanes = accept_batch(&[("r", &outer)], &given(vec![true, false, true])).unwrap();
        assert_eq!((lanes.num_rows(), lanes.column(0).null_count()), (3, 1));
        let again = arrow_select::concat::concat(&[lanes.column(0).as_ref(), lanes.column(0).as_ref()]).unwrap();
        assert_eq!(again.len(), 6);
        let refused = accept_batch(&[("r", &outer)], &given(vec![false, true, true])).unwrap_err();
        assert!(refused.to_string().contains("column r.inner.value is NOT NULL"), "{refused}");
    }
}
