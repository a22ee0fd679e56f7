//! Avro object containers: read with the file's own schema by field name. Metadata files are read and written here
//! whole; data files, which [`crate::files`] reads block by block, share the header, the codecs, the cursor and the
//! schema.
//!
//! Every length is checked against the bytes left and every block against a size limit before memory is taken.
//! Spec: `format-spec/avro.md`.

mod codec;
mod container;
mod cursor;
mod schema;
mod writer;

pub use codec::Codec;
pub(super) use container::{BlockRange, Container};
pub(crate) use container::{Header, MAX_HEADER};
pub(crate) use cursor::Cursor;
pub(super) use schema::Record;
pub(crate) use schema::{Logical, Node, NodeId, Schema};
pub(super) use writer::ContainerWriter;
pub(crate) use writer::{BLOCK_SIZE, Encoder, container_header};

use crate::error::Error;

fn corrupt(what: impl Into<String>) -> Error {
    Error::corrupt("", what)
}

#[cfg(test)]
mod tests;
