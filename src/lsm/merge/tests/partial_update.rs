//! Merge engine `partial-update`, case by case.

use super::*;

fn plain(options: &[(&str, &str)]) -> Schema {
    table(&[("a", "INT"), ("s", "STRING")], &[&[("merge-engine", "partial-update")], options].concat())
}

#[test]
fn values_that_are_not_null_overwrite() {
    check(
        &plain(&[]),
        &[
            ("+I 1 x | +I _ y", "+I 1 y"),
            ("+I 1 x | +U 2 _", "+I 2 x"),
            ("+I _ _ | +U _ _", "+I _ _"),
            ("+U 1 x", "+U 1 x"),
            ("-D 1 x", "-D 1 x"),
            ("+I 1 x | -D 1 x", "partial-update takes no -U and -D"),
            ("-U 1 x | +I 2 y", "partial-update takes no -U and -D"),
        ],
    );
}

#[test]
fn ignored_retractions_fill_a_row_that_has_nothing_yet() {
    check(
        &plain(&[("ignore-delete", "true")]),
        &[
            ("+I 1 x | -D 9 _ | +I _ y", "+I 1 y"),
            ("-D 9 z | +I _ y", "+I 9 y"),
            ("-D 9 z | -D 8 _", "-D 9 z"),
            ("+I 1 x | -D 9 z", "+I 1 x"),
        ],
    );
}

#[test]
fn a_delete_may_remove_the_row() {
    check(
        &plain(&[("partial-update.remove-record-on-delete", "true")]),
        &[
            ("+I 1 x | -D 1 _", "-D 1 _"),
            ("+I 1 x | -D 9 _ | +I _ y", "+I 9 y"),
            ("+I 1 x | -U 9 z", "+I 1 x"),
            ("-U 9 z | +I _ y", "+I 9 y"),
            ("-U 9 z | -U 8 y", "-D 9 z"),
            ("+I 1 x | -D 2 y | -U 3 z", "+I 2 y"),
        ],
    );
}

fn grouped(options: &[(&str, &str)]) -> Schema {
    let columns = [("a", "INT"), ("b", "STRING"), ("g", "INT"), ("c", "INT"), ("h", "INT"), ("i", "INT"), ("f", "INT")];
    let groups =
        [("merge-engine", "partial-update"), ("fields.g.sequence-group", "a,b"), ("fields.h,i.sequence-group", "c")];
    table(&columns, &[&groups[..], options].concat())
}

#[test]
fn groups_follow_their_own_sequence() {
    check(
        &grouped(&[]),
        &[
            // An older version of the first group comes with a newer one of the second.
            ("+I 1 x 5 1 5 5 1 | +I 2 y 4 2 5 6 2", "+I 1 x 5 2 5 6 2"),
            // Equal sequences overwrite, NULL too.
            ("+I 1 x 5 1 5 5 1 | +I _ y 5 _ 5 5 _", "+I _ y 5 _ 5 5 1"),
            // A group without a sequence says nothing; part of one is NULL, the lowest.
            ("+I 1 x 5 1 5 5 1 | +I 2 y _ 2 _ 9 _", "+I 1 x 5 1 5 5 1"),
            ("+I 1 x _ 1 _ _ 1 | +I _ _ _ _ _ _ 2", "+I _ _ _ _ _ _ 2"),
            ("+I 1 x 5 1 _ 5 1 | +I 2 y 6 2 _ 6 _", "+I 2 y 6 2 _ 6 1"),
        ],
    );
}

#[test]
fn retractions_take_back_the_columns_of_a_group() {
    check(
        &grouped(&[]),
        &[
            ("+I 1 x 5 1 5 5 1 | -D 9 z 6 9 4 9 9", "+I _ _ 6 1 5 5 1"),
            ("+I 1 x 5 1 5 5 1 | -U 9 z 5 9 _ _ 9", "+I _ _ 5 1 5 5 1"),
            ("+I 1 x 5 1 5 5 1 | -D 9 z 6 9 4 9 9 | +I 2 y 5 2 6 0 _", "+I _ _ 6 2 6 0 1"),
            // Nothing was there: the retraction's own values come first.
            ("-D 9 z 6 9 _ _ 9 | -D 8 y 5 8 _ _ 8", "-D _ _ 6 9 _ _ 9"),
            ("-D 9 z 6 9 _ _ 9 | +I 1 x 5 1 1 1 1", "+I _ _ 6 1 1 1 1"),
        ],
    );
}

#[test]
fn a_delete_of_one_group_may_remove_the_row() {
    check(
        &grouped(&[("partial-update.remove-record-on-sequence-group", "g")]),
        &[
            ("+I 1 x 5 1 5 5 1 | -D 9 z 6 _ _ _ _", "-D 9 z 6 _ _ _ _"),
            ("+I 1 x 5 1 5 5 1 | -U 9 z 6 _ _ _ _", "+I _ _ 6 1 5 5 1"),
            ("+I 1 x 5 1 5 5 1 | -D 9 z 4 2 6 6 _", "+I 1 x 5 _ 6 6 1"),
            ("+I 1 x 5 1 5 5 1 | -D 9 z _ 2 6 6 _", "+I 1 x 5 _ 6 6 1"),
            ("+I 1 x 5 1 5 5 1 | -D 9 z 6 _ _ _ _ | +I _ y 7 2 1 1 _", "+I _ y 7 2 1 1 _"),
            ("-D 9 z 6 7 8 9 9 | +I 1 y 5 1 9 1 _", "+I 9 z 6 1 9 1 9"),
        ],
    );
}

fn folded(function: &str) -> Schema {
    let options = [
        ("merge-engine", "partial-update"),
        ("fields.g.sequence-group", "a,s"),
        ("fields.a.aggregate-function", function),
        ("fields.s.aggregate-function", "listagg"),
        ("fields.s.ignore-retract", "true"),
    ];
    table(&[("a", "INT"), ("s", "STRING"), ("g", "INT")], &options)
}

#[test]
fn aggregates_of_a_group_take_late_versions_as_if_they_had_come_first() {
    let text = "+I 5 x 5 | +I 3 y 4 | +I 4 z 6";
    for (function, wanted) in [
        ("sum", "12"),
        ("max", "5"),
        ("min", "3"),
        ("last_value", "4"),
        ("last_non_null_value", "4"),
        ("first_value", "3"),
        ("first_non_null_value", "3"),
    ] {
        check(&folded(function), &[(text, &format!("+I {wanted} y,x,z 6"))]);
    }
    // A late NULL takes the place of the first value that is not NULL, as it does in Paimon.
    check(&folded("first_non_null_value"), &[("+I 5 x 5 | +I _ y 4", "+I _ y,x 5")]);
    check(
        &folded("last_non_null_value"),
        &[("+I _ x 5 | +I 3 y 4", "+I 3 y,x 5"), ("+I 5 x 5 | +I _ _ 6", "+I 5 x 6")],
    );
    check(&folded("last_value"), &[("+I 5 x 5 | +I _ _ 6", "+I _ x 6"), ("+I _ x 5 | +I 3 y 4", "+I _ y,x 5")]);
}

#[test]
fn aggregates_of_a_group_take_retractions_back_late_or_not() {
    check(
        &folded("sum"),
        &[
            ("+I 5 x 5 | -U 3 y 4", "+I 2 x 5"),
            ("+I 5 x 5 | -D 3 y 6", "+I 2 x 6"),
            ("-D 3 y 6 | +I 5 x 7", "+I 5 y,x 7"),
            ("-D 3 y _ | +I 5 x 7", "+I 8 y,x 7"),
        ],
    );
    check(&folded("last_value"), &[("+I 5 x 5 | -D 3 y 4", "+I _ x 5")]);
    check(&folded("max"), &[("+I 5 x 5 | -D 3 y 4", "fields.a.ignore-retract")]);
}

#[test]
fn options_that_contradict_are_refused_by_name() {
    let columns = [("a", "INT"), ("b", "INT"), ("g", "INT"), ("h", "INT")];
    let engine = ("merge-engine", "partial-update");
    let group = ("fields.g.sequence-group", "a");
    let on_delete = ("partial-update.remove-record-on-delete", "true");
    let on_group = "partial-update.remove-record-on-sequence-group";
    let ignore = ("ignore-delete", "true");
    for (options, name) in [
        (vec![on_delete, ignore], "ignore-delete"),
        (vec![group, (on_group, "g"), ignore], on_group),
        (vec![group, on_delete], "remove-record-on-delete"),
        (vec![group, (on_group, "h")], "\"h\""),
        (vec![("fields.g.sequence-group", "a,none")], "\"none\""),
        (vec![("fields.g.sequence-group", "a, b")], "\" b\""),
        (vec![("fields.g.sequence-group", "k")], "primary key"),
        (vec![group, ("fields.h.sequence-group", "a")], "another group"),
        (vec![group, ("fields.g,h.sequence-group", "b")], "orders another group"),
        (vec![group, ("fields.h.sequence-group", "g")], "\"g\""),
        (vec![("fields.a.aggregate-function", "sum")], "needs a sequence group"),
        (vec![("fields.default-aggregate-function", "max")], "needs a sequence group"),
        (vec![group, ("fields.a.aggregate-function", "collect")], "collect"),
        (vec![group, ("fields.a.aggregate-function", "summ")], "summ"),
    ] {
        refused(&table(&columns, &[&[engine], &options[..]].concat()), name);
    }
    let fine = [engine, group, ("fields.default-aggregate-function", "last_non_null_value")];
    assert!(function_of(&table(&columns, &fine)).is_ok());
}
