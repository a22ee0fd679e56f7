//! `nested_partial_update`: an array of rows as a small table whose rows are merged field by field.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, StructArray, UInt32Array};
use arrow_select::take::take;

use super::update::Keys;
use super::{Elements, bug};
use crate::error::{Error, Result};
use crate::lsm::merge::steps::{Fold, Step, fold};
use crate::lsm::merge::{ColumnFrom, Versions};
use crate::schema::NullKeys;

/// What `nested_partial_update` does with a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lsm::merge::fold) struct NestedPartialUpdate {
    /// The fields that are the key.
    pub key: Vec<usize>,
    /// What a NULL in a key does.
    pub nulls: NullKeys,
}

/// What a key of the table has so far.
#[derive(Debug, Clone)]
enum Cell<'a> {
    Null,
    /// As it came.
    Whole(Range<u32>),
    Merged(Merged<'a>),
}

/// Rows in the order of their keys' arrival; each is made of a place for each field, `None` for NULL.
#[derive(Debug, Clone, Default)]
struct Merged<'a> {
    rows: Vec<Vec<Option<u32>>>,
    by_key: HashMap<&'a [u8], usize>,
}

impl NestedPartialUpdate {
    pub(in crate::lsm::merge::fold) fn run(
        &self,
        name: &str,
        versions: &Versions<'_>,
        place: usize,
        steps: &[Step],
    ) -> Result<ColumnFrom> {
        let elements = Elements::of(versions.column(place)?)?;
        let keys = Keys::of(&elements, name, &self.key, self.nulls)?;
        let keys = keys.ok_or_else(|| Error::bug("nested_partial_update without a key"))?;
        let mut merging = Merging { keys: &keys, rows: elements.values.as_struct() };
        let cell = |position: usize| match elements.column.is_valid(position) {
            true => Cell::Whole(elements.offsets[position] as u32..elements.offsets[position + 1] as u32),
            false => Cell::Null,
        };
        let cells = fold(versions, steps, &mut merging, cell)?;
        build(&elements, &cells)
    }
}

/// The column of folded cells: each field is gathered by its own places.
fn build(elements: &Elements, cells: &[Cell<'_>]) -> Result<ColumnFrom> {
    let rows = elements.values.as_struct();
    let lengths = cells.iter().map(|cell| match cell {
        Cell::Null => None,
        Cell::Whole(range) => Some(range.len()),
        Cell::Merged(merged) => Some(merged.rows.len()),
    });
    let places_of = |field: usize| -> UInt32Array {
        let places = cells.iter().flat_map(|cell| -> Box<dyn Iterator<Item = Option<u32>> + '_> {
            match cell {
                Cell::Null => Box::new(std::iter::empty()),
                Cell::Whole(range) => Box::new(range.clone().map(Some)),
                Cell::Merged(merged) => Box::new(merged.rows.iter().map(move |row| row[field])),
            }
        });
        places.collect()
    };
    let columns = rows.columns().iter().enumerate().map(|(at, column)| take(column, &places_of(at), None).map_err(bug));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    let valid = cells.iter().flat_map(|cell| -> Box<dyn Iterator<Item = bool> + '_> {
        match cell {
            Cell::Null => Box::new(std::iter::empty()),
            Cell::Whole(range) => Box::new(range.clone().map(|at| rows.is_valid(at as usize))),
            Cell::Merged(merged) => Box::new(merged.rows.iter().map(|_| true)),
        }
    });
    let nulls = Some(valid.collect::<arrow_buffer::NullBuffer>()).filter(|nulls| nulls.null_count() > 0);
    let values = StructArray::try_new(rows.fields().clone(), columns, nulls).map_err(bug)?;
    Ok(ColumnFrom::Computed(elements.assemble(&lengths.collect::<Vec<_>>(), Arc::new(values))?))
}

struct Merging<'a> {
    keys: &'a Keys,
    rows: &'a StructArray,
}

impl<'a> Merging<'a> {
    fn put_all(&self, merged: &mut Merged<'a>, range: Range<u32>) -> Result<()> {
        for element in range.filter(|element| self.rows.is_valid(*element as usize)) {
            let Some(key) = self.keys.key(element)? else { continue };
            let at = *merged.by_key.entry(key).or_insert(merged.rows.len());
            if at == merged.rows.len() {
                merged.rows.push(vec![None; self.rows.num_columns()]);
            }
            for (place, column) in merged.rows[at].iter_mut().zip(self.rows.columns()) {
                if column.is_valid(element as usize) {
                    *place = Some(element);
                }
            }
        }
        Ok(())
    }
}

impl<'a> Fold for Merging<'a> {
    type Cell = Cell<'a>;

    fn null(&self) -> Cell<'a> {
        Cell::Null
    }

    fn add(&mut self, there: Cell<'a>, comes: Cell<'a>) -> Result<Cell<'a>> {
        if matches!(comes, Cell::Null) {
            return Ok(there);
        }
        let mut merged = Merged::default();
        for cell in [there, comes] {
            match cell {
                Cell::Null => {}
                Cell::Whole(range) => self.put_all(&mut merged, range)?,
                Cell::Merged(other) if merged.rows.is_empty() => merged = other,
                Cell::Merged(other) => self.merge_rows(&mut merged, other),
            }
        }
        Ok(Cell::Merged(merged))
    }
}

impl<'a> Merging<'a> {
    /// Puts merged rows on top of others: what came late lies below them.
    fn merge_rows(&self, merged: &mut Merged<'a>, other: Merged<'a>) {
        let mut keys: Vec<(&'a [u8], usize)> = other.by_key.into_iter().collect();
        keys.sort_unstable_by_key(|(_, at)| *at);
        for (key, from) in keys {
            let at = *merged.by_key.entry(key).or_insert(merged.rows.len());
            if at == merged.rows.len() {
                merged.rows.push(vec![None; self.rows.num_columns()]);
            }
            for (place, newer) in merged.rows[at].iter_mut().zip(&other.rows[from]) {
                *place = newer.or(*place);
            }
        }
    }
}
