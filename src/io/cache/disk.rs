//! The blocks of a directory: one file for each, bounded, oldest use first out.
//!
//! ```text
//! <dir>/forebay-1/lock                                  held by the process that fills the directory
//! <dir>/forebay-1/<hash of the file>-<block size>-<number>.block
//!     "FBYBLK1\n" | key length, key | block size, number, file size | bytes | CRC-32 of all before
//! ```
//!
//! Nothing is synced: what a crash tears, the checksum finds. All calls block.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use flate2::Crc;

/// The directory below the one that was told: what lies beside it is not ours.
const OWN: &str = "forebay-1";
const LOCK: &str = "lock";
const ENDING: &str = ".block";
const PART: &str = ".part";
const MAGIC: &[u8] = b"FBYBLK1\n";

/// A file, by its store and its path there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileKey {
    name: String,
    hash: u128,
}

impl FileKey {
    pub(super) fn new(address: &str, path: &str) -> Self {
        let name = format!("{address}\n{path}");
        let hash = fnv(name.as_bytes());
        Self { name, hash }
    }
}

/// A block of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct BlockId<'a> {
    pub(super) file: &'a FileKey,
    /// Bytes of all blocks but a file's last.
    pub(super) block_bytes: u64,
    pub(super) number: u64,
}

/// A block that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) bytes: Bytes,
    pub(super) file_size: u64,
}

type Key = (u128, u64, u64);

/// The directory.
#[derive(Debug)]
pub(super) struct DiskBlocks {
    directory: PathBuf,
    budget: u64,
    opened: OnceLock<Option<Opened>>,
    /// Numbers of unfinished files.
    parts: AtomicU64,
    told: AtomicBool,
    /// Blocks cannot be deleted: no more are written, or the limit would not hold.
    stuck: AtomicBool,
}

#[derive(Debug)]
struct Opened {
    /// Held while this process may fill the directory.
    lock: Option<File>,
    index: Mutex<Index>,
}

#[derive(Debug, Default)]
struct Index {
    /// Bytes on the disk and the last use of each block.
    blocks: BTreeMap<Key, (u64, u64)>,
    /// The block of each use.
    uses: BTreeMap<u64, Key>,
    /// The sizes of files that have blocks, as far as they were learnt.
    sizes: HashMap<u128, u64>,
    bytes: u64,
    clock: u64,
}

impl Index {
    fn insert(&mut self, key: Key, bytes: u64) {
        self.clock += 1;
        if let Some((_, used)) = self.blocks.insert(key, (bytes, self.clock)) {
            self.uses.remove(&used);
        }
        self.uses.insert(self.clock, key);
    }

    fn touch(&mut self, key: Key) {
        if let Some((bytes, _)) = self.blocks.get(&key) {
            self.insert(key, *bytes);
        }
    }

    /// Forgets a block; answers its bytes, which are still counted.
    fn remove(&mut self, key: Key) -> Option<u64> {
        let (bytes, used) = self.blocks.remove(&key)?;
        self.uses.remove(&used);
        if self.of_file(key.0).next().is_none() {
            self.sizes.remove(&key.0);
        }
        Some(bytes)
    }

    fn of_file(&self, hash: u128) -> impl Iterator<Item = Key> + '_ {
        self.blocks.range((hash, 0, 0)..=(hash, u64::MAX, u64::MAX)).map(|(key, _)| *key)
    }
}

impl DiskBlocks {
    pub(super) fn new(directory: PathBuf, budget: u64) -> Self {
        Self {
            directory: directory.join(OWN),
            budget,
            opened: OnceLock::new(),
            parts: AtomicU64::new(0),
            told: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
        }
    }

    /// Bytes of all blocks.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        self.opened().map_or(0, |opened| index(opened).bytes)
    }

    /// Whether the directory could be opened.
    pub(super) fn works(&self) -> bool {
        self.opened().is_some()
    }

    /// A block, if it is there whole.
    pub(super) fn get(&self, id: BlockId<'_>) -> Option<Block> {
        let opened = self.opened()?;
        let key = key_of(id);
        if opened.lock.is_some() && !index(opened).blocks.contains_key(&key) {
            return None;
        }
        let path = self.path(key);
        let read = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    self.tell("a block cannot be read", &error.to_string());
                }
                self.drop_block(opened, key);
                return None;
            }
        };
        let Some(block) = decode(&Bytes::from(read), id) else {
            self.tell("a block is damaged and is fetched again", &path.display().to_string());
            self.drop_block(opened, key);
            return None;
        };
        let mut index = index(opened);
        index.touch(key);
        index.sizes.insert(key.0, block.file_size);
        Some(block)
    }

    /// The size of a file, if a block of it tells.
    pub(super) fn file_size(&self, file: &FileKey, block_bytes: u64) -> Option<u64> {
        let opened = self.opened()?;
        let any = {
            let index = index(opened);
            if let Some(size) = index.sizes.get(&file.hash) {
                return Some(*size);
            }
            index.of_file(file.hash).find(|key| key.1 == block_bytes)
        };
        let number = match (any, &opened.lock) {
            (Some(key), _) => key.2,
            // What another process keeps is found by its name alone.
            (None, None) => 0,
            (None, Some(_)) => return None,
        };
        self.get(BlockId { file, block_bytes, number }).map(|block| block.file_size)
    }

    /// Keeps a block. The oldest go before it comes.
    pub(super) fn put(&self, id: BlockId<'_>, block: &Block) {
        let Some(opened) = self.opened().filter(|opened| opened.lock.is_some()) else { return };
        let (key, bytes) = (key_of(id), encode(id, block));
        let needed = bytes.len() as u64;
        if needed > self.budget || self.stuck.load(Ordering::Relaxed) {
            return;
        }
        {
            let mut index = index(opened);
            if index.blocks.contains_key(&key) || !self.make_room(&mut index, needed) {
                return;
            }
            index.bytes += needed;
        }
        let written = self.write(key, &bytes);
        let mut index = index(opened);
        match written {
            Ok(()) => {
                if let Some(before) = index.remove(key) {
                    index.bytes -= before; // another task kept the same block meanwhile
                }
                index.insert(key, needed);
                index.sizes.insert(key.0, block.file_size);
            }
            Err(error) => {
                index.bytes -= needed;
                drop(index);
                self.tell("a block cannot be kept", &error.to_string());
            }
        }
    }

    /// Deletes the blocks of a file that is written anew or deleted.
    pub(super) fn forget(&self, file: &FileKey) {
        let Some(Some(opened)) = self.opened.get() else { return };
        let keys: Vec<Key> = index(opened).of_file(file.hash).collect();
        keys.into_iter().for_each(|key| self.drop_block(opened, key));
    }

    /// Whether a file may have blocks here: asked before it is deleted, without touching the disk.
    pub(super) fn knows(&self, file: &FileKey) -> bool {
        self.opened
            .get()
            .and_then(Option::as_ref)
            .is_some_and(|opened| index(opened).of_file(file.hash).next().is_some())
    }

    fn drop_block(&self, opened: &Opened, key: Key) {
        if opened.lock.is_none() {
            return;
        }
        let mut index = index(opened);
        if let Some(bytes) = index.remove(key) {
            self.delete(&mut index, key, bytes);
        }
    }

    /// Deletes the blocks that were not used for longest. Answers whether there is room.
    fn make_room(&self, index: &mut Index, needed: u64) -> bool {
        while index.bytes > self.budget - needed {
            let Some((_, oldest)) = index.uses.first_key_value() else { return false };
            let oldest = *oldest;
            let Some(bytes) = index.remove(oldest) else { return false };
            if !self.delete(index, oldest, bytes) {
                return false;
            }
        }
        true
    }

    /// Deletes a block that the index forgot. Its bytes count until it is gone.
    fn delete(&self, index: &mut Index, key: Key, bytes: u64) -> bool {
        match std::fs::remove_file(self.path(key)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                self.stuck.store(true, Ordering::Relaxed);
                self.tell("a block cannot be deleted, no more are kept", &error.to_string());
                false
            }
            _ => {
                index.bytes -= bytes;
                true
            }
        }
    }

    fn path(&self, (hash, block_bytes, number): Key) -> PathBuf {
        self.directory.join(format!("{hash:032x}-{block_bytes:x}-{number:x}{ENDING}"))
    }

    fn write(&self, key: Key, bytes: &[u8]) -> std::io::Result<()> {
        let target = self.path(key);
        let part = target.with_extension(format!("{}{PART}", self.parts.fetch_add(1, Ordering::Relaxed)));
        let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, &target));
        written.inspect_err(|_| drop(std::fs::remove_file(&part)))
    }

    fn tell(&self, what: &str, why: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let directory = self.directory.display();
            tracing::warn!(%directory, why, "local cache: {what}; the store is asked instead (told once)");
        }
    }

    fn opened(&self) -> Option<&Opened> {
        let open = || self.open().inspect_err(|error| self.tell("it cannot be opened", &error.to_string())).ok();
        self.opened.get_or_init(open).as_ref()
    }

    fn open(&self) -> std::io::Result<Opened> {
        create_private(&self.directory)?;
        let lock = File::create(self.directory.join(LOCK))?;
        if lock.try_lock().is_err() {
            tracing::info!(directory = %self.directory.display(), "local cache: another process fills it, this one reads it");
            return Ok(Opened { lock: None, index: Mutex::default() });
        }
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().to_string();
            if name.ends_with(PART) {
                drop(std::fs::remove_file(entry.path()));
            } else if let Some(key) = parse(&name) {
                let told = entry.metadata()?;
                if !told.is_file() {
                    continue;
                }
                found.push((told.modified().ok(), key, told.len()));
            }
        }
        found.sort_unstable();
        let mut index = Index::default();
        for (_, key, bytes) in found {
            index.bytes += bytes;
            index.insert(key, bytes);
        }
        self.make_room(&mut index, 0);
        Ok(Opened { lock: Some(lock), index: Mutex::new(index) })
    }
}

fn index(opened: &Opened) -> MutexGuard<'_, Index> {
    opened.index.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key_of(id: BlockId<'_>) -> Key {
    (id.file.hash, id.block_bytes, id.number)
}

/// Tables may hold what other users of the machine must not see.
fn create_private(directory: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

fn parse(name: &str) -> Option<Key> {
    let mut parts = name.strip_suffix(ENDING)?.split('-');
    let hash = u128::from_str_radix(parts.next()?, 16).ok()?;
    let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
    let (block_bytes, block) = (number()?, number()?);
    parts.next().is_none().then_some((hash, block_bytes, block))
}

fn encode(id: BlockId<'_>, block: &Block) -> Vec<u8> {
    let key = id.file.name.as_bytes();
    let mut bytes = Vec::with_capacity(MAGIC.len() + 4 + key.len() + 24 + block.bytes.len() + 4);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&(key.len() as u32).to_le_bytes());
    bytes.extend_from_slice(key);
    for number in [id.block_bytes, id.number, block.file_size] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    bytes.extend_from_slice(&block.bytes);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

fn decode(bytes: &Bytes, id: BlockId<'_>) -> Option<Block> {
    let end = bytes.len().checked_sub(4)?;
    let told = u32::from_le_bytes(bytes[end..].try_into().ok()?);
    if checksum(&bytes[..end]) != told {
        return None;
    }
    let rest = bytes[..end].strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (block_bytes, rest) = rest.split_first_chunk::<8>()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (file_size, rest) = rest.split_first_chunk::<8>()?;
    let file_size = u64::from_le_bytes(*file_size);
    let start = id.number.checked_mul(id.block_bytes)?;
    let length = id.block_bytes.min(file_size.checked_sub(start)?);
    let right = key == id.file.name.as_bytes()
        && u64::from_le_bytes(*block_bytes) == id.block_bytes
        && u64::from_le_bytes(*number) == id.number
        && rest.len() as u64 == length;
    right.then(|| Block { bytes: bytes.slice(end - rest.len()..end), file_size })
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// FNV-1a of 128 bits: the same in every build. The key inside of a block tells two files with one hash apart.
fn fnv(bytes: &[u8]) -> u128 {
    const PRIME: u128 = (1 << 88) + 0x13b;
    let begin: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    bytes.iter().fold(begin, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}
