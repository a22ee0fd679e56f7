//! The options `local-cache.*` of stores and catalogs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::kinds::CachedKind;
use crate::error::{Error, Result};
use crate::schema::parse_memory_size;

pub(in crate::io) const LOCAL_CACHE: &str = "local-cache.";
const NAMES: [&str; 5] = ["enabled", "dir", "max-size", "block-size", "whitelist"];
/// Blocks are held in memory one by one.
const BLOCK_BYTES: std::ops::RangeInclusive<u64> = 4096..=64 << 20;

/// How remote files are kept on the local disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// The directory that blocks are kept below.
    pub directory: PathBuf,
    /// The most bytes on the disk; `u64::MAX` without a limit.
    pub max_bytes: u64,
    /// Bytes of a block.
    pub block_bytes: u64,
    /// The kinds of files that are kept.
    pub kinds: Vec<CachedKind>,
}

impl CacheOptions {
    /// A directory with a limit, and Paimon's defaults.
    pub fn new(directory: impl Into<PathBuf>, max_bytes: u64) -> Self {
        let kinds = vec![CachedKind::Meta, CachedKind::GlobalIndex];
        Self { directory: directory.into(), max_bytes, block_bytes: 1 << 20, kinds }
    }

    /// What the options of a store ask for; nothing unless `local-cache.enabled` is true.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an option of the cache that is not known, and for a cache in memory;
    /// [`Error::Invalid`] for a malformed value.
    pub(in crate::io) fn of(options: &BTreeMap<String, String>) -> Result<Option<Self>> {
        let lower = options.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.trim()));
        let told = lower.filter_map(|(name, value)| Some((name.strip_prefix(LOCAL_CACHE)?.to_string(), value)));
        let told: BTreeMap<String, &str> = told.collect();
        if let Some(name) = told.keys().find(|name| !NAMES.contains(&name.as_str())) {
            let honoured = NAMES.map(|name| format!("{LOCAL_CACHE}{name}")).join(", ");
            return Err(Error::unsupported(format!("option {LOCAL_CACHE}{name}: not honoured (honoured: {honoured})")));
        }
        let enabled = match told.get("enabled").map(|text| text.to_ascii_lowercase()).as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(text) => {
                return Err(Error::invalid(format!("option {LOCAL_CACHE}enabled: {text:?} is neither true nor false")));
            }
        };
        // Looked at in any case: what is wrong is told before the cache is switched on.
        let size = |name: &str| {
            let parsed = told.get(name).map(|text| parse_memory_size(text)).transpose();
            parsed.map_err(|error| Error::invalid(format!("option {LOCAL_CACHE}{name}: {error}")))
        };
        let (max_bytes, block_bytes) = (size("max-size")?, size("block-size")?);
        if let Some(bytes) = block_bytes.filter(|bytes| !BLOCK_BYTES.contains(bytes)) {
            return Err(Error::invalid(format!("option {LOCAL_CACHE}block-size: {bytes} bytes; 4 kb to 64 mb go")));
        }
        let words = told.get("whitelist").map(|text| text.split(',').map(str::trim).filter(|word| !word.is_empty()));
        let kinds = words.map(|words| words.map(kind).collect::<Result<Vec<_>>>()).transpose()?;
        if !enabled {
            return Ok(None);
        }
        let Some(directory) = told.get("dir").filter(|text| !text.is_empty()) else {
            return Err(Error::unsupported(format!(
                "{LOCAL_CACHE}enabled without {LOCAL_CACHE}dir: blocks are kept on disk only, and metadata in memory without it"
            )));
        };
        let directory = std::path::absolute(directory.strip_prefix("file://").unwrap_or(directory));
        let directory = directory.map_err(|error| Error::invalid(format!("option {LOCAL_CACHE}dir: {error}")))?;
        let plain = Self::new(directory, max_bytes.unwrap_or(u64::MAX));
        let block_bytes = block_bytes.unwrap_or(plain.block_bytes);
        Ok(Some(Self { block_bytes, kinds: kinds.unwrap_or_else(|| plain.kinds.clone()), ..plain }))
    }
}

fn kind(word: &str) -> Result<CachedKind> {
    let found = CachedKind::ALL.into_iter().find(|kind| kind.word() == word);
    found.ok_or_else(|| {
        let known = CachedKind::ALL.map(CachedKind::word).join(", ");
        Error::invalid(format!("option {LOCAL_CACHE}whitelist: {word:?} is none of {known}"))
    })
}
