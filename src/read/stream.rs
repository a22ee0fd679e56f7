//! Batches of many splits as one asynchronous stream, in the order of the splits.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::Stream;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;

use super::SplitReader;
use super::split_reader::{Batches, Rows};
use crate::error::{Error, Result};
use crate::format::Split;

/// Batches of a split that wait.
const BATCHES_AHEAD: usize = 2;

/// Splits that are read at once in the whole process: each keeps a thread of the blocking pool while its batches wait.
static SPLITS: Semaphore = Semaphore::const_new(64);

/// The batches of one split, made on the blocking pool. Dropping it ends that work.
pub struct SplitBatches(Receiver<Option<Result<Rows>>>);

impl SplitBatches {
    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// The store's errors and [`Error::Corrupt`] with the file.
    pub async fn next(&mut self) -> Result<Option<Rows>> {
        futures::future::poll_fn(|context| self.poll(context)).await.transpose()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Rows>>> {
        // The end is told: a thread that stopped early must not look like the end of the rows.
        self.0
            .poll_recv(context)
            .map(|item| item.unwrap_or_else(|| Some(Err(Error::bug("reading a split stopped before its end")))))
    }
}

impl SplitReader {
    /// Begins to read a split on the blocking pool.
    pub fn start(&self, split: Split) -> SplitBatches {
        let (reader, read) = (self.clone(), split.clone());
        self.start_with(split, move || reader.read(&read))
    }

    /// Begins to read on the blocking pool; errors are told as those of a split.
    pub(super) fn start_with(
        &self,
        split: Split,
        read: impl FnOnce() -> Result<Batches> + Send + 'static,
    ) -> SplitBatches {
        let (sender, receiver) = channel(BATCHES_AHEAD);
        let (reader, runtime) = (self.clone(), self.runtime().clone());
        self.runtime().spawn(async move {
            let permit = SPLITS.acquire().await;
            runtime.spawn_blocking(move || {
                let _permit = permit;
                let batches = match read() {
                    Ok(batches) => batches,
                    Err(error) => return drop(sender.blocking_send(Some(Err(reader.explain(&split, error))))),
                };
                for batch in batches {
                    let batch = batch.map_err(|error| reader.explain(&split, error));
                    let failed = batch.is_err();
                    if sender.blocking_send(Some(batch)).is_err() || failed {
                        return;
                    }
                }
                drop(sender.blocking_send(None));
            });
        });
        SplitBatches(receiver)
    }
}

/// What is done when no file is read any more. Dropping it undone must be as good.
pub(crate) type Release = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send + Sync>;

/// The rows of a read. Dropping it ends the work behind it.
pub struct RowStream {
    schema: SchemaRef,
    /// Batches that are there already.
    ready: VecDeque<RecordBatch>,
    reader: SplitReader,
    waiting: VecDeque<Split>,
    running: VecDeque<SplitBatches>,
    /// Rows still to be shown.
    left: usize,
    /// What follows the last row, or an error.
    release: Option<Release>,
    /// That, under way, and the error that is told behind it.
    ending: Option<(JoinHandle<()>, Option<Error>)>,
}

impl RowStream {
    /// Reads splits one after another, the next ones ahead.
    pub fn new(reader: SplitReader, splits: Vec<Split>, limit: Option<usize>) -> Self {
        let schema = reader.shown_schema();
        let left = limit.unwrap_or(usize::MAX);
        let (ready, running) = (VecDeque::new(), VecDeque::new());
        Self { schema, ready, reader, waiting: splits.into(), running, left, release: None, ending: None }
    }

    /// The same rows; this is done behind the last one, or before an error is told.
    pub(crate) fn released_by(self, release: Release) -> Self {
        Self { release: Some(release), ..self }
    }

    /// Ends the read, whose rows may not be all out, and waits until the tag that guards it is gone. Dropping it has that
    /// done beside.
    pub async fn close(mut self) {
        self.ready.clear();
        self.left = 0;
        drop(self.next_batch().await);
    }

    /// Rows that are there already, in batches of so many.
    pub(crate) fn of_rows(reader: SplitReader, rows: &RecordBatch, batch_rows: usize) -> Self {
        let starts = (0..rows.num_rows()).step_by(batch_rows.max(1));
        let ready = starts.map(|start| rows.slice(start, batch_rows.max(1).min(rows.num_rows() - start))).collect();
        Self { schema: rows.schema(), ready, ..Self::new(reader, Vec::new(), None) }
    }

    /// The columns of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// The next batch; `None` at the end. Batches without rows are left out.
    ///
    /// # Errors
    /// The store's errors and [`Error::Corrupt`] with the file.
    pub async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        futures::future::poll_fn(|context| self.poll(context)).await.transpose()
    }

    fn start(&mut self) {
        while self.running.len() < self.reader.at_once {
            let Some(split) = self.waiting.pop_front() else { return };
            self.running.push_back(self.reader.start(split));
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        if self.ending.is_none() {
            let end = match self.poll_rows(context) {
                Poll::Ready(None) => None,
                Poll::Ready(Some(Err(error))) => Some(error),
                rows => return rows,
            };
            let Some(release) = self.release.take() else { return Poll::Ready(end.map(Err)) };
            // A task of its own, so that it ends even if nobody waits for it.
            self.ending = Some((self.reader.runtime().spawn(release()), end));
        }
        if let Some((releasing, _)) = &mut self.ending
            && Pin::new(releasing).poll(context).is_pending()
        {
            return Poll::Pending;
        }
        Poll::Ready(self.ending.take().and_then(|(_, error)| error).map(Err))
    }

    fn poll_rows(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        if let Some(batch) = self.ready.pop_front() {
            return Poll::Ready(Some(Ok(batch)));
        }
        loop {
            if self.left == 0 {
                self.waiting.clear();
                self.running.clear();
            }
            self.start();
            let Some(first) = self.running.front_mut() else { return Poll::Ready(None) };
            match first.poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => drop(self.running.pop_front()),
                Poll::Ready(Some(Err(error))) => {
                    self.left = 0;
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Ready(Some(Ok((batch, _)))) if batch.num_rows() == 0 => {}
                Poll::Ready(Some(Ok((batch, _)))) => {
                    let batch = if batch.num_rows() > self.left { batch.slice(0, self.left) } else { batch };
                    self.left -= batch.num_rows();
                    return Poll::Ready(Some(Ok(batch)));
                }
            }
        }
    }
}

impl Stream for RowStream {
    type Item = Result<RecordBatch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll(context)
    }
}
