//! `forebay branch`: lines of snapshots beside a table's own.

use forebay::inspect;
use serde_json::json;

use super::inspect::show;
use crate::cli::{Branch, BranchAction, Common};
use crate::failure::{Failure, Result};
use crate::output;

/// Makes, takes over, renames, deletes or lists.
pub async fn run(args: Branch, common: &Common) -> Result<()> {
    match args.action {
        BranchAction::Create { table, name, from_tag } => {
            let table = super::open_table(&table, common, &[]).await?;
            let branch = table.create_branch(&name, from_tag.as_deref()).await?;
            if common.json {
                let schema = branch.schema().id;
                return output::print_json(&json!({"table": table.location(), "branch": name, "schema": schema}));
            }
            output::note(&format!("{}: branch {name}, schema {}", table.location(), branch.schema().id));
            Ok(())
        }
        BranchAction::FastForward { table, name } => {
            let table = super::open_table(&table, common, &[]).await?;
            let done = table.fast_forward(&name).await?;
            if common.json {
                return output::print_json(&json!({
                    "table": table.location(), "branch": name, "from": done.from, "to": done.to, "schemas": done.schemas,
                    "tags": done.tags,
                }));
            }
            let at = table.location();
            output::note(&match done.from {
                Some(from) if from == done.to => {
                    format!("{at}: snapshot {from} is the newest of branch {name} already")
                }
                Some(from) => format!("{at}: snapshot {} of branch {name} follows {from}", done.to),
                None => format!("{at}: snapshot {} of branch {name} is the newest", done.to),
            });
            Ok(())
        }
        BranchAction::Rename { table, name, to } => {
            let table = super::open_table(&table, common, &[]).await?;
            table.rename_branch(&name, &to).await?;
            if common.json {
                return output::print_json(&json!({"table": table.location(), "branch": to, "before": name}));
            }
            output::note(&format!("{}: branch {name} is {to}", table.location()));
            Ok(())
        }
        BranchAction::Delete { table, name, yes } => {
            let table = super::open_table(&table, common, &[]).await?;
            if !yes {
                table.branch(&name).await?;
                let what = format!("this would delete branch {name} of {}; nothing was deleted", table.location());
                return Err(Failure::usage(what).help("add --yes to do it"));
            }
            table.delete_branch(&name).await?;
            if common.json {
                return output::print_json(&json!({"table": table.location(), "deleted": name}));
            }
            output::note(&format!("{}: branch {name} is gone; files that only it named stay", table.location()));
            Ok(())
        }
        BranchAction::List { table, output } => {
            show(inspect::branches(&super::open_history(&table, common).await?).await?, output, common).await
        }
    }
}
