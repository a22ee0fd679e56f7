//! The first rows of an order: those that all rows, sorted, begin with; and what need not be read for them.

use std::sync::Arc;

use forebay::io::{CountingStore, Op, PathClass, TableStore};
use forebay::predicate::parse;
use forebay::read::Sort;
use forebay::schema::{Schema, SchemaChange};
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Env, Error, Table};

use crate::buckets::Dice;
use crate::support::{Row, all_rows, changes};

fn schema(key: bool, options: &[(&str, &str)]) -> Schema {
    let schema = Schema::builder()
        .column("day", DataType::INT)
        .column("id", DataType::INT)
        .column("amount", DataType::BIGINT)
        .column("weight", DataType::DOUBLE)
        .column("name", DataType::STRING)
        .partition_by(["day"])
        .option("write-only", "true");
    let schema = if key { schema.primary_key(["day", "id"]) } else { schema };
    options.iter().fold(schema, |schema, (name, value)| schema.option(*name, *value)).build().unwrap()
}

fn row(id: i32, dice: &mut Dice) -> Row {
    let or_null = |value: Datum, dice: &mut Dice| if dice.roll(8) == 0 { Datum::Null } else { value };
    let amount = Datum::BigInt(dice.roll(40) as i64 - 20);
    let weight = [f64::NAN, -0.0, 0.0, 1.5, f64::NEG_INFINITY][dice.roll(5) as usize];
    let name = Datum::String(format!("{}{}", ["a", "zz", ""][dice.roll(3) as usize], dice.roll(30)));
    vec![
        Datum::Int(id % 3),
        Datum::Int(id),
        or_null(amount, dice),
        or_null(Datum::Double(weight), dice),
        or_null(name, dice),
    ]
}

async fn commit(table: &Table, rows: Vec<(RowKind, Row)>) {
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), &rows)).await.unwrap();
    writer.commit().await.unwrap();
    writer.close().await.unwrap();
}

/// The values that decide about the order of a row.
fn keys(table: &Table, row: &Row, order: &[Sort]) -> Vec<Datum> {
    order.iter().map(|sort| row[table.schema().index_of(&sort.column).unwrap()].clone()).collect()
}

fn compare(one: &[Datum], other: &[Datum], order: &[Sort]) -> std::cmp::Ordering {
    let by_column =
        order.iter().zip(one.iter().zip(other)).map(|(sort, (one, other))| match (one.is_null(), other.is_null()) {
            (true, true) => std::cmp::Ordering::Equal,
            (true, false) if sort.nulls_first => std::cmp::Ordering::Less,
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) if sort.nulls_first => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            (false, false) if sort.descending => other.total_cmp(one),
            (false, false) => one.total_cmp(other),
        });
    by_column.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
}

const ORDERS: [&str; 9] = [
    "amount",
    "amount desc",
    "amount nulls last,id desc",
    "amount desc nulls first,name",
    "weight desc,id",
    "name,amount desc",
    "id desc",
    "day desc,name desc,id",
    "late,id",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_rows_of_an_order_are_those_that_all_rows_sorted_begin_with() {
    let sum = [("bucket", "1"), ("merge-engine", "aggregation"), ("fields.amount.aggregate-function", "sum")];
    let tables: [(bool, &[(&str, &str)]); 4] = [
        (true, &[("bucket", "2")]),
        (true, &[("bucket", "1"), ("merge-engine", "partial-update")]),
        (true, &sum),
        (false, &[("file-index.range-bitmap.columns", "amount")]),
    ];
    for (at, (key, options)) in tables.into_iter().enumerate() {
        let mut dice = Dice(at as u64 + 7);
        let table = Table::create_store(TableStore::memory(&Env::system()), schema(key, options)).await.unwrap();
        for start in [0, 40, 10, 200] {
            let rows = (start..start + 60).map(|id| (RowKind::Insert, row(id, &mut dice))).collect();
            commit(&table, rows).await;
        }
        // A column that the files so far do not have.
        let path = vec!["late".to_string()];
        let late = SchemaChange::AddColumn { path, data_type: DataType::INT, comment: None, place: None };
        let table = table.alter(&[late]).await.unwrap();
        let rows = (500..540).map(|id| {
            let mut row = row(id, &mut dice);
            row.push(if id % 2 == 0 { Datum::Int(id) } else { Datum::Null });
            (RowKind::Insert, row)
        });
        commit(&table, rows.collect()).await;
        for text in ORDERS {
            let order: Vec<Sort> = text.split(',').map(|sort| sort.parse().unwrap()).collect();
            for (limit, filter) in
                [(1, None), (7, None), (50, Some("id <> 3 and (amount > -5 or amount is null)")), (5000, None)]
            {
                let mut scan = table.scan();
                if let Some(filter) = filter {
                    scan = scan.filter(parse(filter, table.schema()).unwrap());
                }
                let mut wanted = all_rows(table.schema(), scan.read().await.unwrap()).await.unwrap();
                wanted.sort_by(|a, b| compare(&keys(&table, a, &order), &keys(&table, b, &order), &order));
                let all = wanted.clone();
                wanted.truncate(limit);
                let ordered = scan.order_by(order.clone()).limit(limit).read().await.unwrap();
                let found = all_rows(table.schema(), ordered).await.unwrap();
                // Rows that are equal in the order may change places, and be left out for one another.
                let keys_of = |rows: &[Row]| {
                    rows.iter().map(|row| format!("{:?}", keys(&table, row, &order))).collect::<Vec<_>>()
                };
                assert_eq!(keys_of(&found), keys_of(&wanted), "table {at}: {text}, {limit} rows");
                let known: std::collections::HashSet<String> = all.iter().map(|row| format!("{row:?}")).collect();
                let distinct: std::collections::HashSet<String> = found.iter().map(|row| format!("{row:?}")).collect();
                assert!(distinct.len() == found.len() && distinct.is_subset(&known), "table {at}: {text}: other rows");
            }
        }
        let bare = table.scan().select(["name"]).order_by([Sort::descending("id")]).limit(2).read().await.unwrap();
        assert_eq!(bare.schema().fields().len(), 1, "columns of the order alone are not shown");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_hold_none_of_the_first_rows_are_not_read() {
    for key in [true, false] {
        let mut counting = None;
        let store = TableStore::memory(&Env::system()).wrapped(|inner| {
            let store = CountingStore::new(inner);
            counting = Some(store.clone());
            Arc::new(store)
        });
        let counting = counting.unwrap();
        let table = Table::create_store(store, schema(key, if key { &[("bucket", "1")] } else { &[] })).await.unwrap();
        let mut dice = Dice(3);
        for day in 0..30 {
            let rows = (0..20).map(|id| {
                let mut row = row(id, &mut dice);
                (row[0], row[2]) = (Datum::Int(day), Datum::BigInt(i64::from(day) * 100 + i64::from(id)));
                (RowKind::Insert, row)
            });
            commit(&table, rows.collect()).await;
        }
        for text in ["amount desc", "day desc", "amount nulls last"] {
            counting.reset();
            let scan = table.scan().order_by([text.parse().unwrap()]).limit(5);
            let rows = all_rows(table.schema(), scan.read().await.unwrap()).await.unwrap();
            assert_eq!(rows.len(), 5);
            let day = if text.contains("desc") { 29 } else { 0 };
            assert!(rows.iter().all(|row| row[0] == Datum::Int(day)), "{text}: {rows:?}");
            let read = counting.counts().at(Op::Get, PathClass::Data);
            assert!(read <= 6, "{text}, with a key {key}: {read} requests for 30 files");
        }
    }
}

#[tokio::test]
async fn an_order_without_a_limit_or_of_nested_values_is_refused() {
    let nested =
        Schema::builder().column("a", DataType::INT).column("m", DataType::array(DataType::INT)).build().unwrap();
    let table = Table::create_store(TableStore::memory(&Env::system()), nested).await.unwrap();
    let read = |sort: &str, limit: Option<usize>| {
        let scan = table.scan().order_by([sort.parse().unwrap()]);
        let scan = if let Some(limit) = limit { scan.limit(limit) } else { scan };
        async move { scan.read().await.map(|_| ()) }
    };
    assert!(matches!(read("a", None).await, Err(Error::Invalid(text)) if text.contains("needs a limit")));
    assert!(matches!(read("b", Some(1)).await, Err(Error::Invalid(_) | Error::NotFound(_))));
    assert!(matches!(read("m", Some(1)).await, Err(Error::Unsupported(text)) if text.contains("column m")));
    read("a", Some(1)).await.unwrap();
}
