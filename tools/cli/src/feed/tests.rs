//! Where commits are cut, how a rerun finds its place, and what bad bytes do.

use super::*;
use std::io::Write as _;

use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

fn columns() -> Columns {
    vec![("id".to_string(), DataType::INT.not_null()), ("s".to_string(), DataType::STRING)]
}

fn file(rows: std::ops::Range<u32>) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".jsonl").tempfile().unwrap();
    for id in rows {
        writeln!(file, "{{\"id\":{id},\"s\":\"row {id}\"}}").unwrap();
    }
    file
}

fn run(
    files: &[&tempfile::NamedTempFile],
    every: Option<u64>,
    resume: Option<Mark>,
) -> Result<(u64, Vec<Mark>), String> {
    let files: Vec<_> = files.iter().map(|file| file.path().to_path_buf()).collect();
    let sources = sources(&files, None).map_err(|_| "usage".to_string())?;
    let input = Input { sources, dialect: Dialect::default(), commit_every: every, resume };
    let (mut fed, _) = start(input, columns()).map_err(|_| "usage".to_string())?;
    let (mut rows, mut marks) = (0, Vec::new());
    while let Some(fed) = fed.blocking_recv() {
        match fed.map_err(|error| error.to_string())? {
            Fed::Piece(piece) => rows += piece.batch.num_rows() as u64,
            Fed::Boundary(mark) | Fed::End(mark) => marks.push(mark),
        }
    }
    Ok((rows, marks))
}

#[test]
fn commits_are_cut_by_rows_over_all_files_and_every_mark_leads_back() {
    let (a, b) = (file(0..25), file(25..47));
    let (rows, marks) = run(&[&a, &b], Some(10), None).unwrap();
    assert_eq!(rows, 47);
    assert_eq!(marks.iter().map(|mark| mark.rows).collect::<Vec<_>>(), [10, 20, 30, 40, 47]);
    for mark in &marks {
        let (rows, again) = run(&[&a, &b], Some(10), Some(*mark)).unwrap();
        assert_eq!(rows, 47 - mark.rows);
        assert_eq!(again.last(), marks.last());
    }
    // Another size of commits finds the same places.
    let (rows, again) = run(&[&a, &b], None, Some(marks[1])).unwrap();
    assert_eq!((rows, again), (27, vec![marks[4]]));
}

#[test]
fn another_input_is_not_taken_for_the_one_that_was_committed() {
    let (whole, shifted, short) = (file(0..30), file(1..31), file(0..5));
    let (_, marks) = run(&[&whole], Some(10), None).unwrap();
    assert!(run(&[&shifted], Some(10), Some(marks[0])).unwrap_err().contains("another input"));
    assert!(run(&[&short], Some(10), Some(marks[0])).unwrap_err().contains("another input"));
}

#[test]
fn a_corrupt_arrow_file_is_an_error_and_no_panic() {
    mute_panics();
    let batch = arrow_array::record_batch!(("id", Int32, [1, 2, 3]), ("s", Utf8, ["a", "bb", ""])).unwrap();
    let lz4 = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
    let mut stream = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), lz4).unwrap();
    stream.write(&batch).unwrap();
    let mut file = FileWriter::try_new(Vec::new(), &batch.schema()).unwrap();
    file.write(&batch).unwrap();
    let write = |bytes: &[u8]| {
        let mut file = tempfile::Builder::new().suffix(".arrow").tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    };
    for whole in [stream.into_inner().unwrap(), file.into_inner().unwrap()] {
        assert_eq!(run(&[&write(&whole)], None, None).unwrap().0, 3);
        let mut refused = 0;
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= [0x01, 0x80, 0xFF][at % 3];
            // Arrow has no checksums: a flipped value is a value.
            refused += usize::from(run(&[&write(&bytes)], None, None).is_err());
            // A file is whole without its footer.
            refused += usize::from(run(&[&write(&whole[..at])], None, None).is_err());
        }
        assert!(refused > whole.len() / 2, "{refused} of {}", whole.len());
    }
}

#[test]
fn an_input_that_has_grown_goes_on_behind_its_old_end() {
    let (old, new) = (file(0..30), file(0..42));
    let (_, marks) = run(&[&old], Some(20), None).unwrap();
    assert_eq!(run(&[&new], Some(20), marks.last().copied()).unwrap().0, 12);
}
