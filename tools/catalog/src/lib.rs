//! Paimon's REST catalog as a server over a warehouse.
//!
//! ```text
//! Java, Flink, Spark, pypaimon, forebay ── HTTP ── service ── Catalog ── the warehouse's files
//!            └───────────────── data files, manifests ──────────────────────┘
//! ```
//!
//! The service keeps nothing: names, schemas and snapshots are those of the warehouse's files, so that several services
//! and writers without one may work on one warehouse. A commit is published by the engine's own door, create-if-absent.
//! Spec: `format-spec/rest-catalog.md`.

mod answer;
mod commits;
mod databases;
mod partitions;
mod routes;
mod snapshots;
mod tables;
mod tags;
mod views;

use std::future::Future;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use forebay::io::Secret;
use forebay::{Catalog, Env};
use tokio::net::TcpListener;

use answer::Refusal;
use routes::Asked;

/// The longest request that is read: a schema of ten thousand columns stays far below.
const MAX_BODY: usize = 64 << 20;

/// What is served, and to whom.
#[derive(Debug, Clone)]
pub struct Service {
    /// The warehouse.
    pub catalog: Catalog,
    /// The name that clients may give as `warehouse`.
    pub name: String,
    /// Where the warehouse lies, which they may give too.
    pub location: String,
    /// What a client must show; without it everybody is served.
    pub token: Option<Secret>,
    /// Whether each request is told on standard error.
    pub verbose: bool,
}

/// Opens the address that is listened on.
///
/// # Errors
/// The system's own.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves until told to stop; requests under way are answered first.
///
/// # Errors
/// The system's own.
pub async fn serve(
    service: Service,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let router = Router::new().fallback(handle).with_state(Arc::new(service));
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

async fn handle(State(service): State<Arc<Service>>, request: Request) -> Response {
    let clock = Env::system();
    let began = clock.monotonic();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    // A client that goes away does not stop what it asked for half-way.
    let shared = Arc::clone(&service);
    let task = tokio::spawn(async move { answer_to(&shared, request).await });
    let answered = task.await.unwrap_or_else(|_| Err(Refusal::failed("the request's work broke off")));
    let (status, body) = match answered {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => (refusal.status(), refusal.body()),
    };
    if service.verbose {
        let micros = clock.monotonic().saturating_sub(began).as_micros();
        // A line that nobody can read is no failure.
        let _ = writeln!(std::io::stderr(), "{method} {} {} {micros} us", uri.path(), status.as_u16());
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

async fn answer_to(service: &Service, request: Request) -> Result<Vec<u8>, Refusal> {
    check_token(service, &request)?;
    let (parts, body) = request.into_parts();
    let body =
        to_bytes(body, MAX_BODY).await.map_err(|error| Refusal::wrong(format!("the request's body: {error}")))?;
    let verb = match parts.method {
        Method::GET | Method::HEAD => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        other => return Err(Refusal::wrong(format!("requests of method {other} are not answered"))),
    };
    let asked = Asked::new(verb, parts.uri.path(), parts.uri.query().unwrap_or_default(), body);
    let answer = routes::route(service, &asked).await?;
    serde_json::to_vec(&answer).map_err(|error| Refusal::failed(format!("the answer: {error}")))
}

fn check_token(service: &Service, request: &Request) -> Result<(), Refusal> {
    let Some(token) = &service.token else { return Ok(()) };
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    match same(shown.as_bytes(), token.expose().as_bytes()) {
        true => Ok(()),
        false => Err(Refusal::not_authorized()),
    }
}

/// Takes as long for a token that differs early as for one that differs late.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
