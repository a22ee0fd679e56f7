//! Bodies that a catalog service is sent, and views. Changes and views are told again and must be the same.

use forebay::Error;
use forebay::catalog::rest::wire::{
    AlterDatabase, Changes, CommitTable, CreateDatabase, CreateObject, Rename, table_name,
};
use forebay::catalog::rest::{decode_changes, encode_changes};
use forebay::format::{Snapshot, View, ViewChange, decode_told_schema, encode_told_schema};
use serde_json::{Value, from_slice, from_value};

use super::{Target, same};

pub(super) const TARGETS: [Target; 3] = [
    Target { name: "view", run: view },
    Target { name: "told-schema", run: told_schema },
    Target { name: "request-body", run: request_body },
];

fn view(bytes: &[u8]) -> Result<(), String> {
    let Ok(view) = View::decode(bytes, "view") else { return Ok(()) };
    let back = view.encode().and_then(|bytes| View::decode(&bytes, "view"));
    same("a view", &view, back)
}

fn told_schema(bytes: &[u8]) -> Result<(), String> {
    let Ok(schema) = decode_told_schema(bytes, "schema") else { return Ok(()) };
    let told = encode_told_schema(&schema).map(|told| told.to_string());
    same("a schema", &schema, told.and_then(|told| decode_told_schema(told.as_bytes(), "schema")))
}

/// One body as each of those that a service takes.
fn request_body(bytes: &[u8]) -> Result<(), String> {
    if let Ok(commit) = from_slice::<CommitTable>(bytes) {
        drop(Snapshot::decode(commit.snapshot.to_string().as_bytes(), "snapshot"));
    }
    if let Ok(object) = from_slice::<CreateObject>(bytes) {
        drop(object.identifier.table());
        told_schema(object.schema.to_string().as_bytes())?;
        view(object.schema.to_string().as_bytes())?;
    }
    if let Ok(rename) = from_slice::<Rename>(bytes) {
        drop(table_name(&rename.source.database, &rename.destination.object));
    }
    drop(from_slice::<CreateDatabase>(bytes));
    drop(from_slice::<AlterDatabase>(bytes));
    let Ok(body) = from_slice::<Changes<Value>>(bytes) else { return Ok(()) };
    if let Ok(changes) = body.changes.iter().cloned().map(from_value).collect::<Result<Vec<ViewChange>, _>>() {
        drop(View::default().changed(&changes));
    }
    let Ok(changes) = decode_changes(&body.changes) else { return Ok(()) };
    match encode_changes(&changes) {
        // Services know no words for moves inside of a row.
        Err(Error::Unsupported(_)) => Ok(()),
        told => same("changes", &changes, told.and_then(|told| decode_changes(&told))),
    }
}
