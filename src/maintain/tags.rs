//! Making and deleting tags: a file each, and what only a deleted one kept.
//!
//! ```text
//! make:    tag-x appears → is its snapshot still there?           expiry:  snapshot-N goes → looks again for tags → files go
//! delete:  note what goes → tag-x goes → is its snapshot still there? → look again → files go → the note goes
//! ```
//!
//! Whichever of a tag and an expiry comes first, the tag is whole or there is none.
//! Spec: `format-spec/hints-tags-consumers.md`, tags.

use std::time::Duration;

use bytes::Bytes;

use super::expire::Expirer;
use super::gather::{Gather, Gathered};
use super::report::ExpireReport;
use super::roots::{self, Listing};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::{Snapshot, SnapshotId, Tag, layout};
use crate::history::History;
use crate::io::Created;

/// A tag to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTag {
    /// Its name.
    pub name: String,
    /// The snapshot it keeps.
    pub snapshot: Snapshot,
    /// After this time expiry deletes it (`tag.time-expire-enabled`).
    pub time_retained: Option<Duration>,
}

impl NewTag {
    fn encode(&self, env: &Env) -> Result<Bytes> {
        let value = Tag {
            create_time: self.time_retained.map(|_| local_calendar(env)).transpose()?,
            time_retained: self.time_retained.map(|time| (time.as_secs(), time.subsec_nanos())),
            snapshot: self.snapshot.clone(),
        };
        value.encode()
    }
}

/// Whether what the tag points at was there when the tag was there already.
async fn still_kept(history: &History, name: &str, id: SnapshotId, kept_by_tag: bool) -> Result<bool> {
    if !kept_by_tag {
        return history.snapshots.exists(id).await;
    }
    for other in history.tags.list().await?.iter().filter(|other| *other != name) {
        if history.tags.try_load(other).await?.is_some_and(|tag| tag.snapshot.id == id) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Year, month, day, hour, minute, second and nanosecond of the local clock.
fn local_calendar(env: &Env) -> Result<[i32; 7]> {
    let local = jiff::Timestamp::from_millisecond(env.local_millis()).map_err(|error| Error::bug(error.to_string()))?;
    let local = local.to_zoned(jiff::tz::TimeZone::UTC).datetime();
    let (year, month, day) = (local.year().into(), local.month().into(), local.day().into());
    let (hour, minute, second) = (local.hour().into(), local.minute().into(), local.second().into());
    Ok([year, month, day, hour, minute, second, local.subsec_nanosecond()])
}

/// What goes with a tag.
struct Left {
    gathered: Gathered,
    notes: Vec<String>,
    end: SnapshotId,
}

impl Expirer {
    /// Makes a tag. The one that creates its file wins.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`]; [`Error::NotFound`] when the snapshot expired while the tag was made (then there is none);
    /// [`Error::Invalid`] for a bad name; the store's errors, after which there may be a tag.
    pub async fn create_tag(&self, tag: NewTag) -> Result<SnapshotId> {
        let history = &self.history;
        let path = layout::tag(&tag.name)?;
        history.store.require_conditional_create().await?;
        // A snapshot that is read from a tag has expired perhaps: then that tag keeps it.
        let kept_by_tag = !history.snapshots.exists(tag.snapshot.id).await?;
        let id = tag.snapshot.id;
        let bytes = tag.encode(history.store.env())?;
        let exists = || Error::already_exists(format!("tag {:?}", tag.name));
        match history.pointers.create(&path, bytes.clone()).await? {
            Created::Won => {}
            Created::Exists => return Err(exists()),
            Created::Unknown(words) => match history.pointers.try_read(&path).await? {
                Some(found) if found == bytes => {}
                Some(_) => return Err(exists()),
                None => return Err(Error::storage(format!("create {path}: {words}"))),
            },
        }
        if still_kept(history, &tag.name, id, kept_by_tag).await? {
            return Ok(id);
        }
        // The expiry may have seen the tag and left files for it.
        self.delete_tag(&tag.name).await?;
        let what = format!("snapshot {id}: it expired while tag {:?} was made, and the tag was taken back", tag.name);
        Err(Error::not_found(what))
    }

    /// Gives a tag another name: the new file appears before the old one goes.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::AlreadyExists`] for the new name; [`Error::Invalid`] for a bad one; the store's errors,
    /// after which both may be there: then repeat it.
    pub async fn rename_tag(&self, from: &str, to: &str) -> Result<()> {
        let history = &self.history;
        let (old, new) = (layout::tag(from)?, layout::tag(to)?);
        if old == new {
            return Err(Error::invalid(format!("tag {from:?} has that name")));
        }
        history.store.require_conditional_create().await?;
        let not_found = || Error::not_found(format!("tag {from:?}"));
        let bytes = history.pointers.try_read(&old).await?.ok_or_else(not_found)?;
        if !history.pointers.create_settled(&new, bytes.clone()).await? {
            return Err(Error::already_exists(format!("tag {to:?}")));
        }
        // Whoever deletes the old one from now on sees the new one; whoever did before has left it nothing.
        if history.pointers.try_read(&old).await?.as_ref() != Some(&bytes) {
            self.delete_tag(to).await?;
            return Err(not_found());
        }
        history.pointers.delete(&old).await
    }

    /// Points a tag at another snapshot, and deletes what it alone kept. Between the two it is one or the other.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the tag, and when the snapshot expired meanwhile (then there is no such tag any more);
    /// [`Error::Corrupt`] and the store's errors, after which it may be either: then repeat it.
    pub async fn replace_tag(&self, tag: NewTag) -> Result<SnapshotId> {
        let history = &self.history;
        let path = layout::tag(&tag.name)?;
        let before = history.tags.load(&tag.name).await?.snapshot;
        let id = tag.snapshot.id;
        let kept_by_tag = !history.snapshots.exists(id).await?;
        let bytes = tag.encode(history.store.env())?;
        let left =
            if before.id == id { None } else { self.kept_by_alone(std::slice::from_ref(&tag.name), &before).await? };
        history.pointers.replace(&path, bytes).await?;
        let same = before.id == id && kept_by_tag;
        if !same && !still_kept(history, &tag.name, id, kept_by_tag).await? {
            self.delete_tag(&tag.name).await?;
            let what = format!("snapshot {id}: it expired while tag {:?} was pointed at it; the tag is gone", tag.name);
            return Err(Error::not_found(what));
        }
        // The tag names the other snapshot now.
        let left = if before.id == id { None } else { self.look_again_alone(&[], &before, left).await? };
        let mut report = ExpireReport::default();
        if let Some(left) = left {
            self.take(left, &mut report).await?;
        }
        Ok(id)
    }

    /// Deletes a tag, and what it alone kept if its snapshot has expired. On a branch the files stay: they may be those of
    /// other branches.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Corrupt`] and the store's errors where something that must be known cannot be read
    /// (then nothing went).
    pub async fn delete_tag(&self, name: &str) -> Result<ExpireReport> {
        let mut report = ExpireReport::default();
        while !self.delete_known(name, &self.history.tags.load(name).await?, &mut report).await? {}
        Ok(report)
    }

    /// Deletes a tag unless it has become another; answers whether it did.
    pub(super) async fn delete_known(&self, name: &str, tag: &Tag, report: &mut ExpireReport) -> Result<bool> {
        let left = self.kept_by_alone(&[name.to_string()], &tag.snapshot).await?;
        if self.history.tags.try_load(name).await?.as_ref() != Some(tag) {
            return Ok(false);
        }
        self.history.pointers.delete(&layout::tag(name)?).await?;
        if let Some(left) = self.look_again_alone(&[name.to_string()], &tag.snapshot, left).await? {
            self.take(left, report).await?;
        }
        Ok(true)
    }

    /// Once a tag does not keep a snapshot any more: an expiry that saw the tag may have taken the snapshot meanwhile, and
    /// another tag of the same snapshot may have gone, each of the two leaving the files to the other.
    async fn look_again_alone(
        &self,
        names: &[String],
        tagged: &Snapshot,
        before: Option<Left>,
    ) -> Result<Option<Left>> {
        if self.history.branch.is_some() {
            return Ok(before);
        }
        Ok(match (self.kept_by_alone(names, tagged).await?, before) {
            (Some(left), Some(before)) => Some(Left { notes: [left.notes, before.notes].concat(), ..left }),
            (left, before) => left.or(before),
        })
    }

    /// What these tags alone keep of a snapshot that has expired, noted so that a crash leaves it to the next run. `None` where
    /// nothing goes with them.
    async fn kept_by_alone(&self, names: &[String], tagged: &Snapshot) -> Result<Option<Left>> {
        let Some(gathered) = self.gather_alone(names, tagged).await? else { return Ok(None) };
        let end = tagged.id.saturating_add(1);
        let notes = self.write_notes(false, end, &gathered.files).await?;
        Ok(Some(Left { gathered, notes, end }))
    }

    /// What goes with tags of a snapshot that has expired. `None` where the snapshot is still there.
    pub(super) async fn gather_alone(&self, names: &[String], tagged: &Snapshot) -> Result<Option<Gathered>> {
        let history = &self.history;
        let gone = !history.snapshots.exists(tagged.id).await?;
        let earliest = match history.snapshots.earliest_id().await? {
            Some(earliest) if gone && history.branch.is_none() && earliest > tagged.id => {
                history.snapshots.try_load(earliest).await?
            }
            _ => None,
        };
        let Some(earliest) = earliest else { return Ok(None) };
        let listing = Listing::load(history).await?;
        let others = roots::named(history, &listing, names, 0, SnapshotId::MAX).await?;
        let gather = Gather { history, schema: &self.schema, options: &self.options };
        gather.tag(tagged, &earliest, others).await.map(Some)
    }

    /// Deletes what a tag kept that is gone, but not what another tag or a branch keeps that came meanwhile.
    async fn take(&self, left: Left, report: &mut ExpireReport) -> Result<()> {
        let Left { gathered, notes, end } = left;
        report.outside += gathered.outside;
        let listing = Listing::load(&self.history).await?;
        let kept = roots::named(&self.history, &listing, &[], 0, SnapshotId::MAX).await?;
        self.finish(&notes, gathered.files, end, &kept, report).await
    }
}
