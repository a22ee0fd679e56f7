//! Engines that choose whole rows, keys with one version, and tables whose upper levels are states.

use super::*;

#[test]
fn first_row_keeps_the_oldest_version_and_takes_no_retraction() {
    let schema = table(&[("a", "INT")], &[("merge-engine", "first-row")]);
    check(
        &schema,
        &[
            ("+I 1", "+I 1"),
            ("+U 1 | +I 2", "+U 1"),
            ("+I _ | +I 2", "+I _"),
            ("-D 1", "-D 1"),
            ("+I 1 | -D 1", "ignore-delete"),
            ("-U 1 | +I 1", "ignore-delete"),
        ],
    );
    let schema = table(&[("a", "INT")], &[("merge-engine", "first-row"), ("ignore-delete", "true")]);
    check(&schema, &[("-D 1 | +I 2 | +I 3", "+I 2"), ("-D 1 | -U 2", ""), ("-D 1", "-D 1")]);
}

#[test]
fn deduplicate_keeps_the_newest_version_whole() {
    let schema = table(&[("a", "INT")], &[]);
    check(&schema, &[("+I 1 | +U _", "+U _"), ("+I 1 | -D 1", "-D 1"), ("-D 1 | +I 2", "+I 2")]);
    let schema = table(&[("a", "INT")], &[("ignore-delete", "true")]);
    check(&schema, &[("+I 1 | -D 1", "+I 1"), ("-D 1 | -U 2", "")]);
}

#[test]
fn a_single_version_is_merged_only_where_that_is_asked_for() {
    let schema = table(&[("a", "INT")], &[("merge-engine", "aggregation"), ("fields.a.aggregate-function", "sum")]);
    assert_eq!(merged(&schema, "-D 5"), "-D 5");
    assert_eq!(merged(&schema, "+U 5"), "+U 5");
    assert_eq!(merged_as(&schema, "-D 5", [0; 3], Single::Merge), "+I -5");
    assert_eq!(merged_as(&schema, "+U 5", [0; 3], Single::Merge), "+I 5");
    assert_eq!(merged_as(&schema, "-D 5", [0; 3], Single::MergeWhere(&[false])), "-D 5");
    assert_eq!(merged_as(&schema, "-D 5", [0; 3], Single::MergeWhere(&[true])), "+I -5");

    let groups = [("merge-engine", "partial-update"), ("fields.g.sequence-group", "a")];
    let schema = table(&[("a", "INT"), ("g", "INT")], &groups);
    assert_eq!(merged(&schema, "+I 5 _"), "+I 5 _");
    assert_eq!(merged_as(&schema, "+I 5 _", [0; 3], Single::Merge), "+I _ _");
}

#[test]
fn of_the_levels_above_0_only_the_lowest_counts_where_compaction_looks_old_rows_up() {
    let options = [("merge-engine", "aggregation"), ("fields.a.aggregate-function", "sum")];
    let plain = table(&[("a", "INT")], &options);
    let states = table(&[("a", "INT")], &[options[0], options[1], ("changelog-producer", "lookup")]);
    for (levels, all, counted) in [
        ([5, 4, 0], "+I 111", "+I 110"),
        ([4, 5, 0], "+I 111", "+I 101"),
        ([5, 0, 0], "+I 111", "+I 111"),
        ([5, 4, 3], "+I 111", "+I 100"),
        ([0, 0, 0], "+I 111", "+I 111"),
    ] {
        let text = "+I 1 | +I 10 | +I 100";
        assert_eq!(merged_as(&plain, text, levels, Single::Keep), all, "{levels:?}");
        assert_eq!(merged_as(&states, text, levels, Single::Keep), counted, "{levels:?}");
    }
    // What is left alone is merged nevertheless.
    assert_eq!(merged_as(&states, "-D 1 | -D 10", [5, 4, 0], Single::Keep), "+I -10");
    assert_eq!(merged_as(&states, "-D 1", [5, 4, 0], Single::Keep), "-D 1");
}

#[test]
fn a_projection_takes_in_what_its_groups_need() {
    let columns = [("a", "INT"), ("b", "INT"), ("c", "INT"), ("g", "INT"), ("h", "INT"), ("i", "INT")];
    let groups =
        [("merge-engine", "partial-update"), ("fields.g.sequence-group", "a"), ("fields.h,i.sequence-group", "b")];
    let needed =
        |schema: &Schema, shown: &[usize]| columns_for(schema, &TableOptions::parse(schema).unwrap(), shown).unwrap();
    let schema = table(&columns, &groups);
    assert_eq!(needed(&schema, &[0, 1]), [0, 1, 4]);
    assert_eq!(needed(&schema, &[2]), [2, 5, 6]);
    assert_eq!(needed(&schema, &[3]), [3]);
    assert_eq!(needed(&schema, &[6]), [5, 6]);
    let removing = [&groups[..], &[("partial-update.remove-record-on-sequence-group", "i")]].concat();
    assert_eq!(needed(&table(&columns, &removing), &[3]), [3, 5, 6]);
    let plain = table(&columns, &[("merge-engine", "aggregation")]);
    assert_eq!(needed(&plain, &[3]), [3]);
}
