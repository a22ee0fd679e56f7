//! Building columns of nested types from JSON: an ARRAY is an array, a ROW an object, MAP and MULTISET are arrays of
//! `[key, value]`; a MAP whose keys are texts may be an object too.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::{NullBufferBuilder, OffsetBuffer};
use arrow_schema::DataType as ArrowType;
use forebay::types::{DataType, TypeKind, lane_type};

use super::InputError;
use super::json_cursor::Cursor;
use super::lane_in::LaneBuilder;
use super::text::Reason;
use super::variant::VariantParts;

/// Builds one column of a nested type.
pub struct NestedBuilder {
    arrow: ArrowType,
    nulls: NullBufferBuilder,
    rows: usize,
    parts: Parts,
}

enum Parts {
    /// The elements, and where each array ends in them.
    Array(Box<LaneBuilder>, Vec<i32>),
    /// Keys and values, and where each map ends in them.
    Map(Box<[LaneBuilder; 2]>, Vec<i32>),
    /// The fields, their names, and the row that last gave each of them a value.
    Row(Vec<LaneBuilder>, Vec<String>, Vec<usize>),
    /// The binaries of a VARIANT.
    Variant(VariantParts),
}

impl NestedBuilder {
    /// A builder for a nested kind.
    pub fn new(name: &str, kind: &TypeKind) -> Self {
        let part = |part: &str, data_type: &DataType| LaneBuilder::new(&format!("{name}.{part}"), data_type);
        let map = |key: &DataType, value: &DataType| {
            let key = key.clone().not_null();
            Parts::Map(Box::new([part("key", &key), part("value", value)]), vec![0])
        };
        let parts = match kind {
            TypeKind::Array(element) => Parts::Array(Box::new(part("element", element)), vec![0]),
            TypeKind::Map(types) => map(&types.key, &types.value),
            TypeKind::Multiset(element) => map(element, &DataType::INT.not_null()),
            TypeKind::Row(fields) => {
                let lanes = fields.iter().map(|field| part(&field.name, &field.data_type)).collect();
                let names = fields.iter().map(|field| field.name.clone()).collect();
                Parts::Row(lanes, names, vec![0; fields.len()])
            }
            TypeKind::Variant => Parts::Variant(VariantParts::default()),
            // A kind without parts has none to build; its columns are no nested ones.
            _ => Parts::Row(Vec::new(), Vec::new(), Vec::new()),
        };
        Self { arrow: lane_type(kind), nulls: NullBufferBuilder::new(0), rows: 0, parts }
    }

    /// Appends NULL.
    pub fn push_null(&mut self) {
        self.nulls.append_null();
        self.rows += 1;
        match &mut self.parts {
            Parts::Array(_, ends) | Parts::Map(_, ends) => ends.push(ends.last().copied().unwrap_or(0)),
            Parts::Row(fields, ..) => fields.iter_mut().for_each(LaneBuilder::push_hidden),
            Parts::Variant(parts) => parts.push_hidden(),
        }
    }

    /// Whether any JSON value is one of the column: those of others begin with `[` or `{`.
    pub fn takes_all(&self) -> bool {
        matches!(self.parts, Parts::Variant(_))
    }

    /// Takes the next value of a line, which begins with `[` or `{` unless the column takes all.
    pub fn take(&mut self, cursor: &mut Cursor<'_>, scratch: &mut String) -> Result<(), InputError> {
        self.rows += 1;
        match &mut self.parts {
            Parts::Array(element, ends) => {
                cursor.open('[')?;
                let (mut first, mut count) = (true, 0);
                while cursor.element(&mut first)? {
                    cursor.value(element, scratch)?;
                    count += 1;
                }
                end(ends, count)?;
            }
            Parts::Map(lanes, ends) => {
                let count = if cursor.sees(b'{') {
                    take_members(lanes, cursor, scratch)?
                } else {
                    take_pairs(lanes, cursor, scratch)?
                };
                end(ends, count)?;
            }
            Parts::Row(fields, names, seen) => {
                let mut row = RowParts { fields, names, seen, row: self.rows };
                row.take(cursor, scratch)?;
            }
            Parts::Variant(parts) => parts.push(&cursor.json()?).map_err(InputError::of_line)?,
        }
        self.nulls.append_non_null();
        Ok(())
    }

    /// The column.
    pub fn finish(&mut self) -> Result<ArrayRef, Reason> {
        let nulls = std::mem::replace(&mut self.nulls, NullBufferBuilder::new(0)).build();
        let rows = std::mem::take(&mut self.rows);
        let wrong = |error: arrow_schema::ArrowError| error.to_string();
        let offsets = |ends: &mut Vec<i32>| OffsetBuffer::new(std::mem::replace(ends, vec![0]).into());
        Ok(match (&mut self.parts, &self.arrow) {
            (Parts::Array(element, ends), ArrowType::List(field)) => {
                let list = ListArray::try_new(Arc::clone(field), offsets(ends), element.finish()?, nulls);
                Arc::new(list.map_err(wrong)?)
            }
            (Parts::Map(lanes, ends), ArrowType::Map(field, sorted)) => {
                let ArrowType::Struct(fields) = field.data_type() else { return Err("is no map".into()) };
                let columns = lanes.iter_mut().map(LaneBuilder::finish).collect::<Result<_, _>>()?;
                let entries = StructArray::try_new(fields.clone(), columns, None).map_err(wrong)?;
                let map = MapArray::try_new(Arc::clone(field), offsets(ends), entries, nulls, *sorted);
                Arc::new(map.map_err(wrong)?)
            }
            (Parts::Row(lanes, _, seen), ArrowType::Struct(fields)) => {
                seen.fill(0);
                let columns = lanes.iter_mut().map(LaneBuilder::finish).collect::<Result<_, _>>()?;
                let row = StructArray::try_new_with_length(fields.clone(), columns, nulls, rows);
                Arc::new(row.map_err(wrong)?)
            }
            (Parts::Variant(parts), ArrowType::Struct(fields)) => {
                let row = StructArray::try_new_with_length(fields.clone(), parts.finish(), nulls, rows);
                Arc::new(row.map_err(wrong)?)
            }
            _ => return Err("is of another shape than its column".into()),
        })
    }
}

/// Ends a list of `count` elements.
fn end(ends: &mut Vec<i32>, count: usize) -> Result<(), InputError> {
    let last = ends.last().copied().unwrap_or(0);
    let next = i32::try_from(count).ok().and_then(|count| last.checked_add(count));
    ends.push(next.ok_or_else(|| InputError::of_line("the arrays of a batch have more than 2^31 elements"))?);
    Ok(())
}

/// `{"key": value, ..}`.
fn take_members(
    lanes: &mut [LaneBuilder; 2],
    cursor: &mut Cursor<'_>,
    scratch: &mut String,
) -> Result<usize, InputError> {
    let [key, value] = lanes;
    cursor.open('{')?;
    let (mut first, mut count) = (true, 0);
    while cursor.member(&mut first)? {
        let name = cursor.string(scratch)?;
        key.push_string(name).map_err(|why| InputError::of_value(key.name(), name.as_bytes(), why))?;
        cursor.open(':')?;
        cursor.blank();
        cursor.value(value, scratch)?;
        count += 1;
    }
    Ok(count)
}

/// `[[key, value], ..]`.
fn take_pairs(
    lanes: &mut [LaneBuilder; 2],
    cursor: &mut Cursor<'_>,
    scratch: &mut String,
) -> Result<usize, InputError> {
    cursor.open('[')?;
    let (mut first, mut count) = (true, 0);
    while cursor.element(&mut first)? {
        cursor.open('[')?;
        let mut first = true;
        for lane in lanes.iter_mut() {
            match cursor.element(&mut first)? {
                true => cursor.value(lane, scratch)?,
                false => return Err(InputError::of_column(lane.name(), "is missing: a pair is [key, value]")),
            }
        }
        if cursor.element(&mut first)? {
            return Err(InputError::of_column(lanes[0].name(), "has more than two parts: a pair is [key, value]"));
        }
        count += 1;
    }
    Ok(count)
}

/// The fields of a row.
struct RowParts<'a> {
    fields: &'a mut [LaneBuilder],
    names: &'a [String],
    seen: &'a mut [usize],
    row: usize,
}

impl RowParts<'_> {
    /// `{"field": value, ..}`; a field that is left out is NULL.
    fn take(&mut self, cursor: &mut Cursor<'_>, scratch: &mut String) -> Result<(), InputError> {
        cursor.open('{')?;
        let mut first = true;
        while cursor.member(&mut first)? {
            let name = cursor.string(scratch)?;
            let found = self.names.iter().position(|field| field == name);
            let at = found.ok_or_else(|| InputError::of_line(format!("a row has no field {name:?}")))?;
            if std::mem::replace(&mut self.seen[at], self.row) == self.row {
                return Err(InputError::of_column(self.fields[at].name(), "is given twice"));
            }
            cursor.open(':')?;
            cursor.blank();
            cursor.value(&mut self.fields[at], scratch)?;
        }
        for (field, seen) in self.fields.iter_mut().zip(self.seen.iter()) {
            if *seen != self.row {
                let pushed = field.push_null();
                pushed.map_err(|_| InputError::of_column(field.name(), "is missing, but the field is NOT NULL"))?;
            }
        }
        Ok(())
    }
}
