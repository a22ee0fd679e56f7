//! What `compact --watch` tells a Prometheus server.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forebay::table::CompactReport;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper::{Response, server::conn::http1};
use hyper_util::rt::TokioIo;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use crate::failure::{Failure, Result};

/// The one label of all numbers: `table`.
type Labels = Vec<(String, String)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge<u64, AtomicU64>>;
type Seconds = Family<Labels, Histogram, fn() -> Histogram>;

/// The numbers of a compacting service.
pub struct Metrics {
    compactions: Counters,
    failures: Counters,
    lost_tasks: Counters,
    read_bytes: Counters,
    written_bytes: Counters,
    copied_rows: Counters,
    changelog_rows: Counters,
    postponed_rows: Counters,
    seconds: Seconds,
    debt_files: Gauges,
    waiting_rows: Gauges,
    progress_bytes: Gauges,
    /// Tables that were looked at.
    known: Mutex<BTreeSet<String>>,
}

impl Metrics {
    /// Numbers that are all zero, and what shows them.
    pub fn new() -> (Self, Registry) {
        let seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.01, 4.0, 9));
        let metrics = Self {
            compactions: Family::default(),
            failures: Family::default(),
            lost_tasks: Family::default(),
            read_bytes: Family::default(),
            written_bytes: Family::default(),
            copied_rows: Family::default(),
            changelog_rows: Family::default(),
            postponed_rows: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            debt_files: Family::default(),
            waiting_rows: Family::default(),
            progress_bytes: Family::default(),
            known: Mutex::default(),
        };
        let mut registry = Registry::with_prefix("forebay_compaction");
        let mut counter = |name: &str, help: &str, counters: &Counters| registry.register(name, help, counters.clone());
        counter("commits", "Compactions of a table that made a snapshot", &metrics.compactions);
        counter("failures", "Compactions of a table that failed", &metrics.failures);
        counter("lost_tasks", "Tasks whose work was lost to other commits", &metrics.lost_tasks);
        counter("read_bytes", "Bytes of files that were replaced", &metrics.read_bytes);
        counter("written_bytes", "Bytes of files that took their place", &metrics.written_bytes);
        counter("copied_rows", "Rows that were copied as whole row groups", &metrics.copied_rows);
        counter("changelog_rows", "Rows of changelog that compactions made", &metrics.changelog_rows);
        counter("postponed_rows", "Postponed rows that were moved to real buckets", &metrics.postponed_rows);
        registry.register("seconds", "How long a compaction of a table took", metrics.seconds.clone());
        registry.register("debt_files", "Files of level 0 that wait for a compaction", metrics.debt_files.clone());
        registry.register("waiting_rows", "Postponed rows that wait for a bucket", metrics.waiting_rows.clone());
        let help = "Bytes of the files to be replaced that the compaction that runs has worked through";
        registry.register("progress_bytes", help, metrics.progress_bytes.clone());
        (metrics, registry)
    }

    /// What was found due in a table.
    pub fn looked(&self, table: &str, debt_files: usize, waiting_rows: u64) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_string());
        self.debt_files.get_or_create(&labels(table)).set(debt_files as u64);
        self.waiting_rows.get_or_create(&labels(table)).set(waiting_rows);
    }

    /// What is told of tables that are there no more ends.
    pub fn keep(&self, tables: &BTreeSet<&str>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|table| {
            let stays = tables.contains(table.as_str());
            if !stays {
                for gauges in [&self.debt_files, &self.waiting_rows, &self.progress_bytes] {
                    gauges.remove(&labels(table));
                }
            }
            stays
        });
    }

    /// How far the compaction of a table is.
    pub fn working(&self, table: &str, bytes: u64) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(table.to_string());
        self.progress_bytes.get_or_create(&labels(table)).set(bytes);
    }

    /// What a compaction did, and how many of its rows were copied as whole row groups.
    pub fn compacted(&self, table: &str, report: &CompactReport, copied: u64, took: Duration) {
        let labels = labels(table);
        let add = |counters: &Counters, number: u64| {
            counters.get_or_create(&labels).inc_by(number);
        };
        add(&self.compactions, u64::from(!report.snapshots.is_empty()));
        add(&self.lost_tasks, report.lost_tasks as u64);
        add(&self.read_bytes, report.bytes_before);
        add(&self.written_bytes, report.bytes_after);
        add(&self.copied_rows, copied);
        add(&self.changelog_rows, report.changelog_rows);
        add(&self.postponed_rows, report.postponed_rows);
        self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
        self.working(table, 0);
    }

    /// A compaction failed.
    pub fn failed(&self, table: &str) {
        self.failures.get_or_create(&labels(table)).inc();
    }
}

fn labels(table: &str) -> Labels {
    vec![("table".to_string(), table.to_string())]
}

/// Begins to serve the numbers over HTTP, on any path.
pub async fn serve(address: SocketAddr, registry: Registry) -> Result<()> {
    let failed = |error: std::io::Error| Failure::new("storage", format!("--metrics {address}: {error}"));
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let registry = Arc::new(registry);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let registry = Arc::clone(&registry);
            let answer = service_fn(move |_| {
                let mut text = String::new();
                let shown = encode(&mut text, &registry);
                let mut response = Response::new(Full::new(Bytes::from(text)));
                match shown {
                    Ok(()) => {
                        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                        response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
                    }
                    Err(_) => *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR,
                }
                std::future::ready(Ok::<_, Infallible>(response))
            });
            // A client that goes away costs nothing but its answer.
            tokio::spawn(
                async move { drop(http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await) },
            );
        }
    });
    Ok(())
}
