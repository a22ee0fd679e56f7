//! `forebay compact`: tables, databases and warehouses, once or as a service.

mod metrics;
mod targets;
mod travel;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use forebay::compact::{CompactLimits, CompactProgress};
use forebay::format::CompactTask;
use forebay::history::ManifestCache;
use forebay::lookup::LookupCache;
use forebay::schema::parse_duration;
use forebay::table::{CompactBuilder, CompactReport};
use forebay::{Env, Table, predicate};
use futures::StreamExt;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use self::metrics::Metrics;
use self::targets::Targets;
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
        return service.round(&targets).await?.end();
    }
    let mut interrupted = std::pin::pin!(super::interrupted());
    loop {
        let round = tokio::select! {
            round = service.round(&targets) => round,
            () = &mut interrupted => return Ok(()),
        };
        // A service outlives a store that is away for a while.
        if let Err(failure) = round {
            if failure.code() == 2 || failure.is_closed() {
                return Err(failure);
            }
            failure.report(common.json);
        }
        tokio::select! {
            () = service.env.sleep(interval) => {}
            () = &mut interrupted => return Ok(()),
        }
    }
}

/// Tables that are looked at side by side: most of it is waiting for a store.
const LOOKS: usize = 8;
/// Memory that a table must have for itself to be compacted beside others.
const TABLE_MEMORY: u64 = 64 << 20;
/// How long a service goes by what it saw of the debts.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a round over the tables met.
#[derive(Default)]
struct Round {
    failed: Vec<Failure>,
}

impl Round {
    fn end(self) -> Result<()> {
        let count = self.failed.len();
        match self.failed.into_iter().next() {
            None => Ok(()),
            Some(one) if count == 1 => Err(one),
            Some(first) => Err(first.context(format!("{count} tables failed, the first"))),
        }
    }
}

/// A table with what is due in it.
struct Due {
    name: String,
    typed: bool,
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
    /// Tables of earlier rounds by their names: their connections, and schemas that were read.
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

    /// A table as it is now: whoever dropped it, made it anew or changed its schema since the last round is noticed.
    async fn table(&self, named: &targets::Named) -> Result<Table> {
        let options = &self.args.scope.options;
        let known = self.opened().remove(&named.name);
        let table = match known {
            Some(known) => known.renewed().await?,
            None => named.open(self.common, options).await?.sharing(&self.manifests),
        };
        if self.args.watch && named.is_fixed(self.common) {
            self.opened().insert(named.name.clone(), table.clone());
        }
        named.with_options(table, options)
    }

    /// A compaction with what one of so many side by side may take.
    fn builder(&self, table: &Table, across: usize) -> Result<CompactBuilder> {
        let all = limits(&self.args.means);
        let means = CompactMeans {
            memory: Some(all.memory / across as u64),
            threads: u32::try_from(all.threads / across).ok(),
            ..self.args.means.clone()
        };
        Ok(builder(table, &self.args.scope, &means)?.lookups(&self.lookups))
    }

    /// How many of these tables are compacted at once. A rate is one for all, and so is the order of what is only told.
    fn across(&self, tables: usize) -> usize {
        let all = limits(&self.args.means);
        if self.args.dry_run || all.bytes_per_second.is_some() {
            return 1;
        }
        let room = usize::try_from(all.memory / TABLE_MEMORY).unwrap_or(usize::MAX);
        all.threads.min(tables).min(room).max(1)
    }

    /// Looks at every table and compacts what is due, the deepest in debt first, as many at once as there are threads.
    async fn round(&self, targets: &Targets) -> Result<Round> {
        let mut round = Round::default();
        let tables = targets.tables(self.common).await?;
        let alone = tables.len() == 1 && targets.names_tables();
        let names: BTreeSet<&str> = tables.iter().map(|named| named.name.as_str()).collect();
        self.opened().retain(|name, _| names.contains(name.as_str()));
        let mut due = Vec::new();
        let looks = tables.into_iter().map(|named| async {
            let (name, typed) = (named.name.clone(), named.is_typed());
            (name, typed, self.look(named).await)
        });
        let mut looks = std::pin::pin!(futures::stream::iter(looks).buffered(LOOKS));
        while let Some((name, typed, found)) = looks.next().await {
            if let Ok(due) = &found {
                self.metrics.looked(&name, due.debt(), due.waiting);
            }
            match found {
                Ok(found) if found.tasks.is_empty() && found.waiting == 0 && self.args.watch => {}
                Ok(found) => due.push(found),
                Err(failure) if alone || failure.code() == 2 => return Err(failure),
                // One table that this version cannot compact does not keep the others from it.
                Err(failure) => self.failed(&mut round, &name, typed, failure)?,
            }
        }
        due.sort_by_key(|due| std::cmp::Reverse(due.debt()));
        let (began, across) = (self.env.monotonic(), self.across(due.len()));
        // By then others may be deeper in debt: a service begins with no more of these, and looks again.
        let goes_on = || !self.args.watch || self.env.monotonic().saturating_sub(began) <= PATIENCE;
        let begun = futures::stream::iter(due).take_while(|_| std::future::ready(goes_on()));
        let work = begun.map(|due| async move {
            let (name, typed) = (due.name.clone(), due.typed);
            (name, typed, self.compact(due, across).await)
        });
        let mut work = std::pin::pin!(work.buffer_unordered(across));
        while let Some((name, typed, done)) = work.next().await {
            match done {
                Ok(()) => {}
                Err(failure) if failure.is_closed() || alone => return Err(failure),
                Err(failure) => self.failed(&mut round, &name, typed, failure)?,
            }
        }
        Ok(round)
    }

    async fn look(&self, named: targets::Named) -> Result<Due> {
        let table = self.table(&named).await?;
        let compaction = self.builder(&table, 1)?;
        let (tasks, waiting) = (compaction.plan().await?, compaction.waiting_rows().await?);
        Ok(Due { typed: named.is_typed(), name: named.name, table, tasks, waiting })
    }

    /// Tells what a table met. One that was found in a database may be none that this version compacts; one that was
    /// typed was asked for.
    fn failed(&self, round: &mut Round, name: &str, typed: bool, failure: Failure) -> Result<()> {
        let skipped = failure.is_unsupported() && !typed;
        if self.common.json {
            let word = if skipped { "skipped" } else { "failed" };
            output::print_json(&json!({"table": name, word: failure.message()}))?;
        } else if skipped {
            output::note(&format!("{name}: skipped, {}", failure.message()));
        } else {
            output::note(&format!("{name}: failed, {}", failure.message()));
        }
        if !skipped {
            self.opened().remove(name); // whatever it was, the next round begins anew
            self.metrics.failed(name);
            round.failed.push(failure.context(name));
        }
        Ok(())
    }

    async fn compact(&self, due: Due, across: usize) -> Result<()> {
        let began = self.env.monotonic();
        if self.args.dry_run {
            return self.planned(&due);
        }
        let progress = Arc::new(CompactProgress::default());
        let compaction = self.builder(&due.table, across)?.progress(Arc::clone(&progress));
        let bar = self.bar(&due);
        let mut work = Box::pin(compaction.run());
        let report = loop {
            tokio::select! {
                report = &mut work => break report,
                () = self.env.sleep(Duration::from_millis(200)) => {
                    self.metrics.working(&due.name, progress.bytes());
                    bar.set_position(progress.bytes());
                    bar.set_message(format!("{} rows", output::count(progress.rows())));
                }
            }
        };
        bar.finish_and_clear();
        let (report, took) = (report?, self.env.monotonic().saturating_sub(began));
        let copied = progress.copied_rows();
        self.metrics.compacted(&due.name, &report, copied, took);
        self.bars.suspend(|| self.told(&due.name, &report, copied, took))
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
        bar.set_prefix(output::clean(&due.name));
        bar
    }

    fn planned(&self, due: &Due) -> Result<()> {
        if self.common.json {
            let tasks: Vec<Value> = due.tasks.iter().map(task_json).collect();
            return output::print_json(&json!({"table": due.name, "tasks": tasks, "postponedRows": due.waiting}));
        }
        if due.waiting > 0 {
            let rows = output::count(due.waiting);
            output::print(&format!("{}: {rows} postponed rows to real buckets\n", output::clean(&due.name)))?;
        } else if due.tasks.is_empty() {
            output::note(&format!("{}: nothing is due", due.name));
        }
        for task in &due.tasks {
            output::print(&format!("{}: {}\n", output::clean(&due.name), described(task)))?;
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

/// A compaction of a table within a scope.
fn builder(table: &Table, scope: &CompactScope, means: &CompactMeans) -> Result<CompactBuilder> {
    let mut compaction = limited(table, means);
    if scope.full {
        compaction = compaction.full();
    }
    let mut partitions = None;
    for text in &scope.partition {
        let one = partition(text)?;
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

/// The condition that `day=2026-01-01,hour=7` means.
fn partition(text: &str) -> Result<predicate::Expr> {
    let mut whole: Option<predicate::Expr> = None;
    for pair in text.split(',') {
        let Some((column, value)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("--partition {text:?} is no COLUMN=VALUE")));
        };
        let one = predicate::col(column.trim()).eq(value.trim());
        whole = Some(whole.map_or(one.clone(), |others| others.and(one)));
    }
    whole.ok_or_else(|| Failure::usage("--partition is empty"))
}

fn task_json(task: &CompactTask) -> Value {
    let levels: std::collections::BTreeSet<i32> = task.files.iter().map(|file| file.level).collect();
    json!({
        "bucket": task.bucket,
        "files": task.files.len(),
        "rows": task.rows(),
        "bytes": task.bytes(),
        "levels": levels,
        "outputLevel": task.output_level,
    })
}

fn described(task: &CompactTask) -> String {
    let (files, rows) = (task.files.len(), output::count(task.rows()));
    let (bucket, level) = (task.bucket, task.output_level);
    format!("bucket {bucket}: {files} files, {rows} rows, {} to level {level}", size(task.bytes()))
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}
