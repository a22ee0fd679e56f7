//! A compaction in parts: tasks and messages as files, for as many machines as there are.

use std::path::{Path, PathBuf};

use forebay::Table;
use forebay::format::{CommitMessage, CompactTask, bucket_directory, data_file_path};
use forebay::schema::TableOptions;
use forebay::table::CompactReport;
use serde_json::json;

use crate::cli::{Common, CompactMeans, CompactPart, CompactScope};
use crate::failure::{Failure, Result};
use crate::output;

/// Runs a part.
pub async fn run(part: CompactPart, common: &Common) -> Result<()> {
    match part {
        CompactPart::Plan { table, out, scope } => plan(&table, &out, &scope, common).await,
        CompactPart::Run { table, tasks, out, means, options } => {
            let table = super::super::open_table(&table, common, &options).await?;
            run_tasks(&table, &tasks, out, &means, common).await
        }
        CompactPart::Commit { table, messages, options } => {
            let table = super::super::open_table(&table, common, &options).await?;
            commit(&table, &messages, common).await
        }
    }
}

async fn plan(name: &str, out: &Path, scope: &CompactScope, common: &Common) -> Result<()> {
    refuse_old(out)?;
    let table = super::super::open_table(name, common, &scope.options).await?;
    let means = CompactMeans { memory: None, threads: None, rate_limit: None };
    let compaction = super::builder(&table, scope, &means)?;
    let (tasks, waiting) = (compaction.plan().await?, compaction.waiting_rows().await?);
    std::fs::create_dir_all(out)?;
    for (number, task) in tasks.iter().enumerate() {
        let path = out.join(format!("{number:05}.task"));
        write(&path, &task.encode())?;
        told(common, &path, &super::described(&table, task)?, super::task_json(&table, task)?)?;
    }
    match waiting {
        0 if tasks.is_empty() && !common.json => output::note("nothing is due"),
        0 => {}
        rows if common.json => output::print_json(&json!({"postponedRows": rows}))?,
        rows => {
            let rows = output::count(rows);
            output::note(&format!("{rows} postponed rows wait, which no task moves: `forebay compact {name}` does"));
        }
    }
    Ok(())
}

async fn run_tasks(
    table: &Table,
    tasks: &[PathBuf],
    out: Option<PathBuf>,
    means: &CompactMeans,
    common: &Common,
) -> Result<()> {
    let compactor = super::limited(table, means).compactor()?;
    for path in tasks {
        let context = |failure: Failure| failure.context(path.display());
        let task = CompactTask::decode(&read(path)?).map_err(|error| context(error.into()))?;
        let message = compactor.run(&task).await.map_err(|error| context(error.into()))?;
        let mut target = path.with_extension("message");
        if let (Some(directory), Some(name)) = (&out, target.file_name()) {
            std::fs::create_dir_all(directory)?;
            target = directory.join(name);
        }
        write(&target, &message.encode())?;
        let (before, after) = (message.compact_before.len(), message.compact_after.len());
        let partition = super::super::partition_name(table.schema(), &message.partition)?;
        let value = json!({
            "partition": partition, "bucket": message.bucket, "filesBefore": before, "filesAfter": after,
        });
        let bucket = super::bucket_name(table, &message.partition, message.bucket)?;
        told(common, &target, &format!("{bucket}: {before} files became {after}"), value)?;
    }
    Ok(())
}

async fn commit(table: &Table, paths: &[PathBuf], common: &Common) -> Result<()> {
    let (mut messages, mut known, mut foreign) = (Vec::new(), false, None);
    for path in paths {
        let message =
            CommitMessage::decode(&read(path)?).map_err(|error| Failure::from(error).context(path.display()))?;
        if !message.new_files.is_empty() || !message.changelog_files.is_empty() {
            return Err(Failure::new("invalid", format!("{}: this is no compaction's message", path.display())));
        }
        match replaces_files_of(table, &message).await {
            Ok(()) => known = true,
            Err(failure) => foreign = foreign.or(Some(failure.context(path.display()))),
        }
        messages.push(message);
    }
    // Beside others, one whose input is gone has lost to them.
    if let Some(failure) = foreign.filter(|_| !known) {
        return Err(failure);
    }
    messages.retain(|message| !message.is_empty());
    let mut report = CompactReport::default();
    table.commit_compaction(messages, &mut report).await?;
    let lost = || Err(Failure::new("conflict", format!("all {} lost to other commits", report.lost_tasks)));
    if common.json {
        output::print_json(&json!({"snapshots": report.snapshots, "lostTasks": report.lost_tasks}))?;
        return if report.snapshots.is_empty() && report.lost_tasks > 0 { lost() } else { Ok(()) };
    }
    match (report.snapshots.last(), report.lost_tasks) {
        (Some(id), 0) => output::note(&format!("committed, snapshot {id}")),
        (Some(id), lost) => output::note(&format!("committed, snapshot {id}; {lost} lost to other commits")),
        (None, 0) => output::note("there was nothing to commit"),
        (None, _) => return lost(),
    }
    Ok(())
}

/// Tasks of an earlier plan would be run again, and messages of theirs be committed and lost.
fn refuse_old(directory: &Path) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "task" || extension == "message") {
            let what = format!("--out {}: {} is of an earlier plan", directory.display(), path.display());
            return Err(Failure::usage(what).help("name a new directory, or take away its tasks and messages"));
        }
    }
    Ok(())
}

/// A message of another table would be taken for one that lost to other commits.
async fn replaces_files_of(table: &Table, message: &CommitMessage) -> Result<()> {
    let options = TableOptions::parse(table.schema())?;
    let Some(file) = message.compact_before.first() else { return Ok(()) };
    let directory = bucket_directory(table.schema(), &options, &message.partition, message.bucket);
    let path = directory.and_then(|directory| data_file_path(&directory, file));
    if let Ok(path) = &path
        && table.store().exists(path).await?
    {
        return Ok(());
    }
    let name = &file.file_name;
    let what = format!("the table has no file {name}, which this message replaces: it is another table's, or too old");
    Err(Failure::new("invalid", what))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| Failure::from(error).context(path.display()))
}

/// A file is there whole or not at all: whoever picks it up may be another machine.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let part = path.with_extension("part");
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    written.map_err(|error| Failure::from(error).context(path.display()))
}

fn told(common: &Common, path: &Path, text: &str, mut value: serde_json::Value) -> Result<()> {
    if common.json {
        value["file"] = path.display().to_string().into();
        return output::print_json(&value);
    }
    output::print(&format!("{}: {text}\n", output::clean(&path.display().to_string())))
}
