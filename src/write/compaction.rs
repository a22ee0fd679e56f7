//! Compaction by the writer itself: in the background between commits, or before a commit that needs it.
//!
//! What is compacted is told by the table, never by memory alone: the live files of the newest snapshot and those
//! flushed for this commit, with what lies between in messages that are not visible yet. A compaction that was lost to
//! another commit is forgotten and picked again.
//! Spec: `format-spec/compaction.md`, in the writer.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::sequence_numbers::SequenceNumbers;
use crate::compact::{BucketFiles, CompactLimits, Compactor, buckets_of};
use crate::error::{Error, Result};
use crate::format::{BinaryRow, CommitMessage, CompactTask, DataFileMeta, ManifestEntry, Snapshot, SnapshotId};
use crate::history::{EntryTest, FileFilter, History};
use crate::lsm::{Levels, Moment, put_off};
use crate::scan::Vectors;
use crate::schema::{BucketMode, ChangelogProducer, Schema, TableOptions};
use crate::types::DataType;

/// Commits that pass before a compaction is tried again whose output cannot hold a value.
const HELD_BACK: u32 = 8;

/// Commits after which a compaction that did not become visible counts as lost.
const PATIENCE: u32 = 8;

type Place = (BinaryRow, i32);
type Running = oneshot::Receiver<Result<CommitMessage>>;

/// The compactions of one writer.
pub(super) struct WriterCompaction {
    compactor: Compactor,
    history: History,
    options: TableOptions,
    key_types: Vec<DataType>,
    /// The snapshot that told the live files, and its deletion vectors.
    planned_at: SnapshotId,
    vectors: Vectors,
    /// Rows of files may be masked.
    masks: bool,
    buckets: HashMap<Place, BucketState>,
    /// Compactions that run beside the writer.
    background: Arc<Semaphore>,
    commits: i64,
    /// Runs of buckets under what is flushed for this commit, where they were asked for.
    below: HashMap<Place, usize>,
    /// How long writers waited because buckets had too many runs.
    stalled: Duration,
    /// Buckets that were written since the last full compaction.
    written: BTreeSet<Place>,
}

#[derive(Default)]
struct BucketState {
    running: Option<Running>,
    /// What of earlier messages is not visible yet.
    in_flight: InFlight,
    /// How often the compaction of level 0 was put off.
    put_off: usize,
    /// Commits that pass before the next compaction that none of them needs.
    held_back: u32,
}

impl BucketState {
    /// Nothing is under way that a later commit must know of.
    fn is_idle(&self) -> bool {
        self.running.is_none() && self.in_flight.messages.is_empty() && self.put_off == 0 && self.held_back == 0
    }
}

/// Earlier messages of a bucket that may not be visible yet, the oldest first: commits keep their order.
#[derive(Default)]
struct InFlight {
    messages: VecDeque<CommitMessage>,
    /// Commits since the new files of the first are visible and its compaction is not.
    age: u32,
}

impl InFlight {
    /// The files of the bucket once all messages are visible.
    fn look(&mut self, mut live: Vec<DataFileMeta>, numbers: &SequenceNumbers) -> Vec<DataFileMeta> {
        while let Some(first) = self.messages.front() {
            let is_live =
                |file: &DataFileMeta| live.iter().any(|f| f.file_name == file.file_name && f.level == file.level);
            let appended = !first.new_files.iter().any(|file| numbers.awaits(&file.file_name));
            let compacted = first.compact_before.is_empty() || !first.compact_before.iter().all(is_live);
            self.age = if appended && !compacted { self.age + 1 } else { 0 };
            // To forget a compaction that is under way makes one of two lose; to forget rows would let go of tombstones
            // that hide them.
            if !appended || (!compacted && self.age <= PATIENCE) {
                break;
            }
            self.messages.pop_front();
            self.age = 0;
        }
        for message in &self.messages {
            live = after(live, message);
        }
        live
    }

    /// The same without taking note of what became visible.
    fn peek(&self, mut live: Vec<DataFileMeta>, numbers: &SequenceNumbers) -> Vec<DataFileMeta> {
        let awaited = |message: &&CommitMessage| message.new_files.iter().any(|file| numbers.awaits(&file.file_name));
        for message in self.messages.iter().filter(awaited) {
            live = after(live, message);
        }
        live
    }

    fn sent(&mut self, message: &CommitMessage) {
        if !message.is_empty() {
            self.messages.push_back(message.clone());
        }
    }

    /// Whether a compaction is not visible yet: it may be lost to another commit.
    fn is_compacting(&self) -> bool {
        self.messages.iter().any(|message| !message.compact_before.is_empty())
    }

    /// Takes nothing for granted that was compacted: another commit may have been in its way.
    fn forget_compactions(&mut self) {
        for message in &mut self.messages {
            message.compact_before.clear();
            message.compact_after.clear();
        }
    }
}

impl WriterCompaction {
    /// Goes on with another schema. What runs comes to its end in the old one: its files hold nothing newer.
    pub(super) fn take_up(&mut self, next: Self) {
        self.below.clear();
        (self.compactor, self.options, self.masks) = (next.compactor, next.options, next.masks);
    }

    /// The compactions of a writer, `None` where it must not compact.
    pub(super) fn new(
        history: &History,
        schema: &Arc<Schema>,
        options: &TableOptions,
        memory: u64,
        threads: usize,
    ) -> Result<Option<Self>> {
        let has_buckets = matches!(options.bucket, BucketMode::Fixed(_) | BucketMode::Dynamic | BucketMode::KeyDynamic);
        if options.compaction.write_only || !has_buckets {
            return Ok(None);
        }
        let limits = CompactLimits { memory, threads, bytes_per_second: None };
        Ok(Some(Self {
            compactor: Compactor::new(history.clone(), Arc::clone(schema), options.clone(), limits)?,
            history: history.clone(),
            options: options.clone(),
            key_types: schema.types_of(&schema.trimmed_primary_keys())?,
            planned_at: 0,
            vectors: Vectors::default(),
            masks: options.deletion_vectors,
            buckets: HashMap::new(),
            background: Arc::new(Semaphore::new(1)),
            commits: 0,
            below: HashMap::new(),
            stalled: Duration::ZERO,
            written: BTreeSet::new(),
        }))
    }

    /// Adds to the messages of a commit what compactions did, and begins new ones. Waits only for what the commit needs.
    ///
    /// # Errors
    /// The store's errors; [`Error::Corrupt`] with a file that cannot be compacted, when the commit waits for it;
    /// [`Error::Unsupported`] and [`Error::Invalid`] for a value that the format of a higher level does not hold, when the
    /// commit cannot do without the compaction.
    pub(super) async fn prepare(
        &mut self,
        messages: &mut Vec<CommitMessage>,
        numbers: &mut SequenceNumbers,
    ) -> Result<()> {
        self.commits += 1;
        self.below.clear();
        let rules = &self.options.compaction;
        let full = rules.full_delta_commits.is_some_and(|every| self.commits % every == 0);
        let waits = full || rules.force_commit || (rules.needs_lookup && rules.lookup_wait);
        let place = |message: &CommitMessage| (message.partition.clone(), message.bucket);
        if rules.full_delta_commits.is_some() {
            self.written.extend(messages.iter().map(place));
        }
        let mut places: BTreeSet<Place> = messages.iter().map(place).collect();
        places.extend(self.buckets.keys().cloned());
        if full {
            places.append(&mut self.written);
        }
        if places.is_empty() {
            return Ok(());
        }
        if numbers.awaits_any() {
            // The commit before may have landed since the rows were flushed, and compactions that rest on it wait for that.
            numbers.refresh(&self.history).await?;
        }
        let mut by_place: BTreeMap<Place, CommitMessage> =
            messages.drain(..).map(|message| (place(&message), message)).collect();
        let result = match self.live_files(&places, numbers.newest()).await {
            Ok(live) => self.compact(places, live, &mut by_place, numbers, (full, waits)).await,
            Err(error) => Err(error),
        };
        messages.extend(by_place.into_values().filter(|message| !message.is_empty()));
        for message in messages.iter() {
            let state = self.buckets.entry((message.partition.clone(), message.bucket)).or_default();
            state.in_flight.sent(message);
            numbers.expect(&message.new_files);
        }
        self.buckets.retain(|_, state| !state.is_idle());
        result
    }

    async fn compact(
        &mut self,
        places: BTreeSet<Place>,
        mut live: HashMap<Place, BucketFiles>,
        messages: &mut BTreeMap<Place, CommitMessage>,
        numbers: &SequenceNumbers,
        (full, waits): (bool, bool),
    ) -> Result<()> {
        let mut due = Vec::new();
        for place in places {
            let bucket = live.remove(&place);
            // A bucket without files has nothing to compact; a message of its own tells its count.
            let total = bucket.as_ref().map_or(-1, |bucket| bucket.total_buckets);
            let message =
                messages.entry(place.clone()).or_insert_with(|| CommitMessage::new(place.0.clone(), place.1, total));
            let live = bucket.map(|bucket| bucket.files).unwrap_or_default();
            if let Some(task) = self.look(&place, live, message, numbers, (full, waits)).await? {
                due.push((place, task));
            }
        }
        let needed = self.is_needed(full);
        let tasks: Vec<CompactTask> = due.iter().map(|(_, task)| task.clone()).collect();
        let mut failed = None;
        let began = self.now();
        let results = self.compactor.run_all(&tasks).await;
        self.stood_still(began, waits);
        for ((place, _), result) in due.iter().zip(results) {
            match (result, messages.get_mut(place), self.buckets.get_mut(place)) {
                (Ok(done), Some(message), _) => self.compactor.absorb(message, done).await,
                (Err(error), _, Some(state)) if is_of_a_value(&error) && !needed => {
                    tracing::warn!(%error, bucket = place.1, "a bucket is not compacted: its new files cannot hold a value");
                    state.held_back = HELD_BACK;
                }
                (Err(error), _, Some(state)) if !is_of_a_value(&error) && !state.in_flight.messages.is_empty() => {
                    tracing::warn!(%error, "a compaction failed on files that are not visible yet");
                    state.in_flight.forget_compactions();
                }
                (Err(error), ..) => failed = failed.or(Some(error)),
                (Ok(_), None, _) => {}
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Whether a commit cannot do without what is compacted: its changes are told by it, or its rows are seen through it.
    fn is_needed(&self, full: bool) -> bool {
        let rules = &self.options.compaction;
        let tells = full && self.options.changelog_producer == ChangelogProducer::FullCompaction;
        tells || (rules.needs_lookup && rules.lookup_wait)
    }

    /// Takes over what was compacted in a bucket, and begins what is due there; answers it when the commit waits for it.
    async fn look(
        &mut self,
        place: &Place,
        live: Vec<DataFileMeta>,
        message: &mut CommitMessage,
        numbers: &SequenceNumbers,
        (full, waits): (bool, bool),
    ) -> Result<Option<CompactTask>> {
        let mut state = self.buckets.remove(place).unwrap_or_default();
        let live = state.in_flight.look(live, numbers);
        // So that the snapshot of the next commit has one run more than this at the most.
        let crowded = self.runs(&live, message)? > self.options.compaction.stop_trigger;
        if let Some(mut running) = state.running.take() {
            let done = match waits || crowded {
                true => {
                    let began = self.now();
                    let done = running.await.ok();
                    self.stood_still(began, waits);
                    done
                }
                false => match running.try_recv() {
                    Ok(result) => Some(result),
                    Err(oneshot::error::TryRecvError::Closed) => None,
                    Err(oneshot::error::TryRecvError::Empty) => {
                        state.running = Some(running);
                        self.buckets.insert(place.clone(), state);
                        return Ok(None);
                    }
                },
            };
            match done {
                Some(Ok(done)) => self.compactor.absorb(message, done).await,
                Some(Err(error)) => {
                    // Somebody else may have taken its input. A commit that waits runs a task of its own below.
                    tracing::warn!(%error, bucket = place.1, "a compaction failed and will be tried again");
                    state.in_flight.forget_compactions();
                    state.held_back = if is_of_a_value(&error) { HELD_BACK } else { 0 };
                }
                None => {}
            }
        }
        if state.held_back > 0 && !self.is_needed(full) {
            state.held_back -= 1;
            self.buckets.insert(place.clone(), state);
            return Ok(None);
        }
        let beside = !waits && !crowded;
        let task = match self.pick(&mut state, place, live, message, (full, beside))? {
            Some(task) if beside => {
                state.running = Some(self.begin(task));
                None
            }
            task => task,
        };
        self.buckets.insert(place.clone(), state);
        Ok(task)
    }

    /// What is due in a bucket as it will be after this commit.
    fn pick(
        &self,
        state: &mut BucketState,
        place: &Place,
        live: Vec<DataFileMeta>,
        message: &CommitMessage,
        (full, beside): (bool, bool),
    ) -> Result<Option<CompactTask>> {
        // What rests on a compaction must be lost with it: old rows that it wrote, and tombstones that it left nothing
        // for. That holds inside of one commit only.
        let own = !message.compact_before.is_empty();
        if state.in_flight.is_compacting() || (beside && own) {
            return Ok(None);
        }
        // The masks of what is not visible yet are not known here.
        if self.masks && (own || !state.in_flight.messages.is_empty()) {
            return Ok(None);
        }
        let files = after(live, message);
        let bucket =
            BucketFiles { partition: place.0.clone(), bucket: place.1, total_buckets: message.total_buckets, files };
        let env = self.history.store.env();
        let now = Moment { local_millis: env.local_millis(), put_off: state.put_off };
        let levels = Levels::new(bucket.files.clone(), self.options.compaction.num_levels, &self.key_types)?;
        let task = self.compactor.plan_live(bucket, self.planned_at, full, &self.vectors, &now)?.into_iter().next();
        state.put_off = put_off(&levels, &self.options.compaction, &now, task.is_some());
        Ok(task)
    }

    /// For each of these buckets so many flushes as its snapshot may have on top of what it has, before the runs are more
    /// than option `num-sorted-run.stop-trigger` and one; one at the least.
    ///
    /// # Errors
    /// The store's errors.
    pub(super) async fn room(
        &mut self,
        places: BTreeSet<Place>,
        numbers: &SequenceNumbers,
    ) -> Result<HashMap<Place, usize>> {
        let stop = self.options.compaction.stop_trigger;
        if self.key_types.is_empty() {
            return Ok(places.into_iter().map(|place| (place, usize::MAX)).collect());
        }
        let unknown: BTreeSet<Place> =
            places.iter().filter(|place| !self.below.contains_key(*place)).cloned().collect();
        if !unknown.is_empty() {
            let mut live = self.live_files(&unknown, numbers.newest()).await?;
            for place in unknown {
                let mut files = live.remove(&place).map(|bucket| bucket.files).unwrap_or_default();
                if let Some(state) = self.buckets.get(&place) {
                    files = state.in_flight.peek(files, numbers);
                }
                let runs = Levels::new(files, self.options.compaction.num_levels, &self.key_types)?.runs().len();
                self.below.insert(place, runs);
            }
        }
        let room = |place: &Place| (stop + 1).saturating_sub(self.below.get(place).copied().unwrap_or(0)).max(1);
        Ok(places.into_iter().map(|place| (place.clone(), room(&place))).collect())
    }

    /// Merges files that were flushed for this commit.
    ///
    /// # Errors
    /// As [`Compactor::join_flushed`].
    pub(super) async fn join(&mut self, place: Place, files: Vec<DataFileMeta>) -> Result<Vec<DataFileMeta>> {
        let began = self.now();
        let joined = self.compactor.join_flushed(place, files).await;
        self.stood_still(began, false);
        joined
    }

    /// How long the writer waited because buckets had too many runs.
    pub(super) fn stalled(&self) -> Duration {
        self.stalled
    }

    fn now(&self) -> Duration {
        self.history.store.env().monotonic()
    }

    /// Counts a wait since then, unless every commit waits.
    fn stood_still(&mut self, began: Duration, waits: bool) {
        if !waits {
            self.stalled += self.now().saturating_sub(began);
        }
    }

    /// Sorted runs of a bucket after this commit. Readers of append tables merge none.
    fn runs(&self, live: &[DataFileMeta], message: &CommitMessage) -> Result<usize> {
        if self.key_types.is_empty() {
            return Ok(0);
        }
        let files = after(live.to_vec(), message);
        Ok(Levels::new(files, self.options.compaction.num_levels, &self.key_types)?.runs().len())
    }

    /// A commit told that its compaction was dropped: which one it was matters little, all are picked again.
    pub(super) fn forget(&mut self) {
        self.buckets.values_mut().for_each(|state| state.in_flight.forget_compactions());
    }

    /// Waits for what runs beside the writer, and gives what it did.
    pub(super) async fn finish(&mut self) -> Vec<CommitMessage> {
        let mut messages = Vec::new();
        for state in self.buckets.values_mut() {
            let Some(running) = state.running.take() else { continue };
            match running.await {
                Ok(Ok(message)) => messages.push(message),
                Ok(Err(error)) => tracing::warn!(%error, "a compaction failed"),
                Err(_) => {}
            }
        }
        messages.retain(|message| !message.is_empty());
        messages
    }

    /// Ends what runs beside the writer, and deletes its files.
    pub(super) async fn abort(self) {
        self.background.close(); // what has not begun does not begin
        for running in self.buckets.into_values().filter_map(|state| state.running) {
            if let Ok(Ok(message)) = running.await {
                self.compactor.discard(&message).await;
            }
        }
    }

    /// Runs a task beside the writer, to whose threads it gives way. When nobody takes the result any more, its files are deleted.
    fn begin(&self, task: CompactTask) -> Running {
        let (sender, receiver) = oneshot::channel();
        let (compactor, background) = (self.compactor.clone(), Arc::clone(&self.background));
        self.history.store.env().spawn_behind(async move {
            let permit = background.acquire().await;
            if permit.is_err() || sender.is_closed() {
                return;
            }
            if let Err(Ok(message)) = sender.send(compactor.run_beside(&task).await) {
                compactor.discard(&message).await;
            }
        });
        receiver
    }

    /// The live files of buckets in a snapshot that was the newest when the rows of this commit were flushed. Somebody
    /// may have expired it meanwhile.
    async fn live_files(
        &mut self,
        places: &BTreeSet<Place>,
        newest: Option<&Snapshot>,
    ) -> Result<HashMap<Place, BucketFiles>> {
        let mut wanted: HashMap<i32, HashSet<BinaryRow>> = HashMap::new();
        for (partition, bucket) in places {
            wanted.entry(*bucket).or_default().insert(partition.clone());
        }
        let test: EntryTest = Arc::new(move |head| {
            wanted.get(&head.bucket).is_some_and(|partitions| partitions.contains(head.partition))
        });
        let filter = FileFilter { entry: Some(test), ..FileFilter::default() };
        let known = match newest {
            Some(snapshot) => self.load(snapshot, &filter).await.ok(),
            None => None,
        };
        let (id, vectors, entries) = match known {
            Some(known) => known,
            None => match self.history.snapshots.latest().await? {
                Some(snapshot) => self.load(&snapshot, &filter).await?,
                None => (0, Vectors::default(), Vec::new()),
            },
        };
        self.masks = self.options.deletion_vectors || !vectors.is_empty();
        (self.planned_at, self.vectors) = (id, vectors);
        let buckets = buckets_of(entries).into_iter();
        Ok(buckets.map(|bucket| ((bucket.partition.clone(), bucket.bucket), bucket)).collect())
    }

    async fn load(
        &self,
        snapshot: &Snapshot,
        filter: &FileFilter,
    ) -> Result<(SnapshotId, Vectors, Vec<Arc<ManifestEntry>>)> {
        let vectors = Vectors::of(&self.history, snapshot).await?;
        Ok((snapshot.id, vectors, self.history.manifests.live_files(snapshot, filter).await?))
    }
}

/// Whether a compaction failed for what its rows are: rows that another engine, or a table of other options, wrote in a
/// format that holds them. It would fail again.
fn is_of_a_value(error: &Error) -> bool {
    matches!(error, Error::Invalid(_) | Error::Unsupported(_))
}

/// The files of a bucket after a commit.
fn after(mut live: Vec<DataFileMeta>, message: &CommitMessage) -> Vec<DataFileMeta> {
    let known: HashSet<String> = live.iter().map(|file| file.file_name.clone()).collect();
    live.extend(message.new_files.iter().filter(|file| !known.contains(&file.file_name)).cloned());
    let gone: BTreeSet<(&str, i32)> =
        message.compact_before.iter().map(|file| (file.file_name.as_str(), file.level)).collect();
    live.retain(|file| !gone.contains(&(file.file_name.as_str(), file.level)));
    for file in &message.compact_after {
        if !live.iter().any(|other| other.file_name == file.file_name && other.level == file.level) {
            live.push(file.clone());
        }
    }
    live
}
