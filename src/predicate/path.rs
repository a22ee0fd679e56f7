//! From a column to the value that is tested: `address.city`, `tags['color']`, `cast(code as INT)`, `upper(name)`.

use std::fmt;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, MapArray, Scalar, UInt32Array};
use arrow_ord::cmp;
use arrow_schema::ArrowError;
use arrow_select::nullif::nullif;
use arrow_select::take::take;

use super::expr::{quoted, quoted_name};
use super::function::TextFunction;
use super::lane::{datum_lane, with_one_nan};
use super::literal::Literal;
use super::text::datum_text;
use crate::error::{Error, Result};
use crate::types::{DataType, Datum, TypeKind, can_cast, cast_lane};

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A field of a ROW, by its name.
    Field(String),
    /// The value that a MAP has for a key; of a MULTISET, how often it holds an element. NULL where it does not have it.
    Key(Literal),
    /// The value as one of another type, by the rules that read old columns as retyped ones: integers wrap, and a text
    /// that is no value of the type is an error.
    Cast(DataType),
    /// What a function makes of a text.
    Text(TextFunction),
}

/// The same steps with keys that are values of their maps' types, and the type they lead to.
///
/// # Errors
/// [`Error::Invalid`] for a step that the type before it does not have.
pub(super) fn bind(steps: &[Step], start: &TypeKind) -> Result<(Vec<Step>, TypeKind)> {
    let mut kind = start.clone();
    let mut bound = Vec::with_capacity(steps.len());
    for step in steps {
        let step = match (step, &kind) {
            (Step::Key(key), TypeKind::Map(map)) => Step::Key(Literal::Datum(key.to_datum(&map.key.kind)?)),
            (Step::Key(key), TypeKind::Multiset(element)) => Step::Key(Literal::Datum(key.to_datum(&element.kind)?)),
            _ => step.clone(),
        };
        kind = led_to(&step, &kind)?;
        bound.push(step);
    }
    Ok((bound, kind))
}

/// The type that steps lead to; the start itself where they lead nowhere.
pub(super) fn target(steps: &[Step], start: &TypeKind) -> Result<TypeKind> {
    steps.iter().try_fold(start.clone(), |kind, step| led_to(step, &kind))
}

fn led_to(step: &Step, kind: &TypeKind) -> Result<TypeKind> {
    match (step, kind) {
        (Step::Field(name), TypeKind::Row(fields)) => match fields.iter().find(|field| field.name == *name) {
            Some(field) => Ok(field.data_type.kind.clone()),
            None => Err(Error::invalid(format!("{kind} has no field {name}"))),
        },
        (Step::Key(_), TypeKind::Map(map)) => Ok(map.value.kind.clone()),
        (Step::Key(_), TypeKind::Multiset(_)) => Ok(TypeKind::Int),
        (Step::Cast(to), kind) if !to.kind.is_nested() && can_cast(kind, &to.kind) => Ok(to.kind.clone()),
        (Step::Text(_), TypeKind::Char(_) | TypeKind::VarChar(_)) => Ok(TypeKind::STRING),
        (Step::Field(name), _) => Err(Error::invalid(format!("{kind} is no ROW and has no field {name}"))),
        (Step::Key(_), _) => Err(Error::invalid(format!("{kind} is no MAP and has no keys"))),
        (Step::Cast(to), _) => Err(Error::invalid(format!("no conversion from {kind} to {}", to.kind))),
        (Step::Text(function), _) => Err(Error::invalid(format!("{} is of texts, not of {kind}", function.name()))),
    }
}

/// The values at the end of bound steps, and their type.
///
/// # Errors
/// [`Error::Invalid`] for a text that a cast cannot read; [`Error::Bug`] for steps that are not bound.
pub(super) fn follow(steps: &[Step], lane: &ArrayRef, start: &TypeKind) -> Result<(ArrayRef, TypeKind)> {
    let (mut lane, mut kind) = (Arc::clone(lane), start.clone());
    for step in steps {
        let next = led_to(step, &kind)?;
        lane = match (step, &kind) {
            (Step::Field(name), TypeKind::Row(fields)) => {
                let at = fields.iter().position(|field| field.name == *name);
                field(&lane, at.ok_or_else(|| Error::bug(format!("a path to no field {name}")))?)?
            }
            (Step::Cast(to), kind) => cast_lane(kind, &to.kind, &lane)?,
            (Step::Text(function), _) => function.of_lane(&lane)?,
            (Step::Key(Literal::Datum(key)), TypeKind::Map(map)) => value_of_key(&lane, &map.key.kind, key)?,
            (Step::Key(Literal::Datum(key)), TypeKind::Multiset(element)) => value_of_key(&lane, &element.kind, key)?,
            _ => return Err(Error::bug("a path that is not bound")),
        };
        kind = next;
    }
    Ok((lane, kind))
}

/// A field is NULL where its row is.
fn field(lane: &ArrayRef, at: usize) -> Result<ArrayRef> {
    let rows = lane.as_struct_opt().filter(|rows| at < rows.num_columns());
    let rows = rows.ok_or_else(|| Error::bug("a path into a lane of no rows"))?;
    let Some(nulls) = rows.nulls() else { return Ok(Arc::clone(rows.column(at))) };
    nullif(rows.column(at), &BooleanArray::new(!nulls.inner(), None)).map_err(bug)
}

/// The value of one key in each map of a lane; NULL where a map does not have it.
///
/// # Errors
/// [`Error::Bug`] for a lane of no maps, or of keys of another type.
pub fn value_of_key(lane: &ArrayRef, kind: &TypeKind, key: &Datum) -> Result<ArrayRef> {
    let maps: &MapArray = lane.as_map_opt().ok_or_else(|| Error::bug("a path into a lane of no maps"))?;
    let found = cmp::eq(&with_one_nan(maps.keys()), &Scalar::new(datum_lane(kind, &[key])?)).map_err(bug)?;
    let mut next = found.values().set_indices().peekable();
    let place = |row: usize| {
        let (start, end) = (maps.value_offsets()[row] as usize, maps.value_offsets()[row + 1] as usize);
        while next.next_if(|at| *at < start).is_some() {}
        let at = next.peek().copied().filter(|at| *at < end && maps.is_valid(row))?;
        u32::try_from(at).ok()
    };
    let places: UInt32Array = (0..maps.len()).map(place).collect();
    take(maps.values(), &places, None).map_err(bug)
}

fn bug(error: ArrowError) -> Error {
    Error::bug(format!("a path of a condition: {error}"))
}

/// A column and its path, as [`super::parse`] reads them back.
pub(super) fn print(f: &mut fmt::Formatter<'_>, column: &str, start: Option<&TypeKind>, steps: &[Step]) -> fmt::Result {
    let Some((last, before)) = steps.split_last() else { return f.write_str(&quoted_name(column)) };
    match last {
        Step::Cast(_) => f.write_str("cast(")?,
        Step::Text(function) => write!(f, "{}(", function.name())?,
        Step::Field(_) | Step::Key(_) => {}
    }
    print(f, column, start, before)?;
    match last {
        Step::Field(name) => write!(f, ".{}", quoted_name(name)),
        Step::Cast(to) => write!(f, " as {})", to.kind),
        Step::Text(function) => write!(f, "{function})"),
        Step::Key(key) => {
            let of = start.and_then(|start| target(before, start).ok());
            let of = match of {
                Some(TypeKind::Map(map)) => map.key.kind.clone(),
                Some(TypeKind::Multiset(element)) => element.kind.clone(),
                _ => TypeKind::STRING,
            };
            write!(f, "[{}]", shown(key, &of))
        }
    }
}

/// A literal of a type as SQL.
pub(super) fn shown(literal: &Literal, kind: &TypeKind) -> String {
    match literal {
        Literal::Boolean(value) => value.to_string(),
        Literal::Number(text) => text.clone(),
        Literal::Text(text) => quoted(text),
        Literal::Bytes(bytes) => format!("X'{}'", datum_text(&TypeKind::BYTES, &Datum::Bytes(bytes.clone()))),
        Literal::Datum(value @ Datum::Bytes(_)) => format!("X'{}'", datum_text(&TypeKind::BYTES, value)),
        Literal::Datum(value) => quoted(&datum_text(kind, value)),
    }
}
