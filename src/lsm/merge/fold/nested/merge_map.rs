//! `merge_map`: the entries of all maps, of one key the newest; `merge_map_with_keytime`: of one key that of the latest
//! time, which a field of the value tells.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};
use arrow_row::Rows;

use super::{Cell, Elements, Keyed};
use crate::error::{Error, Result};
use crate::lsm::merge::steps::{Fold, Step, fold};
use crate::lsm::merge::{ColumnFrom, Versions};

/// What these functions do with a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lsm::merge::fold) struct MergeMap {
    /// The field of the value that holds the time.
    pub time: Option<usize>,
}

impl MergeMap {
    pub(in crate::lsm::merge::fold) fn run(
        &self,
        versions: &Versions<'_>,
        place: usize,
        steps: &[Step],
    ) -> Result<ColumnFrom> {
        let elements = Elements::of(versions.column(place)?)?;
        let keys = elements.field_rows(&[0])?;
        let values = elements.values.as_struct().column(1);
        let times = match self.time {
            Some(at) => {
                let times = values.as_struct_opt().and_then(|value| value.column(at).as_string_opt::<i32>());
                Some(times.ok_or_else(|| Error::bug("a time that is no text"))?)
            }
            None => None,
        };
        let mut merging = Merging { keys: &keys, values: values.as_ref(), times };
        let cells = fold(versions, steps, &mut merging, |position| elements.cell(position))?;
        Ok(ColumnFrom::Computed(elements.build(cells.into_iter().map(Cell::elements).collect())?))
    }
}

struct Merging<'a> {
    keys: &'a Rows,
    values: &'a dyn Array,
    times: Option<&'a StringArray>,
}

impl<'a> Merging<'a> {
    fn key(&self, entry: u32) -> &'a [u8] {
        self.keys.row(entry as usize).data()
    }

    fn keyed(&self, cell: Cell<'a>) -> Keyed<'a> {
        if let Cell::Keyed(keyed) = cell {
            return keyed;
        }
        let mut keyed = Keyed::default();
        cell.elements().unwrap_or_default().into_iter().for_each(|entry| keyed.put(self.key(entry), entry));
        keyed
    }

    fn time(&self, times: &'a StringArray, entry: u32) -> Option<&'a str> {
        let entry = entry as usize;
        (self.values.is_valid(entry) && times.is_valid(entry)).then(|| times.value(entry))
    }

    /// Puts an entry where it is newer than what is there. An entry without a value takes its key out.
    fn put_by_time(&self, keyed: &mut Keyed<'a>, times: &'a StringArray, entry: u32) {
        let key = self.key(entry);
        if self.values.is_null(entry as usize) {
            return keyed.remove(key);
        }
        let Some(time) = self.time(times, entry) else { return };
        let there = keyed.get(key).and_then(|there| self.time(times, there));
        if there.is_none_or(|there| java_order(time, there).is_gt()) {
            keyed.put(key, entry);
        }
    }
}

/// The order of Java's strings: by UTF-16 units.
fn java_order(one: &str, other: &str) -> Ordering {
    one.encode_utf16().cmp(other.encode_utf16())
}

impl<'a> Fold for Merging<'a> {
    type Cell = Cell<'a>;

    fn null(&self) -> Cell<'a> {
        Cell::Null
    }

    fn add(&mut self, there: Cell<'a>, comes: Cell<'a>) -> Result<Cell<'a>> {
        if let (Cell::Null, one) | (one, Cell::Null) = (&there, &comes) {
            return Ok(one.clone());
        }
        let mut keyed = self.keyed(there);
        for entry in comes.elements().unwrap_or_default() {
            match self.times {
                Some(times) => self.put_by_time(&mut keyed, times, entry),
                None => keyed.put(self.key(entry), entry),
            }
        }
        Ok(Cell::Keyed(keyed))
    }

    fn retract(&mut self, there: Cell<'a>, taken: Cell<'a>) -> Result<Cell<'a>> {
        let taken = taken.elements().unwrap_or_default();
        if matches!(there, Cell::Null) || taken.is_empty() {
            return Ok(there);
        }
        let mut keyed = self.keyed(there);
        taken.into_iter().for_each(|entry| keyed.remove(self.key(entry)));
        Ok(Cell::Keyed(keyed))
    }
}
