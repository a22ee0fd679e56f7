//! The condition on rows, on ranges of rows, and both against each other.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::Schema as ArrowSchema;
use proptest::prelude::*;

use super::*;
use crate::error::Error;
use crate::schema::Schema;
use crate::types::{DataType, Datum, TypeKind, lane_field};

fn batch(columns: &[(&str, TypeKind, Vec<Datum>)]) -> (Schema, RecordBatch) {
    let mut builder = Schema::builder();
    let (mut fields, mut lanes) = (Vec::new(), Vec::<ArrayRef>::new());
    for (name, kind, values) in columns {
        let data_type = DataType { kind: kind.clone(), nullable: true };
        builder = builder.column(*name, data_type.clone());
        fields.push(lane_field(name, &data_type));
        lanes.push(datum_lane(kind, &values.iter().collect::<Vec<_>>()).unwrap());
    }
    (builder.build().unwrap(), RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), lanes).unwrap())
}

fn truth(array: &BooleanArray) -> Vec<Option<bool>> {
    array.iter().collect()
}

fn ints(values: &[Option<i32>]) -> Vec<Datum> {
    values.iter().map(|value| value.map_or(Datum::Null, Datum::Int)).collect()
}

const T: Option<bool> = Some(true);
const F: Option<bool> = Some(false);
const U: Option<bool> = None;

#[test]
fn a_comparison_with_null_is_unknown() {
    let (schema, rows) = batch(&[("a", TypeKind::Int, ints(&[Some(1), Some(5), Some(9), None]))]);
    for (text, wanted) in [
        ("a = 5", [F, T, F, U]),
        ("a <> 5", [T, F, T, U]),
        ("a < 5", [T, F, F, U]),
        ("a <= 5", [T, T, F, U]),
        ("a > 5", [F, F, T, U]),
        ("a >= 5", [F, T, T, U]),
        ("not a = 5", [T, F, T, U]),
        ("a between 2 and 9", [F, T, T, U]),
        ("a not between 2 and 9", [T, F, F, U]),
        ("a in (1, 9)", [T, F, T, U]),
        ("a in (0, 1, 2, 3, 4, 5, 6)", [T, T, F, U]),
        ("a not in (1, 9)", [F, T, F, U]),
        ("a is null", [F, F, F, T]),
        ("a is not null", [T, T, T, F]),
        ("true", [T, T, T, T]),
        ("false", [F, F, F, F]),
        ("a = 5 or true", [T, T, T, T]),
        ("a = 5 and false", [F, F, F, F]),
        ("a = 5 or false", [F, T, F, U]),
        ("a = 5 and a is null", [F, F, F, U]),
        ("a = 5 or a is null", [F, T, F, T]),
        ("not (a = 5 or a is null)", [T, F, T, F]),
    ] {
        assert_eq!(truth(&evaluate(&parse(text, &schema).unwrap(), &rows).unwrap()), wanted, "{text}");
    }
}

#[test]
fn floats_compare_as_java_does() {
    let negative_nan = f64::from_bits(0xFFF8_0000_0000_0001);
    let values = [f64::NAN, negative_nan, f64::INFINITY, 0.0, -0.0].map(Datum::Double).to_vec();
    let (schema, _) = batch(&[("d", TypeKind::Double, values.clone())]);
    // The lane as a file would bring it, with the NaN's own bits.
    let lane: ArrayRef =
        Arc::new(arrow_array::Float64Array::from(vec![f64::NAN, negative_nan, f64::INFINITY, 0.0, -0.0]));
    let rows = RecordBatch::try_from_iter([("d", lane)]).unwrap();
    for (text, wanted) in [
        ("d = 'NaN'", [T, T, F, F, F]),
        ("d > 'Infinity'", [T, T, F, F, F]),
        ("d in ('NaN', 1, 2, 3, 4, 5)", [T, T, F, F, F]),
        ("d = 0", [F, F, F, T, F]),
        ("d < 0", [F, F, F, F, T]),
        ("d >= -0.0", [T, T, T, T, T]),
    ] {
        let expr = parse(text, &schema).unwrap();
        assert_eq!(truth(&evaluate(&expr, &rows).unwrap()), wanted, "{text}");
        // Datum says the same, so bounds and rows agree.
        let one_by_one = values.iter().map(|value| Some(may_match(&expr, &|_| Some(ColumnRange::constant(value, 1)))));
        assert_eq!(one_by_one.collect::<Vec<_>>(), wanted, "{text}");
    }
}

/// Rows of `tags MAP<STRING, BIGINT>`, `place ROW<city STRING, n INT>` and `code STRING`, cut out of longer ones.
fn nested_rows() -> (Schema, RecordBatch) {
    use arrow_array::builder::{Int64Builder, MapBuilder, StringBuilder};
    use arrow_array::{Int32Array, StringArray, StructArray};
    let place: DataType = "ROW<city STRING, n INT>".parse().unwrap();
    let map = DataType::map(DataType::STRING.not_null(), DataType::BIGINT);
    let schema = Schema::builder().column("tags", map).column("place", place).column("code", DataType::STRING);
    let mut tags = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    let maps = [
        vec![("a", Some(9))],
        vec![("a", Some(1)), ("b", Some(2))],
        vec![("b", Some(3))],
        vec![("a", None)],
        vec![],
        vec![("a", Some(4))],
    ];
    for (at, row) in maps.iter().enumerate() {
        for (key, value) in row {
            tags.keys().append_value(key);
            tags.values().append_option(*value);
        }
        tags.append(at != 5).unwrap(); // NULL, with an entry of its own below
    }
    let cities = StringArray::from(vec![Some("X"), Some("A"), Some("B"), None, Some("A"), Some("A")]);
    let numbers = Int32Array::from(vec![0, 1, 2, 3, 4, 5]);
    let schema = schema.build().unwrap();
    let arrow_schema::DataType::Struct(fields) = crate::types::lane_type(&schema.fields[1].data_type.kind) else {
        unreachable!()
    };
    let places = StructArray::new(
        fields,
        vec![Arc::new(cities), Arc::new(numbers)],
        Some(vec![true, true, true, true, false, true].into()),
    );
    let codes = StringArray::from(vec![Some("0"), Some("7"), Some("007"), None, Some("8"), Some("-1")]);
    let lanes: Vec<ArrayRef> = vec![Arc::new(tags.finish()), Arc::new(places), Arc::new(codes)];
    let lanes = lanes.iter().zip(&schema.fields).map(|(lane, field)| {
        arrow_cast::cast(lane, &crate::types::lane_type(&field.data_type.kind)).unwrap().slice(1, 5)
    });
    let fields: Vec<_> = schema.fields.iter().map(|field| lane_field(&field.name, &field.data_type)).collect();
    let rows = RecordBatch::try_new(Arc::new(ArrowSchema::new(fields)), lanes.collect()).unwrap();
    (schema, rows)
}

#[test]
fn a_value_inside_of_a_column_is_tested_like_a_column() {
    let (schema, rows) = nested_rows();
    for (text, wanted) in [
        ("tags['a'] = 1", [T, U, U, U, U]),
        ("tags['b'] >= 2", [T, T, U, U, U]),
        ("tags['a'] is null", [F, T, T, T, T]),
        ("not tags['b'] in (2, 7)", [F, T, U, U, U]),
        ("place.city = 'A'", [T, F, U, U, T]),
        ("place.n > 1", [F, T, T, U, T]),
        ("place.city is null", [F, F, T, T, F]),
        ("cast(code as int) = 7", [T, T, U, F, F]),
        ("code = '7'", [T, F, U, F, F]),
        ("cast(place.n as string) like '1%'", [T, F, F, U, F]),
        ("cast(tags['b'] as boolean)", [T, T, U, U, U]),
        ("lower(place.city) = 'a'", [T, F, U, U, T]),
        ("substring(code, 1, 2) = '00'", [F, T, U, F, F]),
        ("trim(code, '0') = '7'", [T, T, U, F, F]),
        ("upper(cast(place.n as string)) is null", [F, F, F, T, F]),
    ] {
        let expr = parse(text, &schema).unwrap();
        assert_eq!(truth(&evaluate(&expr, &rows).unwrap()), wanted, "{text}");
        // What is known of the column says nothing of the value inside of it.
        let known =
            |_: &str| Some(ColumnRange { row_count: 5, ..ColumnRange::constant(&Datum::String("0".into()), 5) });
        assert!(may_match(&expr, &known) || text == "code = '7'", "{text}");
        assert!(may_match(&expr.clone().negate(), &known), "not {text}");
        assert!(expr.key_equalities().is_empty() || text == "code = '7'", "{text}");
    }
    let unread = parse("cast(code as boolean) is null", &schema).unwrap();
    let error = evaluate(&unread, &rows).unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.starts_with("column code: ")), "{error}");
}

#[test]
fn every_type_is_compared_in_its_lane() {
    let millis = |millis| Datum::Timestamp { millis, nanos: 0 };
    let nanos = |nanos| Datum::Timestamp { millis: -1, nanos };
    for (kind, low, high, literal) in [
        (TypeKind::Boolean, Datum::Boolean(false), Datum::Boolean(true), "true"),
        (TypeKind::TinyInt, Datum::TinyInt(-1), Datum::TinyInt(1), "1"),
        (TypeKind::SmallInt, Datum::SmallInt(-1), Datum::SmallInt(1), "1"),
        (TypeKind::BigInt, Datum::BigInt(i64::MIN), Datum::BigInt(1), "1"),
        (TypeKind::Float, Datum::Float(-0.5), Datum::Float(0.1), "0.1"),
        (TypeKind::Decimal { precision: 38, scale: 3 }, Datum::Decimal(-1), Datum::Decimal(1500), "1.5"),
        (TypeKind::Char(3), Datum::String("B".into()), Datum::String("a".into()), "'a'"),
        (TypeKind::BYTES, Datum::Bytes(vec![1]), Datum::Bytes(vec![255]), "X'ff'"),
        (TypeKind::Date, Datum::Date(-1), Datum::Date(1), "'1970-01-02'"),
        (TypeKind::Time(3), Datum::Time(0), Datum::Time(1), "'00:00:00.001'"),
        (TypeKind::Timestamp(3), millis(-5), millis(5), "'1970-01-01 00:00:00.005'"),
        (TypeKind::Timestamp(6), nanos(1_000), nanos(2_000), "'1969-12-31 23:59:59.999002'"),
        (TypeKind::Timestamp(9), nanos(1), nanos(2), "'1969-12-31 23:59:59.999000002'"),
        (TypeKind::TimestampLtz(3), millis(-5), millis(0), "'1970-01-01 01:00:00+01:00'"),
        (TypeKind::TimestampLtz(6), millis(-5), millis(0), "'1970-01-01 00:00:00Z'"),
        (TypeKind::TimestampLtz(9), millis(-5), millis(0), "'1970-01-01 00:00:00Z'"),
    ] {
        let (schema, rows) = batch(&[("x", kind.clone(), vec![low, high, Datum::Null])]);
        for (sign, wanted) in [("=", [F, T, U]), ("<", [T, F, U]), (">=", [F, T, U])] {
            let expr = parse(&format!("x {sign} {literal}"), &schema).unwrap();
            assert_eq!(truth(&evaluate(&expr, &rows).unwrap()), wanted, "{kind} {sign} {literal}");
        }
    }
}

#[test]
fn an_unbound_condition_is_no_filter_and_hides_nothing() {
    let (_, rows) = batch(&[("a", TypeKind::Int, ints(&[Some(1)]))]);
    assert!(matches!(evaluate(&col("a").eq(1), &rows), Err(Error::Bug(_))));
    assert!(may_match(&col("a").eq(9), &|_| Some(ColumnRange::constant(&Datum::Int(1), 1))));
}

#[test]
fn binding_names_the_column_that_does_not_fit() {
    let (schema, _) = batch(&[("a", TypeKind::Int, vec![])]);
    for expr in
        [col("b").eq(1), col("a").eq("x"), col("a").eq(1.5), col("a").is_in([1_i64 << 40]), col("a").starts_with("x")]
    {
        assert!(matches!(expr.bind(&schema), Err(Error::Invalid(text)) if text.contains("column")), "{expr}");
    }
    assert!(col("a").eq(Datum::BigInt(1)).bind(&schema).is_err());
    assert!(col("a").eq(Datum::Int(1)).bind(&schema).is_ok());
}

#[test]
fn a_condition_splits_by_the_columns_it_looks_at() {
    let expr = col("p")
        .eq(1)
        .and(col("a").gt(2))
        .and(col("p").lt(9).or(col("q").eq(1)))
        .and(col("p").eq(3).or(col("a").eq(4)));
    let (inside, outside) = expr.split_by(|column| column == "p" || column == "q");
    assert_eq!(inside, Some(col("p").eq(1).and(col("p").lt(9).or(col("q").eq(1)))));
    assert_eq!(outside, Some(col("a").gt(2).and(col("p").eq(3).or(col("a").eq(4)))));
    assert_eq!(col("a").eq(1).split_by(|_| false), (None, Some(col("a").eq(1))));
}

#[test]
fn columns_may_be_renamed_unless_one_is_not_there() {
    let expr = col("a").eq(1).or(col("b").is_null().negate());
    let renamed = expr.rename(&|name| Some(format!("{name}2")));
    assert_eq!(renamed, Some(col("a2").eq(1).or(col("b2").is_null().negate())));
    assert_eq!(expr.rename(&|name| (name == "a").then(|| name.to_string())), None);
}

#[test]
fn the_values_a_key_can_have_are_told() {
    let (schema, _) = batch(&[("a", TypeKind::Int, vec![]), ("b", TypeKind::STRING, vec![])]);
    let values = |text: &str| {
        let known = parse(text, &schema).unwrap().key_equalities();
        let numbers = |name: &str| known.get(name).cloned();
        (numbers("a"), numbers("b"))
    };
    let a = |values: &[i32]| Some(values.iter().copied().map(Datum::Int).collect::<Vec<_>>());
    let b = |values: &[&str]| Some(values.iter().map(|value| Datum::String((*value).into())).collect::<Vec<_>>());
    assert_eq!(values("a = 1 and b in ('y', 'x')"), (a(&[1]), b(&["x", "y"])));
    assert_eq!(values("a in (1, 2, 3) and a in (2, 3, 4)"), (a(&[2, 3]), None));
    assert_eq!(values("a = 2 or a = 1"), (a(&[1, 2]), None));
    assert_eq!(values("(a = 1 and b = 'x') or a = 2"), (a(&[1, 2]), None));
    assert_eq!(values("a = 1 or b = 'x'"), (None, None));
    assert_eq!(values("a > 1 and not a = 2"), (None, None));
    assert_eq!(values("a = 1 and a = 2"), (a(&[]), None));
}

#[test]
fn ranges_hide_what_cannot_match_and_nothing_else() {
    let (schema, _) = batch(&[("a", TypeKind::Int, vec![]), ("s", TypeKind::STRING, vec![])]);
    let range = |name: &str| {
        Some(match name {
            "a" => {
                ColumnRange { min: Some(Datum::Int(10)), max: Some(Datum::Int(20)), null_count: Some(0), row_count: 9 }
            }
            _ => ColumnRange {
                min: Some(Datum::String("car".into())),
                max: Some(Datum::String("cat".into())),
                null_count: Some(9),
                row_count: 9,
            },
        })
    };
    for (text, wanted) in [
        ("a = 10", true),
        ("a = 9", false),
        ("a < 10", false),
        ("a <= 10", true),
        ("a > 20", false),
        ("a >= 20", true),
        ("a <> 10", true),
        ("a in (1, 2, 30)", false),
        ("a in (1, 15)", true),
        ("a not in (1, 15)", true),
        ("not a < 21", false),
        ("a is null", false),
        ("a is not null", true),
        ("a = 9 or a = 15", true),
        ("a = 15 and s = 'cat'", false),
        ("s is null", true),
        ("s is not null", false),
        ("not (a > 9 and a < 21)", false),
        ("false", false),
    ] {
        assert_eq!(may_match(&parse(text, &schema).unwrap(), &range), wanted, "{text}");
    }
    let texts = |_: &str| {
        let (min, max) = (Some(Datum::String("car".into())), Some(Datum::String("cat".into())));
        Some(ColumnRange { min, max, null_count: None, row_count: 9 })
    };
    for (text, wanted) in [
        ("s like 'ca%'", true),
        ("s like 'cas%'", true),
        ("s like 'cb%'", false),
        ("s like 'bz%'", false),
        ("s like 'c%x'", true),
        ("s like 'd%x'", false),
        ("s not like 'ca%'", false),
        ("s not like 'car%'", true),
        ("s like '%'", true),
    ] {
        assert_eq!(may_match(&parse(text, &schema).unwrap(), &texts), wanted, "{text}");
    }
    assert!(may_match(&parse("a = 99", &schema).unwrap(), &|_| None));
    assert!(may_match(&parse("a = 99", &schema).unwrap(), &|_| Some(ColumnRange::unknown(1))));
}

const KINDS: [(&str, TypeKind); 4] =
    [("i", TypeKind::Int), ("d", TypeKind::Double), ("s", TypeKind::STRING), ("b", TypeKind::Boolean)];

fn value(kind: &TypeKind) -> BoxedStrategy<Datum> {
    match kind {
        TypeKind::Int => (-4..5).prop_map(Datum::Int).boxed(),
        TypeKind::Double => prop::sample::select(vec![f64::NAN, f64::NEG_INFINITY, -1.0, -0.0, 0.0, 1.0])
            .prop_map(Datum::Double)
            .boxed(),
        TypeKind::Boolean => any::<bool>().prop_map(Datum::Boolean).boxed(),
        _ => "[ab%]{0,3}".prop_map(Datum::String).boxed(),
    }
}

const COMPARISONS: [Comparison; 6] =
    [Comparison::Eq, Comparison::Ne, Comparison::Lt, Comparison::Le, Comparison::Gt, Comparison::Ge];

fn compares(comparison: Comparison, order: std::cmp::Ordering) -> bool {
    match comparison {
        Comparison::Eq => order.is_eq(),
        Comparison::Ne => order.is_ne(),
        Comparison::Lt => order.is_lt(),
        Comparison::Le => order.is_le(),
        Comparison::Gt => order.is_gt(),
        Comparison::Ge => order.is_ge(),
    }
}

fn expression() -> impl Strategy<Value = Expr> {
    let leaf = (0..KINDS.len()).prop_flat_map(|at| {
        let (name, kind) = &KINDS[at];
        let compare = (prop::sample::select(COMPARISONS.to_vec()), value(kind))
            .prop_map(|(comparison, value)| Test::Compare(comparison, Literal::Datum(value)));
        let list = prop::collection::vec(value(kind), 0..8)
            .prop_map(|values| Test::In(values.into_iter().map(Literal::Datum).collect()));
        let like = "[ab%_]{0,4}".prop_map(|pattern| Test::Like(LikePattern::parse(&pattern, '\\').unwrap()));
        let test = match kind {
            TypeKind::VarChar(_) => prop_oneof![compare, list, Just(Test::IsNull), like].boxed(),
            _ => prop_oneof![compare, list, Just(Test::IsNull)].boxed(),
        };
        test.prop_map(move |test| Expr::Leaf(Leaf { column: name.to_string(), path: vec![], kind: None, test }))
    });
    let sides = prop::sample::select(vec![("i", "i"), ("i", "d"), ("d", "i"), ("d", "d"), ("s", "s"), ("b", "b")]);
    let beside = (sides, prop::sample::select(COMPARISONS.to_vec()))
        .prop_map(|((one, other), comparison)| col(one).beside(comparison, col(other)));
    let leaf = prop_oneof![4 => leaf, 1 => beside];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Expr::Or),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
}

fn row() -> impl Strategy<Value = Vec<Datum>> {
    let column = |at: usize| prop_oneof![1 => Just(Datum::Null), 4 => value(&KINDS[at].1)];
    (column(0), column(1), column(2), column(3)).prop_map(|(i, d, s, b)| vec![i, d, s, b])
}

/// The true range of a column, its bounds loosened as a writer may: cut short, raised, or left out.
fn range_of(values: &[&Datum], loose: u8) -> ColumnRange {
    let nulls = values.iter().filter(|value| value.is_null()).count() as u64;
    let known = values.iter().filter(|value| !value.is_null());
    let cut = |text: &str| text.chars().take(1).collect::<String>();
    let min = known.clone().min_by(|a, b| a.total_cmp(b)).map(|min| match min {
        Datum::String(text) if loose & 1 == 1 => Datum::String(cut(text)),
        other => (*other).clone(),
    });
    let max = known.max_by(|a, b| a.total_cmp(b)).map(|max| match max {
        Datum::String(text) if loose & 1 == 1 => Datum::String(format!("{}~", cut(text))),
        other => (*other).clone(),
    });
    ColumnRange {
        min: min.filter(|_| loose & 2 == 0),
        max: max.filter(|_| loose & 4 == 0),
        null_count: (loose & 8 == 0).then_some(nulls),
        row_count: values.len() as u64,
    }
}

/// SQL's truth of one row, told the slow way.
fn slow(expr: &Expr, row: &[Datum]) -> Option<bool> {
    match expr {
        Expr::And(parts) => {
            let all: Vec<_> = parts.iter().map(|part| slow(part, row)).collect();
            if all.contains(&F) {
                F
            } else if all.contains(&U) {
                U
            } else {
                T
            }
        }
        Expr::Or(parts) => {
            let all: Vec<_> = parts.iter().map(|part| slow(part, row)).collect();
            if all.contains(&T) {
                T
            } else if all.contains(&U) {
                U
            } else {
                F
            }
        }
        Expr::Not(inner) => slow(inner, row).map(|it| !it),
        Expr::Leaf(leaf) => {
            let value = &row[KINDS.iter().position(|(name, _)| *name == leaf.column).unwrap()];
            if leaf.test == Test::IsNull {
                return Some(value.is_null());
            }
            if value.is_null() {
                return U;
            }
            Some(match &leaf.test {
                Test::Compare(comparison, literal) => compares(*comparison, value.total_cmp(literal.datum().unwrap())),
                Test::Beside(comparison, side) => {
                    let other = &row[KINDS.iter().position(|(name, _)| *name == side.column).unwrap()];
                    if other.is_null() {
                        return U;
                    }
                    let wide = |value: &Datum| match value {
                        Datum::Int(number) => Datum::Double((*number).into()),
                        other => other.clone(),
                    };
                    compares(*comparison, wide(value).total_cmp(&wide(other)))
                }
                Test::In(literals) => literals.iter().any(|one| one.datum().unwrap().total_cmp(value).is_eq()),
                Test::Like(pattern) => matches!(value, Datum::String(text) if pattern.matches(text)),
                Test::IsNull => unreachable!(),
            })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn columns_and_rows_agree_and_no_range_hides_a_true_row(
        expr in expression(),
        rows in prop::collection::vec(row(), 0..12),
        loose in prop::array::uniform4(0_u8..16),
    ) {
        let columns: Vec<Vec<Datum>> = (0..KINDS.len()).map(|at| rows.iter().map(|row| row[at].clone()).collect()).collect();
        let named: Vec<_> = KINDS.iter().zip(&columns).map(|((name, kind), values)| (*name, kind.clone(), values.clone())).collect();
        let (schema, batch) = batch(&named);
        let expr = expr.bind(&schema).unwrap();
        let found = truth(&evaluate(&expr, &batch).unwrap());
        let wanted: Vec<_> = rows.iter().map(|row| slow(&expr, row)).collect();
        prop_assert_eq!(&found, &wanted, "{}", expr);

        let ranges: Vec<_> = columns.iter().zip(loose).map(|(values, loose)| range_of(&values.iter().collect::<Vec<_>>(), loose)).collect();
        let range = |name: &str| KINDS.iter().position(|(other, _)| *other == name).map(|at| ranges[at].clone());
        prop_assert!(may_match(&expr, &range) || !found.contains(&T), "{} over {:?}", expr, ranges);

        for (column, values) in expr.key_equalities() {
            let at = KINDS.iter().position(|(name, _)| *name == column).unwrap();
            let told = |row: &Vec<Datum>| values.iter().any(|value| value.total_cmp(&row[at]).is_eq());
            let all = rows.iter().zip(&found).filter(|(_, truth)| **truth == T).all(|(row, _)| told(row));
            prop_assert!(all, "{} tells {} in {:?}", expr, column, values);
        }
    }

    #[test]
    fn a_condition_reads_back_from_its_print(expr in expression(), rows in prop::collection::vec(row(), 0..12)) {
        let named: Vec<_> = KINDS.iter().map(|(name, kind)| (*name, kind.clone(), vec![])).collect();
        let (schema, _) = batch(&named);
        // An empty list has no text form.
        prop_assume!(!expr.to_string().contains("in ()"));
        let bound = expr.bind(&schema).unwrap();
        let read = parse(&bound.to_string(), &schema).unwrap();
        for row in rows {
            prop_assert_eq!(slow(&read, &row), slow(&bound, &row), "{} became {} for {:?}", bound, read, row);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[ -~äß€]{0,40}") {
        let (schema, _) = batch(&[("a", TypeKind::Int, vec![]), ("s", TypeKind::STRING, vec![])]);
        let _ = parse(&text, &schema);
    }
}
