//! `forebay describe`: what a table is told to be, and where it stands.

use forebay::history::History;
use forebay::schema::Schema;
use serde_json::json;

use crate::cli::{Common, Describe};
use crate::failure::Result;
use crate::output;

/// Describes the table.
pub async fn run(args: Describe, common: &Common) -> Result<()> {
    let history = super::open_history(&args.table, common).await?;
    let schema = history.schemas.require_latest().await?;
    match common.json {
        true => as_json(&history, &schema).await,
        false => for_people(&history, &schema).await,
    }
}

async fn as_json(history: &History, schema: &Schema) -> Result<()> {
    let columns = schema.fields.iter().map(|field| {
        json!({"id": field.id, "name": field.name, "type": field.data_type.to_string(), "comment": field.description, "default": field.default_value})
    });
    let snapshot = history.snapshots.latest().await?.map(|snapshot| {
        json!({
            "id": snapshot.id,
            "time": super::json_time(snapshot.time_millis),
            "commitUser": snapshot.commit_user,
            "commitIdentifier": snapshot.commit_identifier,
            "totalRecordCount": snapshot.total_record_count,
        })
    });
    output::print_json(&json!({
        "location": history.store.location(),
        "schemaId": schema.id,
        "columns": columns.collect::<Vec<_>>(),
        "primaryKey": schema.primary_keys,
        "partitionBy": schema.partition_keys,
        "options": schema.options,
        "comment": schema.comment,
        "snapshot": snapshot,
    }))
}

async fn for_people(history: &History, schema: &Schema) -> Result<()> {
    let mut text = String::new();
    let mut line = |what: &str, value: &str| text.push_str(&format!("{what:<13}{}\n", output::clean(value)));
    line("location", history.store.location());
    if let Some(comment) = &schema.comment {
        line("comment", comment);
    }
    line("primary key", &names(&schema.primary_keys));
    line("partitions", &names(&schema.partition_keys));
    line("schema", &schema.id.to_string());
    match history.snapshots.latest().await? {
        None => line("snapshot", "none: nothing was written yet"),
        Some(snapshot) => {
            let rows = snapshot.total_record_count.and_then(|rows| u64::try_from(rows).ok());
            let rows = rows.map(|rows| format!(", {} records in its files", output::count(rows))).unwrap_or_default();
            line("snapshot", &format!("{} of {}{rows}", snapshot.id, super::shown_time(snapshot.time_millis)));
        }
    }
    let with_comments = schema.fields.iter().any(|field| field.description.is_some());
    let with_defaults = schema.fields.iter().any(|field| field.default_value.is_some());
    let mut headings = vec!["column", "type"];
    headings.extend(with_defaults.then_some("default"));
    headings.extend(with_comments.then_some("comment"));
    let mut columns = output::table(&headings);
    for field in &schema.fields {
        let mut row = vec![output::clean(&field.name), field.data_type.to_string()];
        row.extend(with_defaults.then(|| output::clean(field.default_value.as_deref().unwrap_or_default())));
        row.extend(with_comments.then(|| output::clean(field.description.as_deref().unwrap_or_default())));
        columns.add_row(row);
    }
    text.push('\n');
    text.push_str(&output::drawn(&columns));
    if !schema.options.is_empty() {
        let mut options = output::table(&["option", "value"]);
        for (key, value) in &schema.options {
            options.add_row([output::clean(key), output::clean(value)]);
        }
        text.push('\n');
        text.push_str(&output::drawn(&options));
    }
    output::print(&text)
}

fn names(keys: &[String]) -> String {
    match keys {
        [] => "none".into(),
        keys => keys.join(", "),
    }
}
