//! Old versions of keys in some levels of a bucket: for changelogs, deletion vectors and merge engines in compaction.

use std::fmt;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int8Array, Int64Array};
use tokio::runtime::Handle;

use super::LookupCache;
use super::bucket::BucketFiles;
use super::find::{Hit, Until};
use super::newest::{kind_lane, sequence_lane};
use super::rules::{Request, Rules};
use super::values::Column;
use crate::error::Result;
use crate::format::{BinaryRow, DataFileMeta};
use crate::history::History;
use crate::scan::FileVectors;
use crate::schema::Schema;

/// Looks old versions of keys up in the files of one bucket. What it reads stays in the [`LookupCache`], so that one
/// made for the next commit starts warm.
///
/// ```text
/// level 0    the flushes that are being compacted: not given here
/// level 1    |  k3  k5   |
/// level 5    | k1  k3  k4  k7 | k9 ..      k3 -> the version of level 1
/// ```
pub struct OldVersions {
    rules: Arc<Rules>,
    bucket: BucketFiles,
}

impl fmt::Debug for OldVersions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OldVersions({} files)", self.bucket.files.len())
    }
}

/// The old versions that were found: one for each key that has one, in key order.
#[derive(Debug)]
pub struct OldRows {
    /// For each row found here, the row of the key in the request. Of equal keys in a request, the first.
    pub keys: Vec<u32>,
    /// The value columns that were asked for.
    pub columns: Vec<ArrayRef>,
    /// Sequence numbers.
    pub sequence: Int64Array,
    /// Row kinds as stored bytes: a retraction that an upper level still holds is a version, too.
    pub kinds: Int8Array,
    /// The file of each row, as a place in [`OldVersions::files`].
    pub files: Vec<u32>,
    /// The position of each row in its file.
    pub positions: Vec<u64>,
}

/// Where an old version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OldPlace {
    /// The row of the key in the request.
    pub key: u32,
    /// The file, as a place in [`OldVersions::files`].
    pub file: u32,
    /// The row's position in its file.
    pub position: u64,
}

impl OldRows {
    /// For each of `rows` keys of the request its row here.
    pub fn by_key(&self, rows: usize) -> Vec<Option<u32>> {
        let mut by_key = vec![None; rows];
        self.keys.iter().zip(0..).for_each(|(key, row)| by_key[*key as usize] = Some(row));
        by_key
    }
}

impl OldVersions {
    /// Over some files of a bucket: those of the levels that are older than whatever is asked for. Rows come out in
    /// `schema`, whatever schema the files were written with. Rows that `vectors` mask are passed over: a key may stand
    /// in a lower level, then. No request is made.
    ///
    /// # Errors
    /// [`crate::Error::Unsupported`] for files that cannot be looked into; [`crate::Error::Corrupt`] for keys in their
    /// descriptions that are none.
    pub fn new(
        history: &History,
        schema: &Arc<Schema>,
        cache: &LookupCache,
        partition: &BinaryRow,
        bucket: i32,
        files: &[Arc<DataFileMeta>],
        vectors: &FileVectors,
    ) -> Result<Self> {
        let rules = Arc::new(Rules::new(history, schema, cache)?);
        let bucket = BucketFiles::new(&rules, partition, bucket, files.iter().collect(), vectors)?;
        Ok(Self { rules, bucket })
    }

    /// The files in the order they are searched: level 0 from new to old, then the levels from 1 up, each by key.
    pub fn files(&self) -> impl Iterator<Item = &Arc<DataFileMeta>> {
        self.bucket.files.iter().map(|file| &file.meta)
    }

    /// The version of each key in the first run that has it, with the value columns at `select`.
    ///
    /// Among levels from 1 up the first is the newest in the order of commits. A file of level 0 is searched before
    /// them; whoever gives several whose sequence numbers overlap gets the version of the one that was closed last.
    ///
    /// `keys` are the columns of the trimmed primary key as lanes, in any order of rows; rising keys are fastest.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for a NULL in a key; the store's errors; [`crate::Error::Corrupt`] with the file.
    pub async fn find(&self, keys: &[ArrayRef], select: &[usize]) -> Result<OldRows> {
        let (request, hits) = self.first(keys).await?;
        let mut wanted: Vec<Column> = select.iter().map(|at| Column::Value(*at)).collect();
        wanted.extend([Column::Sequence, Column::Kind]);
        let mut columns = self.rules.values_of(&self.bucket, &request, &hits, &wanted).await?;
        let system = columns.split_off(select.len());
        let path = self.bucket.files.first().map(|file| file.path.as_str()).unwrap_or_default();
        Ok(OldRows {
            keys: hits.iter().map(|hit| request.order[hit.rank as usize]).collect(),
            columns,
            sequence: sequence_lane(path, &system[0])?,
            kinds: kind_lane(path, &system[1])?,
            files: hits.iter().map(|hit| hit.file).collect(),
            positions: hits.iter().map(|hit| hit.row).collect(),
        })
    }

    /// Where the versions of [`OldVersions::find`] stand, without reading any column but those of the key.
    ///
    /// # Errors
    /// As [`OldVersions::find`].
    pub async fn locate(&self, keys: &[ArrayRef]) -> Result<Vec<OldPlace>> {
        let (request, hits) = self.first(keys).await?;
        let place = |hit: &Hit| OldPlace { key: request.order[hit.rank as usize], file: hit.file, position: hit.row };
        Ok(hits.iter().map(place).collect())
    }

    async fn first(&self, keys: &[ArrayRef]) -> Result<(Request, Vec<Hit>)> {
        let rows = keys.first().map_or(0, |lane| lane.len());
        let request = self.rules.request(keys.to_vec(), rows)?;
        let hits = self.rules.find(&self.bucket, &request, Until::First).await?;
        // Where a file has a key twice, the later row is the newer one.
        let hits = hits.chunk_by(|a, b| a.rank == b.rank).filter_map(<[Hit]>::last).copied().collect();
        Ok((request, hits))
    }

    /// As [`OldVersions::locate`], for blocking code: call it on the blocking pool.
    ///
    /// # Errors
    /// As [`OldVersions::find`].
    pub fn locate_blocking(&self, runtime: &Handle, keys: &[ArrayRef]) -> Result<Vec<OldPlace>> {
        runtime.block_on(self.locate(keys))
    }

    /// As [`OldVersions::find`], for blocking code: call it on the blocking pool.
    ///
    /// # Errors
    /// As [`OldVersions::find`].
    pub fn find_blocking(&self, runtime: &Handle, keys: &[ArrayRef], select: &[usize]) -> Result<OldRows> {
        runtime.block_on(self.find(keys, select))
    }
}
