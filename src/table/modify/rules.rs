//! What may be deleted and updated: Paimon's rules for statements on key tables, and what would silently do nothing is
//! refused besides.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::predicate::{Assigned, Assignment};
use crate::schema::{BucketMode, MergeEngine, Schema, TableOptions};

/// Assignments with values of their columns' types, each column once.
pub(super) fn bind(schema: &Schema, assignments: &[Assignment]) -> Result<Vec<Assignment>> {
    if assignments.is_empty() {
        return Err(Error::invalid("an update that sets no column"));
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = assignments.iter().find(|assignment| !names.insert(&assignment.column)) {
        return Err(Error::invalid(format!("column {} is set twice", twice.column)));
    }
    assignments.iter().map(|assignment| assignment.bind(schema)).collect()
}

fn check_buckets(options: &TableOptions, what: &str) -> Result<()> {
    match options.bucket {
        BucketMode::Postpone => Err(Error::unsupported(format!(
            "{what} rows of a table with postponed buckets: what waits is not seen, and the change would wait too"
        ))),
        _ => Ok(()),
    }
}

/// Rows that are written again would get other ids.
pub(super) fn check_row_ids(options: &TableOptions, updates: bool) -> Result<()> {
    if !options.row_tracking || (options.deletion_vectors && !updates) {
        return Ok(());
    }
    Err(Error::unsupported(match updates {
        true => "updating rows of a table with row-tracking.enabled: they would get other row ids",
        false => {
            "deleting rows of a table with row-tracking.enabled and without deletion-vectors.enabled: the rows beside them \
             would get other row ids"
        }
    }))
}

/// Whether rows of a key table can be deleted.
pub(super) fn check_delete(schema: &Schema, options: &TableOptions) -> Result<()> {
    check_buckets(options, "deleting")?;
    if options.ignore_delete {
        return Err(Error::unsupported("deleting rows with option ignore-delete, which drops every delete"));
    }
    let merge = &options.merge;
    let needs = match options.merge_engine {
        MergeEngine::Deduplicate => return Ok(()),
        MergeEngine::PartialUpdate if merge.partial_update_removes || merge.removing_columns.is_some() => return Ok(()),
        MergeEngine::Aggregation if merge.aggregation_removes => return Ok(()),
        MergeEngine::PartialUpdate => {
            "partial-update without option partial-update.remove-record-on-delete or \
             partial-update.remove-record-on-sequence-group"
        }
        MergeEngine::Aggregation => "aggregation without option aggregation.remove-record-on-delete",
        MergeEngine::FirstRow => "first-row",
    };
    let partitions = match schema.partition_keys.is_empty() {
        true => "",
        false => "; whole partitions can be deleted",
    };
    Err(Error::unsupported(format!("deleting rows under merge engine {needs}{partitions}")))
}

/// Whether columns of a key table can be set.
pub(super) fn check_update(schema: &Schema, options: &TableOptions, assignments: &[Assignment]) -> Result<()> {
    check_buckets(options, "updating")?;
    let partial = match options.merge_engine {
        MergeEngine::Deduplicate => false,
        MergeEngine::PartialUpdate => true,
        MergeEngine::Aggregation => return Err(Error::unsupported("updating rows under merge engine aggregation")),
        MergeEngine::FirstRow => return Err(Error::unsupported("updating rows under merge engine first-row")),
    };
    let aggregates = options.merge.default_function.is_some()
        || options.merge.columns.values().any(|column| column.function.is_some());
    if partial && aggregates {
        return Err(Error::unsupported("updating rows under merge engine partial-update with aggregate functions"));
    }
    for Assignment { column, value } in assignments {
        if schema.primary_keys.contains(column) {
            return Err(Error::unsupported(format!("updating column {column} of the primary key")));
        }
        if schema.partition_keys.contains(column) && (partial || options.bucket != BucketMode::KeyDynamic) {
            return Err(Error::unsupported(format!("updating partition column {column}: its key would stay behind")));
        }
        let orders = options.merge.groups.iter().any(|group| group.order.contains(column));
        if options.sequence_fields.contains(column) || orders {
            return Err(Error::unsupported(format!(
                "updating column {column}, which orders the versions of a key: an older value would lose"
            )));
        }
        if partial && *value == Assigned::Null {
            return Err(Error::unsupported(format!(
                "setting column {column} to NULL under merge engine partial-update, where NULL changes nothing"
            )));
        }
    }
    Ok(())
}
