//! Commits: a snapshot that a client prepared is published, once, under its number.
//!
//! ```text
//! published, or found published   200 {"success": true}
//! another has the number          200 {"success": false}   the client plans again on the newest snapshot
//! nobody can tell                 503                      the client asks the same again
//! another table, or none          404 TABLE
//! ```

use forebay::catalog::rest::wire::{CommitAnswer, CommitTable, object_of};
use forebay::commit::Committer;
use forebay::format::Snapshot;
use forebay::schema::TableOptions;
use forebay::{CommitOutcome, TableName};
use serde_json::{Value, json};

use crate::Service;
use crate::answer::{Refusal, Resource};
use crate::routes::{Answer, Asked};
use crate::tables::{find, refused, wrong};

/// Publishes a snapshot.
pub async fn commit(service: &Service, asked: &Asked, name: &TableName) -> Answer {
    let request: CommitTable = asked.body()?;
    let found = find(service, name).await?;
    if request.table_id.as_ref().is_some_and(|id| *id != found.id) {
        return Err(Refusal::missing(Resource::Table, &object_of(name)));
    }
    let snapshot = snapshot_of(&request.snapshot)?;
    let refused = refused(name);
    // The writer answers for the table's options: here only those of the commit count.
    let options = TableOptions::parse(&found.schema).map_err(&refused)?;
    let committer = Committer::new(found.history, &found.schema, &options, &*snapshot.commit_user);
    let mut committer = committer.map_err(&refused)?.published_by(found.table.publisher);
    let outcome =
        committer.publish_prepared(request.base_snapshot_uuid.as_deref(), &snapshot).await.map_err(&refused)?;
    let told = |success| Ok(json!(CommitAnswer { success }));
    match outcome {
        CommitOutcome::Committed { .. } | CommitOutcome::AlreadyCommitted { .. } => told(true),
        CommitOutcome::Conflicted { .. } | CommitOutcome::Empty => told(false),
        CommitOutcome::Unknown { reason } => Err(Refusal::in_doubt(format!("snapshot {}: {reason}", snapshot.id))),
    }
}

/// The snapshot as its file will have it: what this version does not know would be lost from it, and is refused.
fn snapshot_of(told: &Value) -> Result<Snapshot, Refusal> {
    let snapshot = Snapshot::decode(told.to_string().as_bytes(), "the commit's snapshot").map_err(wrong)?;
    let known = json!(snapshot);
    let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
    let fields = told.as_object().into_iter().flatten();
    match fields.into_iter().find(|(key, value)| known.get(key.as_str()).is_none() && !empty(value)) {
        None => Ok(snapshot),
        Some((key, _)) => Err(Refusal::unsupported(&format!("{key} of a snapshot"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Value {
        json!({
            "version": 3, "id": 1, "schemaId": 0, "baseManifestList": "a", "deltaManifestList": "b",
            "commitUser": "u", "commitIdentifier": 1, "commitKind": "APPEND", "timeMillis": 5,
        })
    }

    #[test]
    fn a_snapshot_of_a_newer_form_is_refused_by_what_is_new_in_it() {
        assert_eq!(snapshot_of(&told()).unwrap().id, 1);
        let mut more = told();
        more["logOffsets"] = json!({});
        more["watermark"] = Value::Null;
        assert!(snapshot_of(&more).is_ok());
        more["colour"] = json!("blue");
        let refusal = snapshot_of(&more).unwrap_err();
        assert_eq!(refusal.status().as_u16(), 501);
        assert!(String::from_utf8(refusal.body()).unwrap().contains("colour"));
        let mut hostile = told();
        hostile["deltaManifestList"] = json!("../../x");
        assert_eq!(snapshot_of(&hostile).unwrap_err().status().as_u16(), 400);
    }
}
