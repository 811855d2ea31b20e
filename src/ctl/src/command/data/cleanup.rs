use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use ringrift_cleanup::{Asked, CleanupError, Copies, Emptied, Item, Opened, Plan, Trash, digests, look, plan};
use serde_json::json;

use super::ground::{Ground, Place, disk, failure, listing, now};
use crate::{
    bytes::bytes, command::db::task, confirm::confirm, context::Context, exit::Exit, failure::Failure, report::Report,
};

/// What may go.
#[expect(clippy::doc_markdown, reason = "a help text: people would see the backticks")]
#[derive(Debug, Args)]
pub(crate) struct CleanupArgs {
    #[command(flatten)]
    place: Place,

    /// What was written to in the last so many days stays
    #[arg(long, value_name = "N")]
    keep_days: u32,

    /// Who else has what: an archive of `db backup`, or JSON with nodes, their files and each one's sha256; may be given several times
    #[arg(long, value_name = "FILE")]
    manifest: Vec<PathBuf>,

    /// Only as much as is needed to come below the thresholds of sync_routing and disk_management
    #[arg(long)]
    if_needed: bool,

    /// Hours that files stay in the trash before they are deleted
    #[arg(long, value_name = "HOURS", default_value = "72")]
    grace_hours: u32,

    /// Do not ask whether it is meant
    #[arg(long, short)]
    yes: bool,

    /// Only say what would go
    #[arg(long, short = 'n')]
    dry_run: bool,
}

const DAY: f64 = 86_400.0;

pub(super) async fn run(context: &Context, args: CleanupArgs) -> Result<Report, Failure> {
    let CleanupArgs { place, keep_days, manifest, if_needed, grace_hours, yes, dry_run } = args;
    let ground = place.ground(context)?;
    let disk = disk(&ground.roots.node)?;
    let (at, moment) = now();
    let asked = Asked {
        now: at,
        keep_seconds: f64::from(keep_days) * DAY,
        only_if_needed: if_needed,
        node: ground.roots.node.clone(),
        replicas: ground.thresholds.replicas,
    };
    let Ground { roots, node, thresholds } = ground;
    let trash = Trash::of(&roots);
    let replicas = thresholds.replicas;
    let decided = task::run(context, move |course| {
        let mut copies = Copies::default();
        for path in &manifest {
            copies.add(path, &node, course)?;
        }
        let items = look(&roots, &Opened::now())?;
        let told = |item: &Item| digests(item, &copies, asked.replicas, course);
        let plan = plan(items, &asked, &thresholds, disk, &copies, told);
        Ok::<_, CleanupError>((copies, plan))
    });
    let (copies, plan) = decided.await?.map_err(|error| failure(&error))?;

    let mut text = listing(context, &plan, at);
    let percent = plan.disk.used_bytes as f64 * 100.0 / (plan.disk.total_bytes as f64).max(1.0);
    let count = plan.going().count();
    let _ = writeln!(text, "The disk is {percent:.0} % full. {count} files of {} may go.", bytes(plan.bytes()));
    let mut json = json!({
        "success": true,
        "dry_run": dry_run,
        "files": plan.decisions,
        "disk": plan.disk,
        "needed": plan.needed,
        "bytes": plan.bytes(),
    });
    if dry_run {
        text.push_str("Nothing was changed.\n");
        return Ok(Report::ok(text, json));
    }
    if count > 0 && !yes {
        if !context.json {
            eprint!("{text}");
        }
        confirm(&format!("Move {count} files to the trash?"), "moved")?;
        text.clear();
    }
    // What was deleted before makes room first, and needs no other decision than time.
    let emptied =
        trash.empty(at, f64::from(grace_hours) * 3_600.0, &copies, replicas).map_err(|error| failure(&error))?;
    tell_of(&emptied, &mut text);
    let (moved, left) = move_all(&trash, &plan, &moment).map_err(|error| failure(&error))?;
    for (name, why) in &left {
        let _ = writeln!(text, "Stays: {name}: {why}");
    }
    if moved > 0 {
        let _ = writeln!(
            text,
            "Moved {moved} files to the trash; a cleanup in {grace_hours} hours deletes them. To take them back: ringriftctl data \
             restore {moment}"
        );
    }
    json["moved"] = moved.into();
    json["moment"] = moment.into();
    json["deleted"] = json!(emptied);
    json["left"] = left.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect();
    json["success"] = left.is_empty().into();
    let exit = if left.is_empty() { Exit::Ok } else { Exit::Failed };
    Ok(Report::ok(text, json).exit(exit))
}

fn tell_of(emptied: &Emptied, text: &mut String) {
    if emptied.files > 0 {
        let _ = writeln!(text, "Deleted {} files of {} from the trash.", emptied.files, bytes(emptied.bytes));
    }
    if !emptied.kept.is_empty() {
        let count = emptied.kept.len();
        let _ = writeln!(text, "{count} files stay in the trash: no --manifest says that others have them still.");
    }
}

/// Files that stay after all, each with the reason.
pub(super) type Left = Vec<(String, &'static str)>;

/// Moves everything that goes. Returns how many did, and what did not.
pub(super) fn move_all(trash: &Trash, plan: &Plan, moment: &str) -> Result<(usize, Left), CleanupError> {
    let (mut moved, mut left) = (0, Vec::new());
    for item in plan.going() {
        match trash.take(item, moment)? {
            None => moved += 1,
            Some(why) => left.push((item.name.clone(), why)),
        }
    }
    Ok((moved, left))
}
