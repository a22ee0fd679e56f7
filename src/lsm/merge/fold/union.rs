//! Unions of serialised sketches and bitmaps: what is alone in its key stays as it came, byte for byte, and what meets
//! another is read, united and written once.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BinaryArray};

use crate::error::{Error, Result};
use crate::lsm::merge::steps::{Fold, Step, fold};
use crate::lsm::merge::{ColumnFrom, Versions};

/// A set that lies serialised in a column of bytes.
pub(super) trait Set: Clone + Sized {
    /// What it is called in errors.
    const NAME: &'static str;

    /// The set of serialised bytes, or why they are none.
    fn read(bytes: &[u8]) -> std::result::Result<Self, String>;

    /// This set with another that came after it.
    fn with(self, later: Self) -> std::result::Result<Self, String>;

    /// The bytes of the set.
    fn write(self) -> Result<Vec<u8>>;
}

/// The column of `name` after all versions of every key.
pub(super) fn run<S: Set>(name: &str, versions: &Versions<'_>, place: usize, steps: &[Step]) -> Result<ColumnFrom> {
    let values = versions.column(place)?;
    let values = values.as_binary_opt::<i32>().ok_or_else(|| Error::bug("a column of bytes that holds none"))?;
    let cell = |position: usize| match values.is_valid(position) {
        true => Cell::<S>::Bytes(values.value(position)),
        false => Cell::Null,
    };
    let cells = fold(versions, steps, &mut Union::<S> { name, of: PhantomData }, cell)?;
    let bytes = cells.into_iter().map(Cell::into_bytes).collect::<Result<Vec<_>>>()?;
    Ok(ColumnFrom::Computed(Arc::new(BinaryArray::from_iter(bytes))))
}

#[derive(Clone)]
enum Cell<'a, S> {
    Null,
    /// Bytes as they came.
    Bytes(&'a [u8]),
    Set(S),
}

impl<S: Set> Cell<'_, S> {
    fn into_bytes(self) -> Result<Option<Vec<u8>>> {
        Ok(match self {
            Self::Null => None,
            Self::Bytes(bytes) => Some(bytes.to_vec()),
            Self::Set(set) => Some(set.write()?),
        })
    }

    fn into_set(self) -> std::result::Result<S, String> {
        match self {
            Self::Null => Err("NULL is no set".to_string()),
            Self::Bytes(bytes) => S::read(bytes),
            Self::Set(set) => Ok(set),
        }
    }
}

struct Union<'a, S> {
    name: &'a str,
    of: PhantomData<S>,
}

impl<'a, S: Set> Fold for Union<'a, S> {
    type Cell = Cell<'a, S>;

    fn null(&self) -> Self::Cell {
        Cell::Null
    }

    fn add(&mut self, there: Self::Cell, comes: Self::Cell) -> Result<Self::Cell> {
        match (there, comes) {
            (Cell::Null, one) | (one, Cell::Null) => Ok(one),
            (there, comes) => {
                let united = there.into_set().and_then(|there| there.with(comes.into_set()?));
                united
                    .map(Cell::Set)
                    .map_err(|why| Error::invalid(format!("column {:?}: no {}: {why}", self.name, S::NAME)))
            }
        }
    }
}
