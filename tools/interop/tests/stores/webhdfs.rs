//! A table that was written by HDFS's own protocol, read by HTTP, which writes nothing.

use bytes::Bytes;
use forebay::types::Datum;
use forebay::{Error, Table};
use forebay_interop::{Row, TableSpec, changes_of, lanes, rows_at};

use crate::servers::{Store, place, ports};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_hdfs_is_read_by_webhdfs_and_never_written() {
    let place = place(Store::Hdfs);
    let spec =
        TableSpec::of(&["p STRING", "id INT", "v STRING"]).partition(&["p"]).key(&["p", "id"]).option("bucket", "1");
    let table = Table::create(&place.location, spec.schema(), []).await.unwrap();
    for commit in 0..2 {
        let row = |id: i32| -> Row {
            let p = if id % 2 == 0 { "a/b c%" } else { "plain" };
            vec![Datum::String(p.into()), Datum::Int(id), Datum::String(format!("{commit}"))]
        };
        let rows: Vec<Row> = (commit * 5..commit * 5 + 20).map(row).collect();
        let mut writer = table.writer().await.unwrap();
        writer.upsert(&lanes(table.schema(), &rows.iter().collect::<Vec<_>>())).await.unwrap();
        writer.commit().await.unwrap();
        writer.close().await.unwrap();
    }
    let name = place.location.rsplit('/').next().unwrap();
    let by_http = Table::open(&format!("webhdfs://127.0.0.1:{}/{name}", ports("hdfs")[1]), []).await.unwrap();
    let sorted = |rows: Vec<Row>| {
        let mut rows: Vec<String> = rows.iter().map(|row| format!("{row:?}")).collect();
        rows.sort();
        rows
    };
    for snapshot in table.history().snapshots.ids().await.unwrap() {
        let wanted = sorted(rows_at(&table, snapshot).await.unwrap());
        assert_eq!(sorted(rows_at(&by_http, snapshot).await.unwrap()), wanted, "snapshot {snapshot}");
    }
    assert_eq!(changes_of(&by_http).await.unwrap().len(), changes_of(&table).await.unwrap().len());
    let names = |mut files: Vec<forebay::io::FileStatus>| {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        files.into_iter().map(|file| (file.name, file.size)).collect::<Vec<_>>()
    };
    let ours = names(table.store().list_recursive("").await.unwrap());
    assert_eq!(names(by_http.store().list_recursive("").await.unwrap()), ours);

    let refused =
        |error: Error| assert!(matches!(&error, Error::Unsupported(words) if words.contains("webhdfs")), "{error}");
    refused(by_http.writer().await.err().expect("a writer is refused"));
    refused(by_http.store().write("x", Bytes::new()).await.unwrap_err());
    refused(by_http.drop().await.unwrap_err());
    assert_eq!(names(table.store().list_recursive("").await.unwrap()), ours);
}
