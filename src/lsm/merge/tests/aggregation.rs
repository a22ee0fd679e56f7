//! Merge engine `aggregation`, function by function.

use super::*;

fn of_column(data_type: &str, function: &str, options: &[(&str, &str)]) -> Schema {
    let engine = [("merge-engine", "aggregation"), ("fields.a.aggregate-function", function)];
    table(&[("a", data_type)], &[&engine[..], options].concat())
}

#[test]
fn each_function_folds_as_paimon_does() {
    for (data_type, function, cases) in [
        ("INT", "last_value", &[("+I 1 | +I _", "+I _"), ("+I 1 | +U 2", "+I 2"), ("+I 1 | -D 1", "+I _")][..]),
        ("INT", "last_non_null_value", &[("+I 1 | +I _", "+I 1"), ("+I 1 | -D _", "+I 1"), ("+I 1 | -D 2", "+I _")]),
        ("INT", "first_value", &[("+I _ | +I 1", "+I _"), ("+I 2 | +I 1", "+I 2"), ("+I 1 | -D 1", "ignore-retract")]),
        ("INT", "first_non_null_value", &[("+I _ | +I 1 | +I 2", "+I 1"), ("+I 1 | -U 1", "ignore-retract")]),
        ("INT", "first_not_null_value", &[("+I _ | +I 1 | +I 2", "+I 1")]),
        ("INT", "max", &[("+I 1 | +I 3 | +I 2 | +I _", "+I 3"), ("+I _ | +I _", "+I _"), ("+I 1 | -D 1", "\"a\"")]),
        ("INT", "min", &[("+I 2 | +I 1 | +I 3 | +I _", "+I 1"), ("+I 1 | -D 1", "\"a\"")]),
        ("STRING", "max", &[("+I a | +I é | +I z", "+I é")]),
        ("DOUBLE", "max", &[("+I 1 | +I NaN | +I inf", "+I NaN"), ("+I -0 | +I 0", "+I 0")]),
        ("DOUBLE", "min", &[("+I 1 | +I NaN | +I -inf", "+I -inf"), ("+I 0 | +I -0", "+I -0")]),
        ("DECIMAL(20,2)", "min", &[("+I 100 | +I -5", "+I -5")]),
        ("BOOLEAN", "max", &[("+I false | +I true | +I false", "+I true")]),
        (
            "BOOLEAN",
            "bool_and",
            &[("+I true | +I _ | +I true", "+I true"), ("+I true | +I false | +I true", "+I false")],
        ),
        ("BOOLEAN", "bool_or", &[("+I false | +I true | +I false", "+I true"), ("+I _ | +I false", "+I false")]),
        (
            "INT",
            "sum",
            &[
                ("+I 1 | +I _ | +I 2", "+I 3"),
                ("+I 1 | -D 3", "+I -2"),
                ("-D 3 | +I _", "+I -3"),
                ("-D _ | -U _", "+I _"),
            ],
        ),
        (
            "TINYINT",
            "sum",
            &[("+I 100 | +I 27", "+I 127"), ("+I 100 | +I 28", "100 + 28"), ("-D -128 | +I 1", "0 - -128")],
        ),
        ("BIGINT", "sum", &[("+I 9223372036854775807 | +I 1", "column \"a\""), ("+I -2 | -D 1", "+I -3")]),
        ("DOUBLE", "sum", &[("+I 0.5 | +I 0.25 | -D 1", "+I -0.25")]),
        // Compact decimals are added without counting digits again, wider ones become NULL.
        ("DECIMAL(4,2)", "sum", &[("+I 9999 | +I 1", "+I 10000"), ("+I 9999 | +I 1 | -D 10000", "+I 0")]),
        (
            "DECIMAL(19,0)",
            "sum",
            &[("+I 9999999999999999999 | +I 1", "+I _"), ("+I 5 | -D 7", "+I -2"), ("-D 7 | +I _", "+I -7")],
        ),
        (
            "DECIMAL(38,0)",
            "sum",
            &[("+I 99999999999999999999999999999999999999 | +I 99999999999999999999999999999999999999", "+I _")],
        ),
        (
            "INT",
            "product",
            &[
                ("+I 3 | +I _ | +I 4", "+I 12"),
                ("+I 7 | -D 2", "+I 3"),
                ("-D 7 | +I 2", "+I 2"),
                ("+I 7 | -D 0", "7 / 0"),
            ],
        ),
        ("SMALLINT", "product", &[("+I 256 | +I 128", "256 * 128")]),
        ("DOUBLE", "product", &[("+I 3 | -D 2", "+I 1.5")]),
        // 1.25 * 0.50 = 0.625; half goes away from zero.
        (
            "DECIMAL(6,2)",
            "product",
            &[("+I 125 | +I 50", "+I 63"), ("+I -125 | +I 50", "+I -63"), ("+I 999999 | +I 1000", "+I _")],
        ),
        (
            "DECIMAL(6,2)",
            "product",
            &[
                ("+I 100 | -D 300", "no exact decimal quotient"),
                ("+I 100 | -D 800", "+I 13"),
                ("+I 0 | -D 300", "+I 0"),
                ("+I 1 | -D 0", "no exact"),
            ],
        ),
        (
            "DECIMAL(38,10)",
            "product",
            &[("+I 99999999999999999999999999999999999999 | +I 99999999999999999999999999999999999999", "+I _")],
        ),
        (
            "STRING",
            "listagg",
            &[
                ("+I a | +I b | +I a", "+I a,b,a"),
                ("+I ~ | +I b", "+I b"),
                ("+I a | +I ~ | +I _", "+I a"),
                ("+I a | -D a", "ignore-retract"),
            ],
        ),
        ("INT", "primary-key", &[("+I 1 | +I _", "+I _"), ("+I 1 | -D 2", "+I 2")]),
    ] {
        check(&of_column(data_type, function, &[]), cases);
    }
}

#[test]
fn joined_texts_take_their_options() {
    let cases = [("+I a;b | +I b;c", "+I a;b;b;c")];
    check(&of_column("STRING", "listagg", &[("fields.a.list-agg-delimiter", ";")]), &cases);
    let distinct = ("fields.a.distinct", "true");
    let cases = [("+I a,a | +I a,b | +I b,~,c,", "+I a,a,b,c"), ("+I a | +I a", "+I a"), ("+I a | +I b,b", "+I a,b")];
    check(&of_column("STRING", "listagg", &[distinct]), &cases);
    let cases = [("+I ab | +I ab;;b;c", "+I ab;;b;c")];
    check(&of_column("STRING", "listagg", &[distinct, ("fields.a.list-agg-delimiter", ";;")]), &cases);
    let cases = [("+I a~b | +I b~c", "+I a~bc")];
    check(&of_column("STRING", "listagg", &[distinct, ("fields.a.list-agg-delimiter", "")]), &cases);
}

#[test]
fn blanks_are_those_of_java() {
    let schema = of_column("STRING", "listagg", &[]);
    for (text, blank) in [("\u{1c}", true), ("\u{3000}", true), ("\u{a0}", false), ("\u{85}", false), ("", true)] {
        let version = |text: &str| (RowKind::Insert, vec![Datum::Int(1), Datum::String(text.to_string())]);
        let found = merge(&schema, &[vec![version("a"), version(text)]], [0; 3], Single::Keep).unwrap();
        let wanted = if blank { "a".to_string() } else { format!("a,{text}") };
        assert_eq!(found[0].1[1], Datum::String(wanted), "{text:?}");
    }
}

#[test]
fn bitmaps_are_united() {
    let schema = of_column("BYTES", "rbm32", &[]);
    let bytes = |values: std::ops::Range<u32>| {
        let mut bytes = Vec::new();
        roaring::RoaringBitmap::from_iter(values).serialize_into(&mut bytes).unwrap();
        Datum::Bytes(bytes)
    };
    let version = |bytes: Datum| (RowKind::Insert, vec![Datum::Int(1), bytes]);
    let of = |all: Vec<Datum>| merge(&schema, &[all.into_iter().map(version).collect()], [0; 3], Single::Keep);
    let found = of(vec![bytes(0..3), Datum::Null, bytes(2..9), bytes(70_000..70_001)]).unwrap();
    let Datum::Bytes(found) = &found[0].1[1] else { panic!() };
    let found = roaring::RoaringBitmap::deserialize_from(found.as_slice()).unwrap();
    assert_eq!(found.iter().collect::<Vec<_>>(), (0..9).chain([70_000]).collect::<Vec<_>>());
    let wrong = of(vec![bytes(0..3), Datum::Bytes(vec![1, 2, 3])]).unwrap_err();
    assert!(wrong.to_string().contains("\"a\""), "{wrong}");
}

/// A function, two values, and what the function makes of them, in hexadecimal.
const SKETCHES: [(&str, [&str; 2], &str); 3] = [
    (
        "rbm64",
        [
            "0102000000000000000002000500000000000000010004000000000000000000000000000000000004000000000000000001010000000000000001000000fe0200000001020300000000000100020001000900000001007011080002000000000000000000000001000000",
            "010300000000000000000200000000ff0000020001000000010004000000000000000000000000000000000004000000000001000000010000000000000004000000ffffffffffff020000000000000001000000fe03000000010004000000010002000300010203000000000005000a00010201000000ffff03000000000000000000000002000000",
        ],
        "010400000000000000000200000000ff000002000100000001000002000200000000010004000000000000000000000000000000000004000000000000000001010000000000000004000000000001000000020000000000000004000000ffffffffffff030000000000000001000000fe04000000010006000000010000000500010009000000010070110800010203000000000005000a00010201000000ffff04000000000000000000000003000000",
    ),
    (
        "hll_sketch",
        [
            "0201070803080500cbd7c2042bf2fb06862ff90d7581660781bc5d06",
            "02010708030806007581660781bc5d067b65e608fc2d420ac1e91705d2167307",
        ],
        "03010708050800010900000081bc5d06862ff90dcbd7c2042bf2fb06c1e91705d2167307758166077b65e608fc2d420a",
    ),
    (
        "theta_sketch",
        [
            "02030300001acc93020000000000803f15f97dcbbd86a105e56b61eec8804420",
            "02030300001acc93030000000000803f15f97dcbbd86a105c397fc1281709d1eba40b3c1da06695d",
        ],
        "02030300001acc93040000000000803f15f97dcbbd86a105c397fc1281709d1ee56b61eec8804420ba40b3c1da06695d",
    ),
];

fn bytes_of(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

#[test]
fn sketches_and_64_bit_bitmaps_of_java_are_united_with_javas_bytes() {
    // Made and united by Paimon 2.0.0.
    for (function, these, united) in SKETCHES {
        let schema = of_column("BYTES", function, &[]);
        let version = |hex: &str| (RowKind::Insert, vec![Datum::Int(1), Datum::Bytes(bytes_of(hex))]);
        let of = |all: &[&str]| merge(&schema, &[all.iter().map(|hex| version(hex)).collect()], [0; 3], Single::Keep);
        assert_eq!(of(&these).unwrap()[0].1[1], Datum::Bytes(bytes_of(united)), "{function}");
        assert_eq!(of(&these[..1]).unwrap()[0].1[1], Datum::Bytes(bytes_of(these[0])), "{function}: alone");
        for cut in 0..these[0].len() / 2 {
            let error = of(&[&these[0][..2 * cut], these[1]]).unwrap_err();
            assert!(
                matches!(&error, Error::Invalid(text) if text.contains("\"a\"")),
                "{function}, {cut} bytes: {error}"
            );
        }
    }
}

#[test]
fn retractions_may_be_left_out_or_remove_the_row() {
    let schema = of_column("INT", "max", &[("fields.a.ignore-retract", "true")]);
    check(&schema, &[("+I 5 | -D 5 | +I 3", "+I 5"), ("-D 5 | -D 6", "+I _")]);
    let removes = ("aggregation.remove-record-on-delete", "true");
    let cases = [
        ("+I 5 | -D 7", "-D 7"),
        ("+I 5 | -D 7 | +I 3", "+I 10"),
        ("+I 5 | -U 2 | -D 1 | -U 4", "+I -3"),
        ("-D 1 | -D 2", "-D 2"),
    ];
    check(&of_column("INT", "sum", &[removes]), &cases);
    // The first value was there before the row was removed.
    check(&of_column("INT", "first_value", &[removes]), &[("+I 5 | -D 7 | +I 3", "+I 7"), ("-D 7 | +I 3", "+I 3")]);
    refused(&of_column("INT", "sum", &[removes, ("fields.a.ignore-retract", "true")]), "fields.a.ignore-retract");
}

#[test]
fn columns_without_a_function_take_the_default_and_sequence_fields_the_last_value() {
    let columns = [("a", "INT"), ("b", "INT"), ("q", "INT")];
    let engine = ("merge-engine", "aggregation");
    check(&table(&columns, &[engine]), &[("+I 1 2 3 | +I _ 4 _", "+I 1 4 3")]);
    let options = [
        engine,
        ("fields.default-aggregate-function", "sum"),
        ("fields.b.aggregate-function", "min"),
        ("sequence.field", "q"),
    ];
    check(&table(&columns, &options), &[("+I 1 2 3 | +I 5 4 4", "+I 6 2 4"), ("+I 1 2 3 | +I 5 1 _", "+I 6 1 _")]);
}

#[test]
fn functions_that_are_lacking_or_do_not_fit_are_refused_by_name() {
    for (data_type, function) in [
        ("STRING", "sum"),
        ("STRING", "product"),
        ("INT", "bool_and"),
        ("INT", "listagg"),
        ("VARCHAR(9)", "listagg"),
        ("STRING", "rbm32"),
        ("STRING", "rbm64"),
        ("BINARY(9)", "hll_sketch"),
        ("INT", "theta_sketch"),
    ] {
        let error = function_of(&of_column(data_type, function, &[])).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("\"a\"")), "{function}: {error}");
    }
    for function in ["collect", "merge_map", "nested_update"] {
        let error = function_of(&of_column("BYTES", function, &[])).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains(function)), "{function}: {error}");
    }
    refused(&of_column("INT", "median", &[]), "median");
}
