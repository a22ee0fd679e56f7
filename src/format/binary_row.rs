//! BinaryRow: the encoding of keys, partitions and statistics, and what is hashed for a bucket.
//! Spec: `format-spec/binary-row.md`.

use bytes::Bytes;

/// A row in Paimon's binary form, with its arity prefix as files store it: `int32 big-endian arity | little-endian row`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BinaryRow {
    bytes: Bytes,
}
