//! Merge engine `partial-update`: columns that are not NULL overwrite, groups of columns follow their own sequence.
//!
//! First every version is asked what it does to each group of columns (a [`Step`] each), then every column follows the
//! steps of its group by itself. Columns of no group share the steps of `free`.

mod check;

use self::check::{check, function_of};
use super::fold::ColumnFold;
use super::steps::Step;
use super::{MergeFunction, Merged, Versions};
use crate::error::{Error, Result};
use crate::lsm::SequenceOrder;
use crate::schema::{Schema, SequenceGroup, TableOptions};
use crate::types::RowKind;

#[derive(Debug)]
pub(super) struct PartialUpdate {
    ignore_delete: bool,
    /// A `-D` removes the row.
    removes: bool,
    /// The table has groups, whether or not the columns at hand are of them.
    grouped: bool,
    groups: Vec<Group>,
    /// Value columns with their fold and their group; `None` is no group.
    columns: Vec<(usize, ColumnFold, Option<usize>)>,
}

/// A sequence group.
#[derive(Debug)]
struct Group {
    /// Its sequence columns among the value columns.
    order: Vec<usize>,
    comparator: SequenceOrder,
    /// A `-D` of it removes the row.
    removes: bool,
}

/// The positions in the schema that the groups of columns need beside these.
pub(super) fn columns_for(schema: &Schema, options: &TableOptions, shown: &[usize]) -> Result<Vec<usize>> {
    let mut needed = shown.to_vec();
    for group in &options.merge.groups {
        let order = schema.positions(&group.order)?;
        let members = schema.positions(&group.columns)?;
        // A group that removes rows changes every column.
        if removes(options, group) || order.iter().chain(&members).any(|at| shown.contains(at)) {
            needed.extend(order);
        }
    }
    needed.sort_unstable();
    needed.dedup();
    Ok(needed)
}

fn removes(options: &TableOptions, group: &SequenceGroup) -> bool {
    let removing = options.merge.removing_columns.iter().flatten();
    removing.into_iter().any(|name| group.order.contains(name))
}

impl PartialUpdate {
    pub(super) fn of(schema: &Schema, options: &TableOptions, columns: &[usize]) -> Result<Self> {
        check(schema, options)?;
        let merge = &options.merge;
        let place = |at: &usize| columns.iter().position(|other| other == at);
        let mut groups = Vec::new();
        let mut group_of = vec![None; schema.fields.len()];
        for group in &merge.groups {
            let order = schema.positions(&group.order)?;
            let members = schema.positions(&group.columns)?;
            if !removes(options, group) && !order.iter().chain(&members).any(|at| columns.contains(at)) {
                continue;
            }
            let places = order.iter().map(place).collect::<Option<Vec<_>>>();
            let places = places.ok_or_else(|| Error::bug("a merge lacks the sequence columns of a group"))?;
            for at in members.into_iter().chain(order) {
                group_of[at] = Some(groups.len());
            }
            let types = schema.types_of(&group.order)?;
            groups.push(Group {
                comparator: SequenceOrder::new((0..types.len()).collect(), &types, false)?,
                order: places,
                removes: removes(options, group),
            });
        }
        let mut folds = Vec::with_capacity(columns.len());
        for (place, at) in columns.iter().enumerate() {
            let field = &schema.fields[*at];
            if schema.primary_keys.contains(&field.name) {
                continue;
            }
            let group = group_of[*at];
            let fold = match (group, function_of(options, &field.name)) {
                (Some(group), _) if groups[group].order.contains(&place) => ColumnFold::sequence(field),
                (Some(_), None) => ColumnFold::grouped(field),
                (Some(_), Some(function)) => {
                    let of = merge.columns.get(&field.name).cloned().unwrap_or_default();
                    ColumnFold::of(field, function, &of)?
                }
                (None, _) => ColumnFold::overwritten(field),
            };
            folds.push((place, fold, group));
        }
        Ok(Self {
            ignore_delete: options.ignore_delete,
            removes: merge.partial_update_removes,
            grouped: !merge.groups.is_empty(),
            groups,
            columns: folds,
        })
    }
}

/// What the versions do to every group, and to columns of none.
struct Steps {
    free: Vec<Step>,
    groups: Vec<Vec<Step>>,
}

impl Steps {
    fn take_all(&mut self, position: usize) {
        self.free[position] = Step::Take;
        self.groups.iter_mut().for_each(|steps| steps[position] = Step::Take);
    }
}

/// The sequence of one group for all versions.
struct GroupOrder {
    rows: arrow_row::Rows,
    /// Versions whose sequence columns are all NULL.
    empty: Vec<bool>,
    /// The version that the row's sequence columns are of.
    current: Option<usize>,
}

impl GroupOrder {
    fn of(group: &Group, versions: &Versions<'_>) -> Result<Self> {
        let mut columns = Vec::with_capacity(group.order.len());
        for at in &group.order {
            columns.push(versions.column(*at)?);
        }
        let nulls: Vec<_> = columns.iter().map(|column| column.logical_nulls()).collect();
        let is_null = |at: usize| nulls.iter().all(|nulls| nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)));
        let empty = (0..versions.rows.len()).map(is_null).collect();
        Ok(Self { rows: group.comparator.encode(&columns)?, empty, current: None })
    }

    /// Whether a version is older than what the row holds.
    fn is_late(&self, position: usize) -> bool {
        self.current.is_some_and(|current| self.rows.row(position) < self.rows.row(current))
    }
}

/// What the versions seen so far made of a key.
#[derive(Default)]
struct KeyState {
    filled: bool,
    added: bool,
    removed: bool,
}

impl PartialUpdate {
    /// What a retraction does. Gives whether it removes the row.
    fn retract(&self, at: usize, kind: i8, first: bool, steps: &mut Steps, orders: &mut [GroupOrder]) -> Result<bool> {
        let delete = kind == RowKind::Delete as i8;
        if self.grouped {
            for (group, order) in self.groups.iter().zip(orders.iter()) {
                if delete && group.removes && !order.empty[at] && !order.is_late(at) {
                    take_row(at, steps, orders);
                    return Ok(true);
                }
            }
            for (order, steps) in orders.iter_mut().zip(&mut steps.groups) {
                if order.empty[at] {
                    continue;
                }
                if order.is_late(at) {
                    steps[at] = Step::RetractBefore;
                    continue;
                }
                order.current = Some(at);
                steps[at] = if first { Step::TakeRetract } else { Step::Retract };
            }
            return Ok(false);
        }
        if self.removes {
            if delete {
                take_row(at, steps, orders);
            }
            return Ok(delete);
        }
        Err(Error::invalid(
            "merge engine partial-update takes no -U and -D rows as they are: option ignore-delete drops them, \
             partial-update.remove-record-on-delete lets a -D remove the row, fields.<columns>.sequence-group takes back \
             the columns of a group",
        ))
    }

    fn add(&self, at: usize, steps: &mut Steps, orders: &mut [GroupOrder]) {
        steps.free[at] = Step::Add;
        for (order, steps) in orders.iter_mut().zip(&mut steps.groups) {
            if order.empty[at] {
                continue;
            }
            let late = order.is_late(at);
            steps[at] = if late { Step::AddBefore } else { Step::Add };
            if !late {
                order.current = Some(at);
            }
        }
    }
}

/// The row becomes that of a version.
fn take_row(at: usize, steps: &mut Steps, orders: &mut [GroupOrder]) {
    steps.take_all(at);
    orders.iter_mut().for_each(|order| order.current = Some(at));
}

impl MergeFunction for PartialUpdate {
    fn merge(&self, versions: &Versions<'_>) -> Result<Merged> {
        let count = versions.rows.len();
        if versions.keeps_all() {
            return Ok(Merged::of_picks((0..count as u32).collect()));
        }
        let mut orders = self.groups.iter().map(|group| GroupOrder::of(group, versions)).collect::<Result<Vec<_>>>()?;
        let mut steps = Steps { free: vec![Step::Skip; count], groups: vec![vec![Step::Skip; count]; orders.len()] };
        let mut picks = Vec::with_capacity(versions.ends.len());
        let mut kinds = Vec::with_capacity(versions.ends.len());
        for (key, positions) in versions.keys().enumerate() {
            if versions.keeps(key, &positions) {
                steps.take_all(positions.start);
                picks.push(positions.start as u32);
                kinds.push(versions.kind(positions.start));
                continue;
            }
            orders.iter_mut().for_each(|order| order.current = None);
            let mut state = KeyState::default();
            // A retraction that is ignored leaves the row its sequence number.
            let mut newest = None;
            let last = positions.end - 1;
            for at in positions {
                state.removed = false;
                let kind = versions.kind(at);
                if !RowKind::retracts(kind) {
                    self.add(at, &mut steps, &mut orders);
                    (state.added, state.filled) = (true, true);
                    newest = Some(at);
                    continue;
                }
                let first = !std::mem::replace(&mut state.filled, true);
                if first {
                    take_row(at, &mut steps, &mut orders);
                }
                if !self.ignore_delete {
                    state.removed = self.retract(at, kind, first, &mut steps, &mut orders)?;
                    newest = Some(at);
                }
            }
            picks.push(newest.unwrap_or(last) as u32);
            kinds.push(if state.removed || !state.added { RowKind::Delete } else { RowKind::Insert } as i8);
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (place, fold, group) in &self.columns {
            let steps = group.map_or(&steps.free, |group| &steps.groups[group]);
            columns.push((*place, fold.run(versions, *place, steps)?));
        }
        Ok(Merged { picks, kinds: (!versions.has_no_kinds()).then_some(kinds), columns })
    }

    /// Retractions leave a row what its values do not tell: columns of a group that has no sequence yet, and whether a
    /// first value was there. So does a first value that a late NULL replaced.
    fn folds_beginnings(&self, retracts: bool) -> bool {
        let tells =
            |(_, fold, group): &(usize, ColumnFold, Option<usize>)| group.is_none() || !fold.keeps_first_value();
        !retracts && self.columns.iter().all(tells)
    }
}
