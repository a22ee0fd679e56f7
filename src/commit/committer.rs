//! The committer of one table and one commit user.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use futures::FutureExt;

use super::after::AfterCommit;
use super::attempt::{Attempt, Next};
use super::changes::Committable;
use super::outcome::{BATCH_COMMIT, CommitOutcome, CommitProperties, DroppedCompaction};
use super::plan::wants_snapshot;
use super::publish::{Base, Published, Request};
use super::publisher::{Publisher, PutIfAbsent};
use super::salvage::Around;
use super::write::Settings;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::{CommitKind, CommitMessage, Snapshot, SnapshotId};
use crate::history::History;
use crate::schema::{CommitOptions, Schema, TableOptions};
use crate::types::DataType;

/// The least time that may pass between the last look at the base and the create, for tables that keep snapshots for
/// seconds only: there the read-back alone decides.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// What a committer met so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// Attempts beyond the first of each snapshot.
    pub retries: u64,
    /// Snapshots that were found to lie beside the chain and were taken back.
    pub voided: u64,
    /// `LATEST` hints that could not be written. Readers list instead.
    pub hint_failures: u64,
}

/// Commits messages to one table in the name of one user.
///
/// A committer is driven by one task at a time; several committers, in one process or many, may commit to one table.
pub struct Committer {
    pub(super) history: History,
    pub(super) user: String,
    pub(super) options: CommitOptions,
    pub(super) settings: Settings,
    /// Types of the trimmed primary key; empty for append tables.
    pub(super) key_types: Vec<DataType>,
    pub(super) schema: Schema,
    pub(super) table_options: TableOptions,
    pub(super) base: Option<Base>,
    /// A snapshot that was the newest not long ago.
    pub(super) stale: Option<Snapshot>,
    /// So many commits more the base is looked at first, because others commit to the table.
    pub(super) others_commit: u32,
    /// History was searched for this user's commits up to this snapshot.
    pub(super) searched: Option<SnapshotId>,
    /// This user's newest commit in it: identifier and snapshot.
    pub(super) last: Option<(i64, SnapshotId)>,
    /// Appends up to this identifier are checked for contradictions: they may have been committed before a crash.
    pub(super) check_until: Option<i64>,
    /// Files of commits whose outcome is unknown.
    pub(super) unsettled: HashSet<String>,
    pub(super) stats: CommitStats,
    pub(super) publisher: Arc<dyn Publisher>,
    /// Schemas up to this one are as this process knows them, for good. The first one is never taken away.
    pub(super) settled_schema: AtomicI64,
    /// Whether the compactions of a commit count all or none of them.
    pub(super) whole: bool,
    after: Option<Box<dyn AfterCommit>>,
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Committer({:?}, user {:?}, {:?})", self.history.store, self.user, self.stats)
    }
}

impl Committer {
    /// For the table of this history with its newest schema. No request is made.
    ///
    /// A batch job's user is a new random id; a streaming sink's stays the same over restarts and is nobody else's.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty user; [`Error::Unsupported`] for an unknown `manifest.compression`.
    pub fn new(history: History, schema: &Schema, options: &TableOptions, user: impl Into<String>) -> Result<Self> {
        let user = user.into();
        if user.trim().is_empty() || user.chars().any(char::is_control) {
            return Err(Error::invalid(format!("commit user {user:?} must be a text without control characters")));
        }
        let settings = Settings {
            codec: options.manifest.compression.parse()?,
            options: options.manifest.clone(),
            partition_types: schema.types_of(&schema.partition_keys)?,
            schema_id: schema.id,
        };
        Ok(Self {
            settings,
            key_types: schema.types_of(&schema.trimmed_primary_keys())?,
            options: options.commit.clone(),
            schema: schema.clone(),
            table_options: options.clone(),
            history,
            user,
            base: None,
            stale: None,
            others_commit: 0,
            searched: None,
            last: None,
            check_until: None,
            unsettled: HashSet::new(),
            stats: CommitStats::default(),
            publisher: Arc::new(PutIfAbsent),
            settled_schema: AtomicI64::new(0),
            whole: false,
            after: None,
        })
    }

    /// The same committer, whose snapshots become visible by this publisher.
    #[must_use]
    pub fn published_by(mut self, publisher: Arc<dyn Publisher>) -> Self {
        self.publisher = publisher;
        self
    }

    /// The same committer, for compactions that move rows between buckets: of the messages of a commit all count or none.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// The same committer, which does this after each commit.
    #[must_use]
    pub fn after_commit(mut self, after: impl AfterCommit + 'static) -> Self {
        self.after = Some(Box::new(after));
        self
    }

    /// Waits for what commits left running beside. Nothing is lost without it.
    pub async fn finish(&mut self) {
        if let Some(after) = &mut self.after {
            after.finish().await;
        }
    }

    /// The commit user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What was met so far.
    pub fn stats(&self) -> CommitStats {
        self.stats
    }

    pub(super) fn env(&self) -> &Env {
        self.history.store.env()
    }

    /// How long a base may be trusted without another look.
    pub(super) fn patience(&self) -> Duration {
        self.options.guarded_time().max(LEAST_PATIENCE)
    }

    /// Commits the messages of one committable.
    ///
    /// Identifiers of a streaming sink rise; committing one again (or a lower one) answers `AlreadyCommitted`. Batch
    /// commits use [`BATCH_COMMIT`]. New files and a compaction become two snapshots in this order, with one identifier;
    /// compactions that contradict other commits are left out, message by message, and told as dropped; their files are
    /// deleted. A committer that is [`Committer::whole`] leaves all of them out then.
    ///
    /// # Errors
    /// Only where it is certain that nothing of this call became visible: the same messages may be committed again.
    /// [`Error::Exhausted`] when races or time ran out, [`Error::Unsupported`] for a store without conditional
    /// creates, [`Error::Storage`], [`Error::Corrupt`].
    pub async fn commit(
        &mut self,
        identifier: i64,
        messages: Vec<CommitMessage>,
        properties: CommitProperties,
    ) -> Result<CommitOutcome> {
        self.require_safe_publishing().await?;
        if let Some(snapshot_id) = self.committed_before(identifier) {
            return Ok(CommitOutcome::AlreadyCommitted { snapshot_id });
        }
        let committable = Committable::of(&messages)?;
        let verdict = self.commit_both(identifier, &messages, &committable, &properties).boxed().await?;
        Ok(self.settled(verdict, &messages).await)
    }

    /// # Errors
    /// [`Error::Unsupported`] for a store without conditional creates, where a snapshot's own file decides.
    pub(super) async fn require_safe_publishing(&self) -> Result<()> {
        match self.publisher.is_final() {
            true => Ok(()),
            false => self.history.store.require_conditional_create().await,
        }
    }

    /// This user's newest commit, when it is this one or a later one.
    pub(super) fn committed_before(&self, identifier: i64) -> Option<SnapshotId> {
        let later = |(last, _): &(i64, SnapshotId)| identifier != BATCH_COMMIT && *last >= identifier;
        self.last.filter(later).map(|(_, snapshot_id)| snapshot_id)
    }

    /// What follows a commit, whatever became of it.
    pub(super) async fn settled(&mut self, verdict: Verdict, messages: &[CommitMessage]) -> CommitOutcome {
        if verdict.unsettled {
            for message in messages {
                self.unsettled.extend(message.written_files().map(|file| file.file_name.clone()));
                self.unsettled.extend(message.written_index_files().map(|file| file.file_name.clone()));
            }
        } else if !verdict.lost.is_empty() {
            let lost: Vec<CommitMessage> = verdict.lost.iter().map(|at| messages[*at].clone()).collect();
            self.discard_compactions(&lost).await;
        }
        if let (CommitOutcome::Committed { snapshot_id, .. }, Some(after)) = (&verdict.outcome, &mut self.after) {
            after.committed(*snapshot_id).await;
        }
        verdict.outcome
    }

    async fn commit_both(
        &mut self,
        identifier: i64,
        messages: &[CommitMessage],
        committable: &Committable,
        properties: &CommitProperties,
    ) -> Result<Verdict> {
        let batch = identifier == BATCH_COMMIT;
        let ignore_empty = !self.options.force_create_snapshot && self.options.ignore_empty.unwrap_or(batch);
        let began = self.env().monotonic();
        let around = Around { identifier, properties, began };
        let compacts = wants_snapshot(&committable.compact, true);
        let mut compaction = Attempt::new(self);
        let mut append = None;
        if wants_snapshot(&committable.append, ignore_empty) {
            let again = self.check_until.is_some_and(|until| !batch && identifier <= until);
            let check = again || committable.append.kind == CommitKind::Overwrite;
            let request =
                Request { changes: &committable.append, identifier, properties, check, began, replaces: None };
            let follows =
                compacts.then(|| Next { request: around.request(&committable.compact), attempt: &mut compaction });
            match self.publish(request, Attempt::new(self), follows).await {
                Ok(Published::Done(snapshot)) => append = Some(snapshot.id),
                other => {
                    compaction.draft.discard_all().await;
                    return other.map(Verdict::of);
                }
            }
        }
        if !compacts {
            return Ok(match append {
                Some(snapshot_id) => Verdict::committed(snapshot_id, append, None),
                None => Verdict::told(CommitOutcome::Empty),
            });
        }
        let salvaged = self.publish_compactions(messages, &committable.compact, around, compaction).await;
        let all = || (0..messages.len()).filter(|at| messages[*at].compacts());
        let Some(appended) = append else {
            return match salvaged.published? {
                Published::Done(snapshot) => {
                    Ok(Verdict::committed(snapshot.id, None, Some(snapshot.id))
                        .without(salvaged.lost, salvaged.certain))
                }
                // Nothing of a stream's rows is lost, and the stream goes on.
                Published::Conflicted { certain, .. } if !batch => {
                    let certain = certain && salvaged.certain;
                    let lost = if certain { all().collect() } else { Vec::new() };
                    Ok(Verdict { lost, ..Verdict::told(CommitOutcome::Empty) })
                }
                other => Ok(Verdict::of(other)),
            };
        };
        // The new files are committed, so the whole counts as committed whatever became of the compactions.
        let dropped = |reason: &str| -> Vec<DroppedCompaction> {
            let told = |at: usize| salvaged.lost.iter().find(|lost| lost.message == at).cloned();
            let of = |at| told(at).unwrap_or_else(|| DroppedCompaction { message: at, reason: reason.to_string() });
            all().map(of).collect()
        };
        let alone = Verdict::committed(appended, append, None);
        Ok(match &salvaged.published {
            Ok(Published::Done(snapshot) | Published::Already(snapshot)) => {
                Verdict::committed(snapshot.id, append, Some(snapshot.id)).without(salvaged.lost, salvaged.certain)
            }
            Ok(Published::Conflicted { reason, certain }) => {
                alone.without(dropped(reason), *certain && salvaged.certain)
            }
            Ok(Published::Unknown(reason)) => {
                let dropped = dropped(&format!("its outcome is unknown: {reason}"));
                Verdict { unsettled: true, ..alone.without(dropped, false) }
            }
            Err(error) => alone.without(dropped(&error.to_string()), salvaged.certain),
        })
    }
}

pub(super) struct Verdict {
    outcome: CommitOutcome,
    /// Whether files of the commit may be live although it is not told so.
    unsettled: bool,
    /// Messages whose compaction is not visible, for certain: its files go.
    lost: Vec<usize>,
}

impl Verdict {
    fn told(outcome: CommitOutcome) -> Self {
        Self { outcome, unsettled: false, lost: Vec::new() }
    }

    fn committed(snapshot_id: SnapshotId, append: Option<SnapshotId>, compact: Option<SnapshotId>) -> Self {
        Self::told(CommitOutcome::Committed { snapshot_id, append, compact, dropped_compactions: Vec::new() })
    }

    /// The same without some compactions.
    fn without(mut self, dropped: Vec<DroppedCompaction>, certain: bool) -> Self {
        if certain {
            self.lost = dropped.iter().map(|dropped| dropped.message).collect();
        }
        if let CommitOutcome::Committed { dropped_compactions, .. } = &mut self.outcome {
            *dropped_compactions = dropped;
        }
        self
    }

    pub(super) fn of(published: Published) -> Self {
        match published {
            Published::Done(snapshot) => Self::committed(snapshot.id, None, None),
            Published::Already(snapshot) => Self::told(CommitOutcome::AlreadyCommitted { snapshot_id: snapshot.id }),
            Published::Conflicted { reason, .. } => Self::told(CommitOutcome::Conflicted { reason }),
            Published::Unknown(reason) => Self { unsettled: true, ..Self::told(CommitOutcome::Unknown { reason }) },
        }
    }
}
