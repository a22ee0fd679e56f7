//! Aggregates over nested columns: arrays and maps whose elements are gathered from the versions of a key.
//!
//! The elements of all versions lie one after another in one array, so a cell is a list of places in it. What is computed
//! are places; the elements themselves are copied once, when the column is built.
//! Spec: `format-spec/merge-tree.md`, aggregate functions.

mod collect;
mod merge_map;
mod partial;
mod update;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, ListArray, MapArray, UInt32Array};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_row::Rows;
use arrow_schema::{ArrowError, DataType as ArrowType};
use arrow_select::take::take;

pub(super) use self::collect::Collect;
pub(super) use self::merge_map::MergeMap;
pub(super) use self::partial::NestedPartialUpdate;
pub(super) use self::update::NestedUpdate;
use crate::error::{Error, Result};
use crate::lsm::merge::steps::Step;
use crate::types::comparable_rows;

/// All versions of a column of arrays or maps, laid one after another.
struct Elements {
    column: ArrayRef,
    offsets: OffsetBuffer<i32>,
    /// The elements of an array, or the entries of a map as structs.
    values: ArrayRef,
}

/// What a key has so far.
#[derive(Debug, Clone)]
enum Cell<'a> {
    Null,
    /// As it came: what is alone is not taken apart.
    Whole(Range<u32>),
    /// Some elements.
    Picked(Vec<u32>),
    /// Some elements by their keys.
    Keyed(Keyed<'a>),
}

/// Elements in the order of their keys' arrival, each key once.
#[derive(Debug, Clone, Default)]
struct Keyed<'a> {
    places: Vec<Option<u32>>,
    by_key: HashMap<&'a [u8], usize>,
}

impl<'a> Keyed<'a> {
    fn get(&self, key: &'a [u8]) -> Option<u32> {
        self.by_key.get(key).and_then(|at| self.places[*at])
    }

    fn put(&mut self, key: &'a [u8], element: u32) {
        match self.by_key.get(key) {
            Some(at) => self.places[*at] = Some(element),
            None => {
                self.by_key.insert(key, self.places.len());
                self.places.push(Some(element));
            }
        }
    }

    fn remove(&mut self, key: &'a [u8]) {
        if let Some(at) = self.by_key.remove(key) {
            self.places[at] = None;
        }
    }

    fn len(&self) -> usize {
        self.by_key.len()
    }
}

impl Cell<'_> {
    /// The elements, or `None` for NULL.
    fn elements(self) -> Option<Vec<u32>> {
        match self {
            Self::Null => None,
            Self::Whole(range) => Some(range.collect()),
            Self::Picked(places) => Some(places),
            Self::Keyed(keyed) => Some(keyed.places.into_iter().flatten().collect()),
        }
    }
}

impl Elements {
    fn of(column: ArrayRef) -> Result<Self> {
        let (offsets, values): (_, ArrayRef) = match column.data_type() {
            ArrowType::List(_) => {
                let list = column.as_list::<i32>();
                (list.offsets().clone(), Arc::clone(list.values()))
            }
            ArrowType::Map(..) => {
                let map = column.as_map();
                (map.offsets().clone(), Arc::new(map.entries().clone()))
            }
            other => return Err(Error::bug(format!("{other} has no elements"))),
        };
        Ok(Self { column, offsets, values })
    }

    /// The value of a version as it came.
    fn cell<'a>(&self, position: usize) -> Cell<'a> {
        match self.column.is_valid(position) {
            true => Cell::Whole(self.offsets[position] as u32..self.offsets[position + 1] as u32),
            false => Cell::Null,
        }
    }

    /// The elements as rows of bytes that tell whether they are equal.
    fn rows(&self) -> Result<Rows> {
        comparable_rows(std::slice::from_ref(&self.values)).map_err(bug)
    }

    /// Some fields of the elements, which are structs, as rows of bytes in the order of their values.
    fn field_rows(&self, fields: &[usize]) -> Result<Rows> {
        let rows = self.values.as_struct();
        let columns: Vec<ArrayRef> = fields.iter().map(|at| Arc::clone(rows.column(*at))).collect();
        comparable_rows(&columns).map_err(bug)
    }

    /// The column of folded cells.
    fn build(&self, cells: Vec<Option<Vec<u32>>>) -> Result<ArrayRef> {
        let places: UInt32Array = cells.iter().flatten().flatten().copied().collect();
        let values = take(&self.values, &places, None).map_err(bug)?;
        self.assemble(&cells.iter().map(|cell| cell.as_ref().map(Vec::len)).collect::<Vec<_>>(), values)
    }

    /// Arrays or maps of these lengths (`None`: NULL) over the elements of all of them.
    fn assemble(&self, lengths: &[Option<usize>], values: ArrayRef) -> Result<ArrayRef> {
        if i32::try_from(values.len()).is_err() {
            return Err(Error::exhausted("the merged arrays of a batch have more than 2^31 elements"));
        }
        let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
        let nulls: NullBuffer = lengths.iter().map(Option::is_some).collect();
        let nulls = Some(nulls).filter(|nulls| nulls.null_count() > 0);
        Ok(match self.column.data_type() {
            ArrowType::List(field) => {
                Arc::new(ListArray::try_new(Arc::clone(field), offsets, values, nulls).map_err(bug)?)
            }
            ArrowType::Map(field, sorted) => {
                let entries = values.as_struct().clone();
                Arc::new(MapArray::try_new(Arc::clone(field), offsets, entries, nulls, *sorted).map_err(bug)?)
            }
            other => return Err(Error::bug(format!("{other} has no elements"))),
        })
    }
}

/// Whether any version is taken back.
fn takes_back(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Retract | Step::RetractBefore | Step::TakeRetract))
}

fn bug(error: ArrowError) -> Error {
    Error::bug(format!("folding a nested column: {error}"))
}
