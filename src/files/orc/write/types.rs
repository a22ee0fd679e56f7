//! The types of a file's columns: a struct of them, each with its field id as Java notes it.

use orc_rust::proto::r#type::Kind;
use orc_rust::proto::{StringPair, Type};

use crate::error::{Error, Result};
use crate::files::layout::FileLayout;
use crate::files::parquet_type::ids_below;
use crate::schema::FileFormat;
use crate::types::{DataType, TypeKind};

/// The attribute of a field's id.
const ID: &str = "paimon.id";

/// The types of files of a layout: that of the rows, and behind each type those of its parts.
///
/// # Errors
/// [`Error::Unsupported`] names a column that has no ORC form.
pub(in crate::files) fn orc_types(layout: &FileLayout) -> Result<Vec<Type>> {
    let mut types = vec![Type { kind: Some(Kind::Struct.into()), ..Type::default() }];
    for column in &layout.columns {
        if let Some(why) = FileFormat::Orc.refusal(&column.data_type) {
            return Err(Error::unsupported(format!("column {:?} in ORC files: {why}", column.name)));
        }
        let place = types.len() as u32;
        types[0].subtypes.push(place);
        types[0].field_names.push(column.name.clone());
        push(&column.data_type, Place { field: column.id, depth: 0 }, column.id, &mut types)?;
    }
    Ok(types)
}

/// A place below a field.
#[derive(Clone, Copy)]
struct Place {
    field: i32,
    depth: i32,
}

/// Appends a type and its parts.
fn push(data_type: &DataType, at: Place, id: i32, types: &mut Vec<Type>) -> Result<()> {
    let attribute = StringPair { key: Some(ID.to_string()), value: Some(id.to_string()) };
    let own = types.len();
    types.push(Type { attributes: vec![attribute], ..of(&data_type.kind)? });
    let below = Place { depth: at.depth + 1, ..at };
    let (above, keys) = ids_below(below.field, below.depth);
    let int = DataType::INT;
    let parts: Vec<(&DataType, Place, i32)> = match &data_type.kind {
        TypeKind::Array(element) => vec![(element, below, above)],
        TypeKind::Map(map) => vec![(&map.key, below, keys), (&map.value, below, above)],
        TypeKind::Multiset(element) => vec![(element, below, keys), (&int, below, above)],
        TypeKind::Row(fields) => {
            types[own].field_names = fields.iter().map(|field| field.name.clone()).collect();
            fields.iter().map(|field| (&field.data_type, Place { field: field.id, depth: 0 }, field.id)).collect()
        }
        _ => Vec::new(),
    };
    for (part, at, id) in parts {
        let place = types.len() as u32;
        types[own].subtypes.push(place);
        push(part, at, id, types)?;
    }
    Ok(())
}

/// A type without its parts.
fn of(kind: &TypeKind) -> Result<Type> {
    let plain = |kind: Kind| Type { kind: Some(kind.into()), ..Type::default() };
    let long = |kind: Kind, length: u32| Type { maximum_length: Some(length), ..plain(kind) };
    Ok(match kind {
        TypeKind::Boolean => plain(Kind::Boolean),
        TypeKind::TinyInt => plain(Kind::Byte),
        TypeKind::SmallInt => plain(Kind::Short),
        TypeKind::Int | TypeKind::Time(_) => plain(Kind::Int),
        TypeKind::BigInt => plain(Kind::Long),
        TypeKind::Float => plain(Kind::Float),
        TypeKind::Double => plain(Kind::Double),
        TypeKind::Date => plain(Kind::Date),
        TypeKind::Timestamp(_) => plain(Kind::Timestamp),
        TypeKind::TimestampLtz(_) => plain(Kind::TimestampInstant),
        TypeKind::Char(length) => long(Kind::Char, *length),
        TypeKind::VarChar(_) if *kind == TypeKind::STRING => plain(Kind::String),
        TypeKind::VarChar(length) => long(Kind::Varchar, *length),
        TypeKind::Binary(_) | TypeKind::VarBinary(_) => plain(Kind::Binary),
        TypeKind::Decimal { precision, scale } => {
            let (precision, scale) = (Some(u32::from(*precision)), Some(u32::from(*scale)));
            Type { precision, scale, ..plain(Kind::Decimal) }
        }
        TypeKind::Array(_) => plain(Kind::List),
        TypeKind::Map(_) | TypeKind::Multiset(_) => plain(Kind::Map),
        TypeKind::Row(_) => plain(Kind::Struct),
        TypeKind::Variant => return Err(Error::bug("a VARIANT for an ORC file")),
    })
}
