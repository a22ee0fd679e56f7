//! This engine's side: create, write, read and follow.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int8Array, RecordBatch};
use forebay::commit::{CommitProperties, Committer};
use forebay::format::datum_at;
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::stream::Start;
use forebay::types::{RowKind, lane_schema};
use forebay::write::{ChangeBatch, StreamWriter};
use forebay::{Error, Table};

use crate::json::comparable;
use crate::{Op, Row, TableSpec};

/// Creates a table.
pub async fn create(path: &Path, spec: &TableSpec) -> Table {
    Table::create(text(path), spec.schema(), allowed(path))
        .await
        .unwrap_or_else(|error| panic!("create: {error}: {spec:?}"))
}

/// Opens a table.
pub async fn open(path: &Path) -> Table {
    Table::open(text(path), allowed(path)).await.unwrap_or_else(|error| panic!("open {}: {error}", path.display()))
}

/// A table's files may lie beside it.
fn allowed(path: &Path) -> Option<(String, String)> {
    Some((forebay::io::ALLOW_EXTERNAL.to_string(), path.parent()?.to_str()?.to_string()))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of this test is a text")
}

/// A writer with its committer, which commits what it is given under rising identifiers.
pub struct Writer {
    schema: Arc<Schema>,
    writer: StreamWriter,
    committer: Committer,
}

impl Writer {
    /// For a table as it is at this moment.
    pub async fn open(path: &Path, user: &str) -> Self {
        Self::of(&open(path).await, user).await
    }

    /// For an open table.
    pub async fn of(table: &Table, user: &str) -> Self {
        let writer = table.stream_writer(user).await.unwrap_or_else(|error| panic!("write: {error}"));
        let committer = table.committer(user).unwrap_or_else(|error| panic!("commit: {error}"));
        Self { schema: Arc::clone(table.schema()), writer, committer }
    }

    /// Takes rows of another schema from here on; the writer stays as it is.
    pub fn feed(&mut self, schema: &Arc<Schema>) {
        self.schema = Arc::clone(schema);
    }

    /// Writes and commits, and answers the snapshot.
    pub async fn commit(&mut self, identifier: i64, operations: &[Op]) -> i64 {
        self.try_commit(identifier, operations).await.unwrap_or_else(|error| panic!("commit {identifier}: {error}"))
    }

    /// # Errors
    /// The engine's.
    pub async fn try_commit(&mut self, identifier: i64, operations: &[Op]) -> Result<i64, Error> {
        if !operations.is_empty() {
            self.writer.write(&change_batch(&self.schema, operations)).await?;
        }
        let messages = self.writer.prepare_commit().await?;
        self.committer.commit(identifier, messages, CommitProperties::default()).await?.snapshot_id()
    }

    /// Writes files that are never committed.
    pub async fn leave_uncommitted(&mut self, operations: &[Op]) {
        let batch = change_batch(&self.schema, operations);
        self.writer.write(&batch).await.unwrap_or_else(|error| panic!("write: {error}"));
        let messages = self.writer.prepare_commit().await.unwrap_or_else(|error| panic!("prepare: {error}"));
        assert!(!messages.is_empty(), "nothing was left behind");
    }
}

/// Writes and commits with a fresh writer.
pub async fn write_once(path: &Path, user: &str, identifier: i64, operations: &[Op]) -> i64 {
    Writer::open(path, user).await.commit(identifier, operations).await
}

fn change_batch(schema: &Schema, operations: &[Op]) -> ChangeBatch {
    let kinds = Int8Array::from_iter_values(operations.iter().map(|op| op.kind as i8));
    let rows: Vec<&Row> = operations.iter().map(|op| &op.row).collect();
    ChangeBatch::new(lanes(schema, &rows), Some(kinds)).expect("as many kinds as rows")
}

/// Rows as a batch of lanes.
pub fn lanes(schema: &Schema, rows: &[&Row]) -> RecordBatch {
    let columns = schema.fields.iter().enumerate().map(|(at, field)| {
        let cells: Vec<ArrayRef> =
            rows.iter().map(|row| row[at].repeat(&field.data_type.kind, 1).expect("a value of the type")).collect();
        let cells: Vec<&dyn Array> = cells.iter().map(AsRef::as_ref).collect();
        arrow_select::concat::concat(&cells).expect("lanes of one type")
    });
    let fields =
        lane_schema(schema.fields.iter().map(|field| (field.name.as_str(), field.data_type.clone().nullable())));
    RecordBatch::try_new(fields, columns.collect()).expect("lanes of the schema")
}

/// The rows of a batch of lanes.
pub fn rows_of(schema: &Schema, batch: &RecordBatch) -> Vec<Row> {
    let fields = batch.schema();
    let kinds: Vec<_> = fields
        .fields()
        .iter()
        .map(|field| schema.fields[schema.index_of(field.name()).expect("a column")].data_type.kind.clone())
        .collect();
    let cell = |row: usize, at: usize| {
        let value = datum_at(batch.column(at), &kinds[at], row).expect("a lane of the column");
        comparable(schema, fields.field(at).name(), value)
    };
    (0..batch.num_rows()).map(|row| (0..kinds.len()).map(|at| cell(row, at)).collect()).collect()
}

/// The ids of the snapshots that are kept.
pub async fn snapshots_of(table: &Table) -> Vec<i64> {
    let mut ids = table.history().snapshots.ids().await.unwrap_or_else(|error| panic!("snapshots: {error}"));
    ids.sort_unstable();
    ids
}

/// The schema that a snapshot is read with.
pub async fn schema_at(table: &Table, snapshot: i64) -> Arc<Schema> {
    let plan = table.scan().at(At::Snapshot(snapshot)).plan().await;
    plan.unwrap_or_else(|error| panic!("plan of snapshot {snapshot}: {error}")).schema
}

/// The rows of a snapshot.
///
/// # Errors
/// The engine's.
pub async fn rows_at(table: &Table, snapshot: i64) -> Result<Vec<Row>, Error> {
    let scan = table.scan().at(At::Snapshot(snapshot)).wide_timestamps();
    let schema = schema_at(table, snapshot).await;
    let mut stream = scan.read().await?;
    let mut rows = Vec::new();
    while let Some(batch) = stream.next_batch().await? {
        rows.extend(rows_of(&schema, &batch));
    }
    Ok(rows)
}

/// All changes that are kept, each with its snapshot.
///
/// # Errors
/// The engine's.
pub async fn changes_of(table: &Table) -> Result<Vec<(i64, RowKind, Row)>, Error> {
    let mut stream = table.changes().from(Start::Earliest).wide_timestamps().read().await?;
    let mut changes = Vec::new();
    while let Some(change) = stream.next().await? {
        let rows = rows_of(table.schema(), change.rows.rows());
        changes.extend(rows.into_iter().enumerate().map(|(at, row)| (change.snapshot_id, change.rows.kind(at), row)));
    }
    Ok(changes)
}
