//! Every type through JSON and CSV and back, and what is refused with which words.

use arrow_array::cast::AsArray;
use forebay::types::DataType;

use super::csv_in::{CsvLines, Dialect};
use super::csv_out::CsvRows;
use super::json_in::JsonLines;
use super::json_out::JsonRows;
use super::{Columns, InputError, Piece, Rows};

fn columns(text: &str) -> Columns {
    text.split(';')
        .map(|column| {
            let (name, data_type) = column.trim().split_once(' ').unwrap();
            (name.to_string(), data_type.parse::<DataType>().unwrap())
        })
        .collect()
}

fn all_types() -> Columns {
    columns(
        "k INT NOT NULL;bo BOOLEAN;ti TINYINT;si SMALLINT;bi BIGINT;f FLOAT;do DOUBLE;d5 DECIMAL(5, 2);d38 DECIMAL(38, 10);\
         da DATE;tm TIME(3);t0 TIMESTAMP(0);t3 TIMESTAMP(3);t6 TIMESTAMP(6);t9 TIMESTAMP(9);z0 TIMESTAMP_LTZ(0);\
         z6 TIMESTAMP_LTZ(6);z9 TIMESTAMP_LTZ(9);c CHAR(4);vc VARCHAR(10);st STRING;b4 BINARY(4);by BYTES",
    )
}

const FULL: &str = r#"{"k":-2147483648,"bo":true,"ti":-128,"si":32767,"bi":-9223372036854775808,"f":0.1,"do":-0.0,"d5":-999.99,"d38":9999999999999999999999999999.9999999999,"da":"0001-01-01","tm":"23:59:59.999","t0":"9999-12-31T23:59:59","t3":"1969-12-31T23:59:59.001","t6":"1900-02-28T00:00:00.000001","t9":"9999-12-31T23:59:59.999999999","z0":"2023-11-14T22:13:20Z","z6":"2023-11-14T22:13:20.123456Z","z9":"0001-01-01T00:00:00.000000001Z","c":"日本語😀","vc":"a\"b\\c","st":"","b4":"AAECAw==","by":""}"#;
const ODD: &str = r#"{"k":0,"bo":false,"ti":0,"si":0,"bi":0,"f":"NaN","do":"-Infinity","d5":0.00,"d38":0.0000000001,"da":"1970-01-01","tm":"00:00:00.000","t0":"1970-01-01T00:00:00","t3":"1970-01-01T00:00:00.000","t6":"1970-01-01T00:00:00.000000","t9":"1969-12-31T23:59:59.999999999","z0":"1970-01-01T00:00:00Z","z6":"1970-01-01T00:00:00.000000Z","z9":"1970-01-01T00:00:00.000000000Z","c":" x ","vc":"NULL","st":"two\nlines, \"quoted\"","b4":"AA==","by":"//79"}"#;
const EMPTY: &str = r#"{"k":1,"bo":null,"ti":null,"si":null,"bi":null,"f":null,"do":null,"d5":null,"d38":null,"da":null,"tm":null,"t0":null,"t3":null,"t6":null,"t9":null,"z0":null,"z6":null,"z9":null,"c":null,"vc":null,"st":null,"b4":null,"by":null}"#;

fn read_json(columns: &Columns, text: &str) -> Result<Option<Piece>, InputError> {
    JsonLines::open(text.as_bytes(), "in.jsonl", columns, false)?.next(1000)
}

fn read_csv(columns: &Columns, text: &str, dialect: Dialect) -> Result<Option<Piece>, InputError> {
    CsvLines::open(text.as_bytes(), "in.csv", columns, dialect)?.next(1000)
}

fn to_json(columns: &Columns, piece: &Piece) -> String {
    let mut out = Vec::new();
    JsonRows::new(columns).rows(&piece.batch, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json_error(columns: &Columns, line: &str) -> String {
    read_json(columns, line).unwrap_err().to_string()
}

#[test]
fn every_type_goes_through_json_unchanged() {
    let columns = all_types();
    let text = format!("{FULL}\n{ODD}\n{EMPTY}\n");
    let piece = read_json(&columns, &text).unwrap().unwrap();
    assert_eq!(piece.batch.num_rows(), 3);
    assert_eq!(to_json(&columns, &piece), text);
}

#[test]
fn every_type_goes_through_csv_unchanged() {
    let columns = all_types();
    let text = format!("{FULL}\n{ODD}\n{EMPTY}\n");
    let piece = read_json(&columns, &text).unwrap().unwrap();
    let csv = CsvRows::new(&columns);
    let mut out = Vec::new();
    csv.header(&[], &mut out);
    csv.rows(&piece.batch, &mut out).unwrap();
    let back = read_csv(&columns, std::str::from_utf8(&out).unwrap(), Dialect::default()).unwrap().unwrap();
    assert_eq!(to_json(&columns, &back), text);
}

#[test]
fn columns_may_come_in_any_order_with_blanks_and_escapes_and_nullable_ones_may_be_missing() {
    let columns = columns("id INT NOT NULL;näme STRING;x DOUBLE");
    let text = "\u{FEFF}  { \"n\\u00e4me\" : \"\\ud83d\\ude00\\/\\n\" , \"id\" : 7 }  \r\n\n   \n{\"id\":8,\"x\":1e2}";
    let piece = read_json(&columns, text).unwrap().unwrap();
    assert_eq!(
        to_json(&columns, &piece),
        "{\"id\":7,\"näme\":\"😀/\\n\",\"x\":null}\n{\"id\":8,\"näme\":null,\"x\":100.0}\n"
    );
}

#[test]
fn a_wrong_value_is_refused_with_line_column_and_value() {
    let columns =
        columns("id INT NOT NULL;d DECIMAL(5, 2);s VARCHAR(3);b TINYINT;at TIMESTAMP(3);ok BOOLEAN;y BINARY(2)");
    for (line, words) in [
        (r#"{"id":"7"}"#, "in.jsonl, line 1, column id: \"\\\"7\\\"\" is no INT"),
        (r#"{"id":1.5}"#, "column id: \"1.5\" is no whole number"),
        (r#"{"id":3000000000}"#, "is out of range"),
        (r#"{"id":null}"#, "column id: \"null\" is NULL, but the column is NOT NULL"),
        (r#"{"d":1}"#, "column id: is missing, but the column is NOT NULL"),
        (r#"{"id":1,"d":1.234}"#, "column d: \"1.234\" has more than 2 digits behind the point"),
        (r#"{"id":1,"d":1000}"#, "has more than 3 digits before the point"),
        (r#"{"id":1,"d":"1.0"}"#, "is no DECIMAL(5, 2)"),
        (r#"{"id":1,"s":"abcd"}"#, "has more than 3 characters"),
        (r#"{"id":1,"s":5}"#, "is no VARCHAR(3)"),
        (r#"{"id":1,"s":{"a":1}}"#, "is an object, but the column is VARCHAR(3)"),
        (r#"{"id":1,"s":[1]}"#, "is an array"),
        (r#"{"id":1,"b":128}"#, "is out of range"),
        (r#"{"id":1,"at":"2023-01-01T00:00:00.1234"}"#, "more than 3 fraction digits"),
        (r#"{"id":1,"at":1700000000}"#, "is no TIMESTAMP(3)"),
        (r#"{"id":1,"ok":1}"#, "is no BOOLEAN"),
        (r#"{"id":1,"ok":"true"}"#, "is no BOOLEAN"),
        (r#"{"id":1,"y":"AAEC"}"#, "has more than 2 bytes"),
        (r#"{"id":1,"y":"?"}"#, "is not base64"),
        (r#"{"id":1,"nope":1}"#, "the table has no column \"nope\""),
        (r#"{"id":1,"id":2}"#, "column id: is given twice"),
        (r#"{"id":01}"#, "is no JSON object"),
        (r#"{"id":1"#, "the end of the line"),
        (r#"{"id":1}}"#, "the end of the line"),
        (r#"{"id":1,}"#, "a name in quotes"),
        (r#"[1]"#, "is no JSON object"),
        (r#"{"id":1,"s":"\ud800"}"#, "half of a surrogate pair"),
        (r#"{"id":1,"s":"\x"}"#, "an escape"),
        ("{\"id\":1,\"s\":\"a\tb\"}", "a closing quote"),
        (r#"{"id":nul}"#, "a JSON value"),
        (r#"{"id":NaN}"#, "a JSON value"),
    ] {
        let error = json_error(&columns, line);
        assert!(error.contains(words), "{line}: {error}");
    }
    let error = read_json(&columns, "{\"id\":1}\n\n{\"id\":2}\n{\"id\":x}\n").unwrap_err();
    assert_eq!(error.line, Some(4));
    let error = JsonLines::open(&b"{\"id\":1,\"s\":\"\xFF\"}"[..], "f", &columns, false).unwrap().next(9).unwrap_err();
    assert!(error.to_string().contains("not UTF-8"));
}

#[test]
fn changes_carry_their_kinds() {
    let columns = columns("id INT NOT NULL;s STRING");
    let text = "{\"kind\":\"+I\",\"snapshot\":3,\"row\":{\"id\":1,\"s\":\"a\"}}\n\
                {\"snapshot\":3,\"bucket\":0,\"row\":{\"id\":2},\"kind\":\"-D\"}\n";
    let mut lines = JsonLines::open(text.as_bytes(), "f", &columns, true).unwrap();
    let piece = lines.next(10).unwrap().unwrap();
    assert_eq!(piece.kinds.as_ref().unwrap().values(), &[0, 3]);
    let mut out = Vec::new();
    JsonRows::new(&columns).changes(3, &piece.batch, piece.kinds.as_ref(), &mut out).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\"kind\":\"+I\",\"snapshot\":3,\"row\":{\"id\":1,\"s\":\"a\"}}\n\
         {\"kind\":\"-D\",\"snapshot\":3,\"row\":{\"id\":2,\"s\":null}}\n"
    );
    for (line, words) in [
        ("{\"kind\":\"+X\",\"row\":{\"id\":1}}", "none of +I, -U, +U, -D"),
        ("{\"row\":{\"id\":1}}", "needs a \"kind\""),
        ("{\"kind\":\"+I\"}", "needs a \"row\""),
        ("{\"kind\":\"+I\",\"row\":{\"id\":1},\"row\":{\"id\":1}}", "given twice"),
        ("{\"kind\":\"+I\",\"row\":{\"id\":1},\"op\":1}", "has no \"op\""),
        ("{\"id\":1,\"s\":\"x\"}", "has no \"id\""),
    ] {
        let error = JsonLines::open(line.as_bytes(), "f", &columns, true).unwrap().next(10).unwrap_err().to_string();
        assert!(error.contains(words), "{line}: {error}");
    }
}

#[test]
fn csv_tells_null_from_an_empty_text() {
    let columns = columns("id INT NOT NULL;s STRING;n INT;at TIMESTAMP(0)");
    let text =
        "at,n,s,id\r\n2013-01-01 05:00:00, 5 ,\"\",1\r\n,,,2\r\n\r\nNA,\"\",\"NA\",3\r\n,NA,\"a \"\"b\"\"\nc\",\"4\"";
    let dialect = Dialect { null: Some("NA".into()), ..Dialect::default() };
    let piece = read_csv(&columns, text, dialect).unwrap().unwrap();
    assert_eq!(
        to_json(&columns, &piece),
        "{\"id\":1,\"s\":\"\",\"n\":5,\"at\":\"2013-01-01T05:00:00\"}\n\
         {\"id\":2,\"s\":null,\"n\":null,\"at\":null}\n\
         {\"id\":3,\"s\":\"NA\",\"n\":null,\"at\":null}\n\
         {\"id\":4,\"s\":\"a \\\"b\\\"\\nc\",\"n\":null,\"at\":null}\n"
    );
}

#[test]
fn a_wrong_csv_is_refused_with_line_and_column() {
    let columns = columns("id INT NOT NULL;s STRING");
    for (text, words) in [
        ("", "no header line"),
        ("id,t\n", "the table has no column \"t\""),
        ("id,id\n", "named twice"),
        ("s\nx\n", "column id: is NOT NULL, but the header does not name it"),
        ("id,s\n1,a\nx,b\n", "in.csv, line 3, column id: \"x\" is no whole number"),
        ("id,s\n1,\"a\nb\"\nx,b\n", "line 4, column id"),
        ("id,s\n1\n", "line 2: the line has 1 fields, but the header names 2 columns"),
        ("id,s\n1,2,3\n", "has 3 fields"),
        ("id,s\n1,\"a\n", "a quote is not closed"),
        ("id,s\n1,\"a\"b\n", "goes on behind its closing quote"),
        ("id,s\n,b\n", "column id: \"\" is NULL"),
    ] {
        let error = read_csv(&columns, text, Dialect::default()).unwrap_err().to_string();
        assert!(error.contains(words), "{text:?}: {error}");
    }
}

/// Gives its bytes a few at a time, as a pipe may.
struct Drip<'a>(&'a [u8], usize);

impl std::io::Read for Drip<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(self.0.len()).min(into.len());
        into[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn where_a_read_ends_does_not_matter() {
    let columns = columns("id INT NOT NULL;s STRING");
    let csv = "id,s\r\n1,\"a \"\"b\"\"\r\nc\"\r\n2,x\r\n\r\n3,\"\"\r\n";
    let json = "{\"id\":1,\"s\":\"a \\\"b\\\"\\r\\nc\"}\n{\"id\":2,\"s\":\"x\"}\n\n{\"id\":3,\"s\":\"\"}\n";
    for step in 1..20 {
        let mut lines = CsvLines::open(Drip(csv.as_bytes(), step), "f", &columns, Dialect::default()).unwrap();
        let from_csv = to_json(&columns, &lines.next(100).unwrap().unwrap());
        let mut lines = JsonLines::open(Drip(json.as_bytes(), step), "f", &columns, false).unwrap();
        let from_json = to_json(&columns, &lines.next(100).unwrap().unwrap());
        assert_eq!(from_csv, json.replace("\n\n", "\n"));
        assert_eq!(from_json, from_csv);
    }
}

#[test]
fn rows_are_cut_where_they_are_asked_for() {
    let columns = columns("id INT NOT NULL");
    let text: String = (0..10).map(|id| format!("{{\"id\":{id}}}\n")).collect();
    let mut lines = JsonLines::open(text.as_bytes(), "f", &columns, false).unwrap();
    let mut ids = Vec::new();
    while let Some(piece) = lines.next(3).unwrap() {
        assert!(piece.batch.num_rows() <= 3);
        ids.extend(piece.batch.column(0).as_primitive::<arrow_array::types::Int32Type>().values().to_vec());
    }
    assert_eq!(ids, (0..10).collect::<Vec<_>>());
}

/// Prints rows a second: `cargo test --release -p forebay-cli how_fast -- --ignored --nocapture`.
#[test]
#[ignore = "figures for people; it proves nothing"]
fn how_fast_rows_are_parsed_and_written() {
    let columns = columns(
        "o_orderkey BIGINT NOT NULL;o_custkey BIGINT;o_orderstatus STRING;o_totalprice DECIMAL(15, 2);o_orderdate DATE;\
         o_orderpriority STRING;o_clerk STRING;o_shippriority INT;o_comment STRING;at TIMESTAMP(6);x DOUBLE",
    );
    let line = |id: u32| {
        format!(
            "{{\"o_orderkey\":{},\"o_custkey\":{},\"o_orderstatus\":\"O\",\"o_totalprice\":{}.25,\"o_orderdate\":\"1996-03-{:02}\",\
             \"o_orderpriority\":\"4-NOT SPECIFIED\",\"o_clerk\":\"Clerk#000000{:03}\",\"o_shippriority\":0,\
             \"o_comment\":\"furiously final, deposits sleep {id}\",\"at\":\"2023-11-14T22:13:20.{:06}\",\"x\":{}.5}}\n",
            id * 4,
            id * 7 % 150_000,
            id,
            id % 28 + 1,
            id % 1000,
            id,
            id
        )
    };
    let text: String = (0..300_000).map(line).collect();
    let env = forebay::Env::system();
    let start = env.monotonic();
    let mut lines = JsonLines::open(text.as_bytes(), "in", &columns, false).unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = lines.next(16 << 10).unwrap() {
        pieces.push(piece);
    }
    let mut told = start;
    let mut tell = |what: &str| {
        let now = env.monotonic();
        println!("{what:<12}{:>12.0} rows/s", 300_000.0 / (now - told).as_secs_f64());
        told = env.monotonic();
    };
    tell("JSON in");
    let mut out = Vec::new();
    pieces.iter().for_each(|piece| JsonRows::new(&columns).rows(&piece.batch, &mut out).unwrap());
    tell("JSON out");
    assert!(out == text.as_bytes());
    let csv = CsvRows::new(&columns);
    out.clear();
    csv.header(&[], &mut out);
    pieces.iter().for_each(|piece| csv.rows(&piece.batch, &mut out).unwrap());
    tell("CSV out");
    let mut lines = CsvLines::open(&out[..], "in", &columns, Dialect::default()).unwrap();
    while lines.next(16 << 10).unwrap().is_some() {}
    tell("CSV in");
}

#[test]
fn nested_types_go_through_json_and_csv_unchanged() {
    let columns = columns(
        "k INT NOT NULL;a ARRAY<ROW<x INT NOT NULL, t TIMESTAMP(9)>>;m MAP<STRING, ARRAY<DECIMAL(20, 3)>>;\
         u MULTISET<STRING>;r ROW<p BYTES, q ROW<d DATE NOT NULL>>",
    );
    let text = r#"{"k":1,"a":[{"x":1,"t":"0001-01-01T00:00:00.000000001"},null,{"x":-2,"t":null}],"m":[["b",[1.500,null]],["a",null]],"u":[["x, \"y\"",2]],"r":{"p":"AAE=","q":{"d":"2024-02-29"}}}
{"k":2,"a":[],"m":[],"u":[],"r":{"p":null,"q":null}}
{"k":3,"a":null,"m":null,"u":null,"r":null}
"#;
    let piece = read_json(&columns, text).unwrap().unwrap();
    assert_eq!(to_json(&columns, &piece), text);
    let mut csv = Vec::new();
    CsvRows::new(&columns).header(&[], &mut csv);
    CsvRows::new(&columns).rows(&piece.batch, &mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let back = read_csv(&columns, &csv, Dialect::default()).unwrap().unwrap();
    assert_eq!(to_json(&columns, &back), text, "{csv}");
    // A map with texts for keys may be an object, fields come in any order, and those left out are NULL.
    let loose = r#"{"k":4,"m":{"z":[2]},"r":{"q":{"d":"2024-01-01"}},"a":[ { "t":null, "x":3 } ]}"#;
    let piece = read_json(&columns, loose).unwrap().unwrap();
    let wanted = r#"{"k":4,"a":[{"x":3,"t":null}],"m":[["z",[2.000]]],"u":null,"r":{"p":null,"q":{"d":"2024-01-01"}}}"#;
    assert_eq!(to_json(&columns, &piece).trim(), wanted);
}

#[test]
fn nested_values_that_do_not_fit_are_refused_with_their_place() {
    let columns = columns("k INT NOT NULL;a ARRAY<INT NOT NULL>;m MAP<STRING, INT>;r ROW<x INT NOT NULL, y INT>");
    for (line, words) in [
        (r#"{"k":1,"a":[1,null]}"#, "a.element"),
        (r#"{"k":1,"a":[1,"2"]}"#, "a.element"),
        (r#"{"k":1,"a":{"x":1}}"#, "'['"),
        (r#"{"k":1,"a":"[1]"}"#, "column a"),
        (r#"{"k":1,"a":[1"#, "','"),
        (r#"{"k":1,"m":[["a"]]}"#, "[key, value]"),
        (r#"{"k":1,"m":[["a",1,2]]}"#, "[key, value]"),
        (r#"{"k":1,"m":[[null,1]]}"#, "m.key"),
        (r#"{"k":1,"m":{"a":"b"}}"#, "m.value"),
        (r#"{"k":1,"r":{"y":1}}"#, "r.x"),
        (r#"{"k":1,"r":{"x":1,"x":2}}"#, "twice"),
        (r#"{"k":1,"r":{"x":1,"z":2}}"#, "\"z\""),
        (r#"{"k":1,"r":[1]}"#, "'{'"),
    ] {
        let error = json_error(&columns, line);
        assert!(error.contains("line 1") && error.contains(words), "{line}: {error} lacks {words}");
    }
}
