//! `rbm32`: the union of serialised Roaring bitmaps of 32 bits.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BinaryArray};
use roaring::RoaringBitmap;

use crate::error::{Error, Result};
use crate::lsm::merge::steps::{Fold, Step, fold};
use crate::lsm::merge::{ColumnFrom, Versions};

pub(super) fn run(name: &str, versions: &Versions<'_>, place: usize, steps: &[Step]) -> Result<ColumnFrom> {
    let values = versions.column(place)?;
    let values = values.as_binary_opt::<i32>().ok_or_else(|| Error::bug("a column of bytes that holds none"))?;
    let cell = |position: usize| match values.is_valid(position) {
        true => Cell::Bytes(values.value(position)),
        false => Cell::Null,
    };
    let cells = fold(versions, steps, &mut Union { name }, cell)?;
    let bytes = cells.into_iter().map(Cell::into_bytes).collect::<Result<Vec<_>>>()?;
    Ok(ColumnFrom::Computed(Arc::new(BinaryArray::from_iter(bytes))))
}

#[derive(Clone)]
enum Cell<'a> {
    Null,
    /// Bytes as they came: what is alone is not decoded.
    Bytes(&'a [u8]),
    Bitmap(RoaringBitmap),
}

impl Cell<'_> {
    fn into_bytes(self) -> Result<Option<Vec<u8>>> {
        Ok(match self {
            Self::Null => None,
            Self::Bytes(bytes) => Some(bytes.to_vec()),
            Self::Bitmap(mut bitmap) => {
                bitmap.optimize();
                let mut bytes = Vec::with_capacity(bitmap.serialized_size());
                bitmap.serialize_into(&mut bytes).map_err(Error::from_io)?;
                Some(bytes)
            }
        })
    }
}

struct Union<'a> {
    name: &'a str,
}

impl<'a> Union<'a> {
    fn bitmap(&self, cell: Cell<'a>) -> Result<RoaringBitmap> {
        let Cell::Bytes(bytes) = cell else {
            return Ok(if let Cell::Bitmap(bitmap) = cell { bitmap } else { RoaringBitmap::new() });
        };
        RoaringBitmap::deserialize_from(bytes)
            .map_err(|error| Error::invalid(format!("column {:?}: no Roaring bitmap: {error}", self.name)))
    }
}

impl<'a> Fold for Union<'a> {
    type Cell = Cell<'a>;

    fn null(&self) -> Cell<'a> {
        Cell::Null
    }

    fn add(&mut self, there: Cell<'a>, comes: Cell<'a>) -> Result<Cell<'a>> {
        Ok(match (there, comes) {
            (Cell::Null, one) | (one, Cell::Null) => one,
            (there, comes) => Cell::Bitmap(self.bitmap(there)? | self.bitmap(comes)?),
        })
    }
}
