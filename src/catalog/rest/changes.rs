//! Changes of a schema as JSON. Spec: `format-spec/rest-catalog.md`, changes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::format::{decode_type, encode_type};
use crate::schema::{Place, SchemaChange};
use crate::types::DataType;

#[derive(Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum Told {
    SetOption {
        key: String,
        value: String,
    },
    RemoveOption {
        key: String,
    },
    UpdateComment {
        comment: Option<String>,
    },
    AddColumn {
        field_names: Vec<String>,
        data_type: Value,
        comment: Option<String>,
        #[serde(rename = "move")]
        place: Option<Move>,
    },
    RenameColumn {
        field_names: Vec<String>,
        new_name: String,
    },
    DropColumn {
        field_names: Vec<String>,
    },
    UpdateColumnType {
        field_names: Vec<String>,
        new_data_type: Value,
        #[serde(default)]
        keep_nullability: bool,
    },
    UpdateColumnNullability {
        field_names: Vec<String>,
        new_nullability: bool,
    },
    UpdateColumnComment {
        field_names: Vec<String>,
        new_comment: Option<String>,
    },
    UpdateColumnDefaultValue {
        field_names: Vec<String>,
        new_default_value: Option<String>,
    },
    UpdateColumnPosition {
        #[serde(rename = "move")]
        place: Move,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Move {
    field_name: String,
    reference_field_name: Option<String>,
    #[serde(rename = "type")]
    kind: String,
}

impl Move {
    fn of(name: &str, place: &Place) -> Self {
        let (kind, reference) = match place {
            Place::First => ("FIRST", None),
            Place::Last => ("LAST", None),
            Place::After(other) => ("AFTER", Some(other.clone())),
            Place::Before(other) => ("BEFORE", Some(other.clone())),
        };
        Self { field_name: name.to_string(), reference_field_name: reference, kind: kind.to_string() }
    }

    fn place(self) -> Result<Place> {
        let field = self.field_name;
        let other = || self.reference_field_name.ok_or_else(|| Error::invalid(format!("move of {field:?}: to where?")));
        match self.kind.as_str() {
            "FIRST" => Ok(Place::First),
            "LAST" => Ok(Place::Last),
            "AFTER" => other().map(Place::After),
            "BEFORE" => other().map(Place::Before),
            kind => Err(Error::invalid(format!("move {kind:?} (known: FIRST, LAST, AFTER, BEFORE)"))),
        }
    }
}

/// Changes as a service is told them.
///
/// # Errors
/// [`Error::Unsupported`] for a move inside of a row, which services know no words for.
pub fn encode_changes(changes: &[SchemaChange]) -> Result<Vec<Value>> {
    let told = changes.iter().map(encode).collect::<Result<Vec<_>>>()?;
    told.iter().map(|told| serde_json::to_value(told).map_err(|error| Error::bug(format!("JSON: {error}")))).collect()
}

fn encode(change: &SchemaChange) -> Result<Told> {
    Ok(match change.clone() {
        SchemaChange::SetOption(key, value) => Told::SetOption { key, value },
        SchemaChange::RemoveOption(key) => Told::RemoveOption { key },
        SchemaChange::SetComment(comment) => Told::UpdateComment { comment },
        SchemaChange::AddColumn { path, data_type, comment, place } => Told::AddColumn {
            data_type: encode_type(&data_type)?,
            place: place.map(|place| Move::of(path.last().map_or("", String::as_str), &place)),
            field_names: path,
            comment,
        },
        SchemaChange::RenameColumn(field_names, new_name) => Told::RenameColumn { field_names, new_name },
        SchemaChange::DropColumn(field_names) => Told::DropColumn { field_names },
        SchemaChange::ChangeType(field_names, kind) => Told::UpdateColumnType {
            field_names,
            new_data_type: encode_type(&DataType { kind, nullable: true })?,
            keep_nullability: true,
        },
        SchemaChange::ChangeNullability(field_names, new_nullability) => {
            Told::UpdateColumnNullability { field_names, new_nullability }
        }
        SchemaChange::SetColumnComment(field_names, new_comment) => {
            Told::UpdateColumnComment { field_names, new_comment }
        }
        SchemaChange::SetDefault(field_names, new_default_value) => {
            Told::UpdateColumnDefaultValue { field_names, new_default_value }
        }
        SchemaChange::MoveColumn(path, place) => match path.as_slice() {
            [name] => Told::UpdateColumnPosition { place: Move::of(name, &place) },
            _ => return Err(Error::unsupported("moving a field of a row through a catalog service")),
        },
    })
}

/// The changes that a service was told.
///
/// # Errors
/// [`Error::Invalid`]; [`Error::Unsupported`] that names a change or a type that this version does not have.
pub fn decode_changes(told: &[Value]) -> Result<Vec<SchemaChange>> {
    let mut changes = Vec::with_capacity(told.len());
    for value in told {
        let action = value.get("action").and_then(Value::as_str).unwrap_or_default();
        if action == "dropPrimaryKey" {
            return Err(Error::unsupported("dropping the primary key"));
        }
        let told: Told = serde_json::from_value(value.clone())
            .map_err(|error| Error::invalid(format!("schema change {action:?}: {error}")))?;
        decode(told, &mut changes)?;
    }
    Ok(changes)
}

fn decode(told: Told, changes: &mut Vec<SchemaChange>) -> Result<()> {
    let change = match told {
        Told::SetOption { key, value } => SchemaChange::SetOption(key, value),
        Told::RemoveOption { key } => SchemaChange::RemoveOption(key),
        Told::UpdateComment { comment } => SchemaChange::SetComment(comment),
        Told::AddColumn { field_names, data_type, comment, place } => SchemaChange::AddColumn {
            path: field_names,
            data_type: decode_type(&data_type)?,
            comment,
            place: place.map(Move::place).transpose()?,
        },
        Told::RenameColumn { field_names, new_name } => SchemaChange::RenameColumn(field_names, new_name),
        Told::DropColumn { field_names } => SchemaChange::DropColumn(field_names),
        Told::UpdateColumnType { field_names, new_data_type, keep_nullability } => {
            let data_type = decode_type(&new_data_type)?;
            if !keep_nullability {
                changes.push(SchemaChange::ChangeNullability(field_names.clone(), data_type.nullable));
            }
            SchemaChange::ChangeType(field_names, data_type.kind)
        }
        Told::UpdateColumnNullability { field_names, new_nullability } => {
            SchemaChange::ChangeNullability(field_names, new_nullability)
        }
        Told::UpdateColumnComment { field_names, new_comment } => {
            SchemaChange::SetColumnComment(field_names, new_comment)
        }
        Told::UpdateColumnDefaultValue { field_names, new_default_value } => {
            SchemaChange::SetDefault(field_names, new_default_value)
        }
        Told::UpdateColumnPosition { place } => {
            let path = vec![place.field_name.clone()];
            SchemaChange::MoveColumn(path, place.place()?)
        }
    };
    changes.push(change);
    Ok(())
}
