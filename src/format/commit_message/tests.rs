use super::*;
use crate::error::Error;
use crate::format::tests::samples::{full_file, int_row, plain_file};

fn message() -> CommitMessage {
    CommitMessage {
        partition: int_row(-1),
        bucket: 3,
        total_buckets: -1,
        new_files: vec![full_file("a"), plain_file("b")],
        changelog_files: vec![plain_file("c")],
        compact_before: vec![plain_file("b")],
        compact_after: vec![full_file("d")],
        compact_changelog: vec![full_file("e")],
    }
}

#[test]
fn a_message_travels_as_bytes() {
    let message = message();
    assert_eq!(CommitMessage::decode(&message.encode()).unwrap(), message);
    assert!(!message.is_empty());
    let nothing = CommitMessage {
        partition: BinaryRow::empty(),
        new_files: vec![],
        changelog_files: vec![],
        compact_before: vec![],
        compact_after: vec![],
        compact_changelog: vec![],
        ..message
    };
    assert!(nothing.is_empty());
    assert_eq!(CommitMessage::decode(&nothing.encode()).unwrap(), nothing);
}

#[test]
fn foreign_bytes_and_other_versions_are_refused() {
    let bytes = message().encode();
    for wrong in [b"".as_slice(), b"FBCM", b"FBCM\x01\0\0\0\0", &bytes[1..]] {
        assert!(matches!(CommitMessage::decode(wrong), Err(Error::Corrupt { .. })));
    }
    let mut encoder = envelope::begin(MAGIC, 2);
    encoder.long(1);
    assert!(matches!(CommitMessage::decode(&envelope::finish(encoder)), Err(Error::Unsupported(_))));
    let mut longer = envelope::begin(MAGIC, VERSION);
    longer.out.extend_from_slice(&bytes[5..bytes.len() - 4]);
    longer.long(0);
    assert!(matches!(CommitMessage::decode(&envelope::finish(longer)), Err(Error::Corrupt { .. })));
}
