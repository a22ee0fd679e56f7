//! `forebay completions`: a script for a shell.

use clap::CommandFactory as _;

use crate::cli::{Cli, Completions};
use crate::failure::Result;
use crate::output;

/// Prints the script.
pub fn run(args: &Completions) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "forebay", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}
