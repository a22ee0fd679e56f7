//! Views.

use forebay::catalog::rest::wire::{Changes, CreateObject};
use forebay::format::{View, ViewChange};
use forebay::{Error, TableName};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::Service;
use crate::answer::{Refusal, Resource};
use crate::routes::{Answer, Asked};
use crate::tables::wrong;

fn named(database: &str, view: &str) -> Result<TableName, Refusal> {
    TableName::new(database, view).map_err(|error| Refusal::of(error, Resource::View, view))
}

fn refused(name: &TableName) -> impl Fn(Error) -> Refusal {
    let name = name.table().to_string();
    move |error| Refusal::of(error, Resource::View, &name)
}

fn told(name: &TableName, view: &View) -> Answer {
    let schema: Value = view
        .encode()
        .map_err(refused(name))
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| Refusal::failed(error.to_string())))?;
    Ok(json!({
        "id": name.to_string(), "name": name.table(), "schema": schema,
        "owner": "", "createdAt": 0, "createdBy": "", "updatedAt": 0, "updatedBy": "",
    }))
}

async fn page(service: &Service, asked: &Asked, database: &str) -> Result<(Vec<String>, Option<String>), Refusal> {
    let names = service.catalog.list_views(database).await;
    asked.page(names.map_err(|error| Refusal::of(error, Resource::Database, database))?, "viewNamePattern")
}

/// A page of names.
pub async fn list(service: &Service, asked: &Asked, database: &str) -> Answer {
    let (views, next) = page(service, asked, database).await?;
    Ok(json!({"views": views, "nextPageToken": next}))
}

/// A page of views with what they are.
pub async fn details(service: &Service, asked: &Asked, database: &str) -> Answer {
    let (names, next) = page(service, asked, database).await?;
    let mut details = Vec::with_capacity(names.len());
    for view in names {
        let name = named(database, &view)?;
        match service.catalog.view(&name).await {
            Ok(view) => details.push(told(&name, &view)?),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(refused(&name)(error)),
        }
    }
    Ok(json!({"viewDetails": details, "nextPageToken": next}))
}

/// A page of the views of all databases.
pub async fn list_all(service: &Service, asked: &Asked) -> Answer {
    let mut names = Vec::new();
    let failed = |error| Refusal::of(error, Resource::Database, "");
    let databases = service.catalog.list_databases().await.map_err(failed)?;
    for database in databases.into_iter().filter(|database| asked.fits("databaseNamePattern", database)) {
        match service.catalog.list_views(&database).await {
            Ok(mut views) => {
                views.retain(|view| asked.fits("viewNamePattern", view));
                names.extend(views.into_iter().map(|view| format!("{database}.{view}")));
            }
            // It was dropped meanwhile.
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let (views, next) = asked.page_of_objects(names)?;
    Ok(json!({"views": views, "nextPageToken": next}))
}

/// One of them.
pub async fn get(service: &Service, database: &str, view: &str) -> Answer {
    let name = named(database, view)?;
    told(&name, &service.catalog.view(&name).await.map_err(refused(&name))?)
}

/// Creates one.
pub async fn create(service: &Service, asked: &Asked) -> Answer {
    let request: CreateObject = asked.body()?;
    let name = request.identifier.table().map_err(|error| Refusal::wrong(error.to_string()))?;
    let view = View::decode(request.schema.to_string().as_bytes(), "the view's schema").map_err(wrong)?;
    let database = service.catalog.database(name.database()).await;
    database.map_err(|error| Refusal::of(error, Resource::Database, name.database()))?;
    service.catalog.create_view(&name, &view).await.map_err(refused(&name))?;
    Ok(json!({}))
}

/// Changes one.
pub async fn alter(service: &Service, asked: &Asked, database: &str, view: &str) -> Answer {
    let name = named(database, view)?;
    let request: Changes<ViewChange> = asked.body()?;
    service.catalog.view(&name).await.map_err(refused(&name))?;
    let dialect = |error: Error| {
        let words = error.to_string();
        let dialect = words.rsplit_once("dialect ").map(|(_, dialect)| dialect.to_string()).unwrap_or_default();
        Refusal::of(error, Resource::Dialect, &dialect)
    };
    service.catalog.alter_view(&name, &request.changes).await.map_err(dialect)?;
    Ok(json!({}))
}

/// Held while a view has two names.
static RENAMING: Mutex<()> = Mutex::const_new(());

/// Gives one another name.
pub async fn rename(service: &Service, asked: &Asked) -> Answer {
    let request: forebay::catalog::rest::wire::Rename = asked.body()?;
    let wrong = |error: Error| Refusal::wrong(error.to_string());
    let (from, to) = (request.source.table().map_err(wrong)?, request.destination.table().map_err(wrong)?);
    let _renaming = RENAMING.lock().await;
    let view = service.catalog.view(&from).await.map_err(refused(&from))?;
    service.catalog.create_view(&to, &view).await.map_err(refused(&to))?;
    service.catalog.drop_view(&from).await.map_err(refused(&from))?;
    Ok(json!({}))
}

/// Drops one.
pub async fn drop(service: &Service, database: &str, view: &str) -> Answer {
    let name = named(database, view)?;
    service.catalog.drop_view(&name).await.map_err(refused(&name))?;
    Ok(json!({}))
}
