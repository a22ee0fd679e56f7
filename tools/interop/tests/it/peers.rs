//! What the tests of engines share that make tables by SQL: their tables are continued here, and all must show the same.

use std::path::Path;

use forebay::Table;
use forebay::predicate::parse;
use forebay::read::RowStream;
use forebay::schema::Schema;
use forebay_interop::{Op, Random, Row, TableSpec, comparable, datum_of, open, rows_of, write_once};
use serde_json::Value;

/// Rows as sorted texts.
pub fn texts(rows: impl IntoIterator<Item = Row>) -> Vec<String> {
    let mut texts: Vec<String> = rows.into_iter().map(|row| format!("{row:?}")).collect();
    texts.sort();
    texts
}

/// The rows of an answer to a query, each an array of cells in the order of the columns.
pub fn answered(schema: &Schema, answer: &Value) -> Vec<String> {
    let cell = |(field, cell): (&forebay::schema::Field, &Value)| {
        comparable(schema, &field.name, datum_of(cell, &field.data_type))
    };
    let rows = answer["rows"].as_array().unwrap_or_else(|| panic!("no rows in {answer}"));
    texts(rows.iter().map(|row| schema.fields.iter().zip(row.as_array().unwrap()).map(cell).collect()))
}

/// Our newest rows, with the columns that the table has.
pub async fn newest(table: &Table) -> Vec<String> {
    let stream = table.scan().wide_timestamps().read().await;
    all(table, stream.unwrap_or_else(|error| panic!("our rows: {error}"))).await
}

/// All rows of a stream.
pub async fn all(table: &Table, mut stream: RowStream) -> Vec<String> {
    let mut rows = Vec::new();
    while let Some(batch) = stream.next_batch().await.unwrap_or_else(|error| panic!("our rows: {error}")) {
        rows.extend(rows_of(table.schema(), &batch));
    }
    texts(rows)
}

/// Writes random rows into a table of another engine, deletes and updates some where its merge engine has that, and compacts it.
/// Its key is an INT `k`.
pub async fn go_on(path: &Path, random: &mut Random) {
    let table = open(path).await;
    let schema = table.schema();
    let spec = TableSpec::of_schema(schema);
    let (few, user) =
        (|random: &mut Random| random.between(5, 20) as usize, format!("ours-{}", random.below(1_000_000)));
    let rows = spec.operations_on(random, 1, 6, few).remove(0);
    let rows: Vec<Op> = rows.into_iter().map(|op| Op::insert(op.row)).collect();
    write_once(path, &user, 1, &rows).await;
    let condition = |text: &str| parse(text, schema).unwrap();
    if schema.option("merge-engine").is_none_or(|engine| engine == "deduplicate") {
        let deleted = table.delete(condition("k = 1 or k > 1000000")).run().await;
        deleted.unwrap_or_else(|error| panic!("our delete: {error}: {spec:?}"));
        let back = rows.iter().take(3).cloned().collect::<Vec<_>>();
        write_once(path, &user, 2, &back).await;
    }
    table.compact().full().run().await.unwrap_or_else(|error| panic!("our compaction: {error}: {spec:?}"));
}
