//! Types in schema files: a text for a scalar type, an object for a nested one.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::schema::Field;
use crate::types::{DataType, MAX_DEPTH, TypeKind};

/// Levels of JSON that a schema may have: three for each level of rows, and its own.
const MAX_LEVELS: usize = 3 * (MAX_DEPTH + 1) + 8;

/// A column of a table, or a field of a row.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::format) struct FieldJson {
    id: i32,
    name: String,
    #[serde(rename = "type")]
    data_type: TypeJson,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_value: Option<String>,
}

/// A type on its way out, or the JSON it came as.
enum TypeJson {
    Out(DataType),
    In(Value),
}

impl<'de> Deserialize<'de> for TypeJson {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::In)
    }
}

impl Serialize for TypeJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Out(data_type) => serialize_type(data_type, serializer),
            Self::In(value) => value.serialize(serializer),
        }
    }
}

fn serialize_type<S: Serializer>(data_type: &DataType, serializer: S) -> Result<S::Ok, S::Error> {
    let out = |part: &DataType| TypeJson::Out(part.clone());
    let word = |word: &str| format!("{word}{}", if data_type.nullable { "" } else { " NOT NULL" });
    let mut map = match &data_type.kind {
        kind if kind.is_nested() && *kind != TypeKind::Variant => serializer.serialize_map(None)?,
        _ => return serializer.collect_str(data_type),
    };
    match &data_type.kind {
        TypeKind::Array(element) => {
            map.serialize_entry("type", &word("ARRAY"))?;
            map.serialize_entry("element", &out(element))?;
        }
        TypeKind::Multiset(element) => {
            map.serialize_entry("type", &word("MULTISET"))?;
            map.serialize_entry("element", &out(element))?;
        }
        TypeKind::Map(parts) => {
            map.serialize_entry("type", &word("MAP"))?;
            map.serialize_entry("key", &out(&parts.key))?;
            map.serialize_entry("value", &out(&parts.value))?;
        }
        TypeKind::Row(fields) => {
            map.serialize_entry("type", &word("ROW"))?;
            map.serialize_entry("fields", &fields.iter().map(FieldJson::of).collect::<Vec<_>>())?;
        }
        _ => {}
    }
    map.end()
}

impl FieldJson {
    pub(in crate::format) fn of(field: &Field) -> Self {
        Self {
            id: field.id,
            name: field.name.clone(),
            data_type: TypeJson::Out(field.data_type.clone()),
            description: field.description.clone(),
            default_value: field.default_value.clone(),
        }
    }
}

/// A type as a JSON value.
pub(super) fn to_json(data_type: &DataType) -> serde_json::Result<Value> {
    serde_json::to_value(TypeJson::Out(data_type.clone()))
}

/// Refuses JSON that nests deeper than any schema, before a parser goes down into it.
pub(in crate::format) fn check_depth(bytes: &[u8], file: &str) -> Result<()> {
    let (mut level, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => level += 1,
            b'}' | b']' if !quoted => level = level.saturating_sub(1),
            _ => {}
        }
        if level > MAX_LEVELS {
            return Err(Error::corrupt(
                file,
                format!("JSON: more than {MAX_LEVELS} levels, which is deeper than any type"),
            ));
        }
    }
    Ok(())
}

/// A column of a schema file.
pub(in crate::format) fn decode_field(field: FieldJson, file: &str) -> Result<Field> {
    let column = field.name.clone();
    of_json(field, 0).map_err(|error| match error {
        Error::Unsupported(what) => Error::unsupported(format!("column {column:?} of {file}: {what}")),
        other => Error::corrupt(file, format!("fields: column {column:?}: {other}")),
    })
}

fn of_json(field: FieldJson, depth: usize) -> Result<Field> {
    let data_type = match field.data_type {
        TypeJson::In(value) => type_of(&value, depth)?,
        TypeJson::Out(data_type) => data_type,
    };
    let (id, name) = (field.id, field.name);
    Ok(Field { id, name, data_type, description: field.description, default_value: field.default_value })
}

pub(super) fn type_of(json: &Value, depth: usize) -> Result<DataType> {
    if depth > MAX_DEPTH {
        return Err(Error::invalid(format!("more than {MAX_DEPTH} levels of nesting")));
    }
    let object = match json {
        Value::String(text) => return scalar(text),
        Value::Object(object) => object,
        other => return Err(Error::invalid(format!("{other} is no type"))),
    };
    let part = |key: &str| {
        let part = object.get(key).ok_or_else(|| Error::invalid(format!("a nested type without {key:?}")));
        part.and_then(|part| type_of(part, depth + 1))
    };
    let word = object.get("type").and_then(Value::as_str).ok_or_else(|| Error::invalid("a type without a name"))?;
    let (name, nullable) = match word.split_once(' ') {
        None => (word, true),
        Some((name, "NOT NULL")) => (name, false),
        Some(_) => return Err(Error::invalid(format!("{word:?} is no type"))),
    };
    let data_type = match name {
        "ARRAY" => DataType::array(part("element")?),
        "MULTISET" => DataType::multiset(part("element")?),
        "MAP" => DataType::map(part("key")?, part("value")?),
        "ROW" => {
            let fields = object.get("fields").and_then(Value::as_array);
            let fields = fields.ok_or_else(|| Error::invalid("a row without \"fields\""))?;
            let field = |json: &Value| {
                let field =
                    FieldJson::deserialize(json).map_err(|error| Error::invalid(format!("a field: {error}")))?;
                of_json(field, depth + 1)
            };
            let fields: Vec<Field> = fields.iter().map(field).collect::<Result<_>>()?;
            check_names(&fields)?;
            DataType { kind: TypeKind::Row(fields.into()), nullable: true }
        }
        "VECTOR" | "BLOB" | "GEOMETRY" | "GEOGRAPHY" => {
            return Err(Error::unsupported(format!("type {name}")));
        }
        _ => return Err(Error::invalid(format!("{word:?} is no type"))),
    };
    Ok(DataType { nullable, ..data_type })
}

/// A type that is a text is a scalar one, or VARIANT.
fn scalar(text: &str) -> Result<DataType> {
    let data_type: DataType = text.parse()?;
    match data_type.kind.is_nested() && data_type.kind != TypeKind::Variant {
        false => Ok(data_type),
        true => Err(Error::invalid(format!("{text:?}: nested types are JSON objects"))),
    }
}

fn check_names(fields: &[Field]) -> Result<()> {
    let mut names = std::collections::HashSet::new();
    match fields.iter().find(|field| !names.insert(field.name.as_str())) {
        None => Ok(()),
        Some(twice) => Err(Error::invalid(format!("two fields of a row are named {:?}", twice.name))),
    }
}
