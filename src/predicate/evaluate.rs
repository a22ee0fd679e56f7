//! Which rows of a batch a condition is true for, by Arrow's kernels: a column at a time, never a row.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, Datum, RecordBatch, Scalar};
use arrow_buffer::BooleanBuffer;
use arrow_ord::cmp;
use arrow_ord::ord::make_comparator;
use arrow_schema::{ArrowError, SortOptions};

use super::beside::beside;
use super::expr::{Comparison, Expr, Leaf, Test, named};
use super::lane::{datum_lane, with_one_nan};
use super::like::LikePattern;
use super::literal::Literal;
use super::path::{self, Step};
use crate::error::{Error, Result};
use crate::types::{TypeKind, lane_type};

/// Up to so many values `in` compares one after another; more are searched.
const FEW: usize = 4;

/// For each row true, false or (as NULL) unknown. The columns are lanes, found by name.
///
/// # Errors
/// [`Error::Bug`] when the condition is not bound or the batch lacks a column of it.
pub fn evaluate(expr: &Expr, batch: &RecordBatch) -> Result<BooleanArray> {
    match expr {
        Expr::And(parts) => fold(parts, batch, true, arrow_and),
        Expr::Or(parts) => fold(parts, batch, false, arrow_or),
        Expr::Not(inner) => {
            let inner = evaluate(inner, batch)?;
            Ok(BooleanArray::new(!inner.values(), inner.nulls().cloned()))
        }
        Expr::Leaf(leaf) => evaluate_leaf(leaf, batch),
    }
}

type Combine = fn(&BooleanArray, &BooleanArray) -> BooleanArray;

fn fold(parts: &[Expr], batch: &RecordBatch, empty: bool, combine: Combine) -> Result<BooleanArray> {
    let mut all: Option<BooleanArray> = None;
    for part in parts {
        let one = evaluate(part, batch)?;
        all = Some(match all {
            Some(all) => combine(&all, &one),
            None => one,
        });
    }
    let rows = batch.num_rows();
    Ok(all.unwrap_or_else(|| {
        BooleanArray::new(if empty { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) }, None)
    }))
}

/// Rows that are known to be true, and rows that are known to be false.
fn known(array: &BooleanArray) -> (BooleanBuffer, BooleanBuffer) {
    match array.nulls() {
        Some(nulls) => (array.values() & nulls.inner(), &!array.values() & nulls.inner()),
        None => (array.values().clone(), !array.values()),
    }
}

fn from_known(yes: BooleanBuffer, no: &BooleanBuffer) -> BooleanArray {
    let valid = &yes | no;
    BooleanArray::new(yes, Some(arrow_buffer::NullBuffer::new(valid)))
}

fn arrow_and(one: &BooleanArray, other: &BooleanArray) -> BooleanArray {
    let ((yes, no), (also_yes, also_no)) = (known(one), known(other));
    from_known(&yes & &also_yes, &(&no | &also_no))
}

fn arrow_or(one: &BooleanArray, other: &BooleanArray) -> BooleanArray {
    let ((yes, no), (also_yes, also_no)) = (known(one), known(other));
    from_known(&yes | &also_yes, &(&no & &also_no))
}

fn evaluate_leaf(leaf: &Leaf, batch: &RecordBatch) -> Result<BooleanArray> {
    let (lane, kind) = values_of(&leaf.column, leaf.kind.as_ref(), &leaf.path, batch)?;
    match &leaf.test {
        Test::IsNull => {
            let nulls = lane.nulls().map(|nulls| !nulls.inner());
            Ok(BooleanArray::new(nulls.unwrap_or_else(|| BooleanBuffer::new_unset(lane.len())), None))
        }
        Test::Compare(comparison, literal) => {
            let literals = datum_lane(&kind, &[value_of(literal)?])?;
            compare(*comparison, &with_one_nan(&lane), &Scalar::new(literals))
        }
        Test::In(literals) => {
            let values = literals.iter().map(value_of).collect::<Result<Vec<_>>>()?;
            is_in(&with_one_nan(&lane), &datum_lane(&kind, &values)?)
        }
        Test::Like(pattern) => Ok(like(&lane, pattern)),
        Test::Beside(comparison, side) => {
            let (other, other_kind) = values_of(&side.column, side.kind.as_ref(), &side.path, batch)?;
            beside(*comparison, (&lane, &kind), (&other, &other_kind))
        }
    }
}

/// The values that a path leads to, and their type.
fn values_of(
    column: &str,
    kind: Option<&TypeKind>,
    path: &[Step],
    batch: &RecordBatch,
) -> Result<(ArrayRef, TypeKind)> {
    let kind = kind.ok_or_else(|| Error::bug(format!("the condition on column {column} is not bound")))?;
    let lane = batch.column_by_name(column);
    let lane = lane.ok_or_else(|| Error::bug(format!("a filtered batch lacks column {column}")))?;
    if *lane.data_type() != lane_type(kind) {
        return Err(Error::bug(format!("column {column} is {} and no lane of {kind}", lane.data_type())));
    }
    path::follow(path, lane, kind).map_err(|error| named(column, error))
}

fn value_of(literal: &Literal) -> Result<&crate::types::Datum> {
    literal.datum().ok_or_else(|| Error::bug("a condition is not bound"))
}

fn bug(error: ArrowError) -> Error {
    Error::bug(format!("a filter: {error}"))
}

/// How the values of a lane compare to those of another, or to one alone.
pub(super) fn compare(comparison: Comparison, lane: &dyn Datum, other: &dyn Datum) -> Result<BooleanArray> {
    match comparison {
        Comparison::Eq => cmp::eq(lane, other),
        Comparison::Ne => cmp::neq(lane, other),
        Comparison::Lt => cmp::lt(lane, other),
        Comparison::Le => cmp::lt_eq(lane, other),
        Comparison::Gt => cmp::gt(lane, other),
        Comparison::Ge => cmp::gt_eq(lane, other),
    }
    .map_err(bug)
}

/// `values` are sorted.
fn is_in(lane: &ArrayRef, values: &ArrayRef) -> Result<BooleanArray> {
    let nulls = lane.nulls().cloned();
    if values.len() > FEW {
        let order = make_comparator(lane, values, SortOptions::default()).map_err(bug)?;
        let found = |row: usize| {
            let (mut low, mut high) = (0, values.len());
            while low < high {
                let middle = low.midpoint(high);
                match order(row, middle) {
                    std::cmp::Ordering::Less => high = middle,
                    std::cmp::Ordering::Greater => low = middle + 1,
                    std::cmp::Ordering::Equal => return true,
                }
            }
            false
        };
        return Ok(BooleanArray::new(BooleanBuffer::collect_bool(lane.len(), found), nulls));
    }
    let mut all = BooleanArray::new(BooleanBuffer::new_unset(lane.len()), nulls);
    for at in 0..values.len() {
        all = arrow_or(&all, &compare(Comparison::Eq, lane, &Scalar::new(values.slice(at, 1)))?);
    }
    Ok(all)
}

fn like(lane: &ArrayRef, pattern: &LikePattern) -> BooleanArray {
    let texts = lane.as_string::<i32>();
    let matches: &dyn Fn(&str) -> bool = match (pattern.is_prefix(), pattern.is_text()) {
        (true, _) => &|text| text.starts_with(pattern.prefix()),
        (_, true) => &|text| text == pattern.prefix(),
        _ => &|text| pattern.matches(text),
    };
    let hits = BooleanBuffer::collect_bool(texts.len(), |row| texts.is_valid(row) && matches(texts.value(row)));
    BooleanArray::new(hits, texts.nulls().cloned())
}
