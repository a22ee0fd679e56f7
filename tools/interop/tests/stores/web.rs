//! A table on a web server: read, looked up and followed, and refused for writing.

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use forebay::types::Datum;
use forebay::{Error, Start, Table};
use forebay_interop::{Row, TableSpec, changes_of, lanes, rows_at};

/// Serves the files of a directory, with pages of links for directories, and keeps the methods it was asked for.
fn serve(root: PathBuf) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let methods: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&methods);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (root, seen) = (root.clone(), Arc::clone(&seen));
            std::thread::spawn(move || answer(stream, &root, &seen));
        }
    });
    (port, methods)
}

fn answer(mut stream: TcpStream, root: &Path, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut words = line.split(' ');
        let (method, target) = (words.next().unwrap().to_string(), words.next().unwrap().to_string());
        let mut range = None;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
                range = Some(value.trim().to_string());
            }
        }
        seen.lock().unwrap().push(method.clone());
        if respond(&mut stream, root, &method, &target, range).is_err() {
            return;
        }
    }
}

fn respond(out: &mut TcpStream, root: &Path, method: &str, target: &str, range: Option<String>) -> std::io::Result<()> {
    let path = root.join(decoded(target).trim_start_matches('/'));
    if !["GET", "HEAD"].contains(&method) {
        return write!(out, "HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n");
    }
    let (kind, body, status, size) = if path.is_dir() {
        let link = |entry: std::fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let slash = if entry.path().is_dir() { "/" } else { "" };
            let link: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            format!("<a href=\"{link}{slash}\">{name}</a>\n")
        };
        let page: String = std::fs::read_dir(&path)?.flatten().map(link).collect();
        ("text/html", page.into_bytes(), "200 OK".to_string(), None)
    } else if let Ok(mut file) = std::fs::File::open(&path) {
        let size = file.metadata()?.len();
        let (start, end) = match range.as_deref().and_then(|range| range.split_once('-')) {
            None => (0, size),
            Some(("", last)) => (size.saturating_sub(last.parse().unwrap()), size),
            Some((first, last)) => {
                (first.parse().unwrap(), last.parse::<u64>().map_or(size, |last| last + 1).min(size))
            }
        };
        let mut body = vec![0; (end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut body)?;
        let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
        ("application/octet-stream", body, status.to_string(), Some((start, end, size)))
    } else {
        return write!(out, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    };
    write!(out, "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n", body.len())?;
    if let Some((start, end, size)) = size.filter(|_| status.starts_with("206")) {
        write!(out, "content-range: bytes {start}-{}/{size}\r\n", end.max(1) - 1)?;
    }
    write!(out, "last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n")?;
    if method == "GET" { out.write_all(&body) } else { Ok(()) }
}

fn decoded(target: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = target.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        match byte {
            b'%' => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*byte);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_on_a_web_server_is_read_and_never_written() {
    let place = tempfile::tempdir().unwrap();
    let spec =
        TableSpec::of(&["p STRING", "id INT", "v STRING"]).partition(&["p"]).key(&["p", "id"]).option("bucket", "2");
    let here = place.path().join("t").to_str().unwrap().to_string();
    let table = Table::create(&here, spec.schema(), []).await.unwrap();
    for commit in 0..3 {
        let row = |id: i32| -> Row {
            let p = if id % 2 == 0 { "a/b c%" } else { "日本" };
            vec![Datum::String(p.into()), Datum::Int(id), Datum::String(format!("{commit}"))]
        };
        let rows: Vec<Row> = (commit * 5..commit * 5 + 20).map(row).collect();
        let mut writer = table.writer().await.unwrap();
        writer.upsert(&lanes(table.schema(), &rows.iter().collect::<Vec<_>>())).await.unwrap();
        writer.commit().await.unwrap();
        writer.close().await.unwrap();
    }
    let (port, methods) = serve(place.path().to_path_buf());
    let there = Table::open(&format!("http://127.0.0.1:{port}/t"), []).await.unwrap();
    let sorted = |mut rows: Vec<String>| {
        rows.sort();
        rows
    };
    for snapshot in table.history().snapshots.ids().await.unwrap() {
        let ours = rows_at(&table, snapshot).await.unwrap().iter().map(|row| format!("{row:?}")).collect();
        let read = rows_at(&there, snapshot).await.unwrap().iter().map(|row| format!("{row:?}")).collect();
        assert_eq!(sorted(read), sorted(ours), "snapshot {snapshot}");
    }
    assert_eq!(there.history().snapshots.ids().await.unwrap(), table.history().snapshots.ids().await.unwrap());
    assert_eq!(changes_of(&there).await.unwrap().len(), changes_of(&table).await.unwrap().len());
    let below = |table: &Table| {
        let store = table.store().clone();
        async move {
            let mut files: Vec<(String, u64)> =
                store.list_recursive("").await.unwrap().into_iter().map(|file| (file.name, file.size)).collect();
            files.sort();
            files
        }
    };
    assert_eq!(below(&there).await, below(&table).await);

    // Writing is refused by name, and no request but GET and HEAD was made for it.
    let refused =
        |error: Error| assert!(matches!(&error, Error::Unsupported(words) if words.contains("http://")), "{error}");
    refused(there.writer().await.err().expect("a writer is refused"));
    refused(there.compact().full().run().await.expect_err("a compaction is refused"));
    refused(
        there
            .maintain()
            .expire_snapshots()
            .unwrap()
            .retain_min(1)
            .retain_max(1)
            .run()
            .await
            .expect_err("an expiry is refused"),
    );
    refused(there.clone().drop().await.expect_err("a drop is refused"));
    refused(there.create_tag("x", &forebay::At::Latest, None).await.expect_err("a tag is refused"));
    refused(
        Table::create(&format!("http://127.0.0.1:{port}/u"), spec.schema(), [])
            .await
            .err()
            .expect("a table is refused"),
    );
    let mut stream = there.changes().from(Start::Earliest).consumer("me").read().await.unwrap();
    while stream.next().await.unwrap().is_some() {}
    refused(stream.ack().await.expect_err("a consumer is refused"));
    let methods = methods.lock().unwrap();
    assert!(methods.iter().all(|method| method == "GET" || method == "HEAD"), "{methods:?}");
}
