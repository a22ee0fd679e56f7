//! One snapshot: attempts until it is created, contradicted, or its fate is unknown.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{join, try_join};

use super::attempt::{Attempt, Next};
use super::changes::Changes;
use super::check;
use super::committer::Committer;
use super::first_named;
use super::index;
use super::outcome::{BATCH_COMMIT, CommitProperties};
use super::overwrite::Scope;
use super::verify::{Verified, verify};
use super::write::{Draft, Lists};
use crate::error::{Error, Result};
use crate::format::{CommitKind, IndexFile, ManifestFileMeta, Snapshot, SnapshotId, encode_hint, layout};
use crate::io::Created;
use crate::schema::BucketMode;

/// The newest snapshot as this committer knows it.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// `None` for a table without commits.
    pub(super) snapshot: Option<Snapshot>,
    /// Its manifests: those of its base list and of its delta list.
    pub(super) manifests: Vec<ManifestFileMeta>,
}

/// How long ago a snapshot may have been the newest when `LATEST` is pointed at it.
const HINT_AGE: Duration = Duration::from_secs(1);

/// So many commits after one that met others' the base is looked at first.
const COMMITS_TO_LOOK: u32 = 16;

/// So many snapshots are looked at one by one; after more the live files are.
const FEW_SNAPSHOTS: i64 = 32;

/// What became of one snapshot.
#[derive(Debug)]
pub(super) enum Published {
    /// It counts.
    Done(Snapshot),
    /// An earlier try of the same user and identifier made it.
    Already(Snapshot),
    /// It contradicts what others committed. Nothing of it is visible.
    Conflicted {
        /// What contradicts what.
        reason: String,
        /// Whether no create of an earlier attempt may still be on its way.
        certain: bool,
    },
    /// It may be there.
    Unknown(String),
}

/// What the slot of a number holds after a create.
pub(super) enum Slot {
    /// Ours.
    Ours(Won),
    /// Somebody else's snapshot; `doubt` when a create of ours may still be on its way.
    Taken {
        doubt: bool,
    },
    /// Too much time passed since the base was seen: look again first.
    TooLate,
    Unknown(String),
}

/// A snapshot that was created, as it was read back at once.
pub(super) struct Won {
    verified: Verified,
    /// When it was the newest.
    at: Duration,
}

/// What a snapshot that was created is in the chain.
pub(super) enum Proof {
    /// It is the newest.
    Newest,
    /// Others built on it.
    Below,
    /// It does not count, and may have been seen.
    Lost(String),
    /// Nobody can tell.
    Unclear(String),
}

/// What one snapshot is asked to be.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) changes: &'a Changes,
    pub(super) identifier: i64,
    pub(super) properties: &'a CommitProperties,
    /// Whether to look for contradictions with the live files.
    pub(super) check: bool,
    /// When the whole commit began.
    pub(super) began: Duration,
    /// What of the base is taken away besides.
    pub(super) replaces: Option<&'a Scope>,
}

impl Committer {
    /// Makes one snapshot. The files of the snapshot that `follows` are written while this one is created: it need not
    /// wait for the disk a second time.
    ///
    /// # Errors
    /// Only where it is certain that nothing became visible; the metadata files written for it are deleted then.
    pub(super) async fn publish(
        &mut self,
        request: Request<'_>,
        mut attempt: Attempt,
        follows: Option<Next<'_>>,
    ) -> Result<Published> {
        let published = self.attempts(request, &mut attempt, follows).boxed().await;
        match &published {
            Err(_) | Ok(Published::Conflicted { .. } | Published::Already(_)) => attempt.draft.discard_all().await,
            Ok(Published::Done(_)) => attempt.draft.discard_unused().await,
            Ok(Published::Unknown(_)) => {
                // What is in the chain is found out when the caller asks.
                self.searched = None;
                self.last = None;
            }
        }
        published
    }

    async fn attempts(
        &mut self,
        request: Request<'_>,
        attempt: &mut Attempt,
        mut follows: Option<Next<'_>>,
    ) -> Result<Published> {
        let mut lost = 0;
        if !attempt.is_ready() {
            self.look_where_others_commit().await?;
        }
        loop {
            let remembered = self.base.is_some();
            let base = self.load_base().await?;
            if let Some(found) = self.search(&base, request).await? {
                return Ok(Published::Already(found));
            }
            let (snapshot, lists) = match self.prepare(&base, request, attempt).await? {
                Ok(prepared) => prepared,
                // Against a remembered base that is old, the contradiction may be gone.
                Err(reason) if !remembered || self.still_newest(&base).await? => {
                    return Ok(Published::Conflicted { reason, certain: !attempt.draft.is_doubted() });
                }
                Err(_) => {
                    self.stale = base.snapshot;
                    continue;
                }
            };
            let slot = match &mut follows {
                Some(next) => {
                    let after = Base { snapshot: Some(snapshot.clone()), manifests: lists.manifests.clone() };
                    join(self.create(&snapshot, &base), self.prepare_ahead(after, next)).await.0?
                }
                None => self.create(&snapshot, &base).await?,
            };
            match slot {
                Slot::Ours(won) => {
                    let published = self.settle(snapshot, lists, &base, won, &mut attempt.draft).await;
                    if !matches!(published, Ok(Published::Conflicted { .. })) {
                        first_named::keep(&self.history, &attempt.draft.first_named).await;
                    }
                    return published;
                }
                Slot::Unknown(reason) => {
                    // It may be there, and what it names must be.
                    first_named::keep(&self.history, &attempt.draft.first_named).await;
                    return Ok(Published::Unknown(reason));
                }
                Slot::Taken { doubt: true } => attempt.draft.attempt_in_doubt(),
                Slot::Taken { doubt: false } | Slot::TooLate => attempt.draft.attempt_lost(),
            }
            self.stale = base.snapshot;
            // That others committed since this committer's last commit is no lost race.
            if remembered {
                self.others_commit = COMMITS_TO_LOOK;
            } else {
                self.back_off(lost, request.began).await?;
                lost += 1;
            }
        }
    }

    /// Where others commit too, the remembered base is looked at before files are written for it.
    async fn look_where_others_commit(&mut self) -> Result<()> {
        if self.others_commit > 0
            && let Some(base) = self.base.take()
        {
            self.others_commit -= 1;
            match self.still_newest(&base).await? {
                true => self.base = Some(base),
                false => {
                    self.others_commit = COMMITS_TO_LOOK;
                    self.stale = base.snapshot;
                }
            }
        }
        Ok(())
    }

    /// Looks for contradictions, and answers the index files of the next snapshot where they change.
    pub(super) async fn check(
        &self,
        base: &Base,
        request: Request<'_>,
    ) -> Result<std::result::Result<Option<Vec<IndexFile>>, String>> {
        let changes = request.changes;
        if let Some(reason) = self.strangers_since(base, changes).await? {
            return Ok(Err(reason));
        }
        let check = request.check || self.overwritten_since(base, changes.counts_seen).await?;
        let files = match check {
            true => Some(self.history.manifests.live_in(&base.manifests, changes.partitions()).await?),
            false => None,
        };
        if let Some(files) = &files
            && let Err(reason) = check::check(changes, files, &self.key_types)?
        {
            return Ok(Err(reason));
        }
        let may_part = check && changes.deletes_files();
        if !(changes.index.asks() || may_part) {
            return Ok(Ok(None));
        }
        let live = match base.snapshot.as_ref().and_then(|snapshot| snapshot.index_manifest.as_ref()) {
            Some(name) if changes.index.asks() => self.history.manifests.index_for_rewrite(name).await?,
            Some(name) => self.history.manifests.index(name).await?,
            None => Arc::default(),
        };
        let by_file = self.table_options.bucket == BucketMode::Unaware;
        let next = match index::next_index(&live, &changes.index, by_file) {
            Ok(next) => next,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Some(files) = &files
            && let Err(reason) = index::check_masks(changes, files, &next)
        {
            return Ok(Err(reason));
        }
        Ok(Ok((!changes.index.is_empty()).then_some(next)))
    }

    /// Where keys may move between partitions a writer must know of all rows: those that another user brought since it
    /// looked would leave a key in two partitions.
    async fn strangers_since(&self, base: &Base, changes: &Changes) -> Result<Option<String>> {
        let (Some(seen), Some(newest)) = (changes.counts_seen, &base.snapshot) else { return Ok(None) };
        if self.table_options.bucket != BucketMode::KeyDynamic {
            return Ok(None);
        }
        for id in seen + 1..=newest.id {
            let own = |it: &Snapshot| it.commit_kind == CommitKind::Compact || it.commit_user == self.user;
            if !self.history.snapshots.try_load(id).await?.as_ref().is_some_and(own) {
                return Ok(Some(format!(
                    "snapshot {id} is another writer's, and keys of this table may move between partitions: this writer \
                     did not know where its keys are; open a new writer"
                )));
            }
        }
        Ok(None)
    }

    /// Whether bucket counts that were seen in a snapshot may be others by now: only an overwrite changes them.
    async fn overwritten_since(&self, base: &Base, seen: Option<SnapshotId>) -> Result<bool> {
        let (Some(seen), Some(newest)) = (seen, &base.snapshot) else { return Ok(false) };
        if newest.id.saturating_sub(seen) > FEW_SNAPSHOTS || seen > newest.id {
            return Ok(true);
        }
        for id in seen + 1..newest.id {
            match self.history.snapshots.try_load(id).await? {
                Some(snapshot) if snapshot.commit_kind != CommitKind::Overwrite => {}
                _ => return Ok(true),
            }
        }
        Ok(seen < newest.id && newest.commit_kind == CommitKind::Overwrite)
    }

    async fn back_off(&mut self, lost: u32, began: Duration) -> Result<()> {
        self.stats.retries += 1;
        if lost >= self.options.max_retries {
            return Err(Error::exhausted(format!("commit.max-retries: the commit lost {} races", lost + 1)));
        }
        if let Some(timeout) = self.options.timeout
            && self.env().monotonic().saturating_sub(began) > timeout
        {
            return Err(Error::exhausted(format!("commit.timeout: {timeout:?} passed")));
        }
        self.wait(lost).await;
        Ok(())
    }

    /// Waits twice as long each time, with up to a fifth of jitter.
    pub(super) async fn wait(&self, round: u32) {
        let doubled = self.options.min_retry_wait.saturating_mul(1_u32 << round.min(20));
        let wait = doubled.min(self.options.max_retry_wait);
        let jitter = wait.mul_f64((self.env().random_u64() % 1000) as f64 / 5000.0);
        self.env().sleep(wait + jitter).await;
    }

    /// The newest snapshot: the one this committer made last, or what follows the one it knew, or what history finds.
    pub(super) async fn load_base(&mut self) -> Result<Base> {
        if let Some(base) = self.base.take() {
            return Ok(base);
        }
        let near = match self.stale.take() {
            Some(known) => self.newest_after(known).await?,
            None => None,
        };
        let snapshot = match near {
            Some(near) => Some(near),
            None => self.history.snapshots.latest().await?,
        };
        let manifests = match &snapshot {
            Some(snapshot) => self.history.manifests.of(snapshot).await?,
            None => Vec::new(),
        };
        Ok(Base { snapshot, manifests })
    }

    async fn newest_after(&self, known: Snapshot) -> Result<Option<Snapshot>> {
        let snapshots = &self.history.snapshots;
        let (still, after) = try_join(snapshots.try_load(known.id), snapshots.after(known.id)).await?;
        Ok((still.as_ref() == Some(&known)).then(|| after.into_iter().last().unwrap_or(known)))
    }

    /// Whether the base is there, unchanged, and nothing follows it.
    async fn still_newest(&self, base: &Base) -> Result<bool> {
        let snapshots = &self.history.snapshots;
        match &base.snapshot {
            Some(known) => {
                let next = known.id.saturating_add(1);
                let (found, next) = try_join(snapshots.try_load(known.id), snapshots.exists(next)).await?;
                Ok(found.as_ref() == Some(known) && !next)
            }
            None => Ok(snapshots.ids().await?.is_empty()),
        }
    }

    /// Looks through the snapshots that were not looked at before for commits of this user, and answers one that holds
    /// the request already.
    pub(super) async fn search(&mut self, base: &Base, request: Request<'_>) -> Result<Option<Snapshot>> {
        if request.identifier == BATCH_COMMIT {
            return Ok(None);
        }
        let Some(newest) = &base.snapshot else {
            (self.searched, self.last) = (Some(0), None);
            return Ok(None);
        };
        let found = self.search_to(newest).await?;
        let done = |snapshot: &Snapshot| match request.changes.kind {
            CommitKind::Compact => {
                snapshot.commit_kind == CommitKind::Compact && snapshot.commit_identifier == request.identifier
            }
            _ => snapshot.commit_identifier >= request.identifier,
        };
        Ok(found.into_iter().rev().find(done))
    }

    /// This user's streaming commits among the snapshots up to `newest` that were not searched before.
    pub(super) async fn search_to(&mut self, newest: &Snapshot) -> Result<Vec<Snapshot>> {
        let ours =
            |snapshot: &Snapshot| snapshot.commit_user == self.user && snapshot.commit_identifier != BATCH_COMMIT;
        let snapshots = &self.history.snapshots;
        let found: Vec<Snapshot> = match self.searched {
            Some(searched) if searched == newest.id => return Ok(Vec::new()),
            Some(searched) if searched < newest.id => {
                snapshots.back_to(newest.clone(), searched).await?.into_iter().filter(ours).collect()
            }
            _ => {
                self.last = None;
                snapshots.newest_where(newest.clone(), ours).await?.into_iter().collect()
            }
        };
        self.searched = Some(newest.id);
        if let Some(last) = found.last() {
            self.last = Some((last.commit_identifier, last.id));
        }
        Ok(found)
    }

    /// Creates the snapshot file, and reads it back: whatever else is done meanwhile, that is not put off. A create whose
    /// answer is lost is tried again with the same bytes in the same slot: it never moves on to another number before it
    /// is known what this one holds.
    pub(super) async fn create(&self, snapshot: &Snapshot, base: &Base) -> Result<Slot> {
        let seen_at = self.env().monotonic();
        if !self.still_newest(base).await? {
            return Ok(Slot::Taken { doubt: false });
        }
        let path = layout::snapshot(snapshot.id);
        let mut doubt: Option<String> = None;
        let in_time = || self.env().monotonic().saturating_sub(seen_at) <= self.patience();
        for round in 0..=self.options.max_retries {
            if round > 0 {
                self.wait(round - 1).await;
            }
            if !in_time() {
                return Ok(doubt.map_or(Slot::TooLate, Slot::Unknown));
            }
            match self.publisher.publish(&self.history, base.snapshot.as_ref(), snapshot).await {
                Ok(Created::Won) => return Ok(Slot::Ours(self.won(base, snapshot, in_time()).await)),
                Ok(Created::Exists) => {}
                Ok(Created::Unknown(words)) => doubt = Some(format!("create {path}: {words}")),
                Err(error) if doubt.is_none() => return Err(error),
                Err(error) => doubt = Some(format!("create {path}: {error}")),
            }
            match self.history.snapshots.try_load(snapshot.id).await {
                Ok(Some(found)) if found == *snapshot => {
                    return Ok(Slot::Ours(self.won(base, snapshot, in_time()).await));
                }
                Ok(Some(_)) => return Ok(Slot::Taken { doubt: doubt.is_some() }),
                Ok(None) => {
                    doubt.get_or_insert_with(|| format!("create {path}: it is said to exist and is not there"));
                }
                Err(error) => {
                    doubt.get_or_insert_with(|| format!("read back {path}: {error}"));
                }
            }
        }
        Ok(Slot::Unknown(doubt.unwrap_or_default()))
    }

    /// `in_time`: it was created before any slot can have been freed since the base was seen.
    async fn won(&self, base: &Base, snapshot: &Snapshot, in_time: bool) -> Won {
        let at = self.env().monotonic();
        let verified = match self.publisher.is_final() {
            true => Verified::Counts,
            false => self.read_back(base, snapshot, in_time).await,
        };
        Won { verified, at }
    }

    /// Moves the hint, and remembers the new newest snapshot.
    async fn settle(
        &mut self,
        snapshot: Snapshot,
        lists: Lists,
        base: &Base,
        won: Won,
        draft: &mut Draft,
    ) -> Result<Published> {
        match self.prove(&snapshot, won).await {
            Proof::Newest => {}
            Proof::Below => {
                // There is nothing to remember.
                self.remember(&snapshot);
                return Ok(Published::Done(snapshot));
            }
            Proof::Unclear(reason) => return Ok(Published::Unknown(reason)),
            Proof::Lost(reason) => {
                draft.keep();
                return Ok(Published::Conflicted { reason, certain: false });
            }
        }
        if self.searched == base.snapshot.as_ref().map_or(Some(0), |base| Some(base.id)) {
            self.searched = Some(snapshot.id);
        }
        self.remember(&snapshot);
        self.base = Some(Base { snapshot: Some(snapshot.clone()), manifests: lists.manifests });
        Ok(Published::Done(snapshot))
    }

    /// Points the hint at the newest snapshot. One that lies beside the chain is taken back.
    pub(super) async fn prove(&mut self, snapshot: &Snapshot, won: Won) -> Proof {
        if self.publisher.is_final() {
            return Proof::Newest;
        }
        match won.verified {
            Verified::Counts => {
                self.write_hint(snapshot.id, won.at).await;
                Proof::Newest
            }
            Verified::CountsBelow(newest) => {
                // Others built on it long ago: there is nothing to point at.
                self.write_hint(newest, self.env().monotonic()).await;
                Proof::Below
            }
            Verified::Unclear(reason) => Proof::Unclear(reason),
            Verified::Replaced(reason) => Proof::Lost(reason),
            Verified::Void(reason) => self.take_back(snapshot, reason).await,
        }
    }

    fn remember(&mut self, snapshot: &Snapshot) {
        if snapshot.commit_identifier != BATCH_COMMIT {
            self.last = Some((snapshot.commit_identifier, snapshot.id));
        }
    }

    async fn read_back(&self, base: &Base, snapshot: &Snapshot, in_time: bool) -> Verified {
        let mut round = 0;
        loop {
            match verify(&self.history, base, snapshot, in_time).await {
                Ok(verified) => return verified,
                Err(_) if round < 3 => self.wait(round).await,
                Err(error) => {
                    return Verified::Unclear(format!("snapshot {} cannot be read back: {error}", snapshot.id));
                }
            }
            round += 1;
        }
    }

    /// Removes a snapshot that lies beside the chain, so that nobody builds on it.
    async fn take_back(&mut self, snapshot: &Snapshot, reason: String) -> Proof {
        self.stats.voided += 1;
        let path = layout::snapshot(snapshot.id);
        if let Err(error) = self.history.pointers.delete(&path).await {
            return Proof::Unclear(format!("{reason}; it could not be removed: {error}"));
        }
        if let Ok(ids) = self.history.snapshots.ids().await
            && let Some(newest) = ids.last()
        {
            self.write_hint(*newest, self.env().monotonic()).await;
        }
        Proof::Lost(reason)
    }

    /// Points `LATEST` at a snapshot that was the newest at an instant. A committer that slept since then would point
    /// readers back in time, perhaps at a snapshot that expired: it looks for the newest and writes again.
    async fn write_hint(&mut self, mut id: i64, mut newest_at: Duration) {
        let path = format!("{}/{}", layout::SNAPSHOT_DIR, layout::LATEST);
        for _ in 0..3 {
            let asked_at = self.env().monotonic();
            if asked_at.saturating_sub(newest_at) > HINT_AGE
                && let Ok(ids) = self.history.snapshots.ids().await
            {
                id = ids.last().copied().unwrap_or(id);
                newest_at = asked_at;
            }
            if self.history.pointers.replace_hint(&path, encode_hint(id)).await.is_err() {
                self.stats.hint_failures += 1;
                return;
            }
            if self.env().monotonic().saturating_sub(newest_at) <= HINT_AGE {
                return;
            }
        }
    }
}
