//! `forebay create`: a table from columns, from a schema file, or like a Parquet file.

use std::fs::File;
use std::path::Path;

use forebay::catalog::TableName;
use forebay::schema::{Schema, validate};
use forebay::types::DataType;
use forebay::{Error, Table};
use serde::Deserialize;
use serde_json::json;

use crate::cli::{Common, Create};
use crate::failure::{Failure, Result};
use crate::output;
use crate::target::Target;
use crate::values::{arrow_types, columnar_in};

/// Creates the table.
pub async fn run(args: Create, common: &Common) -> Result<()> {
    let target = Target::parse(&args.table, common)?;
    let (schema, defaulted) = schema_of(&args)?;
    let created = match &target {
        Target::Location(location) => Table::create(location, schema, common.store.iter().cloned()).await,
        Target::Named { warehouse, database, table } => {
            let catalog = super::open_catalog(warehouse, common)?;
            let name = TableName::new(database, table)?;
            // Nothing is left behind for a schema that will be refused.
            validate(&schema)?;
            if !catalog.database_exists(database).await? {
                match catalog.create_database(database).await {
                    Ok(()) | Err(Error::AlreadyExists(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            catalog.create_table(&name, schema).await
        }
    };
    let table = match created {
        Err(Error::AlreadyExists(_)) if args.if_not_exists => {
            let table = super::open_table(&args.table, common, &[]).await?;
            output::note(&format!("{} exists already", target.shown()));
            return tell(common, &table, false);
        }
        other => other?,
    };
    if defaulted {
        output::note(
            "option bucket=1 was set: one bucket for each partition, good up to a few million rows (-o bucket=N for more)",
        );
    }
    output::note(&format!("created {} at {}", target.shown(), table.location()));
    tell(common, &table, true)
}

fn tell(common: &Common, table: &Table, created: bool) -> Result<()> {
    match common.json {
        true => output::print_json(&json!({"table": table.location(), "created": created})),
        false => Ok(()),
    }
}

/// The schema that the arguments ask for, and whether the bucket count is our choice.
fn schema_of(args: &Create) -> Result<(Schema, bool)> {
    let mut parts = match (&args.schema, &args.like) {
        (Some(file), _) => from_file(file)?,
        (None, Some(file)) => like(file)?,
        (None, None) => Parts {
            columns: args.columns.iter().map(|text| parse_column(text)).collect::<Result<_>>()?,
            ..Parts::default()
        },
    };
    if !args.primary_key.is_empty() {
        parts.primary_keys = trimmed(&args.primary_key);
    }
    if !args.partition_by.is_empty() {
        parts.partition_keys = trimmed(&args.partition_by);
    }
    parts.options.extend(args.options.iter().cloned());
    parts.comment = args.comment.clone().or(parts.comment);
    let has_bucket = parts.options.iter().any(|(key, _)| key == "bucket");
    let defaulted = !has_bucket && !parts.primary_keys.is_empty();
    if defaulted {
        parts.options.push(("bucket".into(), "1".into()));
    }
    let mut builder = Schema::builder().primary_key(parts.primary_keys).partition_by(parts.partition_keys);
    for column in &parts.columns {
        builder = builder.column(&column.name, column.data_type.clone());
    }
    for (key, value) in parts.options {
        builder = builder.option(key, value);
    }
    if let Some(comment) = parts.comment.filter(|comment| !comment.is_empty()) {
        builder = builder.comment(comment);
    }
    let mut schema = builder.build()?;
    for (field, column) in schema.fields.iter_mut().zip(parts.columns) {
        field.description = column.description;
    }
    Ok((schema, defaulted))
}

fn trimmed(names: &[String]) -> Vec<String> {
    names.iter().map(|name| name.trim().to_string()).collect()
}

#[derive(Debug, Default)]
struct Parts {
    columns: Vec<Column>,
    partition_keys: Vec<String>,
    primary_keys: Vec<String>,
    options: Vec<(String, String)>,
    comment: Option<String>,
}

/// A column as it is told on the command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: DataType,
    /// Its comment.
    pub description: Option<String>,
}

/// Reads `name TYPE [NOT NULL] [COMMENT 'text']`; a name with blanks stands in double quotes or backticks.
pub fn parse_column(text: &str) -> Result<Column> {
    let bad = |why: &str| Failure::usage(format!("column {text:?}: {why}")).help("like --column 'id BIGINT NOT NULL'");
    let text_left = text.trim();
    let (name, rest) = match text_left.chars().next() {
        Some(quote @ ('"' | '`')) => {
            text_left[1..].split_once(quote).ok_or_else(|| bad("the name's quote is not closed"))?
        }
        _ => text_left.split_once(char::is_whitespace).ok_or_else(|| bad("there is no type"))?,
    };
    let at = rest.to_ascii_uppercase().find(" COMMENT ");
    let (data_type, description) = match at {
        None => (rest, None),
        Some(at) => {
            let comment = rest[at + 9..].trim();
            let inner = comment.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\''));
            let inner = inner.ok_or_else(|| bad("the comment must stand in single quotes"))?;
            (&rest[..at], Some(inner.replace("''", "'")))
        }
    };
    let data_type = data_type.trim().parse().map_err(|error: Error| match error {
        Error::Unsupported(_) => Failure::from(error).context(format!("column {name}")),
        other => bad(other.to_string().trim_start_matches("invalid: ")),
    })?;
    Ok(Column { name: name.to_string(), data_type, description })
}

/// A field as Paimon's schema files spell it.
#[derive(Debug, Deserialize)]
struct FileField {
    name: String,
    #[serde(rename = "type")]
    data_type: serde_json::Value,
    description: Option<String>,
    #[serde(rename = "defaultValue")]
    default_value: Option<String>,
}

/// The parts of a schema file that make a new table.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileSchema {
    fields: Vec<FileField>,
    #[serde(default)]
    partition_keys: Vec<String>,
    #[serde(default)]
    primary_keys: Vec<String>,
    #[serde(default)]
    options: std::collections::BTreeMap<String, String>,
    comment: Option<String>,
}

fn from_file(path: &Path) -> Result<Parts> {
    let shown = path.display();
    let failed = |why: String| Failure::new("input", format!("{shown}: {why}"));
    let length = path.metadata().map_err(|error| failed(error.to_string()))?.len();
    if length > 64 << 20 {
        return Err(failed("is too large for a schema".into()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let value: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| failed(format!("is no JSON ({error})")))?;
    let schema = match value.is_array() {
        true => serde_json::from_value(json!({ "fields": value })),
        false => serde_json::from_value(value),
    };
    let schema: FileSchema =
        schema.map_err(|error| failed(format!("is neither an array of fields nor a schema ({error})")))?;
    let column = |field: FileField| {
        let name = field.name;
        if field.default_value.is_some() {
            return Err(failed(format!("column {name:?} has a default value, which is not supported")));
        }
        let text = field.data_type.as_str().ok_or_else(|| {
            let kind = field.data_type.get("type").and_then(|kind| kind.as_str()).unwrap_or("of an unknown kind");
            Failure::from(Error::unsupported(format!("{shown}: column {name:?} has the nested type {kind}")))
        })?;
        let data_type =
            text.parse().map_err(|error: Error| Failure::from(error).context(format!("{shown}, column {name:?}")))?;
        Ok(Column { name, data_type, description: field.description })
    };
    Ok(Parts {
        columns: schema.fields.into_iter().map(column).collect::<Result<_>>()?,
        partition_keys: schema.partition_keys,
        primary_keys: schema.primary_keys,
        options: schema.options.into_iter().collect(),
        comment: schema.comment,
    })
}

fn like(path: &Path) -> Result<Parts> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|error| Failure::new("input", format!("{shown}: {error}")))?;
    let schema = columnar_in::schema_of(file, &shown)?;
    let columns = arrow_types::columns_of(&schema).map_err(|error| Failure::from(error).context(&shown))?;
    let columns = columns.into_iter().map(|(name, data_type)| Column { name, data_type, description: None });
    Ok(Parts { columns: columns.collect(), ..Parts::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_a_name_a_type_and_perhaps_a_comment() {
        let column = |name: &str, data_type: &str, description: Option<&str>| Column {
            name: name.into(),
            data_type: data_type.parse().unwrap(),
            description: description.map(str::to_string),
        };
        assert_eq!(parse_column("id BIGINT NOT NULL").unwrap(), column("id", "BIGINT NOT NULL", None));
        assert_eq!(parse_column(" `a b`  decimal(12, 2) ").unwrap(), column("a b", "DECIMAL(12, 2)", None));
        assert_eq!(
            parse_column("at timestamp_ltz(3) comment 'it''s'").unwrap(),
            column("at", "TIMESTAMP_LTZ(3)", Some("it's"))
        );
        for text in ["", "id", "id NOPE", "\"id INT", "id INT COMMENT x"] {
            assert_eq!(parse_column(text).unwrap_err().code(), 2, "{text}");
        }
        assert_eq!(parse_column("a ARRAY<INT>").unwrap(), column("a", "ARRAY<INT>", None));
        assert_eq!(parse_column("a VARIANT").unwrap_err().code(), 1);
    }
}
