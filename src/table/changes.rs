//! Building a stream of changes.

use std::sync::Arc;

use crate::error::Result;
use crate::format::SnapshotId;
use crate::history::History;
use crate::predicate::Expr;
use crate::read::check_read_memory;
use crate::schema::{Schema, TableOptions, Use, check_options, check_overwrites_in_streams};
use crate::stream::{ChangeStream, FollowOptions, Start};

/// A stream of changes: where it begins and ends.
#[derive(Clone)]
pub struct ChangesBuilder {
    history: History,
    schema: Arc<Schema>,
    start: Option<Start>,
    follow: FollowOptions,
}

impl ChangesBuilder {
    pub(super) fn new(history: History, schema: Arc<Schema>) -> Self {
        Self { history, schema, start: None, follow: FollowOptions::default() }
    }

    /// Begins here, whatever the table's options say (`scan.mode` and those around it), unless the consumer has saved
    /// progress.
    #[must_use]
    pub fn from(mut self, start: Start) -> Self {
        self.start = Some(start);
        self
    }

    /// Ends after this snapshot. A stream that begins with the rows of a later one is refused.
    #[must_use]
    pub fn to(mut self, snapshot: SnapshotId) -> Self {
        self.follow.to = Some(snapshot);
        self
    }

    /// Ends before the first snapshot whose watermark lies above this, in milliseconds since the epoch; unless told,
    /// option `scan.bounded.watermark`.
    #[must_use]
    pub fn to_watermark(mut self, watermark: i64) -> Self {
        self.follow.to_watermark = Some(watermark);
        self
    }

    /// Keeps progress under this name in the table, and begins where it was saved.
    #[must_use]
    pub fn consumer(mut self, name: impl Into<String>) -> Self {
        self.follow.consumer = Some(name.into());
        self
    }

    /// Shows these columns, in this order.
    #[must_use]
    pub fn select<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.follow.select = Some(columns.into_iter().map(Into::into).collect());
        self
    }

    /// Shows only changes of rows for which this is true.
    #[must_use]
    pub fn filter(mut self, filter: Expr) -> Self {
        self.follow.filter = Some(filter);
        self
    }

    /// Leaves `TIMESTAMP(7..9)` as `Decimal128(38, 9)` seconds since the epoch.
    #[must_use]
    pub fn wide_timestamps(mut self) -> Self {
        self.follow.wide_timestamps = true;
        self
    }

    /// The bytes that the stream may hold in fetched pages, decoded batches and batches that wait, 32 MiB or more. Unless
    /// told, up to 384 MiB.
    #[must_use]
    pub fn memory(mut self, bytes: u64) -> Self {
        self.follow.memory = Some(bytes);
        self
    }

    /// The changes up to the newest snapshot.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] when the history asked for has expired; [`crate::Error::Invalid`] when it would begin with
    /// the rows of a snapshot behind its last one; [`crate::Error::Unsupported`] for a feature this version cannot read.
    pub async fn read(self) -> Result<ChangeStream> {
        self.open(false).await
    }

    /// The changes, without an end: waits for snapshots to come.
    ///
    /// # Errors
    /// As [`ChangesBuilder::read`].
    pub async fn follow(self) -> Result<ChangeStream> {
        self.open(true).await
    }

    async fn open(mut self, wait: bool) -> Result<ChangeStream> {
        check_options(&self.schema, Use::Read)?;
        check_read_memory(self.follow.memory)?;
        let options = TableOptions::parse(&self.schema)?;
        check_overwrites_in_streams(self.schema.has_primary_key(), &options)?;
        self.follow.wait = wait;
        self.follow.start = match self.start {
            Some(start) => start,
            None => Start::of_options(&options, self.history.store.env())?,
        };
        self.follow.to_watermark = self.follow.to_watermark.or(options.scan.bounded_watermark);
        if self.follow.consumer.is_none() {
            self.follow.consumer.clone_from(&options.consumer_id);
        }
        ChangeStream::open(self.history, self.schema, options, self.follow).await
    }
}
