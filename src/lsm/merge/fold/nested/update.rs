//! `nested_update`: an array of rows as a small table, with a key of its own or without.

use arrow_array::{Array, ArrayRef};
use arrow_row::Rows;

use super::{Cell, Elements, Keyed, takes_back};
use crate::error::{Error, Result};
use crate::lsm::merge::steps::{Fold, Step, fold};
use crate::lsm::merge::{ColumnFrom, Versions};
use crate::schema::NullKeys;

/// What `nested_update` does with a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lsm::merge::fold) struct NestedUpdate {
    /// The fields that are the key; none: every row stays.
    pub key: Vec<usize>,
    /// What a NULL in a key does.
    pub nulls: NullKeys,
    /// The fields that tell which of two rows of a key is newer.
    pub sequence: Vec<usize>,
    /// The most rows that come to be.
    pub limit: usize,
}

impl NestedUpdate {
    pub(in crate::lsm::merge::fold) fn run(
        &self,
        name: &str,
        versions: &Versions<'_>,
        place: usize,
        steps: &[Step],
    ) -> Result<ColumnFrom> {
        let elements = Elements::of(versions.column(place)?)?;
        let keys = Keys::of(&elements, name, &self.key, self.nulls)?;
        let sequence = match self.sequence.is_empty() {
            true => None,
            false => Some(elements.field_rows(&self.sequence)?),
        };
        let rows = if keys.is_none() && takes_back(steps) { Some(elements.rows()?) } else { None };
        let mut updating = Updating {
            keys: keys.as_ref(),
            sequence: sequence.as_ref(),
            rows: rows.as_ref(),
            values: &elements.values,
            limit: self.limit,
        };
        let cells = fold(versions, steps, &mut updating, |position| elements.cell(position))?;
        Ok(ColumnFrom::Computed(elements.build(cells.into_iter().map(Cell::elements).collect())?))
    }
}

/// The keys of the rows in arrays.
pub(super) struct Keys {
    rows: Rows,
    /// For each row whether a field of its key is NULL.
    has_null: Vec<bool>,
    nulls: NullKeys,
    name: String,
}

impl Keys {
    /// The keys by these fields; `None` without fields.
    pub(super) fn of(elements: &Elements, name: &str, fields: &[usize], nulls: NullKeys) -> Result<Option<Self>> {
        use arrow_array::cast::AsArray;
        if fields.is_empty() {
            return Ok(None);
        }
        let rows = elements.values.as_struct();
        let is_null = |at: usize| fields.iter().any(|field| rows.column(*field).is_null(at));
        let has_null = (0..rows.len()).map(is_null).collect();
        Ok(Some(Self { rows: elements.field_rows(fields)?, has_null, nulls, name: name.to_string() }))
    }

    /// The key of a row; `None` for a row that is left out.
    pub(super) fn key(&self, element: u32) -> Result<Option<&[u8]>> {
        let element = element as usize;
        if self.has_null[element] {
            match self.nulls {
                NullKeys::Merge => {}
                NullKeys::Ignore => return Ok(None),
                NullKeys::Error => {
                    return Err(Error::invalid(format!(
                        "column {:?}: a row's nested key is NULL, which option fields.{}.nested-key-null-strategy = error refuses",
                        self.name, self.name
                    )));
                }
            }
        }
        Ok(Some(self.rows.row(element).data()))
    }
}

struct Updating<'a> {
    keys: Option<&'a Keys>,
    sequence: Option<&'a Rows>,
    rows: Option<&'a Rows>,
    values: &'a ArrayRef,
    limit: usize,
}

impl<'a> Updating<'a> {
    fn is_row(&self, element: u32) -> bool {
        self.values.is_valid(element as usize)
    }

    fn keyed(&self, keys: &'a Keys, cell: Cell<'a>) -> Result<Keyed<'a>> {
        if let Cell::Keyed(keyed) = cell {
            return Ok(keyed);
        }
        let mut keyed = Keyed::default();
        self.put_all(keys, &mut keyed, cell, usize::MAX)?;
        Ok(keyed)
    }

    /// Puts rows by their keys; new keys only up to a limit.
    fn put_all(&self, keys: &'a Keys, keyed: &mut Keyed<'a>, cell: Cell<'a>, limit: usize) -> Result<()> {
        for element in cell.elements().unwrap_or_default() {
            if !self.is_row(element) {
                continue;
            }
            let Some(key) = keys.key(element)? else { continue };
            let newer = match keyed.get(key) {
                Some(there) => self
                    .sequence
                    .is_none_or(|order| order.row(element as usize).data() >= order.row(there as usize).data()),
                None => keyed.len() < limit,
            };
            if newer {
                keyed.put(key, element);
            }
        }
        Ok(())
    }

    /// Rows without a key: all that are there, up to the limit.
    fn append(&self, there: Cell<'a>, comes: Cell<'a>) -> Cell<'a> {
        let fresh = |cell: Cell<'a>| -> Vec<u32> {
            cell.elements().unwrap_or_default().into_iter().filter(|element| self.is_row(*element)).collect()
        };
        let before = there.clone().elements().map_or(0, |elements| elements.len());
        if !matches!(there, Cell::Null) && before >= self.limit {
            return there;
        }
        let mut rows = fresh(there);
        rows.extend(fresh(comes).into_iter().take(self.limit - before.min(self.limit)));
        Cell::Picked(rows)
    }
}

impl<'a> Fold for Updating<'a> {
    type Cell = Cell<'a>;

    fn null(&self) -> Cell<'a> {
        Cell::Null
    }

    fn add(&mut self, there: Cell<'a>, comes: Cell<'a>) -> Result<Cell<'a>> {
        if matches!(comes, Cell::Null) {
            return Ok(there);
        }
        let Some(keys) = self.keys else { return Ok(self.append(there, comes)) };
        let mut keyed = self.keyed(keys, there)?;
        self.put_all(keys, &mut keyed, comes, self.limit)?;
        Ok(Cell::Keyed(keyed))
    }

    fn retract(&mut self, there: Cell<'a>, taken: Cell<'a>) -> Result<Cell<'a>> {
        if matches!(there, Cell::Null) || matches!(taken, Cell::Null) {
            return Ok(there);
        }
        let taken: Vec<u32> =
            taken.elements().unwrap_or_default().into_iter().filter(|element| self.is_row(*element)).collect();
        if let Some(keys) = self.keys {
            let mut keyed = self.keyed_as_it_is(keys, there)?;
            for element in taken {
                if let Some(key) = keys.key(element)? {
                    keyed.remove(key);
                }
            }
            return Ok(Cell::Keyed(keyed));
        }
        let rows = self.rows.ok_or_else(|| Error::bug("rows are compared that were not to be"))?;
        let row = |element: u32| rows.row(element as usize).data();
        let gone: std::collections::HashSet<&[u8]> = taken.into_iter().map(row).collect();
        let there = there.elements().unwrap_or_default().into_iter().filter(|element| self.is_row(*element));
        Ok(Cell::Picked(there.filter(|element| !gone.contains(row(*element))).collect()))
    }
}

impl<'a> Updating<'a> {
    /// The rows that are there by their keys, the last of each: a retraction does not ask for sequences.
    fn keyed_as_it_is(&self, keys: &'a Keys, cell: Cell<'a>) -> Result<Keyed<'a>> {
        if let Cell::Keyed(keyed) = cell {
            return Ok(keyed);
        }
        let mut keyed = Keyed::default();
        for element in cell.elements().unwrap_or_default().into_iter().filter(|element| self.is_row(*element)) {
            if let Some(key) = keys.key(element)? {
                keyed.put(key, element);
            }
        }
        Ok(keyed)
    }
}
