use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf};

use clap::Args;
use ringrift_cleanup::{Asked, CleanupError, Copies, Item, Kind, Opened, Thresholds, Trash, digests, look, plan};
use ringrift_gamedb::{DbError, backup_some};
use serde_json::json;

use super::{
    cleanup::move_all,
    ground::{Place, disk, failure, listing, now},
};
use crate::{
    bytes::bytes, command::db::task, confirm::confirm, context::Context, exit::Exit, failure::Failure, report::Report,
};

/// What goes into which archive.
#[derive(Debug, Args)]
pub(crate) struct ArchiveArgs {
    #[command(flatten)]
    place: Place,

    /// The archive to write, by custom F.tar.zst; never over one that is there
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// What was written to in the last so many days stays
    #[arg(long, value_name = "N", default_value = "30")]
    keep_days: u32,

    /// Do not ask whether it is meant
    #[arg(long, short)]
    yes: bool,

    /// Only say what would be in it
    #[arg(long, short = 'n')]
    dry_run: bool,
}

pub(super) async fn run(context: &Context, args: ArchiveArgs) -> Result<Report, Failure> {
    let ArchiveArgs { place, output, keep_days, yes, dry_run } = args;
    if output.exists() {
        return Err(task::failure(&DbError::Exists(output)));
    }
    let ground = place.ground(context)?;
    let disk = disk(&ground.roots.node)?;
    let (at, moment) = now();
    // The archive is the copy: one that was read again is enough.
    let asked = Asked {
        now: at,
        keep_seconds: f64::from(keep_days) * 86_400.0,
        only_if_needed: false,
        node: ground.roots.node.clone(),
        replicas: 1,
    };
    // Its pool goes by the cleanup's rules, not by the archive's.
    let thresholds = Thresholds { pool: None, ..ground.thresholds };
    let items = look(&ground.roots, &Opened::now()).map_err(|error| failure(&error))?;
    let keep_from = asked.now - asked.keep_seconds;
    let old: BTreeSet<String> = items
        .iter()
        .filter(|item| item.kind == Kind::TrainingData && !item.in_use && !item.linked && item.modified <= keep_from)
        .map(|item| item.name.clone())
        .collect();
    let found = ringrift_gamedb::find(&ground.roots.node).map_err(|error| task::failure(&error))?;
    let wanted: Vec<&str> = found.iter().map(|one| one.name.as_str()).filter(|name| old.contains(*name)).collect();
    let size: u64 = items.iter().filter(|item| wanted.contains(&item.name.as_str())).map(|item| item.size_bytes).sum();
    let mut text = wanted.iter().fold(String::new(), |text, name| text + name + "\n");
    let _ = writeln!(text, "{} databases of {} were not written to for {keep_days} days.", wanted.len(), bytes(size));
    if dry_run || wanted.is_empty() {
        text.push_str("Nothing was changed.\n");
        let json = json!({ "success": true, "dry_run": dry_run, "files": wanted, "size_bytes": size });
        return Ok(Report::ok(text, json));
    }
    if !yes {
        if !context.json {
            eprint!("{text}");
        }
        confirm(&format!("Archive {} databases and move them to the trash?", wanted.len()), "archived")?;
    }
    let names: BTreeSet<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
    let (root, node, only, file) = (ground.roots.node.clone(), ground.node.clone(), names.clone(), output.clone());
    let made =
        task::run(context, move |course| backup_some(&root, &node, &file, |one| only.contains(&one.name), course));
    let made = made.await?.map_err(|error| task::failure(&error))?;

    let (roots, manifest) = (ground.roots.clone(), made.manifest.clone());
    let decided = task::run(context, move |course| {
        let mut copies = Copies::default();
        copies.add_archive(&output, &manifest);
        let mut items = look(&roots, &Opened::now())?;
        items.retain(|item| names.contains(&item.name));
        let told = |item: &Item| digests(item, &copies, asked.replicas, course);
        Ok::<_, CleanupError>(plan(items, &asked, &thresholds, disk, &copies, told))
    });
    let plan = decided.await?.map_err(|error| failure(&error))?;
    let (moved, left) = move_all(&Trash::of(&ground.roots), &plan, &moment).map_err(|error| failure(&error))?;

    let mut text = listing(context, &plan, at);
    for (name, why) in &left {
        let _ = writeln!(text, "Stays: {name}: {why}");
    }
    let _ = writeln!(
        text,
        "Archived {} databases to {}, {}; all of it was read again. Moved {moved} of them to the trash. To take them back: ringriftctl \
         data restore {moment}",
        made.manifest.databases.len(),
        made.path.display(),
        bytes(made.size_bytes)
    );
    let complete = made.manifest.is_complete() && moved == made.manifest.databases.len();
    let json = json!({
        "success": complete,
        "path": made.path,
        "size_bytes": made.size_bytes,
        "manifest": made.manifest,
        "moved": moved,
        "moment": moment,
        "files": plan.decisions,
    });
    Ok(Report::ok(text, json).exit(if complete { Exit::Ok } else { Exit::Failed }))
}
