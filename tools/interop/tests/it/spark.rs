//! Spark SQL: tables that it makes are read, continued here and read by it again; tables of ours are read by it.
//!
//! It is Paimon 0.9 on Spark 3.5, the newest release for Spark that is to be had, so it is an old reader of what we write too.

use std::path::Path;

use forebay::scan::At;
use forebay_interop::{Engine, Random, Server, TableSpec, create, open, snapshots_of, write_once};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use crate::flink::table;
use crate::peers::{all, answered, go_on, newest};
use crate::support::{agreed, place};

/// One session serves all tests, one after another.
async fn spark() -> (MutexGuard<'static, ()>, Server) {
    static ONE: Mutex<()> = Mutex::const_new(());
    let turn = ONE.lock().await;
    (turn, Server::get(Engine::Spark))
}

fn sql(spark: &mut Server, warehouse: &Path, statements: &[&str]) -> Value {
    let command = json!({"command": "sql", "warehouse": warehouse, "statements": statements});
    spark.call(&command).unwrap_or_else(|error| panic!("spark: {error}\n  at {statements:?}"))
}

/// What Spark makes: a name, the table, and its statements after the first rows.
const TABLES: &[(&str, &str, &[&str])] = &[
    (
        "append",
        "(k INT, v STRING, p INT) PARTITIONED BY (p)",
        &[
            "DELETE FROM t WHERE k = 2",
            "UPDATE t SET v = 'set' WHERE k = 3",
            "MERGE INTO t USING (SELECT 4 AS k, 'm' AS v, 2 AS p UNION ALL SELECT 8, 'n', 2) s ON t.k = s.k WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT *",
            "INSERT OVERWRITE t PARTITION (p = 1) VALUES (7, 'over')",
        ],
    ),
    (
        "vectors",
        "(k INT, v STRING, p INT) TBLPROPERTIES ('deletion-vectors.enabled' = 'true')",
        &[
            "DELETE FROM t WHERE k = 2",
            "UPDATE t SET v = 'set' WHERE k = 3",
            "MERGE INTO t USING (SELECT 4 AS k, 'm' AS v, 2 AS p UNION ALL SELECT 8, 'n', 2) s ON t.k = s.k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT *",
        ],
    ),
    (
        "keyed",
        "(k INT, v STRING, p INT) PARTITIONED BY (p) TBLPROPERTIES ('primary-key' = 'k,p', 'bucket' = '2', 'changelog-producer' = 'lookup')",
        &[
            "DELETE FROM t WHERE k = 2",
            "UPDATE t SET v = 'set' WHERE k = 3",
            "MERGE INTO t USING (SELECT 4 AS k, 'm' AS v, 2 AS p UNION ALL SELECT 8, 'n', 2) s ON t.k = s.k AND t.p = s.p WHEN MATCHED THEN UPDATE SET v = s.v WHEN NOT MATCHED THEN INSERT *",
            "CALL sys.compact(table => 'default.t')",
            "ALTER TABLE t ADD COLUMN n BIGINT",
            "ALTER TABLE t RENAME COLUMN v TO w",
            "ALTER TABLE t ALTER COLUMN n TYPE DECIMAL(38, 0)",
        ],
    ),
    (
        "keyed with vectors",
        "(k INT, v STRING, p INT) TBLPROPERTIES ('primary-key' = 'k', 'bucket' = '2', 'deletion-vectors.enabled' = 'true')",
        &["DELETE FROM t WHERE k = 2", "UPDATE t SET v = 'set' WHERE k = 3"],
    ),
    (
        "dynamic",
        "(k INT, v STRING, p INT) PARTITIONED BY (p) TBLPROPERTIES ('primary-key' = 'k,p')",
        &["DELETE FROM t WHERE k = 2"],
    ),
    (
        "greatest",
        "(k INT, v STRING, p INT) TBLPROPERTIES ('primary-key' = 'k', 'bucket' = '1', 'merge-engine' = 'aggregation', 'fields.p.aggregate-function' = 'max')",
        &[],
    ),
];

const ROWS: [&str; 3] = [
    "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, NULL, 1), (4, 'd', 2)",
    "INSERT INTO t VALUES (1, NULL, 1), (2, 'bb', 5), (9, 'i', 1)",
    "INSERT INTO t SELECT * FROM t WHERE k < 6",
];

/// Rows as Paimon 0.9 reads them from Parquet: to it a ROW whose fields are all NULL is NULL. Java 2.x tells them apart, as we do.
fn seen(rows: Vec<String>) -> Vec<String> {
    let mut rows: Vec<String> =
        rows.into_iter().map(|row| row.replace("Row([Null])", "Null").replace("Row([Null, Null])", "Null")).collect();
    rows.sort();
    rows
}

/// Fails unless Spark, Java and we show the same of the newest snapshot, and Java and we of every other.
async fn alike(what: &str, (spark, java): (&mut Server, &mut Server), warehouse: &Path, name: &str) {
    let path = table(warehouse, name);
    agreed(what, java, &path).await;
    let table = open(&path).await;
    let answer = sql(spark, warehouse, &[&format!("SELECT * FROM `{name}`")]);
    assert_eq!(seen(newest(&table).await), seen(answered(table.schema(), &answer)), "{what}, read by Spark");
}

#[tokio::test]
async fn tables_of_spark_are_continued_here_and_read_again() {
    let ((_turn, mut spark), mut java) = (spark().await, Server::get(Engine::Java2x));
    for (at, (name, columns, changes)) in TABLES.iter().enumerate() {
        let place = place();
        let path = table(place.path(), "t");
        let mut random = Random::new(at as u64);
        sql(&mut spark, place.path(), &[&format!("CREATE TABLE t {columns}"), ROWS[0], ROWS[1]]);
        alike(&format!("{name}, as made"), (&mut spark, &mut java), place.path(), "t").await;
        for change in *changes {
            sql(&mut spark, place.path(), &[change]);
            alike(&format!("{name}, after {change}"), (&mut spark, &mut java), place.path(), "t").await;
        }
        go_on(&path, &mut random).await;
        alike(&format!("{name}, continued by us"), (&mut spark, &mut java), place.path(), "t").await;
        sql(&mut spark, place.path(), &[ROWS[2]]);
        alike(&format!("{name}, continued by Spark"), (&mut spark, &mut java), place.path(), "t").await;
        go_on(&path, &mut random).await;
        alike(&format!("{name}, continued by us again"), (&mut spark, &mut java), place.path(), "t").await;
    }
}

/// CREATE TABLE AS with all types of Spark, nested ones among them; a tag; branches with commits of both. No ROW stands in a ROW:
/// Paimon 0.9 fails to read NULLs there, of Java 2.0.0 too (`ArrayIndexOutOfBoundsException` in `AbstractHeapVector`).
#[tokio::test]
async fn all_types_tags_and_branches_of_spark_are_read_and_continued() {
    let ((_turn, mut spark), mut java) = (spark().await, Server::get(Engine::Java2x));
    let place = place();
    let values = "SELECT id AS k, CAST(id - 3 AS TINYINT) AS a, CAST(-id AS SMALLINT) AS b, CAST(id * 3000000000 AS BIGINT) AS c, \
         CAST(id / 3 AS FLOAT) AS d, CAST(-id / 7 AS DOUBLE) AS e, CAST(id * 1.25 AS DECIMAL(20, 3)) AS f, CONCAT('text ', id) AS g, \
         id % 2 = 0 AS h, DATE_ADD(DATE '1969-12-30', CAST(id AS INT)) AS i, TIMESTAMP '1999-12-31 23:59:59.123456' AS j, \
         TIMESTAMP_NTZ '0001-01-01 00:00:00.000001' AS l, X'00ff10' AS m, ARRAY(id, NULL, 7) AS n, MAP(CAST(id AS STRING), ARRAY(1, 2)) AS o, \
         NAMED_STRUCT('x', id, 'y', IF(id > 4, CONCAT('y', id), NULL)) AS q FROM (SELECT CAST(id AS INT) AS id FROM RANGE(9))";
    let made = [
        format!("CREATE TABLE plain AS {values}"),
        format!("CREATE TABLE keyed TBLPROPERTIES ('primary-key' = 'k', 'bucket' = '2') AS {values}"),
    ];
    for (name, made) in ["plain", "keyed"].iter().zip(&made) {
        let path = table(place.path(), name);
        sql(&mut spark, place.path(), &[made]);
        alike(&format!("{name}, as made"), (&mut spark, &mut java), place.path(), name).await;
        sql(&mut spark, place.path(), &[&format!("CALL sys.create_tag(table => 'default.{name}', tag => 'made')")]);
        go_on(&path, &mut Random::new(1)).await;
        alike(&format!("{name}, continued by us"), (&mut spark, &mut java), place.path(), name).await;
        let own = open(&path).await;
        let tagged = own.scan().at(At::Tag("made".to_string())).wide_timestamps().read().await.unwrap();
        let answer = sql(&mut spark, place.path(), &[&format!("SELECT * FROM {name} VERSION AS OF 'made'")]);
        assert_eq!(seen(all(&own, tagged).await), seen(answered(own.schema(), &answer)), "{name}, as of the tag");

        sql(
            &mut spark,
            place.path(),
            &[&format!("CALL sys.create_branch(table => 'default.{name}', branch => 'side', tag => 'made')")],
        );
        let branch = own.branch("side").await.unwrap();
        branch.compact().full().run().await.unwrap();
        let mut writer = branch.writer().await.unwrap();
        writer.upsert(&some_rows(&branch, &mut Random::new(2))).await.unwrap();
        writer.commit().await.unwrap().snapshot_id().unwrap();
        writer.close().await.unwrap();
        let select = format!("SELECT * FROM `{name}$branch_side`");
        let answer = sql(&mut spark, place.path(), &[&select]);
        assert_eq!(
            seen(newest(&branch).await),
            seen(answered(branch.schema(), &answer)),
            "{name}, the branch continued by us"
        );
        sql(&mut spark, place.path(), &[&format!("INSERT INTO `{name}$branch_side` SELECT * FROM {name}")]);
        let answer = sql(&mut spark, place.path(), &[&select]);
        assert_eq!(
            seen(newest(&own.branch("side").await.unwrap()).await),
            seen(answered(branch.schema(), &answer)),
            "{name}, the branch"
        );
    }
}

fn some_rows(table: &forebay::Table, random: &mut Random) -> arrow_array::RecordBatch {
    let rows = TableSpec::of_schema(table.schema()).operations_on(random, 1, 6, |_| 12).remove(0);
    forebay_interop::lanes(table.schema(), &rows.iter().map(|op| &op.row).collect::<Vec<_>>())
}

/// Types that Spark has too.
const COLUMNS: [&str; 15] = [
    "k INT",
    "p INT",
    "v1 BOOLEAN",
    "v2 TINYINT",
    "v3 SMALLINT",
    "v4 BIGINT",
    "v5 FLOAT",
    "v6 DOUBLE",
    "v7 DECIMAL(38, 18)",
    "v8 CHAR(5)",
    "v9 VARCHAR(9)",
    "v10 BYTES",
    "v11 DATE",
    "v12 TIMESTAMP(6)",
    "v13 TIMESTAMP(6) WITH LOCAL TIME ZONE",
];

#[tokio::test]
async fn spark_reads_tables_of_ours() {
    let (_turn, mut spark) = spark().await;
    let place = place();
    let plain = || TableSpec::of(&COLUMNS);
    let keyed = || plain().key(&["k", "p"]).partition(&["p"]);
    let specs = [
        ("append", plain()),
        ("partitioned", plain().partition(&["p"])),
        ("masked", plain().option("deletion-vectors.enabled", "true")),
        ("keyed", keyed().option("bucket", "2").option("changelog-producer", "lookup")),
        ("keyed_masked", keyed().option("bucket", "2").option("deletion-vectors.enabled", "true")),
        ("dynamic", keyed()),
    ];
    for (at, (name, spec)) in specs.iter().enumerate() {
        let path = table(place.path(), name);
        create(&path, spec).await;
        let mut random = Random::new(at as u64);
        for (identifier, operations) in (1..).zip(spec.operations(&mut random, 3)) {
            write_once(&path, "ours", identifier, &operations).await;
        }
        go_on(&path, &mut random).await;
        let own = open(&path).await;
        assert!(!snapshots_of(&own).await.is_empty());
        let answer = sql(&mut spark, place.path(), &[&format!("SELECT * FROM {name}")]);
        assert_eq!(seen(newest(&own).await), seen(answered(own.schema(), &answer)), "{name}");
    }
}
