//! Tables of Java and of ourselves, compacted by us: nobody sees it.

use std::path::Path;

use forebay::scan::At;
use forebay::{Error, Table};

use crate::goldens::each_golden;
use crate::support::{all_rows, as_set};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

async fn newest(table: &Table) -> Result<Vec<String>, Error> {
    let stream = table.scan().at(At::Latest).wide_timestamps().read().await?;
    Ok(as_set(all_rows(table.schema(), stream).await?))
}

/// Java made two adds of one sequence number there, and which wins is open.
const UNDEFINED: [&str; 2] = ["two_writers_overlap", "two_writers_sequence"];

#[tokio::test]
async fn a_golden_compacted_by_us_reads_as_before() {
    each_golden("compacted", |name, dir| async move {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("t");
        copy(&dir.join("table"), &path);
        // Beside deletion vectors level 0 is seen once it is compacted, unless a reader asks for it.
        let table = Table::open(path.to_str().unwrap(), []).await?;
        let table = table.with_options([("deletion-vectors.merge-on-read", "true")])?;
        let before = newest(&table).await?;
        for full in [false, true] {
            let compaction = table.compact();
            let report = if full { compaction.full() } else { compaction }.run().await?;
            assert_eq!(report.lost_tasks, 0, "{name}");
            let after = newest(&table).await?;
            if !UNDEFINED.contains(&name.as_str()) && after != before {
                let lost: Vec<_> = before.iter().filter(|row| !after.contains(row)).take(3).collect();
                let new: Vec<_> = after.iter().filter(|row| !before.contains(row)).take(3).collect();
                return Err(Error::Bug(format!("full: {full}, lost {lost:#?}, new {new:#?}")));
            }
        }
        Ok(())
    })
    .await;
}
