//! What each version does to a group of columns, and the one loop that lets a column follow it.

use super::Versions;
use crate::error::{Error, Result};

/// What a version does to a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Skip,
    /// The column takes the version's value, NULL too.
    Take,
    /// The version's value is added to what is there.
    Add,
    /// What is there is added to the version's value: an older version that came late.
    AddBefore,
    /// The version's value is taken back.
    Retract,
    /// The same for an older version that came late.
    RetractBefore,
    /// The column takes the version's value, and then it is taken back.
    TakeRetract,
}

/// How one column is folded. `C` is a cell: a value, or that there is none.
pub(super) trait Fold {
    /// A value or NULL.
    type Cell: Clone;

    /// NULL.
    fn null(&self) -> Self::Cell;

    /// A new key begins.
    fn begin(&mut self) {}

    /// What is there with what comes.
    fn add(&mut self, there: Self::Cell, comes: Self::Cell) -> Result<Self::Cell>;

    /// What is there with an older version that came late.
    fn add_before(&mut self, there: Self::Cell, comes: Self::Cell) -> Result<Self::Cell> {
        self.add(comes, there)
    }

    /// What is there without what is taken back. Functions without one are never asked.
    fn retract(&mut self, there: Self::Cell, taken: Self::Cell) -> Result<Self::Cell> {
        let _ = (there, taken);
        Err(Error::bug("a retraction came to a function that has none"))
    }

    /// The same for what came late.
    fn retract_before(&mut self, there: Self::Cell, taken: Self::Cell) -> Result<Self::Cell> {
        self.retract(there, taken)
    }
}

/// The cell of every key after all its versions.
pub(super) fn fold<F: Fold>(
    versions: &Versions<'_>,
    steps: &[Step],
    fold: &mut F,
    cell: impl Fn(usize) -> F::Cell,
) -> Result<Vec<F::Cell>> {
    let mut cells = Vec::with_capacity(versions.ends.len());
    for positions in versions.keys() {
        fold.begin();
        let mut there = fold.null();
        for position in positions {
            there = match steps[position] {
                Step::Skip => there,
                Step::Take => cell(position),
                Step::Add => fold.add(there, cell(position))?,
                Step::AddBefore => fold.add_before(there, cell(position))?,
                Step::Retract => fold.retract(there, cell(position))?,
                Step::RetractBefore => fold.retract_before(there, cell(position))?,
                Step::TakeRetract => fold.retract(cell(position), cell(position))?,
            };
        }
        cells.push(there);
    }
    Ok(cells)
}
