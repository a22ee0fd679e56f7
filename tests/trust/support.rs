//! Seeds, a clock that passes only when somebody waits, and tables read whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow_array::{ArrayRef, Int8Array, RecordBatch};
use forebay::commit::CommitProperties;
use forebay::format::datum_at;
use forebay::io::{FaultPlan, FaultyStore, TableStore};
use forebay::scan::At;
use forebay::schema::Schema;
use forebay::stream::Start;
use forebay::types::{Datum, RowKind, lane_schema};
use forebay::write::ChangeBatch;
use forebay::{Clock, Env, Error, Table};
use futures::future::BoxFuture;

pub type Row = Vec<Datum>;
pub type Changes = Vec<(RowKind, Row)>;

pub fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// The same store with faults in front of it, and where they are planned.
pub fn faulty_over(raw: &TableStore, env: &Env, plan: FaultPlan) -> (TableStore, FaultyStore) {
    let mut faulty = None;
    let store = raw.wrapped(|inner| {
        let wrapped = FaultyStore::new(inner, env.clone(), plan);
        faulty = Some(wrapped.clone());
        Arc::new(wrapped)
    });
    (store, faulty.unwrap())
}

/// Runs a check for each seed and prints, when one fails, how to replay it.
pub fn each_seed(test: &str, few: u64, mut check: impl FnMut(u64)) {
    let first = number("FOREBAY_SEED", 0);
    for seed in first..first + number("FOREBAY_SEEDS", few) {
        let replay = Replay(format!("FOREBAY_SEED={seed} FOREBAY_SEEDS=1 cargo test --test trust {test}"));
        check(seed);
        drop(replay);
    }
}

/// Prints its command when a panic unwinds through it.
struct Replay(String);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("replay: {}", self.0);
        }
    }
}

/// splitmix64
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

/// Time that passes only when somebody waits.
#[derive(Default)]
pub struct TestClock(AtomicU64);

impl Clock for TestClock {
    fn now_millis(&self) -> i64 {
        1_700_000_000_000 + self.0.load(Ordering::SeqCst) as i64
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }
    fn local_offset_seconds(&self, _: i64) -> i32 {
        0
    }
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.0.fetch_add(duration.as_millis() as u64, Ordering::SeqCst);
        Box::pin(tokio::task::yield_now())
    }
}

pub fn seeded_env(seed: u64) -> Env {
    Env::seeded(seed, Arc::new(TestClock::default()))
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Rows as a batch of lanes.
pub fn lanes(schema: &Schema, rows: &[Row]) -> RecordBatch {
    let columns = schema.fields.iter().enumerate().map(|(at, field)| {
        let cells: Vec<ArrayRef> = rows.iter().map(|row| row[at].repeat(&field.data_type.kind, 1).unwrap()).collect();
        let cells: Vec<&dyn arrow_array::Array> = cells.iter().map(|cell| cell.as_ref()).collect();
        arrow_select::concat::concat(&cells).unwrap()
    });
    let nullable = schema.fields.iter().map(|field| (field.name.as_str(), field.data_type.clone().nullable()));
    RecordBatch::try_new(lane_schema(nullable), columns.collect()).unwrap()
}

pub fn batch(schema: &Schema, changes: &[(RowKind, Row)]) -> ChangeBatch {
    let kinds = Int8Array::from_iter_values(changes.iter().map(|(kind, _)| *kind as i8));
    let rows: Vec<Row> = changes.iter().map(|(_, row)| row.clone()).collect();
    ChangeBatch::new(lanes(schema, &rows), Some(kinds)).unwrap()
}

/// The rows of a batch with all columns.
pub fn rows_of(schema: &Schema, batch: &RecordBatch) -> Vec<Row> {
    let row = |at: usize| {
        let cells = schema.fields.iter().zip(batch.columns());
        cells.map(|(field, column)| datum_at(column, &field.data_type.kind, at).unwrap()).collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Rows as sorted text, for comparison as a multiset.
pub fn as_set<T: std::fmt::Debug>(rows: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut texts: Vec<String> = rows.into_iter().map(|row| format!("{row:?}")).collect();
    texts.sort();
    texts
}

pub async fn read_at(table: &Table, at: At) -> Result<Vec<Row>, Error> {
    let mut stream = table.scan().at(at).read().await?;
    let mut rows = Vec::new();
    while let Some(batch) = stream.next_batch().await? {
        rows.extend(rows_of(table.schema(), &batch));
    }
    Ok(rows)
}

/// All changes there are, in the order of the stream.
pub async fn read_changes(table: &Table) -> Result<Vec<(i64, RowKind, Row)>, Error> {
    let mut stream = table.changes().from(Start::Earliest).read().await?;
    let mut found = Vec::new();
    while let Some(change) = stream.next().await? {
        for (at, row) in rows_of(table.schema(), change.rows.rows()).into_iter().enumerate() {
            found.push((change.snapshot_id, change.rows.kind(at), row));
        }
    }
    Ok(found)
}

/// Writes and commits as a sink does; gives the snapshot.
pub async fn commit_changes(table: &Table, user: &str, identifier: i64, changes: &[(RowKind, Row)]) -> i64 {
    let mut writer = table.stream_writer(user).await.unwrap();
    writer.write(&batch(table.schema(), changes)).await.unwrap();
    let messages = writer.prepare_commit().await.unwrap();
    let mut committer = table.committer(user).unwrap();
    committer.commit(identifier, messages, CommitProperties::default()).await.unwrap().snapshot_id().unwrap()
}

/// Every file of a table with its bytes.
pub async fn files_of(store: &TableStore) -> BTreeMap<String, bytes::Bytes> {
    let mut files = BTreeMap::new();
    for file in store.list_recursive("").await.unwrap() {
        let bytes = store.read(&file.name).await.unwrap();
        files.insert(file.name, bytes);
    }
    files
}
