//! Tables of merge engines that fold: writers with little memory, conditions, projections and refusals.

use std::collections::BTreeMap;

use forebay::commit::CommitProperties;
use forebay::schema::Schema;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::support::{Row, all_rows, as_set, changes, lanes};

fn schema(columns: &[(&str, &str)], options: &[(&str, &str)]) -> Schema {
    let mut builder = Schema::builder().column("k", DataType::INT).primary_key(["k"]).option("bucket", "1");
    for (name, data_type) in columns {
        builder = builder.column(*name, data_type.parse::<DataType>().unwrap());
    }
    options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap()
}

async fn create(place: &tempfile::TempDir, schema: Schema) -> Result<Table, Error> {
    Table::create(place.path().join("t").to_str().unwrap(), schema, []).await
}

async fn commit(table: &Table, identifier: i64, rows: &[(RowKind, Row)]) -> Result<(), Error> {
    let mut writer = table.stream_writer("w").await?;
    writer.write(&changes(table.schema(), rows)).await?;
    let messages = writer.prepare_commit().await?;
    let mut committer = table.committer("w")?;
    committer.commit(identifier, messages, CommitProperties::default()).await?.snapshot_id().map(drop)
}

fn added(values: &[Option<i32>]) -> (RowKind, Row) {
    (RowKind::Insert, values.iter().map(|value| value.map_or(Datum::Null, Datum::Int)).collect())
}

async fn rows(table: &Table) -> Vec<Row> {
    all_rows(table.schema(), table.scan().read().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_writer_with_little_memory_folds_every_row_once() {
    for spillable in ["true", "false"] {
        let place = tempfile::tempdir().unwrap();
        let options = [
            ("merge-engine", "aggregation"),
            ("fields.total.aggregate-function", "sum"),
            ("fields.most.aggregate-function", "max"),
            ("fields.first.aggregate-function", "first_value"),
            ("write-buffer-size", "256 kb"),
            ("write-buffer-spillable", spillable),
        ];
        let columns = [("total", "BIGINT"), ("most", "INT"), ("first", "INT"), ("last", "INT")];
        let table = create(&place, schema(&columns, &options)).await.unwrap();
        let row = |n: i32| {
            let (key, value) = (n.wrapping_mul(7919) % 300, n.wrapping_mul(31) % 1000);
            vec![Datum::Int(key), Datum::BigInt(value.into()), Datum::Int(value), Datum::Int(n), Datum::Int(n)]
        };
        let mut wanted: BTreeMap<i32, (i64, i32, i32, i32)> = BTreeMap::new();
        let mut writer = table.stream_writer("w").await.unwrap();
        for start in (0..20_000).step_by(500) {
            let batch: Vec<Row> = (start..start + 500).map(row).collect();
            writer.upsert(&lanes(table.schema(), &batch)).await.unwrap();
            for n in start..start + 500 {
                let (key, value) = (n.wrapping_mul(7919) % 300, n.wrapping_mul(31) % 1000);
                let entry = wanted.entry(key).or_insert((0, value, n, n));
                *entry = (entry.0 + i64::from(value), entry.1.max(value), entry.2, n);
            }
        }
        let messages = writer.prepare_commit().await.unwrap();
        let files: usize = messages.iter().map(|message| message.new_files.len()).sum();
        assert_eq!(files > 1, spillable == "false", "{files} files");
        let mut committer = table.committer("w").unwrap();
        committer.commit(1, messages, CommitProperties::default()).await.unwrap();
        let wanted = wanted.into_iter().map(|(key, (total, most, first, last))| {
            vec![Datum::Int(key), Datum::BigInt(total), Datum::Int(most), Datum::Int(first), Datum::Int(last)]
        });
        assert_eq!(as_set(rows(&table).await), as_set(wanted), "spillable {spillable}");
    }
}

#[tokio::test]
async fn conditions_see_what_is_merged_and_not_what_the_files_hold() {
    let place = tempfile::tempdir().unwrap();
    let options = [("merge-engine", "aggregation"), ("fields.a.aggregate-function", "sum")];
    let table = create(&place, schema(&[("a", "INT"), ("b", "INT")], &options)).await.unwrap();
    commit(&table, 1, &[added(&[Some(1), Some(10), Some(1)]), added(&[Some(2), Some(5), None])]).await.unwrap();
    commit(&table, 2, &[added(&[Some(1), Some(20), None]), added(&[Some(2), Some(5), Some(2)])]).await.unwrap();
    for (text, keys) in [
        ("a = 30", vec![1]),
        ("a > 25", vec![1]),
        ("a = 20", vec![]),
        ("a = 10", vec![2]),
        ("a = 30 and b = 1", vec![1]),
        ("a < 25 and b = 2", vec![2]),
        ("b is null", vec![]),
    ] {
        let filter = forebay::predicate::parse(text, table.schema()).unwrap();
        let scan = table.scan().filter(filter).select(["k"]);
        let found = all_rows(table.schema(), scan.read().await.unwrap()).await.unwrap();
        let wanted: Vec<Row> = keys.into_iter().map(|key| vec![Datum::Int(key)]).collect();
        assert_eq!(found, wanted, "{text}");
    }
}

#[tokio::test]
async fn a_column_of_a_group_is_shown_without_the_columns_that_order_it() {
    let place = tempfile::tempdir().unwrap();
    let options = [
        ("merge-engine", "partial-update"),
        ("fields.g.sequence-group", "a"),
        ("fields.h.sequence-group", "b"),
        ("partial-update.remove-record-on-sequence-group", "h"),
    ];
    let columns = [("a", "INT"), ("g", "INT"), ("b", "INT"), ("h", "INT"), ("c", "INT")];
    let table = create(&place, schema(&columns, &options)).await.unwrap();
    let row = |kind: RowKind, values: [i32; 6]| (kind, values.map(Datum::Int).to_vec());
    let first = [row(RowKind::Insert, [1, 10, 5, 10, 5, 1]), row(RowKind::Insert, [2, 10, 5, 10, 5, 1])];
    commit(&table, 1, &first).await.unwrap();
    let second = [row(RowKind::Insert, [1, 20, 4, 20, 6, 2]), row(RowKind::Delete, [2, 0, 0, 0, 9, 0])];
    commit(&table, 2, &second).await.unwrap();
    let all = rows(&table).await;
    assert_eq!(all, [[1, 10, 5, 20, 6, 2].map(Datum::Int).to_vec()]);
    for (at, name) in ["k", "a", "g", "b", "h", "c"].iter().enumerate() {
        let scan = table.scan().select([*name]);
        let found = all_rows(table.schema(), scan.read().await.unwrap()).await.unwrap();
        assert_eq!(found, [[all[0][at].clone()]], "{name}");
    }
}

#[tokio::test]
async fn what_an_engine_refuses_leaves_the_table_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let table = create(&place, schema(&[("a", "INT")], &[("merge-engine", "partial-update")])).await.unwrap();
    commit(&table, 1, &[added(&[Some(1), Some(1)])]).await.unwrap();
    let taken = (RowKind::Delete, vec![Datum::Int(1), Datum::Int(1)]);
    let error = commit(&table, 2, &[added(&[Some(1), Some(2)]), taken.clone()]).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.contains("ignore-delete")), "{error}");
    assert_eq!(rows(&table).await, [[1, 1].map(Datum::Int).to_vec()]);
    assert_eq!(std::fs::read_dir(place.path().join("t/bucket-0")).unwrap().count(), 1, "no file stays behind");
    // A lone -D is written as it is, as Paimon does; who merges it with the row refuses it.
    commit(&table, 2, &[taken]).await.unwrap();
    let mut stream = table.scan().read().await.unwrap();
    let error = stream.next_batch().await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.contains("ignore-delete")), "{error}");
}

#[tokio::test]
async fn a_table_whose_engine_cannot_be_made_is_not_created() {
    for (options, name) in [
        ([("merge-engine", "aggregation"), ("fields.a.aggregate-function", "hll_sketch")], "VARBINARY"),
        ([("merge-engine", "aggregation"), ("fields.a.aggregate-function", "listagg")], "STRING"),
        ([("merge-engine", "partial-update"), ("fields.a.aggregate-function", "sum")], "sequence group"),
        ([("merge-engine", "first-row"), ("changelog-producer", "input")], "changelog-producer"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let error = create(&place, schema(&[("a", "INT")], &options)).await.map(drop).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        assert!(!place.path().join("t/schema").exists());
    }
}

#[tokio::test]
async fn a_sum_that_leaves_its_files_type_is_refused_and_not_cut() {
    // Java keeps compact decimals beyond their digits; a Parquet INT32 does not hold this one.
    let options = [("merge-engine", "aggregation"), ("fields.d.aggregate-function", "sum")];
    for (data_type, fits, large) in [("DECIMAL(9,0)", 1_500_000_000_i128, 2_500_000_000), ("DECIMAL(4,0)", 18_000, 0)] {
        let place = tempfile::tempdir().unwrap();
        let table = create(&place, schema(&[("d", data_type)], &options)).await.unwrap();
        let most = if large > 0 { 500_000_000 } else { 9000 };
        let row = || (RowKind::Insert, vec![Datum::Int(1), Datum::Decimal(most)]);
        commit(&table, 1, &(0..fits / most).map(|_| row()).collect::<Vec<_>>()).await.unwrap();
        assert_eq!(rows(&table).await, [[Datum::Int(1), Datum::Decimal(fits)]]);
        if large > 0 {
            let error = commit(&table, 2, &(0..large / most).map(|_| row()).collect::<Vec<_>>()).await.unwrap_err();
            assert!(error.to_string().contains('d'), "{error}");
            assert_eq!(rows(&table).await, [[Datum::Int(1), Datum::Decimal(fits)]]);
        }
    }
}

#[tokio::test]
async fn a_retraction_that_leaves_null_in_a_not_null_column_is_an_error_with_its_name() {
    let place = tempfile::tempdir().unwrap();
    let options = [("merge-engine", "aggregation")];
    let table = create(&place, schema(&[("total", "INT NOT NULL")], &options)).await.unwrap();
    let row = |kind| (kind, vec![Datum::Int(1), Datum::Int(5)]);
    let error = commit(&table, 1, &[row(RowKind::Insert), row(RowKind::Delete)]).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid(text) if text.contains("total")), "{error}");
}
