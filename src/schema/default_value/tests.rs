use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type};

use super::*;
use crate::schema::{SchemaChange, Use, check_options};
use crate::types::DataType;

fn lane(data_type: &str, text: &str) -> Result<ArrayRef> {
    let data_type: DataType = data_type.parse()?;
    let field = Field { default_value: Some(text.into()), ..Field::new(0, "a", data_type) };
    default_lane(&field).map(|lane| lane.unwrap())
}

#[test]
fn a_default_is_cast_to_its_columns_type_without_the_quotes_around_it() {
    assert_eq!(lane("INT NOT NULL", "5").unwrap().as_primitive::<Int32Type>().value(0), 5);
    assert_eq!(lane("INT", "'5'").unwrap().as_primitive::<Int32Type>().value(0), 5);
    assert_eq!(lane("DECIMAL(12, 2)", "1.005").unwrap().as_primitive::<Decimal128Type>().value(0), 101);
    for (text, wanted) in [("x", "x"), ("'x'", "x"), ("''", ""), ("", ""), ("it's", "it's"), ("'x", "'x")] {
        assert_eq!(lane("STRING", text).unwrap().as_string::<i32>().value(0), wanted);
    }
    assert_eq!(lane("VARCHAR(2)", "xyz").unwrap().as_string::<i32>().value(0), "xy");
}

#[test]
fn a_default_that_is_no_value_of_its_type_is_refused_by_name() {
    for (data_type, text) in [("INT", "x"), ("INT", ""), ("DATE", "soon"), ("DECIMAL(2, 1)", "123"), ("STRING", "'")] {
        match lane(data_type, text) {
            Err(Error::Invalid(why)) => assert!(why.contains("\"a\""), "{why}"),
            other => panic!("{data_type} {text}: {other:?}"),
        }
    }
    assert!(matches!(lane("ARRAY<INT>", "[1]"), Err(Error::Unsupported(_))));
}

#[test]
fn bad_defaults_are_refused_when_they_are_set_and_when_the_type_changes_below_them() {
    let builder = || Schema::builder().column("id", DataType::INT).column("a", DataType::STRING);
    assert!(matches!(builder().default_value("id", "x").build(), Err(Error::Invalid(_))));
    assert!(matches!(builder().default_value("b", "x").build(), Err(Error::Invalid(_))));
    let schema = builder().default_value("a", "x").build().unwrap();
    assert_eq!(schema.fields[1].default_value.as_deref(), Some("x"));

    let set = |column: &str, text: Option<&str>| {
        let path = column.split('.').map(str::to_string).collect();
        schema.changed(&[SchemaChange::SetDefault(path, text.map(str::to_string))], true)
    };
    assert!(matches!(set("id", Some("x")), Err(Error::Invalid(_))));
    assert!(matches!(set("r.id", Some("5")), Err(Error::Invalid(_))));
    assert_eq!(set("id", Some("5")).unwrap().fields[0].default_value.as_deref(), Some("5"));
    assert_eq!(set("a", None).unwrap().fields[1].default_value, None);

    let retyped = schema.changed(&[SchemaChange::ChangeType(vec!["a".into()], TypeKind::Int)], true);
    assert!(matches!(retyped, Err(Error::Invalid(_))));
}

/// Such a table is Java's or another version's: it is read, and nobody writes rows whose default is unknown.
#[test]
fn a_bad_default_that_is_there_forbids_writing_alone() {
    let mut schema = Schema::builder().column("a", DataType::INT).option("bucket", "-1").build().unwrap();
    schema.fields[0].default_value = Some("x".into());
    assert_eq!(check_options(&schema, Use::Read), Ok(()));
    assert!(matches!(check_options(&schema, Use::Write), Err(Error::Invalid(_))));
    schema.fields[0].default_value = Some("7".into());
    assert_eq!(check_options(&schema, Use::Write), Ok(()));
}
