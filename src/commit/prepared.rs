//! A snapshot that somebody else prepared, with its manifests written: what a catalog service publishes for its clients.
//!
//! The client has planned, checked and written; here is decided whether its snapshot follows the newest one, and it is
//! published like our own. The same snapshot sent again answers as the first time, so that a lost answer costs nothing.
//! Spec: `format-spec/rest-catalog.md`, commits.

use std::sync::Arc;

use futures::future::try_join_all;

use super::committer::Committer;
use super::first_named;
use super::outcome::CommitOutcome;
use super::publish::{Base, Proof, Slot, Won};
use crate::error::{Error, Result};
use crate::format::{Snapshot, layout};
use crate::schema::Schema;

impl Committer {
    /// Publishes a snapshot that was built on the one whose `uuid` is `base`. Clients that write no uuid (Paimon 1.x) are
    /// known by the number alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a snapshot that names a schema or a manifest list that is not there; else only where it is
    /// certain that nothing became visible.
    pub async fn publish_prepared(&mut self, base: Option<&str>, snapshot: &Snapshot) -> Result<CommitOutcome> {
        self.require_safe_publishing().await?;
        // Its manifests are the client's to look at.
        let known = Base { snapshot: self.history.snapshots.latest().await?, manifests: Vec::new() };
        if let Some(outcome) = self.not_next(&known, base, snapshot).await? {
            return Ok(outcome);
        }
        let first = self.check_prepared(&known, snapshot).await?;
        match self.create(snapshot, &known).await? {
            Slot::Ours(won) => {
                let outcome = self.settle_prepared(snapshot, won).await;
                first_named::keep(&self.history, &first).await;
                Ok(outcome)
            }
            Slot::Taken { doubt: false } => Ok(conflicted(format!("snapshot {} is another commit's", snapshot.id))),
            Slot::Taken { doubt: true } => {
                let words =
                    format!("snapshot {} is another commit's, and this one may still be on its way", snapshot.id);
                Ok(CommitOutcome::Unknown { reason: words })
            }
            Slot::TooLate => Ok(conflicted(format!("snapshot {} took too long to create", snapshot.id))),
            Slot::Unknown(reason) => {
                first_named::keep(&self.history, &first).await;
                Ok(CommitOutcome::Unknown { reason })
            }
        }
    }

    /// The outcome of a snapshot that does not follow the newest one.
    async fn not_next(&self, known: &Base, base: Option<&str>, snapshot: &Snapshot) -> Result<Option<CommitOutcome>> {
        let newest = known.snapshot.as_ref();
        let newest_id = newest.map_or(0, |newest| newest.id);
        if snapshot.id <= newest_id {
            let found = self.history.snapshots.try_load(snapshot.id).await?;
            return Ok(Some(match found.as_ref() == Some(snapshot) {
                true => CommitOutcome::AlreadyCommitted { snapshot_id: snapshot.id },
                false => conflicted(format!("the newest snapshot is {newest_id}, not {}", snapshot.id - 1)),
            }));
        }
        if snapshot.id != newest_id + 1 {
            return Ok(Some(conflicted(format!("the newest snapshot is {newest_id}, not {}", snapshot.id - 1))));
        }
        let uuid = newest.and_then(|newest| newest.uuid.as_deref());
        // A client that gives its snapshots a uuid tells the one it built on.
        Ok((snapshot.uuid.is_some() && uuid != base)
            .then(|| conflicted(format!("snapshot {newest_id} is not the one that was built on"))))
    }

    /// What a snapshot names must be there: a client that writes elsewhere would make the table unreadable. Answers its
    /// schema where nothing named that before.
    async fn check_prepared(&self, known: &Base, snapshot: &Snapshot) -> Result<Vec<Arc<Schema>>> {
        let Some(schema) = self.history.schemas.still(snapshot.schema_id).await? else {
            return Err(Error::invalid(format!("snapshot {}: there is no schema {}", snapshot.id, snapshot.schema_id)));
        };
        let named = known.snapshot.as_ref().map_or(0, |base| base.schema_id);
        let first: Vec<_> = (schema.id > named).then_some(schema).into_iter().collect();
        let lists = [&snapshot.base_manifest_list, &snapshot.delta_manifest_list].into_iter();
        let named = lists.chain(&snapshot.changelog_manifest_list).chain(&snapshot.index_manifest);
        let paths: Vec<(&String, String)> =
            named.map(|name| Ok((name, layout::manifest(name)?))).collect::<Result<_>>()?;
        let found = try_join_all(paths.iter().map(|(_, path)| self.history.store.exists(path))).await?;
        match paths.iter().zip(found).find(|(_, found)| !found) {
            None => Ok(first),
            Some(((name, _), _)) => {
                Err(Error::invalid(format!("snapshot {}: {name} is not among the table's manifests", snapshot.id)))
            }
        }
    }

    async fn settle_prepared(&mut self, snapshot: &Snapshot, won: Won) -> CommitOutcome {
        match self.prove(snapshot, won).await {
            Proof::Newest | Proof::Below => CommitOutcome::Committed {
                snapshot_id: snapshot.id,
                append: None,
                compact: None,
                dropped_compactions: Vec::new(),
            },
            // Nobody may delete what this snapshot names: it was visible.
            Proof::Lost(reason) | Proof::Unclear(reason) => CommitOutcome::Unknown { reason },
        }
    }
}

fn conflicted(reason: String) -> CommitOutcome {
    CommitOutcome::Conflicted { reason }
}
