//! Avro object containers, as far as Paimon's metadata uses them: read with the file's own schema by field name,
//! written with fixed schemas.
//!
//! Every length is checked against the bytes left and every block against a size limit before memory is taken.
//! Spec: `format-spec/avro.md`.

mod codec;
mod container;
mod cursor;
mod schema;
mod writer;

pub use codec::Codec;
pub(super) use container::Container;
pub(super) use cursor::Cursor;
pub(super) use schema::{NodeId, Record, Schema};
pub(super) use writer::{ContainerWriter, Encoder};

use crate::error::Error;

fn corrupt(what: impl Into<String>) -> Error {
    Error::corrupt("", what)
}

#[cfg(test)]
mod tests;
