//! Notes, and the files they name: the half of an expiry that a crash may leave to the next one.

use std::collections::{BTreeSet, HashSet};

use super::expire::Expirer;
use super::report::{ExpireProgress, ExpireReport};
use super::roots::{self, Listing};
use crate::error::{Error, Result};
use crate::format::{ExpiryNote, GoingFile, SnapshotId, layout};

/// Files of one note: it stays far below what is decoded.
const FILES_OF_NOTE: usize = 100_000;
/// Files that go between two tellings of progress.
const STEP: usize = 1000;

impl Expirer {
    /// Writes what goes. Answers the names of the notes.
    pub(super) async fn write_notes(
        &self,
        changelogs: bool,
        end: SnapshotId,
        files: &[GoingFile],
    ) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        for part in files.chunks(FILES_OF_NOTE) {
            let path = layout::expiry_note(&self.history.store.env().uuid())?;
            let note = ExpiryNote { version: ExpiryNote::VERSION, changelogs, end, files: part.to_vec() };
            self.history.store.write(&path, note.encode()?).await?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// Deletes the files that nobody needs when everything below `gone_below` is gone, except those that tags and
    /// branches name. Notes that have nothing more to tell go too.
    pub(super) async fn finish(
        &self,
        notes: &[String],
        files: Vec<GoingFile>,
        gone_below: SnapshotId,
        kept: &HashSet<String>,
        report: &mut ExpireReport,
    ) -> Result<()> {
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_string();
        let (due, later): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.last < gone_below);
        let due: Vec<GoingFile> = due.into_iter().filter(|file| !kept.contains(&name(&file.path))).collect();
        let failed_before = report.failed;
        let mut progress =
            ExpireProgress { files: report.files, of: report.files + due.len() as u64, bytes: report.bytes };
        for step in due.chunks(STEP) {
            let paths: Vec<String> = step.iter().map(|file| file.path.clone()).collect();
            let failed = self.history.store.delete_all(&paths).await;
            let still: HashSet<&str> = failed.iter().map(|(path, _)| path.as_str()).collect();
            for file in step.iter().filter(|file| !still.contains(file.path.as_str())) {
                report.files += 1;
                report.bytes += file.bytes;
            }
            failed.iter().for_each(|(_, error)| report.fail(error.to_string()));
            (progress.files, progress.bytes) = (report.files, report.bytes);
            self.tell(progress);
        }
        if self.retention.clean_empty_directories {
            self.clean_directories(&due).await;
        }
        if later.is_empty() && report.failed == failed_before {
            for note in notes {
                if let Err(error) = self.history.store.delete(note).await {
                    report.fail(error.to_string());
                }
            }
            // A directory that is not empty, or that cannot be removed, does no harm.
            drop(self.history.store.remove_empty_dir(layout::EXPIRY_DIR).await);
        }
        Ok(())
    }

    /// Removes bucket directories that are empty, and the partitions above them.
    async fn clean_directories(&self, files: &[GoingFile]) {
        let data = self.options.data_file_path_directory.as_deref().map(|path| path.trim_end_matches('/'));
        let of_data = |path: &str| {
            let directory = path.rsplit_once('/')?.0;
            let bucket = directory.rsplit('/').next()?.starts_with("bucket-");
            bucket.then(|| directory.to_string())
        };
        let mut directories: BTreeSet<String> = files.iter().filter_map(|file| of_data(&file.path)).collect();
        while let Some(directory) = directories.pop_last() {
            let above = directory.rsplit_once('/').map(|(above, _)| above.to_string());
            match self.history.store.remove_empty_dir(&directory).await {
                Ok(true) => directories.extend(above.filter(|above| Some(above.as_str()) != data)),
                Ok(false) => {}
                Err(error) => tracing::debug!(%directory, %error, "expiry: a directory stays"),
            }
        }
    }

    /// Finishes what earlier runs noted and did not end. What a note tells of snapshots that are still there waits.
    pub(super) async fn finish_earlier(&self, report: &mut ExpireReport) -> Result<()> {
        let mut noted = Vec::new();
        for file in self.history.store.list(layout::EXPIRY_DIR).await? {
            let Some(id) = file.name.strip_prefix("expiry-") else { continue };
            let path = layout::expiry_note(id)?;
            let Some(bytes) = self.history.store.try_read(&path).await? else { continue };
            match ExpiryNote::decode(&bytes, &path) {
                Ok(note) => noted.push((path, note)),
                Err(error) => report.fail(error.to_string()),
            }
        }
        if noted.is_empty() {
            return Ok(());
        }
        let snapshots = &self.history.snapshots;
        let Some(earliest) = snapshots.ids().await?.first().copied() else { return Ok(()) };
        let changelog = snapshots.changelog_ids().await?.first().copied().unwrap_or(earliest).min(earliest);
        let listing = Listing::load(&self.history).await?;
        let kept = roots::named(&self.history, &listing, self.passed_over(report), 0, SnapshotId::MAX).await?;
        for (path, note) in noted {
            let gone_below = if note.changelogs { changelog } else { earliest };
            if note.end > gone_below {
                continue;
            }
            if self.dry_run {
                report.would_go.extend(note.files.into_iter().filter(|file| !kept.contains(name_of(&file.path))));
                continue;
            }
            self.finish(&[path], note.files, gone_below, &kept, report).await?;
        }
        Ok(())
    }

    /// What tags and branches name after the pointers went, if they are others than before: one may have come while the
    /// pointers were still there, or gone and left its files to this run.
    pub(super) async fn look_again(
        &self,
        seen: &Listing,
        begin: SnapshotId,
        end: SnapshotId,
    ) -> Result<Option<HashSet<String>>> {
        let listing = Listing::load(&self.history).await?;
        match listing == *seen {
            true => Ok(None),
            false => roots::named(&self.history, &listing, &[], begin, end).await.map(Some),
        }
    }

    /// Deletes a pointer; tries a few times, because nothing that it points at may go before it.
    pub(super) async fn delete_pointer(&self, path: &str) -> Result<()> {
        let store = &self.history.store;
        for wait in [10, 100] {
            match store.delete(path).await {
                Ok(()) => return Ok(()),
                Err(error @ Error::Storage { retryable: false, .. }) => return Err(error),
                Err(_) => store.env().sleep(std::time::Duration::from_millis(wait)).await,
            }
        }
        store.delete(path).await
    }
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}
