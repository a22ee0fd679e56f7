//! What an engine shows of a table: the rows of every snapshot and the changes of every snapshot, as multisets.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use forebay::Table;
use forebay::types::RowKind;
use serde_json::{Value, json};

use crate::{Server, changes_of, row_of, rows_at, schema_at, snapshots_of};

/// Rows and changes by snapshot, each as sorted texts. A snapshot without changes is not in `changes`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// The merged rows.
    pub rows: BTreeMap<i64, Vec<String>>,
    /// The changes with their kinds.
    pub changes: BTreeMap<i64, Vec<String>>,
}

impl View {
    /// What this engine shows.
    pub async fn ours(table: &Table) -> Self {
        let mut view = Self::default();
        for snapshot in snapshots_of(table).await {
            let rows = rows_at(table, snapshot)
                .await
                .unwrap_or_else(|error| panic!("our rows of snapshot {snapshot}: {error}"));
            view.rows.insert(snapshot, texts(rows));
        }
        let changes = changes_of(table).await.unwrap_or_else(|error| panic!("our changes: {error}"));
        let mut by_snapshot: BTreeMap<i64, Vec<(RowKind, crate::Row)>> = BTreeMap::new();
        for (snapshot, kind, row) in changes {
            by_snapshot.entry(snapshot).or_default().push((kind, row));
        }
        view.changes = by_snapshot.into_iter().map(|(snapshot, rows)| (snapshot, texts(rows))).collect();
        view
    }

    /// What a Java server shows; `table` tells the schemas.
    pub async fn of(server: &mut Server, table: &Table, path: &Path) -> Self {
        let mut view = Self::rows_of(server, table, path).await;
        let answer = server.run("changes", path, json!({}));
        let mut by_snapshot: BTreeMap<i64, Vec<(RowKind, crate::Row)>> = BTreeMap::new();
        for change in list(&answer, "rows") {
            let kind = RowKind::from_short(change["kind"].as_str().unwrap_or_default()).expect("a row kind");
            let row = row_of(table.schema(), &change["row"]);
            by_snapshot.entry(change["snapshot"].as_i64().expect("a snapshot")).or_default().push((kind, row));
        }
        view.changes = by_snapshot.into_iter().map(|(snapshot, rows)| (snapshot, texts(rows))).collect();
        view
    }

    /// The rows that any server shows of every snapshot.
    pub async fn rows_of(server: &mut Server, table: &Table, path: &Path) -> Self {
        let mut view = Self::default();
        for snapshot in snapshots_of(table).await {
            let schema = schema_at(table, snapshot).await;
            let answer = server.run("read", path, json!({"snapshot": snapshot}));
            view.rows.insert(snapshot, texts(list(&answer, "rows").iter().map(|row| row_of(&schema, row))));
        }
        view
    }
}

fn list<'a>(answer: &'a Value, name: &str) -> &'a [Value] {
    answer[name].as_array().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

/// Rows as sorted texts: a multiset. NaNs are equal whatever their bits, -0.0 is not 0.0.
pub(crate) fn texts<T: Debug>(rows: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut texts: Vec<String> = rows.into_iter().map(|row| format!("{row:?}")).collect();
    texts.sort();
    texts
}

/// Fails unless two views are equal.
pub fn assert_same(what: &str, wanted: &View, found: &View) {
    assert_same_rows(what, wanted, found);
    assert_equal(&format!("{what}: changes"), &wanted.changes, &found.changes);
}

/// Fails unless two views have equal rows.
pub fn assert_same_rows(what: &str, wanted: &View, found: &View) {
    assert_equal(&format!("{what}: rows"), &wanted.rows, &found.rows);
}

fn assert_equal(what: &str, wanted: &BTreeMap<i64, Vec<String>>, found: &BTreeMap<i64, Vec<String>>) {
    let snapshots = |map: &BTreeMap<i64, Vec<String>>| map.keys().copied().collect::<Vec<_>>();
    assert_eq!(snapshots(wanted), snapshots(found), "{what}: of these snapshots");
    for (snapshot, rows) in wanted {
        if let Some(difference) = difference(rows, &found[snapshot]) {
            panic!("{what} of snapshot {snapshot}: {difference}");
        }
    }
}

/// What two sorted lists do not have in common; `None` when they are equal.
pub fn difference(wanted: &[String], found: &[String]) -> Option<String> {
    if wanted == found {
        return None;
    }
    let only = |these: &[String], those: &[String]| {
        let mut left = those.to_vec();
        let missing = these.iter().filter(|one| match left.iter().position(|other| other == *one) {
            Some(at) => {
                left.swap_remove(at);
                false
            }
            None => true,
        });
        missing.take(3).cloned().collect::<Vec<_>>()
    };
    let (missing, extra) = (only(wanted, found), only(found, wanted));
    Some(format!("{} wanted, {} found; missing {missing:#?}, too many {extra:#?}", wanted.len(), found.len()))
}
