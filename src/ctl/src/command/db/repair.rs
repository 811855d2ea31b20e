use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use ringrift_gamedb::{Outcome, Repaired, repair};
use serde_json::json;

use super::task;
use crate::{
    context::Context,
    failure::Failure,
    paint::Tone,
    report::Report,
    table::{Cell, Table, left, right},
};

/// Which database.
#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// The database
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Only say what could be rescued
    #[arg(long, short = 'n')]
    dry_run: bool,
}

pub(super) async fn run(context: &Context, args: RepairArgs) -> Result<Report, Failure> {
    let (file, outcome) = (args.file, if args.dry_run { Outcome::Rehearse } else { Outcome::Replace });
    let named = file.display().to_string();
    let repaired = task::run(context, move |course| repair(&file, outcome, course)).await?;
    Ok(match repaired.map_err(|error| task::failure(&error))? {
        None => Report::ok(
            format!("{named} is right: there is nothing to repair.\n"),
            json!({ "success": true, "changed": false, "path": named }),
        ),
        Some(repaired) => report(context, &named, &repaired),
    })
}

fn report(context: &Context, named: &str, repaired: &Repaired) -> Report {
    let mut table =
        Table::new(&[left("TABLE"), right("ROWS"), right("FOUND ON PAGES"), right("SET ASIDE"), left("STATE")]);
    for one in &repaired.rescued.tables {
        let state =
            if one.whole { Cell::toned("whole", Tone::Good) } else { Cell::toned("rows may be lost", Tone::Bad) };
        table.row(vec![
            one.name.as_str().into(),
            one.rows.to_string().into(),
            one.found_on_pages.to_string().into(),
            one.set_aside.to_string().into(),
            state,
        ]);
    }
    let mut text = table.render(context.paint);
    for left_out in &repaired.rescued.left_out {
        let _ = writeln!(text, "Left out: {left_out}.");
    }
    if repaired.rescued.unknown_pages > 0 {
        let pages = repaired.rescued.unknown_pages;
        let _ = writeln!(text, "{pages} pages have rows of which nobody knows the table.");
    }
    let games = repaired.after.games.unwrap_or(0);
    let before = repaired.before.as_ref().and_then(|check| check.games);
    let before = before.map(|games| format!("; {games} could be counted before")).unwrap_or_default();
    match &repaired.kept {
        Some(kept) => {
            let _ = writeln!(text, "{named} was rebuilt: {games} games{before}.");
            let _ = writeln!(text, "The damaged one is kept as {}.", kept.display());
        }
        None => {
            let _ = writeln!(text, "{named} would be rebuilt: {games} games{before}. Nothing was changed.");
        }
    }
    let faults = repaired.after.faults();
    if !faults.is_empty() {
        let _ = writeln!(text, "What a rebuild cannot mend: {}.", faults.join("; "));
    }
    let mut json = json!(repaired);
    json["success"] = true.into();
    json["changed"] = repaired.kept.is_some().into();
    json["complete"] = repaired.is_complete().into();
    Report::ok(text, json)
}
