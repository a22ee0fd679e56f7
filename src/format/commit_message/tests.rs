use super::*;
use crate::error::Error;
use crate::format::DeletionVectorRange;
use crate::format::tests::samples::{full_file, int_row, plain_file};

fn index(index_type: &str, name: &str, deletion_vectors: Option<Vec<DeletionVectorRange>>) -> IndexFile {
    IndexFile {
        partition: int_row(-1),
        bucket: 3,
        index_type: index_type.into(),
        file_name: name.into(),
        file_size: 8,
        row_count: 2,
        deletion_vectors,
        external_path: (name == "l").then(|| "s3://else/where".into()),
        global_index: None,
    }
}

fn message() -> CommitMessage {
    let range = DeletionVectorRange { data_file: "a".into(), offset: 1, length: 20, cardinality: None };
    CommitMessage {
        partition: int_row(-1),
        bucket: 3,
        total_buckets: -1,
        new_files: vec![full_file("a"), plain_file("b")],
        changelog_files: vec![plain_file("c")],
        compact_before: vec![plain_file("b")],
        compact_after: vec![full_file("d")],
        compact_changelog: vec![full_file("e")],
        deleted_files: vec![full_file("f")],
        new_index: vec![index("HASH", "i", None)],
        deleted_index: vec![index("HASH", "j", None)],
        compact_new_index: vec![index("DELETION_VECTORS", "k", Some(vec![range])), index("X", "l", None)],
        compact_deleted_index: vec![index("DELETION_VECTORS", "m", Some(vec![]))],
        index_read: Some(IndexRead { assigner: 1, assigners: 3, files: vec!["j".into(), "n".into()] }),
        base_snapshot: Some(12),
    }
}

#[test]
fn a_message_travels_as_bytes() {
    let message = message();
    assert_eq!(CommitMessage::decode(&message.encode()).unwrap(), message);
    assert!(!message.is_empty());
    let nothing = CommitMessage::new(BinaryRow::empty(), 3, -1);
    assert!(nothing.is_empty());
    assert_eq!(CommitMessage::decode(&nothing.encode()).unwrap(), nothing);
}

#[test]
fn foreign_bytes_and_other_versions_are_refused() {
    let bytes = message().encode();
    for wrong in [b"".as_slice(), b"FBCM", b"FBCM\x01\0\0\0\0", &bytes[1..]] {
        assert!(matches!(CommitMessage::decode(wrong), Err(Error::Corrupt { .. })));
    }
    let mut encoder = envelope::begin(MAGIC, VERSION + 1);
    encoder.long(1);
    assert!(matches!(CommitMessage::decode(&envelope::finish(encoder)), Err(Error::Unsupported(_))));
    let mut longer = envelope::begin(MAGIC, VERSION);
    longer.out.extend_from_slice(&bytes[5..bytes.len() - 4]);
    longer.long(0);
    assert!(matches!(CommitMessage::decode(&envelope::finish(longer)), Err(Error::Corrupt { .. })));
}

#[test]
fn messages_of_version_1_are_still_understood() {
    let old = CommitMessage {
        new_files: vec![full_file("a")],
        compact_after: vec![plain_file("b")],
        ..CommitMessage::new(int_row(7), 3, 4)
    };
    let mut encoder = envelope::begin(MAGIC, 1);
    encoder.bytes(old.partition.prefixed());
    encoder.int(old.bucket);
    encoder.int(old.total_buckets);
    old.files()[..5].iter().for_each(|files| envelope::put_files(&mut encoder, files));
    assert_eq!(CommitMessage::decode(&envelope::finish(encoder)).unwrap(), old);
}

#[test]
fn a_message_that_changes_only_index_files_is_not_empty() {
    let none = || CommitMessage::new(int_row(-1), 3, -1);
    let file = || vec![index("HASH", "i", None)];
    assert!(!CommitMessage { new_index: file(), ..none() }.is_empty());
    assert!(!CommitMessage { compact_deleted_index: file(), ..none() }.is_empty());
    assert!(CommitMessage { index_read: Some(IndexRead::default()), ..none() }.is_empty());
}
