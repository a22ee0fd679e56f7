//! Key-hash index files: the hashes of the keys of one dynamic bucket.
//! Spec: `format-spec/bucket.md`, dynamic buckets.

use bytes::Bytes;

use super::IndexManifestEntry;
use crate::error::{Error, Result};

/// The bytes of a file: each hash as four bytes, big-endian, without a header.
pub fn encode_hash_index(hashes: &[i32]) -> Bytes {
    let mut bytes = Vec::with_capacity(hashes.len() * 4);
    hashes.iter().for_each(|hash| bytes.extend_from_slice(&hash.to_be_bytes()));
    Bytes::from(bytes)
}

/// The hashes of a file, checked against what its index manifest says of it.
///
/// # Errors
/// [`Error::Corrupt`] that names the file.
pub fn decode_hash_index<'a>(bytes: &'a [u8], file: &IndexManifestEntry) -> Result<impl Iterator<Item = i32> + 'a> {
    let (hashes, rest) = bytes.as_chunks::<4>();
    let counts =
        usize::try_from(file.row_count) == Ok(hashes.len()) && usize::try_from(file.file_size) == Ok(bytes.len());
    if !rest.is_empty() || !counts {
        return Err(Error::corrupt(
            &file.file_name,
            format!("{} bytes are not the {} key hashes that its entry tells", bytes.len(), file.row_count),
        ));
    }
    Ok(hashes.iter().map(|hash| i32::from_be_bytes(*hash)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::BinaryRow;

    fn entry(file_size: i64, row_count: i64) -> IndexManifestEntry {
        IndexManifestEntry {
            partition: BinaryRow::empty(),
            bucket: 0,
            index_type: "HASH".into(),
            file_name: "index-a".into(),
            file_size,
            row_count,
            deletion_vectors: None,
            external_path: None,
            global_index: None,
        }
    }

    #[test]
    fn hashes_are_big_endian_and_counted() {
        let bytes = encode_hash_index(&[0x5759_f99e, -771_300_025]);
        assert_eq!(bytes.as_ref(), [0x57, 0x59, 0xf9, 0x9e, 0xd2, 0x06, 0xe5, 0x47]);
        let hashes: Vec<i32> = decode_hash_index(&bytes, &entry(8, 2)).unwrap().collect();
        assert_eq!(hashes, [0x5759_f99e, -771_300_025]);
        for (length, size, rows) in [(7, 7, 2), (8, 8, 1), (8, 8, 3), (8, 12, 2), (0, 0, -1), (4, 4, i64::MAX)] {
            let damaged = decode_hash_index(&bytes[..length], &entry(size, rows));
            assert!(matches!(damaged.map(|_| ()), Err(Error::Corrupt { .. })), "{length} {size} {rows}");
        }
        assert_eq!(decode_hash_index(&[], &entry(0, 0)).unwrap().count(), 0);
    }
}
