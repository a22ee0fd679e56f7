//! What tests of catalogs have in common: commands to an engine that has a catalog's options, and tables of a key `k`.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Int64Array, RecordBatch, StringArray};
use forebay::Table;
use serde_json::{Value, json};

use crate::Server;

/// Sends a command to an engine, with the options of its catalog in it.
pub fn ask(server: &mut Server, catalog: &Value, command: &str, arguments: Value) -> Result<Value, String> {
    let mut whole = arguments;
    whole["command"] = json!(command);
    whole["catalog"] = catalog.clone();
    server.call(&whole)
}

/// The answer to a command that must not fail.
pub fn told(server: &mut Server, catalog: &Value, command: &str, arguments: Value) -> Value {
    let shown = arguments.to_string();
    ask(server, catalog, command, arguments).unwrap_or_else(|error| panic!("{command} {shown}: {error}"))
}

/// Asks an engine's catalog to do something.
pub fn does(server: &mut Server, catalog: &Value, word: &str, mut arguments: Value) -> Value {
    arguments["do"] = json!(word);
    told(server, catalog, "catalog", arguments)
}

/// What an engine's catalog says of something that it must refuse.
pub fn refuses(server: &mut Server, catalog: &Value, word: &str, mut arguments: Value) -> String {
    arguments["do"] = json!(word);
    match ask(server, catalog, "catalog", arguments) {
        Ok(answer) => panic!("{word} was not refused: {answer}"),
        Err(words) => words,
    }
}

/// Lets an engine create a table of `k BIGINT NOT NULL`, its key, and `v STRING`.
pub fn create(server: &mut Server, catalog: &Value, table: &str, options: Value) {
    let columns = json!([{"name": "k", "type": "BIGINT NOT NULL"}, {"name": "v", "type": "STRING"}]);
    let arguments = json!({"table": table, "columns": columns, "primaryKey": ["k"], "options": options});
    told(server, catalog, "create", arguments);
}

/// Rows of such a table for an engine; `v` is the key behind a word.
pub fn rows(keys: Range<i64>, word: &str) -> Value {
    json!(keys.map(|k| json!({"kind": "+I", "row": {"k": k, "v": format!("{word}{k}")}})).collect::<Vec<_>>())
}

/// The same rows for this engine.
pub fn batch(keys: Range<i64>, word: &str) -> RecordBatch {
    let texts: Vec<String> = keys.clone().map(|k| format!("{word}{k}")).collect();
    let columns =
        [("k", Arc::new(Int64Array::from_iter_values(keys)) as _), ("v", Arc::new(StringArray::from(texts)) as _)];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Commits rows in one commit of this engine.
pub async fn upsert(table: &Table, rows: &RecordBatch) {
    let mut writer = table.writer().await.unwrap();
    writer.upsert(rows).await.unwrap();
    writer.commit().await.unwrap().snapshot_id().unwrap();
    writer.close().await.unwrap();
}

/// How many rows a table shows.
pub async fn count(table: &Table) -> i64 {
    let mut rows = table.scan().read().await.unwrap();
    let mut count = 0;
    while let Some(batch) = rows.next_batch().await.unwrap() {
        count += batch.num_rows();
    }
    count as i64
}
