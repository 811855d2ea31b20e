//! What all of them need to know of this machine.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use ringrift_cleanup::{CleanupError, Disk, Plan, Roots, Stays, Thresholds};
use ringrift_config::{HostsFile, NodeId};

use crate::{
    age,
    bytes::bytes,
    command::db::machine,
    context::Context,
    exit::Exit,
    failure::Failure,
    table::{Table, left, right},
};

/// Where to look.
#[expect(clippy::doc_markdown, reason = "a help text: people would see the backticks")]
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The node's folder: the one that has data, models and logs
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,

    /// This node's name in the hosts file, whose storage_paths are looked into too; without it, this machine's
    #[arg(long, value_name = "NAME", env = "RINGRIFT_NODE_ID")]
    node: Option<NodeId>,
}

/// What was found out about it.
pub(super) struct Ground {
    pub(super) roots: Roots,
    pub(super) node: String,
    pub(super) thresholds: Thresholds,
}

impl Place {
    /// A hosts file is optional: without one the defaults of its thresholds count. One that is there must be right.
    pub(super) fn ground(&self, context: &Context) -> Result<Ground, Failure> {
        let node = self.node.as_ref().map_or_else(machine, ToString::to_string);
        let file = match context.hosts_file() {
            Ok(path) => Some(HostsFile::load(&path).map_err(|error| Failure::new(Exit::Failed, error.to_string()))?),
            Err(_) => None,
        };
        let thresholds = file.as_ref().map(Thresholds::of).transpose().map_err(|error| failure(&error))?;
        let host = file.as_ref().and_then(|file| file.hosts.get(node.as_str()));
        let storage = host.and_then(|host| host.storage_paths.as_ref());
        let roots = Roots::of(&self.root, storage).map_err(|error| failure(&error))?;
        Ok(Ground { roots, node, thresholds: thresholds.unwrap_or_default() })
    }
}

pub(super) fn failure(error: &CleanupError) -> Failure {
    let failure = Failure::new(Exit::Failed, error.to_string());
    match error {
        CleanupError::NoNode(_) => failure.advise("Name the node's folder with --root DIR."),
        CleanupError::Threshold { .. } => failure.advise("Mend it in the hosts file: `ringriftctl hosts check`."),
        CleanupError::NoBatch(_) => failure.advise("`ringriftctl data restore` shows what is in it."),
        CleanupError::Io { .. } | CleanupError::Manifest { .. } | CleanupError::Occupied(_) => failure,
    }
}

/// How full the disk of a folder is, as `df` counts it.
pub(super) fn disk(folder: &Path) -> Result<Disk, Failure> {
    let stat = rustix::fs::statvfs(folder)
        .map_err(|error| Failure::local(format!("cannot ask for the disk of {}", folder.display()), &error))?;
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    let total = used.saturating_add(stat.f_bavail);
    Ok(Disk { total_bytes: total.saturating_mul(stat.f_frsize), used_bytes: used.saturating_mul(stat.f_frsize) })
}

/// What goes, file by file, and what stays, reason by reason.
pub(super) fn listing(context: &Context, plan: &Plan, now: f64) -> String {
    let mut text = String::new();
    if plan.going().next().is_some() {
        let mut table = Table::new(&[left("GOES"), left("KIND"), right("SIZE"), right("AGE")]);
        for item in plan.going() {
            table.row(vec![
                item.name.as_str().into(),
                item.kind.as_str().into(),
                bytes(item.size_bytes).into(),
                age::span((now - item.modified).max(0.0)).into(),
            ]);
        }
        text.push_str(&table.render(context.paint));
    }
    let mut reasons: Vec<(String, usize, u64)> = Vec::new();
    for (item, stays) in plan.decisions.iter().filter_map(|one| Some((&one.item, one.stays.as_ref()?))) {
        let sentence = match stays {
            Stays::OnlyCopy { wanted, .. } => format!("may be the only copy: {wanted} others are to have it"),
            other => other.sentence(),
        };
        match reasons.iter_mut().find(|(known, ..)| *known == sentence) {
            Some((_, count, size)) => (*count, *size) = (*count + 1, *size + item.size_bytes),
            None => reasons.push((sentence, 1, item.size_bytes)),
        }
    }
    for (sentence, count, size) in reasons {
        let _ = writeln!(text, "Stays: {count} of {}: {sentence}", bytes(size));
    }
    text
}

/// Now, seconds since the epoch, and as a batch in the trash is named.
pub(super) fn now() -> (f64, String) {
    let now = jiff::Timestamp::now();
    (now.as_millisecond() as f64 / 1_000.0, now.strftime("%Y%m%dT%H%M%SZ").to_string())
}
