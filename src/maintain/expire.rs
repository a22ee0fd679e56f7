//! A run of expiry: look, choose, gather, note, take pointers, take files.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::try_join_all;

use super::choose::{self, Standing};
use super::gather::{self, Gather};
use super::report::{ExpireProgress, ExpireReport};
use super::retention::{Hold, Retention, millis};
use super::roots::{self, Listing};
use crate::error::{Error, Result};
use crate::format::{Snapshot, SnapshotId, decode_hint, encode_hint, layout};
use crate::history::History;
use crate::io::TableStore;
use crate::schema::{Schema, TableOptions};

/// Pointers that are read, or changelogs that are written, at once.
const PARALLEL: usize = 16;

type Listener = Arc<dyn Fn(ExpireProgress) + Send + Sync>;

/// Expires snapshots and changelogs of one table.
#[derive(Clone)]
pub struct Expirer {
    pub(super) history: History,
    pub(super) schema: Arc<Schema>,
    pub(super) options: TableOptions,
    pub(super) retention: Retention,
    pub(super) dry_run: bool,
    listener: Option<Listener>,
}

impl fmt::Debug for Expirer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expirer({:?}, {:?})", self.history.store, self.retention)
    }
}

impl Expirer {
    /// For a table with its newest schema. No request is made.
    pub fn new(history: History, schema: Arc<Schema>, options: TableOptions, retention: Retention) -> Self {
        Self { history, schema, options, retention, dry_run: false, listener: None }
    }

    /// Only tells what would go.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Is told how far a run has come.
    #[must_use]
    pub fn on_progress(mut self, listener: impl Fn(ExpireProgress) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    pub(super) fn tell(&self, progress: ExpireProgress) {
        if let Some(listener) = &self.listener {
            listener(progress);
        }
    }

    /// Takes what is due: tags past their time, consumers that stand still, at most `limit` snapshots and as many changelogs, in rounds of `snapshot.expire.limit`; ends
    /// what earlier runs left half done.
    ///
    /// # Errors
    /// [`Error::Invalid`] for limits that cross; [`Error::Corrupt`] and the store's errors where something that must be
    /// known cannot be read, and [`Error::Conflict`] where the table was rolled back meanwhile. Whatever went before is
    /// whole.
    pub async fn run(&self, limit: i64) -> Result<ExpireReport> {
        self.retention.check()?;
        if !self.dry_run {
            self.history.store.require_writable()?;
        }
        let mut report = ExpireReport::default();
        self.expire_tags(&mut report).await?;
        self.expire_consumers(&mut report).await?;
        let mut left = limit;
        while left > 0 {
            // A dry run takes nothing away, so its second round would choose as the first.
            let round = if self.dry_run { left } else { left.min(self.retention.at_once) };
            let done = self.snapshot_round(round, &mut report).await?;
            left -= done;
            if done == 0 || self.dry_run || report.failed > 0 {
                break;
            }
        }
        let mut left = limit;
        while left > 0 {
            let round = if self.dry_run { left } else { left.min(self.retention.at_once) };
            let done = self.changelog_round(round, &mut report).await?;
            left -= done;
            if done == 0 || self.dry_run || report.failed > 0 {
                break;
            }
        }
        self.finish_earlier(&mut report).await?;
        Ok(report)
    }

    /// Tags that a dry run tells as gone. Whatever is there in another run counts.
    pub(super) fn passed_over<'a>(&self, report: &'a ExpireReport) -> &'a [String] {
        if self.dry_run { &report.tags } else { &[] }
    }

    /// Forgets consumers that have not moved for `consumer.expiration-time`: the age of the file tells.
    async fn expire_consumers(&self, report: &mut ExpireReport) -> Result<()> {
        let Some(age) = self.retention.consumers else { return Ok(()) };
        let before = self.history.store.env().now_millis().saturating_sub(millis(age));
        for name in self.history.consumers.older_than(before).await? {
            if !self.dry_run {
                self.history.consumers.delete(&name).await?;
            }
            report.consumers.push(name);
        }
        Ok(())
    }

    /// Consumers that a dry run tells as gone hold nothing.
    async fn hold(&self, report: &ExpireReport) -> Result<Option<Hold>> {
        let consumers = self.history.consumers.list().await?.into_iter();
        Ok(consumers.filter(|(name, _)| !report.consumers.contains(name)).min_by_key(|(_, next)| *next))
    }

    /// One round over the snapshots; answers how many went.
    async fn snapshot_round(&self, limit: i64, report: &mut ExpireReport) -> Result<i64> {
        let snapshots = &self.history.snapshots;
        // By listing: a hint that a crash left behind must not hide snapshots for ever.
        let ids = snapshots.ids().await?;
        let (Some(first), Some(latest)) = (ids.first().copied(), ids.last().copied()) else { return Ok(0) };
        let hold = self.hold(report).await?;
        let standing = Standing { first, latest, hold, now_millis: self.history.store.env().now_millis(), limit };
        let times = self.times(first, latest, limit).await?;
        let choice = choose::snapshots(&self.retention, &standing, |id| times.get(&id).copied());
        let (begin, end) = (first, choice.end);
        report.stop = Some(choice.stop);
        if end <= begin {
            self.keep_hint(begin).await?;
            return Ok(0);
        }
        let Some(chain) = gather::chain(&self.history, begin, end).await? else {
            return Err(Error::conflict(format!("snapshot {end} vanished while the ones before it were to expire")));
        };
        let decoupled = self.retention.decoupled() || !snapshots.changelog_ids().await?.is_empty();
        let listing = Listing::load(&self.history).await?;
        let kept = roots::named(&self.history, &listing, self.passed_over(report), begin, end).await?;
        let gather = Gather { history: &self.history, schema: &self.schema, options: &self.options };
        let gathered = gather.snapshots(&chain, decoupled, kept).await?;
        let going = &chain[..chain.len() - 1];
        report.outside += gathered.outside;
        if self.dry_run {
            report.snapshots.extend(going.iter().map(|snapshot| snapshot.id));
            if decoupled {
                report.changelogs_kept.extend(going.iter().map(|snapshot| snapshot.id));
            }
            report.would_go.extend(gathered.files);
            return Ok(end - begin);
        }
        let (mut notes, mut files) = (self.write_notes(false, end, &gathered.files).await?, gathered.files);
        if decoupled {
            self.publish_changelogs(going).await?;
            report.changelogs_kept.extend(going.iter().map(|snapshot| snapshot.id));
        }
        let gone_below = self.take_snapshots(going, end, report).await?;
        self.write_hint(layout::SNAPSHOT_DIR, layout::EARLIEST, gone_below).await;
        let kept = self.look_again(&listing, begin, end).await?;
        self.check_intact(&chain, gone_below).await?;
        if let Some(kept) = &kept {
            files = gather.snapshots(&chain, decoupled, kept.clone()).await?.files;
            notes.extend(self.write_notes(false, end, &files).await?);
        }
        self.finish(&notes, files, gone_below, &kept.unwrap_or_default(), report).await?;
        Ok(gone_below - begin)
    }

    /// When each snapshot of a window was committed.
    async fn times(&self, first: SnapshotId, latest: SnapshotId, limit: i64) -> Result<HashMap<SnapshotId, i64>> {
        let last = first.saturating_add(limit).min(latest);
        let mut times = HashMap::new();
        let ids: Vec<SnapshotId> = (first.saturating_add(1)..=last).collect();
        // Most runs end at the first one.
        let parts = ids.split_at_checked(1).map_or([&ids[..], &[]], |(one, rest)| [one, rest]);
        for part in parts.into_iter().flat_map(|part| part.chunks(PARALLEL)) {
            let loads: Vec<_> = part.iter().map(|id| self.history.snapshots.try_load(*id).boxed()).collect();
            let loaded = try_join_all(loads).await?;
            times.extend(loaded.iter().flatten().map(|snapshot| (snapshot.id, snapshot.time_millis)));
        }
        Ok(times)
    }

    /// The same bytes under another name: readers of changes find them there when the snapshot is gone.
    async fn publish_changelogs(&self, going: &[Snapshot]) -> Result<()> {
        let store = &self.history.store;
        for part in going.chunks(PARALLEL) {
            let writes: Vec<_> = part.iter().map(|snapshot| publish_changelog(store, snapshot).boxed()).collect();
            try_join_all(writes).await?;
        }
        if let Some(last) = going.last() {
            self.write_hint(layout::CHANGELOG_DIR, layout::LATEST, last.id).await;
        }
        Ok(())
    }

    /// Deletes snapshot files, oldest first, so that the chain never has a gap. Answers the oldest that stays.
    async fn take_snapshots(
        &self,
        going: &[Snapshot],
        end: SnapshotId,
        report: &mut ExpireReport,
    ) -> Result<SnapshotId> {
        for part in going.chunks(PARALLEL) {
            let loads: Vec<_> =
                part.iter().map(|snapshot| self.history.snapshots.try_load(snapshot.id).boxed()).collect();
            let found = try_join_all(loads).await?;
            for (snapshot, found) in part.iter().zip(found) {
                // After a rollback the number may be another snapshot's.
                if found.is_some_and(|found| found != *snapshot) {
                    return Err(rolled_back(snapshot.id));
                }
                if let Err(error) = self.delete_pointer(&layout::snapshot(snapshot.id)).await {
                    report.fail(error.to_string());
                    return Ok(snapshot.id);
                }
                report.snapshots.push(snapshot.id);
            }
        }
        Ok(end)
    }

    /// The snapshot that stays behind those that went must still be the one that the plan was made with.
    async fn check_intact(&self, chain: &[Snapshot], id: SnapshotId) -> Result<()> {
        let Some(planned) = chain.iter().find(|snapshot| snapshot.id == id) else { return Ok(()) };
        match self.history.snapshots.try_load(id).await? {
            Some(found) if found == *planned => Ok(()),
            // Taken by an expiry beside this one: what left before it stays left.
            None if self.history.snapshots.ids().await?.first().is_some_and(|first| *first > id) => Ok(()),
            _ => Err(rolled_back(id)),
        }
    }

    /// One round over the changelogs; answers how many went.
    async fn changelog_round(&self, limit: i64, report: &mut ExpireReport) -> Result<i64> {
        let snapshots = &self.history.snapshots;
        let all = snapshots.changelog_ids().await?;
        if all.is_empty() {
            return Ok(0);
        }
        let ids = snapshots.ids().await?;
        let (Some(earliest), Some(latest)) = (ids.first().copied(), ids.last().copied()) else { return Ok(0) };
        // One whose snapshot is still there was published by a run that died: the snapshot comes first.
        let ids: Vec<SnapshotId> = all.into_iter().filter(|id| *id < earliest).collect();
        let (Some(first), Some(newest)) = (ids.first().copied(), ids.last().copied()) else { return Ok(0) };
        let hold = self.hold(report).await?;
        let standing = Standing { first, latest, hold, now_millis: self.history.store.env().now_millis(), limit };
        let mut window = Vec::new();
        let wanted: Vec<SnapshotId> = ids.into_iter().take_while(|id| *id <= first.saturating_add(limit)).collect();
        for part in wanted.chunks(PARALLEL) {
            let loads: Vec<_> = part.iter().map(|id| snapshots.try_load_changelog(*id).boxed()).collect();
            let loaded = try_join_all(loads).await?;
            window.extend(loaded.into_iter().flatten());
        }
        let times: HashMap<SnapshotId, i64> = window.iter().map(|it| (it.id, it.time_millis)).collect();
        let choice = choose::changelogs(&self.retention, &standing, newest, |id| times.get(&id).copied());
        let (begin, end) = (first, choice.end);
        if end <= begin {
            return Ok(0);
        }
        let Some(oldest) = snapshots.try_load(earliest).await? else {
            return Err(Error::conflict(format!("snapshot {earliest} vanished while changelogs were to expire")));
        };
        let stays = window.iter().find(|changelog| changelog.id >= end).cloned().unwrap_or_else(|| oldest.clone());
        let going: Vec<Snapshot> = window.into_iter().filter(|changelog| changelog.id < end).collect();
        let end = if stays.id == oldest.id { oldest.id } else { end };
        let listing = Listing::load(&self.history).await?;
        // What left with the oldest of them may be in a tag before it.
        let kept = roots::named(&self.history, &listing, self.passed_over(report), begin - 1, end).await?;
        let gather = Gather { history: &self.history, schema: &self.schema, options: &self.options };
        let gathered = gather.changelogs(&going, &stays, &oldest, kept).await?;
        report.outside += gathered.outside;
        if self.dry_run {
            report.changelogs.extend(going.iter().map(|changelog| changelog.id));
            report.would_go.extend(gathered.files);
            return Ok(going.len() as i64);
        }
        let (mut notes, mut files) = (self.write_notes(true, end, &gathered.files).await?, gathered.files);
        let mut gone_below = end;
        for changelog in &going {
            if let Err(error) = self.delete_pointer(&layout::changelog(changelog.id)).await {
                report.fail(error.to_string());
                gone_below = changelog.id;
                break;
            }
            report.changelogs.push(changelog.id);
        }
        self.changelog_hints(gone_below, stays.id == oldest.id && gone_below == end).await;
        let kept = self.look_again(&listing, begin - 1, end).await?;
        self.check_intact(std::slice::from_ref(&oldest), oldest.id).await?;
        if let Some(kept) = &kept {
            files = gather.changelogs(&going, &stays, &oldest, kept.clone()).await?.files;
            notes.extend(self.write_notes(true, end, &files).await?);
        }
        self.finish(&notes, files, gone_below, &kept.unwrap_or_default(), report).await?;
        Ok(going.len() as i64)
    }

    /// A hint is only a hint: readers list where it is wrong.
    async fn write_hint(&self, directory: &str, name: &str, id: SnapshotId) {
        let path = format!("{directory}/{name}");
        if let Err(error) = self.history.store.replace_hint(&path, encode_hint(id)).await {
            tracing::warn!(%path, %error, "expiry: a hint could not be written");
        }
    }

    async fn changelog_hints(&self, earliest: SnapshotId, none_left: bool) {
        if !none_left {
            return self.write_hint(layout::CHANGELOG_DIR, layout::EARLIEST, earliest).await;
        }
        let hints = [layout::EARLIEST, layout::LATEST].map(|name| format!("{}/{name}", layout::CHANGELOG_DIR));
        for (path, error) in self.history.store.delete_all(&hints).await {
            tracing::warn!(%path, %error, "expiry: a hint could not be deleted");
        }
    }

    /// Spares readers a listing: an expiry that takes nothing writes the hint where it is missing, as Paimon's does, or
    /// where a crash left it behind.
    async fn keep_hint(&self, earliest: SnapshotId) -> Result<()> {
        let path = format!("{}/{}", layout::SNAPSHOT_DIR, layout::EARLIEST);
        if self.dry_run {
            return Ok(());
        }
        let hint = self.history.store.try_read(&path).await?;
        if hint.and_then(|bytes| decode_hint(&bytes)) != Some(earliest) {
            self.write_hint(layout::SNAPSHOT_DIR, layout::EARLIEST, earliest).await;
        }
        Ok(())
    }
}

async fn publish_changelog(store: &TableStore, snapshot: &Snapshot) -> Result<()> {
    let from = layout::snapshot(snapshot.id);
    match store.try_read(&from).await? {
        Some(bytes) if Snapshot::decode(&bytes, &from)? == *snapshot => {
            store.write(&layout::changelog(snapshot.id), bytes).await
        }
        Some(_) => Err(rolled_back(snapshot.id)),
        // An expiry beside this one has written the changelog before it took the snapshot.
        None => Ok(()),
    }
}

fn rolled_back(id: SnapshotId) -> Error {
    Error::conflict(format!("snapshot {id} is another one than it was: the table was rolled back while expiry ran"))
}
