//! `forebay load`: files into a table in one commit, beside what is there or in its place.
//!
//! Files are parsed side by side where the order of rows means nothing (append tables without buckets), and one after
//! another everywhere else, so that a key's last row is that of the last file.

use forebay::commit::{BATCH_COMMIT, CommitOutcome, CommitProperties, Committer, Replaced};
use forebay::schema::{BucketMode, TableOptions};
use forebay::table::{CompactReport, OverwriteWriter};
use forebay::write::{ChangeBatch, StreamWriter};
use forebay::{Env, Table};
use futures::stream::{self, StreamExt as _};
use serde_json::json;

use super::partition::partitions;
use crate::cli::{Common, Load};
use crate::failure::{Failure, Result};
use crate::feed::{self, Fed, Input, Source};
use crate::output;
use crate::values::Piece;
use crate::values::csv_in::Dialect;

/// Loads the files.
pub async fn run(args: Load, common: &Common) -> Result<()> {
    let incoming = &args.incoming;
    let sources = feed::sources(&args.files, incoming.format)?;
    if incoming.merge_schema {
        super::write::merge_columns(&args.table, &incoming.options, common, &sources).await?;
    }
    let table = super::open_table(&args.table, common, &incoming.table_options()).await?;
    let delimiter = feed::delimiter_of(&args.files, incoming.delimiter);
    let dialect = Dialect { delimiter, null: incoming.null.clone() };
    let env = Env::system();
    let start = env.monotonic();
    let mut target = Target::open(&args, &table).await?;
    if let Some(snapshot) = target.committed().await? {
        if common.json {
            return output::print_json(&json!({"rows": 0, "snapshot": snapshot, "already": true}));
        }
        super::told_already(Some(snapshot));
        return Ok(());
    }
    let mut rows = 0;
    let written = write_all(&mut target, sources, dialect, &table, &mut rows).await;
    let outcome = match written {
        Ok(()) => target.commit().await,
        Err(failure) => Err(failure),
    };
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(failure) => {
            // What is left behind when this fails too is invisible, and orphan clean finds it.
            let _ = target.abort().await;
            return Err(failure.and("nothing was committed"));
        }
    };
    let snapshot = match &outcome {
        CommitOutcome::Empty => None,
        CommitOutcome::Unknown { reason } => {
            // Its files may be live: nothing is deleted.
            return Err(Failure::new("storage", format!("whether the commit took place is not known: {reason}")));
        }
        CommitOutcome::Conflicted { reason } => {
            let _ = target.abort().await;
            return Err(Failure::new("conflict", reason.clone()).and("nothing was committed"));
        }
        outcome => Some(outcome.snapshot_id()?),
    };
    let (replaced, stalled) = (target.replaced(), target.stalled());
    if let Err(error) = target.close(&table).await {
        output::note(&format!("the rows are committed, the compaction behind them is not: {}", error.message()));
    }
    let seconds = (env.monotonic() - start).as_secs_f64().max(1e-3);
    tell(common, rows, snapshot, replaced, (seconds, stalled))
}

fn tell(
    common: &Common,
    rows: u64,
    snapshot: Option<i64>,
    replaced: Option<&str>,
    (seconds, stalled): (f64, f64),
) -> Result<()> {
    if common.json {
        return output::print_json(&json!({
            "rows": rows, "snapshot": snapshot, "replaced": replaced, "already": false,
            "seconds": (seconds * 1000.0).round() / 1000.0,
            "stalledSeconds": (stalled * 1000.0).round() / 1000.0,
        }));
    }
    let place = match replaced {
        None => String::new(),
        Some(what) => format!(" in the place of {what}"),
    };
    let rate = output::count((rows as f64 / seconds) as u64);
    let count = format!("{} {}", output::count(rows), if rows == 1 { "row" } else { "rows" });
    output::note(&match snapshot {
        None => "there was nothing to load".to_string(),
        Some(id) => format!("loaded {count}{place} in snapshot {id}: {seconds:.2} s, {rate} rows/s"),
    });
    super::write::stood_still(stalled);
    Ok(())
}

async fn write_all(
    target: &mut Target,
    sources: Vec<Source>,
    dialect: Dialect,
    table: &Table,
    rows: &mut u64,
) -> Result<()> {
    let any_order = TableOptions::parse(table.schema())?.bucket == BucketMode::Unaware;
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let columns = super::input_columns_of(table.schema());
    // Standard input is read by one.
    let open = |source: Source| {
        let input = Input { sources: vec![source], dialect: dialect.clone(), commit_every: None, resume: None };
        let fed = feed::start(input, columns.clone()).map(|(fed, _)| fed);
        stream::unfold(fed, |fed| async move {
            match fed {
                Ok(mut fed) => match fed.recv().await {
                    Some(Ok(Fed::Piece(piece))) => Some((Ok(piece), Ok(fed))),
                    Some(Ok(Fed::Boundary(_) | Fed::End(_))) => None,
                    Some(Err(error)) => Some((Err(Failure::from(error)), Ok(fed))),
                    None => Some((Err(Failure::new("bug", "an input ended without a word")), Ok(fed))),
                },
                Err(failure) => {
                    let (_, closed) = tokio::sync::mpsc::channel(1);
                    Some((Err(failure), Ok(closed)))
                }
            }
        })
        .boxed()
    };
    let pieces = stream::iter(sources).map(open);
    let mut pieces = match any_order {
        true => pieces.flatten_unordered(at_once).boxed(),
        false => pieces.flatten().boxed(),
    };
    let interrupted = super::interrupted();
    tokio::pin!(interrupted);
    loop {
        let piece = tokio::select! {
            piece = pieces.next() => piece,
            () = &mut interrupted => return Err(Failure::interrupted("interrupted")),
        };
        let Some(piece) = piece else { return Ok(()) };
        let Piece { batch, kinds, .. } = piece?;
        let (from, count) = (*rows + 1, batch.num_rows() as u64);
        let written = target.write(&ChangeBatch::new(batch, kinds)?).await;
        written.map_err(|failure| failure.context(format!("rows {from} to {}", *rows + count)))?;
        *rows += count;
    }
}

/// Where rows go.
enum Target {
    Beside {
        writer: Box<StreamWriter>,
        committer: Box<Committer>,
        once: bool,
        pending: Vec<forebay::format::CommitMessage>,
    },
    Instead {
        writer: Box<OverwriteWriter>,
        replaced: &'static str,
    },
}

impl Target {
    async fn open(args: &Load, table: &Table) -> Result<Self> {
        let user = args.commit_user.clone().map(super::commit_user).transpose()?;
        if args.overwrite {
            let mut overwrite = table.overwrite();
            if let Some(filter) = partitions(table.schema(), &args.partitions)? {
                overwrite = overwrite.partitions(filter);
            }
            if let Some(user) = user {
                overwrite = overwrite.commit_user(user);
            }
            let replaced = match overwrite.replaced()? {
                Replaced::Table => "the table",
                Replaced::Where(_) => "the named partitions",
                Replaced::Written => "their partitions",
            };
            return Ok(Self::Instead { writer: Box::new(overwrite.writer().await?), replaced });
        }
        let once = user.is_some();
        let user = user.map_or_else(|| super::new_user(table), Ok)?;
        let writer = Box::new(table.stream_writer(&user).await?);
        Ok(Self::Beside { writer, committer: Box::new(table.committer(&user)?), once, pending: Vec::new() })
    }

    async fn committed(&mut self) -> Result<Option<i64>> {
        Ok(match self {
            Self::Beside { committer, once: true, .. } => committer.last_committed().await?.map(|(_, id)| id),
            Self::Beside { .. } => None,
            Self::Instead { writer, .. } => writer.committed().await?,
        })
    }

    async fn write(&mut self, batch: &ChangeBatch) -> Result<()> {
        match self {
            Self::Beside { writer, .. } => Ok(writer.write(batch).await?),
            Self::Instead { writer, .. } => Ok(writer.write(batch).await?),
        }
    }

    async fn commit(&mut self) -> Result<CommitOutcome> {
        match self {
            Self::Beside { writer, committer, once, pending } => {
                let messages = writer.prepare_commit().await?;
                pending.clone_from(&messages);
                let identifier = if *once { 1 } else { BATCH_COMMIT };
                Ok(committer.commit(identifier, messages, CommitProperties::default()).await?)
            }
            Self::Instead { writer, .. } => Ok(writer.commit().await?),
        }
    }

    fn replaced(&self) -> Option<&'static str> {
        match self {
            Self::Beside { .. } => None,
            Self::Instead { replaced, .. } => Some(replaced),
        }
    }

    /// Seconds for which its writer stood still. One whose rows take the place of others merges nothing before its commit.
    fn stalled(&self) -> f64 {
        match self {
            Self::Beside { writer, .. } => writer.stalled().as_secs_f64(),
            Self::Instead { .. } => 0.0,
        }
    }

    async fn abort(self) -> Result<()> {
        match self {
            Self::Beside { writer, mut committer, pending, .. } => {
                committer.abort(&pending).await?;
                Ok(writer.abort().await?)
            }
            Self::Instead { writer, .. } => Ok(writer.abort().await?),
        }
    }

    async fn close(self, table: &Table) -> Result<()> {
        match self {
            Self::Beside { mut writer, mut committer, .. } => {
                let messages = writer.finish_compactions().await;
                table.commit_compaction(messages, &mut CompactReport::default()).await?;
                committer.finish().await;
                Ok(())
            }
            Self::Instead { writer, .. } => Ok(writer.close().await?),
        }
    }
}
