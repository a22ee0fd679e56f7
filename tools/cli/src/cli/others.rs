//! What is typed of commands around tables: `catalog`, `completions`, `demo`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `catalog`.
#[derive(Debug, Args)]
pub struct Catalog {
    /// What to do.
    #[command(subcommand)]
    pub action: CatalogAction,
}

/// What `catalog` does.
#[derive(Debug, Subcommand)]
pub enum CatalogAction {
    /// Answer Paimon's REST catalog requests: Java, Flink, Spark, pypaimon and forebay commit through it
    #[command(
        after_help = "Clients: metastore=rest, uri=http://HOST:PORT, warehouse=NAME, token.provider=bear, token=..
                      forebay: --warehouse rest+http://HOST:PORT, and the token in FOREBAY_CATALOG_TOKEN.
                      Clients read and write the warehouse's files themselves; the service commits by create-if-absent, keeps no                       state, and may run as often as you like. It speaks plain HTTP: put TLS before it."
    )]
    Serve(Serve),
}

/// Arguments of `catalog serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The address to listen on; port 0 takes a free one, which is told on standard output
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:10000")]
    pub listen: std::net::SocketAddr,
    /// The name that clients give as warehouse; by default the last part of the location
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A file with the bearer token that clients must show; else FOREBAY_CATALOG_TOKEN
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Serve without a token on an address that others reach
    #[arg(long)]
    pub insecure: bool,
    /// Tell each request on standard error
    #[arg(short, long)]
    pub verbose: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Where the table is made; by default in a new temporary directory, which is kept
    pub dir: Option<PathBuf>,
    /// TPC-H scale: 1 is 1,500,000 orders
    #[arg(long, default_value_t = 0.1)]
    pub scale: f64,
    /// Buckets of the table
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub buckets: u32,
}
