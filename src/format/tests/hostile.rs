//! Every byte flipped and every length cut: a value or an error, never a panic, a hang or a large allocation.

use super::samples::{entry, full_file, int_row, plain_file};
use super::{committed, files_in};
use crate::format::*;

/// Decodes all damaged forms of some bytes. Decoding an intact copy must work, or the test would prove nothing.
fn damage(bytes: &[u8], decode: impl Fn(&[u8]) -> bool) {
    assert!(decode(bytes), "the intact bytes do not decode");
    for length in 0..bytes.len() {
        decode(&bytes[..length]);
    }
    let mut copy = bytes.to_vec();
    for at in 0..bytes.len() {
        for mask in [0x01, 0x80, 0xff] {
            copy[at] ^= mask;
            decode(&copy);
            copy[at] ^= mask;
        }
    }
}

fn decode_everywhere(name: &str) -> impl Fn(&[u8]) -> bool {
    let name = name.to_string();
    move |bytes| {
        if name.starts_with("index-manifest") {
            decode_index_manifest(bytes, &name).is_ok() && decode_index_manifest_for_rewrite(bytes, &name).is_ok()
        } else if name.starts_with("manifest-list") {
            decode_manifest_list(bytes, &name).is_ok()
        } else if name.starts_with("manifest") {
            decode_manifest(bytes, &name, &ManifestFilter::ALL).is_ok()
        } else if name.starts_with("schema") {
            decode_schema(bytes, &name).is_ok()
        } else if name.starts_with("snapshot") {
            Snapshot::decode(bytes, &name).is_ok()
        } else if name.starts_with("tag") {
            Tag::decode(bytes, &name).is_ok()
        } else {
            decode_hint(bytes).is_some()
        }
    }
}

#[test]
fn a_damaged_file_of_java_does_no_harm() {
    let mut kinds = 0;
    for (table, directory, prefix) in [
        ("dedup_all_types", "manifest", "manifest-list-"),
        ("dedup_all_types", "manifest", "manifest-"),
        ("append_dv", "manifest", "index-manifest-"),
        ("dedup_all_types", "schema", "schema-"),
        ("dedup_all_types", "snapshot", "snapshot-"),
        ("dedup_all_types", "snapshot", "LATEST"),
        ("tags_expire", "tag", "tag-"),
    ] {
        let files = files_in(&committed().join(table).join("table").join(directory));
        let plain = |name: &str| prefix != "manifest-" || !name.starts_with("manifest-list");
        let (name, bytes) = files.into_iter().rfind(|(name, _)| name.starts_with(prefix) && plain(name)).unwrap();
        damage(&bytes, decode_everywhere(&name));
        kinds += 1;
    }
    assert_eq!(kinds, 7);
}

#[test]
fn damaged_records_behind_an_intact_header_do_no_harm() {
    // Without compression the damage reaches the records. Header and schema text are damaged in the test above.
    let records = |bytes: bytes::Bytes, name: &'static str| {
        let decode = decode_everywhere(name);
        assert!(decode(&bytes));
        let header = bytes.windows(4).rposition(|window| window == b"null").unwrap();
        let mut copy = bytes.to_vec();
        for at in header..bytes.len() {
            for mask in [0x01, 0x02, 0x04, 0x10, 0x40, 0x80, 0x7f, 0xff] {
                copy[at] ^= mask;
                decode(&copy);
                copy[at] ^= mask;
            }
        }
    };
    let entries = [entry(FileKind::Add, full_file("a")), entry(FileKind::Delete, plain_file("b"))];
    records(encode_manifest(&entries, Codec::Null).unwrap(), "manifest-x");
    let index = IndexManifestEntry {
        partition: int_row(1),
        bucket: 0,
        index_type: "DELETION_VECTORS".into(),
        file_name: "index-x".into(),
        file_size: 10,
        row_count: 1,
        deletion_vectors: Some(vec![DeletionVectorRange {
            data_file: "data-x".into(),
            offset: 1,
            length: 20,
            cardinality: Some(3),
        }]),
        external_path: None,
        global_index: None,
    };
    records(encode_index_manifest(&[index], Codec::Null).unwrap(), "index-manifest-x");
}

#[test]
fn damaged_envelopes_are_refused() {
    let message = CommitMessage {
        partition: int_row(1),
        bucket: 3,
        total_buckets: 4,
        new_files: vec![full_file("a"), plain_file("b")],
        changelog_files: vec![],
        compact_before: vec![plain_file("b")],
        compact_after: vec![],
        compact_changelog: vec![],
        ..CommitMessage::new(BinaryRow::empty(), 0, 0)
    };
    let bytes = message.encode();
    assert_eq!(CommitMessage::decode(&bytes).unwrap(), message);
    for at in 0..bytes.len() {
        let mut copy = bytes.to_vec();
        copy[at] ^= 0x10;
        assert!(CommitMessage::decode(&copy).is_err(), "byte {at}");
        assert!(CommitMessage::decode(&bytes[..at]).is_err(), "length {at}");
        // Behind a checksum that fits, the fields must hold for themselves.
        let sum = bytes.len() - 4;
        if at < sum {
            let mut crc = flate2::Crc::new();
            crc.update(&copy[..sum]);
            copy[sum..].copy_from_slice(&crc.sum().to_be_bytes());
            let _ = CommitMessage::decode(&copy);
            let _ = Split::decode(&copy);
        }
    }
}
