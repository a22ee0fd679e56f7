use super::*;
use crate::error::Error;
use crate::format::DeletionVectorRange;
use crate::format::tests::samples::{full_file, int_row, plain_file};

#[test]
fn a_split_travels_as_bytes() {
    for (raw, changes) in [(true, false), (false, true)] {
        let split = Split {
            snapshot_id: i64::MAX,
            schema_id: 2,
            partition: int_row(5),
            bucket: -2,
            files: vec![full_file("a").into(), plain_file("b").into()],
            vectors: vec![vectors_of("a")],
            raw,
            changes,
        };
        let bytes = split.encode();
        assert_eq!(Split::decode(&bytes).unwrap(), split);
        assert!(matches!(Split::decode(&bytes[..bytes.len() - 1]), Err(Error::Corrupt { .. })));
        assert!(matches!(crate::format::CommitMessage::decode(&bytes), Err(Error::Corrupt { .. })));
    }
}

fn vectors_of(data_file: &str) -> IndexManifestEntry {
    let range = DeletionVectorRange { data_file: data_file.to_string(), offset: 1, length: 26, cardinality: None };
    IndexManifestEntry {
        partition: int_row(5),
        bucket: -2,
        index_type: IndexManifestEntry::DELETION_VECTORS.to_string(),
        file_name: "index-a".to_string(),
        file_size: 35,
        row_count: 1,
        deletion_vectors: Some(vec![range]),
        external_path: None,
        global_index: None,
    }
}
