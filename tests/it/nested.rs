//! Columns of nested types through the whole engine: written, merged, compacted, followed and looked up.

use forebay::predicate::col;
use forebay::schema::Schema;
use forebay::stream::Start;
use forebay::types::{DataType, Datum, RowKind};
use forebay::{Error, Table};

use crate::support::{Row, all_rows, as_set, changes, rows_of};

/// A small generator, so that a seed replays a run, and the nanoseconds that times are multiples of.
struct Dice(u64, i32);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn maybe(&mut self, value: impl FnOnce(&mut Self) -> Datum) -> Datum {
        if self.roll(5) == 0 { Datum::Null } else { value(self) }
    }

    fn list(&mut self, most: u64, value: impl Fn(&mut Self) -> Datum) -> Vec<Datum> {
        (0..self.roll(most + 1)).map(|_| value(self)).collect()
    }

    /// A timestamp of nanoseconds, beyond Arrow's range now and then.
    fn time(&mut self) -> Datum {
        let millis = [-62_135_596_800_000, 253_402_300_799_999, 0, -1, 1_700_000_000_123][self.roll(5) as usize];
        let nanos = self.roll(1_000_000) as i32;
        Datum::Timestamp { millis, nanos: nanos - nanos % self.1 }
    }

    fn row(&mut self, keys: u64) -> Row {
        let inner = |dice: &mut Self| {
            let nested = |dice: &mut Self| Datum::Array(dice.list(2, |dice| dice.maybe(Self::time)));
            Datum::Row(vec![Datum::Int(dice.roll(9) as i32), dice.time(), dice.maybe(nested)])
        };
        let pairs = |dice: &mut Self| {
            let keys = dice.roll(4) as i32;
            Datum::Map((0..keys).map(|key| (Datum::Int(key), dice.maybe(Self::time))).collect())
        };
        let counts = |dice: &mut Self| {
            let keys = dice.roll(3);
            let pair = |key| (Datum::String(format!("t{key}")), Datum::Int(1 + key as i32));
            Datum::Map((0..keys).map(pair).collect())
        };
        vec![
            Datum::Int(self.roll(keys) as i32),
            self.maybe(|dice| Datum::Array(dice.list(3, |dice| dice.maybe(inner)))),
            self.maybe(pairs),
            self.maybe(counts),
            self.maybe(|dice| Datum::Row(vec![dice.maybe(|dice| Datum::Decimal(dice.roll(99).into())), inner(dice)])),
            self.maybe(|dice| Datum::String("x".repeat(dice.roll(9) as usize))),
        ]
    }
}

fn schema(options: &[(&str, &str)]) -> Schema {
    let columns = [
        ("k", "INT NOT NULL"),
        ("a", "ARRAY<ROW<x INT NOT NULL, t TIMESTAMP(9) NOT NULL, ts ARRAY<TIMESTAMP(9)>>>"),
        ("m", "MAP<INT, TIMESTAMP(8) WITH LOCAL TIME ZONE>"),
        ("u", "MULTISET<STRING>"),
        ("r", "ROW<d DECIMAL(20, 3), i ROW<x INT NOT NULL, t TIMESTAMP(9) NOT NULL, ts ARRAY<TIMESTAMP(9)>> NOT NULL>"),
        ("x", "STRING"),
    ];
    let avro = options.iter().any(|(_, value)| value.contains("avro"));
    let builder = columns.iter().fold(Schema::builder(), |builder, (name, data_type)| {
        let coarse = data_type.replace("(9)", "(6)").replace("(8)", "(5)");
        let data_type = if avro { coarse.as_str() } else { *data_type };
        builder.column(*name, data_type.parse::<DataType>().unwrap())
    });
    let builder = builder.primary_key(["k"]).option("bucket", "1").option("parquet.page.row.count.limit", "7");
    options.iter().fold(builder, |builder, (name, value)| builder.option(*name, *value)).build().unwrap()
}

/// TIMESTAMP(8) holds no single nanoseconds, TIMESTAMP(5) no single microseconds.
fn fitting(mut row: Row, least: i32) -> Row {
    if let Datum::Map(pairs) = &mut row[2] {
        for (_, value) in pairs {
            if let Datum::Timestamp { nanos, .. } = value {
                *nanos -= *nanos % (10 * least);
            }
        }
    }
    row
}

async fn commit(table: &Table, rows: &[(RowKind, Row)]) {
    let mut writer = table.writer().await.unwrap();
    writer.write(&changes(table.schema(), rows)).await.unwrap();
    writer.commit().await.unwrap();
    writer.close().await.unwrap();
}

#[tokio::test]
async fn nested_columns_are_written_merged_compacted_followed_and_looked_up() {
    let producer = [("changelog-producer", "lookup"), ("changelog-producer.row-deduplicate", "true")];
    let vectors = [("deletion-vectors.enabled", "true"), ("write-buffer-size", "1 mb")];
    let avro = [&producer[..], &[("file.format", "avro")]].concat();
    let levels = [&vectors[..], &[("file.format.per.level", "0:avro,5:parquet")]].concat();
    let all = [(1, &[][..]), (2, &producer[..]), (3, &vectors[..]), (4, &avro[..]), (5, &levels[..])];
    for (seed, options) in all {
        let place = tempfile::tempdir().unwrap();
        let table = Table::create(place.path().join("t").to_str().unwrap(), schema(options), []).await.unwrap();
        let mut dice = Dice(seed, if seed > 3 { 1000 } else { 1 });
        let mut truth = std::collections::BTreeMap::new();
        for round in 0..6 {
            let mut batch = Vec::new();
            for _ in 0..60 {
                let row = dice.row(80);
                let row = fitting(row, dice.1);
                let kind = if dice.roll(6) == 0 { RowKind::Delete } else { RowKind::Insert };
                let Datum::Int(key) = row[0] else { panic!("{row:?}") };
                match kind {
                    RowKind::Delete => truth.remove(&key),
                    _ => truth.insert(key, row.clone()),
                };
                batch.push((kind, row));
            }
            commit(&table, &batch).await;
            if round == 3 {
                table.compact().full().run().await.unwrap();
            }
        }
        table.compact().full().run().await.unwrap();
        let wanted = as_set(truth.values().cloned());
        let found = all_rows(table.schema(), table.scan().wide_timestamps().read().await.unwrap()).await.unwrap();
        assert_eq!(as_set(found), wanted, "seed {seed}");
        let nulls = table.scan().filter(col("a").is_null()).wide_timestamps().read().await.unwrap();
        let nulls = all_rows(table.schema(), nulls).await.unwrap();
        assert_eq!(as_set(nulls), as_set(truth.values().filter(|row| row[1].is_null()).cloned()), "seed {seed}");

        let lookup = table.lookup().memory(4096).wide_timestamps().open().await.unwrap();
        for key in 0..80 {
            let row = lookup.get_one(&[Datum::Int(key)]).await.unwrap();
            assert_eq!(format!("{row:?}"), format!("{:?}", truth.get(&key)), "seed {seed} key {key}");
        }
        if [2, 4].contains(&seed) {
            follow(&table, &wanted).await;
        }
    }
}

/// The changes from the beginning add up to the rows.
async fn follow(table: &Table, wanted: &[String]) {
    let mut stream = table.changes().from(Start::Earliest).wide_timestamps().read().await.unwrap();
    let mut rows = std::collections::BTreeMap::new();
    while let Some(change) = stream.next().await.unwrap() {
        for (at, row) in rows_of(table.schema(), change.rows.rows()).into_iter().enumerate() {
            let Datum::Int(key) = row[0] else { panic!("{row:?}") };
            match change.rows.kind(at) {
                RowKind::Insert | RowKind::UpdateAfter => rows.insert(key, row),
                RowKind::UpdateBefore | RowKind::Delete => {
                    assert_eq!(rows.remove(&key), Some(row), "what is taken back was there");
                    None
                }
            };
        }
    }
    assert_eq!(as_set(rows.into_values()), wanted);
}

#[tokio::test]
async fn conditions_on_nested_columns_other_than_null_are_refused_by_name() {
    let place = tempfile::tempdir().unwrap();
    let table = Table::create(place.path().join("t").to_str().unwrap(), schema(&[]), []).await.unwrap();
    for condition in [col("a").eq(1), col("m").is_in([1]), col("r").lt(2)] {
        let refused = table.scan().filter(condition).read().await.map(|_| ()).unwrap_err();
        assert!(matches!(&refused, Error::Unsupported(text) if text.contains("nested")), "{refused}");
    }
}
