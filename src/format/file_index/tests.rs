//! All kinds of indexes over all types, against the evaluation of the same conditions row by row.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::Schema as ArrowSchema;
use bytes::Bytes;
use roaring::RoaringBitmap;

use super::*;
use crate::error::Error;
use crate::predicate::{Expr, Literal, col, evaluate, parse};
use crate::schema::{FileIndexKind, Schema};
use crate::types::{DataType, Datum, TypeKind, lane_field};

const KINDS: [FileIndexKind; 8] = [
    FileIndexKind::Bloom { items: 100, fpp: 0.1 },
    FileIndexKind::Bitmap { version: 1, block_bytes: 16384 },
    FileIndexKind::Bitmap { version: 2, block_bytes: 40 },
    FileIndexKind::Bitmap { version: 2, block_bytes: 16384 },
    FileIndexKind::BitSlice,
    FileIndexKind::RangeBitmap { chunk_bytes: None },
    FileIndexKind::RangeBitmap { chunk_bytes: Some(0) },
    FileIndexKind::RangeBitmap { chunk_bytes: Some(24) },
];

/// Values of each type, some of them at its ends.
fn samples() -> Vec<(DataType, Vec<Datum>)> {
    let stamp = |millis, nanos| Datum::Timestamp { millis, nanos };
    let text = |text: &str| Datum::String(text.to_string());
    let stamps = vec![stamp(-1, 999_000), stamp(0, 0), stamp(5, 0), stamp(5, 1_000), stamp(253_402_300_799_000, 0)];
    let whole: Vec<Datum> = [-1, 0, 5, 6, 253_402_300_799_000].map(|millis| stamp(millis, 0)).to_vec();
    vec![
        (DataType::BOOLEAN, vec![Datum::Boolean(false), Datum::Boolean(true)]),
        (DataType::TINYINT, [i8::MIN, -1, 0, 1, i8::MAX].map(Datum::TinyInt).to_vec()),
        (DataType::SMALLINT, [i16::MIN, -1, 0, 1, i16::MAX].map(Datum::SmallInt).to_vec()),
        (DataType::INT, [i32::MIN, -300, -1, 0, 1, 7, i32::MAX].map(Datum::Int).to_vec()),
        (DataType::BIGINT, [i64::MIN + 1, -5, 0, 1, 2, 1 << 40, i64::MAX].map(Datum::BigInt).to_vec()),
        (DataType::FLOAT, [-f32::INFINITY, -0.0, 0.0, 1.5, f32::MAX, f32::NAN].map(Datum::Float).to_vec()),
        (DataType::DOUBLE, [-1e300, -0.0, 0.0, 1.5, f64::INFINITY, f64::NAN].map(Datum::Double).to_vec()),
        (DataType::decimal(18, 4), [-999_999_999_999_999_999, -1, 0, 5, 70_000].map(Datum::Decimal).to_vec()),
        (DataType::STRING, ["", "a", "ab", "b", "日本", "\u{10ffff}", "\u{ffff}"].map(text).to_vec()),
        (DataType::BYTES, [&b""[..], b"a", b"\xff", b"\xff\xff"].map(|it| Datum::Bytes(it.to_vec())).to_vec()),
        (DataType::DATE, [-719_162, 0, 1, 20_000].map(Datum::Date).to_vec()),
        (DataType { kind: TypeKind::Time(3), nullable: true }, [0, 1, 86_399_999].map(Datum::Time).to_vec()),
        (DataType::timestamp(3), whole),
        (DataType::timestamp(6), stamps.clone()),
        (DataType::timestamp_ltz(9), [stamps, vec![stamp(5, 1), stamp(5, 2)]].concat()),
    ]
}

/// Rows that go round the values, with NULLs between them.
fn rows_of(values: &[Datum], count: usize) -> Vec<Datum> {
    let value =
        |row: usize| if row % 5 == 3 { Datum::Null } else { values[(row * 7 + row / 3) % values.len()].clone() };
    (0..count).map(value).collect()
}

fn datum_lane(kind: &TypeKind, values: &[Datum]) -> crate::error::Result<ArrayRef> {
    crate::predicate::datum_lane(kind, &values.iter().collect::<Vec<_>>())
}

fn build(kinds: &[FileIndexKind], data_type: &DataType, lanes: &[ArrayRef]) -> Bytes {
    let column = |index: &FileIndexKind| IndexedColumn {
        name: "c".to_string(),
        column: 0,
        key: None,
        values: data_type.kind.clone(),
        index: *index,
    };
    let mut builder = FileIndexBuilder::new(&kinds.iter().map(column).collect::<Vec<_>>()).unwrap();
    lanes.iter().for_each(|lane| builder.add(|_| Ok(lane.clone())).unwrap());
    builder.finish().unwrap().into()
}

fn as_it_is(data_type: &DataType) -> impl Fn(&str) -> Option<IndexedAs> {
    let kind = data_type.kind.clone();
    move |column| (column == "c").then(|| IndexedAs { name: "c".to_string(), kind: kind.clone() })
}

fn schema(data_type: &DataType) -> Schema {
    Schema::builder().column("c", data_type.clone()).build().unwrap()
}

/// Every comparison with every value, and what is made of them.
fn conditions(data_type: &DataType, values: &[Datum]) -> Vec<Expr> {
    let literal = |value: &Datum| Literal::Datum(value.clone());
    let of = |value: &Datum| {
        let literal = literal(value);
        let c = || col("c");
        let (one, two, three) = (literal.clone(), literal.clone(), literal.clone());
        [c().eq(one.clone()), c().ne(one), c().lt(two.clone()), c().le(two), c().gt(three.clone()), c().ge(three)]
    };
    let mut found = vec![col("c").is_null(), col("c").is_null().negate(), Expr::And(vec![]), Expr::Or(vec![])];
    for value in values {
        found.extend(of(value));
        let between = col("c").ge(literal(value)).and(col("c").lt(literal(&values[values.len() / 2])));
        found.extend([between.clone(), between.negate()]);
    }
    found.push(col("c").is_in(values.iter().step_by(2).map(literal).collect::<Vec<_>>()));
    if data_type.kind == TypeKind::STRING {
        let like = ["a%", "a", "%b", "日%", "\u{10ffff}%", "%", "a_"];
        found.extend(like.map(|pattern| col("c").like(pattern).unwrap()));
    }
    let negated: Vec<Expr> = found.iter().cloned().map(Expr::negate).collect();
    let either = found.iter().zip(found.iter().skip(7)).map(|(a, b)| a.clone().or(b.clone())).collect::<Vec<_>>();
    let schema = schema(data_type);
    found.into_iter().chain(negated).chain(either).map(|expr| expr.bind(&schema).unwrap()).collect()
}

#[test]
fn a_selection_holds_every_row_that_a_condition_is_true_for() {
    for (data_type, values) in samples() {
        let (rows, absent) = (rows_of(&values[..values.len() - 1], 203), values.last().unwrap().clone());
        let lane = datum_lane(&data_type.kind, &rows).unwrap();
        let arrow = ArrowSchema::new(vec![lane_field("c", &data_type)]);
        let batch = RecordBatch::try_new(Arc::new(arrow), vec![lane.clone()]).unwrap();
        for kind in KINDS.iter().filter(|kind| kind.takes(&data_type.kind)) {
            // In two parts, as slabs come.
            let bytes = build(&[*kind], &data_type, &[lane.slice(0, 90), lane.slice(90, rows.len() - 90)]);
            for condition in conditions(&data_type, &values) {
                let selection = FileIndex::select_within(&bytes, "f", &condition, 203, &as_it_is(&data_type)).unwrap();
                let wanted: RoaringBitmap = evaluate(&condition, &batch)
                    .unwrap()
                    .iter()
                    .enumerate()
                    .filter_map(|(row, keep)| (keep == Some(true)).then_some(row as u32))
                    .collect();
                let what = format!("{data_type} {kind:?}: {condition}");
                match selection {
                    Selection::All => {}
                    Selection::Rows(found) if is_exact(*kind, &data_type, &condition) => {
                        assert_eq!(found, wanted, "{what}")
                    }
                    Selection::Rows(found) => assert!(wanted.is_subset(&found), "{what}"),
                }
            }
            let equals = col("c").eq(Literal::Datum(absent.clone())).bind(&schema(&data_type)).unwrap();
            let selection = FileIndex::select_within(&bytes, "f", &equals, 203, &as_it_is(&data_type)).unwrap();
            let coarse = matches!(data_type.kind, TypeKind::TimestampLtz(7..));
            let lucky = matches!(kind, FileIndexKind::Bloom { .. });
            assert!(coarse || lucky || selection.is_empty(), "{data_type} {kind:?}: a value that is not there");
        }
    }
}

/// Patterns with more than a prefix, and nanoseconds, are more than an index tells.
fn is_exact(kind: FileIndexKind, data_type: &DataType, condition: &Expr) -> bool {
    let coarse = matches!(data_type.kind, TypeKind::TimestampLtz(7..));
    !matches!(kind, FileIndexKind::Bloom { .. }) && !coarse && !condition.to_string().contains("like")
}

#[test]
fn the_tests_of_exact_indexes_are_told_without_all_rows() {
    let lane = datum_lane(&TypeKind::Int, &rows_of(&[1, 2, 3].map(Datum::Int), 60)).unwrap();
    let schema = schema(&DataType::INT);
    for (kind, told) in [
        (KINDS[0], &["c = 77"] as &[_]),
        (KINDS[3], &["c = 2", "c in (1, 3)", "c <> 2", "c is null", "c is not null", "not c = 1 and c = 2"]),
        (KINDS[4], &["c = 2", "c <> 2", "c > 1", "c between 2 and 3", "not c >= 2", "c is null"]),
        (KINDS[5], &["c = 2", "c <> 2", "c > 1", "c between 2 and 3", "not c >= 2", "c is null or c = 2"]),
    ] {
        let bytes = build(&[kind], &DataType::INT, std::slice::from_ref(&lane));
        for text in told {
            let condition = parse(text, &schema).unwrap();
            let selection = FileIndex::select_within(&bytes, "f", &condition, 60, &as_it_is(&DataType::INT)).unwrap();
            assert!(matches!(selection, Selection::Rows(_)), "{kind:?}: {text}");
        }
    }
}

/// Rows x, y, x, NULL, from a table of Java Paimon.
#[test]
fn the_bytes_of_a_bitmap_are_those_of_java() {
    let lane: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), Some("y"), Some("x"), None]));
    let bytes = build(&[KINDS[3]], &DataType::STRING, &[lane]);
    let wanted = "02 00000004 00000002 01 fffffffc 00000012 00000001 00000001 78 00000000 0000001e \
                  00000002 00000001 78 00000000 00000014 00000001 79 fffffffe ffffffff \
                  3a300000 01000000 0000 0100 10000000 0000 0200";
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert!(hex(&bytes).ends_with(&wanted.replace(' ', "")), "{}", hex(&bytes));
    assert_eq!(i64::from_be_bytes(bytes[..8].try_into().unwrap()), 1_493_475_289_347_502);
}

#[test]
fn damaged_indexes_are_told_and_never_crash() {
    for (data_type, values) in samples() {
        let lane = datum_lane(&data_type.kind, &rows_of(&values, 40)).unwrap();
        let kinds: Vec<FileIndexKind> = KINDS.iter().copied().filter(|kind| kind.takes(&data_type.kind)).collect();
        let text = |text: &str| {
            Literal::Datum(match text {
                "low" => values[0].clone(),
                _ => values[values.len() / 2].clone(),
            })
        };
        let conditions = [
            col("c").is_null().negate(),
            col("c").eq(text("low")).negate(),
            col("c").gt(text("low")).and(col("c").le(text("middle"))),
        ];
        let conditions = conditions.map(|condition| condition.bind(&schema(&data_type)).unwrap());
        for kind in kinds {
            let bytes = build(&[kind], &data_type, std::slice::from_ref(&lane));
            // A filter's bits are as good as any others.
            let end = if matches!(kind, FileIndexKind::Bloom { .. }) { 60 } else { bytes.len() };
            for at in 0..end.min(bytes.len()) {
                for damage in [Damage::Cut, Damage::Set(0xff), Damage::Flip] {
                    let damaged = damage.of(&bytes, at);
                    for condition in &conditions {
                        let read = FileIndex::select_within(&damaged, "f", condition, 40, &as_it_is(&data_type));
                        let fine = matches!(&read, Ok(_) | Err(Error::Corrupt { .. } | Error::Unsupported(_)));
                        assert!(fine, "{data_type} {kind:?} {damage:?} at {at}: {read:?}");
                    }
                }
            }
            let other = FileIndex::select_within(&bytes, "f", &conditions[0], 41, &as_it_is(&data_type));
            let bloom = matches!(kind, FileIndexKind::Bloom { .. });
            let coarse = matches!(data_type.kind, TypeKind::TimestampLtz(7..) if bloom);
            assert!(bloom || coarse || matches!(other, Err(Error::Corrupt { .. })), "{kind:?}: of other rows");
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Damage {
    Cut,
    Set(u8),
    Flip,
}

impl Damage {
    fn of(self, bytes: &Bytes, at: usize) -> Bytes {
        let mut damaged = bytes.to_vec();
        match self {
            Self::Cut => damaged.truncate(at),
            Self::Set(byte) => damaged[at] = byte,
            Self::Flip => damaged[at] ^= 1,
        }
        damaged.into()
    }
}

#[test]
fn a_number_that_bsi_cannot_hold_costs_its_column_the_index() {
    let lane = datum_lane(&TypeKind::BigInt, &[i64::MIN, 1].map(Datum::BigInt)).unwrap();
    let bytes = build(&[KINDS[4]], &DataType::BIGINT, &[lane]);
    let condition = parse("c = 5", &schema(&DataType::BIGINT)).unwrap();
    let selection = FileIndex::select_within(&bytes, "f", &condition, 2, &as_it_is(&DataType::BIGINT)).unwrap();
    assert_eq!(selection, Selection::All);
}

#[test]
fn what_is_unknown_of_a_column_is_no_reason_to_leave_rows_out() {
    let lane = datum_lane(&TypeKind::Int, &[Datum::Int(1)]).unwrap();
    let bytes = build(&[KINDS[0], KINDS[3]], &DataType::INT, &[lane]);
    let condition = parse("c = 5", &schema(&DataType::INT)).unwrap();
    let select = |column_of: &dyn Fn(&str) -> Option<IndexedAs>, bytes: &Bytes| {
        FileIndex::select_within(bytes, "f", &condition, 1, column_of).unwrap()
    };
    assert!(select(&as_it_is(&DataType::INT), &bytes).is_empty());
    assert_eq!(select(&|_| None, &bytes), Selection::All, "retyped");
    let other = |_: &str| Some(IndexedAs { name: "d".to_string(), kind: TypeKind::Int });
    assert_eq!(select(&other, &bytes), Selection::All, "not indexed");
    // A kind of index that is not known, in place of the two.
    let at = |word: &[u8]| bytes.windows(word.len()).position(|window| window == word).unwrap();
    let mut strange = bytes.to_vec();
    strange[at(b"bloom-filter")] = b'x';
    strange[at(b"bitmap")] = b'x';
    assert_eq!(select(&as_it_is(&DataType::INT), &strange.into()), Selection::All);
}

#[test]
fn the_values_of_a_map_key_are_a_column_of_their_own() {
    use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
    let map = DataType::map(DataType::STRING.not_null(), DataType::BIGINT);
    let mut lane = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in [Some(vec![("a", 1), ("b", 2)]), None, Some(vec![("b", 3)]), Some(vec![])] {
        for (key, value) in row.iter().flatten() {
            lane.keys().append_value(key);
            lane.values().append_value(*value);
        }
        lane.append(row.is_some()).unwrap();
    }
    let lane: ArrayRef = Arc::new(lane.finish());
    let schema = Schema::builder().column("m", map).option("file-index.bitmap.columns", "m[a],m[c]").build().unwrap();
    let options = crate::schema::TableOptions::parse(&schema).unwrap();
    let columns = IndexedColumn::of(&schema, &options.file_index.columns).unwrap();
    let mut builder = FileIndexBuilder::new(&columns).unwrap();
    builder.add(|_| Ok(lane.clone())).unwrap();
    let bytes = Bytes::from(builder.finish().unwrap());
    let select = |name: &'static str, text: &str| {
        let condition = parse(text, &self::schema(&DataType::BIGINT)).unwrap();
        let column_of = |_: &str| Some(IndexedAs { name: name.to_string(), kind: TypeKind::BigInt });
        FileIndex::select_within(&bytes, "f", &condition, 4, &column_of).unwrap()
    };
    assert_eq!(select("m[a]", "c = 1"), Selection::Rows([0].into()));
    assert_eq!(select("m[a]", "c is null"), Selection::Rows([1, 2, 3].into()));
    assert!(select("m[c]", "c = 1").is_empty());

    // A condition on the key finds it by the column.
    let along = |text: &str| {
        let condition = parse(text, &schema).unwrap();
        let as_written = |column: &str| IndexedAs::of("f.parquet", (&schema, &schema), column);
        FileIndex::select_within(&bytes, "f", &condition, 4, &as_written).unwrap()
    };
    assert_eq!(along("m['a'] = 1"), Selection::Rows([0].into()));
    assert_eq!(along("not m['a'] = 1"), Selection::Rows(RoaringBitmap::new()));
    assert_eq!(along("m['a'] is null"), Selection::Rows([1, 2, 3].into()));
    assert!(along("m['c'] > 1 and m['c'] = 1").is_empty());
    for other in ["m['b'] = 3", "m is null", "cast(m['a'] as STRING) = '1'"] {
        assert_eq!(along(other), Selection::All, "{other}");
    }
}

#[test]
fn an_index_of_char_beside_an_orc_file_is_not_asked() {
    let text = |text: &str| text.parse::<DataType>().unwrap();
    let builder = Schema::builder().column("c", text("CHAR(5)")).column("m", text("MAP<STRING, CHAR(5)>"));
    let schema = builder.column("v", text("VARCHAR(5)")).build().unwrap();
    let known = |file: &str, column: &str| IndexedAs::of(file, (&schema, &schema), column).is_some();
    for (column, in_orc) in [("c", false), ("m", false), ("v", true)] {
        assert_eq!((known("data-0.parquet", column), known("data-0.orc", column)), (true, in_orc), "{column}");
    }
}
