//! What we write reads back.

use std::collections::BTreeMap;

use forebay::Table;
use forebay::commit::{CommitOutcome, CommitProperties};
use forebay::types::RowKind;
use serde_json::Value;

use crate::support::{all_rows, as_set, changes, golden_dirs, json_lines, row_of};

/// Replays the operations of a golden through our writer and gives the table.
async fn replay(dir: &std::path::Path, place: &std::path::Path) -> Result<Table, forebay::Error> {
    let golden = Table::open(dir.join("table").to_str().unwrap(), []).await?;
    let mut schema = golden.schema().as_ref().clone();
    schema.id = 0;
    let table = Table::create(place.to_str().unwrap(), schema, []).await?;
    let mut commits: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for line in json_lines(&dir.join("ops.jsonl")) {
        commits.entry(line["commit"].as_i64().unwrap()).or_default().push(line);
    }
    let mut writer = table.stream_writer("writer-1").await?;
    let mut committer = table.committer("writer-1")?;
    for (identifier, lines) in commits {
        let rows: Vec<_> = lines
            .iter()
            .filter(|line| line.get("kind").is_some())
            .map(|line| {
                (RowKind::from_short(line["kind"].as_str().unwrap()).unwrap(), row_of(table.schema(), &line["row"]))
            })
            .collect();
        if !rows.is_empty() {
            writer.write(&changes(table.schema(), &rows)).await?;
        }
        let messages = writer.prepare_commit().await?;
        let outcome = committer.commit(identifier, messages, CommitProperties::default()).await?;
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    }
    Ok(table)
}

/// Goldens whose newest rows do not follow from their operations alone: something beside plain writes happened.
fn has_other_operations(dir: &std::path::Path) -> bool {
    let other = |line: &Value| {
        line.get("branch").is_some() || line["action"].as_str().is_some_and(|action| action != "full-compaction")
    };
    json_lines(&dir.join("ops.jsonl")).iter().any(other)
}

#[tokio::test]
async fn operations_replayed_through_our_writer_give_the_same_rows() {
    // A tombstone that Java compacted away no longer hides later rows of a lower sequence (see the goldens' README).
    const FORGETS: [&str; 2] = ["seq_lookup_dedup", "seq_full_compaction"];
    let mut passed = 0;
    for dir in golden_dirs() {
        let name = dir.file_name().unwrap().to_str().unwrap().to_string();
        if has_other_operations(&dir) || FORGETS.contains(&name.as_str()) || name.starts_with("two_writers") {
            continue;
        }
        let place = tempfile::tempdir().unwrap();
        let table = match replay(&dir, &place.path().join("t")).await {
            Ok(table) => table,
            Err(forebay::Error::Unsupported(feature)) => {
                println!("{name} is refused by name: {feature}");
                continue;
            }
            Err(error) => panic!("{name}: {error}"),
        };
        let found = all_rows(table.schema(), table.scan().wide_timestamps().read().await.unwrap()).await.unwrap();
        let lines = json_lines(&dir.join("rows.jsonl"));
        let newest = lines.iter().map(|line| line["snapshot"].as_i64().unwrap()).max();
        let wanted = lines.iter().filter(|line| line["snapshot"].as_i64() == newest);
        let wanted = as_set(wanted.map(|line| row_of(table.schema(), &line["row"])));
        assert_eq!(as_set(found), wanted, "{name}");
        passed += 1;
    }
    println!("{passed} goldens replayed");
    assert!(passed > 0);
}
