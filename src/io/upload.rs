//! A file that is written piece by piece and becomes visible at the end.
//!
//! Small files are one put; past the size of a part a multipart upload begins, at most [`PARTS_IN_FLIGHT`] parts under way.
//! An upload that fails or is dropped is aborted, so that no part stays behind and costs money.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::error::from_store;
use super::secret::Secrets;
use crate::error::{Error, Result};

/// Parts on their way at one time.
const PARTS_IN_FLIGHT: usize = 3;

/// Writes one file. See [`super::TableStore::upload`].
pub struct Upload {
    store: Arc<dyn ObjectStore>,
    file: Path,
    shown: String,
    part_bytes: usize,
    waiting: Vec<Bytes>,
    waiting_bytes: usize,
    written: u64,
    parts: Option<Parts>,
    failed: bool,
    secrets: Secrets,
}

struct Parts {
    upload: Box<dyn MultipartUpload>,
    tasks: JoinSet<object_store::Result<()>>,
    runtime: Handle,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upload({}, {} bytes)", self.shown, self.written)
    }
}

impl Upload {
    /// An upload in parts of `part_bytes`, which is also the size of the largest file that is one put.
    pub(super) fn new(
        store: Arc<dyn ObjectStore>,
        file: Path,
        shown: String,
        part_bytes: usize,
        secrets: Secrets,
    ) -> Self {
        let (waiting, waiting_bytes, written) = (Vec::new(), 0, 0);
        Self { store, file, shown, part_bytes, waiting, waiting_bytes, written, parts: None, failed: false, secrets }
    }

    /// Bytes pushed so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Adds bytes. Waits while too many parts are on their way.
    ///
    /// # Errors
    /// [`Error::Storage`]; the upload is aborted then.
    pub async fn push(&mut self, bytes: Bytes) -> Result<()> {
        self.check()?;
        self.written += bytes.len() as u64;
        self.waiting_bytes += bytes.len();
        if !bytes.is_empty() {
            self.waiting.push(bytes);
        }
        while self.waiting_bytes >= self.part_bytes {
            let part = self.take(self.part_bytes);
            let sent = self.send(part).await;
            self.settle(sent).await?;
        }
        Ok(())
    }

    /// Makes the file visible, durably, and tells its size.
    ///
    /// # Errors
    /// [`Error::Storage`]; the upload is aborted then.
    pub async fn finish(mut self) -> Result<u64> {
        self.check()?;
        let done = self.complete().await;
        self.settle(done).await?;
        Ok(self.written)
    }

    /// Gives the file up; nothing of it stays.
    ///
    /// # Errors
    /// [`Error::Storage`] when the store keeps parts.
    pub async fn abort(mut self) -> Result<()> {
        let Some(mut parts) = self.parts.take() else { return Ok(()) };
        parts.tasks.shutdown().await;
        parts.upload.abort().await.map_err(|error| from_store("abort", &self.shown, &error, &self.secrets))
    }

    fn check(&self) -> Result<()> {
        if self.failed {
            return Err(Error::Storage {
                what: format!("write {}: the upload has failed", self.shown),
                retryable: false,
            });
        }
        Ok(())
    }

    fn take(&mut self, mut length: usize) -> PutPayload {
        let mut chunks = Vec::new();
        let mut rest = std::mem::take(&mut self.waiting).into_iter();
        for mut chunk in rest.by_ref() {
            if chunk.len() > length {
                chunks.push(chunk.split_to(length));
                self.waiting.push(chunk);
                break;
            }
            length -= chunk.len();
            chunks.push(chunk);
            if length == 0 {
                break;
            }
        }
        self.waiting.extend(rest);
        let payload = PutPayload::from_iter(chunks);
        self.waiting_bytes -= payload.content_length();
        payload
    }

    async fn send(&mut self, part: PutPayload) -> object_store::Result<()> {
        if self.parts.is_none() {
            let upload = self.store.put_multipart(&self.file).await?;
            self.parts = Some(Parts { upload, tasks: JoinSet::new(), runtime: Handle::current() });
        }
        let Some(parts) = &mut self.parts else { return Ok(()) };
        while parts.tasks.len() >= PARTS_IN_FLIGHT {
            join(&mut parts.tasks).await?;
        }
        let sending = parts.upload.put_part(part);
        parts.tasks.spawn(sending);
        Ok(())
    }

    async fn complete(&mut self) -> object_store::Result<()> {
        let rest = self.take(self.waiting_bytes);
        if self.parts.is_none() {
            return self.store.put(&self.file, rest).await.map(|_| ());
        }
        if rest.content_length() > 0 {
            self.send(rest).await?;
        }
        let Some(parts) = &mut self.parts else { return Ok(()) };
        while !parts.tasks.is_empty() {
            join(&mut parts.tasks).await?;
        }
        parts.upload.complete().await?;
        self.parts = None;
        Ok(())
    }

    async fn settle(&mut self, done: object_store::Result<()>) -> Result<()> {
        let Err(error) = done else { return Ok(()) };
        self.failed = true;
        if let Some(mut parts) = self.parts.take() {
            parts.tasks.shutdown().await;
            let _ = parts.upload.abort().await;
        }
        Err(from_store("write", &self.shown, &error, &self.secrets))
    }
}

async fn join(tasks: &mut JoinSet<object_store::Result<()>>) -> object_store::Result<()> {
    match tasks.join_next().await {
        Some(joined) => joined?,
        None => Ok(()),
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(Parts { mut upload, mut tasks, runtime }) = self.parts.take() {
            runtime.spawn(async move {
                tasks.shutdown().await;
                let _ = upload.abort().await;
            });
        }
    }
}

/// The twin for threads of the blocking pool (an encoder that wants [`io::Write`]).
#[derive(Debug)]
pub struct BlockingUpload {
    upload: Upload,
    runtime: Handle,
    buffer: Vec<u8>,
}

/// Bytes gathered before they are pushed.
const BUFFER_BYTES: usize = 1 << 20;

impl BlockingUpload {
    /// Wraps an upload. The thread that writes must not be one that drives the runtime.
    pub fn new(upload: Upload, runtime: Handle) -> Self {
        Self { upload, runtime, buffer: Vec::new() }
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.upload.written() + self.buffer.len() as u64
    }

    fn push(&mut self) -> Result<()> {
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        self.runtime.block_on(self.upload.push(bytes))
    }

    /// Makes the file visible, durably, and tells its size.
    ///
    /// # Errors
    /// [`Error::Storage`]; the upload is aborted then.
    pub fn finish(mut self) -> Result<u64> {
        self.push()?;
        self.runtime.block_on(self.upload.finish())
    }

    /// Gives the file up.
    ///
    /// # Errors
    /// [`Error::Storage`] when the store keeps parts.
    pub fn abort(self) -> Result<()> {
        self.runtime.block_on(self.upload.abort())
    }
}

impl io::Write for BlockingUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER_BYTES {
            self.push().map_err(io::Error::other)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
