//! `forebay changes`: what happened to a table, once or for ever.
//!
//! A consumer's progress is kept only after its rows were given to the operating system, so a reader that dies gets
//! some changes twice and misses none.

use std::time::Duration;

use forebay::schema::TableOptions;
use forebay::stream::{ChangeStream, Start};
use forebay::{Env, Table};

use super::{MOMENTS, Moment};
use crate::cli::{Changes, Common};
use crate::failure::{Failure, Result};
use crate::sink::{Change, Sink};

/// Reads the changes.
pub async fn run(args: Changes, common: &Common) -> Result<()> {
    let start = args.from.as_deref().map(parse_start).transpose()?;
    let to_watermark =
        args.to_watermark.as_deref().map(|text| super::watermark_of("--to-watermark", text)).transpose()?;
    let table = super::open_table(&args.table, common, &args.options).await?;
    let mut changes = table.changes().wide_timestamps();
    if let Some(bytes) = args.memory {
        changes = changes.memory(bytes);
    }
    if let Some(start) = start {
        changes = changes.from(start);
    }
    if let Some(watermark) = to_watermark {
        changes = changes.to_watermark(watermark);
    }
    if let Some(to) = args.to {
        changes = changes.to(to);
    }
    if let Some(consumer) = &args.consumer {
        changes = changes.consumer(consumer);
    }
    // A stream that does not wait can be asked again when it has come to its end: so the waiting is done here, where it
    // is known that everything shown has left.
    let mut stream = changes.read().await?;
    let sink = Sink::open(args.output, &super::columns_of(table.schema()), true)?;
    let pause = args.follow.then(|| pause(&table)).transpose()?;
    let mut copy = Copy { stream: &mut stream, sink: &sink, saved: None };
    let copied = tokio::select! {
        copied = copy.run(pause) => copied,
        () = super::interrupted() => match args.follow {
            true => Ok(()),
            false => Err(Failure::interrupted("interrupted")),
        },
    };
    let written = sink.finish(copied.is_ok()).await;
    copied.and(written.map(|_| ()))
}

/// How long to wait for the next snapshot: what the table says, else a second, which suits people.
fn pause(table: &Table) -> Result<Duration> {
    let set = table.schema().option("continuous.discovery-interval").is_some();
    Ok(match set {
        true => TableOptions::parse(table.schema())?.discovery_interval,
        false => Duration::from_secs(1),
    })
}

struct Copy<'a> {
    stream: &'a mut ChangeStream,
    sink: &'a Sink,
    /// The snapshot up to which the consumer's progress is kept.
    saved: Option<i64>,
}

impl Copy<'_> {
    /// Copies changes until the stream ends (for good, without a pause) or nobody listens.
    async fn run(&mut self, pause: Option<Duration>) -> Result<()> {
        let env = Env::system();
        loop {
            match self.stream.next().await? {
                Some(change) => {
                    let snapshot = change.snapshot_id;
                    let (batch, kinds) = change.rows.into_parts();
                    // The stream's position tells that this change was handled: progress is kept behind it only.
                    if !self.sink.write(batch, Some(Change { snapshot, kinds })).await || !self.settle().await? {
                        return Ok(());
                    }
                }
                None => {
                    let going = self.sink.flush().await && self.settle().await?;
                    match pause {
                        Some(pause) if going => env.sleep(pause).await,
                        _ => return Ok(()),
                    }
                }
            }
        }
    }

    /// Makes sure that all changes so far have left, and keeps that in the table. Answers whether output goes on.
    async fn settle(&mut self) -> Result<bool> {
        let position = self.stream.position();
        if position == self.saved || self.stream.consumer().is_none() {
            return Ok(true);
        }
        if !self.sink.flush().await {
            return Ok(false);
        }
        self.stream.ack().await?;
        self.saved = position;
        Ok(true)
    }
}

fn parse_start(text: &str) -> Result<Start> {
    let bad = || {
        Failure::usage(format!("--from {text:?} is no place to begin")).help(format!(
            "latest-full, latest, earliest, compacted-full, full:SNAPSHOT, tag:NAME, since:TIME, files:TIME, or {}",
            MOMENTS.trim_start_matches("give ")
        ))
    };
    let millis = |text: &str| match super::parse_moment(text) {
        Some(Moment::Millis(millis)) => Ok(millis),
        _ => Err(bad()),
    };
    match text {
        "latest-full" => return Ok(Start::LatestFull),
        "latest" => return Ok(Start::Latest),
        "earliest" => return Ok(Start::Earliest),
        "compacted-full" => return Ok(Start::CompactedFull),
        _ => {}
    }
    match text.split_once(':') {
        Some(("full", snapshot)) => match super::parse_moment(snapshot) {
            Some(Moment::Snapshot(id)) => Ok(Start::SnapshotFull(id)),
            _ => Err(bad()),
        },
        Some(("tag", name)) => Ok(Start::TagFull(name.to_string())),
        Some(("since", time)) => millis(time).map(Start::Since),
        Some(("files", time)) => millis(time).map(Start::FilesSince),
        _ => match super::parse_moment(text).ok_or_else(bad)? {
            Moment::Snapshot(id) => Ok(Start::Snapshot(id)),
            Moment::Millis(millis) => Ok(Start::Timestamp(millis)),
        },
    }
}
