//! The names and places of new data files: in the directory of their bucket, or in that directory below a root outside of
//! the table. Spec: `format-spec/layout.md`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::rolling::WriteSpec;
use crate::env::Env;
use crate::error::Result;
use crate::format::{DataFileMeta, beside_path, data_file_path, outside};
use crate::io::TableStore;
use crate::schema::{ExternalRoots, TableOptions};

/// The names of the files of one bucket: `<prefix><uuid>-<n>.<extension>`, all kinds from one counter.
#[derive(Debug)]
pub struct FileNames {
    directory: String,
    roots: ExternalRoots,
    /// Which of the roots is the first.
    first_root: u64,
    uuid: String,
    next: AtomicU64,
}

/// Refuses to write new files to roots outside of the table that are not allowed, before one is begun. No request is made.
///
/// # Errors
/// [`crate::Error::Unsupported`] that names the root, or the store that is only read.
pub fn require_roots(store: &TableStore, options: &TableOptions) -> Result<()> {
    options.external_roots.iter().try_for_each(|root| store.require_writable_at(&format!("{root}/bucket-0")))
}

/// A file that is about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewFile {
    pub(super) name: String,
    directory: String,
    outside: bool,
}

impl NewFile {
    pub(super) fn path(&self) -> String {
        self.beside(&self.name)
    }

    /// The path of another file in its directory.
    pub(super) fn beside(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }

    /// Its `_EXTERNAL_PATH`.
    pub(super) fn external_path(&self) -> Option<String> {
        self.outside.then(|| outside::told(&self.path()))
    }
}

impl FileNames {
    /// Names for files of the bucket whose directory, relative to the table, is `directory`.
    pub fn new(env: &Env, options: &TableOptions, directory: String) -> Self {
        let roots = options.external_roots.clone();
        let first_root = if roots.is_empty() { 0 } else { env.random_u64() };
        Self { directory, roots, first_root, uuid: env.uuid(), next: AtomicU64::new(0) }
    }

    pub(super) fn next(&self, spec: &WriteSpec) -> NewFile {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}{}-{number}.{}", spec.prefix, self.uuid, spec.extension);
        match self.roots.pick(self.first_root.wrapping_add(number)) {
            Some(root) => NewFile { name, directory: format!("{root}/{}", self.directory), outside: true },
            None => NewFile { name, directory: self.directory.clone(), outside: false },
        }
    }

    /// The directory of the bucket.
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// The paths of a data file that was written here and of the files beside it.
    pub fn paths(&self, file: &DataFileMeta) -> impl Iterator<Item = String> {
        let own = std::iter::once(data_file_path(&self.directory, file));
        // Names of our own are names.
        own.chain(file.extra_files.iter().map(|name| beside_path(&self.directory, file, name))).filter_map(Result::ok)
    }
}
