//! What a table must show, told by the operations alone: the third opinion beside the two engines.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use forebay::types::RowKind;

use crate::view::texts;
use crate::{Row, TableSpec, View};

/// A row and what it does to the table.
#[derive(Debug, Clone)]
pub struct Op {
    /// What it does.
    pub kind: RowKind,
    /// The whole row.
    pub row: Row,
}

impl Op {
    /// A `+I`.
    pub fn insert(row: Row) -> Self {
        Self { kind: RowKind::Insert, row }
    }
}

/// Operations, commit by commit.
pub type Operations = Vec<Vec<Op>>;

/// A table that deduplicates by arrival, or appends; with changelog producer none or input.
#[derive(Debug)]
pub struct Model {
    key: Vec<usize>,
    input: bool,
    rows: Vec<Row>,
    by_key: HashMap<String, Row>,
    view: View,
}

impl Model {
    /// Of an empty table.
    pub fn new(spec: &TableSpec) -> Self {
        let position =
            |name: &String| spec.columns.iter().position(|(column, _)| column == name).expect("a key column");
        Self {
            key: spec.primary_key.iter().map(position).collect(),
            input: spec.options.get("changelog-producer").is_some_and(|producer| producer == "input"),
            rows: Vec::new(),
            by_key: HashMap::new(),
            view: View::default(),
        }
    }

    /// Takes operations in, whose commit made these snapshots: the first has the changes, the others are compactions.
    pub fn commit(&mut self, operations: &[Op], snapshots: RangeInclusive<i64>) {
        let mut newest: BTreeMap<String, &Op> = BTreeMap::new();
        for op in operations {
            if self.key.is_empty() {
                self.rows.push(op.row.clone());
                continue;
            }
            let key = format!("{:?}", self.key.iter().map(|at| &op.row[*at]).collect::<Vec<_>>());
            newest.insert(key.clone(), op);
            match op.kind {
                RowKind::Insert | RowKind::UpdateAfter => drop(self.by_key.insert(key, op.row.clone())),
                RowKind::UpdateBefore | RowKind::Delete => drop(self.by_key.remove(&key)),
            }
        }
        let changes: Vec<(RowKind, &Row)> = match self.input || self.key.is_empty() {
            true => operations.iter().map(|op| (op.kind, &op.row)).collect(),
            false => newest.values().map(|op| (op.kind, &op.row)).collect(),
        };
        if !changes.is_empty() {
            self.view.changes.insert(*snapshots.start(), texts(changes));
        }
        self.stand(snapshots);
    }

    /// Notes snapshots that changed no row.
    pub fn stand(&mut self, snapshots: RangeInclusive<i64>) {
        for snapshot in snapshots {
            self.view.rows.insert(snapshot, texts(self.rows.iter().chain(self.by_key.values())));
        }
    }

    /// What the table must show.
    pub fn view(&self) -> &View {
        &self.view
    }
}
