//! What the cluster does when its hosts file has changed, and how that is waited for.

use std::{fmt::Write as _, path::PathBuf, time::Duration};

use clap::Args;
use ringrift_api::{Client, ClientError, NodeEntry, NodeList, Reloaded};
use ringrift_config::{Host, HostsDraft, NodeId};
use serde_json::{Value, json};

use super::distribute::{Edition, counts};
use crate::{context::Context, exit::Exit, failure::Failure, fleet::Fleet, progress::Progress, report::Report};

/// Between two questions.
const POLL: Duration = Duration::from_millis(500);

/// Steps that were done, told as they are done and once more at the end.
pub(super) struct Steps<'a> {
    context: &'a Context,
    done: Vec<(&'static str, String)>,
    pub(super) backup: Option<PathBuf>,
    /// The node whose daemon read the file.
    asked: Option<NodeId>,
}

/// Whether other nodes are gone to.
#[derive(Debug, Args)]
pub(super) struct Over {
    /// Go to no other node over SSH: neither copy the file there, nor start or stop a daemon
    #[arg(long, conflicts_with = "file_only")]
    no_ssh: bool,

    /// The ssh to use
    #[arg(long, value_name = "PROGRAM", env = "RINGRIFT_SSH", default_value = "ssh")]
    ssh: PathBuf,
}

impl Over {
    pub(super) fn is_wanted(&self) -> bool {
        !self.no_ssh
    }

    /// These hosts of the draft.
    pub(super) fn fleet(
        &self,
        context: &Context,
        draft: &HostsDraft,
        wanted: impl Fn(&Host) -> bool,
    ) -> Result<Fleet, Failure> {
        let file = draft.file().map_err(|error| super::unusable(&PathBuf::new(), &error))?;
        let hosts = file.hosts.values().filter(|host| wanted(host)).cloned().collect();
        Ok(Fleet::of(context, &self.ssh, file, hosts))
    }
}

impl<'a> Steps<'a> {
    pub(super) fn new(context: &'a Context) -> Self {
        Self { context, done: Vec::new(), backup: None, asked: None }
    }

    /// One more is done.
    pub(super) fn done(&mut self, step: &'static str, message: impl Into<String>) {
        let message = message.into();
        if !self.context.json {
            eprintln!("{step}: {message}");
        }
        self.done.push((step, message));
    }

    /// All of it, and how it ended: the failure that stopped it is a part of the report, so that what was done is told too.
    pub(super) fn report(self, head: String, mut json: Value, ended: Result<String, Failure>) -> Report {
        let mut text = head;
        for (step, message) in &self.done {
            let _ = writeln!(text, "{step}: {message}");
        }
        if let Some(backup) = &self.backup {
            let _ = writeln!(text, "The file as it was before is {}.", backup.display());
        }
        json["steps"] = self.done.iter().map(|(step, message)| json!({ "step": step, "message": message })).collect();
        json["backup"] = json!(self.backup);
        json["success"] = ended.is_ok().into();
        match ended {
            Ok(last) => {
                let _ = writeln!(text, "{last}");
                json["message"] = last.into();
                Report::ok(text, json)
            }
            Err(failure) => {
                failure.print(self.context.json);
                json["message"] = failure.message.into();
                Report::ok(text, json).exit(failure.exit)
            }
        }
    }

    /// Writes the draft and has the daemon read it. Without a change nothing is done.
    pub(super) async fn take_over(&mut self, client: &Client, draft: &mut HostsDraft) -> Result<(), Failure> {
        if let Some(backup) = super::edit::save(draft)? {
            self.backup.get_or_insert(backup);
        }
        let reloaded: Reloaded = client.post_json("/api/reload", &json!({})).await?;
        let file = draft.file().map_err(|error| super::unusable(&PathBuf::new(), &error))?;
        if reloaded.hosts_revision != file.revision {
            let message = format!("{} reads another hosts file than {}", reloaded.node_id, file.path.display());
            return Err(Failure::new(Exit::Failed, message)
                .advise("Run this on the daemon's machine with --hosts FILE as it has it, or copy the file there."));
        }
        self.done("reload", format!("{}: {}", reloaded.node_id, reloaded.message));
        self.asked = Some(reloaded.node_id);
        Ok(())
    }

    /// Copies the file to the other nodes that run the daemon.
    pub(super) async fn distribute(&mut self, over: &Over, draft: &HostsDraft) -> Result<Spread, Failure> {
        if !over.is_wanted() {
            return Ok(Spread::NotWanted);
        }
        let asked = self.asked.clone();
        let fleet = over.fleet(self.context, draft, |host| host.runs_daemon() && Some(&host.id) != asked.as_ref())?;
        let edition = Edition::of(draft.text().to_owned(), fleet.file.revision.clone(), false);
        let got = edition.send(&fleet, |_| None).await;
        let (there, wrong) = counts(&got);
        let mut message = format!("{there} of {} other nodes have the file", got.len());
        for (node, got) in &wrong {
            let _ = write!(message, "; {node}: {got}");
        }
        self.done("distributed", message);
        let names: Vec<&str> = wrong.iter().map(|(node, _)| node.as_str()).collect();
        Ok(if names.is_empty() { Spread::All } else { Spread::Lacking(names.join(", ")) })
    }
}

/// Which other nodes have the file.
pub(super) enum Spread {
    All,
    /// Somebody else copies it.
    NotWanted,
    /// These do not have it.
    Lacking(String),
}

/// The last sentence: all is done, or what is left to do is a failure.
pub(super) fn ended(last: &str, spread: &Spread) -> Result<String, Failure> {
    match spread {
        Spread::All => Ok(last.to_owned()),
        Spread::NotWanted => {
            Ok(format!("{last} Copy the hosts file to the other nodes: `ringriftctl hosts distribute`."))
        }
        Spread::Lacking(names) => Err(Failure::new(
            Exit::Failed,
            format!("{last} These do not have the file: {names}; `ringriftctl hosts distribute` tries again."),
        )),
    }
}

/// What the cluster believes of a node.
pub(super) async fn entry(client: &Client, node: &NodeId) -> Result<Option<NodeEntry>, ClientError> {
    let list: NodeList = client.get_json("/api/nodes").await?;
    Ok(list.nodes.into_iter().find(|entry| entry.node_id == *node))
}

/// Asks until the answer is there. `look` says what is waited for until then; a daemon that restarts meanwhile is asked again.
pub(super) async fn until<T>(
    context: &Context,
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Result<T, String>, ClientError>,
) -> Result<T, Failure> {
    let mut progress = Progress::of_waiting(context, what);
    let deadline = tokio::time::Instant::now() + limit;
    let mut said = String::new();
    loop {
        let asked = tokio::select! {
            asked = look() => asked,
            _ = tokio::signal::ctrl_c() => return Err(Failure::new(Exit::Failed, format!("stopped while {what}"))),
        };
        let waiting = match asked {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(waiting)) => waiting,
            Err(error) if error.is_passing() => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        if tokio::time::Instant::now() >= deadline {
            return Err(Failure::new(Exit::Failed, format!("gave up {what} after {} s: {waiting}", limit.as_secs())));
        }
        if waiting != said {
            progress.says(&waiting);
            said = waiting;
        }
        tokio::select! {
            () = tokio::time::sleep(POLL) => {}
            _ = tokio::signal::ctrl_c() => return Err(Failure::new(Exit::Failed, format!("stopped while {what}"))),
        }
    }
}
