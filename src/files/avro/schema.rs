//! The Avro schema of a table's files, spelled as Java spells it.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::files::layout::FileLayout;
use crate::schema::FileFormat;
use crate::types::{DataType, TypeKind};

/// The name of the record of a row, with which the names of the records in it begin.
const ROOT: &str = "record";

/// The most brackets around a part of a schema. Readers of JSON end at some depth, ours at 127.
const MAX_LEVELS: usize = 120;

/// The schema that files of a layout begin with.
///
/// # Errors
/// [`Error::Unsupported`] names a column that has no Avro form.
pub(in crate::files) fn avro_schema(layout: &FileLayout) -> Result<String> {
    let mut speller = Speller::default();
    let mut fields = Vec::with_capacity(layout.columns.len());
    for column in &layout.columns {
        let refuse = |why: String| Error::unsupported(format!("column {:?} in Avro files: {why}", column.name));
        if let Some(why) = FileFormat::Avro.refusal(&column.data_type) {
            return Err(refuse(why));
        }
        let field = speller.field(ROOT, &column.name, &column.data_type).map_err(refuse)?;
        if levels(&field) > MAX_LEVELS {
            return Err(refuse("its schema is nested deeper than readers go".to_string()));
        }
        fields.push(field);
    }
    Ok(format!(
        r#"{{"type":"record","name":"{ROOT}","namespace":"org.apache.paimon.avro.generated","fields":[{}]}}"#,
        fields.join(",")
    ))
}

/// A part of a schema, or why it cannot be spelled.
type Spelled = std::result::Result<String, String>;

/// Spells types. A record has the name of the path to it, so that two paths may meet in one name: a record that is
/// spelled already is only named when it comes again, and another one cannot have its name.
#[derive(Default)]
struct Speller {
    records: HashMap<String, TypeKind>,
}

impl Speller {
    /// A field of the record of a name.
    fn field(&mut self, record: &str, name: &str, data_type: &DataType) -> Spelled {
        if !is_avro_name(name) {
            return Err(format!("the name {name:?} is none of letters, digits and _ without a digit first"));
        }
        let spelled = self.spell(&format!("{record}_{name}"), data_type)?;
        Ok(field_text(name, data_type.nullable, &spelled))
    }

    /// A type; one that may be NULL is a union whose first branch is. Records in it have names that begin with `path`.
    fn spell(&mut self, path: &str, data_type: &DataType) -> Spelled {
        let value = match &data_type.kind {
            TypeKind::Array(element) => format!(r#"{{"type":"array","items":{}}}"#, self.spell(path, element)?),
            TypeKind::Map(map) => self.map(path, &data_type.kind, (&map.key, &map.value))?,
            TypeKind::Multiset(element) => self.map(path, &data_type.kind, (element, &DataType::INT))?,
            TypeKind::Row(fields) => self.record(path, &data_type.kind, |speller| {
                fields.iter().map(|field| speller.field(path, &field.name, &field.data_type)).collect()
            })?,
            scalar => scalar_text(scalar).ok_or_else(|| format!("Avro files have no {scalar}"))?,
        };
        Ok(if data_type.nullable { format!(r#"["null",{value}]"#) } else { value })
    }

    /// Avro's maps have texts as keys; others are arrays of entries.
    fn map(&mut self, path: &str, kind: &TypeKind, (key, value): (&DataType, &DataType)) -> Spelled {
        if is_text(&key.kind) {
            return Ok(format!(r#"{{"type":"map","values":{}}}"#, self.spell(path, value)?));
        }
        let entry = self.record(path, kind, |speller| {
            let key = speller.spell(&format!("{path}_key"), key)?;
            let spelled = speller.spell(&format!("{path}_value"), value)?;
            Ok(vec![format!(r#"{{"name":"key","type":{key}}}"#), field_text("value", value.nullable, &spelled)])
        })?;
        Ok(format!(r#"{{"type":"array","items":{entry},"logicalType":"map"}}"#))
    }

    fn record(
        &mut self,
        name: &str,
        kind: &TypeKind,
        fields: impl FnOnce(&mut Self) -> std::result::Result<Vec<String>, String>,
    ) -> Spelled {
        // Without ids, which tell no two types apart.
        let kind = DataType { kind: kind.clone(), nullable: true }.numbered(&mut 0).kind;
        match self.records.get(name) {
            Some(spelled) if *spelled == kind => Ok(format!("\"{name}\"")),
            Some(_) => Err(format!("another record has the name {name:?} too")),
            None => {
                self.records.insert(name.to_string(), kind);
                let fields = fields(self)?.join(",");
                Ok(format!(r#"{{"type":"record","name":"{name}","fields":[{fields}]}}"#))
            }
        }
    }
}

/// Whether maps with such keys are Avro's own.
pub(super) fn is_text(kind: &TypeKind) -> bool {
    matches!(kind, TypeKind::Char(_) | TypeKind::VarChar(_))
}

/// Whether Java's Avro takes a name. It looks at letters and digits of every script, but at UTF-16 units one by one.
fn is_avro_name(name: &str) -> bool {
    let short = |c: &char| c.len_utf16() == 1;
    let letter = |c: char| c == '_' || c.is_alphabetic();
    name.starts_with(letter) && name.chars().all(|c| short(&c) && (c == '_' || c.is_alphanumeric()))
}

/// A field of a record; one that may be NULL is that by default.
fn field_text(name: &str, nullable: bool, spelled: &str) -> String {
    let default = if nullable { r#","default":null"# } else { "" };
    format!(r#"{{"name":"{name}","type":{spelled}{default}}}"#)
}

/// The most brackets around a part of a schema's text; names have none.
fn levels(text: &str) -> usize {
    let (mut open, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        most = most.max(open);
    }
    most
}

/// How a value is spelled; `None` for one that has parts.
fn scalar_text(kind: &TypeKind) -> Option<String> {
    let logical = |of: &str, what: &str| format!(r#"{{"type":"{of}","logicalType":"{what}"}}"#);
    let plain = |word: &str| format!("\"{word}\"");
    Some(match kind {
        TypeKind::Boolean => plain("boolean"),
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::Int => plain("int"),
        TypeKind::BigInt => plain("long"),
        TypeKind::Float => plain("float"),
        TypeKind::Double => plain("double"),
        TypeKind::Char(_) | TypeKind::VarChar(_) => plain("string"),
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
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => plain("bytes"),
        TypeKind::Array(_) | TypeKind::Map(_) | TypeKind::Multiset(_) | TypeKind::Row(_) | TypeKind::Variant => {
            return None;
        }
    })
}
