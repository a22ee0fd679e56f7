//! `forebay catalog serve`: a warehouse as a Paimon REST catalog.

use forebay::io::{Location, Secret};
use forebay_catalog::{Service, listen, serve};
use serde_json::json;

use crate::cli::{Catalog, CatalogAction, Common, Serve};
use crate::failure::{Failure, Result};
use crate::output;

/// Where the bearer token is, for the service and for its clients.
pub const TOKEN: &str = "FOREBAY_CATALOG_TOKEN";

/// Serves.
pub async fn run(args: Catalog, common: &Common) -> Result<()> {
    match args.action {
        CatalogAction::Serve(args) => run_service(args, common).await,
    }
}

async fn run_service(args: Serve, common: &Common) -> Result<()> {
    let Some(warehouse) = &common.warehouse else {
        return Err(Failure::usage("which warehouse?").help("give --warehouse, or set FOREBAY_WAREHOUSE"));
    };
    let rest = common.store.iter().any(|(key, value)| key == "metastore" && value == "rest")
        || common.catalog.as_ref().is_some_and(|uri| uri.starts_with("http"));
    if warehouse.starts_with("rest+") || rest {
        return Err(Failure::usage("a catalog service is served already").help("name the warehouse's own location"));
    }
    let location = Location::parse(warehouse)?.to_string().trim_end_matches('/').to_string();
    let token = token(&args)?;
    if token.is_none() && !args.listen.ip().is_loopback() && !args.insecure {
        let help = format!("set {TOKEN} or give --token-file; --insecure serves everybody");
        return Err(Failure::usage(format!("{} is reached by others, and there is no token", args.listen)).help(help));
    }
    let last = location.rsplit('/').find(|part| !part.is_empty()).unwrap_or("warehouse").to_string();
    let service = Service {
        catalog: super::open_catalog(warehouse, common)?,
        name: args.name.unwrap_or(last),
        location: location.clone(),
        token,
        verbose: args.verbose,
    };
    // What the store cannot do is told now, and not to the first client.
    if service.catalog.list_databases().await?.is_empty() {
        output::note(&format!("{location} has no databases yet"));
    }
    let listening = |error| Failure::new("io", format!("listen on {}: {error}", args.listen));
    let listener = listen(args.listen).await.map_err(listening)?;
    let address = listener.local_addr().map_err(listening)?;
    let (name, guarded) = (service.name.clone(), service.token.is_some());
    match common.json {
        true => output::print_json(&json!({"uri": format!("http://{address}"), "warehouse": name, "token": guarded}))?,
        false => output::print(&format!("serving {location} as warehouse {name} at http://{address}\n"))?,
    }
    serve(service, listener, super::interrupted()).await.map_err(listening)?;
    output::note("stopped");
    Ok(())
}

fn token(args: &Serve) -> Result<Option<Secret>> {
    let text = match &args.token_file {
        Some(path) => std::fs::read_to_string(path)
            .map(Some)
            .map_err(|error| Failure::new("io", format!("{}: {error}", path.display())))?,
        None => std::env::var(TOKEN).ok(),
    };
    match text.map(|text| text.trim().to_string()) {
        Some(token) if token.is_empty() => Err(Failure::usage("the token is empty")),
        token => Ok(token.map(Secret::new)),
    }
}
