use super::*;
use crate::format::tests::samples::{entry, full_file, int_row, plain_file};

fn decode_all(bytes: &[u8]) -> Result<Vec<ManifestEntry>> {
    decode_manifest(bytes, "manifest-x", &ManifestFilter::ALL)
}

fn add(name: &str) -> ManifestEntry {
    entry(FileKind::Add, plain_file(name))
}

fn delete(name: &str) -> ManifestEntry {
    entry(FileKind::Delete, plain_file(name))
}

fn names(entries: &[ManifestEntry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.file.file_name.as_str()).collect()
}

#[test]
fn entries_read_back_whatever_they_hold() {
    let mut sequences = full_file("c");
    sequences.write_cols_sequences = Some(vec![1, -1]);
    for entries in
        [vec![], vec![add("a"), entry(FileKind::Delete, full_file("b"))], vec![entry(FileKind::Add, sequences)]]
    {
        for codec in [Codec::Null, Codec::Zstandard] {
            let bytes = encode_manifest(&entries, codec).unwrap();
            assert_eq!(decode_all(&bytes).unwrap(), entries);
        }
    }
}

#[test]
fn counts_of_nulls_that_repeat_are_kept_once() {
    let counts: [&[Option<i64>]; 6] =
        [&[Some(0), Some(0)], &[Some(0), Some(0)], &[Some(0)], &[], &[Some(0), None], &[Some(0), Some(0)]];
    let file = |(number, counts): (usize, &&[Option<i64>])| {
        let mut file = plain_file(&format!("data-{number}"));
        file.value_stats.null_counts = (*counts).into();
        entry(FileKind::Add, file)
    };
    let entries: Vec<ManifestEntry> = counts.iter().enumerate().map(file).collect();
    let read = decode_all(&encode_manifest(&entries, Codec::Null).unwrap()).unwrap();
    assert_eq!(read, entries);
    let kept = |at: usize| &read[at].file.value_stats.null_counts;
    assert!(Arc::ptr_eq(kept(0), kept(1)));
}

#[test]
fn the_21st_field_is_written_only_where_it_is_needed() {
    let plain = encode_manifest(&[add("a")], Codec::Null).unwrap();
    assert!(!String::from_utf8_lossy(&plain).contains("_WRITE_COLS_SEQUENCES"));
    let mut file = plain_file("a");
    file.write_cols_sequences = Some(vec![]);
    let with = encode_manifest(&[entry(FileKind::Add, file)], Codec::Null).unwrap();
    assert!(String::from_utf8_lossy(&with).contains("_WRITE_COLS_SEQUENCES"));
}

#[test]
fn a_filter_decides_before_a_file_is_decoded() {
    // The refused entry has a name that would be an error: it is never looked at.
    let mut entries = vec![add("a"), entry(FileKind::Add, full_file("b")), add("../c")];
    entries[2].bucket = 9;
    let bytes = encode_manifest(&entries, Codec::Null).unwrap();
    assert!(decode_all(&bytes).is_err());
    let keep = |head: &EntryHead<'_>| head.bucket == 2 && head.level == 5 && head.total_buckets == 4;
    let kept = decode_manifest(&bytes, "manifest-x", &ManifestFilter::new(&keep)).unwrap();
    assert_eq!(names(&kept), ["b"]);
    let none = |head: &EntryHead<'_>| head.kind == FileKind::Delete || *head.partition == int_row(8);
    assert!(decode_manifest(&bytes, "manifest-x", &ManifestFilter::new(&none)).unwrap().is_empty());
}

#[test]
fn names_that_leave_their_directory_are_corruption() {
    for name in ["../c", "a/b", "", "..", "a\nb"] {
        let mut file = plain_file("a");
        file.extra_files = vec![name.to_string()];
        for file in [plain_file(name), file] {
            let bytes = encode_manifest(&[entry(FileKind::Add, file)], Codec::Null).unwrap();
            let error = decode_all(&bytes).unwrap_err();
            assert!(
                matches!(&error, Error::Corrupt { file, what } if file == "manifest-x" && what.contains("record 0")),
                "{error}"
            );
        }
    }
}

#[test]
fn another_version_is_unsupported_and_wrong_numbers_are_corrupt() {
    let mut file = plain_file("a");
    file.file_size = -1;
    let error = decode_all(&encode_manifest(&[entry(FileKind::Add, file)], Codec::Null).unwrap()).unwrap_err();
    assert!(error.to_string().contains("_FILE_SIZE"), "{error}");
    let bytes = encode_manifest(&[add("a")], Codec::Null).unwrap();
    // The record begins with version 2 and kind 0: zigzag 4, 0.
    let record = Container::open(&bytes).unwrap().raw();
    let at = bytes.windows(record.len()).position(|window| window == record).unwrap();
    let change = |offset: usize, value: u8| {
        let mut copy = bytes.to_vec();
        copy[at + offset] = value;
        decode_all(&copy).unwrap_err()
    };
    assert!(matches!(change(0, 2), Error::Unsupported(_)));
    assert!(matches!(change(1, 4), Error::Corrupt { .. }));
}

#[test]
fn live_files_are_adds_that_no_delete_repeats() {
    assert_eq!(names(&merge_entries([add("a"), add("b"), delete("a"), add("c")])), ["b", "c"]);
    // A DELETE counts wherever it stands, even before its ADD.
    assert_eq!(names(&merge_entries([delete("a"), add("a")])), Vec::<&str>::new());
    let mut moved = add("a");
    Arc::make_mut(&mut moved.file).level = 5;
    assert_eq!(merge_entries([add("a"), delete("a"), moved.clone()]), [moved]);
}

#[test]
fn every_part_of_the_identifier_tells_files_apart() {
    let base = entry(FileKind::Add, full_file("a"));
    let mut others = vec![base.clone(); 7];
    others[0].partition = int_row(1);
    others[1].bucket += 1;
    Arc::make_mut(&mut others[2].file).level += 1;
    Arc::make_mut(&mut others[3].file).file_name.push('x');
    Arc::make_mut(&mut others[4].file).extra_files.pop();
    Arc::make_mut(&mut others[5].file).embedded_file_index = None;
    Arc::make_mut(&mut others[6].file).external_path = None;
    for mut other in others {
        assert_ne!(other.identifier(), base.identifier());
        other.kind = FileKind::Delete;
        assert_eq!(merge_entries([base.clone(), other]), std::slice::from_ref(&base));
    }
    // All else may differ.
    let mut same = base.clone();
    same.kind = FileKind::Delete;
    Arc::make_mut(&mut same.file).row_count = 0;
    same.total_buckets = 1;
    assert!(merge_entries([base, same]).is_empty());
}

#[test]
fn applying_a_commit_finds_lost_files_and_doubles() {
    let live = vec![add("a"), add("b")];
    assert_eq!(names(&apply_entries(live.clone(), &[delete("a"), add("c")]).unwrap()), ["b", "c"]);
    assert!(matches!(apply_entries(live.clone(), &[delete("x")]), Err(Error::Conflict(what)) if what.contains('x')));
    assert!(matches!(apply_entries(live.clone(), &[add("b")]), Err(Error::Conflict(_))));
    assert!(matches!(apply_entries(live.clone(), &[delete("a"), delete("a")]), Err(Error::Conflict(_))));
    assert_eq!(names(&apply_entries(live, &[delete("a"), add("a")]).unwrap()), ["b", "a"]);
}

#[test]
fn cancelling_keeps_deletes_of_files_added_elsewhere() {
    let entries = vec![add("a"), delete("x"), add("b"), delete("a")];
    let kept = cancel_entries(entries);
    assert_eq!(names(&kept), ["x", "b"]);
    assert_eq!(kept[0].kind, FileKind::Delete);
}

#[test]
fn a_large_manifest_is_decoded_in_parts_that_name_their_records() {
    let entries: Vec<ManifestEntry> = (0..6000).map(|at| add(&format!("data-{at}"))).collect();
    let bytes = encode_manifest(&entries, Codec::Null).unwrap();
    let parts = manifest_parts(&bytes, "manifest-x").unwrap();
    assert!(parts.len() > 2, "{} parts", parts.len());
    let part =
        |bytes: &[u8], part: &ManifestPart| decode_manifest_part(bytes, part, "manifest-x", &ManifestFilter::ALL);
    let read: Vec<ManifestEntry> = parts.iter().flat_map(|it| part(&bytes, it).unwrap()).collect();
    assert_eq!(read, entries);
    // A name that leads elsewhere, in the last part.
    let mut damaged = bytes.to_vec();
    let at = damaged.windows(9).rposition(|it| it == b"data-5999").unwrap();
    damaged[at] = b'/';
    let last = part(&damaged, parts.last().unwrap()).unwrap_err().to_string();
    assert!(last.contains("manifest-x") && last.contains("record 5999"), "{last}");
    assert!(part(&damaged, &parts[0]).is_ok());
    for cut in [bytes.len() - 1, bytes.len() - 20, bytes.len() / 2] {
        assert!(manifest_parts(&bytes[..cut], "manifest-x").is_err());
    }
    let none: [&ManifestEntry; 0] = [];
    assert!(manifest_parts(&encode_manifest(none, Codec::Null).unwrap(), "manifest-x").unwrap().is_empty());
}
