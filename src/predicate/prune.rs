//! Whether a file, a row group or a partition can hold a row that a condition is true for.
//!
//! For each part of the condition two questions are answered, both on the side of "it can": can it be true, and
//! can it be false, of a row in the range? So `not` merely turns the answers round, and no bound that is not
//! known, or is cut short, ever hides a row.

use super::expr::{Comparison, Expr, Leaf, Test};
use super::like::LikePattern;
use crate::types::Datum;

/// What is known about a column's values in some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnRange {
    /// A value that none (but NULL) is below; `None` when it is not known. It may be cut short.
    pub min: Option<Datum>,
    /// A value that none is above; `None` when it is not known. It may be raised. For FLOAT and DOUBLE it must
    /// hold for NaN, which is above all numbers: bounds of a writer that leaves NaN out are not known.
    pub max: Option<Datum>,
    /// How many are NULL, when that is known.
    pub null_count: Option<u64>,
    /// How many rows there are.
    pub row_count: u64,
}

impl ColumnRange {
    /// Nothing is known but the number of rows.
    pub fn unknown(row_count: u64) -> Self {
        Self { min: None, max: None, null_count: None, row_count }
    }

    /// The same value (or NULL) in every row, as in a partition.
    pub fn constant(value: &Datum, row_count: u64) -> Self {
        let known = (!value.is_null()).then(|| value.clone());
        let null_count = Some(if value.is_null() { row_count } else { 0 });
        Self { min: known.clone(), max: known, null_count, row_count }
    }

    fn holds_values(&self) -> bool {
        self.null_count.is_none_or(|nulls| nulls < self.row_count)
    }

    fn holds_nulls(&self) -> bool {
        self.null_count != Some(0)
    }

    /// The one value of all rows that are not NULL, if there is but one.
    fn only(&self) -> Option<&Datum> {
        let (min, max) = (self.min.as_ref()?, self.max.as_ref()?);
        min.total_cmp(max).is_eq().then_some(min)
    }
}

/// Whether a (bound) condition may be true for a row, given what is known of its columns. A column of which
/// nothing is told (`None`) may hold anything.
pub fn may_match(expr: &Expr, range_of: &dyn Fn(&str) -> Option<ColumnRange>) -> bool {
    chances(expr, range_of).yes
}

/// What a condition can be for a row.
#[derive(Debug, Clone, Copy)]
struct Chances {
    yes: bool,
    no: bool,
}

const OPEN: Chances = Chances { yes: true, no: true };

fn chances(expr: &Expr, range_of: &dyn Fn(&str) -> Option<ColumnRange>) -> Chances {
    match expr {
        Expr::And(parts) => {
            parts.iter().map(|part| chances(part, range_of)).fold(Chances { yes: true, no: false }, |all, one| {
                Chances { yes: all.yes && one.yes, no: all.no || one.no }
            })
        }
        Expr::Or(parts) => {
            parts.iter().map(|part| chances(part, range_of)).fold(Chances { yes: false, no: true }, |all, one| {
                Chances { yes: all.yes || one.yes, no: all.no && one.no }
            })
        }
        Expr::Not(inner) => {
            let inner = chances(inner, range_of);
            Chances { yes: inner.no, no: inner.yes }
        }
        // What is known of a column is not known of the values that a path leads to.
        Expr::Leaf(leaf) if !leaf.path.is_empty() => OPEN,
        Expr::Leaf(leaf) => range_of(&leaf.column).map_or(OPEN, |range| of_leaf(leaf, &range)),
    }
}

fn of_leaf(leaf: &Leaf, range: &ColumnRange) -> Chances {
    if leaf.test == Test::IsNull {
        return Chances { yes: range.row_count > 0 && range.holds_nulls(), no: range.holds_values() };
    }
    if !range.holds_values() {
        return Chances { yes: false, no: false };
    }
    match &leaf.test {
        Test::IsNull | Test::Beside(..) => OPEN,
        Test::Compare(comparison, literal) => literal.datum().map_or(OPEN, |value| Chances {
            yes: can_compare(*comparison, range, value),
            no: can_compare(comparison.opposite(), range, value),
        }),
        Test::In(literals) => {
            let values = literals.iter().map(super::Literal::datum).collect::<Option<Vec<_>>>();
            values.map_or(OPEN, |values| Chances {
                yes: values.iter().any(|value| can_compare(Comparison::Eq, range, value)),
                no: !range.only().is_some_and(|only| values.iter().any(|value| value.total_cmp(only).is_eq())),
            })
        }
        Test::Like(pattern) => of_like(pattern, range),
    }
}

/// Whether a value of the range can compare so to a literal.
fn can_compare(comparison: Comparison, range: &ColumnRange, value: &Datum) -> bool {
    let min = range.min.as_ref().map(|min| min.total_cmp(value));
    let max = range.max.as_ref().map(|max| max.total_cmp(value));
    match comparison {
        Comparison::Eq => min.is_none_or(|min| min.is_le()) && max.is_none_or(|max| max.is_ge()),
        Comparison::Ne => !range.only().is_some_and(|only| only.total_cmp(value).is_eq()),
        Comparison::Lt => min.is_none_or(|min| min.is_lt()),
        Comparison::Le => min.is_none_or(|min| min.is_le()),
        Comparison::Gt => max.is_none_or(|max| max.is_gt()),
        Comparison::Ge => max.is_none_or(|max| max.is_ge()),
    }
}

fn of_like(pattern: &LikePattern, range: &ColumnRange) -> Chances {
    let prefix = pattern.prefix().as_bytes();
    let text = |bound: &Option<Datum>| match bound {
        Some(Datum::String(text)) => Some(text.as_bytes().to_vec()),
        _ => None,
    };
    let (min, max) = (text(&range.min), text(&range.max));
    let not_above = min.as_ref().is_none_or(|min| min[..min.len().min(prefix.len())] <= *prefix);
    let not_below = max.as_ref().is_none_or(|max| max.as_slice() >= prefix);
    // Whatever lies between two texts with the prefix has it too.
    let all = pattern.is_prefix()
        && min.zip(max).is_some_and(|(min, max)| min.starts_with(prefix) && max.starts_with(prefix));
    Chances { yes: not_above && not_below, no: !all }
}
