//! `forebay write`: rows or changes into a table, exactly once for a stable commit user.
//!
//! Commit `n` of a user holds the input's rows up to a [`Mark`], which the snapshot keeps among its properties. A rerun
//! asks for the user's last commit, goes behind its mark and continues with identifier `n + 1`. Whatever was written
//! after that commit and not committed was never visible.

use std::io::{IsTerminal as _, stderr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use forebay::Env;
use forebay::Table;
use forebay::commit::{CommitOutcome, CommitProperties, Committer};
use forebay::format::Snapshot;
use forebay::table::CompactReport;
use forebay::write::{ChangeBatch, StreamWriter};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::Notify;

use crate::cli::{Common, Write};
use crate::failure::{Failure, Result};
use crate::feed::{self, Fed, Input, Mark};
use crate::output;
use crate::values::csv_in::Dialect;

/// Properties of a snapshot that keep the mark.
const ROWS: &str = "forebay.input.rows";
const CHECK: &str = "forebay.input.check";

/// Writes the input.
pub async fn run(args: Write, common: &Common) -> Result<()> {
    let incoming = &args.incoming;
    let sources = feed::sources(&args.files, incoming.format)?;
    if incoming.merge_schema {
        merge_columns(&args.table, &incoming.options, common, &sources).await?;
    }
    let table = super::open_table(&args.table, common, &incoming.table_options()).await?;
    let env = Env::system();
    let stable = args.commit_user.is_some();
    let user = match args.commit_user {
        Some(user) => super::commit_user(user)?,
        None => super::new_user(&table)?,
    };
    let committer = table.committer(&user)?;
    let resume = match stable {
        true => table.history().snapshots.latest_of_user(&user).await?.map(|last| mark_of(&last)).transpose()?,
        false => None,
    };
    let delimiter = feed::delimiter_of(&args.files, incoming.delimiter);
    let input = Input {
        sources,
        dialect: Dialect { delimiter, null: incoming.null.clone() },
        commit_every: args.commit_every,
        resume: resume.map(|(_, mark)| mark),
    };
    if let Some((identifier, mark)) = resume {
        let rows = output::count(mark.rows);
        output::note(&format!(
            "commit user {user} has committed {rows} rows (commit {identifier}): continuing behind them"
        ));
    }
    let bar = progress(feed::size(&input.sources));
    let writer = table.stream_writer(&user).await?;
    let start = env.monotonic();
    let mut run =
        Run { writer, committer, last: resume, rows: 0, uncommitted: 0, commits: 0, snapshot: None, in_doubt: false };
    let written = run.all(input, &table, &bar).await;
    bar.finish_and_clear();
    if let Err(failure) = written {
        let told = run.told();
        let continues = stable && run.last.is_some();
        // What is left behind when this fails too is invisible, and orphan clean finds it.
        let _ = run.writer.abort().await;
        let failure = failure.and(told);
        return Err(match continues {
            true if !failure.has_help() => failure.help("the same command continues behind the last commit"),
            _ => failure,
        });
    }
    let messages = run.writer.finish_compactions().await;
    if let Err(error) = table.commit_compaction(messages, &mut CompactReport::default()).await {
        output::note(&format!("the rows are committed, the compaction behind them is not: {error}"));
    }
    let seconds = (env.monotonic() - start).as_secs_f64().max(1e-3);
    run.summary(common, &user, seconds)
}

/// Changes the table, or its branch, so that the columns of all files can be written.
pub async fn merge_columns(
    table: &str,
    options: &[(String, String)],
    common: &Common,
    sources: &[feed::Source],
) -> Result<()> {
    let told = feed::columns_told(sources)?;
    let branch: Vec<_> = options.iter().filter(|(key, _)| key == "branch").cloned().collect();
    let mut table = super::open_table(table, common, &branch).await?;
    let before = table.schema().id;
    let known = |name: &String| {
        let told = told.iter().any(|(columns, _)| columns.iter().any(|(column, _)| column == name));
        told || table.schema().require(name).is_ok()
    };
    if let Some(name) = told.iter().flat_map(|(_, untyped)| untyped).find(|name| !known(name)) {
        let words =
            format!("--merge-schema: column {name:?} or a part of it holds NULLs alone and does not tell its type");
        return Err(Failure::new("unsupported", words).help("give it one first: forebay alter --add-column"));
    }
    for (columns, _) in told {
        table = table.merge_columns(&columns).await?;
    }
    if table.schema().id != before {
        output::note(&format!("--merge-schema: the table has schema {} for these files", table.schema().id));
    }
    Ok(())
}

/// A commit's identifier and where in its input it ended.
fn mark_of(last: &Snapshot) -> Result<(i64, Mark)> {
    let properties = last.properties.as_ref();
    let number = |key: &str| properties.and_then(|all| all.get(key)).and_then(|text| text.parse().ok());
    match (number(ROWS), number(CHECK)) {
        (Some(rows), Some(check)) => Ok((last.commit_identifier, Mark { rows, check })),
        _ => {
            let user = &last.commit_user;
            let what =
                format!("snapshot {} of commit user {user} does not say which rows of an input it holds", last.id);
            Err(Failure::new("invalid", what).help("it was not made by `forebay write`: use another --commit-user"))
        }
    }
}

/// A bar on a terminal, and nothing anywhere else.
fn progress(size: Option<u64>) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match size {
        Some(size) => (ProgressBar::new(size), "{bar:30} {binary_bytes} of {binary_total_bytes}  {msg}  eta {eta}"),
        None => (ProgressBar::new_spinner(), "{spinner} {binary_bytes}  {msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Tells when the process is asked to end. A commit that runs is brought to its end first, so that it can be said
/// what was committed; whoever asks twice does not wait for it.
fn stop_between_rows() -> Arc<Notify> {
    let stop = Arc::new(Notify::new());
    let tell = Arc::clone(&stop);
    tokio::spawn(async move {
        super::interrupted().await;
        tell.notify_one();
        super::interrupted().await;
        std::process::exit(130);
    });
    stop
}

struct Run {
    writer: StreamWriter,
    committer: Committer,
    /// The last commit of this user, by this run or an earlier one.
    last: Option<(i64, Mark)>,
    /// Rows written by this run.
    rows: u64,
    uncommitted: u64,
    commits: u64,
    snapshot: Option<i64>,
    /// Whether the commit behind the last one may have taken place.
    in_doubt: bool,
}

impl Run {
    async fn all(&mut self, input: Input, table: &Table, bar: &ProgressBar) -> Result<()> {
        let (mut fed, bytes) = feed::start(input, super::input_columns_of(table.schema()))?;
        let stop = stop_between_rows();
        loop {
            let item = tokio::select! {
                item = fed.recv() => item,
                () = stop.notified() => return Err(Failure::interrupted("interrupted")),
            };
            let Some(item) = item else {
                return Err(Failure::new("bug", "the input ended without a word"));
            };
            match item? {
                Fed::Piece(piece) => {
                    let rows = piece.batch.num_rows() as u64;
                    let at = self.rows;
                    let written = self.writer.write(&ChangeBatch::new(piece.batch, piece.kinds)?).await;
                    written.map_err(|error| {
                        Failure::from(error).context(format!("rows {} to {} of this run", at + 1, at + rows))
                    })?;
                    self.rows += rows;
                    self.uncommitted += rows;
                    bar.set_position(bytes.load(Ordering::Relaxed));
                    bar.set_message(self.so_far());
                }
                Fed::Boundary(mark) => self.commit(mark).await?,
                Fed::End(mark) => {
                    if self.uncommitted > 0 {
                        self.commit(mark).await?;
                    }
                    return Ok(());
                }
            }
        }
    }

    async fn commit(&mut self, mark: Mark) -> Result<()> {
        let identifier = self.last.map_or(1, |(identifier, _)| identifier + 1);
        let messages = self.writer.prepare_commit().await?;
        let properties = [(ROWS, mark.rows), (CHECK, mark.check)];
        let properties = properties.map(|(key, value)| (key.to_string(), value.to_string())).into();
        let properties = CommitProperties { properties, ..CommitProperties::default() };
        let failure = match self.committer.commit(identifier, messages.clone(), properties).await {
            Ok(CommitOutcome::Committed { snapshot_id, dropped_compactions, .. }) => {
                if !dropped_compactions.is_empty() {
                    self.writer.compaction_was_dropped();
                }
                self.snapshot = Some(snapshot_id);
                self.last = Some((identifier, mark));
                self.commits += 1;
                self.uncommitted = 0;
                return Ok(());
            }
            // Rows that an option drops (`ignore-delete`) may leave nothing. The next commit takes the identifier.
            Ok(CommitOutcome::Empty) => {
                self.uncommitted = 0;
                return Ok(());
            }
            Ok(CommitOutcome::Unknown { reason }) => {
                // Its files may be live: nothing is deleted.
                self.in_doubt = true;
                let what = format!("whether commit {identifier} took place is not known: {reason}");
                return Err(Failure::new("storage", what));
            }
            Ok(CommitOutcome::AlreadyCommitted { .. }) => Failure::new(
                "conflict",
                format!("commit {identifier} of this commit user was made by another process meanwhile"),
            ),
            Ok(CommitOutcome::Conflicted { reason }) => {
                Failure::new("conflict", format!("commit {identifier}: {reason}"))
            }
            Err(error) => Failure::from(error).context(format!("commit {identifier}")),
        };
        // What is left behind when this fails too is invisible, and orphan clean finds it.
        let _ = self.committer.abort(&messages).await;
        Err(failure)
    }

    /// What a progress bar says.
    fn so_far(&self) -> String {
        let said = format!("{} rows, {} commits", output::count(self.rows), self.commits);
        match self.writer.stalled().as_secs_f64() {
            stalled if stalled >= 0.01 => format!("{said}, stood still for {stalled:.1} s"),
            _ => said,
        }
    }

    /// What is visible after a failure.
    fn told(&self) -> String {
        match self.last {
            Some((identifier, mark)) => {
                let rows = output::count(mark.rows);
                match self.in_doubt {
                    true => format!("the commit before it is {identifier} (the first {rows} rows)"),
                    false => {
                        format!("the last commit is {identifier} (the first {rows} rows), nothing behind it is visible")
                    }
                }
            }
            None if self.in_doubt => "there is no commit before it".into(),
            None => "nothing was committed".into(),
        }
    }

    fn summary(&self, common: &Common, user: &str, seconds: f64) -> Result<()> {
        let stalled = self.writer.stalled().as_secs_f64();
        if common.json {
            return output::print_json(&json!({
                "rows": self.rows,
                "commits": self.commits,
                "snapshot": self.snapshot,
                "commitUser": user,
                "commitIdentifier": self.last.map(|(identifier, _)| identifier),
                "seconds": (seconds * 1000.0).round() / 1000.0,
                "stalledSeconds": (stalled * 1000.0).round() / 1000.0,
            }));
        }
        if self.rows == 0 {
            output::note("there was nothing to write");
            return Ok(());
        }
        let rate = output::count((self.rows as f64 / seconds) as u64);
        let (rows, commits) = (output::count(self.rows), output::count(self.commits));
        let many = if self.commits == 1 { "commit" } else { "commits" };
        let snapshot = self.snapshot.map(|id| format!(", snapshot {id}")).unwrap_or_default();
        let rows = format!("{rows} {}", if self.rows == 1 { "row" } else { "rows" });
        output::note(&format!("wrote {rows} in {commits} {many}{snapshot}: {seconds:.2} s, {rate} rows/s"));
        stood_still(stalled);
        Ok(())
    }
}

/// Tells for how many seconds a writer stood still, if it did.
pub fn stood_still(seconds: f64) {
    if seconds >= 0.01 {
        output::note(&format!(
            "{seconds:.2} s of it stood still: buckets had as many runs as num-sorted-run.stop-trigger allows"
        ));
    }
}
