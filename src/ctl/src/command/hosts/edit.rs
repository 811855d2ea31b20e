//! Changing the file itself.

use std::{fmt::Write as _, path::PathBuf};

use clap::Args;
use ringrift_config::{EditError, Finding, HostsDraft, NodeId};
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use crate::{context::Context, exit::Exit, failure::Failure, report::Report};

/// What to change of which host.
#[expect(clippy::doc_markdown, reason = "a help text: people would see the backticks")]
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Its name in the file
    #[arg(value_name = "NAME")]
    name: NodeId,

    /// What it is to say; a dot leads into a map: storage_paths.games=/mnt/games
    #[arg(value_name = "KEY=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,

    /// Take a key away; may be given several times
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,

    /// Name it as a voter
    #[arg(long, conflicts_with = "no_voter")]
    voter: bool,

    /// Name it as a voter no longer
    #[arg(long)]
    no_voter: bool,

    /// Only show what would be changed
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// From which name to which.
#[derive(Debug, Args)]
pub(crate) struct Rename {
    /// Its name in the file
    #[arg(value_name = "NAME")]
    from: NodeId,

    /// Its new name
    #[arg(value_name = "NEW")]
    to: NodeId,

    /// Only show what would be changed
    #[arg(long, short = 'n')]
    dry_run: bool,
}

/// Reads `key=value`.
pub(super) fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as key=value".to_owned()),
    }
}

/// The file that is meant, to be changed.
pub(super) fn open(context: &Context) -> Result<HostsDraft, Failure> {
    HostsDraft::load(&context.hosts_file()?).map_err(|error| failure(&error))
}

pub(super) fn failure(error: &EditError) -> Failure {
    let failure = Failure::new(Exit::Failed, error.to_string());
    match error {
        EditError::Unknown { .. } => failure.advise("`ringriftctl hosts list` shows all."),
        EditError::Exists { .. } => failure.advise("`ringriftctl hosts set` changes a host that is there."),
        EditError::Unusable(_) => failure.advise("`ringriftctl hosts check` shows all that is wrong."),
        EditError::Io { .. } => failure.advise("Be a user who may write there, or name another file with --hosts."),
        EditError::Key { .. } | EditError::Spoils(_) | EditError::NotInPlace { .. } | EditError::Changed(_) => failure,
    }
}

pub(super) fn set(context: &Context, args: &Set) -> Result<Report, Failure> {
    let mut draft = open(context)?;
    let known = warnings(&draft);
    let mut change = || {
        args.settings.iter().try_for_each(|(key, value)| draft.set(&args.name, key, value))?;
        args.unset.iter().try_for_each(|key| draft.unset(&args.name, key))?;
        if args.voter || args.no_voter { draft.set_voter(&args.name, args.voter) } else { Ok(()) }
    };
    change().map_err(|error| failure(&error))?;
    finish(draft, &known, args.dry_run)
}

pub(super) fn rename(context: &Context, args: &Rename) -> Result<Report, Failure> {
    let mut draft = open(context)?;
    let known = warnings(&draft);
    if draft.file().is_ok_and(|file| file.is_voter(&args.from)) {
        let message = format!("{} votes, and a voter is known to the others by its name", args.from);
        return Err(Failure::new(Exit::Failed, message).advise(format!(
            "Take its vote away first: `ringriftctl hosts set {} --no-voter`, then `ringriftctl reload`.",
            args.from
        )));
    }
    draft.rename(&args.from, &args.to).map_err(|error| failure(&error))?;
    finish(draft, &known, args.dry_run)
}

fn finish(mut draft: HostsDraft, known: &[String], dry_run: bool) -> Result<Report, Failure> {
    let change = Change::of(&draft);
    let saved = if dry_run { None } else { save(&mut draft)? };
    let mut text = change.text();
    let new = news(&draft, known);
    for warning in &new {
        let _ = writeln!(text, "warning: {warning}");
    }
    text.push_str(&change.outcome(saved.as_ref(), dry_run));
    if saved.is_some() {
        text.push_str("In force after `ringriftctl reload`, on each node with its copy of the file.\n");
    }
    let mut json = change.json();
    json["success"] = true.into();
    json["dry_run"] = dry_run.into();
    json["backup"] = json!(saved);
    json["warnings"] = json!(new);
    Ok(Report::ok(text, json))
}

/// Writes the file. Returns where the old one is kept, if anything was written.
pub(super) fn save(draft: &mut HostsDraft) -> Result<Option<PathBuf>, Failure> {
    let moment = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    draft.save(&moment).map_err(|error| failure(&error))
}

/// What somebody should look at in the file.
pub(super) fn warnings(draft: &HostsDraft) -> Vec<String> {
    let findings = draft.file().map(|file| file.check()).unwrap_or_default();
    findings.iter().map(without_line).collect()
}

/// Those that were not there before.
pub(super) fn news(draft: &HostsDraft, before: &[String]) -> Vec<String> {
    warnings(draft).into_iter().filter(|warning| !before.contains(warning)).collect()
}

/// A line moves when something is written above it, and the warning stays the same.
fn without_line(finding: &Finding) -> String {
    format!("{}: {}", finding.key, finding.message)
}

/// What is different between the file and the draft.
pub(super) struct Change {
    file: String,
    /// `-` of the old, `+` of the new.
    lines: Vec<String>,
}

impl Change {
    pub(super) fn of(draft: &HostsDraft) -> Self {
        let file = draft.file().map(|file| file.path.display().to_string()).unwrap_or_default();
        let diff = TextDiff::from_lines(draft.before(), draft.text());
        let lines = diff.iter_all_changes().filter_map(|change| {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => return None,
            };
            Some(format!("{sign}{}", change.value().trim_end_matches(['\n', '\r'])))
        });
        Self { file, lines: lines.collect() }
    }

    pub(super) fn text(&self) -> String {
        self.lines.iter().fold(String::new(), |text, line| text + line + "\n")
    }

    /// What became of it, as a sentence.
    pub(super) fn outcome(&self, backup: Option<&PathBuf>, dry_run: bool) -> String {
        match backup {
            Some(backup) => format!("Changed {}; the old one is {}.\n", self.file, backup.display()),
            None if self.lines.is_empty() => format!("{} says so already.\n", self.file),
            None if dry_run => format!("{} would be changed. Nothing was written.\n", self.file),
            None => String::new(),
        }
    }

    pub(super) fn json(&self) -> Value {
        json!({ "file": self.file, "diff": self.lines })
    }
}
