//! `forebay expire`: old snapshots and changelogs go, with the files that only they need.

use std::io::IsTerminal as _;
use std::time::Duration;

use forebay::Env;
use forebay::maintain::ExpireReport;
use forebay::schema::parse_duration;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Moment, parse_moment};
use crate::cli::{Common, Expire};
use crate::failure::{Failure, Result};
use crate::output;

/// Expires.
pub async fn run(args: Expire, common: &Common) -> Result<()> {
    let table = super::open_table(&args.table, common, &args.options).await?;
    let mut expire = table.maintain().expire_snapshots()?;
    if let Some(count) = args.retain_max {
        expire = expire.retain_max(count);
    }
    if let Some(count) = args.retain_min {
        expire = expire.retain_min(count);
    }
    if let Some(text) = &args.older_than {
        expire = expire.older_than(age(text, Env::system().now_millis())?);
    }
    if let Some(count) = args.max_deletes {
        expire = expire.max_deletes(count);
    }
    if args.dry_run {
        return tell(&expire.dry_run().run().await?, true, common);
    }
    let bar = bar(common);
    let shown = bar.clone();
    let report = expire
        .on_progress(move |progress| {
            shown.set_length(progress.of);
            shown.set_position(progress.files);
            shown.set_message(indicatif::HumanBytes(progress.bytes).to_string());
        })
        .run()
        .await;
    bar.finish_and_clear();
    let report = report?;
    tell(&report, false, common)?;
    match (report.failed, report.first_failure) {
        (0, _) => Ok(()),
        (count, first) => {
            let what = format!("{count} files could not be deleted, the first: {}", first.unwrap_or_default());
            Err(Failure::new("storage", what).help("run it again: it goes on where it ended"))
        }
    }
}

/// How long ago a time was, or an age as it stands.
fn age(text: &str, now_millis: i64) -> Result<Duration> {
    let help = "give a time like 2024-01-31 or 2024-01-31T12:00:00Z that has passed, or an age like '2 h' or '7 d'";
    let wrong = |why: &str| Failure::usage(format!("--older-than {text:?} {why}")).help(help);
    match parse_moment(text) {
        Some(Moment::Millis(millis)) => {
            let passed = u64::try_from(now_millis.saturating_sub(millis)).map_err(|_| wrong("is yet to come"))?;
            Ok(Duration::from_millis(passed))
        }
        // A bare number would be an age in milliseconds, which nobody means.
        Some(Moment::Snapshot(_)) => Err(wrong("is neither a time nor an age")),
        None => parse_duration(text).map_err(|_| wrong("is neither a time nor an age")),
    }
}

fn bar(common: &Common) -> ProgressBar {
    if common.json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} files, {msg} freed, {elapsed}") {
        bar.set_style(style);
    }
    bar
}

fn tell(report: &ExpireReport, dry_run: bool, common: &Common) -> Result<()> {
    let (files, bytes) = match dry_run {
        true => (report.would_go.len() as u64, report.would_go.iter().map(|file| file.bytes).sum()),
        false => (report.files, report.bytes),
    };
    if common.json {
        let paths: Vec<_> =
            report.would_go.iter().map(|file| json!({"path": file.path, "bytes": file.bytes})).collect();
        let mut value = json!({
            "dry_run": dry_run, "tags": report.tags, "consumers": report.consumers, "snapshots": report.snapshots, "changelogs": report.changelogs,
            "changelogs_kept": report.changelogs_kept, "files": files, "bytes": bytes, "failed": report.failed,
            "outside": report.outside, "stopped_by": report.stop.as_ref().map(ToString::to_string),
        });
        if dry_run {
            value["paths"] = paths.into();
        }
        return output::print_json(&value);
    }
    for file in &report.would_go {
        output::print(&format!("{:>12}  {}\n", file.bytes, output::clean(&file.path)))?;
    }
    let verb = if dry_run { "would go" } else { "went" };
    let mut lines = vec![format!(
        "{} and {} {verb}, with {} files of {}",
        counted(&report.snapshots, "snapshot"),
        counted(&report.changelogs, "changelog"),
        output::count(files),
        indicatif::HumanBytes(bytes)
    )];
    if !report.tags.is_empty() {
        let names: Vec<String> = report.tags.iter().map(|name| output::clean(name)).collect();
        lines.push(format!("tags whose time is over {verb}: {}", names.join(", ")));
    }
    if !report.consumers.is_empty() {
        let names: Vec<String> = report.consumers.iter().map(|name| output::clean(name)).collect();
        lines.push(format!("consumers that stood still {verb}: {}", names.join(", ")));
    }
    if !report.changelogs_kept.is_empty() {
        lines.push(format!("the changes of {} stay", counted(&report.changelogs_kept, "snapshot")));
    }
    if report.outside > 0 {
        let files = output::count(report.outside);
        lines.push(format!("{files} files outside of the table stay where they are: allow them by --allow-external"));
    }
    lines.push(match &report.stop {
        Some(stop) => format!("the others stay: {stop}"),
        None => "the table has no snapshot".to_string(),
    });
    lines.iter().for_each(|line| output::note(line));
    Ok(())
}

fn counted(ids: &[i64], what: &str) -> String {
    match ids {
        [] => format!("no {what}"),
        [id] => format!("{what} {id}"),
        [first, .., last] => format!("{} {what}s ({first} to {last})", output::count(ids.len() as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_or_counted_from_a_time() {
        let now = 1_700_000_000_000;
        assert_eq!(age("2 h", now).unwrap(), Duration::from_secs(7200));
        assert_eq!(age("2023-11-14T22:13:10Z", now).unwrap(), Duration::from_secs(10));
        for wrong in ["yesterday", "5", "2999-01-01", ""] {
            assert!(age(wrong, now).is_err(), "{wrong}");
        }
    }
}
