use super::*;
use crate::format::tests::samples::plain_file;

fn text(value: &str) -> Datum {
    Datum::String(value.to_string())
}

fn stats(data_type: DataType, min: Datum, max: Datum) -> ColumnStats {
    ColumnStats { data_type, min, max, null_count: Some(3) }
}

fn cut(min: &str, max: &str, length: usize) -> (Datum, Datum) {
    let kept = reduce_stats(StatsMode::Truncate(length), &stats(DataType::STRING, text(min), text(max))).unwrap();
    assert_eq!(kept.null_count, Some(3));
    (kept.min, kept.max)
}

#[test]
fn modes_have_names() {
    for (name, mode) in [
        ("none", StatsMode::None),
        ("COUNTS", StatsMode::Counts),
        ("full", StatsMode::Full),
        ("truncate(16)", StatsMode::Truncate(16)),
        ("Truncate(128)", StatsMode::Truncate(128)),
    ] {
        assert_eq!(StatsMode::parse(name).unwrap(), mode);
    }
    for wrong in ["", "truncate", "truncate()", "truncate(0)", "truncate(-1)", "truncate(1", "some"] {
        assert!(StatsMode::parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn long_texts_are_cut_by_characters_and_the_maximum_is_raised() {
    assert_eq!(cut("abc", "abcd", 4), (text("abc"), text("abcd")));
    assert_eq!(cut("abcde", "abcde", 3), (text("abc"), text("abd")));
    assert_eq!(cut("日本語", "日本語", 2), (text("日本"), text("日\u{672d}")));
    // The last character is the largest there is: the one before is raised.
    assert_eq!(cut("a", "a\u{10ffff}b", 2), (text("a"), text("b")));
    assert_eq!(cut("a", "a\u{d7ff}b", 2), (text("a"), text("a\u{e000}")));
    // Nothing can be raised: no bounds at all.
    assert_eq!(cut("a", "\u{10ffff}\u{10ffff}b", 2), (Datum::Null, Datum::Null));
}

#[test]
fn long_bytes_are_cut_by_bytes() {
    let cut = |max: &[u8]| {
        let kept = stats(DataType::BYTES, Datum::Bytes(vec![1, 2, 3]), Datum::Bytes(max.to_vec()));
        let kept = reduce_stats(StatsMode::Truncate(2), &kept).unwrap();
        (kept.min, kept.max)
    };
    let bytes = |bytes: &[u8]| Datum::Bytes(bytes.to_vec());
    assert_eq!(cut(&[7, 8]), (bytes(&[1, 2]), bytes(&[7, 8])));
    assert_eq!(cut(&[7, 8, 0]), (bytes(&[1, 2]), bytes(&[7, 9])));
    assert_eq!(cut(&[7, 255, 0]), (bytes(&[1, 2]), bytes(&[8])));
    assert_eq!(cut(&[255, 255, 0]), (Datum::Null, Datum::Null));
}

#[test]
fn other_modes_and_types() {
    let numbers = stats(DataType::INT, Datum::Int(1), Datum::Int(2));
    assert_eq!(reduce_stats(StatsMode::None, &numbers), None);
    assert_eq!(reduce_stats(StatsMode::Counts, &numbers), Some(stats(DataType::INT, Datum::Null, Datum::Null)));
    assert_eq!(reduce_stats(StatsMode::Truncate(1), &numbers).as_ref(), Some(&numbers));
    assert_eq!(reduce_stats(StatsMode::Full, &numbers).as_ref(), Some(&numbers));
    let time = Datum::Timestamp { millis: 1, nanos: 0 };
    for precision in [3, 6, 7, 9] {
        let column = stats(DataType::timestamp(precision), time.clone(), time.clone());
        assert_eq!(reduce_stats(StatsMode::Full, &column).as_ref(), Some(&column));
    }
    let nulls = stats(DataType::STRING, Datum::Null, Datum::Null);
    assert_eq!(reduce_stats(StatsMode::Truncate(16), &nulls).as_ref(), Some(&nulls));
}

#[test]
fn dense_statistics_name_their_columns_and_others_keep_every_place() {
    let a = stats(DataType::INT, Datum::Int(1), Datum::Int(2));
    let b = stats(DataType::STRING, text("x"), text("y"));
    let columns = [("a", StatsMode::None, a.clone()), ("b", StatsMode::Full, b.clone())];
    let (dense, names) = SimpleStats::build(&columns, true).unwrap();
    assert_eq!(names, Some(vec!["b".to_string()]));
    assert_eq!(dense.columns(&[DataType::STRING]).unwrap(), std::slice::from_ref(&b));
    let (wide, names) = SimpleStats::build(&columns, false).unwrap();
    assert_eq!(names, None);
    let unknown = ColumnStats { null_count: None, ..stats(DataType::INT, Datum::Null, Datum::Null) };
    assert_eq!(wide.columns(&[DataType::INT, DataType::STRING]).unwrap(), [unknown.clone(), b.clone()]);
    let all = [("a", StatsMode::Full, a.clone()), ("b", StatsMode::Full, b.clone())];
    let (full, names) = SimpleStats::build(&all, true).unwrap();
    assert_eq!(names, None, "nothing is left out");
    let none = [("a", StatsMode::None, a), ("b", StatsMode::None, b)];
    let (empty, names) = SimpleStats::build(&none, true).unwrap();
    assert_eq!((empty, names), (SimpleStats::empty(), Some(vec![])));

    // What a reader finds again, by name.
    let schema = [("a", DataType::INT), ("b", DataType::STRING)];
    let read = |stats: &SimpleStats, cols: Option<Vec<&str>>| {
        let mut file = plain_file("f");
        file.value_stats = stats.clone();
        file.value_stats_cols = cols.map(|cols| cols.into_iter().map(String::from).collect());
        file.value_column_stats(&[(schema[0].0, &schema[0].1), (schema[1].0, &schema[1].1)])
    };
    assert_eq!(read(&dense, Some(vec!["b"])).unwrap(), [None, Some(columns[1].2.clone())]);
    assert_eq!(read(&wide, None).unwrap(), [Some(unknown), Some(columns[1].2.clone())]);
    assert_eq!(read(&full, None).unwrap()[0], Some(columns[0].2.clone()));
    assert_eq!(read(&SimpleStats::empty(), Some(vec![])).unwrap(), [None, None]);
    assert_eq!(read(&SimpleStats::empty(), None).unwrap(), [None, None]);
    assert!(matches!(read(&dense, None), Err(Error::Corrupt { file, .. }) if file == "f"));
    assert!(read(&full, Some(vec!["b"])).is_err());
}
