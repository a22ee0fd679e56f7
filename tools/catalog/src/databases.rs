//! Databases.

use forebay::catalog::rest::wire::{AlterDatabase, CreateDatabase};
use serde_json::json;

use crate::Service;
use crate::answer::{Refusal, Resource};
use crate::routes::{Answer, Asked};

fn refused(name: &str) -> impl FnOnce(forebay::Error) -> Refusal {
    move |error| Refusal::of(error, Resource::Database, name)
}

/// A page of names.
pub async fn list(service: &Service, asked: &Asked) -> Answer {
    let names = service.catalog.list_databases().await.map_err(refused(""))?;
    let (databases, next) = asked.page(names, "databaseNamePattern")?;
    Ok(json!({"databases": databases, "nextPageToken": next}))
}

/// Creates one.
pub async fn create(service: &Service, asked: &Asked) -> Answer {
    let told: CreateDatabase = asked.body()?;
    let created = service.catalog.create_database_with(&told.name, &told.options).await;
    created.map_err(refused(&told.name))?;
    Ok(json!({"name": told.name, "options": told.options}))
}

/// One of them.
pub async fn get(service: &Service, name: &str) -> Answer {
    let database = service.catalog.database(name).await.map_err(refused(name))?;
    Ok(json!({
        "id": database.name, "name": database.name, "location": database.location, "options": database.options,
        "owner": "", "createdAt": 0, "createdBy": "", "updatedAt": 0, "updatedBy": "",
    }))
}

/// Changes options of one.
pub async fn alter(service: &Service, asked: &Asked, name: &str) -> Answer {
    let told: AlterDatabase = asked.body()?;
    let before = service.catalog.database(name).await.map_err(refused(name))?.options;
    service.catalog.alter_database(name, &told.updates, &told.removals).await.map_err(refused(name))?;
    let (removed, missing): (Vec<_>, Vec<_>) = told.removals.into_iter().partition(|key| before.contains_key(key));
    let updated: Vec<&String> = told.updates.keys().collect();
    Ok(json!({"removed": removed, "updated": updated, "missing": missing}))
}

/// Drops one with all that is in it: whether it is empty the client has looked at.
pub async fn drop(service: &Service, name: &str) -> Answer {
    service.catalog.drop_database(name, true).await.map_err(refused(name))?;
    Ok(json!({}))
}
