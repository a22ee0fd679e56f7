//! `rbm32`: the union of serialised Roaring bitmaps of 32 bits.

use roaring::RoaringBitmap;

use super::union::Set;
use crate::error::{Error, Result};

impl Set for RoaringBitmap {
    const NAME: &'static str = "Roaring bitmap";

    fn read(bytes: &[u8]) -> std::result::Result<Self, String> {
        Self::deserialize_from(bytes).map_err(|error| error.to_string())
    }

    fn with(self, later: Self) -> std::result::Result<Self, String> {
        Ok(self | later)
    }

    fn write(mut self) -> Result<Vec<u8>> {
        self.optimize();
        let mut bytes = Vec::with_capacity(self.serialized_size());
        self.serialize_into(&mut bytes).map_err(Error::from_io)?;
        Ok(bytes)
    }
}
