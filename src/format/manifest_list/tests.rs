use super::*;
use crate::format::tests::samples::int_row;

fn manifest(name: &str) -> ManifestFileMeta {
    ManifestFileMeta {
        file_name: name.to_string(),
        file_size: 1,
        num_added_files: 2,
        num_deleted_files: 3,
        partition_stats: SimpleStats { min: int_row(1), max: int_row(2), null_counts: [Some(0)].into() },
        schema_id: 4,
        min_bucket: Some(-2),
        max_bucket: Some(7),
        min_level: Some(0),
        max_level: None,
        min_row_id: Some(5),
        max_row_id: None,
    }
}

#[test]
fn a_list_reads_back() {
    for list in [vec![], vec![manifest("manifest-a"), manifest("manifest-b")]] {
        let bytes = encode_manifest_list(&list, Codec::Zstandard).unwrap();
        assert_eq!(decode_manifest_list(&bytes, "manifest-list-x").unwrap(), list);
    }
}

#[test]
fn wrong_names_and_numbers_name_the_field() {
    let mut up = manifest("../a");
    up.max_level = Some(1);
    let mut negative = manifest("a");
    negative.num_added_files = -1;
    for (wrong, word) in [(up, "manifest name"), (negative, "_NUM_ADDED_FILES")] {
        let bytes = encode_manifest_list(&[manifest("a"), wrong], Codec::Null).unwrap();
        let error = decode_manifest_list(&bytes, "manifest-list-x").unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("manifest-list-x") && error.contains("record 1"), "{error}");
    }
}

#[test]
fn a_manifest_is_no_manifest_list() {
    let bytes = crate::format::encode_manifest(&[], Codec::Null).unwrap();
    assert!(matches!(decode_manifest_list(&bytes, "x"), Err(Error::Corrupt { .. })));
}
