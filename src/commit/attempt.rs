//! One snapshot to be: what it changes on its base, its metadata files, and the snapshot that names them.
//!
//! The files of a commit's second snapshot are written while its first is created, in the hope that this one will be
//! its base:
//!
//! ```text
//! first     write files ─ create snapshot-<n+1> ─┐
//! second                 write files ────────────┴─ create snapshot-<n+2>
//! ```
//!
//! No snapshot names them before the first one counts; on another base they are written anew.

use futures::future::join;

use super::changes::Changes;
use super::committer::Committer;
use super::number::{self, Numbered};
use super::plan::{self, Surroundings};
use super::publish::{Base, Request};
use super::write::{Draft, Lists};
use crate::error::Result;
use crate::format::{IndexFile, Snapshot};

/// The attempts at one snapshot.
pub(super) struct Attempt {
    pub(super) draft: Draft,
    /// What is changed, where that depends on the base.
    changed: Option<Changes>,
    /// Written ahead, and not created yet.
    ready: Option<Ready>,
}

struct Ready {
    base: Option<Snapshot>,
    snapshot: Snapshot,
    lists: Lists,
}

/// The snapshot that a commit makes after another one.
pub(super) struct Next<'a> {
    pub(super) request: Request<'a>,
    pub(super) attempt: &'a mut Attempt,
}

impl Attempt {
    pub(super) fn new(committer: &Committer) -> Self {
        Self { draft: Draft::new(&committer.history, &committer.settings), changed: None, ready: None }
    }

    pub(super) fn is_ready(&self) -> bool {
        self.ready.is_some()
    }

    /// What was written ahead for this base. For another one it is of no use.
    fn take_ready(&mut self, base: &Base) -> Option<(Snapshot, Lists)> {
        let ready = self.ready.take()?;
        if ready.base == base.snapshot {
            return Some((ready.snapshot, ready.lists));
        }
        self.draft.attempt_lost();
        None
    }
}

impl Committer {
    /// Writes the files of a snapshot on this base, or says what the changes contradict.
    ///
    /// # Errors
    /// As the store's. Files may be left; the attempt's draft knows them.
    pub(super) async fn prepare(
        &self,
        base: &Base,
        request: Request<'_>,
        attempt: &mut Attempt,
    ) -> Result<std::result::Result<(Snapshot, Lists), String>> {
        if let Some(ready) = attempt.take_ready(base) {
            return Ok(Ok(ready));
        }
        let replacing = match request.replaces {
            Some(scope) => Some(self.replacing(base, request.changes, scope).await?),
            None => None,
        };
        let changes = replacing.as_ref().unwrap_or(request.changes);
        let (changed, next_row_id) = match number::numbered(changes, base.snapshot.as_ref(), &self.table_options)? {
            Some(Numbered { changes, next_row_id }) => (Some(changes), next_row_id),
            None => (replacing, base.snapshot.as_ref().and_then(|base| base.next_row_id)),
        };
        if attempt.changed != changed {
            attempt.draft.changes_are_others();
            attempt.changed = changed;
        }
        let request = Request { changes: attempt.changed.as_ref().unwrap_or(request.changes), ..request };
        let index = match self.check(base, request).await? {
            Ok(index) => index,
            Err(reason) => return Ok(Err(reason)),
        };
        self.write(base, request, next_row_id, index, &mut attempt.draft).await
    }

    /// Does so before the base is there. What does not work out is left to the attempt that follows.
    pub(super) async fn prepare_ahead(&self, base: Base, next: &mut Next<'_>) {
        match self.prepare(&base, next.request, next.attempt).await {
            Ok(Ok((snapshot, lists))) => next.attempt.ready = Some(Ready { base: base.snapshot, snapshot, lists }),
            Ok(Err(_)) => {}
            Err(_) => next.attempt.draft.discard_all().await,
        }
    }

    async fn write(
        &self,
        base: &Base,
        request: Request<'_>,
        next_row_id: Option<i64>,
        index: Option<Vec<IndexFile>>,
        draft: &mut Draft,
    ) -> Result<std::result::Result<(Snapshot, Lists), String>> {
        // Not `try_join`: a write that is dropped half-way could end after the clean-up.
        let (lists, schema) =
            join(draft.write(base, request.changes, index), self.schema_to_name(base, request.changes)).await;
        let (lists, schema) = match (lists?, schema?) {
            (lists, Ok(schema)) => (lists, schema),
            (_, Err(reason)) => return Ok(Err(reason)),
        };
        draft.first_named = schema.first;
        let around = Surroundings {
            uuid: self.env().uuid(),
            user: &self.user,
            identifier: request.identifier,
            properties: request.properties,
            schema_id: schema.id,
            now_millis: self.env().now_millis(),
            base_list: &lists.base,
            delta_list: &lists.delta,
            changelog_list: lists.changelog.as_ref(),
            index_manifest: lists.index.as_deref(),
            next_row_id,
        };
        let snapshot = plan::next_snapshot(base.snapshot.as_ref(), request.changes, around)?;
        Ok(Ok((snapshot, lists)))
    }
}
