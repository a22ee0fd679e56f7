//! The metadata files of a table, and the values that travel.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use forebay::format::{
    BinaryRow, Codec, CommitMessage, CompactTask, Consumer, DeletionVectorRange, ExpiryNote, IndexManifestEntry,
    ManifestFilter, Snapshot, Split, Tag, decode_deletion_vector, decode_hash_index, decode_hint,
    decode_index_manifest, decode_index_manifest_for_rewrite, decode_manifest, decode_manifest_list, decode_schema,
    encode_hint, encode_index_manifest, encode_manifest, encode_manifest_list, encode_schema,
};
use forebay::schema::{TableOptions, Use};
use forebay::types::DataType;

use super::{Target, same};

pub(super) const TARGETS: [Target; 15] = [
    Target { name: "snapshot", run: snapshot },
    Target { name: "schema", run: schema },
    Target { name: "manifest-list", run: manifest_list },
    Target { name: "manifest", run: manifest },
    Target { name: "index-manifest", run: index_manifest },
    Target { name: "tag", run: tag },
    Target { name: "consumer", run: consumer },
    Target { name: "hint", run: hint },
    Target { name: "expiry-note", run: expiry_note },
    Target { name: "commit-message", run: commit_message },
    Target { name: "split", run: split },
    Target { name: "compact-task", run: compact_task },
    Target { name: "binary-row", run: binary_row },
    Target { name: "deletion-vector", run: deletion_vector },
    Target { name: "hash-index", run: hash_index },
];

const FILE: &str = "input";

fn snapshot(bytes: &[u8]) -> Result<(), String> {
    let Ok(value) = Snapshot::decode(bytes, FILE) else { return Ok(()) };
    same("snapshot", &value, value.encode().and_then(|bytes| Snapshot::decode(&bytes, FILE)))
}

fn schema(bytes: &[u8]) -> Result<(), String> {
    let Ok(value) = decode_schema(bytes, FILE) else { return Ok(()) };
    drop(TableOptions::checked(&value, Use::Write));
    same("schema", &value, encode_schema(&value).and_then(|bytes| decode_schema(&bytes, FILE)))
}

fn manifest_list(bytes: &[u8]) -> Result<(), String> {
    let Ok(value) = decode_manifest_list(bytes, FILE) else { return Ok(()) };
    let back = encode_manifest_list(&value, Codec::Null).and_then(|bytes| decode_manifest_list(&bytes, FILE));
    same("manifest list", &value, back)
}

fn manifest(bytes: &[u8]) -> Result<(), String> {
    // What a filter refuses is scanned alone.
    drop(decode_manifest(bytes, FILE, &ManifestFilter::new(&|head| head.bucket == 0)));
    let Ok(value) = decode_manifest(bytes, FILE, &ManifestFilter::ALL) else { return Ok(()) };
    let back = encode_manifest(&value, Codec::Null);
    same("manifest", &value, back.and_then(|bytes| decode_manifest(&bytes, FILE, &ManifestFilter::ALL)))
}

fn index_manifest(bytes: &[u8]) -> Result<(), String> {
    drop(decode_index_manifest(bytes, FILE));
    let Ok(value) = decode_index_manifest_for_rewrite(bytes, FILE) else { return Ok(()) };
    let back = encode_index_manifest(&value, Codec::Null);
    same("index manifest", &value, back.and_then(|bytes| decode_index_manifest_for_rewrite(&bytes, FILE)))
}

fn tag(bytes: &[u8]) -> Result<(), String> {
    let Ok(value) = Tag::decode(bytes, FILE) else { return Ok(()) };
    same("tag", &value, value.encode().and_then(|bytes| Tag::decode(&bytes, FILE)))
}

fn consumer(bytes: &[u8]) -> Result<(), String> {
    let Ok(value) = Consumer::decode(bytes, FILE) else { return Ok(()) };
    same("consumer", &value, value.encode().and_then(|bytes| Consumer::decode(&bytes, FILE)))
}

fn hint(bytes: &[u8]) -> Result<(), String> {
    let Some(id) = decode_hint(bytes) else { return Ok(()) };
    match decode_hint(&encode_hint(id)) {
        Some(back) if back == id => Ok(()),
        back => Err(format!("hint {id} came back as {back:?}")),
    }
}

fn expiry_note(bytes: &[u8]) -> Result<(), String> {
    let Ok(value) = ExpiryNote::decode(bytes, FILE) else { return Ok(()) };
    same("expiry note", &value, value.encode().and_then(|bytes| ExpiryNote::decode(&bytes, FILE)))
}

fn commit_message(bytes: &[u8]) -> Result<(), String> {
    let Ok(value) = CommitMessage::decode(&sealed(bytes)) else { return Ok(()) };
    same("commit message", &value, CommitMessage::decode(&value.encode()))
}

fn split(bytes: &[u8]) -> Result<(), String> {
    let Ok(value) = Split::decode(&sealed(bytes)) else { return Ok(()) };
    same("split", &value, Split::decode(&value.encode()))
}

fn compact_task(bytes: &[u8]) -> Result<(), String> {
    let Ok(value) = CompactTask::decode(&sealed(bytes)) else { return Ok(()) };
    same("compact task", &value, CompactTask::decode(&value.encode()))
}

/// The types that a row's bytes are read as; the rest of the input tells which.
fn row_types(arity: usize, seed: &[u8]) -> Vec<DataType> {
    let mut hasher = DefaultHasher::new();
    seed.hash(&mut hasher);
    let mut dice = hasher.finish();
    let all = [
        DataType::BOOLEAN,
        DataType::TINYINT,
        DataType::INT,
        DataType::BIGINT,
        DataType::DOUBLE,
        DataType::STRING,
        DataType::BYTES,
        DataType::DATE,
        DataType::decimal(10, 2),
        DataType::decimal(38, 9),
        DataType::timestamp(3),
        DataType::timestamp(9),
    ];
    let next = |_| {
        dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        all[(dice >> 33) as usize % all.len()].clone()
    };
    (0..arity).map(next).collect()
}

fn binary_row(bytes: &[u8]) -> Result<(), String> {
    let Ok(row) = BinaryRow::from_prefixed(Bytes::copy_from_slice(bytes)) else { return Ok(()) };
    let types = row_types(row.arity().min(64), bytes);
    let _ = row.hash();
    let Ok(values) = row.decode(&types) else { return Ok(()) };
    // Bytes that are no value of their type are told when they are encoded; what is encoded comes back.
    let Ok(again) = BinaryRow::encode(&values, &types) else { return Ok(()) };
    match again.decode(&types) {
        Ok(back) if format!("{back:?}") == format!("{values:?}") => Ok(()), // NaN is no equal of itself
        back => Err(format!("row {values:?} came back as {back:?}")),
    }
}

/// A vector within its frame, whose checksum is set right: what lies behind it is what is tried.
fn deletion_vector(bytes: &[u8]) -> Result<(), String> {
    let (Ok(length), true) = (i32::try_from(bytes.len()), bytes.len() >= 4) else { return Ok(()) };
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(bytes);
    framed.extend_from_slice(&crc32(bytes).to_be_bytes());
    for told in [length, length + 8] {
        let range = DeletionVectorRange { data_file: FILE.to_string(), offset: 1, length: told, cardinality: None };
        if let Ok(vector) = decode_deletion_vector(&framed, &range, FILE) {
            let rows = vector.iter().take(1000).filter(|row| !vector.is_masked(*row)).count();
            if rows > 0 {
                return Err(format!("{rows} rows of a vector are not masked by it"));
            }
        }
    }
    Ok(())
}

fn hash_index(bytes: &[u8]) -> Result<(), String> {
    let entry = IndexManifestEntry {
        partition: BinaryRow::empty(),
        bucket: 0,
        index_type: "HASH".to_string(),
        file_name: FILE.to_string(),
        file_size: bytes.len() as i64,
        row_count: bytes.len() as i64 / 4,
        deletion_vectors: None,
        external_path: None,
        global_index: None,
    };
    match decode_hash_index(bytes, &entry).map(Iterator::count) {
        Ok(count) if count != bytes.len() / 4 => Err("another number of hashes".to_string()),
        _ => Ok(()),
    }
}

/// The bytes of a travelling value with a checksum that fits.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let body = bytes.get(..bytes.len().saturating_sub(4)).unwrap_or_default();
    [body, &crc32(body).to_be_bytes()].concat()
}

/// The checksum of zip and of vectors.
fn crc32(bytes: &[u8]) -> u32 {
    let bit = |sum: u32, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 };
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), bit))
}
