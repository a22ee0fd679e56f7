//! Lanes of nested values: arrays, maps, and records in columns. Their parts are lanes again, found by the names that the
//! file's own schema has; what it lacks is NULL.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, ListArray, MapArray, StructArray, new_null_array};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::{ArrowError, DataType as ArrowType};

use super::corrupt;
use super::lanes::Lane;
use super::records::Step;
use super::schema::is_text;
use crate::error::{Error, Result};
use crate::format::avro::{Cursor, Node, NodeId, Schema};
use crate::types::{DataType, MAX_FIELDS, TypeKind, lane_type};

/// The most values in the arrays and maps of a batch. A batch ends long before it has so many, unless one row does.
const MAX_VALUES: usize = 1 << 28;

/// How many values the arrays and maps of a batch may still have: an item of one byte may stand for many of them.
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MAX_VALUES)
    }
}

impl Room {
    fn take(&mut self, values: usize) -> Result<()> {
        let left = self.0.checked_sub(values);
        self.0 = left.ok_or_else(|| Error::exhausted(format!("arrays and maps of more than {MAX_VALUES} values")))?;
        Ok(())
    }
}

/// The values of a nested kind.
pub(super) struct NestedLane {
    nulls: NullBufferBuilder,
    shape: Shape,
    /// Values that one item of an array or map, or one row, has at least.
    width: usize,
}

enum Shape {
    /// The elements, and where those of each row end.
    Array(Part, Vec<i32>),
    /// Key and value of the entries, and where those of each row end.
    Map(Parts, Vec<i32>),
    Row(Parts),
}

impl NestedLane {
    /// A lane of a nested kind from the values of a node; `None` when the file stores something else.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when that is so of a part, which it names.
    pub(super) fn of(name: &str, kind: &TypeKind, schema: &Schema, node: NodeId) -> Result<Option<Self>> {
        let ends = || vec![0];
        let shape = match (kind, schema.node(node)) {
            (TypeKind::Array(element), Node::Array(items)) => {
                Some(Shape::Array(Part::of(&format!("{name}.element"), &element.kind, schema, *items)?, ends()))
            }
            (TypeKind::Map(map), stored) => {
                Parts::of_map(name, (&map.key, &map.value), schema, stored)?.map(|parts| Shape::Map(parts, ends()))
            }
            (TypeKind::Multiset(element), stored) => {
                Parts::of_map(name, (element, &DataType::INT), schema, stored)?.map(|parts| Shape::Map(parts, ends()))
            }
            (TypeKind::Row(fields), Node::Record(stored)) => {
                let wanted = fields.iter().map(|field| (field.name.as_str(), &field.data_type.kind));
                Some(Shape::Row(Parts::of_record(name, &wanted.collect::<Vec<_>>(), schema, stored)?))
            }
            _ => None,
        };
        let width = values_in(kind);
        Ok(shape.map(|shape| Self { nulls: NullBufferBuilder::new(0), shape, width }))
    }

    pub(super) fn append_null(&mut self) {
        self.nulls.append_null();
        match &mut self.shape {
            Shape::Array(_, ends) | Shape::Map(_, ends) => ends.push(ends[ends.len() - 1]),
            Shape::Row(parts) => parts.append_null(),
        }
    }

    /// Reads the next value.
    pub(super) fn read(&mut self, cursor: &mut Cursor<'_>, room: &mut Room) -> Result<()> {
        let width = self.width;
        match &mut self.shape {
            Shape::Array(element, ends) => {
                let items = read_items(cursor, room, width, |cursor, room| element.lane.read(cursor, room))?;
                push_end(ends, items)?;
            }
            Shape::Map(entry, ends) => {
                let items = read_items(cursor, room, width, |cursor, room| entry.read(cursor, room))?;
                push_end(ends, items)?;
            }
            Shape::Row(parts) => parts.read(cursor, room)?,
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// Bytes held, roughly.
    pub(super) fn bytes(&self) -> usize {
        let (parts, values) = match &self.shape {
            Shape::Array(element, ends) => (element.lane.text_bytes(), ends[ends.len() - 1] as usize),
            Shape::Map(parts, ends) => (parts.bytes(), ends[ends.len() - 1] as usize),
            Shape::Row(parts) => (parts.bytes(), self.nulls.len()),
        };
        parts + values * self.width * 8
    }

    /// The values read since the last call, as a lane of the kind.
    pub(super) fn finish(&mut self, kind: &TypeKind) -> Result<ArrayRef> {
        let rows = self.nulls.len();
        let nulls = self.nulls.finish();
        let wrong = |error: ArrowError| corrupt(format!("{kind}: {error}"));
        match (&mut self.shape, lane_type(kind)) {
            (Shape::Array(element, ends), ArrowType::List(field)) => {
                let (offsets, _) = take_ends(ends);
                Ok(Arc::new(ListArray::try_new(field, offsets, element.finish()?, nulls).map_err(wrong)?))
            }
            (Shape::Map(entry, ends), ArrowType::Map(field, sorted)) => {
                let (offsets, count) = take_ends(ends);
                let columns = entry.finish(count)?;
                if columns.first().is_some_and(|keys| keys.null_count() > 0) {
                    return Err(Error::unsupported(format!("{kind}: a key that is NULL")));
                }
                let ArrowType::Struct(fields) = field.data_type() else {
                    return Err(Error::bug(format!("{kind} has no entries")));
                };
                let entries = StructArray::try_new(fields.clone(), columns, None).map_err(wrong)?;
                Ok(Arc::new(MapArray::try_new(field, offsets, entries, nulls, sorted).map_err(wrong)?))
            }
            (Shape::Row(parts), ArrowType::Struct(fields)) => {
                let rows = StructArray::try_new_with_length(fields, parts.finish(rows)?, nulls, rows);
                Ok(Arc::new(rows.map_err(wrong)?))
            }
            (_, other) => Err(Error::bug(format!("{kind} has the lane {other}"))),
        }
    }
}

/// Values that an item of an array or map, or a row, has at least: one for each column that its lanes have.
fn values_in(kind: &TypeKind) -> usize {
    let below = |part: &DataType| 1 + values_of_rows(&part.kind);
    kind.parts().into_iter().map(below).sum::<usize>().max(1)
}

/// The values of the rows in a kind that are there even where the row is NULL.
fn values_of_rows(kind: &TypeKind) -> usize {
    match kind {
        TypeKind::Row(fields) => fields.iter().map(|field| 1 + values_of_rows(&field.data_type.kind)).sum(),
        _ => 0,
    }
}

/// Reads the items of an array or a map, and tells how many there are.
fn read_items(
    cursor: &mut Cursor<'_>,
    room: &mut Room,
    width: usize,
    mut item: impl FnMut(&mut Cursor<'_>, &mut Room) -> Result<()>,
) -> Result<usize> {
    let mut items = 0;
    while let Some(count) = cursor.items()? {
        room.take(count.saturating_mul(width))?;
        cursor.each(count, |cursor| item(cursor, room))?;
        items += count;
    }
    Ok(items)
}

fn push_end(ends: &mut Vec<i32>, items: usize) -> Result<()> {
    let end = i32::try_from(items).ok().and_then(|items| ends[ends.len() - 1].checked_add(items));
    ends.push(end.ok_or_else(|| corrupt("more than 2^31 items in arrays or maps"))?);
    Ok(())
}

/// The offsets of the rows since the last call, and how many items they have.
fn take_ends(ends: &mut Vec<i32>) -> (OffsetBuffer<i32>, usize) {
    let taken = std::mem::replace(ends, vec![0]);
    let count = taken[taken.len() - 1] as usize;
    (OffsetBuffer::new(taken.into()), count)
}

/// One part of a nested value.
struct Part {
    kind: TypeKind,
    lane: Lane,
}

impl Part {
    fn of(name: &str, kind: &TypeKind, schema: &Schema, node: NodeId) -> Result<Self> {
        Ok(Self { kind: kind.clone(), lane: Lane::of(name, kind, schema, node)? })
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        self.lane.finish(&self.kind)
    }
}

/// The fields of records, each read into its lane or passed over.
struct Parts {
    steps: Vec<Step>,
    parts: Vec<Part>,
    /// For each field wanted its part, where the file has it.
    wanted: Vec<(TypeKind, Option<usize>)>,
}

impl Parts {
    fn of_record(
        name: &str,
        wanted: &[(&str, &TypeKind)],
        schema: &Schema,
        stored: &[(String, NodeId)],
    ) -> Result<Self> {
        if stored.len() > MAX_FIELDS {
            return Err(corrupt(format!("column {name} is stored as {} fields", stored.len())));
        }
        let kinds = wanted.iter().map(|(_, kind)| ((*kind).clone(), None));
        let mut found = Self { steps: Vec::with_capacity(stored.len()), parts: Vec::new(), wanted: kinds.collect() };
        for (field, node) in stored {
            let Some(at) = wanted.iter().position(|(name, _)| name == field) else {
                found.steps.push(Step::Skip(*node));
                continue;
            };
            if found.wanted[at].1.is_some() {
                return Err(corrupt(format!("column {name} is stored with two fields {field:?}")));
            }
            found.wanted[at].1 = Some(found.parts.len());
            found.steps.push(Step::Read(found.parts.len()));
            found.parts.push(Part::of(&format!("{name}.{field}"), wanted[at].1, schema, *node)?);
        }
        Ok(found)
    }

    /// The entries of a map: Avro's own, whose keys are texts, or records.
    fn of_map(
        name: &str,
        (key, value): (&DataType, &DataType),
        schema: &Schema,
        stored: &Node,
    ) -> Result<Option<Self>> {
        match stored {
            Node::Map(values) if is_text(&key.kind) => {
                let keys = Part { kind: key.kind.clone(), lane: Lane::of_map_keys() };
                let values = Part::of(&format!("{name}.value"), &value.kind, schema, *values)?;
                let wanted = vec![(key.kind.clone(), Some(0)), (value.kind.clone(), Some(1))];
                Ok(Some(Self { steps: vec![Step::Read(0), Step::Read(1)], parts: vec![keys, values], wanted }))
            }
            Node::Array(items) => {
                let Node::Record(fields) = schema.node(*items) else { return Ok(None) };
                let entry = Self::of_record(name, &[("key", &key.kind), ("value", &value.kind)], schema, fields)?;
                Ok(Some(entry).filter(|entry| entry.wanted.iter().all(|(_, part)| part.is_some())))
            }
            _ => Ok(None),
        }
    }

    fn append_null(&mut self) {
        self.parts.iter_mut().for_each(|part| part.lane.append_null());
    }

    fn read(&mut self, cursor: &mut Cursor<'_>, room: &mut Room) -> Result<()> {
        for step in &self.steps {
            match step {
                Step::Read(part) => self.parts[*part].lane.read(cursor, room)?,
                Step::Skip(node) => cursor.skip(*node)?,
            }
        }
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.lane.text_bytes()).sum()
    }

    /// The lanes of the fields wanted.
    fn finish(&mut self, rows: usize) -> Result<Vec<ArrayRef>> {
        let lanes = self.parts.iter_mut().map(Part::finish).collect::<Result<Vec<_>>>()?;
        let lane = |(kind, part): &(TypeKind, Option<usize>)| match part {
            Some(part) => Arc::clone(&lanes[*part]),
            None => new_null_array(&lane_type(kind), rows),
        };
        Ok(self.wanted.iter().map(lane).collect())
    }
}
