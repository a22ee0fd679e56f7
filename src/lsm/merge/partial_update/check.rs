//! Whether the options of a partial-update table fit each other and its columns, by Paimon's rules.
//! Spec: `format-spec/merge-tree.md`, partial-update.

use crate::error::{Error, Result};
use crate::schema::{Schema, TableOptions};

/// The name of a column's aggregate function.
pub(super) fn function_of<'a>(options: &'a TableOptions, column: &str) -> Option<&'a str> {
    let own = options.merge.columns.get(column).and_then(|column| column.function.as_deref());
    own.or(options.merge.default_function.as_deref())
}

/// Whether the options fit each other and the columns.
pub(super) fn check(schema: &Schema, options: &TableOptions) -> Result<()> {
    let merge = &options.merge;
    let contradict = |a: &str, b: &str| Err(Error::invalid(format!("options {a} and {b} contradict each other")));
    let (on_delete, on_group) =
        ("partial-update.remove-record-on-delete", "partial-update.remove-record-on-sequence-group");
    if merge.partial_update_removes && options.ignore_delete {
        return contradict(on_delete, "ignore-delete");
    }
    if merge.removing_columns.is_some() && options.ignore_delete {
        return contradict(on_group, "ignore-delete");
    }
    if merge.partial_update_removes && !merge.groups.is_empty() {
        return contradict(on_delete, "fields.<columns>.sequence-group");
    }
    let mut members = Vec::new();
    let mut order = Vec::new();
    for group in &merge.groups {
        let name = format!("fields.{}.sequence-group", group.order.join(","));
        for column in group.order.iter().chain(&group.columns) {
            schema.require(column).map_err(|_| Error::invalid(format!("option {name}: {column:?} is no column")))?;
            if schema.primary_keys.contains(column) {
                return Err(Error::invalid(format!("option {name}: {column:?} is of the primary key")));
            }
        }
        for column in &group.order {
            if order.contains(&column) {
                return Err(Error::unsupported(format!("option {name}: {column:?} orders another group too")));
            }
            order.push(column);
        }
        for column in group.columns.iter().filter(|column| !group.order.contains(column)) {
            if members.contains(&column) {
                return Err(Error::invalid(format!("option {name}: {column:?} is of another group too")));
            }
            members.push(column);
        }
    }
    if let Some(column) = members.iter().find(|column| order.contains(*column)) {
        return Err(Error::unsupported(format!("column {column:?} orders one sequence group and is of another")));
    }
    if let Some(column) = merge.removing_columns.iter().flatten().find(|column| !order.contains(column)) {
        return Err(Error::invalid(format!("option {on_group}: {column:?} orders no sequence group")));
    }
    for field in &schema.fields {
        let name = &field.name;
        let plain = schema.primary_keys.contains(name) || order.contains(&name) || members.contains(&name);
        if let Some(function) = function_of(options, name).filter(|_| !plain)
            && function != "last_non_null_value"
        {
            return Err(Error::invalid(format!(
                "aggregate function {function} of column {name:?} needs a sequence group in partial-update"
            )));
        }
    }
    Ok(())
}
