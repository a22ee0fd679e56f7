//! INT96 timestamps inside nested columns, which the Arrow writer cannot encode and the Arrow reader cannot hold: their
//! levels on the way out, and their values put in place on the way in.
//! Spec: `format-spec/data-files.md`.

use std::sync::Arc;

use arrow_array::builder::Decimal128Builder;
use arrow_array::cast::AsArray;
use arrow_array::types::Decimal128Type;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{Field, Fields};

use crate::error::{Error, Result};
use crate::types::{DataType, TypeKind};

/// The leaves of a type in Parquet's order: `true` for those that are stored as INT96.
pub(super) fn leaves(data_type: &DataType) -> Vec<bool> {
    match &data_type.kind {
        TypeKind::Timestamp(7..) | TypeKind::TimestampLtz(7..) => vec![true],
        TypeKind::Multiset(element) => [leaves(element), vec![false]].concat(),
        kind if kind.is_nested() => kind.parts().into_iter().flat_map(leaves).collect(),
        _ => vec![false],
    }
}

/// One leaf of a column: the values that are there, and the levels of all its places.
#[derive(Debug, Default)]
pub(super) struct Levels {
    /// Nanoseconds since the epoch.
    pub values: Vec<i128>,
    /// How much of the path to the leaf is there.
    pub definition: Vec<i16>,
    /// Which list goes on.
    pub repetition: Vec<i16>,
}

/// Takes a leaf apart from a lane of a column; `leaf` counts the leaves of the column.
pub(super) fn shred(data_type: &DataType, lane: &ArrayRef, leaf: usize) -> Result<Levels> {
    let mut levels = Levels::default();
    let at = Place { definition: 0, repetition: 0, lists: 0 };
    (0..lane.len()).try_for_each(|row| walk(data_type, lane, row, leaf, at, &mut levels))?;
    Ok(levels)
}

/// How far a walk came: the levels to write where it ends, and how many lists lie around.
#[derive(Clone, Copy)]
struct Place {
    definition: i16,
    repetition: i16,
    lists: i16,
}

fn walk(
    data_type: &DataType,
    array: &ArrayRef,
    row: usize,
    leaf: usize,
    mut at: Place,
    out: &mut Levels,
) -> Result<()> {
    let ends = |out: &mut Levels, at: Place| {
        out.definition.push(at.definition);
        out.repetition.push(at.repetition);
    };
    if array.is_null(row) {
        ends(out, at);
        return Ok(());
    }
    at.definition += i16::from(data_type.nullable);
    let (part, values, range) = match &data_type.kind {
        TypeKind::Array(element) => {
            let list = array.as_list::<i32>();
            ((element.as_ref().clone(), leaf), list.values(), range(list.value_offsets(), row))
        }
        TypeKind::Map(_) | TypeKind::Multiset(_) => {
            let map = array.as_map();
            let (key, value) = match &data_type.kind {
                TypeKind::Map(types) => (types.key.clone().not_null(), types.value.clone()),
                TypeKind::Multiset(element) => (element.as_ref().clone().not_null(), DataType::INT.not_null()),
                other => return Err(Error::bug(format!("{other} is no map"))),
            };
            let keys = leaves(&key).len();
            match leaf < keys {
                true => ((key, leaf), map.keys(), range(map.value_offsets(), row)),
                false => ((value, leaf - keys), map.values(), range(map.value_offsets(), row)),
            }
        }
        TypeKind::Row(_) | TypeKind::Variant => {
            let fields = data_type.kind.stored_fields().unwrap_or_default();
            let mut leaf = leaf;
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                let count = leaves(&field.data_type).len();
                if leaf < count {
                    return walk(&field.data_type, column, row, leaf, at, out);
                }
                leaf -= count;
            }
            return Err(Error::bug(format!("{data_type} has too few leaves")));
        }
        _ => {
            out.values.push(array.as_primitive::<Decimal128Type>().value(row));
            ends(out, at);
            return Ok(());
        }
    };
    if range.is_empty() {
        ends(out, at);
        return Ok(());
    }
    let lists = at.lists + 1;
    let inside = Place { definition: at.definition + 1, repetition: at.repetition, lists };
    for (count, place) in range.enumerate() {
        let repetition = if count == 0 { at.repetition } else { lists };
        walk(&part.0, values, place, part.1, Place { repetition, ..inside }, out)?;
    }
    Ok(())
}

fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

/// Puts the values of INT96 leaves where the Arrow reader has timestamps that may have wrapped. `leaves` has one entry for
/// each leaf of the array: its values in order, or `None` to leave it alone.
///
/// # Errors
/// The text of what does not fit.
pub(super) fn splice(
    array: &ArrayRef,
    leaves: &mut impl Iterator<Item = Option<Vec<i128>>>,
) -> std::result::Result<ArrayRef, String> {
    splice_under(array, None, leaves)
}

/// `around` tells where the rows of the structs around are there: a NOT NULL column has a place, but no value, where they
/// are not.
fn splice_under(
    array: &ArrayRef,
    around: Option<&NullBuffer>,
    leaves: &mut impl Iterator<Item = Option<Vec<i128>>>,
) -> std::result::Result<ArrayRef, String> {
    let text = |error: arrow_schema::ArrowError| error.to_string();
    let like =
        |field: &Field, array: &ArrayRef| Field::new(field.name(), array.data_type().clone(), field.is_nullable());
    match array.data_type() {
        arrow_schema::DataType::List(field) => {
            let list = array.as_list::<i32>();
            let values = splice(list.values(), leaves)?;
            let field = Arc::new(like(field, &values));
            let list = ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned());
            Ok(Arc::new(list.map_err(text)?))
        }
        arrow_schema::DataType::Map(field, sorted) => {
            let map = array.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = splice(&entries, leaves)?;
            let field = Arc::new(like(field, &entries));
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            let map = MapArray::try_new(field, offsets, entries.as_struct().clone(), nulls, *sorted);
            Ok(Arc::new(map.map_err(text)?))
        }
        arrow_schema::DataType::Struct(fields) => {
            let rows = array.as_struct();
            let around = NullBuffer::union(around, rows.nulls());
            let columns = rows.columns().iter().map(|column| splice_under(column, around.as_ref(), leaves));
            let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
            let fields: Fields = fields.iter().zip(&columns).map(|(field, column)| like(field, column)).collect();
            let rows = StructArray::try_new_with_length(fields, columns, rows.nulls().cloned(), rows.len());
            Ok(Arc::new(rows.map_err(text)?))
        }
        _ => match leaves.next().flatten() {
            Some(values) => fill(array, around, values),
            None => Ok(Arc::clone(array)),
        },
    }
}

/// The values at the places of a leaf that are there.
fn fill(leaf: &ArrayRef, around: Option<&NullBuffer>, values: Vec<i128>) -> std::result::Result<ArrayRef, String> {
    let there = NullBuffer::union(around, leaf.nulls());
    let places = leaf.len() - there.as_ref().map_or(0, NullBuffer::null_count);
    if places != values.len() {
        return Err(format!("an INT96 column has {} values for {places} places", values.len()));
    }
    let mut values = values.into_iter();
    let mut lane = Decimal128Builder::with_capacity(leaf.len());
    for row in 0..leaf.len() {
        match there.as_ref().is_none_or(|there| there.is_valid(row)) {
            true => lane.append_option(values.next()),
            false if leaf.is_null(row) => lane.append_null(),
            // Nobody sees it, and a NOT NULL column has no NULL.
            false => lane.append_value(0),
        }
    }
    let lane = lane.finish().with_precision_and_scale(38, 9).map_err(|error| error.to_string())?;
    Ok(Arc::new(lane))
}
