//! The handle of a table: everything a newcomer does starts here.

mod alter;
mod changes;
mod compact;
mod incremental;
mod lifetime;
mod maintain;
mod modify;
mod overwrite;
mod postpone;
mod rescale;
mod scan_builder;
mod told;
mod truncate;
mod versions;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub use alter::change_schema;
pub use changes::ChangesBuilder;
pub use compact::{CompactBuilder, CompactReport};
pub use incremental::{IncrementalBuilder, IncrementalRows};
use lifetime::create_table;
pub(crate) use lifetime::{delete_table, has_schema};
pub use maintain::{ExpireSnapshots, Maintain};
pub use modify::{Means, Modified, Modify};
pub use overwrite::{Overwrite, OverwriteWriter};
pub use postpone::{MovePostponed, MovedPartition};
pub use rescale::{Rescale, RescaledPartition};
pub use scan_builder::ScanBuilder;
pub use truncate::{Truncate, Truncated};
pub use writer::TableWriter;

use crate::commit::{Committer, Publisher, PutIfAbsent};
use crate::compact::{CompactLimits, Compactor};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::files::{FileLayout, WriteSpec};
use crate::history::{History, ManifestCache};
use crate::io::{TableStore, open_location};
use crate::lookup::LookupBuilder;
use crate::maintain::{ExpireAfterCommit, Expirer, Retention};
use crate::predicate::{Assignment, Expr};
use crate::scan::Between;
use crate::schema::{Schema, TableOptions, Use, check_options, check_spellings, validate};
use crate::write::{Channel, Channels, StreamWriter};

/// A table: its place, its newest schema as of opening, and what was set for this handle alone. Cheap to clone.
#[derive(Clone)]
pub struct Table {
    history: History,
    schema: Arc<Schema>,
    spill_directory: Option<PathBuf>,
    publisher: Arc<dyn Publisher>,
}

impl Table {
    /// Opens the table at a location: a path, `file://`, `s3://bucket/path` or `memory://`. `options` configure the
    /// store (`s3.endpoint`, ..).
    ///
    /// # Errors
    /// [`Error::NotFound`] when no table is there; [`Error::Unsupported`] for a type or feature this version cannot read.
    pub async fn open(location: &str, options: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let options: BTreeMap<String, String> = options.into_iter().collect();
        Self::open_store(open_location(location, &options, &Env::system())?).await
    }

    /// Opens the table of a store.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub async fn open_store(store: TableStore) -> Result<Self> {
        let history = History::new(store);
        let Some(schema) = history.schemas.latest().await? else {
            return Err(Error::not_found(format!("a table at {}", history.store.location())));
        };
        let table = Self::of(history, schema);
        check_options(&table.schema, Use::Read)?;
        TableOptions::parse(&table.schema)?;
        Ok(table)
    }

    /// Creates a table at a location.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`]; [`Error::Invalid`] or [`Error::Unsupported`] naming what in the schema or its options
    /// is wrong.
    pub async fn create(
        location: &str,
        schema: Schema,
        options: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self> {
        let options: BTreeMap<String, String> = options.into_iter().collect();
        Self::create_store(open_location(location, &options, &Env::system())?, schema).await
    }

    /// Creates a table in a store.
    ///
    /// # Errors
    /// As [`Table::create`].
    pub async fn create_store(store: TableStore, schema: Schema) -> Result<Self> {
        schema.check_names(None)?;
        check_whole(&schema)?;
        check_spellings(&schema)?;
        let schema = Schema { id: 0, time_millis: store.env().now_millis(), ..schema };
        let history = History::new(store);
        create_table(&history.store, &schema).await?;
        Ok(Self::of(history, Arc::new(schema)))
    }

    fn of(history: History, schema: Arc<Schema>) -> Self {
        Self { history, schema, spill_directory: None, publisher: Arc::new(PutIfAbsent) }
    }

    /// The same table, whose snapshots and schemas become visible by this publisher.
    #[must_use]
    pub fn published_by(mut self, publisher: Arc<dyn Publisher>) -> Self {
        self.publisher = publisher;
        self
    }

    /// The same table, which keeps what it reads of manifests in this cache: one of a process that opens many tables.
    #[must_use]
    pub fn sharing(mut self, manifests: &ManifestCache) -> Self {
        self.history = self.history.sharing(manifests);
        self
    }

    /// The table as it is now, with its newest schema, for a handle that is kept for long: two requests where nothing
    /// changed. What was read of immutable files stays known. Options that were set for this handle are not taken along.
    ///
    /// # Errors
    /// As [`Table::open`]: [`Error::NotFound`] where it was dropped.
    pub async fn renewed(&self) -> Result<Self> {
        let Some(schema) = self.history.schemas.renewed().await? else {
            return Err(Error::not_found(format!("a table at {}", self.history.store.location())));
        };
        check_options(&schema, Use::Read)?;
        TableOptions::parse(&schema)?;
        Ok(Self { schema, ..self.clone() })
    }

    /// Deletes the table with all files of its directory. Those outside of it (`data-file.external-paths`) stay.
    ///
    /// # Errors
    /// [`Error::Storage`]; part of the files may be gone then. [`Error::Unsupported`] on a branch, and on a table of a
    /// catalog service, which drops it.
    pub async fn drop(self) -> Result<()> {
        self.main_only("dropping the table")?;
        self.publisher.check_drop()?;
        delete_table(&self.history.store).await
    }

    /// The schema, with the options of this handle.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// The table's location.
    pub fn location(&self) -> &str {
        self.history.store.location()
    }

    /// The table's files.
    pub fn store(&self) -> &TableStore {
        &self.history.store
    }

    /// Snapshots, schemas, manifests, tags and consumers.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The same table with other options for this handle alone, e.g. `write-buffer-size`.
    ///
    /// # Errors
    /// [`Error::Invalid`] or [`Error::Unsupported`] naming the option.
    pub fn with_options<K: Into<String>, V: Into<String>>(
        mut self,
        options: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self> {
        let schema = self.schema.with_options(options.into_iter().map(|(key, value)| (key.into(), value.into())))?;
        check_options(&schema, Use::Read)?;
        TableOptions::parse(&schema)?;
        self.schema = Arc::new(schema);
        Ok(self)
    }

    /// The same table with writers that spill to this directory instead of the system's.
    #[must_use]
    pub fn with_spill_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.spill_directory = Some(directory.into());
        self
    }

    /// A batch read, of all rows of the newest snapshot unless told otherwise.
    pub fn scan(&self) -> ScanBuilder {
        ScanBuilder::new(self.history.clone(), Arc::clone(&self.schema))
    }

    /// The changes between two points of the table's history.
    pub fn incremental(&self, between: Between) -> IncrementalBuilder {
        IncrementalBuilder::new(self.history.clone(), Arc::clone(&self.schema), between)
    }

    /// The incremental read that the options ask for (`incremental-between`, `incremental-between-timestamp`, `scan.mode`);
    /// `None` where they ask for rows.
    ///
    /// # Errors
    /// [`Error::Invalid`] for options that contradict each other.
    pub fn incremental_by_options(&self) -> Result<Option<IncrementalBuilder>> {
        let env = self.history.store.env();
        let between = Between::of_options(&TableOptions::parse(&self.schema)?, |local| env.instant_of_local(local));
        Ok(between.map(|between| self.incremental(between)))
    }

    /// A point lookup of rows by primary key, in the newest snapshot unless told otherwise.
    pub fn lookup(&self) -> LookupBuilder {
        LookupBuilder::new(self.history.clone(), Arc::clone(&self.schema))
    }

    /// A stream of changes, from the newest rows on unless told otherwise.
    pub fn changes(&self) -> ChangesBuilder {
        ChangesBuilder::new(self.history.clone(), Arc::clone(&self.schema))
    }

    /// A writer that commits by itself, under a user of its own.
    ///
    /// # Errors
    /// [`Error::Unsupported`] or [`Error::Invalid`] naming an option that forbids writing.
    pub async fn writer(&self) -> Result<TableWriter> {
        let user = self.new_user(&TableOptions::parse(&self.schema)?);
        Ok(TableWriter::new(self.stream_writer(&user).await?, self.committer(&user)?))
    }

    /// The name of a job that is nobody else's.
    fn new_user(&self, options: &TableOptions) -> String {
        let unique = self.history.store.env().uuid();
        options.commit.user_prefix.as_ref().map_or(unique.clone(), |prefix| format!("{prefix}_{unique}"))
    }

    /// A batch write whose rows take the place of what is there.
    pub fn overwrite(&self) -> Overwrite {
        Overwrite::new(self.clone())
    }

    /// Deletes the rows for which a condition is true.
    pub fn delete(&self, filter: Expr) -> Modify {
        Modify::new(self.clone(), filter, None)
    }

    /// Sets columns of the rows for which a condition is true.
    pub fn update(&self, assignments: impl IntoIterator<Item = Assignment>, filter: Expr) -> Modify {
        Modify::new(self.clone(), filter, Some(assignments.into_iter().collect()))
    }

    /// Takes all rows away, or those of whole partitions.
    pub fn truncate(&self) -> Truncate {
        Truncate::new(self.clone())
    }

    /// Takes the partitions away for which a condition on partition columns is true.
    ///
    /// # Errors
    /// As [`Truncate::run`].
    pub async fn drop_partitions(&self, filter: Expr) -> Result<Truncated> {
        self.truncate().partitions(filter).run().await
    }

    /// The only writer of a job; a [`Committer`] commits its messages.
    ///
    /// # Errors
    /// [`Error::Unsupported`] or [`Error::Invalid`] naming an option that forbids writing.
    pub async fn stream_writer(&self, commit_user: &str) -> Result<StreamWriter> {
        self.channel_writer(commit_user, Channel::ONLY).await
    }

    /// One of a job's parallel writers, each with the rows that [`Table::channels`] tells; one committer commits the
    /// messages of all.
    ///
    /// # Errors
    /// As [`Table::stream_writer`].
    pub async fn channel_writer(&self, commit_user: &str, channel: Channel) -> Result<StreamWriter> {
        check_options(&self.schema, Use::Write)?;
        let options = TableOptions::parse(&self.schema)?;
        let spill_directory = self.spill_directory.clone();
        StreamWriter::new(
            self.history.clone(),
            Arc::clone(&self.schema),
            options,
            commit_user,
            channel,
            spill_directory,
        )
    }

    /// How rows are spread over so many parallel writers.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a table without buckets; [`Error::Unsupported`].
    pub fn channels(&self, count: u32) -> Result<Channels> {
        Channels::new(Arc::clone(&self.schema), TableOptions::parse(&self.schema)?, count)
    }

    /// Moves the rows of all partitions, or of some, into so many buckets.
    pub fn rescale(&self, buckets: i32) -> Rescale {
        let spill_directory = self.spill_directory.clone();
        Rescale::new(self.history.clone(), Arc::clone(&self.schema), spill_directory, buckets)
            .published_by(Arc::clone(&self.publisher))
    }

    /// Moves rows that wait in `bucket-postpone` into real buckets, where readers see them.
    pub fn move_postponed(&self) -> MovePostponed {
        MovePostponed::new(self.history.clone(), Arc::clone(&self.schema), self.spill_directory.clone())
            .published_by(Arc::clone(&self.publisher))
    }

    /// What keeps the table small.
    pub fn maintain(&self) -> Maintain {
        Maintain::new(self.history.clone(), Arc::clone(&self.schema))
    }

    fn compactor(&self, limits: CompactLimits) -> Result<Compactor> {
        check_options(&self.schema, Use::Write)?;
        let options = TableOptions::parse(&self.schema)?;
        Compactor::new(self.history.clone(), Arc::clone(&self.schema), options, limits)
    }

    /// The committer of a job. Its user must be stable over restarts of the job and no other job's. Unless the table is
    /// `write-only`, snapshots expire after its commits; those of a branch do not.
    ///
    /// # Errors
    /// The store's errors; [`Error::Unsupported`] for a store that has no create-if-absent.
    pub fn committer(&self, commit_user: &str) -> Result<Committer> {
        check_options(&self.schema, Use::Write)?;
        let options = TableOptions::parse(&self.schema)?;
        let committer = Committer::new(self.history.clone(), &self.schema, &options, commit_user)?
            .published_by(Arc::clone(&self.publisher));
        match options.compaction.write_only {
            true => Ok(committer),
            false => expiring(committer, &self.history, &self.schema),
        }
    }
}

/// The committer, after whose commits snapshots expire by the table's options; those of a branch do not.
fn expiring(committer: Committer, history: &History, schema: &Arc<Schema>) -> Result<Committer> {
    // What a branch needs, other branches and the table itself may need too.
    if history.branch.is_some() {
        return Ok(committer);
    }
    let options = TableOptions::parse(schema)?;
    let (retention, in_background) = (Retention::of(&options), options.retention.in_background);
    let expirer = Expirer::new(history.clone(), Arc::clone(schema), options, retention);
    Ok(committer.after_commit(ExpireAfterCommit::new(expirer, in_background)))
}

/// Refuses a table that could not be written: options beside each other and beside the columns, the merge engine, and
/// what its files would hold.
fn check_whole(schema: &Schema) -> Result<()> {
    let options = validate(schema)?;
    if schema.has_primary_key() {
        let columns: Vec<usize> = (0..schema.fields.len()).collect();
        crate::lsm::merge::of(schema, &options, &columns)?;
    }
    WriteSpec::check(schema, &options, &Arc::new(FileLayout::of(schema, options.thin_mode)?))
}
