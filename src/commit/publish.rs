//! One snapshot: attempts until it is created, contradicted, or its fate is unknown.

use std::time::Duration;

use super::changes::Changes;
use super::check;
use super::committer::Committer;
use super::outcome::CommitProperties;
use super::plan::{self, ListFile, Surroundings};
use super::verify::{Verified, verify};
use super::write::Draft;
use crate::error::{Error, Result};
use crate::format::{ManifestFileMeta, Snapshot, encode_hint, layout};
use crate::io::Created;

/// The newest snapshot as this committer knows it.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// `None` for a table without commits.
    pub(super) snapshot: Option<Snapshot>,
    /// Its manifests: those of its base list and of its delta list.
    pub(super) manifests: Vec<ManifestFileMeta>,
    /// When it was last seen to be the newest.
    pub(super) seen_at: Duration,
}

/// What became of one snapshot.
#[derive(Debug)]
pub(super) enum Published {
    /// It counts.
    Done(Snapshot),
    /// An earlier try of the same user and identifier made it.
    Already(Snapshot),
    /// It contradicts what others committed. Nothing of it is visible.
    Conflicted(String),
    /// It may be there.
    Unknown(String),
}

/// What the slot of a number holds after a create.
enum Slot {
    Ours,
    Taken(Box<Snapshot>),
    /// Too much time passed since the base was seen: look again first.
    TooLate,
    Unknown(String),
}

/// What a commit of one snapshot needs to know.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) changes: &'a Changes,
    pub(super) identifier: i64,
    pub(super) properties: &'a CommitProperties,
    /// Whether to look for contradictions with the live files.
    pub(super) check: bool,
    /// When the whole commit began.
    pub(super) began: Duration,
}

impl Committer {
    /// Makes one snapshot.
    ///
    /// # Errors
    /// Only where it is certain that nothing became visible; the metadata files written for it are deleted then.
    pub(super) async fn publish(&mut self, request: Request<'_>) -> Result<Published> {
        let mut draft = Draft::new(self.table_files());
        let published = self.attempts(request, &mut draft).await;
        match &published {
            Err(_) | Ok(Published::Conflicted(_)) => draft.discard_all().await,
            Ok(Published::Done(_) | Published::Already(_)) => draft.discard_unused().await,
            Ok(Published::Unknown(_)) => {}
        }
        if !matches!(published, Ok(Published::Done(_))) {
            self.base = None;
        }
        published
    }

    async fn attempts(&mut self, request: Request<'_>, draft: &mut Draft) -> Result<Published> {
        for attempt in 0..=self.options.max_retries {
            self.check_time(request.began)?;
            if attempt > 0 {
                self.stats.retries += 1;
                self.wait(attempt - 1).await;
            }
            let base = self.load_base().await?;
            if let Some(found) = self.made_before(&base, request).await? {
                return Ok(Published::Already(found));
            }
            if request.check
                && let Err(reason) = self.contradiction(&base, request.changes).await?
            {
                return Ok(Published::Conflicted(reason));
            }
            let snapshot = self.write_attempt(&base, request, draft).await?;
            let base = match self.still_newest(base).await? {
                Some(base) => base,
                None => continue,
            };
            match self.create(&snapshot, &base).await? {
                Slot::Ours => return self.settle(snapshot, base, draft).await,
                Slot::Taken(_) | Slot::TooLate => self.base = None,
                Slot::Unknown(reason) => return Ok(Published::Unknown(reason)),
            }
        }
        Err(Error::exhausted(format!("commit.max-retries: the commit lost {} races", self.options.max_retries + 1)))
    }

    /// The newest snapshot, from memory where it is still the newest.
    async fn load_base(&mut self) -> Result<Base> {
        if let Some(base) = self.base.take() {
            return Ok(base);
        }
        let seen_at = self.env().monotonic();
        let snapshot = self.history.snapshots.latest().await?;
        let manifests = match &snapshot {
            Some(snapshot) => self.history.manifests.of(snapshot).await?,
            None => Vec::new(),
        };
        Ok(Base { snapshot, manifests, seen_at })
    }

    /// Whether the base is there, unchanged, and nothing follows it, as of now.
    async fn still_newest(&mut self, mut base: Base) -> Result<Option<Base>> {
        let seen_at = self.env().monotonic();
        let snapshots = &self.history.snapshots;
        let newest = match &base.snapshot {
            Some(known) => {
                let (found, next) =
                    futures::future::try_join(snapshots.try_load(known.id), snapshots.exists(known.id + 1)).await?;
                found.as_ref() == Some(known) && !next
            }
            None => snapshots.ids().await?.is_empty(),
        };
        base.seen_at = seen_at;
        Ok(newest.then_some(base))
    }

    /// Whether snapshots that appeared since this commit began hold it already.
    async fn made_before(&mut self, base: &Base, request: Request<'_>) -> Result<Option<Snapshot>> {
        let Some(newest) = &base.snapshot else { return Ok(None) };
        let known = self.known_until.unwrap_or(newest.id);
        self.known_until = Some(newest.id);
        let mut id = newest.id;
        while id > known {
            let Some(snapshot) = (if id == newest.id {
                Some(newest.clone())
            } else {
                self.history.snapshots.try_load(id).await?
            }) else {
                break;
            };
            if snapshot.commit_user == self.user
                && snapshot.commit_identifier == request.identifier
                && snapshot.commit_kind == request.changes.kind
                && self.doubt(request.identifier)
            {
                return Ok(Some(snapshot));
            }
            id -= 1;
        }
        Ok(None)
    }

    async fn contradiction(&self, base: &Base, changes: &Changes) -> Result<std::result::Result<(), String>> {
        let live = self.history.manifests.live_in(&base.manifests, &changes.partitions()).await?;
        check::check(changes, &live, &self.key_types)
    }

    async fn write_attempt(&mut self, base: &Base, request: Request<'_>, draft: &mut Draft) -> Result<Snapshot> {
        let lists = draft.write(base, request.changes, &self.history);
        let (lists, schema) = futures::future::try_join(lists, self.history.schemas.require_latest()).await?;
        plan::next_snapshot(
            base.snapshot.as_ref(),
            request.changes,
            Surroundings {
                uuid: self.env().uuid(),
                user: &self.user,
                identifier: request.identifier,
                properties: request.properties,
                schema_id: schema.id,
                now_millis: self.env().now_millis(),
                base_list: &lists.base,
                delta_list: &lists.delta,
                changelog_list: lists.changelog.as_ref(),
            },
        )
    }
}
