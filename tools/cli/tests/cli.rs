//! The command line from outside: the binary itself, on tables in temporary directories.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test may

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, RecordBatch, new_null_array};
use arrow_ipc::writer::StreamWriter;
use tempfile::TempDir;

/// A directory with tables in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin!("forebay"));
        command
            .current_dir(self.0.path())
            .env_remove("FOREBAY_WAREHOUSE")
            .env_remove("FOREBAY_CATALOG")
            .env_remove("FOREBAY_CATALOG_TOKEN")
            .env_remove("FOREBAY_JDBC_USER")
            .env_remove("FOREBAY_JDBC_PASSWORD")
            .env_remove("FOREBAY_ALLOW_EXTERNAL")
            .args(line);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn run(&self, line: &[&str]) -> Output {
        self.command(line).output().unwrap()
    }

    /// Runs a command that must succeed, and gives its standard output.
    #[track_caller]
    fn ok(&self, line: &[&str]) -> String {
        let output = self.run(line);
        assert!(output.status.success(), "{line:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs a command that must fail with this code, and gives its standard error.
    #[track_caller]
    fn fails(&self, code: i32, line: &[&str]) -> String {
        let output = self.run(line);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{line:?}: {error}");
        assert!(!error.is_empty(), "{line:?} fails without a word");
        error
    }

    #[track_caller]
    fn feed(&self, line: &[&str], input: &str) -> Output {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().unwrap();
        // A command that refuses its arguments does not read.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    fn feed_ok(&self, line: &[&str], input: &str) -> String {
        let output = self.feed(line, input);
        assert!(output.status.success(), "{line:?}: {}", text(&output.stderr));
        text(&output.stderr)
    }

    fn file(&self, name: &str, content: &str) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_string()
    }

    fn orders(&self, table: &str) {
        self.ok(&[
            "create",
            table,
            "--column",
            "id BIGINT NOT NULL",
            "--column",
            "name STRING",
            "--column",
            "amount DECIMAL(12, 2)",
            "--column",
            "at TIMESTAMP(3)",
            "--primary-key",
            "id",
            "-o",
            "changelog-producer=input",
        ]);
    }

    fn log(&self, table: &str) {
        self.ok(&["create", table, "--column", "id BIGINT NOT NULL", "--column", "name STRING"]);
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn sorted(lines: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = lines.lines().collect();
    lines.sort_unstable();
    lines
}

fn rows(from: u32, to: u32) -> String {
    (from..to).map(|id| format!("{{\"id\":{id},\"name\":\"row {id}\"}}\n")).collect()
}

const FIRST: &str = "{\"id\":1,\"name\":\"a\",\"amount\":1.50,\"at\":\"2024-01-01T00:00:00.001\"}\n\
                     {\"id\":2,\"name\":null,\"amount\":9999999999.99,\"at\":null}\n\
                     {\"id\":9007199254740993,\"name\":\"\",\"amount\":null,\"at\":\"1969-12-31T23:59:59.999\"}\n";
const SECOND: &str = "{\"kind\":\"+U\",\"row\":{\"id\":1,\"name\":\"b\",\"amount\":2.00}}\n\
                      {\"kind\":\"-D\",\"row\":{\"id\":2}}\n";

#[test]
fn rows_go_in_and_come_out_merged() {
    let place = Place::new();
    place.orders("./t");
    assert!(place.feed_ok(&["write", "./t", "--format", "jsonl"], FIRST).contains("wrote 3 rows in 1 commit"));
    assert_eq!(place.ok(&["read", "./t", "--output", "jsonl"]), FIRST);
    place.feed_ok(&["write", "./t", "--format", "changes"], SECOND);
    let merged = "{\"id\":1,\"name\":\"b\",\"amount\":2.00,\"at\":null}\n\
                  {\"id\":9007199254740993,\"name\":\"\",\"amount\":null,\"at\":\"1969-12-31T23:59:59.999\"}\n";
    assert_eq!(place.ok(&["read", "./t", "--json"]), merged);
    assert_eq!(place.ok(&["read", "./t", "--json", "--at", "1"]), FIRST);
    assert_eq!(place.ok(&["read", "./t", "--json", "--at", "2999-01-01"]), merged);
    assert_eq!(
        place.ok(&["read", "./t", "--json", "--select", "name,id", "--where", "id = 1"]),
        "{\"name\":\"b\",\"id\":1}\n"
    );
    assert_eq!(place.ok(&["read", "./t", "--json", "--limit", "1"]).lines().count(), 1);
    let rows = merged.lines().count();
    assert_eq!(place.ok(&["read", "./t", "--count"]), format!("{rows}\n"));
    assert_eq!(place.ok(&["read", "./t", "--count", "--json", "--where", "id = 1"]), "{\"count\":1}\n");
    assert!(place.fails(2, &["read", "./t", "--count", "--select", "id"]).contains("--count"));
    let by_id = ["read", "./t", "--json", "--select", "id", "--order-by", "id desc, name", "--limit", "1"];
    assert_eq!(place.ok(&by_id), "{\"id\":9007199254740993}\n");
    assert_eq!(
        place.ok(&["read", "./t", "--json", "--select", "id", "--order-by", "amount", "--limit", "2"]),
        "{\"id\":9007199254740993}\n{\"id\":1}\n"
    );
    assert!(place.fails(2, &["read", "./t", "--order-by", "id"]).contains("--limit"));
    assert!(place.fails(2, &["read", "./t", "--order-by", "id up", "--limit", "1"]).contains("expected a column"));
    assert!(place.fails(1, &["read", "./t", "--order-by", "nope", "--limit", "1"]).contains("nope"));
    let upper = ["read", "./t", "--count", "--where", "upper(name) = 'B' or name like '!%' escape '!'"];
    assert_eq!(place.ok(&upper), "1\n");
    let cast = ["read", "./t", "--json", "--select", "id", "--where", "cast(id as string) like '9%'"];
    assert_eq!(place.ok(&cast), "{\"id\":9007199254740993}\n");
    assert_eq!(
        place.ok(&["read", "./t", "--output", "csv"]),
        "id,name,amount,at\n1,b,2.00,\n9007199254740993,\"\",,1969-12-31T23:59:59.999\n"
    );
    let table = place.ok(&["read", "./t"]);
    assert!(table.starts_with(" ") && table.contains("NULL") && table.ends_with("(2 rows)\n"), "{table}");
}

#[test]
fn rows_are_looked_up_by_key_and_missing_keys_are_named() {
    let place = Place::new();
    place.orders("./t");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], FIRST);
    place.feed_ok(&["write", "./t", "--format", "changes"], SECOND);
    let one = "{\"id\":1,\"name\":\"b\",\"amount\":2.00,\"at\":null}\n";
    assert_eq!(place.ok(&["lookup", "./t", "1", "--json"]), one);
    assert_eq!(place.ok(&["lookup", "./t", "id=1", "--output", "csv", "--select", "amount,id"]), "amount,id\n2.00,1\n");
    assert_eq!(
        place.ok(&["lookup", "./t", "2", "--json", "--at", "1"]),
        FIRST.lines().nth(1).unwrap().to_string() + "\n"
    );
    let found = place.run(&["lookup", "./t", "7", "9007199254740993", "2", "1", "--json", "--select", "id"]);
    assert_eq!(text(&found.stdout), "{\"id\":9007199254740993}\n{\"id\":1}\n", "in the order of the keys");
    assert_eq!(found.status.code(), Some(1));
    assert!(text(&found.stderr).contains("no row for 2 of 4 keys: 7 2"), "{}", text(&found.stderr));
    assert_eq!(place.ok(&["lookup", "./t", "7", "--json", "--missing-ok"]), "");
    place.file("keys.csv", "id\n1\n1\n");
    assert_eq!(place.ok(&["lookup", "./t", "--keys-from", "keys.csv", "--json"]), format!("{one}{one}"));
    let fed =
        place.feed(&["lookup", "./t", "--keys-from", "-", "--format", "jsonl", "--json"], "{\"id\":1}\n{\"id\":3}\n");
    assert_eq!((text(&fed.stdout), fed.status.code()), (one.to_string(), Some(1)));
    assert!(place.fails(2, &["lookup", "./t"]).contains("KEY"));
    assert!(place.fails(2, &["lookup", "./t", "x"]).contains("key column id"));
    place.log("./log");
    assert!(place.fails(1, &["lookup", "./log", "1"]).contains("primary key"));
    let day = ["--column", "id INT", "--column", "day DATE", "--column", "n INT", "-k", "id,day", "-p", "day"];
    place.ok(&[["create", "./days"].as_slice(), &day].concat());
    place.file("days.csv", "id,day,n\n1,2024-01-01,5\n1,2024-01-02,6\n");
    place.ok(&["write", "./days", "days.csv"]);
    let second = "{\"id\":1,\"day\":\"2024-01-02\",\"n\":6}\n";
    for key in ["1,2024-01-02", "day=2024-01-02,id=1"] {
        assert_eq!(place.ok(&["lookup", "./days", key, "--json"]), second);
    }
    assert!(place.fails(2, &["lookup", "./days", "1"]).contains("id=..,day=.."));
}

#[test]
fn one_tables_changes_are_the_next_ones_input() {
    let place = Place::new();
    place.orders("./a");
    place.orders("./b");
    place.feed_ok(&["write", "./a", "--format", "jsonl"], FIRST);
    place.feed_ok(&["write", "./a", "--format", "changes"], SECOND);
    let changes = place.ok(&["changes", "./a", "--from", "earliest"]);
    assert_eq!(changes.lines().count(), 5);
    assert!(
        changes.contains(
            "{\"kind\":\"-D\",\"snapshot\":2,\"row\":{\"id\":2,\"name\":null,\"amount\":null,\"at\":null}}\n"
        )
    );
    place.feed_ok(&["write", "./b", "--format", "changes"], &changes);
    assert_eq!(place.ok(&["read", "./a", "--json"]), place.ok(&["read", "./b", "--json"]));
    assert_eq!(place.ok(&["changes", "./a", "--from", "2"]).lines().count(), 2);
    assert_eq!(place.ok(&["changes", "./a", "--from", "earliest", "--to", "1"]).lines().count(), 3);
    assert_eq!(place.ok(&["changes", "./a", "--from", "full:1", "--to", "1"]).lines().count(), 3);
    assert_eq!(place.ok(&["changes", "./a"]).lines().count(), 2);
    assert_eq!(place.ok(&["changes", "./a", "--from", "latest"]), "");
    let csv = place.ok(&["changes", "./a", "--from", "2", "--output", "csv"]);
    assert!(csv.starts_with("rowkind,_snapshot,id,name,amount,at\n") && csv.contains("-D,2,2,,,\n"), "{csv}");
}

#[test]
fn a_condition_of_a_look_back_names_the_columns_of_its_time() {
    let place = Place::new();
    place.log("./t");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], &rows(0, 9));
    let schema = std::fs::read_to_string(place.path("t/schema/schema-0")).unwrap();
    let renamed =
        schema.replacen("\"id\" : 0,", "\"id\" : 1,", 1).replace("\"name\" : \"name\"", "\"name\" : \"title\"");
    place.file("t/schema/schema-1", &renamed);
    place.feed_ok(&["write", "./t", "--format", "jsonl"], "{\"id\":9,\"title\":\"new\"}\n");
    let newest = place.ok(&["read", "./t", "--json", "--where", "title = 'row 3'"]);
    assert_eq!(newest, "{\"id\":3,\"title\":\"row 3\"}\n");
    assert_eq!(place.ok(&["read", "./t", "--json", "--at", "1", "--where", "name = 'row 3'"]), rows(3, 4));
    assert!(place.fails(1, &["read", "./t", "--at", "1", "--where", "title = 'row 3'"]).contains("title"));
    place.fails(1, &["read", "./t", "--at", "7", "--where", "title = 'row 3'"]);
}

#[test]
fn a_consumer_gets_each_change_once() {
    let place = Place::new();
    place.orders("./t");
    let next = ["changes", "./t", "--from", "earliest", "--consumer", "reader"];
    assert_eq!(place.ok(&next), "");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], FIRST);
    assert_eq!(place.ok(&next).lines().count(), 3);
    assert_eq!(place.ok(&next), "");
    place.feed_ok(&["write", "./t", "--format", "changes"], SECOND);
    assert_eq!(place.ok(&next).lines().count(), 2);
    assert!(place.ok(&["inspect", "./t", "consumers", "--json"]).contains("reader"));
    let of_option = ["changes", "./t", "--from", "earliest", "-o", "consumer-id=other"];
    assert_eq!(place.ok(&of_option).lines().count(), 5);
    assert_eq!(place.ok(&of_option), "");
}

/// Progress is kept behind what was written only: a reader whose output breaks gets everything again.
#[test]
fn a_consumer_whose_output_breaks_keeps_no_progress_for_what_was_not_written() {
    let place = Place::new();
    place.log("./t");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], &rows(0, 100_000));
    // One batch, which is the whole snapshot.
    let whole = ["-o", "read.batch-size=200000"];
    let next = [&["changes", "./t", "--from", "earliest", "--consumer", "reader", "--json"], &whole[..]].concat();
    let mut reader = place.command(&next).spawn().unwrap();
    reader.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
    assert!(reader.wait().unwrap().success());
    assert_eq!(place.ok(&next).lines().count(), 100_000);
    assert_eq!(place.ok(&next), "");
}

#[test]
fn a_follower_sees_new_commits_and_ends_in_peace() {
    let place = Place::new();
    place.orders("./t");
    let mut follower = place.command(&["changes", "./t", "--follow", "--consumer", "f"]).spawn().unwrap();
    place.feed_ok(&["write", "./t", "--format", "jsonl"], FIRST);
    let mut seen = [0];
    let out = follower.stdout.as_mut().unwrap();
    // Lines arrive although nothing follows them.
    let mut lines = 0;
    while lines < 3 {
        let count = out.read(&mut seen).unwrap();
        assert_eq!(count, 1, "the follower ended");
        lines += usize::from(seen[0] == b'\n');
    }
    std::thread::sleep(std::time::Duration::from_millis(1500));
    interrupt(&follower);
    assert!(follower.wait().unwrap().success());
    assert_eq!(place.ok(&["changes", "./t", "--consumer", "f"]), "");
}

fn interrupt(child: &Child) {
    signal(child, "-INT");
}

fn signal(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_rerun_with_the_same_commit_user_duplicates_nothing() {
    let place = Place::new();
    place.log("./t");
    place.file("in.jsonl", &rows(0, 1050));
    let line = ["write", "./t", "in.jsonl", "--commit-every", "100", "--commit-user", "loader"];
    place.ok(&line);
    assert_eq!(place.ok(&["inspect", "./t", "snapshots", "--json"]).lines().count(), 11);
    let again = place.run(&line);
    assert!(again.status.success());
    assert!(text(&again.stderr).contains("has committed 1,050 rows (commit 11)"), "{}", text(&again.stderr));
    // The input has grown, and the size of commits is another.
    place.file("in.jsonl", &rows(0, 2000));
    place.ok(&["write", "./t", "in.jsonl", "--commit-user", "loader"]);
    assert_eq!(sorted(&place.ok(&["read", "./t", "--json"])), sorted(&rows(0, 2000)));
    // Another input is refused.
    place.file("other.jsonl", &rows(5, 3000));
    let error = place.fails(1, &["write", "./t", "other.jsonl", "--commit-user", "loader"]);
    assert!(error.contains("another input"), "{error}");
    place.ok(&["write", "./t", "other.jsonl", "--commit-user", "second"]);
    assert_eq!(place.ok(&["read", "./t", "--json"]).lines().count(), 2000 + 2995);
}

#[test]
fn a_killed_writer_goes_on_where_it_was() {
    let place = Place::new();
    place.log("./t");
    let input = rows(0, 40_000);
    place.file("in.jsonl", &input);
    let line = ["write", "./t", "in.jsonl", "--commit-every", "997", "--commit-user", "loader"];
    for wait in [20, 60, 150, 250] {
        let mut writer = place.command(&line).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(wait));
        writer.kill().unwrap();
        writer.wait().unwrap();
        let seen = place.ok(&["read", "./t", "--json"]).lines().count();
        assert!(seen == 40_000 || seen.is_multiple_of(997), "{seen} rows are visible: a part of a commit");
    }
    place.ok(&line);
    assert_eq!(sorted(&place.ok(&["read", "./t", "--json"])), sorted(&input));
}

#[test]
fn a_bad_row_leaves_what_was_committed_before_it_and_says_so() {
    let place = Place::new();
    place.log("./t");
    place.file("in.jsonl", &format!("{}{{\"id\":\"x\"}}\n", rows(0, 25)));
    let error = place.fails(1, &["write", "./t", "in.jsonl", "--commit-every", "10"]);
    for words in ["in.jsonl, line 26, column id", "no BIGINT", "the last commit is 2 (the first 20 rows)"] {
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(place.ok(&["read", "./t", "--json"]).lines().count(), 20);
    let error = place.fails(1, &["write", "./t", "in.jsonl", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&error).unwrap();
    assert_eq!(error["error"]["kind"], "input");
    assert!(error["error"]["message"].as_str().unwrap().contains("nothing was committed"));
    assert_eq!(place.ok(&["inspect", "./t", "snapshots", "--json"]).lines().count(), 2);
}

#[test]
fn csv_with_quotes_and_na_comes_in_and_goes_round() {
    let place = Place::new();
    place.ok(&[
        "create",
        "./f",
        "--column",
        "year INT NOT NULL",
        "--column",
        "dep_time INT",
        "--column",
        "carrier STRING",
        "--column",
        "time_hour TIMESTAMP_LTZ(0)",
        "--column",
        "flown BOOLEAN",
    ]);
    place.file(
        "f.csv",
        "carrier,year,dep_time,time_hour,flown\n\"UA, \"\"united\"\"\",2013,517.0,2013-01-01T10:00:00Z,TRUE\nAA,2013,NA,NA,false\n,2013,,,\n\"\",2013,1,2013-01-01 05:00:00-05:00,1\n",
    );
    place.ok(&["write", "./f", "f.csv", "--null", "NA"]);
    let wanted = "{\"year\":2013,\"dep_time\":517,\"carrier\":\"UA, \\\"united\\\"\",\"time_hour\":\"2013-01-01T10:00:00Z\",\"flown\":true}\n\
                  {\"year\":2013,\"dep_time\":null,\"carrier\":\"AA\",\"time_hour\":null,\"flown\":false}\n\
                  {\"year\":2013,\"dep_time\":null,\"carrier\":null,\"time_hour\":null,\"flown\":null}\n\
                  {\"year\":2013,\"dep_time\":1,\"carrier\":\"\",\"time_hour\":\"2013-01-01T10:00:00Z\",\"flown\":true}\n";
    assert_eq!(place.ok(&["read", "./f", "--json"]), wanted);
    let csv = place.ok(&["read", "./f", "--output", "csv"]);
    let described = place.ok(&["describe", "./f", "--json"]);
    let described: serde_json::Value = serde_json::from_str(&described).unwrap();
    place.file("schema.json", &described["columns"].to_string());
    place.ok(&["create", "./g", "--schema", "schema.json"]);
    place.feed_ok(&["write", "./g", "--format", "csv"], &csv);
    assert_eq!(place.ok(&["read", "./g", "--json"]), wanted);
}

#[test]
fn parquet_and_arrow_go_round() {
    let place = Place::new();
    place.orders("./t");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], FIRST);
    for (format, name) in [("parquet", "rows.parquet"), ("arrow", "rows.arrow")] {
        let bytes = place.run(&["read", "./t", "--output", format]).stdout;
        std::fs::write(place.path(name), bytes).unwrap();
        let copy = format!("./copy_{format}");
        place.ok(&["create", &copy, "--like", name, "--primary-key", "id"]);
        place.ok(&["write", &copy, name]);
        assert_eq!(place.ok(&["read", &copy, "--json"]), FIRST);
        // From a pipe, which cannot seek.
        let mut child = place.command(&["write", &copy, "--format", format]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&std::fs::read(place.path(name)).unwrap()).unwrap();
        assert!(child.wait().unwrap().success());
        assert_eq!(place.ok(&["read", &copy, "--json"]), FIRST);
    }
}

#[test]
fn nested_columns_go_round_in_every_format() {
    let place = Place::new();
    let columns = ["tags ARRAY<STRING>", "m MAP<STRING, ARRAY<INT>>", "r ROW<a INT, b ROW<c STRING>>"];
    let create = |name: &str| {
        let mut line = vec!["create", name, "--column", "id INT", "--primary-key", "id"];
        columns.iter().for_each(|column| line.extend(["--column", column]));
        place.ok(&line);
    };
    let rows = "{\"id\":1,\"tags\":[\"a\",null],\"m\":[[\"x\",[1,2]]],\"r\":{\"a\":1,\"b\":{\"c\":\"z\"}}}\n\
                {\"id\":2,\"tags\":null,\"m\":[],\"r\":null}\n\
                {\"id\":3,\"tags\":[],\"m\":null,\"r\":{\"a\":null,\"b\":null}}\n";
    create("./t");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], rows);
    assert_eq!(place.ok(&["read", "./t", "--json"]), rows);
    let table = place.ok(&["read", "./t", "--output", "table"]);
    assert!(table.contains("| [[\"x\",[1,2]]] | {\"a\":1,\"b\":{\"c\":\"z\"}}"), "{table}");
    for (format, name) in [("parquet", "rows.parquet"), ("arrow", "rows.arrow"), ("csv", "rows.csv")] {
        std::fs::write(place.path(name), place.run(&["read", "./t", "--output", format]).stdout).unwrap();
        let copy = format!("./copy_{format}");
        create(&copy);
        place.ok(&["write", &copy, name]);
        assert_eq!(place.ok(&["read", &copy, "--json"]), rows, "{format}");
        if format != "csv" {
            let like = format!("./like_{format}");
            place.ok(&["create", &like, "--like", name, "--primary-key", "id"]);
            place.ok(&["write", &like, name]);
            assert_eq!(place.ok(&["read", &like, "--json"]), rows, "like {format}");
        }
    }
    let described: serde_json::Value = serde_json::from_str(&place.ok(&["describe", "./t", "--json"])).unwrap();
    place.file("schema.json", &described["columns"].to_string());
    place.ok(&["create", "./by_schema", "--schema", "schema.json", "--primary-key", "id"]);
    place.feed_ok(&["write", "./by_schema", "--format", "jsonl"], rows);
    assert_eq!(place.ok(&["read", "./by_schema", "--json"]), rows);
    // A schema file of a table has nested types as JSON.
    place.ok(&["create", "./by_file", "--schema", "t/schema/schema-0"]);
    place.feed_ok(&["write", "./by_file", "--format", "jsonl"], rows);
    assert_eq!(place.ok(&["read", "./by_file", "--json"]), rows);
}

#[test]
fn variants_are_any_json_and_go_round_in_every_format() {
    let place = Place::new();
    let create = |name: &str, more: &[&'static str]| {
        let line = ["create", name, "--column", "id INT", "--column", "v VARIANT", "--primary-key", "id"];
        place.run(&[&line, more].concat())
    };
    assert!(create("./t", &["--column", "l ARRAY<VARIANT>"]).status.success());
    let rows = "{\"id\":1,\"v\":{\"a\":[1,2.50,\"x\",null],\"b\":true},\"l\":[1,null,\"y\"]}\n\
                {\"id\":2,\"v\":null,\"l\":null}\n\
                {\"id\":3,\"v\":\"a text\",\"l\":[]}\n\
                {\"id\":4,\"v\":12345678901234567890.5,\"l\":[{}]}\n\
                {\"id\":5,\"v\":-7,\"l\":[[]]}\n";
    place.feed_ok(&["write", "./t", "--format", "jsonl"], rows);
    // A decimal shows its digits, not the zeros behind them.
    let shown = rows.replace("2.50", "2.5");
    assert_eq!(place.ok(&["read", "./t", "--json"]), shown);
    place.ok(&["compact", "./t", "--full"]);
    assert_eq!(place.ok(&["read", "./t", "--json"]), shown);
    for (format, name) in [("parquet", "rows.parquet"), ("arrow", "rows.arrow"), ("csv", "rows.csv")] {
        std::fs::write(place.path(name), place.run(&["read", "./t", "--output", format]).stdout).unwrap();
        let copy = format!("./copy_{format}");
        assert!(create(&copy, &["--column", "l ARRAY<VARIANT>"]).status.success());
        place.ok(&["write", &copy, name]);
        assert_eq!(place.ok(&["read", &copy, "--json"]), shown, "{format}");
    }
    // Avro has no such type, and no order makes it a key.
    for (name, more) in [("./avro", ["-o", "file.format=avro"]), ("./keyed", ["--primary-key", "v"])] {
        let refused = create(name, &more);
        let words = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && words.contains("VARIANT"), "{name}: {words}");
    }
    let refused = place.fails(1, &["read", "./t", "--where", "v = 1"]);
    assert!(refused.contains("nested"), "{refused}");
}

#[test]
fn a_warehouse_has_databases_and_tables() {
    let place = Place::new();
    let warehouse = place.path("wh");
    let w = ["--warehouse", warehouse.as_str()];
    let with =
        |line: &[&'static str]| [line, &w.map(|s| Box::leak(s.to_string().into_boxed_str()) as &'static str)].concat();
    place.ok(&with(&[
        "create",
        "shop.orders",
        "--column",
        "id INT",
        "--primary-key",
        "id",
        "--comment",
        "all \u{1b}[31morders",
    ]));
    assert!(Path::new(&warehouse).join("shop.db/orders/schema/schema-0").is_file());
    let listed: serde_json::Value = serde_json::from_str(&place.ok(&with(&["list", "--json"]))).unwrap();
    assert_eq!(listed, serde_json::json!([{"database": "shop", "tables": ["orders"]}]));
    place.fails(1, &with(&["create", "shop.orders", "--column", "id INT", "--primary-key", "id"]));
    place.ok(&with(&["create", "shop.orders", "--column", "id INT", "--primary-key", "id", "--if-not-exists"]));
    let shown = place.ok(&with(&["describe", "shop.orders"]));
    assert!(shown.contains("INT NOT NULL") && shown.contains("bucket") && !shown.contains('\u{1b}'), "{shown}");
    let refused = place.fails(2, &with(&["drop", "shop.orders"]));
    assert!(refused.contains("nothing was dropped"), "{refused}");
    place.fails(1, &with(&["drop", "--database", "shop", "--yes"]));
    place.ok(&with(&["drop", "shop.orders", "--yes"]));
    place.fails(1, &with(&["read", "shop.orders"]));
    place.ok(&with(&["drop", "shop.orders", "--yes", "--if-exists"]));
    place.ok(&with(&["drop", "--database", "shop", "--yes"]));
    assert_eq!(place.ok(&with(&["list", "--json"])), "[]\n");
}

#[test]
fn every_view_of_the_inside_shows_something() {
    let place = Place::new();
    place.orders("./t");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], FIRST);
    place.feed_ok(&["write", "./t", "--format", "changes"], SECOND);
    for view in ["snapshots", "schemas", "manifests", "files", "partitions", "buckets", "options", "consumers"] {
        let lines = place.ok(&["inspect", "./t", view, "--json"]);
        assert_eq!(lines.is_empty(), view == "consumers", "{view}");
        for line in lines.lines() {
            serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(line).unwrap();
        }
        assert!(place.ok(&["inspect", "./t", view]).contains("row"), "{view}");
    }
    assert!(!place.ok(&["inspect", "./t"]).trim().is_empty());
}

#[test]
fn wrong_usage_is_two_and_failure_is_one() {
    let place = Place::new();
    place.orders("./t");
    place.fails(2, &["read"]);
    place.fails(2, &["nonsense"]);
    place.fails(2, &["read", "shop.orders"]);
    place.fails(2, &["read", "./t", "--at", "yesterday"]);
    place.fails(2, &["changes", "./t", "--from", "somewhere"]);
    place.fails(2, &["write", "./t", "rows.unknown"]);
    place.fails(2, &["write", "./t"]);
    place.fails(2, &["create", "./u", "--column", "id NOPE"]);
    place.fails(2, &["create", "./u"]);
    place.fails(1, &["read", "./none"]);
    place.fails(1, &["read", "./t", "--select", "nope"]);
    place.fails(1, &["read", "./t", "--where", "nope = 1"]);
    place.fails(1, &["read", "./t", "--where", "id ="]);
    place.fails(1, &["read", "./t", "--at", "7"]);
    assert!(place.fails(1, &["read", "./t", "--at", "2001-02-03T04:05:06Z"]).contains("2001-02-03T04:05:06Z"));
    place.fails(1, &["write", "./t", "none.csv"]);
    place.fails(1, &["create", "./t", "--column", "id INT"]);
    place.fails(1, &["create", "./u", "--column", "id INT", "-o", "no-such-option=1"]);
    place.fails(1, &["create", "./u", "--column", "id INT", "--primary-key", "nope"]);
    let error = place.fails(2, &["read", "shop.orders", "--json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&error).unwrap()["error"]["kind"], "usage");
    assert!(!Path::new(&place.path("u")).exists());
}

#[test]
fn a_closed_output_is_no_failure() {
    let place = Place::new();
    place.log("./t");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], &rows(0, 100_000));
    for line in
        [&["read", "./t", "--json"][..], &["read", "./t"], &["changes", "./t"], &["read", "./t", "--output", "arrow"]]
    {
        let mut reader = place.command(line).spawn().unwrap();
        let mut first = [0; 10];
        reader.stdout.take().unwrap().read_exact(&mut first).unwrap();
        let output = reader.wait_with_output().unwrap();
        assert!(output.status.success(), "{line:?}");
        assert_eq!(text(&output.stderr), "", "{line:?}");
    }
}

#[test]
fn the_demo_checks_itself() {
    let place = Place::new();
    let shown = place.ok(&["demo", "./demo", "--scale", "0.002"]);
    assert!(shown.contains("They agree, order by order."), "{shown}");
    place.fails(1, &["demo", "./demo"]);
}

/// A catalog service on a warehouse of a place, and its address.
fn serve(place: &Place, more: &[&str]) -> (Child, String) {
    let mut line = vec!["catalog", "serve", "--warehouse", "lake", "--listen", "127.0.0.1:0", "--json"];
    line.extend(more);
    let mut child = place.command(&line).env("FOREBAY_CATALOG_TOKEN", "hidden").spawn().unwrap();
    let mut told = String::new();
    let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut told).unwrap();
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["warehouse"], &told["token"]), (&"lake".into(), &true.into()));
    (child, told["uri"].as_str().unwrap().to_string())
}

#[test]
fn a_catalog_service_is_a_warehouse_for_every_command() {
    let place = Place::new();
    let (child, uri) = serve(&place, &["--verbose"]);
    let warehouse = format!("rest+{uri}");
    let run = |line: &[&str], input: &str| {
        let mut whole = line.to_vec();
        whole.extend(["--warehouse", warehouse.as_str()]);
        let mut command = place.command(&whole);
        let mut client = command.env("FOREBAY_CATALOG_TOKEN", "hidden").stdin(Stdio::piped()).spawn().unwrap();
        let _ = client.stdin.take().unwrap().write_all(input.as_bytes());
        let output = client.wait_with_output().unwrap();
        assert!(output.status.success(), "{line:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    run(&["create", "shop.t", "--column", "k BIGINT", "--column", "v STRING", "-k", "k"], "");
    run(&["write", "shop.t", "--format", "csv"], "k,v\n1,a\n2,b\n");
    assert_eq!(run(&["read", "shop.t", "--count"], "").trim(), "2");
    run(&["alter", "shop.t", "--add-column", "w INT"], "");
    run(&["compact", "shop.t", "--full"], "");
    run(&["tag", "create", "shop.t", "monday"], "");
    assert!(run(&["list", "--json"], "").contains("\"tables\":[\"t\"]"));
    // The same table without the service, and the service without a token.
    assert_eq!(place.ok(&["read", "lake/shop.db/t", "--count"]).trim(), "2");
    let refused = place.fails(1, &["list", "--warehouse", &warehouse]);
    assert!(refused.contains("401") && !refused.contains("hidden"), "{refused}");
    run(&["drop", "shop.t", "--yes"], "");
    assert!(!place.0.path().join("lake/shop.db/t").exists());
    assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let said = text(&output.stderr);
    assert!(said.contains("POST /v1/forebay/databases/shop/tables/t/commit 200"), "{said}");
    assert!(said.contains("stopped") && !said.contains("hidden"), "{said}");
}

#[test]
fn a_catalog_service_that_others_reach_needs_a_token() {
    let place = Place::new();
    let line = ["catalog", "serve", "--warehouse", "lake", "--listen", "0.0.0.0:0"];
    assert!(place.fails(2, &line).contains("token"));
    assert!(place.fails(2, &["catalog", "serve"]).contains("warehouse"));
    let again = ["catalog", "serve", "--warehouse", "rest+http://127.0.0.1:1"];
    assert!(place.fails(2, &again).contains("served already"));
}

#[test]
fn completions_are_printed_for_every_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(place.ok(&["completions", shell]).contains("forebay"));
    }
}

#[test]
fn an_interrupted_writer_says_what_it_committed() {
    let place = Place::new();
    place.log("./t");
    let mut writer = place
        .command(&["write", "./t", "--format", "jsonl", "--commit-every", "10"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = writer.stdin.take().unwrap();
    input.write_all(rows(0, 25).as_bytes()).unwrap();
    while place.ok(&["read", "./t", "--json"]).lines().count() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    interrupt(&writer);
    let output = writer.wait_with_output().unwrap();
    drop(input);
    assert_eq!(output.status.code(), Some(130));
    assert!(
        text(&output.stderr).contains("interrupted; the last commit is 2 (the first 20 rows)"),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(place.ok(&["read", "./t", "--json"]).lines().count(), 20);
}

#[test]
fn a_partition_is_moved_into_more_buckets() {
    let place = Place::new();
    let columns = ["--column", "id INT NOT NULL", "--column", "day DATE NOT NULL", "--primary-key", "id,day"];
    place.ok(&[&["create", "./t", "--partition-by", "day", "-o", "bucket=1"], &columns[..]].concat());
    let rows: String = (0..40).map(|id| format!("{{\"id\":{id},\"day\":\"2026-01-0{}\"}}\n", 1 + id % 2)).collect();
    place.feed_ok(&["write", "./t", "--format", "jsonl"], &rows);
    let before = place.ok(&["read", "./t", "--json"]);
    let told = place.ok(&["rescale", "./t", "--buckets", "3", "--partition", "day=2026-01-02", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["buckets_before"], &told["buckets"], &told["rows"]), (&1.into(), &3.into(), &20.into()));
    assert_eq!(sorted(&place.ok(&["read", "./t", "--json"])), sorted(&before));
    assert!(place.fails(2, &["rescale", "./t", "--buckets", "3", "--partition", "id=1"]).contains("partition"));
}

impl Place {
    /// A table with a key, and six commits of ten rows that overlap.
    fn many_runs(&self, table: &str) {
        self.ok(&[
            "create",
            table,
            "--warehouse",
            "./w",
            "--column",
            "id BIGINT NOT NULL",
            "--column",
            "name STRING",
            "-o",
            "write-only=true",
            "--primary-key",
            "id",
        ]);
        for commit in 0..6 {
            let rows = rows(commit * 5, commit * 5 + 10);
            self.feed_ok(&["write", table, "--warehouse", "./w", "--format", "jsonl"], &rows);
        }
    }

    fn live_files(&self, table: &str) -> usize {
        self.ok(&["inspect", table, "files", "--json"]).lines().count()
    }
}

#[test]
fn a_warehouse_is_compacted_with_all_its_tables() {
    let place = Place::new();
    for table in ["shop.orders", "shop.parts", "log.clicks"] {
        place.many_runs(table);
    }
    let dry = place.ok(&["compact", "./w", "--dry-run"]);
    assert_eq!(dry.lines().count(), 3, "{dry}");
    assert!(dry.contains("shop.orders: bucket 0: 6 files, 60 rows, "), "{dry}");
    assert_eq!(place.live_files("./w/shop.db/orders"), 6);
    let told = place.ok(&["compact", "shop", "--warehouse", "./w", "--exclude", "*.parts", "--json"]);
    assert_eq!(told.lines().count(), 1, "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["table"], &told["filesBefore"], &told["filesAfter"]),
        (&"shop.orders".into(), &6.into(), &1.into())
    );
    assert_eq!(place.live_files("./w/shop.db/orders"), 1);
    assert_eq!(place.live_files("./w/shop.db/parts"), 6);
    place.ok(&["compact", "--warehouse", "./w", "--full", "--memory", "64mb", "--threads", "2", "--rate-limit", "1gb"]);
    for table in ["./w/shop.db/orders", "./w/shop.db/parts", "./w/log.db/clicks"] {
        assert_eq!(place.live_files(table), 1);
        assert_eq!(sorted(&place.ok(&["read", table, "--json"])), sorted(&rows(0, 35)));
    }
    let shop = ["compact", "shop", "--warehouse", "./w", "--include"];
    place.ok(&[&shop[..], &["*.orders", "--include", "*.part?"]].concat());
    assert!(place.fails(2, &[&shop[..], &["*.orders", "--include", "log.*"]].concat()).contains("log.*"));
    place.fails(1, &["compact", "./nothing"]);
    place.fails(2, &["compact"]);
    place.fails(2, &["compact", "./w", "--memory", "much"]);
    // Found by acceptance: each of them was passed over.
    let table = "./w/shop.db/orders";
    for (wrong, told) in [
        (&["--rate-limit", "0"][..], "--rate-limit"),
        (&["--memory", "0"], "16 mb or more"),
        (&["--memory", "1mb"], "16 mb or more"),
        (&["--bucket=-1"], "--bucket"),
        (&["--interval", "5 s"], "--watch"),
    ] {
        let error = place.fails(2, &[&["compact", table], wrong].concat());
        assert!(error.contains(told), "{wrong:?}: {error}");
    }
    assert!(place.fails(1, &["compact", table, "--bucket", "99"]).contains("there is no bucket 99: the table has 1"));
    assert!(place.fails(2, &["read", table, "--memory", "1mb"]).contains("32 mb or more"));
    assert!(place.fails(2, &["changes", table, "--memory", "0"]).contains("32 mb or more"));
    assert!(place.fails(2, &["lookup", table, "1", "--memory", "0"]).contains("1 mb or more"));
    assert!(place.fails(2, &["write", table, "--memory", "0"]).contains("64 kb or more"));
    assert_eq!(sorted(&place.ok(&["read", table, "--json", "--memory", "32mb"])), sorted(&rows(0, 35)));
    assert!(place.ok(&["changes", table, "--memory", "32mb"]).lines().count() >= 35);
    place.fails(1, &["compact", "./w/shop.db/orders", "--where", "id > 3"]);
}

#[test]
fn tables_are_compacted_side_by_side_and_a_broken_one_keeps_nobody() {
    let place = Place::new();
    let tables = ["a.one", "a.two", "b.three", "b.four", "b.five"];
    for table in tables {
        place.many_runs(table);
    }
    let bucket = place.path("w/b.db/four/bucket-0");
    let gone = std::fs::read_dir(&bucket).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_file(gone).unwrap();
    let all = place.run(&["compact", "./w", "--full", "--threads", "4", "--memory", "1gb", "--json"]);
    assert_eq!(all.status.code(), Some(1), "{all:?}");
    assert!(text(&all.stderr).contains("b.four"), "{all:?}");
    let told = text(&all.stdout);
    let lines: Vec<serde_json::Value> = told.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), tables.len(), "{told}");
    assert_eq!(lines.iter().filter(|line| line["filesAfter"] == 1).count(), tables.len() - 1, "{told}");
    for table in ["./w/a.db/one", "./w/a.db/two", "./w/b.db/three", "./w/b.db/five"] {
        assert_eq!(place.live_files(table), 1, "{table}");
        assert_eq!(sorted(&place.ok(&["read", table, "--json"])), sorted(&rows(0, 35)));
    }
}

/// Found by acceptance: the second was taken for the first, and stayed as it was.
#[test]
fn tables_of_one_name_in_two_warehouses_are_two() {
    let place = Place::new();
    place.many_runs("shop.orders");
    std::fs::rename(place.path("w"), place.path("w1")).unwrap();
    place.many_runs("shop.orders");
    let told = place.ok(&["compact", "./w1", "./w", "--dry-run"]);
    assert!(told.contains("shop.orders of ./w1: bucket 0: 6 files") && told.contains("shop.orders of ./w: "), "{told}");
    let watcher = place.command(&["compact", "./w1", "./w", "--watch", "--interval", "100 ms"]).spawn().unwrap();
    while ["w1", "w"].iter().any(|warehouse| place.live_files(&format!("./{warehouse}/shop.db/orders")) != 1) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    interrupt(&watcher);
    let output = watcher.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // One table that is named in three ways is compacted once.
    let told = place.ok(&["compact", "./w", "./w/shop.db", "./w/shop.db/orders", "--full", "--json"]);
    assert_eq!(told.lines().count(), 1, "{told}");
    // A database with one table is a database: what it cannot compact is skipped.
    place.many_runs("odd.one");
    let schema = place.path("w/odd.db/one/schema/schema-0");
    let text_of = std::fs::read_to_string(&schema).unwrap();
    let option = "\"options\" : {\"cross-partition-upsert.index-ttl\":\"1 d\",";
    std::fs::write(&schema, text_of.replacen("\"options\" : {", option, 1)).unwrap();
    let skipped = place.run(&["compact", "./w/odd.db"]);
    assert!(skipped.status.success() && text(&skipped.stderr).contains("odd.one: skipped, "), "{skipped:?}");
}

/// Found by going through the issue: with the fixed bucket that was chosen for the caller the row stood in both partitions.
#[test]
fn a_key_that_lacks_a_partition_column_is_one_row_of_the_table() {
    let place = Place::new();
    let table = ["--column", "k INT NOT NULL", "--column", "p STRING", "--primary-key", "k", "--partition-by", "p"];
    place.ok(&[&["create", "./t"], &table[..]].concat());
    for row in ["{\"k\":1,\"p\":\"a\"}\n", "{\"k\":1,\"p\":\"b\"}\n"] {
        place.feed_ok(&["write", "./t", "--format", "jsonl"], row);
    }
    assert_eq!(place.ok(&["read", "./t", "--json"]).trim(), "{\"k\":1,\"p\":\"b\"}");
}

/// Found by acceptance: a plan did not tell which partitions it was about.
#[test]
fn a_plan_names_partitions() {
    let place = Place::new();
    let columns = ["--column", "id INT NOT NULL", "--column", "p STRING NOT NULL"];
    let keys = ["--primary-key", "id,p", "--partition-by", "p", "-o", "bucket=1", "-o", "write-only=true"];
    place.ok(&[&["create", "./t"], &columns[..], &keys].concat());
    for id in 0..6 {
        let row = format!("{{\"id\":{id},\"p\":\"a\"}}\n");
        place.feed_ok(&["write", "./t", "--format", "jsonl"], &row);
    }
    let told = place.ok(&["compact", "./t", "--dry-run"]);
    assert!(told.contains("p=a/bucket 0: 6 files"), "{told}");
    let told: serde_json::Value = serde_json::from_str(&place.ok(&["compact", "./t", "--dry-run", "--json"])).unwrap();
    assert_eq!(told["tasks"][0]["partition"], "p=a", "{told}");
    let planned = place.run(&["compact", "plan", "./t", "--out", "./plan"]);
    assert!(text(&planned.stdout).contains("p=a/bucket 0") || text(&planned.stderr).contains("p=a/bucket 0"));
}

/// Found by acceptance: snapshots of a table whose writers leave all else to a job stayed for ever.
#[test]
fn the_job_that_compacts_expires_snapshots() {
    let place = Place::new();
    let options = ["-o", "snapshot.num-retained.min=1", "-o", "snapshot.num-retained.max=2"];
    let table = ["--column", "id INT NOT NULL", "--primary-key", "id", "-o", "bucket=1", "-o", "write-only=true"];
    place.ok(&[&["create", "./t", "-o", "snapshot.time-retained=1 ms"], &table[..], &options].concat());
    for id in 0..6 {
        place.feed_ok(&["write", "./t", "--format", "jsonl"], &format!("{{\"id\":{id}}}\n"));
    }
    let snapshots = || place.ok(&["inspect", "./t", "snapshots", "--json"]).lines().count();
    assert_eq!(snapshots(), 6);
    place.ok(&["compact", "./t"]);
    assert!(snapshots() <= 2);
}

/// Found by acceptance: Java cannot hold what was stored.
#[test]
fn values_that_no_map_and_no_variant_has_are_refused() {
    let place = Place::new();
    let columns = ["k INT NOT NULL", "m MAP<STRING,INT>", "s MULTISET<STRING>", "v VARIANT", "a ARRAY<MAP<INT,INT>>"];
    let columns: Vec<&str> = columns.iter().flat_map(|column| ["--column", column]).collect();
    place.ok(&[&["create", "./t", "--primary-key", "k", "-o", "bucket=1"][..], &columns[..]].concat());
    for (row, told) in [
        (r#"{"k":1,"m":[["a",1],["a",2]]}"#, "column m: MAP<STRING, INT> holds a key twice"),
        (r#"{"k":1,"m":{"a":1,"a":2}}"#, "holds a key twice"),
        (r#"{"k":1,"s":[["a",1],["a",1]]}"#, "holds a key twice"),
        (r#"{"k":1,"a":[[[1,2]],[[3,4],[3,5]]]}"#, "column a.element"),
        (r#"{"k":1,"v":{"a":1,"b":{"x":1.5,"x":2}}}"#, "\"x\" is given twice"),
    ] {
        let failed = place.feed(&["write", "./t", "--format", "jsonl"], row);
        assert!(!failed.status.success() && text(&failed.stderr).contains(told), "{row}: {failed:?}");
    }
    let good =
        r#"{"k":1,"m":[["a",1],["b",1]],"s":[["a",2],["",0]],"v":{"a":1,"b":{"a":-2.5e3}},"a":[[],null,[[3,4]]]}"#;
    place.feed_ok(&["write", "./t", "--format", "jsonl"], good);
}

/// Found by acceptance: the directory of a database was taken for a table that is not there.
#[test]
fn the_location_of_a_database_means_its_tables() {
    let place = Place::new();
    for table in ["shop.orders", "shop.parts", "log.clicks"] {
        place.many_runs(table);
    }
    let told = place.ok(&["compact", "./w/shop.db", "--full", "--json"]);
    assert_eq!(told.lines().count(), 2, "{told}");
    for (table, files) in [("shop.db/orders", 1), ("shop.db/parts", 1), ("log.db/clicks", 6)] {
        assert_eq!(place.live_files(&format!("./w/{table}")), files, "{table}");
    }
    place.fails(1, &["compact", "./w/none.db"]);
    // A table may be called so.
    place.ok(&["create", "./odd.db", "--column", "id INT NOT NULL", "--primary-key", "id"]);
    place.feed_ok(&["write", "./odd.db", "--format", "jsonl"], "{\"id\":1}\n");
    place.ok(&["compact", "./odd.db", "--full"]);
}

/// Found by review: both were skipped, and all was well.
#[test]
fn a_table_that_was_named_is_compacted_or_the_command_fails() {
    let place = Place::new();
    place.many_runs("shop.orders");
    for table in ["shop.old", "shop.odd"] {
        place.many_runs(table);
        let schema = place.path(&format!("w/{}/schema/schema-0", table.replace("shop.", "shop.db/")));
        let text = std::fs::read_to_string(&schema).unwrap();
        let text = text.replacen("\"options\" : {", "\"options\" : {\"cross-partition-upsert.index-ttl\":\"1 d\",", 1);
        std::fs::write(&schema, text).unwrap();
    }
    // Found in a database they keep nobody from the others.
    let found = place.run(&["compact", "./w", "--exclude", "*.orders"]);
    assert!(found.status.success() && text(&found.stderr).contains("shop.odd: skipped, "), "{found:?}");
    let told = place.fails(1, &["compact", "shop.old", "shop.odd", "--warehouse", "./w", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["error"]["kind"], "unsupported", "{told}");
    assert!(told["error"]["message"].as_str().unwrap().starts_with("2 tables failed, the first: shop.old: "), "{told}");
    // What can be done is done.
    place.fails(1, &["compact", "shop.old", "shop.orders", "--warehouse", "./w"]);
    assert_eq!(place.live_files("./w/shop.db/orders"), 1);
}

#[test]
fn a_compaction_moves_postponed_rows_of_the_partitions_asked_for() {
    let place = Place::new();
    let columns = ["--column", "day STRING NOT NULL", "--column", "id INT NOT NULL", "--partition-by", "day"];
    place.ok(&[&["create", "./p", "--primary-key", "day,id", "-o", "bucket=-2"], &columns[..]].concat());
    let row = |day: &str, id: i32| format!("{{\"day\":\"{day}\",\"id\":{id}}}\n");
    place.feed_ok(&["write", "./p", "--format", "jsonl"], &[row("mon", 1), row("mon", 2), row("tue", 3)].concat());
    assert_eq!(place.ok(&["read", "./p", "--json"]), "");
    assert_eq!(place.ok(&["compact", "./p", "--dry-run"]), "./p: 3 postponed rows to real buckets\n");
    // Moving them is no task, so a plan has none: it tells that they wait.
    let planned = place.run(&["compact", "plan", "./p", "--partition", "day=mon", "--out", "./tasks"]);
    assert!(planned.status.success() && text(&planned.stderr).contains("2 postponed rows wait"), "{planned:?}");
    assert_eq!(place.ok(&["compact", "plan", "./p", "--out", "./tasks", "--json"]), "{\"postponedRows\":3}\n");
    let told = place.ok(&["compact", "./p", "--partition", "day=mon", "--json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["postponedRows"], &told["snapshots"]), (&2.into(), &serde_json::json!([2])));
    assert_eq!(sorted(&place.ok(&["read", "./p", "--json"])), sorted(&[row("mon", 1), row("mon", 2)].concat()));
    place.ok(&["compact", "./p", "--full", "--memory", "64mb"]);
    let all = [row("mon", 1), row("mon", 2), row("tue", 3)].concat();
    assert_eq!(sorted(&place.ok(&["read", "./p", "--json"])), sorted(&all));
    let told = place.ok(&["compact", "./p", "--json"]);
    assert!(told.contains("\"postponedRows\":0"), "{told}");
    place.fails(1, &["compact", "./p", "--where", "id > 3"]);
}

#[test]
fn a_compaction_travels_in_parts_and_a_lost_one_costs_only_itself() {
    let place = Place::new();
    place.many_runs("shop.orders");
    let table = "./w/shop.db/orders";
    place.ok(&["compact", "plan", table, "--full", "--out", "./tasks"]);
    place.ok(&["compact", "run", table, "./tasks/00000.task"]);
    place.ok(&["compact", "run", table, "./tasks/00000.task", "--out", "./again", "-o", "data-file.prefix=again-"]);
    let message = std::fs::read(place.path("again/00000.message")).unwrap();
    assert!(message.windows(6).any(|bytes| bytes == b"again-"), "the option was followed");
    place.fails(1, &["compact", "commit", table, "./again/00000.message", "-o", "no-such-option=1"]);
    let first = place.run(&["compact", "commit", table, "./tasks/00000.message"]);
    assert!(text(&first.stderr).contains("committed, snapshot 7"), "{first:?}");
    let again = ["compact", "commit", table, "./again/00000.message"];
    assert!(place.fails(1, &again).contains("all 1 lost to other commits"));
    let error = place.fails(1, &[&again[..], &["--json"]].concat());
    assert_eq!(serde_json::from_str::<serde_json::Value>(&error).unwrap()["error"]["kind"], "conflict");
    assert_eq!(sorted(&place.ok(&["read", table, "--json"])), sorted(&rows(0, 35)));
    assert_eq!(place.live_files(table), 1);
    // Tasks and messages of an earlier plan stay where they are, and a message of another table is none that was lost.
    let error = place.fails(2, &["compact", "plan", table, "--full", "--out", "./tasks"]);
    assert!(error.contains("is of an earlier plan"), "{error}");
    place.many_runs("shop.parts");
    let error = place.fails(1, &["compact", "commit", "./w/shop.db/parts", "./tasks/00000.message"]);
    assert!(error.contains("which this message replaces"), "{error}");
    assert_eq!(place.live_files("./w/shop.db/parts"), 6);
    place.file("bad.message", "no message");
    assert!(place.fails(1, &["compact", "commit", table, "./bad.message"]).contains("bad.message"));
}

/// Found by acceptance: flushes of one commit were not bounded.
#[test]
fn a_writer_tells_how_long_it_stood_still() {
    let place = Place::new();
    let mut create =
        vec!["create", "./t", "--primary-key", "id", "--column", "id INT NOT NULL", "--column", "text STRING"];
    create.extend([
        "-o",
        "bucket=1",
        "-o",
        "write-buffer-spillable=false",
        "-o",
        "num-sorted-run.compaction-trigger=3",
    ]);
    place.ok(&[&create[..], &["-o", "num-sorted-run.stop-trigger=4"]].concat());
    let all: String = (0..100_000).map(|id| format!("{{\"id\":{id},\"text\":\"row {id}\"}}\n")).collect();
    let write = ["write", "./t", "--format", "jsonl", "--memory", "400kb", "--json"];
    let told: serde_json::Value = serde_json::from_str(&text(&place.feed(&write, &all).stdout)).unwrap();
    assert!(told["stalledSeconds"].as_f64().unwrap() > 0.0, "{told}");
    let files = place.ok(&["inspect", "./t", "files", "--at", "1", "--json"]);
    assert!((1..=5).contains(&files.lines().count()), "{files}");
    assert_eq!(place.ok(&["read", "./t", "--count"]), "100000\n");
    let load = ["load", "./t", "-", "--format", "jsonl", "--memory", "400kb", "--json"];
    let told: serde_json::Value = serde_json::from_str(&text(&place.feed(&load, &all).stdout)).unwrap();
    assert!(told["stalledSeconds"].as_f64().unwrap() > 0.0, "{told}");
}

/// It keeps its handles between rounds.
#[test]
fn a_watching_compactor_sees_new_columns_and_tables_that_were_made_anew() {
    let place = Place::new();
    place.many_runs("shop.orders");
    let table = "./w/shop.db/orders";
    let watcher = place.command(&["compact", "./w", "--watch", "--full", "--interval", "50 ms"]).spawn().unwrap();
    let compacted = || {
        while place.live_files(table) != 1 {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    compacted();
    place.ok(&["alter", table, "--add-column", "more INT"]);
    place.feed_ok(&["write", table, "--format", "jsonl"], "{\"id\":1,\"name\":\"new\",\"more\":7}\n");
    compacted();
    assert!(place.ok(&["read", table, "--where", "more = 7", "--json"]).contains("\"new\""));
    place.ok(&["drop", table, "--yes"]);
    let columns = ["create", table, "--column", "id BIGINT NOT NULL", "--column", "n INT", "--primary-key", "id"];
    place.ok(&[&columns[..], &["-o", "write-only=true"]].concat());
    for n in 0..3 {
        place.feed_ok(&["write", table, "--format", "jsonl"], &format!("{{\"id\":{n},\"n\":{n}}}\n"));
    }
    compacted();
    interrupt(&watcher);
    let output = watcher.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(place.ok(&["read", table, "--count"]), "3\n");
}

#[test]
fn a_watching_compactor_tells_prometheus_what_it_does() {
    let place = Place::new();
    place.many_runs("shop.orders");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    // An address that is taken is told, and nothing is compacted.
    let error = place.fails(1, &["compact", "./w", "--watch", "--metrics", &address]);
    assert!(error.contains(&address), "{error}");
    drop(free);
    place.fails(2, &["compact", "./w", "--metrics", &address]);
    let watcher = place.command(&["compact", "./w", "--watch", "--full", "--metrics", &address]).spawn().unwrap();
    let asked = || {
        let mut stream = std::net::TcpStream::connect(&address).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    let answer = loop {
        match asked() {
            Some(answer) if answer.contains("commits_total{table=\"shop.orders\"} 1") => break answer,
            _ => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    for line in
        ["forebay_compaction_seconds_count{table=\"shop.orders\"} 1", "# TYPE forebay_compaction_debt_files gauge"]
    {
        assert!(answer.contains(line), "{line} of {answer}");
    }
    interrupt(&watcher);
    assert!(watcher.wait_with_output().unwrap().status.success());
}

#[test]
fn a_watching_compactor_takes_what_a_writer_leaves() {
    let place = Place::new();
    place.many_runs("shop.orders");
    let table = "./w/shop.db/orders";
    let watcher = place.command(&["compact", "./w", "--watch", "--interval", "50 ms"]).spawn().unwrap();
    for commit in 0..12 {
        place.feed_ok(&["write", table, "--format", "jsonl"], &rows(commit * 3, commit * 3 + 10));
    }
    while place.live_files(table) > 5 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    interrupt(&watcher);
    let output = watcher.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(sorted(&place.ok(&["read", table, "--json"])), sorted(&rows(0, 43)));
}

#[test]
fn a_compactor_tells_followers_of_tables_whose_changelog_full_compactions_make() {
    let place = Place::new();
    let columns = ["create", "./t", "--column", "id BIGINT NOT NULL", "--column", "name STRING", "--primary-key", "id"];
    place.ok(&[&columns[..], &["-o", "write-only=true", "-o", "changelog-producer=full-compaction"]].concat());
    let told = || place.ok(&["changes", "./t", "--from", "earliest"]).lines().count();
    for commit in 0..2 {
        place.feed_ok(&["write", "./t", "--format", "jsonl"], &rows(commit * 3, commit * 3 + 10));
    }
    assert_eq!(told(), 0);
    // Two small files are not due by their number or size.
    place.ok(&["compact", "./t"]);
    assert_eq!((place.live_files("./t"), told()), (1, 13));
    let watcher = place.command(&["compact", "./t", "--watch", "--interval", "50 ms"]).spawn().unwrap();
    place.feed_ok(&["write", "./t", "--format", "jsonl"], &rows(13, 20));
    while told() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    interrupt(&watcher);
    let output = watcher.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(told(), 20);
    let typo = [
        "create",
        "./u",
        "--column",
        "id BIGINT NOT NULL",
        "--primary-key",
        "id",
        "-o",
        "record-level.time-field=nope",
    ];
    assert!(place.fails(1, &typo).contains("record-level.time-field"));
}

/// As a supervisor ends a service.
#[test]
fn a_watching_compactor_ends_in_peace_when_it_is_terminated() {
    let place = Place::new();
    place.many_runs("shop.orders");
    let watcher = place.command(&["compact", "./w", "--full", "--watch", "--interval", "1 h"]).spawn().unwrap();
    while place.live_files("./w/shop.db/orders") > 1 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    signal(&watcher, "-TERM");
    let output = watcher.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn old_snapshots_expire_and_a_dry_run_tells_what_would_go() {
    let place = Place::new();
    // Short lives, and no expiry after commits: that is what the command is for.
    let options = ["-o", "write-only=true", "-o", "snapshot.time-retained=4 ms", "-o", "changelog.time-retained=1 d"];
    let columns = ["create", "t", "--column", "id BIGINT NOT NULL", "--column", "name STRING", "--primary-key", "id"];
    place.ok(&[&columns[..], &options[..], &["-o", "changelog-producer=input"]].concat());
    for round in 0..5 {
        place.feed_ok(&["write", "t", "--format", "jsonl"], &rows(round, round + 3));
    }
    place.ok(&["compact", "t", "--full"]);
    let (before, changes) = (place.ok(&["read", "t", "--json"]), place.ok(&["changes", "t", "--from", "earliest"]));
    std::thread::sleep(std::time::Duration::from_millis(20));
    let dry: serde_json::Value =
        serde_json::from_str(&place.ok(&["expire", "t", "--retain-min", "1", "--dry-run", "--json"])).unwrap();
    assert_eq!(dry["snapshots"], serde_json::json!([1, 2, 3, 4, 5]), "{dry}");
    let paths: Vec<_> = dry["paths"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert!(paths.len() as u64 == dry["files"].as_u64().unwrap() && dry["bytes"].as_u64() > Some(1000), "{dry}");
    assert!(paths.iter().all(|path| place.0.path().join("t").join(path).is_file()), "{dry}");
    let shown = place.run(&["expire", "t", "--retain-min", "1", "--dry-run"]);
    assert!(text(&shown.stdout).contains(paths[0]) && text(&shown.stderr).contains("5 snapshots (1 to 5) and no"));

    let two = place.run(&["expire", "t", "--retain-min", "1", "--max-deletes", "2"]);
    assert!(text(&two.stderr).contains("2 snapshots (1 to 2) and no"), "{}", text(&two.stderr));
    assert!(text(&two.stderr).contains("no more may go in one run"), "{}", text(&two.stderr));
    let rest: serde_json::Value =
        serde_json::from_str(&place.ok(&["expire", "t", "--retain-min", "1", "--json"])).unwrap();
    assert_eq!((&rest["snapshots"], &rest["failed"]), (&serde_json::json!([3, 4, 5]), &0.into()), "{rest}");
    assert!(paths.iter().all(|path| !place.0.path().join("t").join(path).exists()), "{rest}");
    assert!(!place.0.path().join("t/expiry").exists());
    assert_eq!(place.ok(&["read", "t", "--json"]), before);
    assert_eq!(place.ok(&["changes", "t", "--from", "earliest"]), changes);
    assert_eq!(place.ok(&["inspect", "t", "changelogs", "--json"]).lines().count(), 5);
    assert!(place.fails(1, &["read", "t", "--at", "2"]).contains("snapshot.time-retained"));
    for wrong in [["--older-than", "yesterday"], ["--retain-max", "0"], ["--older-than", "2999-01-01"]] {
        place.fails(2, &[&["expire", "t"], &wrong[..]].concat());
    }
    place.fails(1, &["expire", "t", "--retain-max", "2", "--retain-min", "3"]);
}

/// More rows than the pipe to a reader that does not take them holds, in partitions of their own.
fn wide(place: &Place) {
    let columns = ["create", "t", "--column", "day INT", "--column", "name STRING", "--partition-by", "day"];
    place.ok(&[&columns[..], &["-o", "write-only=true", "-o", "snapshot.time-retained=4 ms"]].concat());
    let name = "x".repeat(500);
    let rows: String = (0..12_000).map(|id| format!("{{\"day\":{},\"name\":\"{id} {name}\"}}\n", id % 60)).collect();
    place.feed_ok(&["write", "t", "--format", "jsonl"], &rows);
}

#[test]
fn a_read_is_guarded_while_it_waits_for_whoever_takes_its_rows() {
    for guarded in [true, false] {
        let place = Place::new();
        wide(&place);
        let line: &[&str] =
            if guarded { &["read", "t", "--json", "--protect", "1 h"] } else { &["read", "t", "--json"] };
        let mut read = place.command(line).spawn().unwrap();
        let mut first = [0; 1000];
        read.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        let tags = place.ok(&["tag", "list", "t", "--output", "csv"]);
        assert_eq!(tags.contains("batch-read-1-"), guarded, "{tags}");
        place.ok(&["truncate", "t"]);
        place.feed_ok(&["write", "t", "--format", "jsonl"], "{\"day\":0,\"name\":\"new\"}\n");
        std::thread::sleep(std::time::Duration::from_millis(20));
        place.ok(&["expire", "t", "--retain-max", "1", "--retain-min", "1"]);
        let output = read.wait_with_output().unwrap();
        let lines = text(&first).matches('\n').count() + text(&output.stdout).lines().count();
        match guarded {
            true => assert!(output.status.success() && lines >= 12_000, "{lines} lines: {}", text(&output.stderr)),
            false => assert!(text(&output.stderr).contains("snapshot 1: it expired"), "{}", text(&output.stderr)),
        }
        assert_eq!(place.ok(&["tag", "list", "t", "--json"]), "", "no tag is left");
    }
}

#[test]
fn a_guarded_read_leaves_no_tag_and_expiry_tells_the_tags_whose_time_is_over() {
    let place = Place::new();
    place.log("./t");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], &rows(0, 9));
    let option = ["-o", "scan.plan-auto-tag-for-read.time-retained=1 h"];
    for line in
        [&["--protect", "1 h"][..], &option[..], &["--protect", "1 h", "--limit", "2"], &["--protect", "1h", "--count"]]
    {
        place.ok(&[&["read", "./t", "--json"], line].concat());
        assert_eq!(place.ok(&["tag", "list", "./t", "--json"]), "", "{line:?}");
    }
    place.fails(1, &["read", "./t", "--protect", "1 h", "--select", "nothing"]);
    assert_eq!(place.ok(&["tag", "list", "./t", "--json"]), "");
    assert!(place.fails(1, &["read", "./t", "--protect", "soon"]).contains("--protect"));
    place.fails(2, &["read", "./t", "--protect", "1 h", "--between", "0..1"]);

    place.ok(&["tag", "create", "./t", "short", "--time-retained", "1 ms"]);
    place.ok(&["tag", "create", "./t", "long", "--time-retained", "1 d"]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    let dry = place.ok(&["expire", "./t", "--dry-run", "--json"]);
    assert!(dry.contains("\"tags\":[\"short\"]"), "{dry}");
    let told = text(&place.run(&["expire", "./t"]).stderr);
    assert!(told.contains("tags whose time is over went: short"), "{told}");
    assert_eq!(place.ok(&["tag", "list", "./t", "--json"]).lines().count(), 1);
}

#[test]
fn alter_rolls_back_to_a_schema_where_nothing_names_a_newer_one() {
    let place = Place::new();
    place.log("./t");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], &rows(0, 3));
    place.ok(&["alter", "./t", "--add-column", "a INT"]);
    place.ok(&["alter", "./t", "--set", "snapshot.num-retained.min=7"]);
    place.fails(2, &["alter", "./t", "--rollback-schema", "0", "--add-column", "b INT"]);
    assert!(place.fails(1, &["alter", "./t", "--rollback-schema", "9"]).contains("schema 9"));
    let told = place.ok(&["alter", "./t", "--rollback-schema", "0", "--json"]);
    assert!(told.contains("\"schema\":0") && told.contains("\"changed\":true"), "{told}");
    assert_eq!(place.ok(&["inspect", "./t", "schemas", "--json"]).lines().count(), 1);
    let told = place.ok(&["alter", "./t", "--rollback-schema", "0", "--json"]);
    assert!(told.contains("\"changed\":false"), "{told}");
    place.ok(&["alter", "./t", "--add-column", "b INT"]);
    place.feed_ok(&["write", "./t", "--format", "jsonl"], "{\"id\":7,\"name\":\"x\",\"b\":1}\n");
    let told = place.fails(1, &["alter", "./t", "--rollback-schema", "0"]);
    assert!(told.contains("snapshot 2 names schema 1"), "{told}");
    assert_eq!(place.ok(&["read", "./t", "--json"]).lines().count(), 4);
}

#[test]
fn alter_changes_columns_and_old_rows_read_in_the_new_schema() {
    let place = Place::new();
    let columns = ["--column", "id INT NOT NULL", "--column", "a INT", "--column", "b STRING"];
    place.ok(&[&["create", "./t", "--primary-key", "id"], columns.as_slice()].concat());
    place.feed_ok(&["write", "./t", "--format", "jsonl"], "{\"id\":1,\"a\":7,\"b\":\"x\"}\n");
    let change = ["--rename-column", "a=n", "--column-type", "n=STRING", "--add-column", "r ROW<y INT>"];
    let place_of = ["--move-column", "r=after:id", "--drop-column", "b", "--set", "snapshot.num-retained.min=3"];
    let told = place.ok(&[&["alter", "./t", "--json"], change.as_slice(), place_of.as_slice()].concat());
    assert!(told.contains("\"schema\":1"), "{told}");
    place.feed_ok(&["write", "./t", "--format", "jsonl"], "{\"id\":2,\"r\":{\"y\":3},\"n\":\"z\"}\n");
    let rows = place.ok(&["read", "./t", "--output", "jsonl"]);
    assert_eq!(rows, "{\"id\":1,\"r\":null,\"n\":\"7\"}\n{\"id\":2,\"r\":{\"y\":3},\"n\":\"z\"}\n");
    let old = place.ok(&["read", "./t", "--at", "1", "--output", "jsonl"]);
    assert_eq!(old, "{\"id\":1,\"a\":7,\"b\":\"x\"}\n");
    let again = place.run(&["alter", "./t", "--set", "snapshot.num-retained.min=3"]);
    assert!(again.status.success() && text(&again.stderr).contains("already"), "{}", text(&again.stderr));
    for (line, word) in [
        (vec!["alter", "./t"], "nothing to change"),
        (vec!["alter", "./t", "--move-column", "n=up"], "no place"),
        (vec!["alter", "./t", "--drop-column", "id"], "primary key column id"),
        (vec!["alter", "./t", "--column-type", "n=ARRAY<INT>"], "by its path"),
        (vec!["alter", "./t", "--drop-column", "nothing"], "nothing"),
        (vec!["alter", "./t", "--set", "no-such=1"], "no-such"),
    ] {
        let output = place.run(&line);
        assert!(!output.status.success() && text(&output.stderr).contains(word), "{line:?}: {}", text(&output.stderr));
    }
}

#[test]
fn columns_have_default_values() {
    let place = Place::new();
    let columns = ["--column", "id INT", "--column", "a INT NOT NULL DEFAULT 5", "--column", "s STRING default 'a b'"];
    place.ok(&[&["create", "./t", "--primary-key", "id"], columns.as_slice()].concat());
    place.feed_ok(&["write", "./t", "--format", "jsonl"], "{\"id\":1}\n{\"id\":2,\"a\":6,\"s\":null}\n");
    place.feed_ok(&["write", "./t", "--format", "csv"], "id,s\n3,x\n");
    let change =
        ["--column-default", "a=7", "--drop-column-default", "s", "--add-column", "n DECIMAL(4,1) default 1.25"];
    place.ok(&[&["alter", "./t"], change.as_slice()].concat());
    place.feed_ok(&["write", "./t", "--format", "jsonl"], "{\"id\":4}\n");
    // An update writes what it says, and leaves NULL what was NULL.
    place.ok(&["update", "./t", "--set", "s='y'", "--where", "id = 1"]);
    let rows = place.ok(&["read", "./t", "--output", "jsonl"]);
    let wanted = "{\"id\":1,\"a\":5,\"s\":\"y\",\"n\":null}\n{\"id\":2,\"a\":6,\"s\":\"a b\",\"n\":null}\n\
                  {\"id\":3,\"a\":5,\"s\":\"x\",\"n\":null}\n{\"id\":4,\"a\":7,\"s\":null,\"n\":1.3}\n";
    assert_eq!(rows, wanted);
    let told = place.ok(&["describe", "./t", "--json"]);
    assert!(told.contains("\"default\":\"7\"") && place.ok(&["describe", "./t"]).contains("default"), "{told}");
    for line in [
        ["alter", "./t", "--column-default", "a=x"],
        ["alter", "./t", "--add-column", "m INT default x"],
        ["create", "./u", "--column", "m INT default x"],
    ] {
        let output = place.run(&line);
        assert!(!output.status.success() && text(&output.stderr).contains("default value"), "{line:?}");
    }
}

#[test]
fn merge_schema_adds_and_widens_columns_before_it_writes() {
    let place = Place::new();
    place.ok(&["create", "./wide", "--column", "id INT", "--column", "a BIGINT", "--column", "b STRING"]);
    place.feed_ok(&["write", "./wide", "--format", "jsonl"], "{\"id\":1,\"a\":5000000000,\"b\":\"x\"}\n");
    let parquet = place.run(&["read", "./wide", "--output", "parquet"]);
    std::fs::write(place.path("wide.parquet"), parquet.stdout).unwrap();
    place.ok(&["create", "./t", "--column", "id INT", "--column", "a INT", "--column", "c INT"]);
    place.feed_ok(&["write", "./t", "--format", "jsonl"], "{\"id\":0,\"a\":7,\"c\":1}\n");
    assert!(!place.run(&["write", "./t", "wide.parquet"]).status.success());
    assert!(!place.run(&["load", "./t", "wide.parquet"]).status.success());
    for command in ["write", "load"] {
        place.ok(&[command, "./t", "wide.parquet", "--merge-schema"]);
    }
    let old = "{\"id\":0,\"a\":7,\"c\":1,\"b\":null}\n";
    let new = "{\"id\":1,\"a\":5000000000,\"c\":null,\"b\":\"x\"}\n";
    let rows = place.ok(&["read", "./t", "--output", "jsonl"]);
    let mut rows: Vec<&str> = rows.split_inclusive('\n').collect();
    rows.sort_unstable(); // files of an append table have no order among them
    assert_eq!(rows.concat(), format!("{old}{new}{new}"));
    assert!(place.ok(&["describe", "./t", "--json"]).contains("\"schemaId\":1"), "the second run changed nothing");
    place.ok(&["create", "./u", "--column", "a DATE"]);
    let refused = place.run(&["write", "./u", "wide.parquet", "--merge-schema"]);
    assert!(
        !refused.status.success() && text(&refused.stderr).contains("column a of DATE"),
        "{}",
        text(&refused.stderr)
    );
    let told = place.feed(&["write", "./t", "--format", "csv", "--merge-schema"], "id\n1\n");
    assert!(!told.status.success() && text(&told.stderr).contains("do not tell types"), "{}", text(&told.stderr));
}

/// Columns that hold NULLs alone tell no type: they fit any column that is there, and none is made of them.
#[test]
fn columns_without_a_type_are_written_and_not_made() {
    let place = Place::new();
    let ids: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let rows = RecordBatch::try_from_iter([("id", ids), ("a", new_null_array(&arrow_schema::DataType::Null, 1))]);
    let rows = rows.unwrap();
    let mut file = StreamWriter::try_new(File::create(place.path("nulls.arrow")).unwrap(), &rows.schema()).unwrap();
    file.write(&rows).unwrap();
    file.finish().unwrap();
    place.ok(&["create", "./t", "--column", "id INT", "--column", "a DATE"]);
    place.ok(&["write", "./t", "nulls.arrow", "--merge-schema"]);
    assert_eq!(place.ok(&["read", "./t", "--json"]), "{\"id\":1,\"a\":null}\n");
    place.ok(&["create", "./u", "--column", "id INT"]);
    assert!(
        place
            .fails(1, &["write", "./u", "nulls.arrow", "--merge-schema"])
            .contains("column \"a\" or a part of it holds NULLs")
    );
    assert!(place.ok(&["describe", "./u", "--json"]).contains("\"schemaId\":0"), "nothing changed");
}

#[test]
fn a_level_of_the_log_that_is_none_is_wrong_usage() {
    let place = Place::new();
    let output = place.command(&["list", "--warehouse", "."]).env("FOREBAY_LOG", "loud").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("FOREBAY_LOG"), "{}", text(&output.stderr));
    let output = place.command(&["list", "--warehouse", "."]).env("FOREBAY_LOG", "debug").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn an_append_table_drops_the_kinds_that_its_options_name() {
    let place = Place::new();
    let columns = ["--column", "k INT", "--column", "s STRING"];
    let feed = "{\"kind\":\"+I\",\"row\":{\"k\":1,\"s\":\"a\"}}\n{\"kind\":\"-U\",\"row\":{\"k\":2,\"s\":\"b\"}}\n\
                {\"kind\":\"+U\",\"row\":{\"k\":3,\"s\":\"c\"}}\n";
    for option in ["ignore-delete=true", "ignore-update-before=true"] {
        place.ok(&[&["create", "./t", "-o", option], &columns[..]].concat());
        place.feed_ok(&["write", "./t", "--format", "changes"], feed);
        let rows = place.ok(&["read", "./t", "--json", "--select", "k"]);
        assert_eq!(sorted(&rows), ["{\"k\":1}", "{\"k\":3}"], "{option}");
        let told = place.feed(&["write", "./t", "--format", "changes"], &feed.replace("-U", "-D"));
        assert_eq!(told.status.success(), option == "ignore-delete=true", "{option}: {}", text(&told.stderr));
        place.ok(&["drop", "./t", "--yes"]);
    }
}

/// The columns of a look back are those of its time, also where nothing is left to read.
#[test]
fn a_look_back_that_shows_nothing_has_the_columns_of_its_time() {
    let place = Place::new();
    place.ok(&["create", "./t", "--column", "k INT", "--column", "v INT", "--column", "w INT"]);
    place.feed_ok(&["write", "./t", "--format", "jsonl"], "{\"k\":1,\"v\":1,\"w\":1}\n");
    place.ok(&["alter", "./t", "--column-type", "v=STRING", "--rename-column", "w=x"]);
    for (filter, rows) in [("v = 1", 1), ("v = 100", 0), ("w = 100", 0), ("-1 < k and w = v", 1), ("w < v", 0)] {
        let shown = place.ok(&["read", "./t", "--json", "--at", "1", "--where", filter, "--select", "w"]);
        assert_eq!(shown, "{\"w\":1}\n".repeat(rows), "{filter}");
        let first = ["--order-by", "w", "--limit", "1"];
        let ordered = [&["read", "./t", "--json", "--at", "1", "--where", filter][..], &first].concat();
        assert_eq!(place.ok(&ordered).lines().count(), rows, "{filter}");
    }
    assert!(place.fails(1, &["read", "./t", "--at", "1", "--where", "x = 100"]).contains("no column"));
}

#[test]
fn names_with_commas_stand_between_quotes() {
    let place = Place::new();
    let key = ["--primary-key", "`a,b`", "--partition-by", "\"a,b\""];
    place.ok(&[&["create", "./t", "-o", "bucket=1", "--column", "`a,b` INT", "--column", "c INT"], &key[..2]].concat());
    place.feed_ok(&["write", "./t", "--format", "jsonl"], "{\"a,b\":1,\"c\":2}\n{\"a,b\":2,\"c\":1}\n");
    let select = ["read", "./t", "--json", "--select", "c,`a,b`", "--order-by", "`a,b` desc", "--limit", "1"];
    assert_eq!(place.ok(&select), "{\"c\":1,\"a,b\":2}\n");
    assert_eq!(place.ok(&["lookup", "./t", "1", "--json", "--select", "\"a,b\""]), "{\"a,b\":1}\n");
    assert!(place.fails(2, &["read", "./t", "--select", "`a,b"]).contains("not closed"));
    place.ok(&[&["create", "./p", "--column", "`a,b` INT", "--column", "c INT"], &key[2..]].concat());
    assert!(place.ok(&["describe", "./p", "--json"]).contains("\"partitionBy\":[\"a,b\"]"));
}

#[test]
fn rows_are_loaded_deleted_updated_and_truncated() {
    let place = Place::new();
    let create = |table: &str, rest: &[&str]| {
        let columns = ["--column", "id INT NOT NULL", "--column", "day INT NOT NULL", "--column", "note STRING"];
        place.ok(&[&["create", table], columns.as_slice(), &["--partition-by", "day"], rest].concat());
    };
    create("keyed", &["--primary-key", "id,day", "-o", "bucket=2"]);
    create("plain", &[]);
    create("masked", &["-o", "deletion-vectors.enabled=true"]);
    place.file("a.csv", "id,day,note\n1,1,a\n2,1,b\n3,2,c\n");
    place.file("b.csv", "id,day,note\n4,2,d\n");
    place.file("none.csv", "id,day,note\n");
    let rows = |table: &str| {
        let out = place.ok(&["read", table, "--output", "csv"]);
        let mut lines: Vec<String> = out.lines().skip(1).map(str::to_string).collect();
        lines.sort();
        lines
    };
    for (table, means) in [("keyed", "changes"), ("plain", "rewrite"), ("masked", "vectors")] {
        let json = |line: &[&str]| -> serde_json::Value { serde_json::from_str(&place.ok(line)).unwrap() };
        let told = json(&["load", table, "a.csv", "b.csv", "--json", "--commit-user", "first"]);
        assert_eq!((&told["rows"], &told["snapshot"], &told["replaced"]), (&4.into(), &1.into(), &().into()), "{told}");
        let again = json(&["load", table, "a.csv", "b.csv", "--json", "--commit-user", "first"]);
        assert_eq!(again["already"], true);
        let tried = json(&["delete", table, "--where", "note = 'a'", "--dry-run", "--json"]);
        assert_eq!((&tried["rows"], &tried["snapshot"], &tried["means"]), (&1.into(), &().into(), &means.into()));
        place.ok(&["delete", table, "--where", "note = 'a'"]);
        let told = json(&["update", table, "--set", "note = 'x'", "--where", "id >= 3", "--json"]);
        assert_eq!((&told["rows"], &told["means"]), (&2.into(), &means.into()), "{told}");
        assert_eq!(rows(table), ["2,1,b", "3,2,x", "4,2,x"]);
        // Partitions that get rows, a named one, and one that gets none.
        place.ok(&["load", table, "b.csv", "--overwrite"]);
        assert_eq!(rows(table), ["2,1,b", "4,2,d"]);
        let error = place.fails(1, &["load", table, "a.csv", "--overwrite", "--partition", "day=1"]);
        assert!(error.contains("nothing was committed"), "{error}");
        place.ok(&["load", table, "none.csv", "--overwrite"]);
        assert_eq!(rows(table), ["2,1,b", "4,2,d"]);
        place.ok(&["load", table, "none.csv", "--overwrite", "-p", "day=1"]);
        assert_eq!(rows(table), ["4,2,d"]);
        let told = json(&["truncate", table, "-p", "day=2", "--dry-run", "--json"]);
        assert_eq!((&told["partitions"][0], &told["snapshot"]), (&"day=2".into(), &().into()), "{told}");
        place.ok(&["load", table, "a.csv", "--overwrite", "-o", "dynamic-partition-overwrite=false"]);
        assert_eq!(rows(table), ["1,1,a", "2,1,b", "3,2,c"]);
        let told = json(&["delete", table, "--where", "day = 2", "--json"]);
        assert_eq!((&told["means"], &told["truncated"]["stored_rows"]), (&"partitions".into(), &1.into()), "{told}");
        place.ok(&["truncate", table]);
        assert_eq!(rows(table), Vec::<String>::new());
        place.ok(&["load", table, "a.csv", "-o", "commit.user-prefix=nightly"]);
        assert!(place.ok(&["inspect", table, "snapshots", "--json"]).contains("\"commit_user\":\"nightly_"));
    }
}

#[test]
fn statements_that_cannot_be_are_refused() {
    let place = Place::new();
    place.ok(&["create", "t", "-c", "id INT NOT NULL", "-c", "n INT", "-k", "id", "-o", "merge-engine=first-row"]);
    place.feed_ok(&["write", "t", "--format", "csv"], "id,n\n1,1\n");
    for (line, code, words) in [
        (&["delete", "t"][..], 2, "--where"),
        (&["delete", "t", "--where", "n = 1"], 1, "first-row"),
        (&["update", "t", "--where", "n = 1"], 2, "--set"),
        (&["update", "t", "--set", "n = 1 + 1", "--where", "n = 1"], 1, "expected the end"),
        (&["update", "t", "--set", "m = 1", "--where", "n = 1"], 1, "m"),
        (&["delete", "t", "--where", "m = 1"], 1, "--where"),
        (&["truncate", "t", "--partition", "n=1"], 2, "no partition column"),
        (&["load", "t"], 2, "FILES"),
        (&["load", "t", "x.csv", "--partition", "n=1"], 2, "--overwrite"),
        (&["delete", "t", "--where", "n = 1", "--commit-user", " "], 2, "empty"),
    ] {
        let error = place.fails(code, line);
        assert!(error.contains(words), "{line:?}: {error}");
    }
    assert!(place.ok(&["read", "t", "--output", "csv"]).contains("1,1"));
}

/// A table of three snapshots: k 1 and 2, then 2 anew and 1 deleted, then 3.
fn versioned(place: &Place) {
    place.ok(&["create", "./t", "--column", "k INT NOT NULL", "--column", "v STRING", "--primary-key", "k"]);
    for (rows, mark) in [("+I 1 a,+I 2 a", "one"), ("-D 1 a,+I 2 b", "two"), ("+I 3 c", "three")] {
        let line = |change: &str| {
            let parts: Vec<&str> = change.split(' ').collect();
            format!("{{\"kind\":\"{}\",\"row\":{{\"k\":{},\"v\":\"{}\"}}}}\n", parts[0], parts[1], parts[2])
        };
        let input: String = rows.split(',').map(line).collect();
        place.feed_ok(&["write", "./t", "--format", "changes", "-o", "write-only=true"], &input);
        place.ok(&["tag", "create", "./t", mark]);
    }
}

#[test]
fn a_table_is_read_at_tags_and_versions_and_between_points() {
    let place = Place::new();
    versioned(&place);
    let read = |arguments: &[&str]| {
        let line = [&["read", "./t", "--output", "csv"], arguments].concat();
        let mut lines: Vec<String> = place.ok(&line).lines().skip(1).map(str::to_string).collect();
        lines.sort();
        lines.join(" ")
    };
    assert_eq!(read(&["--tag", "one"]), "1,a 2,a");
    assert_eq!(read(&["--at-version", "two"]), "2,b");
    assert_eq!(read(&["--at-version", "1"]), "1,a 2,a");
    assert_eq!(read(&["-o", "scan.tag-name=one"]), "1,a 2,a");
    assert_eq!(read(&["-o", "scan.tag-name=one", "--at", "2"]), "2,b");
    assert_eq!(read(&["--read-optimized"]), "");
    assert_eq!(read(&["--between", "1..3"]), "+I,2,2,b +I,3,3,c -D,2,1,a");
    assert_eq!(read(&["--between", "one..three"]), "+I,3,2,b +I,3,3,c");
    assert_eq!(read(&["--between", "1..2", "--between-mode", "diff"]), "+I,2,2,b");
    assert_eq!(read(&["--between", "1..3", "--select", "v", "--where", "k > 2"]), "+I,3,c");
    assert_eq!(read(&["-o", "incremental-between=one,three"]), "+I,3,2,b +I,3,3,c");
    let found = place.ok(&["lookup", "./t", "2", "--tag", "one", "--output", "csv"]);
    assert_eq!(found.lines().nth(1), Some("2,a"));
    for (code, line) in [
        (2, vec!["--at", "1", "--tag", "one"]),
        (2, vec!["--between", "1"]),
        (2, vec!["--between", "1..2", "--limit", "1"]),
        (2, vec!["--watermark", "soon"]),
        (1, vec!["--tag", "four"]),
        (1, vec!["--between", "one..four"]),
        (1, vec!["--between", "3..1"]),
        (1, vec!["--watermark", "5"]),
    ] {
        place.fails(code, &[&["read", "./t"], line.as_slice()].concat());
    }
    let compacted = place.ok(&["compact", "./t", "--full"]);
    assert!(compacted.len() < 10_000);
    assert_eq!(place.ok(&["read", "./t$ro", "--output", "csv"]).lines().count(), 3);
    place.fails(2, &["write", "./t$ro"]);
}

#[test]
fn tags_and_branches_are_made_listed_and_deleted() {
    let place = Place::new();
    versioned(&place);
    let tags = place.ok(&["tag", "list", "./t", "--output", "csv"]);
    assert!(tags.lines().any(|line| line.starts_with("one,1,0,")), "{tags}");
    assert_eq!(tags, place.ok(&["inspect", "./t", "tags", "--output", "csv"]));
    let made = place.ok(&["tag", "create", "./t", "daily", "--at", "2", "--time-retained", "1 d", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!((&made["tag"], &made["snapshot"]), (&serde_json::json!("daily"), &serde_json::json!(2)));
    place.fails(1, &["tag", "create", "./t", "daily"]);
    place.fails(1, &["tag", "create", "./t", "later", "--at", "9"]);
    place.fails(1, &["tag", "create", "./t", "x", "--time-retained", "long"]);
    place.ok(&["tag", "delete", "./t", "daily"]);
    place.fails(1, &["tag", "delete", "./t", "daily"]);

    place.ok(&["branch", "create", "./t", "dev", "--from-tag", "one"]);
    place.fails(1, &["branch", "create", "./t", "dev"]);
    place.fails(1, &["branch", "create", "./t", "main"]);
    place.feed_ok(&["write", "./t$branch_dev", "--format", "csv"], "k,v\n9,z\n");
    let read = |line: &[&str]| {
        let mut lines: Vec<String> = place.ok(line).lines().skip(1).map(str::to_string).collect();
        lines.sort();
        lines.join(" ")
    };
    for line in [
        vec!["read", "./t$branch_dev", "--output", "csv"],
        vec!["read", "./t", "--branch", "dev", "--output", "csv"],
        vec!["read", "./t", "-o", "branch=dev", "--output", "csv"],
    ] {
        assert_eq!(read(&line), "1,a 2,a 9,z", "{line:?}");
    }
    assert_eq!(read(&["read", "./t", "--output", "csv"]), "2,b 3,c");
    assert_eq!(place.ok(&["changes", "./t$branch_dev", "--from", "2"]).lines().count(), 1);
    place.ok(&["alter", "./t$branch_dev", "--add-column", "w INT"]);
    place.ok(&["compact", "./t$branch_dev", "--full"]);
    assert_eq!(read(&["inspect", "./t$branch_dev", "snapshots", "--output", "csv"]).matches("COMPACT").count(), 1);
    let listed = place.ok(&["branch", "list", "./t", "--output", "csv"]);
    assert!(listed.lines().any(|line| line.starts_with("dev,3,")), "{listed}");
    place.fails(1, &["read", "./t$branch_no"]);
    for refused in [
        vec!["drop", "./t$branch_dev"],
        vec!["create", "./t$branch_new", "--column", "k INT"],
        vec!["expire", "./t", "--branch", "dev"],
        vec!["compact", "./t", "--branch", "dev"],
        vec!["read", "./t$branch_dev", "--branch", "other"],
    ] {
        place.fails(2, &refused);
    }
    place.fails(1, &["expire", "./t$branch_dev"]);
    // The table went on since tag one.
    place.fails(1, &["branch", "fast-forward", "./t", "dev"]);
    place.ok(&["branch", "rename", "./t", "dev", "trial"]);
    place.fails(1, &["read", "./t$branch_dev"]);
    assert_eq!(read(&["read", "./t$branch_trial", "--select", "k,v", "--output", "csv"]), "1,a 2,a 9,z");
    place.ok(&["branch", "rename", "./t", "trial", "dev"]);
    place.fails(2, &["branch", "delete", "./t", "dev"]);
    place.ok(&["branch", "delete", "./t", "dev", "--yes"]);
    place.fails(1, &["branch", "delete", "./t", "dev", "--yes"]);
}

#[test]
fn a_branch_from_the_newest_snapshot_is_taken_over() {
    let place = Place::new();
    versioned(&place);
    place.ok(&["tag", "create", "./t", "top"]);
    place.ok(&["branch", "create", "./t", "next", "--from-tag", "top"]);
    place.feed_ok(&["write", "./t$branch_next", "--format", "csv"], "k,v\n9,z\n");
    let done = place.ok(&["branch", "fast-forward", "./t", "next", "--json"]);
    let done: serde_json::Value = serde_json::from_str(&done).unwrap();
    assert_eq!((&done["from"], &done["to"]), (&serde_json::json!(3), &serde_json::json!(4)));
    assert!(place.ok(&["read", "./t", "--output", "csv"]).contains("9,z"));
    place.ok(&["branch", "fast-forward", "./t", "next"]);
    place.fails(1, &["branch", "fast-forward", "./t", "no"]);

    // The inside of any snapshot.
    for line in [&["--at", "3"][..], &["--tag", "top"]] {
        let drawn = place.ok(&[&["inspect", "./t", "picture"][..], line].concat());
        assert!(drawn.starts_with("snapshot 3,"), "{drawn}");
        let files = place.ok(&[&["inspect", "./t", "files", "--output", "csv"][..], line].concat());
        let newest = place.ok(&["inspect", "./t", "files", "--output", "csv"]);
        assert!(files.lines().count() < newest.lines().count(), "{files}");
    }
    place.fails(2, &["inspect", "./t", "snapshots", "--at", "3"]);
    place.fails(1, &["inspect", "./t", "files", "--at", "77"]);

    place.ok(&["tag", "rename", "./t", "top", "peak"]);
    place.fails(1, &["tag", "rename", "./t", "top", "peak"]);
    place.fails(1, &["tag", "rename", "./t", "peak", "one"]);
    let moved = place.ok(&["tag", "replace", "./t", "peak", "--json"]);
    let moved: serde_json::Value = serde_json::from_str(&moved).unwrap();
    assert_eq!((&moved["tag"], &moved["snapshot"]), (&serde_json::json!("peak"), &serde_json::json!(4)));
    place.fails(1, &["tag", "replace", "./t", "no"]);
}

#[test]
fn row_ids_are_shown_and_asked_for() {
    let place = Place::new();
    place.ok(&["create", "./r", "--column", "k INT", "--column", "v STRING", "-o", "row-tracking.enabled=true"]);
    place.feed_ok(&["write", "./r", "--format", "csv"], "k,v\n1,a\n2,b\n");
    place.feed_ok(&["write", "./r", "--format", "csv"], "k,v\n3,c\n");
    let rows = |line: &[&str]| place.ok(line).lines().map(str::to_string).collect::<Vec<_>>();
    let shown = rows(&["read", "./r$row_tracking", "--output", "csv"]);
    assert_eq!(shown, ["k,v,_ROW_ID,_SEQUENCE_NUMBER", "1,a,0,1", "2,b,1,1", "3,c,2,2"]);
    assert_eq!(rows(&["read", "./r", "--where", "_ROW_ID = 1", "--output", "csv"]), ["k,v", "2,b"]);
    assert_eq!(
        rows(&["read", "./r", "--select", "_ROW_ID,k", "--where", "k > 1", "--output", "csv"])[1..],
        ["1,2", "2,3"]
    );
    place.fails(2, &["write", "./r$row_tracking"]);
    place.fails(1, &["update", "./r", "--set", "v = 'x'", "--where", "k = 1"]);
    place.ok(&["create", "./plain", "--column", "k INT"]);
    place.fails(1, &["read", "./plain$row_tracking"]);
}

#[test]
fn changes_begin_at_tags_and_ends_of_time() {
    let place = Place::new();
    versioned(&place);
    let kinds = |from: &str| {
        let line = ["changes", "./t", "--from", from];
        place.ok(&line).lines().map(|line| line.split('"').nth(3).unwrap().to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(kinds("tag:two"), "+I +I");
    assert_eq!(kinds("compacted-full"), "+I +I");
    assert_eq!(kinds("since:1970-01-02"), "+I +I");
    assert_eq!(kinds("since:2999-01-01"), "");
    assert_eq!(kinds("files:2999-01-01"), "");
    assert_eq!(place.ok(&["changes", "./t", "-o", "scan.snapshot-id=3"]).lines().count(), 1);
    assert_eq!(place.ok(&["changes", "./t", "--from", "earliest", "--to-watermark", "0"]).lines().count(), 5);
    place.fails(1, &["changes", "./t", "--from", "tag:four"]);
    place.fails(2, &["changes", "./t", "--from", "since:3"]);
    place.fails(2, &["changes", "./t", "--to-watermark", "soon"]);
}

/// A server that refuses everything and repeats what it was sent, headers and all.
fn echo_server() -> u16 {
    use std::io::{BufRead as _, BufReader};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut sent = String::new();
                while reader.read_line(&mut sent).unwrap_or(0) > 2 {}
                // An answer with a body unread would be a broken connection, which is tried again and again.
                let length =
                    |line: &str| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok();
                let mut body = vec![0; sent.lines().find_map(length).unwrap_or(0)];
                let _ = reader.read_exact(&mut body);
                let length = sent.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{sent}"
                );
            });
        }
    });
    port
}

#[test]
fn keys_are_shown_by_no_output_whatever_the_store_repeats() {
    let at = format!("http://127.0.0.1:{}", echo_server());
    let azure = "abfss://c@account.dfs.core.windows.net/t";
    let place = Place::new();
    let s3 = ["s3.access-key=CANARYid", "s3.secret-key=CANARYsecret", "s3.session-token=CANARY+token/=="];
    type Variables<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Vec<String>, Variables<'_>); 5] = [
        ("s3://b/t", s3.map(String::from).into_iter().chain([format!("s3.endpoint={at}")]).collect(), &[]),
        (
            "s3://b/t",
            vec![format!("s3.endpoint={at}")],
            &[
                ("AWS_ACCESS_KEY_ID", "CANARYid"),
                ("AWS_SECRET_ACCESS_KEY", "CANARYsecret"),
                ("AWS_SESSION_TOKEN", "CANARYtoken"),
            ],
        ),
        (
            azure,
            vec![format!("azure.endpoint={at}/account"), "fs.azure.sas.fixed.token=sv=1&sig=CANARY%2Fsig%3D".into()],
            &[],
        ),
        (azure, vec![format!("azure.endpoint={at}/account"), "azure.account.key=Q0FOQVJZ".into()], &[]),
        ("s3://b/t", vec!["s3.secret-key=CANARY".into(), "s3.colour=CANARY".into()], &[]),
    ];
    for (location, options, environment) in cases {
        for command in ["describe", "read", "inspect", "drop", "create"] {
            for json in [false, true] {
                let mut arguments: Vec<&str> = match command {
                    "inspect" => vec!["inspect", location, "snapshots"],
                    "create" => vec!["create", location, "--column", "a INT"],
                    command => vec![command, location],
                };
                arguments.extend(options.iter().flat_map(|option| ["--store", option]));
                arguments.extend(json.then_some("--json"));
                let mut forebay = place.command(&arguments);
                let done = forebay.envs(environment.iter().copied()).env("RUST_LOG", "trace").output().unwrap();
                let said = format!("{}{}", text(&done.stdout), text(&done.stderr));
                assert!(!done.status.success() && !said.is_empty(), "{arguments:?}");
                for word in ["CANARY", "Q0FOQVJZ"] {
                    assert!(!said.contains(word), "{command}: {said}");
                }
            }
        }
    }
}

#[test]
fn the_names_of_a_warehouse_stand_in_a_database() {
    let place = Place::new();
    let catalog = ["--warehouse", "./w", "--catalog", "jdbc:sqlite:c.db", "--store", "lock.enabled=true"];
    let with = |line: &[&'static str]| [line, &catalog].concat();
    let columns = ["create", "shop.orders", "--column", "id BIGINT NOT NULL", "--column", "v STRING", "-k", "id"];
    place.ok(&with(&columns));
    place.file("feed.csv", "id,v\n1,a\n2,b\n");
    place.ok(&with(&["write", "shop.orders", "feed.csv"]));
    place.ok(&with(&["alter", "shop.orders", "--add-column", "w INT"]));
    assert_eq!(place.ok(&with(&["read", "shop.orders", "--count"])).trim(), "2");
    assert!(place.ok(&with(&["list"])).contains("orders"));
    // Without the catalog there is a directory, and with another key nothing.
    assert!(place.ok(&["list", "--warehouse", "./w"]).contains("orders"));
    let other = [&catalog[..], &["--store", "catalog-key=other"]].concat();
    assert!(!place.ok(&[&["list"], &other[..]].concat()).contains("orders"));
    let sets = ["--catalog", "jdbc:sqlite:c.db"];
    place.ok(&[&["compact", "--warehouse", "./w"], &sets[..]].concat());
    place.ok(&with(&["drop", "shop.orders", "--yes"]));
    assert!(!place.ok(&["list", "--warehouse", "./w"]).contains("orders"));
    // What names no catalog, two of them, and what none has.
    place.fails(2, &["list", "--warehouse", "./w", "--catalog", "mysql://h/d"]);
    place.fails(2, &["list", "--warehouse", "rest+http://127.0.0.1:1", "--catalog", "jdbc:sqlite:c.db"]);
    place.fails(2, &with(&["list", "--store", "uri=jdbc:sqlite:d.db"]));
    let words = place.fails(1, &["list", "--warehouse", "./w", "--catalog", "jdbc:oracle:thin:CANARY"]);
    assert!(words.contains("jdbc:oracle") && !words.contains("CANARY"), "{words}");
    let refused = ["list", "--warehouse", "./w", "--catalog", "jdbc:mysql://127.0.0.1:1/d?password=CANARY&sslMode=odd"];
    let words = place.fails(1, &refused);
    assert!(words.contains("sslMode") && !words.contains("CANARY"), "{words}");
}

#[test]
fn new_tables_of_a_warehouse_get_the_options_it_is_told() {
    let place = Place::new();
    let create = ["create", "d.t", "--column", "id BIGINT", "-k", "id", "--warehouse", "./w"];
    let told = ["--store", "table-default.bucket=3", "--store", "table-default.write-only=true"];
    place.ok(&[&create[..], &told].concat());
    let shown = place.ok(&["describe", "d.t", "--warehouse", "./w", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["options"], serde_json::json!({"bucket": "3", "write-only": "true"}));
    let refused = place.fails(1, &["list", "--warehouse", "./w", "--store", "lock.type=zookeeper"]);
    assert!(refused.contains("lock.type=zookeeper"), "{refused}");
    let refused = place.fails(1, &["list", "--warehouse", "./w", "--store", "uri=jdbc:sqlite:c.db"]);
    assert!(refused.contains("option uri"), "{refused}");
}

#[test]
fn files_outside_of_a_table_are_touched_where_it_is_allowed() {
    let place = Place::new();
    let roots = format!("data-file.external-paths=file:{}", place.path("x"));
    let create = ["create", "t", "--column", "id BIGINT NOT NULL", "--column", "name STRING", "--primary-key", "id"];
    let create: Vec<&str> = create
        .into_iter()
        .chain(["-o", &roots, "-o", "data-file.external-paths.strategy=round-robin", "-o", "write-only=true"])
        .collect();
    place.ok(&create);
    let refused = place.feed(&["write", "t", "--format", "jsonl"], &rows(0, 5));
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--allow-external"), "{}", text(&refused.stderr));
    assert!(!Path::new(&place.path("x")).exists());
    let allowed = ["--allow-external", "./other", "--allow-external", "./x"];
    let with = |line: &[&'static str]| -> Vec<&str> { line.iter().copied().chain(allowed).collect() };
    for to in [5, 8] {
        place.feed_ok(&with(&["write", "t", "--format", "jsonl"]), &rows(0, to));
    }
    assert_eq!(place.ok(&with(&["read", "t", "--output", "jsonl"])).lines().count(), 8);
    for line in [&["read", "t"][..], &["lookup", "t", "3"], &["compact", "t", "--full"]] {
        let error = place.fails(1, line);
        assert!(error.contains(&place.path("x")) && error.contains("--allow-external"), "{line:?}: {error}");
        let line: Vec<&str> = line.iter().copied().chain(["--allow-external", "./xx"]).collect();
        place.fails(1, &line);
    }
    let mut by_variable = place.command(&["lookup", "t", "3", "--output", "jsonl"]);
    let output = by_variable.env("FOREBAY_ALLOW_EXTERNAL", format!("/nowhere,{}", place.path("x"))).output().unwrap();
    assert!(text(&output.stdout).contains("row 3"), "{}", text(&output.stderr));
    // What is asked of the cache is refused by name, whatever the store.
    let error = place.fails(1, &["list", "--warehouse", ".", "--store", "local-cache.max-age=1 d"]);
    assert!(error.contains("local-cache.max-age"), "{error}");
}

#[test]
fn odd_names_and_partitions_of_null_are_what_they_say() {
    let place = Place::new();
    place.ok(&["create", "t", "-c", "id INT", "-c", "p STRING", "-c", "n FLOAT", "-p", "p"]);
    let rows = "{\"id\":1,\"p\":null,\"n\":1}\n{\"id\":2,\"p\":\"null\",\"n\":2}\n{\"id\":3,\"p\":\"x\",\"n\":3}\n";
    std::fs::write(place.path("rows.jsonl"), rows).unwrap();
    place.ok(&["load", "t", "rows.jsonl"]);
    for change in ["--add-column=_SEQUENCE_NUMBER BIGINT", "--add-column=_KEY_id INT", "--rename-column=n= "] {
        let told = place.fails(1, &["alter", "t", change]);
        assert!(told.contains("reserved by the format") || told.contains("needs a name"), "{change}: {told}");
    }
    assert!(place.fails(1, &["read", "t", "--where", "n < 1e39"]).contains("no FLOAT"));
    place.ok(&["alter", "t", "--rename-column", "n=`a.b = c`"]);
    place.ok(&["alter", "t", "--column-comment", "`a.b = c`=quoted"]);
    place.ok(&["alter", "t", "--rename-column", "\"a.b = c\"=m"]);
    assert!(place.fails(2, &["alter", "t", "--rename-column", "m=a.b"]).contains("more than one name"));
    place.ok(&["truncate", "t", "--partition", "p=__DEFAULT_PARTITION__"]);
    assert_eq!(place.ok(&["read", "t", "--select", "id", "--output", "csv"]).trim(), "id\n2\n3");
}

#[test]
fn a_null_where_none_may_be_is_told_with_its_column() {
    let place = Place::new();
    place.ok(&["create", "t", "-c", "id INT", "-c", "a INT", "-o", "alter-column-null-to-not-null.disabled=false"]);
    std::fs::write(place.path("rows.jsonl"), "{\"id\":1,\"a\":null}\n").unwrap();
    place.ok(&["load", "t", "rows.jsonl"]);
    place.ok(&["alter", "t", "--not-null", "a"]);
    let told = place.fails(1, &["read", "t"]);
    assert!(told.contains("bucket-0: column a is NOT NULL and holds NULL"), "{told}");
    place.ok(&["alter", "t", "--nullable", "a"]);
    assert_eq!(place.ok(&["read", "t", "--output", "csv"]).trim(), "id,a\n1,");
}
