//! The rows that `write` takes in: files one after another, cut where commits end, parsed on a thread of its own.
//!
//! Commits are cut by counting rows, so a rerun of the same input cuts at the same places. What a commit leaves behind
//! to find its place again is a [`Mark`]: how many rows of the input are committed, and a check value over the first and
//! the last of them, so that another input is not taken for this one.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use forebay::types::{DataType, accept_batch};
use tokio::sync::mpsc;

use crate::cli::InputFormat;
use crate::failure::{Failure, Result};
use crate::values::arrow_types::typed_columns;
use crate::values::columnar_in::{Batches, schema_of, spool};
use crate::values::csv_in::{CsvLines, Dialect};
use crate::values::json_in::JsonLines;
use crate::values::json_out::JsonRows;
use crate::values::{Columns, InputError, Piece, Rows};

/// Rows that are parsed in one go.
const PIECE_ROWS: usize = 8 << 10;

/// The name of the thread that parses.
const THREAD: &str = "input";

/// Keeps panics of the thread that parses from being printed: it tells them as errors of the input.
pub fn mute_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(THREAD) {
            hook(panic);
        }
    }));
}

/// What is read, and how.
#[derive(Debug, Clone)]
pub struct Input {
    /// Where rows come from, one after another.
    pub sources: Vec<Source>,
    /// How CSV is spelled.
    pub dialect: Dialect,
    /// Rows of a commit; the whole input when absent.
    pub commit_every: Option<u64>,
    /// What is committed already.
    pub resume: Option<Mark>,
}

/// A file or standard input, and its format.
#[derive(Debug, Clone)]
pub struct Source {
    path: Option<PathBuf>,
    format: InputFormat,
}

/// A place in an input, between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Rows before it.
    pub rows: u64,
    /// A check value over the first and the last of them.
    pub check: u64,
}

/// What the feed gives.
#[derive(Debug)]
pub enum Fed {
    /// Rows.
    Piece(Piece),
    /// A commit ends here.
    Boundary(Mark),
    /// The input ends here.
    End(Mark),
}

/// The end of the feed where rows come out.
pub type Feeding = mpsc::Receiver<Result<Fed, InputError>>;

/// Starts to parse. Gives the rows in order, and counts the bytes it has read.
pub fn start(input: Input, columns: Columns) -> Result<(Feeding, Arc<AtomicU64>)> {
    let (sender, fed) = mpsc::channel(1);
    let bytes = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&bytes);
    let run = move || {
        let mut feed = Feed {
            columns,
            dialect: input.dialect,
            every: input.commit_every,
            skip: input.resume,
            sender,
            count,
            place: Place::default(),
        };
        // Decoders of Arrow files panic on some bytes that are no Arrow: that is a bad input, not the end of the process.
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| feed.run(&input.sources)));
        let failed = match run {
            Ok(Ok(()) | Err(Stop::Unheard)) => return,
            Ok(Err(Stop::Failed(error))) => error,
            Err(_) => InputError::of_file("the input", format!("is corrupt (after row {})", feed.place.rows)),
        };
        // Nobody listens when the command has failed elsewhere.
        let _ = feed.sender.blocking_send(Err(failed));
    };
    std::thread::Builder::new().name(THREAD.into()).spawn(run)?;
    Ok((fed, bytes))
}

/// The size of all sources, when they are files.
pub fn size(sources: &[Source]) -> Option<u64> {
    let sizes = sources.iter().map(|source| {
        let found = source.path.as_ref()?.metadata().ok()?;
        found.is_file().then_some(found.len())
    });
    sizes.sum()
}

/// The sources that arguments name. All must be there before the first row is read.
///
/// # Errors
/// A wrong usage where a format is not known; a file that is not there.
pub fn sources(files: &[PathBuf], format: Option<InputFormat>) -> Result<Vec<Source>> {
    let standard = Path::new("-");
    if files.is_empty() {
        return Ok(vec![Source { path: None, format: stdin_format(format)? }]);
    }
    if files.iter().filter(|path| *path == standard).count() > 1 {
        return Err(Failure::usage("standard input is named twice"));
    }
    let source = |path: &PathBuf| {
        if path == standard {
            return Ok(Source { path: None, format: stdin_format(format)? });
        }
        let format = format.map_or_else(|| format_of(path), Ok)?;
        let found = path.metadata().map_err(|error| Failure::new("input", format!("{}: {error}", path.display())))?;
        if found.is_dir() {
            return Err(Failure::new("input", format!("{}: is a directory", path.display())));
        }
        Ok(Source { path: Some(path.clone()), format })
    };
    files.iter().map(source).collect()
}

/// For each source the columns that it tells, each with its type, and the names of those without one.
///
/// # Errors
/// A wrong usage for sources that do not tell types; a file that cannot be read.
pub fn columns_told(sources: &[Source]) -> Result<Vec<(Columns, Vec<String>)>> {
    let told = |source: &Source| {
        let Source { path: Some(path), format: InputFormat::Parquet | InputFormat::Arrow } = source else {
            let words =
                "--merge-schema needs Parquet or Arrow files: CSV, JSON lines and standard input do not tell types";
            return Err(Failure::usage(words).help("alter the table first: forebay alter --add-column"));
        };
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Failure::new("input", format!("{name}: {error}")))?;
        let schema = schema_of(file, &name)?;
        typed_columns(&schema).map_err(|error| Failure::from(error).context(&name))
    };
    sources.iter().map(told).collect()
}

/// What stands between the fields of CSV: as it is told, or by the names of the files.
pub fn delimiter_of(files: &[PathBuf], told: Option<u8>) -> u8 {
    let tab = !files.is_empty() && files.iter().all(|file| file.extension().is_some_and(|e| e == "tsv"));
    told.unwrap_or(if tab { b'\t' } else { b',' })
}

fn stdin_format(format: Option<InputFormat>) -> Result<InputFormat> {
    format.ok_or_else(|| Failure::usage("the format of standard input is not known").help("give --format"))
}

fn format_of(path: &Path) -> Result<InputFormat> {
    let extension = path.extension().and_then(|text| text.to_str()).unwrap_or_default().to_ascii_lowercase();
    match extension.as_str() {
        "csv" | "tsv" => Ok(InputFormat::Csv),
        "jsonl" | "ndjson" | "json" => Ok(InputFormat::Jsonl),
        "parquet" => Ok(InputFormat::Parquet),
        "arrow" | "arrows" | "ipc" | "feather" => Ok(InputFormat::Arrow),
        _ => {
            Err(Failure::usage(format!("the format of {} is not known by its name", path.display()))
                .help("give --format"))
        }
    }
}

/// Why parsing ends early.
enum Stop {
    Failed(InputError),
    Unheard,
}

impl From<InputError> for Stop {
    fn from(error: InputError) -> Self {
        Self::Failed(error)
    }
}

struct Feed {
    columns: Columns,
    dialect: Dialect,
    every: Option<u64>,
    skip: Option<Mark>,
    sender: mpsc::Sender<Result<Fed, InputError>>,
    count: Arc<AtomicU64>,
    place: Place,
}

impl Feed {
    fn run(&mut self, sources: &[Source]) -> Result<(), Stop> {
        let mut in_commit = 0;
        for Source { path, format } in sources {
            let name = path.as_ref().map_or_else(|| "standard input".to_string(), |path| path.display().to_string());
            let mut rows = self.open(path.as_deref(), *format, &name)?;
            loop {
                let left = self.every.map_or(u64::MAX, |every| every - in_commit);
                let to_skip = self.skip.map_or(0, |mark| mark.rows - self.place.rows);
                let most = if to_skip > 0 { to_skip } else { left };
                let Some(piece) = rows.next(usize::try_from(most).unwrap_or(PIECE_ROWS).min(PIECE_ROWS))? else {
                    break;
                };
                let count = piece.batch.num_rows() as u64;
                self.place
                    .pass(&self.columns, &piece, count == left || to_skip > 0)
                    .map_err(|error| self.refuse(&name, &error))?;
                if to_skip > 0 {
                    self.skipped(&name)?;
                    continue;
                }
                self.send(Fed::Piece(piece))?;
                in_commit += count;
                if self.every == Some(in_commit) {
                    in_commit = 0;
                    let mark = self.place.mark();
                    self.send(Fed::Boundary(mark))?;
                }
            }
        }
        if let Some(mark) = self.skip.filter(|mark| self.place.rows < mark.rows) {
            let why = format!(
                "the input has {} rows, but {} rows of it are committed: this is another input",
                self.place.rows, mark.rows
            );
            return Err(InputError::of_file("input", why).into());
        }
        self.place.close(&self.columns).map_err(|error| self.refuse("input", &error))?;
        let mark = self.place.mark();
        self.send(Fed::End(mark))
    }

    /// Looks, behind the last row that is committed, whether this is the input that was committed.
    fn skipped(&mut self, name: &str) -> Result<(), Stop> {
        match self.skip {
            Some(mark) if mark.rows == self.place.rows => {
                self.skip = None;
                if self.place.mark() != mark {
                    let why = format!(
                        "the first {} rows are not those that were committed before: this is another input",
                        mark.rows
                    );
                    return Err(InputError::of_file(name, why).into());
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn refuse(&self, name: &str, error: &forebay::Error) -> InputError {
        let text = error.to_string();
        let behind = format!("{} (after row {})", text.trim_start_matches("invalid: "), self.place.rows);
        InputError::of_file(name, behind)
    }

    fn send(&self, fed: Fed) -> Result<(), Stop> {
        self.sender.blocking_send(Ok(fed)).map_err(|_| Stop::Unheard)
    }

    fn open(&self, path: Option<&Path>, format: InputFormat, name: &str) -> Result<Box<dyn Rows>, InputError> {
        let failed = |error: std::io::Error| InputError::of_file(name, error);
        if matches!(format, InputFormat::Parquet | InputFormat::Arrow) {
            let file = match path {
                Some(path) => File::open(path).map_err(failed)?,
                None => spool(std::io::stdin()).map_err(failed)?,
            };
            return Ok(Box::new(match format {
                InputFormat::Parquet => Batches::parquet(file, name)?,
                _ => Batches::arrow(file, name)?,
            }));
        }
        let input: Box<dyn Read + Send> = match path {
            Some(path) => Box::new(File::open(path).map_err(failed)?),
            None => Box::new(std::io::stdin()),
        };
        let input = Counted { input, count: Arc::clone(&self.count) };
        Ok(match format {
            InputFormat::Csv => Box::new(CsvLines::open(input, name, &self.columns, self.dialect.clone())?),
            InputFormat::Changes => Box::new(JsonLines::open(input, name, &self.columns, true)?),
            _ => Box::new(JsonLines::open(input, name, &self.columns, false)?),
        })
    }
}

/// An input that counts its bytes.
struct Counted {
    input: Box<dyn Read + Send>,
    count: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(into)?;
        self.count.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Where the feed is.
#[derive(Default)]
struct Place {
    rows: u64,
    first: Option<Vec<u8>>,
    last: Vec<u8>,
    /// The rows that passed last, when their last one was not looked at yet.
    pending: Option<Piece>,
}

impl Place {
    /// Goes behind a piece; `ends` when a mark may be asked for behind it.
    fn pass(&mut self, columns: &[(String, DataType)], piece: &Piece, ends: bool) -> forebay::Result<()> {
        let count = piece.batch.num_rows();
        if self.first.is_none() {
            self.first = Some(row_bytes(columns, piece, 0)?);
        }
        self.rows += count as u64;
        self.pending = match ends {
            true => {
                self.last = row_bytes(columns, piece, count - 1)?;
                None
            }
            false => Some(Piece {
                batch: piece.batch.slice(count - 1, 1),
                kinds: piece.kinds.as_ref().map(|kinds| kinds.slice(count - 1, 1)),
            }),
        };
        Ok(())
    }

    /// Looks at the very last row.
    fn close(&mut self, columns: &[(String, DataType)]) -> forebay::Result<()> {
        if let Some(piece) = self.pending.take() {
            self.last = row_bytes(columns, &piece, 0)?;
        }
        Ok(())
    }

    fn mark(&self) -> Mark {
        let first = self.first.as_deref().unwrap_or_default();
        let bytes = first.iter().chain(&[0]).chain(&self.last);
        // FNV-1a: two rows do not need more.
        let check =
            bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01B3));
        Mark { rows: self.rows, check }
    }
}

/// One row as JSON, whatever format it came in.
fn row_bytes(columns: &[(String, DataType)], piece: &Piece, row: usize) -> forebay::Result<Vec<u8>> {
    let names: Vec<_> = columns.iter().map(|(name, data_type)| (name.as_str(), data_type)).collect();
    let batch = accept_batch(&names, &piece.batch.slice(row, 1))?;
    let kinds = piece.kinds.as_ref().map(|kinds| kinds.slice(row, 1));
    let mut bytes = Vec::new();
    JsonRows::new(columns).changes(0, &batch, kinds.as_ref(), &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
