//! `forebay compact`: tables, databases and warehouses, once or as a service.

mod metrics;
mod shares;
mod targets;
mod travel;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forebay::compact::{CompactLimits, CompactProgress};
use forebay::format::{BinaryRow, CompactTask};
use forebay::history::ManifestCache;
use forebay::lookup::LookupCache;
use forebay::schema::parse_duration;
use forebay::table::{CompactBuilder, CompactReport};
use forebay::{Env, Table, predicate};
use futures::future::FusedFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use self::metrics::Metrics;
use self::shares::{Share, Shares};
use self::targets::{Named, Targets};
use super::partition;
use crate::cli::{Common, Compact, CompactMeans, CompactScope};
use crate::failure::{Failure, Result};
use crate::output;

/// Compacts.
pub async fn run(args: Compact, common: &Common) -> Result<()> {
    if let Some(part) = args.part {
        return travel::run(part, common).await;
    }
    let interval = parse_duration(&args.interval).map_err(|error| Failure::usage(format!("--interval: {error}")))?;
    let targets = Targets::new(&args, common)?;
    let (metrics, registry) = Metrics::new();
    if let Some(address) = args.metrics {
        metrics::serve(address, registry).await?;
    }
    let service = Service::new(&args, common, metrics)?;
    if !args.watch {
        return service.run(&targets, None).await;
    }
    tokio::select! {
        ended = service.run(&targets, Some(interval)) => ended,
        () = super::interrupted() => Ok(()),
    }
}

/// Tables that are looked at side by side: most of it is waiting for a store.
const LOOKS: usize = 8;

/// What a look at the tables found.
#[derive(Default)]
struct Looked {
    due: Vec<Due>,
    failed: Vec<Failure>,
    /// How many tables there are.
    tables: usize,
    /// There is one, which was typed: its failure is the command's.
    alone: bool,
}

/// What is left to do, and who does it.
#[derive(Default)]
struct Work {
    looked: Looked,
    /// Where compactions run.
    busy: BTreeSet<String>,
    /// For how many looks in a row a place was due and nobody came.
    waited: HashMap<String, usize>,
}

impl Work {
    /// Takes over what a look found; the most urgent comes last.
    fn take_over(&mut self, looked: Looked) {
        self.looked.alone = looked.alone;
        self.looked.tables = looked.tables;
        self.looked.failed.extend(looked.failed);
        self.looked.due = looked.due.into_iter().filter(|due| !self.busy.contains(&due.place)).collect();
        let before = std::mem::take(&mut self.waited);
        let waited = |due: &Due| (due.place.clone(), before.get(&due.place).map_or(0, |looks| looks + 1));
        self.waited = self.looked.due.iter().map(waited).collect();
        // Who waits grows more and more urgent, so that nobody waits for ever. Of equals the first comes first.
        self.looked.due.reverse();
        self.looked.due.sort_by_cached_key(|due| {
            let waited = self.waited.get(&due.place).copied().unwrap_or(0);
            due.debt().saturating_add(waited.saturating_mul(waited))
        });
    }

    fn next(&mut self) -> Option<Due> {
        let due = self.looked.due.pop()?;
        self.waited.remove(&due.place);
        self.busy.insert(due.place.clone());
        Some(due)
    }
}

/// A table with what is due in it.
struct Due {
    named: Named,
    /// The table's location, and the branch.
    place: String,
    table: Table,
    tasks: Vec<CompactTask>,
    /// Rows that wait for a bucket.
    waiting: u64,
}

impl Due {
    /// Files that each reader merges and no compaction has taken.
    fn debt(&self) -> usize {
        self.tasks.iter().flat_map(|task| &task.files).filter(|file| file.level == 0).count()
    }
}

struct Service<'a> {
    args: &'a Compact,
    common: &'a Common,
    env: Env,
    metrics: Metrics,
    /// What was read of the manifests of all tables.
    manifests: ManifestCache,
    /// What compactions of all tables looked up of old rows.
    lookups: LookupCache,
    /// Tables of earlier looks by what names them: their connections, and schemas that were read.
    opened: Mutex<HashMap<String, Table>>,
    /// What is drawn of the compactions that run.
    bars: MultiProgress,
}

impl<'a> Service<'a> {
    fn new(args: &'a Compact, common: &'a Common, metrics: Metrics) -> Result<Self> {
        let memory = limits(&args.means).memory;
        Ok(Self {
            args,
            common,
            env: Env::system(),
            metrics,
            manifests: ManifestCache::default(),
            lookups: LookupCache::new(memory / 4)?,
            opened: Mutex::default(),
            bars: MultiProgress::new(),
        })
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<String, Table>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A table as it is now: whoever dropped it, made it anew or changed its schema since the last look is noticed.
    async fn table(&self, named: &Named) -> Result<Table> {
        let options = &self.args.scope.options;
        let known = self.opened().remove(&named.key());
        let table = match known {
            Some(known) => known.renewed().await?,
            None => named.open(self.common, options).await?.sharing(&self.manifests),
        };
        if self.args.watch && named.is_fixed(self.common) {
            self.opened().insert(named.key(), table.clone());
        }
        named.with_options(table, options)
    }

    fn builder(&self, table: &Table, share: Share) -> Result<CompactBuilder> {
        let means = CompactMeans {
            memory: Some(share.memory),
            threads: u32::try_from(share.threads).ok(),
            ..self.args.means.clone()
        };
        Ok(builder(table, &self.args.scope, &means)?.lookups(&self.lookups))
    }

    /// Looks at every table, again and again where there is an interval, and compacts meanwhile what is due: the most urgent
    /// first, as many at once as the threads and the memory are enough for.
    async fn run(&self, targets: &Targets, interval: Option<Duration>) -> Result<()> {
        let (mut work, mut shares) = (Work::default(), Shares::new(limits(&self.args.means)));
        let mut running = FuturesUnordered::new();
        let mut look = self.looks(targets, Duration::ZERO).boxed_local().fuse();
        loop {
            // A service keeps something for tables that become due meanwhile.
            shares.keep_some = interval.is_some() && work.looked.tables > 1;
            while let Some(share) = shares.take(work.looked.due.len()) {
                let Some(due) = work.next() else { break };
                let compaction = async move {
                    let (named, place) = (due.named.clone(), due.place.clone());
                    (named, place, share, self.compact(due, share).await)
                };
                running.push(compaction.boxed_local());
            }
            if look.is_terminated() && running.is_empty() {
                return end(work.looked.failed);
            }
            tokio::select! {
                looked = &mut look, if !look.is_terminated() => {
                    match (looked, interval) {
                        (Ok(looked), _) => work.take_over(looked),
                        // A service outlives a store that is away for a while.
                        (Err(failure), Some(_)) if failure.code() != 2 && !failure.is_closed() => {
                            failure.report(self.common.json);
                        }
                        (Err(failure), _) => return Err(failure),
                    }
                    if let Some(interval) = interval {
                        work.looked.failed.clear(); // told, and tried again
                        look = self.looks(targets, interval).boxed_local().fuse();
                    }
                }
                Some((named, place, share, done)) = running.next() => {
                    shares.give_back(share);
                    work.busy.remove(&place);
                    match done {
                        Ok(()) => {}
                        Err(failure) if failure.is_closed() => return Err(failure),
                        Err(failure) if work.looked.alone && (interval.is_none() || failure.code() == 2) => {
                            return Err(failure);
                        }
                        Err(failure) if work.looked.alone => {
                            self.forget(&named);
                            failure.report(self.common.json);
                        }
                        Err(failure) => self.failed(&mut work.looked.failed, &named, failure)?,
                    }
                }
            }
        }
    }

    /// Looks at every table once, after a while.
    async fn looks(&self, targets: &Targets, after: Duration) -> Result<Looked> {
        self.env.sleep(after).await;
        let tables = targets.tables(self.common).await?;
        let alone = tables.len() == 1 && tables.iter().all(Named::is_typed);
        let mut looked = Looked { tables: tables.len(), alone, ..Looked::default() };
        let keys: BTreeSet<String> = tables.iter().map(Named::key).collect();
        self.opened().retain(|key, _| keys.contains(key));
        self.metrics.keep(&tables.iter().map(|named| named.name.as_str()).collect());
        let looks = tables.into_iter().map(|named| async { (named.clone(), self.look(named).await) });
        let mut looks = std::pin::pin!(futures::stream::iter(looks).buffered(LOOKS));
        let mut places = BTreeSet::new();
        while let Some((named, found)) = looks.next().await {
            match found {
                Ok(due) => {
                    self.metrics.looked(&named.name, due.debt(), due.waiting);
                    let idle = due.tasks.is_empty() && due.waiting == 0 && self.args.watch;
                    // A table that was named twice is one.
                    if places.insert(due.place.clone()) && !idle {
                        looked.due.push(due);
                    }
                }
                Err(failure) if alone || failure.code() == 2 => {
                    self.forget(&named);
                    return Err(failure);
                }
                // One table that this version cannot compact does not keep the others from it.
                Err(failure) => self.failed(&mut looked.failed, &named, failure)?,
            }
        }
        Ok(looked)
    }

    async fn look(&self, named: Named) -> Result<Due> {
        let table = self.table(&named).await?;
        let compaction = builder(&table, &self.args.scope, &self.args.means)?;
        let (tasks, waiting) = (compaction.plan().await?, compaction.waiting_rows().await?);
        let place = format!("{}${}", table.location(), table.branch_name().unwrap_or_default());
        Ok(Due { named, place, table, tasks, waiting })
    }

    /// Tells what a table met. One that was found in a database may be none that this version compacts; one that was
    /// typed was asked for.
    fn failed(&self, all: &mut Vec<Failure>, named: &Named, failure: Failure) -> Result<()> {
        let name = named.name.as_str();
        let skipped = failure.is_unsupported() && !named.is_typed();
        if self.common.json {
            let word = if skipped { "skipped" } else { "failed" };
            output::print_json(&json!({"table": name, word: failure.message()}))?;
        } else if skipped {
            output::note(&format!("{name}: skipped, {}", failure.message()));
        } else {
            output::note(&format!("{name}: failed, {}", failure.message()));
        }
        if !skipped {
            self.forget(named);
            all.push(failure.context(name));
        }
        Ok(())
    }

    /// After a failure, whatever it was, the next look begins anew.
    fn forget(&self, named: &Named) {
        self.opened().remove(&named.key());
        self.metrics.failed(&named.name);
    }

    async fn compact(&self, due: Due, share: Share) -> Result<()> {
        let began = self.env.monotonic();
        if self.args.dry_run {
            return self.planned(&due);
        }
        let progress = Arc::new(CompactProgress::default());
        let compaction = self.builder(&due.table, share)?.progress(Arc::clone(&progress));
        let bar = self.bar(&due);
        let mut work = Box::pin(compaction.run());
        let report = loop {
            tokio::select! {
                report = &mut work => break report,
                () = self.env.sleep(Duration::from_millis(200)) => {
                    self.metrics.working(&due.named.name, progress.bytes());
                    bar.set_position(progress.bytes());
                    bar.set_message(format!("{} rows", output::count(progress.rows())));
                }
            }
        };
        bar.finish_and_clear();
        let (report, took) = (report?, self.env.monotonic().saturating_sub(began));
        if self.args.watch && report.snapshots.is_empty() && report.lost_tasks == 0 {
            return Ok(()); // somebody was here between the look and now
        }
        let copied = progress.copied_rows();
        self.metrics.compacted(&due.named.name, &report, copied, took);
        self.bars.suspend(|| self.told(&due.named.name, &report, copied, took))
    }

    fn bar(&self, due: &Due) -> ProgressBar {
        use std::io::IsTerminal as _;
        if self.common.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = self.bars.add(ProgressBar::new(due.tasks.iter().map(CompactTask::bytes).sum()));
        let style = ProgressStyle::with_template("{prefix} {bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_prefix(output::clean(&due.named.name));
        bar
    }

    fn planned(&self, due: &Due) -> Result<()> {
        if self.common.json {
            let tasks: Vec<Value> = due.tasks.iter().map(|task| task_json(&due.table, task)).collect::<Result<_>>()?;
            return output::print_json(&json!({"table": due.named.name, "tasks": tasks, "postponedRows": due.waiting}));
        }
        if due.waiting > 0 {
            let rows = output::count(due.waiting);
            output::print(&format!("{}: {rows} postponed rows to real buckets\n", output::clean(&due.named.name)))?;
        } else if due.tasks.is_empty() {
            output::note(&format!("{}: nothing is due", due.named.name));
        }
        for task in &due.tasks {
            output::print(&format!("{}: {}\n", output::clean(&due.named.name), described(&due.table, task)?))?;
        }
        Ok(())
    }

    fn told(&self, name: &str, report: &CompactReport, copied: u64, took: Duration) -> Result<()> {
        let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
        if self.common.json {
            return output::print_json(&json!({
                "table": name,
                "tasks": report.planned.len(),
                "lostTasks": report.lost_tasks,
                "filesBefore": report.files_before,
                "filesAfter": report.files_after,
                "movedFiles": report.moved_files,
                "copiedRows": copied,
                "bytesBefore": report.bytes_before,
                "bytesAfter": report.bytes_after,
                "changelogRows": report.changelog_rows,
                "postponedRows": report.postponed_rows,
                "snapshots": report.snapshots,
                "seconds": seconds,
            }));
        }
        if report.snapshots.is_empty() {
            let lost = if report.lost_tasks > 0 { ", other commits were first" } else { "" };
            output::note(&format!("{name}: nothing to compact{lost}"));
            return Ok(());
        }
        if report.postponed_rows > 0 {
            output::note(&format!(
                "{name}: {} postponed rows moved to real buckets",
                output::count(report.postponed_rows)
            ));
        }
        let snapshot = report.snapshots.last().map(|id| format!(", snapshot {id}")).unwrap_or_default();
        output::note(&format!(
            "{name}: {} in {} files became {} in {} files{snapshot}: {seconds:.2} s",
            size(report.bytes_before),
            report.files_before,
            size(report.bytes_after),
            report.files_after,
        ));
        Ok(())
    }
}

/// What a call over many tables comes to.
fn end(failed: Vec<Failure>) -> Result<()> {
    let count = failed.len();
    match failed.into_iter().next() {
        None => Ok(()),
        Some(one) if count == 1 => Err(one),
        Some(first) => Err(first.context(format!("{count} tables failed, the first"))),
    }
}

/// A compaction of a table within a scope.
fn builder(table: &Table, scope: &CompactScope, means: &CompactMeans) -> Result<CompactBuilder> {
    let mut compaction = limited(table, means);
    if scope.full {
        compaction = compaction.full();
    }
    let mut partitions = None;
    for text in &scope.partition {
        let one = partition::one(table.schema(), text)?;
        partitions = Some(partitions.map_or(one.clone(), |others: predicate::Expr| others.or(one)));
    }
    if let Some(partitions) = partitions {
        compaction = compaction.filter(partitions);
    }
    if let Some(text) = &scope.filter {
        let filter = predicate::parse(text, table.schema());
        compaction = compaction.filter(filter.map_err(|error| Failure::from(error).context("--where"))?);
    }
    Ok(scope.bucket.iter().fold(compaction, |compaction, bucket| compaction.bucket(*bucket)))
}

/// What all compactions of a call may take.
fn limits(means: &CompactMeans) -> CompactLimits {
    let usual = CompactLimits::default();
    CompactLimits {
        memory: means.memory.unwrap_or(usual.memory),
        threads: means.threads.map_or(usual.threads, |threads| threads as usize),
        bytes_per_second: means.rate_limit,
    }
}

fn limited(table: &Table, means: &CompactMeans) -> CompactBuilder {
    let limits = limits(means);
    let compaction = table.compact().memory(limits.memory).threads(limits.threads);
    match limits.bytes_per_second {
        Some(bytes) => compaction.bytes_per_second(bytes),
        None => compaction,
    }
}

fn task_json(table: &Table, task: &CompactTask) -> Result<Value> {
    let levels: BTreeSet<i32> = task.files.iter().map(|file| file.level).collect();
    Ok(json!({
        "partition": super::partition_name(table.schema(), &task.partition)?,
        "bucket": task.bucket,
        "files": task.files.len(),
        "rows": task.rows(),
        "bytes": task.bytes(),
        "levels": levels,
        "outputLevel": task.output_level,
    }))
}

fn described(table: &Table, task: &CompactTask) -> Result<String> {
    let (files, rows) = (task.files.len(), output::count(task.rows()));
    let (bucket, level) = (bucket_name(table, &task.partition, task.bucket)?, task.output_level);
    Ok(format!("{bucket}: {files} files, {rows} rows, {} to level {level}", size(task.bytes())))
}

/// A bucket for people.
fn bucket_name(table: &Table, partition: &BinaryRow, bucket: i32) -> Result<String> {
    let partition = super::partition_name(table.schema(), partition)?;
    let bucket = format!("bucket {bucket}");
    Ok(if partition.is_empty() { bucket } else { format!("{}/{bucket}", output::clean(&partition)) })
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
