//! Old rows of keys that come up from level 0, as one more run of the merge.
//!
//! ```text
//! level 0    k1' k3'       the keys that are looked up
//! inputs     k1' k3' k5 ─┐
//! above      k1  k3  k4   ├─ merge ─ new files: k1" k3" k5
//!            └── old run ─┘         above: k1 and k3 are masked
//! ```
//!
//! Every old row that is found joins the merge, so what comes out is its state from now on, and with deletion vectors the
//! row above is masked. Without them only the newest of the versions above counts, that of the lowest level. Keys are read a second time for this, of level 0 alone.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::ArrayRef;
use tokio::runtime::Handle;

use super::limits::Pace;
use super::vectors::BucketVectors;
use crate::error::{Error, Result};
use crate::format::{DataFileMeta, Split};
use crate::lookup::OldVersions;
use crate::lsm::{KeyEncoder, RunBatch, RunReader};
use crate::read::{RowTest, SplitReader};

type Runs = Vec<Vec<Arc<DataFileMeta>>>;

/// Finds the old rows of keys above a task's files.
#[derive(Clone)]
pub(super) struct OldRows {
    pub(super) runtime: Handle,
    pub(super) versions: Arc<OldVersions>,
    /// Reads the key columns of the task's files of level 0.
    pub(super) keys: SplitReader,
    /// Which of their rows join the merge, by a column that `keys` reads too; `None` means all.
    pub(super) joins: Option<(usize, RowTest)>,
    pub(super) flushed: Split,
    pub(super) encoder: KeyEncoder,
    /// The key's positions among all columns.
    pub(super) key_columns: Vec<usize>,
    /// All columns of the table.
    pub(super) columns: Vec<usize>,
    /// Where what is found is masked; without deletion vectors it stays as it is.
    pub(super) vectors: Option<Arc<Mutex<BucketVectors>>>,
    /// A level above those of all inputs.
    pub(super) level: i32,
    pub(super) pace: Arc<Pace>,
}

impl OldRows {
    /// The old rows of the keys that the level-0 files of some runs bring to the merge; `None` where there are no such files.
    /// The old row of a key that comes with rows that are too old alone stays where it is.
    pub(super) fn run(&self, runs: &[Vec<Arc<DataFileMeta>>]) -> Result<Option<RunReader>> {
        let Some(flushed) = flushed(runs) else { return Ok(None) };
        let this = self.clone();
        let keys = match self.joins.clone() {
            Some((column, test)) => self.keys.clone().with_row_test(column, test)?,
            None => self.keys.clone(),
        };
        let found = keys.bucket(&self.flushed)?.keys(flushed)?.map(move |keys| this.find(&keys?));
        Ok(Some(Box::new(found)))
    }

    /// Masks the old rows of a file's keys, which take their place as they are.
    pub(super) fn mask(&self, file: &Arc<DataFileMeta>) -> Result<()> {
        let Some(flushed) = flushed(&[vec![Arc::clone(file)]]).filter(|_| self.vectors.is_some()) else {
            return Ok(());
        };
        self.keys.bucket(&self.flushed)?.keys(flushed)?.try_for_each(|keys| {
            let old = self.versions.find_blocking(&self.runtime, &keys?, &[])?;
            self.mask_all(&old.files, &old.positions)
        })
    }

    fn find(&self, keys: &[ArrayRef]) -> Result<RunBatch> {
        let old = self.versions.find_blocking(&self.runtime, keys, &self.columns)?;
        self.mask_all(&old.files, &old.positions)?;
        self.count(&old.files)?;
        let lanes: Vec<ArrayRef> = self.key_columns.iter().map(|at| Arc::clone(&old.columns[*at])).collect();
        Ok(RunBatch {
            keys: self.encoder.encode(&lanes, old.keys.len())?,
            sequence: old.sequence,
            kinds: Some(old.kinds),
            columns: old.columns,
            age: 0,
            level: self.level,
        })
    }

    /// Counts the rows that were found, a place of a file each.
    fn count(&self, found: &[u32]) -> Result<()> {
        for (at, file) in (0..).zip(self.versions.files()) {
            match found.iter().filter(|place| **place == at).count() as u64 {
                0 => {}
                rows => self.pace.read(file, rows)?,
            }
        }
        Ok(())
    }

    fn mask_all(&self, files: &[u32], rows: &[u64]) -> Result<()> {
        let Some(vectors) = &self.vectors else { return Ok(()) };
        let above: Vec<&Arc<DataFileMeta>> = self.versions.files().collect();
        let mut vectors = vectors.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().zip(rows).try_for_each(|(file, row)| {
            let file = above.get(*file as usize).ok_or_else(|| Error::bug("an old row of no file"))?;
            vectors.mask(file, *row).map(drop)
        })
    }
}

/// What runs hold of level 0.
fn flushed(runs: &[Vec<Arc<DataFileMeta>>]) -> Option<Runs> {
    let of_run = |run: &Vec<Arc<DataFileMeta>>| run.iter().filter(|file| file.level == 0).cloned().collect::<Vec<_>>();
    let flushed: Runs = runs.iter().map(of_run).filter(|run| !run.is_empty()).collect();
    (!flushed.is_empty()).then_some(flushed)
}
