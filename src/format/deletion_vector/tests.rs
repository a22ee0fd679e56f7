use super::*;
use crate::format::tests::files_in;
use crate::format::{IndexManifestEntry, decode_index_manifest};
use proptest::prelude::*;

fn vector(rows: &[u32]) -> DeletionVector {
    rows.iter().copied().collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

const JAVA_32: &str = "01 0000001a 5e43f2d0 3a300000 01000000 0000 0200 10000000 0500 0700 0900 4bd40ba6";
const JAVA_64: &str =
    "01 00000026 d1d33964 0100000000000000 00000000 3a300000 01000000 0000 0200 10000000 0500 0700 0900 e2d8c774";

#[test]
fn both_forms_are_the_bytes_of_java() {
    for (form, java, length) in [(VectorForm::Bits32, JAVA_32, 26), (VectorForm::Bits64, JAVA_64, 46)] {
        let masked = vector(&[5, 7, 9]);
        let (bytes, ranges) = encode_deletion_vectors([("data-a", &masked)], form).unwrap();
        assert_eq!(bytes, unhex(java), "{form:?}");
        assert_eq!((ranges[0].offset, ranges[0].length, ranges[0].cardinality), (1, length, Some(3)), "{form:?}");
        assert_eq!(decode_deletion_vectors(&bytes, &ranges, "x").unwrap(), [masked], "{form:?}");
    }
}

#[test]
fn every_index_file_of_java_is_written_again_byte_for_byte() {
    let root = std::env::var_os("FOREBAY_GOLDENS").map_or_else(
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
        std::path::PathBuf::from,
    );
    let mut seen = 0;
    for table in std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path().join("table")) {
        for (name, bytes) in files_in(&table.join("manifest")) {
            if name.starts_with("index-manifest") {
                let entries = decode_index_manifest(&bytes, &name).unwrap();
                seen += entries.iter().map(|entry| writes_again(&table, entry)).sum::<usize>();
            }
        }
    }
    println!("{seen} index files");
    assert!(seen > 0);
}

fn writes_again(table: &std::path::Path, entry: &IndexManifestEntry) -> usize {
    let path = table.join("index").join(&entry.file_name);
    let (Some(ranges), true) = (&entry.deletion_vectors, path.is_file()) else { return 0 };
    let bytes = std::fs::read(&path).unwrap();
    let vectors = decode_deletion_vectors(&bytes, ranges, &entry.file_name).unwrap();
    let named = ranges.iter().map(|range| range.data_file.as_str()).zip(&vectors);
    let form = if bytes.get(5) == Some(&0xd1) { VectorForm::Bits64 } else { VectorForm::Bits32 };
    let again = encode_deletion_vectors(named, form).unwrap();
    assert_eq!((again.0.as_ref(), &again.1), (bytes.as_slice(), ranges), "{}", path.display());
    1
}

#[test]
fn containers_of_each_kind_are_optimised_as_java_does() {
    // Cookie of a file with runs, cookie of one without; an array of 4096, a bitmap of more.
    for (rows, cookie, size) in [
        ((0..100).collect::<Vec<u32>>(), 0x3b, 4 + 1 + 4 + 2 + 4),
        ((0..4096).map(|row| row * 2).collect(), 0x3a, 8 + 8 + 8192),
        ((0..4097).map(|row| row * 2).collect(), 0x3a, 8 + 8 + 8192),
        ((0..13).map(|row| row / 2 * 5 + row % 2).collect(), 0x3a, 8 + 8 + 26),
    ] {
        let (bytes, ranges) = encode_deletion_vectors([("a", &vector(&rows))], VectorForm::Bits32).unwrap();
        assert_eq!((bytes[9], ranges[0].length), (cookie, 4 + size), "{} rows", rows.len());
    }
}

#[test]
fn a_vector_that_is_not_as_told_is_named() {
    let whole = unhex(JAVA_32);
    let range = |offset, length, cardinality| {
        [DeletionVectorRange { data_file: "data-a".to_string(), offset, length, cardinality }]
    };
    let refused = |bytes: &[u8], ranges: &[DeletionVectorRange]| {
        let error = decode_deletion_vectors(bytes, ranges, "index-a").unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. } | Error::Unsupported(_)), "{error}");
        error.to_string()
    };
    assert!(decode_deletion_vectors(&whole, &range(1, 26, None), "index-a").is_ok());
    let text = refused(&whole, &range(1, 26, Some(4)));
    assert!(text.contains("index-a") && text.contains("data-a") && text.contains("_CARDINALITY"), "{text}");
    assert!(refused(&whole, &range(1, 27, None)).contains("its range tells 27"));
    assert!(refused(&whole, &range(99, 26, None)).contains("offset 99"));
    assert!(refused(&[], &range(1, 26, None)).contains("version"));
    assert!(refused(&[2], &[]).contains("version 2"));
    let mut flipped = whole.clone();
    flipped[30] ^= 1;
    assert!(refused(&flipped, &range(1, 26, None)).contains("checksum"));
    let mut other = unhex(JAVA_32);
    other[5] = 0;
    let sum = crc32(&other[5..31]).to_be_bytes();
    other[31..].copy_from_slice(&sum);
    assert!(refused(&other, &range(1, 26, None)).contains("magic"));
}

#[test]
fn rows_that_no_file_has_are_refused() {
    assert!(matches!(DeletionVector::new().mask(1 << 32), Err(Error::Unsupported(_))));
    let last = vector(&[u32::MAX]);
    assert!(encode_deletion_vectors([("a", &last)], VectorForm::Bits32).is_err());
    let (bytes, ranges) = encode_deletion_vectors([("a", &last)], VectorForm::Bits64).unwrap();
    assert_eq!(decode_deletion_vectors(&bytes, &ranges, "x").unwrap(), [last]);
}

#[test]
fn ranges_begin_where_they_are_asked_for() {
    let masked = vector(&[1, 2, 3, 9, 10, 20]);
    let from = |start| masked.ranges_from(start).collect::<Vec<_>>();
    assert_eq!(from(0), [1..4, 9..11, 20..21]);
    assert_eq!(from(2), [2..4, 9..11, 20..21]);
    assert_eq!(from(11), vec![20..21]);
    assert!(from(21).is_empty() && from(u64::MAX).is_empty());
}

#[test]
fn many_vectors_of_one_file_are_told_apart() {
    let vectors = [vector(&[1]), DeletionVector::new(), (0..70_000).collect(), vector(&[3, 65_536, 1 << 20])];
    for form in [VectorForm::Bits32, VectorForm::Bits64] {
        let named = ["a", "b", "c", "d"].into_iter().zip(&vectors);
        let (bytes, ranges) = encode_deletion_vectors(named, form).unwrap();
        assert_eq!(decode_deletion_vectors(&bytes, &ranges, "x").unwrap(), vectors, "{form:?}");
        for (range, vector) in ranges.iter().zip(&vectors) {
            let found = range.bytes(bytes.len() as u64);
            let slice = &bytes[found.start as usize..found.end as usize];
            assert_eq!(&decode_deletion_vector(slice, range, "x").unwrap(), vector, "{form:?}");
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(data in prop::collection::vec(any::<u8>(), 0..200), wide: bool) {
        let mut bytes = vec![VERSION];
        let magic = if wide { MAGIC_64 } else { MAGIC_32 };
        let body = [magic.as_slice(), &data].concat();
        bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&crc32(&body).to_be_bytes());
        let length = body.len() as i32 + if wide { 8 } else { 0 };
        let range = DeletionVectorRange { data_file: "a".to_string(), offset: 1, length, cardinality: None };
        if let Ok(vectors) = decode_deletion_vectors(&bytes, std::slice::from_ref(&range), "x") {
            let again = encode_deletion_vectors([("a", &vectors[0])], VectorForm::Bits64).unwrap();
            prop_assert_eq!(decode_deletion_vectors(&again.0, &again.1, "x").unwrap(), vectors);
        }
    }
}
