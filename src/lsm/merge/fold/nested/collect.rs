//! `collect`: the elements of all arrays, each once with `distinct`.

use std::collections::{HashMap, HashSet};

use arrow_row::Rows;
use arrow_schema::DataType as ArrowType;

use super::{Cell, Elements, takes_back};
use crate::error::{Error, Result};
use crate::lsm::merge::steps::{Fold, Step, fold};
use crate::lsm::merge::{ColumnFrom, Versions};

/// What `collect` does with a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::lsm::merge::fold) struct Collect {
    /// Each element once.
    pub distinct: bool,
}

impl Collect {
    pub(in crate::lsm::merge::fold) fn run(
        &self,
        versions: &Versions<'_>,
        place: usize,
        steps: &[Step],
    ) -> Result<ColumnFrom> {
        let elements = Elements::of(versions.column(place)?)?;
        let rows = if self.distinct || takes_back(steps) { Some(elements.rows()?) } else { None };
        // What has parts, and bytes, is compared one by one by Java, which then trusts what is there to be distinct.
        let trusts = matches!(
            elements.values.data_type(),
            ArrowType::List(_) | ArrowType::Map(..) | ArrowType::Struct(_) | ArrowType::Binary
        );
        let mut collecting = Collecting { rows: rows.as_ref(), distinct: self.distinct, trusts };
        let cells = fold(versions, steps, &mut collecting, |position| elements.cell(position))?;
        Ok(ColumnFrom::Computed(elements.build(cells.into_iter().map(Cell::elements).collect())?))
    }
}

struct Collecting<'a> {
    rows: Option<&'a Rows>,
    distinct: bool,
    trusts: bool,
}

impl<'a> Collecting<'a> {
    fn key(&self, element: u32) -> Result<&'a [u8]> {
        let rows = self.rows.ok_or_else(|| Error::bug("elements are compared that were not to be"))?;
        Ok(rows.row(element as usize).data())
    }
}

impl<'a> Fold for Collecting<'a> {
    type Cell = Cell<'a>;

    fn null(&self) -> Cell<'a> {
        Cell::Null
    }

    fn add(&mut self, there: Cell<'a>, comes: Cell<'a>) -> Result<Cell<'a>> {
        match (&there, &comes) {
            (Cell::Null, Cell::Null) => return Ok(Cell::Null),
            (Cell::Null, _) if !self.distinct => return Ok(comes),
            (_, Cell::Null) if !self.distinct => return Ok(there),
            _ => {}
        }
        let mut picked = there.elements().unwrap_or_default();
        let comes = comes.elements().unwrap_or_default();
        if !self.distinct {
            picked.extend(comes);
            return Ok(Cell::Picked(picked));
        }
        let mut seen = HashSet::with_capacity(picked.len() + comes.len());
        let mut kept = Vec::with_capacity(picked.len() + comes.len());
        for element in picked {
            if seen.insert(self.key(element)?) || self.trusts {
                kept.push(element);
            }
        }
        for element in comes {
            if seen.insert(self.key(element)?) {
                kept.push(element);
            }
        }
        Ok(Cell::Picked(kept))
    }

    /// What came late is added as what came in time.
    fn add_before(&mut self, there: Cell<'a>, comes: Cell<'a>) -> Result<Cell<'a>> {
        self.add(there, comes)
    }

    fn retract(&mut self, there: Cell<'a>, taken: Cell<'a>) -> Result<Cell<'a>> {
        let (Some(picked), Some(taken)) = (there.clone().elements(), taken.elements()) else { return Ok(there) };
        if taken.is_empty() {
            return Ok(there);
        }
        let mut left: HashMap<&[u8], usize> = HashMap::new();
        for element in taken {
            *left.entry(self.key(element)?).or_default() += 1;
        }
        let mut kept = Vec::with_capacity(picked.len());
        for element in picked {
            match left.get_mut(self.key(element)?) {
                Some(count) if *count > 0 => *count -= 1,
                _ => kept.push(element),
            }
        }
        Ok(Cell::Picked(kept))
    }
}
