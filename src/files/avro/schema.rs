//! The Avro schema of a table's files, spelled as Java spells it.

use crate::error::{Error, Result};
use crate::files::layout::FileLayout;
use crate::schema::FileFormat;
use crate::types::TypeKind;

/// The schema that files of a layout begin with.
///
/// # Errors
/// [`Error::Unsupported`] names a column that has no Avro form.
pub(in crate::files) fn avro_schema(layout: &FileLayout) -> Result<String> {
    let mut fields = Vec::with_capacity(layout.columns.len());
    for column in &layout.columns {
        let refuse = |why: String| Error::unsupported(format!("column {:?} in Avro files: {why}", column.name));
        if !is_avro_name(&column.name) {
            return Err(refuse("its name is none of letters, digits and _ without a digit first".to_string()));
        }
        if let Some(why) = FileFormat::Avro.refusal(&column.data_type) {
            return Err(refuse(why));
        }
        let value = value_text(&column.data_type.kind);
        let value = value.ok_or_else(|| refuse(format!("{} is nested", column.data_type)))?;
        fields.push(field_text(&column.name, column.data_type.nullable, &value));
    }
    Ok(format!(
        r#"{{"type":"record","name":"record","namespace":"org.apache.paimon.avro.generated","fields":[{}]}}"#,
        fields.join(",")
    ))
}

/// Whether Java's Avro takes a name. It looks at letters and digits of every script, but at UTF-16 units one by one.
fn is_avro_name(name: &str) -> bool {
    let short = |c: &char| c.len_utf16() == 1;
    let letter = |c: char| c == '_' || c.is_alphabetic();
    name.starts_with(letter) && name.chars().all(|c| short(&c) && (c == '_' || c.is_alphanumeric()))
}

/// A field of a record; one that may be NULL is a union whose first branch is, and NULL by default.
fn field_text(name: &str, nullable: bool, value: &str) -> String {
    match nullable {
        true => format!(r#"{{"name":"{name}","type":["null",{value}],"default":null}}"#),
        false => format!(r#"{{"name":"{name}","type":{value}}}"#),
    }
}

/// How a value is spelled; `None` for nested ones.
fn value_text(kind: &TypeKind) -> Option<String> {
    let logical = |of: &str, what: &str| format!(r#"{{"type":"{of}","logicalType":"{what}"}}"#);
    let plain = |word: &str| format!("\"{word}\"");
    Some(match kind {
        TypeKind::Boolean => plain("boolean"),
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int => plain("int"),
        TypeKind::BigInt => plain("long"),
        TypeKind::Float => plain("float"),
        TypeKind::Double => plain("double"),
        TypeKind::Char(_) | TypeKind::VarChar(_) => plain("string"),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => plain("bytes"),
        TypeKind::Date => logical("int", "date"),
        TypeKind::Time(_) => logical("int", "time-millis"),
        // Java has the two kinds of timestamps the other way round than Avro means them.
        TypeKind::Timestamp(0..=3) => logical("long", "timestamp-millis"),
        TypeKind::Timestamp(_) => logical("long", "timestamp-micros"),
        TypeKind::TimestampLtz(0..=3) => logical("long", "local-timestamp-millis"),
        TypeKind::TimestampLtz(_) => logical("long", "local-timestamp-micros"),
        TypeKind::Decimal { precision, scale } => {
            format!(r#"{{"type":"bytes","logicalType":"decimal","precision":{precision},"scale":{scale}}}"#)
        }
        TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) => return None,
    })
}
