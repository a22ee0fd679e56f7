//! Tables: their names, and their schemas as the newest schema file has them.

use std::sync::Arc;

use forebay::catalog::FoundTable;
use forebay::catalog::rest::decode_changes;
use forebay::catalog::rest::wire::{Changes, CreateObject, Rename, RollbackSchema, object_of};
use forebay::format::{decode_told_schema, encode_told_schema};
use forebay::history::History;
use forebay::maintain::rollback_schema as rollback_schema_of;
use forebay::schema::{Schema, SchemaChange};
use forebay::{Error, TableName};
use serde_json::{Value, json};

use crate::Service;
use crate::answer::{Refusal, Resource};
use crate::routes::{Answer, Asked};

/// An error about a table.
pub fn refused(table: &TableName) -> impl Fn(Error) -> Refusal {
    let name = object_of(table);
    move |error| Refusal::of(error, Resource::Table, &name)
}

/// A table that is there.
pub struct Found {
    /// Its files and the door of its commits.
    pub table: FoundTable,
    /// What is known of it, or of its branch.
    pub history: History,
    /// The newest schema.
    pub schema: Arc<Schema>,
    /// Tells it from a table that had its name before.
    pub id: String,
    /// When it was created.
    pub created_at: i64,
}

/// Looks for a table, or the branch that is named.
pub async fn find(service: &Service, name: &TableName) -> Result<Found, Refusal> {
    let refused = refused(name);
    let table = service.catalog.find_table(name).await.map_err(&refused)?;
    let main = History::new(table.store.clone());
    let ids = main.schemas.ids().await.map_err(&refused)?;
    let Some(oldest) = ids.first().copied() else { return Err(Refusal::missing(Resource::Table, &object_of(name))) };
    let created_at = main.schemas.load(oldest).await.map_err(&refused)?.time_millis;
    let history = match name.branch() {
        Some(branch) => main.on_branch(branch).map_err(&refused)?,
        None => main,
    };
    let Some(schema) = history.schemas.latest().await.map_err(&refused)? else {
        return Err(Refusal::missing(Resource::Table, &object_of(name)));
    };
    // As Java names a table that has no id of its catalog's: a renamed one is another to whoever writes it.
    let id = format!("{}.{}.{created_at}", name.database(), name.table());
    Ok(Found { table, history, schema, id, created_at })
}

/// Looks for a table, when only what is below it matters.
pub async fn history(service: &Service, name: &TableName) -> Result<History, Refusal> {
    Ok(find(service, name).await?.history)
}

fn told(name: &TableName, found: &Found) -> Answer {
    let schema = encode_told_schema(&found.schema).map_err(refused(name))?;
    Ok(json!({
        "id": found.id, "database": name.database(), "name": object_of(name),
        "path": found.table.store.location(), "isExternal": false,
        "schemaId": found.schema.id, "schema": schema,
        "owner": "", "createdAt": found.created_at, "createdBy": "",
        "updatedAt": found.schema.time_millis, "updatedBy": "",
    }))
}

/// A page of names.
pub async fn list(service: &Service, asked: &Asked, database: &str) -> Answer {
    let (tables, next) = page(service, asked, database).await?;
    Ok(json!({"tables": tables, "nextPageToken": next}))
}

/// Every table here is of the type `table`.
async fn page(service: &Service, asked: &Asked, database: &str) -> Result<(Vec<String>, Option<String>), Refusal> {
    let names = service.catalog.list_tables(database).await;
    let mut names = names.map_err(|error| Refusal::of(error, Resource::Database, database))?;
    if asked.query("tableType").is_some_and(|kind| kind != "table") {
        names.clear();
    }
    asked.page(names, "tableNamePattern")
}

/// A page of tables with their schemas.
pub async fn details(service: &Service, asked: &Asked, database: &str) -> Answer {
    let (names, next) = page(service, asked, database).await?;
    let mut details = Vec::with_capacity(names.len());
    for name in names {
        let name = TableName::new(database, &name).map_err(|error| Refusal::of(error, Resource::Table, &name))?;
        match find(service, &name).await {
            Ok(found) => details.push(told(&name, &found)?),
            // It was dropped meanwhile.
            Err(refusal) if refusal.status() == axum::http::StatusCode::NOT_FOUND => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(json!({"tableDetails": details, "nextPageToken": next}))
}

/// A page of the tables of all databases.
pub async fn list_all(service: &Service, asked: &Asked) -> Answer {
    let mut names = Vec::new();
    let failed = |error| Refusal::of(error, Resource::Database, "");
    let databases = service.catalog.list_databases().await.map_err(failed)?;
    for database in databases.into_iter().filter(|database| asked.fits("databaseNamePattern", database)) {
        match service.catalog.list_tables(&database).await {
            Ok(mut tables) => {
                tables.retain(|table| asked.fits("tableNamePattern", table));
                names.extend(tables.into_iter().map(|table| format!("{database}.{table}")));
            }
            // It was dropped meanwhile.
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let (tables, next) = asked.page_of_objects(names)?;
    Ok(json!({"tables": tables, "nextPageToken": next}))
}

/// One of them.
pub async fn get(service: &Service, name: &TableName) -> Answer {
    told(name, &find(service, name).await?)
}

/// The table of an id that [`get`] told.
pub async fn by_id(service: &Service, id: &str) -> Answer {
    let missing = || Refusal::missing(Resource::Table, id);
    let (name, _) = id.rsplit_once('.').ok_or_else(missing)?;
    let name: TableName = name.parse().map_err(|_| missing())?;
    let found = find(service, &name).await?;
    match found.id == id {
        true => told(&name, &found),
        false => Err(missing()),
    }
}

/// Creates one.
pub async fn create(service: &Service, asked: &Asked) -> Answer {
    let request: CreateObject = asked.body()?;
    let name = request.identifier.table().map_err(|error| Refusal::wrong(error.to_string()))?;
    if name.branch().is_some() {
        return Err(Refusal::wrong("a branch is made by its own request"));
    }
    let bytes = request.schema.to_string();
    let schema = decode_told_schema(bytes.as_bytes(), "the table's schema").map_err(wrong)?;
    if schema.options.contains_key("path") {
        return Err(lies_outside());
    }
    let database = service.catalog.database(name.database()).await;
    database.map_err(|error| Refusal::of(error, Resource::Database, name.database()))?;
    service.catalog.create_table(&name, schema).await.map_err(refused(&name))?;
    Ok(json!({}))
}

/// What a client said is no file that is broken.
pub fn wrong(error: Error) -> Refusal {
    match error {
        Error::Unsupported(_) => Refusal::of(error, Resource::Table, ""),
        error => Refusal::wrong(error.to_string()),
    }
}

fn lies_outside() -> Refusal {
    Refusal::unsupported("option path: a table that lies outside of the warehouse")
}

/// Changes the schema of one.
pub async fn alter(service: &Service, asked: &Asked, name: &TableName) -> Answer {
    find(service, name).await?;
    let request: Changes<Value> = asked.body()?;
    let changes = decode_changes(&request.changes).map_err(wrong)?;
    if changes.iter().any(|change| matches!(change, SchemaChange::SetOption(key, _) if key == "path")) {
        return Err(lies_outside());
    }
    // The table is there, so that only a column can be missing, or be there already.
    let column = |error: Error| {
        let words = error.to_string();
        let column = words.rsplit_once("column ").map(|(_, column)| column.to_string()).unwrap_or_default();
        Refusal::of(error, Resource::Column, &column)
    };
    service.catalog.alter_table(name, &changes).await.map_err(column)?;
    Ok(json!({}))
}

/// Makes an older schema of one the newest again.
pub async fn rollback_schema(service: &Service, asked: &Asked, name: &TableName) -> Answer {
    let request: RollbackSchema = asked.body()?;
    let found = find(service, name).await?;
    let publisher = &found.table.publisher;
    let done = async {
        match publisher.rollback_schema(&found.history, request.schema_id).await? {
            true => Ok(()),
            false => rollback_schema_of(&found.history, request.schema_id).await.map(|_| ()),
        }
    };
    match done.await {
        Ok(()) => Ok(json!({})),
        // Clients take a 404 for the table's.
        Err(error @ Error::NotFound(_)) => Err(Refusal::wrong(error.to_string())),
        Err(error) => Err(Refusal::of(error, Resource::Table, &object_of(name))),
    }
}

/// Gives one another name.
pub async fn rename(service: &Service, asked: &Asked) -> Answer {
    let request: Rename = asked.body()?;
    let wrong = |error: Error| Refusal::wrong(error.to_string());
    let (from, to) = (request.source.table().map_err(wrong)?, request.destination.table().map_err(wrong)?);
    find(service, &from).await?;
    service.catalog.rename_table(&from, &to).await.map_err(refused(&to))?;
    Ok(json!({}))
}

/// Drops one with all its files.
pub async fn drop(service: &Service, name: &TableName) -> Answer {
    service.catalog.drop_table(name).await.map_err(refused(name))?;
    Ok(json!({}))
}
