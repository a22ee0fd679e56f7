use super::*;
use crate::types::DataType;

fn decode(text: &str) -> Result<Schema> {
    decode_schema(text.as_bytes(), "schema/schema-0")
}

/// A schema of one column with other parts replaced.
fn file(version: &str, fields: &str, rest: &str) -> String {
    format!(
        r#"{{{version} "id":0,"fields":[{fields}],"highestFieldId":5,"partitionKeys":[],"primaryKeys":[],"options":{{}}{rest}}}"#
    )
}

const B: &str = r#"{"id":1,"name":"a","type":"INT"}"#;
const A: &str = r#"{"id":0,"name":"a","type":"INT"}"#;

#[test]
fn a_schema_is_laid_out_as_java_does() {
    let mut schema = Schema::builder()
        .column("k", DataType::INT)
        .column("v", DataType::STRING)
        .primary_key(["k"])
        .comment("a \"comment\"")
        .build()
        .unwrap();
    schema.fields[1].description = Some("text".into());
    schema.fields[1].default_value = Some("x".into());
    schema.time_millis = 12;
    let expected = r#"{
  "version" : 3,
  "id" : 0,
  "fields" : [ {
    "id" : 0,
    "name" : "k",
    "type" : "INT NOT NULL"
  }, {
    "id" : 1,
    "name" : "v",
    "type" : "STRING",
    "description" : "text",
    "defaultValue" : "x"
  } ],
  "highestFieldId" : 1,
  "partitionKeys" : [ ],
  "primaryKeys" : [ "k" ],
  "options" : { },
  "comment" : "a \"comment\"",
  "timeMillis" : 12
}"#;
    let bytes = encode_schema(&schema).unwrap();
    assert_eq!(bytes, expected);
    assert_eq!(decode_schema(&bytes, "x").unwrap(), schema);
}

#[test]
fn old_versions_have_old_defaults() {
    let options = |version: &str| decode(&file(version, A, "")).unwrap().options.into_iter().collect::<Vec<_>>();
    let bucket = ("bucket".to_string(), "1".to_string());
    let format = ("file.format".to_string(), "orc".to_string());
    assert_eq!(options(""), [bucket.clone(), format.clone()]);
    assert_eq!(options(r#""version":1,"#), [bucket, format.clone()]);
    assert_eq!(options(r#""version":2,"#), [format]);
    assert_eq!(options(r#""version":3,"#), []);
    assert!(matches!(decode(&file(r#""version":4,"#, A, "")), Err(Error::Unsupported(_))));
}

#[test]
fn columns_that_cannot_be_read_are_refused_by_name() {
    for kind in
        [r#"{"type":"VECTOR","element":"FLOAT","length":3}"#, r#"{"type":"ARRAY","element":"BLOB"}"#, r#""BLOB""#]
    {
        let refused = decode(&file("", &format!(r#"{{"id":0,"name":"nest","type":{kind}}}"#), "")).unwrap_err();
        assert!(matches!(&refused, Error::Unsupported(what) if what.contains("\"nest\"")), "{refused}");
    }
}

#[test]
fn broken_schemas_name_the_file_and_the_field() {
    let deep = format!(r#"{{"id":0,"name":"a","type":{}"INT"{}}}"#, "[".repeat(1000), "]".repeat(1000));
    let many = vec![A; 10_001].join(",");
    for (text, word) in [
        ("".to_string(), "JSON"),
        ("{}".to_string(), "missing field"),
        (file("", "", ""), "fields"),
        (file("", &many, ""), "10000"),
        (file("", &deep, ""), "levels"),
        (file("", r#"{"id":0,"name":"a","type":"ARRAY<INT>"}"#, ""), "objects"),
        (file("", r#"{"id":0,"name":"a","type":{"type":"ARRAY"}}"#, ""), "element"),
        (file("", r#"{"id":0,"name":"a","type":{"type":"ARRAY NULL","element":"INT"}}"#, ""), "no type"),
        (
            file("", r#"{"id":0,"name":"a","type":{"type":"ROW","fields":[{"id":0,"name":"b","type":"INT"}]}}"#, ""),
            "id 0",
        ),
        (file("", &format!(r#"{{"id":2,"name":"r","type":{{"type":"ROW","fields":[{A},{B}]}}}}"#), ""), "two fields"),
        (file("", r#"{"id":0,"name":"a","type":"INTT"}"#, ""), "\"a\""),
        (file("", r#"{"id":0,"name":"a","type":7}"#, ""), "\"a\""),
        (file("", &format!("{A},{A}"), ""), "two columns"),
        (file("", r#"{"id":6,"name":"a","type":"INT"}"#, ""), "id 6"),
        (file("", r#"{"id":-1,"name":"a","type":"INT"}"#, ""), "id -1"),
        (file("", r#"{"id":4294967296,"name":"a","type":"INT"}"#, ""), "JSON"),
        (file("", A, "").replace(r#""primaryKeys":[]"#, r#""primaryKeys":["b"]"#), "primaryKeys"),
        (file("", A, "").replace(r#""partitionKeys":[]"#, r#""partitionKeys":["a","a"]"#), "partitionKeys"),
        (file("", A, r#","options":{}"#), "duplicate"),
        (file("", A, "").replace(r#""options":{}"#, r#""options":{"a":1}"#), "JSON"),
        (file("", A, "").replace(r#""id":0,"f"#, r#""id":-2,"f"#), "id"),
    ] {
        let error = decode(&text).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { file, .. } if file == "schema/schema-0"), "{error}");
        assert!(error.to_string().contains(word), "{error} lacks {word}");
    }
}

#[test]
fn unknown_keys_are_passed_over() {
    let text = file("", r#"{"id":0,"name":"a","type":"INT","later":{"x":[1]}}"#, r#","later":null"#);
    assert_eq!(decode(&text).unwrap().fields.len(), 1);
}

#[test]
fn nested_types_are_objects_and_read_back_to_a_hundred_levels() {
    let text = "ARRAY<ROW<x INT NOT NULL, y MAP<STRING, MULTISET<INT>> NOT NULL> NOT NULL>";
    let schema = Schema::builder().column("a", text.parse().unwrap()).column("z", DataType::INT).build().unwrap();
    let bytes = encode_schema(&schema).unwrap();
    assert_eq!(decode_schema(&bytes, "x").unwrap(), schema);
    let found = std::str::from_utf8(&bytes).unwrap().split_whitespace().collect::<String>();
    assert!(found.contains(
        r#""type":{"type":"ARRAY","element":{"type":"ROWNOTNULL","fields":[{"id":1,"name":"x","type":"INTNOTNULL"},{"id":2,"name":"y","type":{"type":"MAPNOTNULL","key":"STRING","value":{"type":"MULTISET","element":"INT"}}}]}}"#
    ), "{found}");
    assert!(found.contains(r#""id":3,"name":"z""#) && found.contains(r#""highestFieldId":3"#), "{found}");
    let deep = (0..100).fold(DataType::INT, |inner, _| DataType::row([("a", inner)]));
    let schema = Schema::builder().column("deep", deep.clone()).build().unwrap();
    assert_eq!(decode_schema(&encode_schema(&schema).unwrap(), "x").unwrap(), schema);
    let schema = Schema::builder().column("deep", DataType::array(deep)).build().unwrap();
    assert!(matches!(decode_schema(&encode_schema(&schema).unwrap(), "x"), Err(Error::Corrupt { .. })));
}
