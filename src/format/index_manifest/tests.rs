use super::*;
use crate::format::tests::samples::int_row;

fn entry(global_index: Option<Bytes>) -> IndexManifestEntry {
    let range =
        |name: &str, cardinality| DeletionVectorRange { data_file: name.into(), offset: 1, length: 26, cardinality };
    IndexManifestEntry {
        partition: int_row(1),
        bucket: -1,
        index_type: "DELETION_VECTORS".into(),
        file_name: "index-x".into(),
        file_size: 100,
        row_count: 2,
        deletion_vectors: Some(vec![range("data-a", Some(3)), range("data-b", None)]),
        external_path: Some("file:/x".into()),
        global_index,
    }
}

/// `_GLOBAL_INDEX` as Avro stores it.
fn global() -> Bytes {
    let mut encoder = Encoder::default();
    encoder.long(0);
    encoder.long(99);
    encoder.int(4);
    encoder.optional(Some(&[7, 8]), |encoder, ids| encoder.array(ids, |encoder, id| encoder.int(*id)));
    encoder.optional(Some(b"meta".as_slice()), Encoder::bytes);
    encoder.optional(None::<&[u8]>, Encoder::bytes);
    Bytes::from(encoder.out)
}

#[test]
fn what_is_not_understood_is_carried_through() {
    let mut hash = entry(None);
    hash.index_type = "HASH".into();
    hash.deletion_vectors = None;
    hash.external_path = None;
    let entries = [entry(Some(global())), hash];
    let bytes = encode_index_manifest(&entries, Codec::Zstandard).unwrap();
    assert_eq!(decode_index_manifest(&bytes, "x").unwrap(), entries);
    assert_eq!(decode_index_manifest_for_rewrite(&bytes, "x").unwrap(), entries);
    let broken = [entry(Some(Bytes::from_static(b"\x00")))];
    assert!(matches!(encode_index_manifest(&broken, Codec::Null), Err(Error::Invalid(_))));
}

#[test]
fn a_field_of_the_future_is_read_over_but_not_rewritten() {
    let bytes = encode_index_manifest(&[entry(Some(global()))], Codec::Null).unwrap();
    let mut future = bytes.to_vec();
    for name in [b"_CARDINALITY".as_slice(), b"_SOURCE_META", b"_EXTERNAL_PATH"] {
        let at = future.windows(name.len()).position(|window| window == name).unwrap();
        future[at + 1] = b'Z';
        assert!(decode_index_manifest(&future, "x").is_ok());
        let refused = decode_index_manifest_for_rewrite(&future, "x").unwrap_err();
        assert!(matches!(&refused, Error::Unsupported(what) if what.contains("_Z")), "{refused}");
        future = bytes.to_vec();
    }
}

#[test]
fn a_wrong_range_names_its_field() {
    let mut wrong = entry(None);
    wrong.deletion_vectors =
        Some(vec![DeletionVectorRange { data_file: "d".into(), offset: -1, length: 1, cardinality: None }]);
    let bytes = encode_index_manifest(&[wrong], Codec::Null).unwrap();
    let error = decode_index_manifest(&bytes, "index-manifest-x").unwrap_err().to_string();
    assert!(error.contains("f1") && error.contains("index-manifest-x"), "{error}");
}
