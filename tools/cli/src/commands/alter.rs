//! `forebay alter`: another schema for a table.

use forebay::schema::{Place, SchemaChange};
use forebay::types::DataType;
use serde_json::json;

use super::create::parse_column;
use crate::cli::{Alter, Common};
use crate::failure::{Failure, Result};
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
    changes.extend(args.drop_column.iter().map(|column| SchemaChange::DropColumn(path(column))));
    for (column, name) in &args.rename_column {
        changes.push(SchemaChange::RenameColumn(path(column), new_name(name)?));
    }
    for (column, text) in &args.column_type {
        let data_type: DataType = text.parse().map_err(|error| Failure::from(error).context("--column-type"))?;
        if !data_type.nullable {
            return Err(Failure::usage(format!(
                "--column-type {column}: whether NULL is allowed is no part of it; see --nullable and --not-null"
            )));
        }
        changes.push(SchemaChange::ChangeType(path(column), data_type.kind));
    }
    changes.extend(args.nullable.iter().map(|column| SchemaChange::ChangeNullability(path(column), true)));
    changes.extend(args.not_null.iter().map(|column| SchemaChange::ChangeNullability(path(column), false)));
    let comments = args.column_comment.iter();
    changes.extend(comments.map(|(column, text)| SchemaChange::SetColumnComment(path(column), unless_empty(text))));
    for text in &args.add_column {
        let column = parse_column(text)?;
        let path = path(&column.name);
        changes.push(SchemaChange::AddColumn {
            path: path.clone(),
            data_type: column.data_type,
            comment: column.description,
            place: None,
        });
        changes.extend(column.default_value.map(|text| SchemaChange::SetDefault(path, Some(text))));
    }
    changes.extend(args.drop_column_default.iter().map(|column| SchemaChange::SetDefault(path(column), None)));
    let defaults = args.column_default.iter();
    changes.extend(defaults.map(|(column, text)| SchemaChange::SetDefault(path(column), Some(text.clone()))));
    for (column, place) in &args.move_column {
        changes.push(SchemaChange::MoveColumn(path(column), parse_place(place)?));
    }
    changes.extend(args.set.iter().map(|(key, value)| SchemaChange::SetOption(key.clone(), value.clone())));
    changes.extend(args.unset.iter().map(|key| SchemaChange::RemoveOption(key.clone())));
    changes.extend(args.comment.iter().map(|text| SchemaChange::SetComment(unless_empty(text))));
    Ok(changes)
}

/// The names from a column to what lies in it. Between backticks or double quotes, which are doubled for themselves, a name
/// may have dots and blanks.
fn path(column: &str) -> Vec<String> {
    let (mut names, mut name, mut quoted) = (Vec::new(), String::new(), false);
    let mut left = column.trim().chars().peekable();
    while let Some(c) = left.next() {
        match c {
            '`' | '"' if name.trim().is_empty() && !quoted => {
                (name, quoted) = (String::new(), true);
                while let Some(inner) = left.next() {
                    if inner == c && left.next_if_eq(&c).is_none() {
                        break;
                    }
                    name.push(inner);
                }
            }
            '.' => {
                names.push(if std::mem::take(&mut quoted) { std::mem::take(&mut name) } else { trimmed(&mut name) });
            }
            c if quoted && c.is_whitespace() => {}
            c => name.push(c),
        }
    }
    names.push(if quoted { name } else { trimmed(&mut name) });
    names
}

fn trimmed(name: &mut String) -> String {
    std::mem::take(name).trim().to_string()
}

/// The new name of a column: one name, whatever the column lies in.
fn new_name(text: &str) -> Result<String> {
    match path(text).as_slice() {
        [name] => Ok(name.clone()),
        _ => Err(Failure::usage(format!("--rename-column: {text:?} is more than one name"))
            .help("give the last name alone, or a name with a dot between backticks")),
    }
}

fn unless_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

fn parse_place(text: &str) -> Result<Place> {
    match text.split_once(':') {
        None if text.eq_ignore_ascii_case("first") => Ok(Place::First),
        None if text.eq_ignore_ascii_case("last") => Ok(Place::Last),
        Some((word, column)) if word.eq_ignore_ascii_case("after") => Ok(Place::After(column.to_string())),
        Some((word, column)) if word.eq_ignore_ascii_case("before") => Ok(Place::Before(column.to_string())),
        _ => Err(Failure::usage(format!("--move-column: {text:?} is no place"))
            .help("first, last, after:COLUMN, before:COLUMN")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_quoted() {
        for (text, wanted) in [
            ("a", vec!["a"]),
            (" r . x ", vec!["r", "x"]),
            ("`a.b`", vec!["a.b"]),
            ("r.`x y`.\"z\"\"q\"", vec!["r", "x y", "z\"q"]),
            ("m.`` ` ``", vec!["m", "` "]),
            ("", vec![""]),
        ] {
            assert_eq!(path(text), wanted, "{text}");
        }
        assert_eq!(new_name("`c.d`").unwrap(), "c.d");
        assert!(new_name("r.y").is_err());
    }
}
