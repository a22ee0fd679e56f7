//! A store that fails on purpose, by a seed or by a schedule: the ground under every test of trust.
//!
//! Operations are numbered in the order they arrive. A plan gives faults to numbers, or to chance; a crash makes every
//! operation from a number on fail until [`FaultyStore::revive`]. What happened is kept as a trace, so that a failing
//! seed can be read and replayed, and as a coverage table of fault × operation.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};
use tokio::sync::Notify;

use super::op::Op;
use crate::env::Env;

/// What goes wrong with one operation.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It fails and has no effect.
    FailBefore,
    /// It has its effect, and the caller is told that it failed.
    FailAfter,
    /// It has its effect, the answer is lost, and the store's client tries once more by itself: a create then says
    /// that the file exists.
    LostAnswer,
    /// A wrong kind of error: a create without effect says that the file exists (S3's 409), a delete with effect says
    /// that there was none, others fail with a precondition error.
    WrongKind,
    /// A body is cut in half. Reads only.
    TornBody,
    /// A listing shows what the same listing showed last time. Listings only.
    StaleList,
    /// It waits first.
    Delay(Duration),
    /// It waits at a gate until the test opens it.
    Pause(Gate),
}

impl Fault {
    fn name(&self) -> &'static str {
        match self {
            Self::FailBefore => "fail before",
            Self::FailAfter => "fail after",
            Self::LostAnswer => "lost answer",
            Self::WrongKind => "wrong kind",
            Self::TornBody => "torn body",
            Self::StaleList => "stale list",
            Self::Delay(_) => "delay",
            Self::Pause(_) => "pause",
        }
    }

    fn fits(&self, op: Op) -> bool {
        match self {
            Self::TornBody => op == Op::Get,
            Self::StaleList => op == Op::List,
            Self::LostAnswer => op == Op::Create,
            _ => true,
        }
    }
}

/// Where a paused operation waits.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    reached: Arc<Notify>,
    opened: Arc<Notify>,
}

impl Gate {
    /// Waits until an operation stands at the gate.
    pub async fn reached(&self) {
        self.reached.notified().await;
    }
    /// Lets it through.
    pub fn open(&self) {
        self.opened.notify_one();
    }
    async fn pass(&self) {
        self.reached.notify_one();
        self.opened.notified().await;
    }
}

/// Which operations fail, and how.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    scheduled: BTreeMap<u64, Fault>,
    chances: Vec<(f64, Fault)>,
    crash: Option<(u64, bool)>,
    seed: u64,
}

impl FaultPlan {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }
    /// Faults by chance, equal for equal seeds and equal orders of operations.
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
    /// Adds a fault to the operation of a number (from 0).
    #[must_use]
    pub fn at(mut self, index: u64, fault: Fault) -> Self {
        self.scheduled.insert(index, fault);
        self
    }
    /// Adds a fault to each operation it fits with a probability.
    #[must_use]
    pub fn chance(mut self, probability: f64, fault: Fault) -> Self {
        self.chances.push((probability, fault));
        self
    }
    /// The process dies at the operation of a number, before it has an effect or after.
    #[must_use]
    pub fn crash(mut self, index: u64, after_effect: bool) -> Self {
        self.crash = Some((index, after_effect));
        self
    }
}

/// Directories and files.
type Listing = (Vec<Path>, Vec<ObjectMeta>);

#[derive(Debug, Default)]
struct State {
    plan: FaultPlan,
    next: u64,
    random: u64,
    crashed: bool,
    trace: Vec<(Op, String, Option<&'static str>)>,
    listings: HashMap<(bool, Path), Listing>,
}

/// Wraps a store and fails as planned. Clones share plan and trace.
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn ObjectStore>,
    env: Env,
    state: Arc<Mutex<State>>,
}

/// What an operation is to do.
enum Verdict {
    Pass,
    Fault(Fault),
    Crash { after_effect: bool },
}

impl FaultyStore {
    /// Wraps a store.
    pub fn new(inner: Arc<dyn ObjectStore>, env: Env, plan: FaultPlan) -> Self {
        let store = Self { inner, env, state: Arc::default() };
        store.replan(plan);
        store
    }

    /// Begins a new plan; operations are numbered from 0 again.
    pub fn replan(&self, plan: FaultPlan) {
        let mut state = self.state();
        state.random = plan.seed;
        state.next = 0;
        state.crashed = false;
        state.plan = plan;
    }

    /// Ends a crash and all faults.
    pub fn revive(&self) {
        self.replan(FaultPlan::none());
    }

    /// How many operations arrived since the plan began.
    pub fn operations(&self) -> u64 {
        self.state().next
    }

    /// Operations with their paths and faults, in the order of arrival.
    pub fn trace(&self) -> Vec<(Op, String, Option<&'static str>)> {
        self.state().trace.clone()
    }

    /// A hash of the trace: equal seeds must give equal hashes.
    pub fn trace_hash(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for (op, path, fault) in &self.state().trace {
            for byte in format!("{op} {path} {fault:?}\n").bytes() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash
    }

    /// How often each fault met each kind of operation, as text.
    pub fn coverage(&self) -> String {
        let mut counts: BTreeMap<(&'static str, Op), u64> = BTreeMap::new();
        for (op, _, fault) in &self.state().trace {
            if let Some(fault) = fault {
                *counts.entry((fault, *op)).or_default() += 1;
            }
        }
        let lines: Vec<String> =
            counts.iter().map(|((fault, op), count)| format!("{fault:<12} {op:<9} {count:>6}")).collect();
        lines.join("\n")
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn judge(&self, op: Op, path: &Path) -> Verdict {
        let mut state = self.state();
        if state.crashed {
            return Verdict::Crash { after_effect: false };
        }
        let index = state.next;
        state.next += 1;
        if let Some((at, after_effect)) = state.plan.crash
            && at == index
        {
            state.crashed = true;
            state.trace.push((op, path.to_string(), Some("crash")));
            return Verdict::Crash { after_effect };
        }
        let fault = state.plan.scheduled.get(&index).cloned().or_else(|| draw(&mut state, op));
        state.trace.push((op, path.to_string(), fault.as_ref().map(Fault::name)));
        fault.map_or(Verdict::Pass, Verdict::Fault)
    }

    async fn guard<T>(&self, op: Op, path: &Path, effect: impl Future<Output = Result<T>>) -> Result<T> {
        let verdict = self.judge(op, path);
        self.carry_out(verdict, op, path, effect).await
    }

    async fn carry_out<T>(
        &self,
        verdict: Verdict,
        op: Op,
        path: &Path,
        effect: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let fault = match verdict {
            Verdict::Pass => return effect.await,
            Verdict::Crash { after_effect } => {
                if after_effect {
                    let _ = effect.await;
                }
                return Err(planned("crash", op, path));
            }
            Verdict::Fault(fault) => fault,
        };
        match fault {
            Fault::FailBefore => Err(planned("fail before", op, path)),
            Fault::FailAfter => {
                let _ = effect.await;
                Err(planned("fail after", op, path))
            }
            Fault::LostAnswer => match effect.await {
                Ok(_) if op == Op::Create => Err(exists(path)),
                other => other,
            },
            Fault::WrongKind if op == Op::Create => Err(exists(path)),
            Fault::WrongKind if op == Op::Delete => {
                let _ = effect.await;
                Err(Error::NotFound { path: path.to_string(), source: "planned: wrong kind".into() })
            }
            Fault::WrongKind => {
                Err(Error::Precondition { path: path.to_string(), source: "planned: wrong kind".into() })
            }
            Fault::Delay(duration) => {
                self.env.sleep(duration).await;
                effect.await
            }
            Fault::Pause(gate) => {
                gate.pass().await;
                effect.await
            }
            Fault::TornBody | Fault::StaleList => effect.await,
        }
    }

    /// What a listing showed last time, where the verdict asks for it.
    fn stale(&self, verdict: &Verdict, flat: bool, prefix: &Path) -> Option<Listing> {
        match verdict {
            Verdict::Fault(Fault::StaleList) => self.state().listings.get(&(flat, prefix.clone())).cloned(),
            _ => None,
        }
    }

    fn remember(&self, flat: bool, prefix: &Path, listed: Listing) {
        self.state().listings.insert((flat, prefix.clone()), listed);
    }
}

fn draw(state: &mut State, op: Op) -> Option<Fault> {
    if state.plan.chances.is_empty() {
        return None;
    }
    state.random = state.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = state.random;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    let mut at = ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
    for (probability, fault) in state.plan.chances.iter().filter(|(_, fault)| fault.fits(op)) {
        if at < *probability {
            return Some(fault.clone());
        }
        at -= probability;
    }
    None
}

fn planned(what: &str, op: Op, path: &Path) -> Error {
    Error::Generic { store: "faulty", source: format!("planned: {what} of {op} {path}").into() }
}

fn exists(path: &Path) -> Error {
    Error::AlreadyExists { path: path.to_string(), source: "planned".into() }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({:?})", self.inner)
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Faulty({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let op = if opts.mode == PutMode::Create { Op::Create } else { Op::Put };
        self.guard(op, location, self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.guard(Op::Begin, location, self.inner.put_multipart_opts(location, opts)).await?;
        Ok(Box::new(FaultyUpload { inner, store: self.clone(), path: location.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let op = if options.head { Op::Head } else { Op::Get };
        let verdict = self.judge(op, location);
        let torn = matches!(verdict, Verdict::Fault(Fault::TornBody));
        let result = self.carry_out(verdict, op, location, self.inner.get_opts(location, options)).await?;
        if torn { tear(result).await } else { Ok(result) }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.guard(Op::Get, location, self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .then(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    let one = stream::iter([Ok(location.clone())]).boxed();
                    let effect = async { store.inner.delete_stream(one).try_collect::<Vec<_>>().await };
                    store.guard(Op::Delete, &location, effect).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned().unwrap_or_default());
        let listing = async move {
            let verdict = store.judge(Op::List, &prefix);
            let stale = store.stale(&verdict, true, &prefix);
            let effect = async { store.inner.list(Some(&prefix)).try_collect::<Vec<_>>().await };
            let fresh = store.carry_out(verdict, Op::List, &prefix, effect).await?;
            store.remember(true, &prefix, (Vec::new(), fresh.clone()));
            Ok::<_, Error>(stale.map_or(fresh, |(_, objects)| objects))
        };
        stream::once(listing).map_ok(|objects| stream::iter(objects.into_iter().map(Ok))).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = prefix.cloned().unwrap_or_default();
        let verdict = self.judge(Op::List, &prefix);
        let stale = self.stale(&verdict, false, &prefix);
        let effect = self.inner.list_with_delimiter(Some(&prefix));
        let fresh = self.carry_out(verdict, Op::List, &prefix, effect).await?;
        self.remember(false, &prefix, (fresh.common_prefixes.clone(), fresh.objects.clone()));
        Ok(match stale {
            Some((common_prefixes, objects)) => ListResult { common_prefixes, objects },
            None => fresh,
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.guard(Op::Copy, to, self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.guard(Op::Copy, to, self.inner.rename_opts(from, to, options)).await
    }
}

async fn tear(result: GetResult) -> Result<GetResult> {
    let (meta, range, attributes) = (result.meta.clone(), result.range.clone(), result.attributes.clone());
    let bytes = result.bytes().await?;
    let half = bytes.slice(..bytes.len() / 2);
    let payload = GetResultPayload::Stream(stream::iter([Ok(half)]).boxed());
    Ok(GetResult { payload, meta, range, attributes })
}

#[derive(Debug)]
struct FaultyUpload {
    inner: Box<dyn MultipartUpload>,
    store: FaultyStore,
    path: Path,
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let sending = self.inner.put_part(data);
        let (store, path) = (self.store.clone(), self.path.clone());
        Box::pin(async move { store.guard(Op::Part, &path, sending).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (store, path) = (self.store.clone(), self.path.clone());
        store.guard(Op::Complete, &path, self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        let (store, path) = (self.store.clone(), self.path.clone());
        store.guard(Op::Abort, &path, self.inner.abort()).await
    }
}
