//! A catalog service: Paimon's REST catalog as its client sees it.
//!
//! ```text
//! names, schemas ── the service           files, manifests, older snapshots ── the store, as for any table
//! commit ────────── the service: POST .../commit, the same snapshot as often as it takes to be answered
//! ```
//!
//! Snapshots are read from the table's files, where the service publishes them. Spec: `format-spec/rest-catalog.md`.

mod changes;
mod client;
mod publisher;
#[cfg(test)]
mod tests;
pub mod wire;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::OnceCell;

pub use changes::{decode_changes, encode_changes};

use self::client::{Client, Verb, encoded};
use self::publisher::RestPublisher;
use self::wire::{
    AlterDatabase, Changes, ConfigAnswer, CreateDatabase, CreateObject, DatabaseAnswer, Identifier, Page, Rename,
    TableAnswer, object_of,
};
use super::TableName;
use super::backend::{CatalogBackend, Database, FoundTable};
use super::options::{TableDefaults, only_stores};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::format::{View, ViewChange, encode_told_schema};
use crate::io::{Secret, is_own_option, is_store_option, open_location};
use crate::schema::Schema;

/// The address in a location `rest+http://..` or `rest+https://..`.
pub(super) fn uri_of(location: &str) -> Option<&str> {
    location.trim().strip_prefix("rest+").filter(|uri| uri.starts_with("http://") || uri.starts_with("https://"))
}

/// A warehouse behind a catalog service.
pub struct RestCatalog {
    client: Arc<Client>,
    /// The name the service has for the warehouse.
    warehouse: Option<String>,
    options: BTreeMap<String, String>,
    env: Env,
    settled: OnceCell<Settled>,
}

impl fmt::Debug for RestCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the options, which may be keys of the store.
        write!(f, "RestCatalog({:?}, {:?})", self.client, self.warehouse)
    }
}

/// What client and service agreed on.
#[derive(Clone)]
struct Settled {
    /// `/v1` or `/v1/<prefix>`.
    root: String,
    /// Options of the store.
    store: BTreeMap<String, String>,
    /// Of what the client was told and what the service says.
    defaults: TableDefaults,
}

impl RestCatalog {
    /// No request is made. `warehouse` is the name the service has for the warehouse.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a bad address or option; [`Error::Unsupported`] for options and token providers that this
    /// version does not have.
    pub(super) fn open(
        uri: &str,
        warehouse: Option<String>,
        mut options: BTreeMap<String, String>,
        env: &Env,
    ) -> Result<Self> {
        let token = options.remove("token").map(Secret::new);
        let provider = options.remove("token.provider");
        match (provider.as_deref(), &token) {
            (None | Some("bear"), Some(_)) | (None, None) => {}
            (Some("bear"), None) => return Err(Error::invalid("token.provider=bear needs option token")),
            (Some(other), _) => return Err(Error::unsupported(format!("token.provider={other} (known: bear)"))),
        }
        let headers: Vec<(String, String)> = options
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix("header.")?.to_string(), value.clone())))
            .collect();
        options.retain(|key, _| !key.starts_with("header."));
        let mut others = options.clone();
        others.remove("prefix");
        TableDefaults::take(&mut others);
        only_stores(&mut others, "REST")?;
        let client = Arc::new(Client::new(uri, token.as_ref(), &headers, env)?);
        Ok(Self { client, warehouse, options, env: env.clone(), settled: OnceCell::new() })
    }

    /// Asks the service once what it wants its clients to do.
    async fn settled(&self) -> Result<&Settled> {
        self.settled.get_or_try_init(|| self.settle()).await
    }

    async fn settle(&self) -> Result<Settled> {
        let query = self.warehouse.as_ref().map(|name| format!("?warehouse={}", encoded(name))).unwrap_or_default();
        let path = format!("/v1/config{query}");
        let told: ConfigAnswer = self.client.call(Verb::Get, &path, None::<&Value>).await?;
        let mut options: BTreeMap<String, String> = BTreeMap::new();
        options.extend(told.defaults.into_iter().filter_map(|(key, value)| Some((key, value?))));
        options.extend(self.options.clone());
        options.extend(told.overrides.into_iter().filter_map(|(key, value)| Some((key, value?))));
        if options.get("data-token.enabled").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(Error::unsupported("data-token.enabled: the service hands out credentials of the store"));
        }
        if let Some(key) = options.keys().find(|key| key.starts_with("header.")) {
            return Err(Error::unsupported(format!("option {key} of a service's configuration")));
        }
        let root = match options.get("prefix") {
            Some(prefix) if !prefix.is_empty() => format!("/v1/{}", encoded(prefix)),
            _ => "/v1".to_string(),
        };
        let defaults = TableDefaults::take(&mut options);
        options.retain(|key, _| is_store_option(key));
        // What this process may reach and keep is for nobody else to say.
        let own = self.options.iter().filter(|(key, _)| is_own_option(key));
        options.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        Ok(Settled { root, store: options, defaults })
    }

    async fn path(&self, parts: &[&str]) -> Result<String> {
        let mut path = self.settled().await?.root.clone();
        for part in parts {
            path.push('/');
            path.push_str(&encoded(part));
        }
        Ok(path)
    }

    /// The names of all pages, sorted.
    async fn names(&self, parts: &[&str], key: &str) -> Result<Vec<String>> {
        let path = self.path(parts).await?;
        let (mut names, mut token) = (Vec::new(), None::<String>);
        loop {
            let query = token.as_ref().map(|token| format!("?pageToken={}", encoded(token))).unwrap_or_default();
            let page: Page = self.client.call(Verb::Get, &format!("{path}{query}"), None::<&Value>).await?;
            let found = page.names(key)?;
            let more = page.next_page_token.filter(|next| !next.is_empty() && !found.is_empty());
            names.extend(found);
            match more {
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                _ => break,
            }
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn post(&self, parts: &[&str], body: &(impl serde::Serialize + Sync)) -> Result<()> {
        let path = self.path(parts).await?;
        Ok(self.client.tell(Verb::Post, &path, Some(body)).await?)
    }

    async fn delete(&self, parts: &[&str]) -> Result<()> {
        let path = self.path(parts).await?;
        Ok(self.client.tell(Verb::Delete, &path, None::<&Value>).await?)
    }
}

#[async_trait]
impl CatalogBackend for RestCatalog {
    async fn list_databases(&self) -> Result<Vec<String>> {
        self.names(&["databases"], "databases").await
    }

    async fn database(&self, name: &str) -> Result<Database> {
        let path = self.path(&["databases", name]).await?;
        let told: DatabaseAnswer = self.client.call(Verb::Get, &path, None::<&Value>).await?;
        Ok(Database { name: told.name, location: told.location.unwrap_or_default(), options: told.options })
    }

    async fn create_database(&self, name: &str, options: &BTreeMap<String, String>) -> Result<()> {
        self.post(&["databases"], &CreateDatabase { name: name.to_string(), options: options.clone() }).await
    }

    async fn alter_database(&self, name: &str, set: &BTreeMap<String, String>, remove: &[String]) -> Result<()> {
        let body = AlterDatabase { removals: remove.to_vec(), updates: set.clone() };
        self.post(&["databases", name], &body).await
    }

    async fn drop_database(&self, name: &str) -> Result<()> {
        self.delete(&["databases", name]).await
    }

    async fn list_tables(&self, database: &str) -> Result<Vec<String>> {
        self.names(&["databases", database, "tables"], "tables").await
    }

    async fn find_table(&self, table: &TableName) -> Result<FoundTable> {
        let path = self.path(&["databases", table.database(), "tables", &object_of(table)]).await?;
        let told: TableAnswer = self.client.call(Verb::Get, &path, None::<&Value>).await?;
        let store = open_location(&told.path, &self.settled().await?.store, &self.env)?;
        let whole = TableName::new(table.database(), table.table())?;
        let root = self.settled().await?.root.clone();
        let (client, is_external) = (Arc::clone(&self.client), told.is_external);
        let publisher = RestPublisher { client, root, table: whole, id: told.id, is_external };
        Ok(FoundTable { store, publisher: Arc::new(publisher) })
    }

    async fn create_table(&self, table: &TableName, schema: &Schema) -> Result<()> {
        let schema = self.settled().await?.defaults.given_to(schema);
        let body = CreateObject { identifier: Identifier::of(table), schema: encode_told_schema(&schema)? };
        self.post(&["databases", table.database(), "tables"], &body).await
    }

    async fn rename_table(&self, from: &TableName, to: &TableName) -> Result<()> {
        let body = Rename { source: Identifier::of(from), destination: Identifier::of(to) };
        self.post(&["tables", "rename"], &body).await
    }

    async fn drop_table(&self, table: &TableName) -> Result<()> {
        self.delete(&["databases", table.database(), "tables", &object_of(table)]).await
    }

    async fn list_views(&self, database: &str) -> Result<Vec<String>> {
        self.names(&["databases", database, "views"], "views").await
    }

    async fn view(&self, name: &TableName) -> Result<View> {
        let path = self.path(&["databases", name.database(), "views", name.table()]).await?;
        let told: Value = self.client.call(Verb::Get, &path, None::<&Value>).await?;
        let schema = told.get("schema").cloned().unwrap_or_default();
        View::decode(schema.to_string().as_bytes(), &format!("view {name}"))
    }

    async fn create_view(&self, name: &TableName, view: &View) -> Result<()> {
        let schema = serde_json::from_slice(&view.encode()?).map_err(|error| Error::bug(error.to_string()))?;
        let body = CreateObject { identifier: Identifier::of(name), schema };
        self.post(&["databases", name.database(), "views"], &body).await
    }

    async fn alter_view(&self, name: &TableName, changes: &[ViewChange]) -> Result<()> {
        let body = Changes { changes: changes.to_vec() };
        self.post(&["databases", name.database(), "views", name.table()], &body).await
    }

    async fn drop_view(&self, name: &TableName) -> Result<()> {
        self.delete(&["databases", name.database(), "views", name.table()]).await
    }
}
