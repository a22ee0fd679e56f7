//! `forebay alter`: another schema for a table.

use forebay::schema::{Place, SchemaChange};
use forebay::types::DataType;
use serde_json::json;

use super::create::column_as;
use crate::cli::{Alter, Common};
use crate::failure::{Failure, Result};
use crate::names;
use crate::output;

/// Changes the schema.
pub async fn run(args: Alter, common: &Common) -> Result<()> {
    let changes = changes(&args)?;
    if args.rollback_schema.is_some() && !changes.is_empty() {
        return Err(Failure::usage("--rollback-schema stands alone").help("roll back first, then change the schema"));
    }
    if changes.is_empty() && args.rollback_schema.is_none() {
        return Err(Failure::usage("there is nothing to change").help("see forebay help alter"));
    }
    let table = super::open_table(&args.table, common, &[]).await?;
    let before = table.schema().id;
    let altered = match args.rollback_schema {
        Some(to) => table.rollback_schema(to).await?,
        None => table.alter(&changes).await?,
    };
    let after = altered.schema().id;
    if common.json {
        return output::print_json(&json!({"table": table.location(), "schema": after, "changed": after != before}));
    }
    output::note(&match after == before {
        true => format!("{}: the schema is so already", table.location()),
        false => format!("{}: schema {after}", table.location()),
    });
    Ok(())
}

fn changes(args: &Alter) -> Result<Vec<SchemaChange>> {
    let mut changes = Vec::new();
    changes.extend(args.drop_column.iter().map(|column| SchemaChange::DropColumn(column.clone())));
    for (column, name) in &args.rename_column {
        let name = names::name(name).map_err(|why| Failure::usage(format!("--rename-column: {why}")))?;
        changes.push(SchemaChange::RenameColumn(column.clone(), name));
    }
    for (column, text) in &args.column_type {
        let data_type: DataType = text.parse().map_err(|error| Failure::from(error).context("--column-type"))?;
        if !data_type.nullable {
            return Err(Failure::usage(format!(
                "--column-type {}: whether NULL is allowed is no part of it; see --nullable and --not-null",
                column.join(".")
            )));
        }
        changes.push(SchemaChange::ChangeType(column.clone(), data_type.kind));
    }
    changes.extend(args.nullable.iter().map(|column| SchemaChange::ChangeNullability(column.clone(), true)));
    changes.extend(args.not_null.iter().map(|column| SchemaChange::ChangeNullability(column.clone(), false)));
    let comments = args.column_comment.iter();
    changes.extend(comments.map(|(column, text)| SchemaChange::SetColumnComment(column.clone(), unless_empty(text))));
    for text in &args.add_column {
        let (path, rest) = names::split_path(text, char::is_whitespace)
            .map_err(|why| Failure::usage(format!("--add-column: {why}")))?;
        let column = column_as(path.join("."), rest, text)?;
        changes.push(SchemaChange::AddColumn {
            path: path.clone(),
            data_type: column.data_type,
            comment: column.description,
            place: None,
        });
        changes.extend(column.default_value.map(|text| SchemaChange::SetDefault(path, Some(text))));
    }
    changes.extend(args.drop_column_default.iter().map(|column| SchemaChange::SetDefault(column.clone(), None)));
    let defaults = args.column_default.iter();
    changes.extend(defaults.map(|(column, text)| SchemaChange::SetDefault(column.clone(), Some(text.clone()))));
    for (column, place) in &args.move_column {
        changes.push(SchemaChange::MoveColumn(column.clone(), parse_place(place)?));
    }
    changes.extend(args.set.iter().map(|(key, value)| SchemaChange::SetOption(key.clone(), value.clone())));
    changes.extend(args.unset.iter().map(|key| SchemaChange::RemoveOption(key.clone())));
    changes.extend(args.comment.iter().map(|text| SchemaChange::SetComment(unless_empty(text))));
    Ok(changes)
}

fn unless_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

fn parse_place(text: &str) -> Result<Place> {
    let beside = |column| names::name(column).map_err(|why| Failure::usage(format!("--move-column: {why}")));
    match text.split_once(':') {
        None if text.eq_ignore_ascii_case("first") => Ok(Place::First),
        None if text.eq_ignore_ascii_case("last") => Ok(Place::Last),
        Some((word, column)) if word.eq_ignore_ascii_case("after") => beside(column).map(Place::After),
        Some((word, column)) if word.eq_ignore_ascii_case("before") => beside(column).map(Place::Before),
        _ => Err(Failure::usage(format!("--move-column: {text:?} is no place"))
            .help("first, last, after:COLUMN, before:COLUMN")),
    }
}
