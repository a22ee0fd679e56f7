//! `forebay create`: a table from columns, from a schema file, or like a Parquet file.

use std::fs::File;
use std::path::Path;

use forebay::catalog::TableName;
use forebay::format::decode_type;
use forebay::schema::{Schema, validate};
use forebay::types::DataType;
use forebay::{Error, Table};
use serde::Deserialize;
use serde_json::json;

use crate::cli::{Common, Create};
use crate::failure::{Failure, Result};
use crate::names::{Names, split_path};
use crate::output;
use crate::target::Target;
use crate::values::{arrow_types, columnar_in};

/// Creates the table.
pub async fn run(args: Create, common: &Common) -> Result<()> {
    let target = Target::parse(&args.table, common)?;
    let told = common.store.iter().any(|(key, _)| key == "table-default.bucket");
    let by_catalog = told && matches!(target, Target::Named { .. });
    let (schema, defaulted) = schema_of(&args, by_catalog)?;
    let created = match &target {
        Target::Location(location) => Table::create(location, schema, common.options()).await,
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

/// The schema that the arguments ask for, and whether the bucket count is our choice: not where the catalog has one.
fn schema_of(args: &Create, bucket_by_catalog: bool) -> Result<(Schema, bool)> {
    let mut parts = match (&args.schema, &args.like) {
        (Some(file), _) => from_file(file)?,
        (None, Some(file)) => like(file)?,
        (None, None) => Parts {
            columns: args.columns.iter().map(|text| parse_column(text)).collect::<Result<_>>()?,
            ..Parts::default()
        },
    };
    if !args.primary_key.is_empty() {
        parts.primary_keys = Names::of(&args.primary_key);
    }
    if !args.partition_by.is_empty() {
        parts.partition_keys = Names::of(&args.partition_by);
    }
    parts.options.extend(args.options.iter().cloned());
    parts.comment = args.comment.clone().or(parts.comment);
    let has_bucket = parts.options.iter().any(|(key, _)| key == "bucket");
    // A key without all partition columns stands once in the whole table in dynamic buckets alone, which are Paimon's default.
    let in_partition = parts.partition_keys.iter().all(|column| parts.primary_keys.contains(column));
    let defaulted = !has_bucket && !bucket_by_catalog && !parts.primary_keys.is_empty() && in_partition;
    if defaulted {
        parts.options.push(("bucket".into(), "1".into()));
    }
    let mut builder = Schema::builder().primary_key(parts.primary_keys).partition_by(parts.partition_keys);
    for column in &parts.columns {
        builder = builder.column(&column.name, column.data_type.clone());
        if let Some(text) = &column.default_value {
            builder = builder.default_value(&column.name, text);
        }
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
    /// Its default value.
    pub default_value: Option<String>,
}

/// What may stand behind a column's type.
const CLAUSES: [&str; 2] = ["DEFAULT", "COMMENT"];

/// Reads `name TYPE [NOT NULL] [DEFAULT value] [COMMENT 'text']`; a name with blanks stands in double quotes or
/// backticks, a value with blanks in single quotes.
pub fn parse_column(text: &str) -> Result<Column> {
    let text_left = text.trim();
    let (name, rest) = match text_left.starts_with(['"', '`']) {
        true => match split_path(text_left, char::is_whitespace).map_err(|why| bad_column(text, &why))? {
            (names, rest) if names.len() == 1 => (names.concat(), rest),
            _ => return Err(bad_column(text, "a column has one name")),
        },
        false => {
            let (name, rest) =
                text_left.split_once(char::is_whitespace).ok_or_else(|| bad_column(text, "there is no type"))?;
            (name.to_string(), rest)
        }
    };
    column_as(name, rest, text)
}

fn bad_column(text: &str, why: &str) -> Failure {
    Failure::usage(format!("column {text:?}: {why}")).help("like --column 'id BIGINT NOT NULL'")
}

/// A column of a name, from what stands behind it in a text.
pub fn column_as(name: String, rest: &str, text: &str) -> Result<Column> {
    let bad = |why: &str| bad_column(text, why);
    let clauses = clauses_of(rest);
    let end = clauses.first().map_or(rest.len(), |(at, _)| *at);
    let data_type = rest[..end].trim().parse().map_err(|error: Error| match error {
        Error::Unsupported(_) => Failure::from(error).context(format!("column {name}")),
        other => bad(other.to_string().trim_start_matches("invalid: ")),
    })?;
    let mut column = Column { name, data_type, description: None, default_value: None };
    for (number, (at, word)) in clauses.iter().enumerate() {
        let end = clauses.get(number + 1).map_or(rest.len(), |(at, _)| *at);
        let value = rest[at + 1 + word.len()..end].trim();
        let inner = value.strip_prefix('\'').and_then(|inner| inner.strip_suffix('\''));
        let inner = inner.map(|inner| inner.replace("''", "'"));
        let old = match (*word, inner) {
            ("COMMENT", Some(text)) => column.description.replace(text),
            ("COMMENT", None) => return Err(bad("the comment must stand in single quotes")),
            // The format takes quotes around a text away.
            (_, Some(text)) if text.starts_with('\'') => column.default_value.replace(format!("'{text}'")),
            (_, Some(text)) => column.default_value.replace(text),
            (_, None) if value.is_empty() || value.starts_with('\'') || value.contains(char::is_whitespace) => {
                return Err(bad("a default value with blanks must stand in single quotes, behind NOT NULL"));
            }
            (_, None) if value.eq_ignore_ascii_case("NULL") => None,
            (_, None) => column.default_value.replace(value.to_string()),
        };
        if old.is_some() {
            return Err(bad(&format!("{word} stands twice")));
        }
    }
    Ok(column)
}

/// Where the clauses behind a type begin: outside of quotes and of angle brackets.
fn clauses_of(text: &str) -> Vec<(usize, &'static str)> {
    let (mut quoted, mut depth, mut found) = (false, 0_i32, Vec::new());
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '<' if !quoted => depth += 1,
            '>' if !quoted => depth -= 1,
            ' ' | '\t' if !quoted && depth == 0 => {
                let rest = &text[at + 1..];
                let word = CLAUSES.into_iter().find(|word| {
                    let begins = rest.get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word));
                    begins && rest[word.len()..].chars().next().is_none_or(char::is_whitespace)
                });
                found.extend(word.map(|word| (at, word)));
            }
            _ => {}
        }
    }
    found
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
    let column = |FileField { name, data_type, description, default_value }: FileField| {
        let data_type = match &data_type {
            serde_json::Value::String(text) => text.parse(),
            nested => decode_type(nested),
        };
        let data_type = data_type.map_err(|error| Failure::from(error).context(format!("{shown}, column {name:?}")))?;
        Ok(Column { name, data_type, description, default_value })
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
    let columns =
        columns.into_iter().map(|(name, data_type)| Column { name, data_type, description: None, default_value: None });
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
            default_value: None,
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
        let with_default = |text: &str| {
            let column = parse_column(text).unwrap();
            (column.data_type.to_string(), column.default_value, column.description)
        };
        let wanted = |data_type: &str, default: Option<&str>, comment: Option<&str>| {
            (data_type.to_string(), default.map(str::to_string), comment.map(str::to_string))
        };
        assert_eq!(with_default("a INT NOT NULL default 5"), wanted("INT NOT NULL", Some("5"), None));
        let both = "a STRING COMMENT 'no DEFAULT x' DEFAULT 'it''s COMMENT ''x''' ";
        assert_eq!(with_default(both), wanted("STRING", Some("it's COMMENT 'x'"), Some("no DEFAULT x")));
        assert_eq!(with_default("a STRING DEFAULT ''"), wanted("STRING", Some(""), None));
        assert_eq!(with_default("a STRING DEFAULT '''x'''"), wanted("STRING", Some("''x''"), None));
        assert_eq!(with_default("a STRING DEFAULT NULL"), wanted("STRING", None, None));
        assert_eq!(with_default("a ROW<b INT, default INT> COMMENT 'c'").1, None);
        for text in ["a INT DEFAULT 5 NOT NULL", "a INT DEFAULT 5 DEFAULT 6", "a STRING DEFAULT 'x", "a INT DEFAULT"] {
            assert_eq!(parse_column(text).unwrap_err().code(), 2, "{text}");
        }
        assert_eq!(parse_column("a ARRAY<INT>").unwrap(), column("a", "ARRAY<INT>", None));
        assert_eq!(parse_column("a GEOMETRY").unwrap_err().code(), 1);
    }
}
