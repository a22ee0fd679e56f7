//! Where rows come out: a thread of its own encodes and writes them, while the engine reads on.

use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{DataType as ArrowType, Field, Schema as ArrowSchema, SchemaRef};
use forebay::types::{DataType, RowKind, external_field, to_external};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use tokio::sync::{mpsc, oneshot};

use crate::cli::OutputFormat;
use crate::failure::{Failure, Result};
use crate::output;
use crate::values::Columns;
use crate::values::csv_out::CsvRows;
use crate::values::json_out::JsonRows;

/// Bytes that are collected before they are written.
const BLOCK: usize = 256 << 10;
/// Rows of a table for people; more rows begin another table, so that memory stays small.
const TABLE_ROWS: usize = 1000;
/// The columns that stand before a change's row where there is no envelope for them.
const BEFORE: [&str; 2] = ["rowkind", "_snapshot"];

/// The way to the thread that writes.
pub struct Sink {
    sender: mpsc::Sender<Item>,
    done: oneshot::Receiver<Result<u64>>,
}

enum Item {
    Rows(RecordBatch, Option<Change>),
    Flush(oneshot::Sender<()>),
    End,
}

/// What makes rows changes.
pub struct Change {
    /// The snapshot they came with.
    pub snapshot: i64,
    /// Their kinds; absent when all are inserts.
    pub kinds: Option<Int8Array>,
}

impl Sink {
    /// Opens standard output for rows of these columns.
    ///
    /// # Errors
    /// A wrong usage when bytes would go to a terminal.
    pub fn open(format: OutputFormat, columns: &Columns, changes: bool) -> Result<Self> {
        let binary = matches!(format, OutputFormat::Parquet | OutputFormat::Arrow);
        if binary && io::stdout().is_terminal() {
            return Err(Failure::usage("this format is no text for a terminal").help("redirect it: > FILE"));
        }
        let (sender, mut items) = mpsc::channel(4);
        let (tell, done) = oneshot::channel();
        let columns = columns.clone();
        let run = move || {
            let result = Encoder::new(format, columns, changes).and_then(|encoder| encoder.run(&mut items));
            // Nobody waits any more when the command has failed elsewhere.
            let _ = tell.send(result);
        };
        std::thread::Builder::new().name("output".into()).spawn(run)?;
        Ok(Self { sender, done })
    }

    /// Hands rows over. Answers whether output goes on: after false, [`Sink::finish`] tells why not.
    pub async fn write(&self, batch: RecordBatch, change: Option<Change>) -> bool {
        self.sender.send(Item::Rows(batch, change)).await.is_ok()
    }

    /// Waits until everything handed over was given to the operating system. Answers as [`Sink::write`].
    pub async fn flush(&self) -> bool {
        let (tell, told) = oneshot::channel();
        self.sender.send(Item::Flush(tell)).await.is_ok() && told.await.is_ok()
    }

    /// Ends the output and gives the number of rows. Without `whole` (after a failure) nothing is written behind the rows.
    ///
    /// # Errors
    /// What went wrong while writing.
    pub async fn finish(self, whole: bool) -> Result<u64> {
        if whole {
            // When the thread has ended, its result says why.
            let _ = self.sender.send(Item::End).await;
        }
        drop(self.sender);
        self.done.await.unwrap_or_else(|_| Err(Failure::new("bug", "the output ended without a word")))
    }
}

struct Encoder {
    columns: Columns,
    before: &'static [&'static str],
    format: Format,
    out: Stdout,
    buffer: Vec<u8>,
    rows: u64,
    terminal: bool,
}

enum Format {
    Table(Vec<Vec<String>>),
    Jsonl(JsonRows),
    Csv(CsvRows),
    Parquet(Box<ArrowWriter<Stdout>>, SchemaRef),
    Arrow(Box<StreamWriter<io::BufWriter<Stdout>>>, SchemaRef),
}

impl Encoder {
    fn new(format: OutputFormat, columns: Columns, changes: bool) -> Result<Self> {
        let before: &[&str] = if changes { &BEFORE } else { &[] };
        let schema = external(&columns, changes);
        let mut buffer = Vec::new();
        let format = match format {
            OutputFormat::Table => Format::Table(Vec::new()),
            OutputFormat::Jsonl => Format::Jsonl(JsonRows::new(&columns)),
            OutputFormat::Csv => {
                let csv = CsvRows::new(&columns);
                csv.header(before, &mut buffer);
                Format::Csv(csv)
            }
            OutputFormat::Parquet => Format::Parquet(
                Box::new(ArrowWriter::try_new(io::stdout(), schema.clone(), Some(parquet_properties()))?),
                schema,
            ),
            OutputFormat::Arrow => {
                let out = io::BufWriter::with_capacity(BLOCK, io::stdout());
                Format::Arrow(Box::new(StreamWriter::try_new(out, &schema)?), schema)
            }
        };
        let terminal = io::stdout().is_terminal();
        Ok(Self { columns, before, format, out: io::stdout(), buffer, rows: 0, terminal })
    }

    fn run(mut self, items: &mut mpsc::Receiver<Item>) -> Result<u64> {
        let mut whole = false;
        while let Some(item) = items.blocking_recv() {
            match item {
                Item::Rows(batch, change) => self.write(&batch, change.as_ref())?,
                Item::Flush(tell) => {
                    self.flush()?;
                    // The command may have ended while this was written.
                    let _ = tell.send(());
                }
                Item::End => {
                    whole = true;
                    break;
                }
            }
        }
        if whole {
            self.end()?;
        } else {
            self.flush()?;
        }
        Ok(self.rows)
    }

    fn write(&mut self, batch: &RecordBatch, change: Option<&Change>) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        match (&mut self.format, change) {
            (Format::Jsonl(json), None) => json.rows(batch, &mut self.buffer)?,
            (Format::Jsonl(json), Some(change)) => {
                json.changes(change.snapshot, batch, change.kinds.as_ref(), &mut self.buffer)?;
            }
            (Format::Csv(csv), None) => csv.rows(batch, &mut self.buffer)?,
            (Format::Csv(csv), Some(change)) => {
                csv.changes(change.snapshot, batch, change.kinds.as_ref(), &mut self.buffer)?;
            }
            (Format::Table(rows), change) => {
                let mut cells = output::cells(&self.columns, batch)?;
                if let Some(change) = change {
                    for (at, row) in cells.iter_mut().enumerate() {
                        row.splice(0..0, [change.kind(at)?.short().to_string(), change.snapshot.to_string()]);
                    }
                }
                rows.extend(cells);
                if rows.len() >= TABLE_ROWS {
                    self.draw();
                }
            }
            (Format::Parquet(writer, schema), change) => {
                writer.write(&to_batch(&self.columns, schema, batch, change)?)?;
                // Large enough to compress well, and a bound on memory.
                if writer.in_progress_size() > 64 << 20 {
                    writer.flush()?;
                }
            }
            (Format::Arrow(writer, schema), change) => {
                writer.write(&to_batch(&self.columns, schema, batch, change)?)?
            }
        }
        if self.buffer.len() >= BLOCK { self.give() } else { Ok(()) }
    }

    /// Draws the rows collected so far as a table.
    fn draw(&mut self) {
        let Format::Table(rows) = &mut self.format else {
            return;
        };
        let rows = std::mem::take(rows);
        let table = output::rows_table(&self.columns, self.before, &rows);
        self.buffer.extend_from_slice(output::drawn(&table).as_bytes());
    }

    /// Writes the buffer. On a terminal nothing that it would obey gets through.
    fn give(&mut self) -> Result<()> {
        if self.terminal && matches!(self.format, Format::Csv(_)) {
            let text = String::from_utf8_lossy(&self.buffer).into_owned();
            self.out.write_all(output::clean_lines(&text).as_bytes())?;
        } else {
            self.out.write_all(&self.buffer)?;
        }
        self.buffer.clear();
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if matches!(&self.format, Format::Table(rows) if !rows.is_empty()) {
            self.draw();
        }
        if let Format::Arrow(writer, _) = &mut self.format {
            writer.flush()?;
        }
        self.give()?;
        self.out.flush()?;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if let Format::Table(rows) = &self.format {
            if !rows.is_empty() || self.rows == 0 {
                self.draw();
            }
            let many = if self.rows == 1 { "row" } else { "rows" };
            self.buffer.extend_from_slice(format!("({} {many})\n", output::count(self.rows)).as_bytes());
        }
        match &mut self.format {
            Format::Parquet(writer, _) => _ = writer.finish()?,
            Format::Arrow(writer, _) => writer.finish()?,
            _ => {}
        }
        self.flush()
    }
}

fn parquet_properties() -> WriterProperties {
    WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build()
}

impl Change {
    fn kind(&self, row: usize) -> Result<RowKind> {
        Ok(self.kinds.as_ref().map_or(Ok(RowKind::Insert), |kinds| RowKind::from_byte(kinds.value(row)))?)
    }
}

/// The Arrow schema of rows as they leave.
fn external(columns: &[(String, DataType)], changes: bool) -> SchemaRef {
    let mut fields = Vec::new();
    if changes {
        fields.push(Field::new(BEFORE[0], ArrowType::Utf8, false));
        fields.push(Field::new(BEFORE[1], ArrowType::Int64, false));
    }
    fields.extend(columns.iter().map(|(name, data_type)| external_field(name, data_type)));
    Arc::new(ArrowSchema::new(fields))
}

fn to_batch(
    columns: &[(String, DataType)],
    schema: &SchemaRef,
    batch: &RecordBatch,
    change: Option<&Change>,
) -> Result<RecordBatch> {
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    if let Some(change) = change {
        let kinds = (0..batch.num_rows()).map(|row| change.kind(row)).collect::<Result<Vec<_>>>()?;
        arrays.push(Arc::new(StringArray::from_iter_values(kinds.iter().map(|kind| kind.short()))));
        arrays.push(Arc::new(Int64Array::from_value(change.snapshot, batch.num_rows())));
    }
    for ((name, data_type), array) in columns.iter().zip(batch.columns()) {
        arrays.push(to_external(name, &data_type.kind, array)?);
    }
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(schema.clone(), arrays, &options)?)
}
