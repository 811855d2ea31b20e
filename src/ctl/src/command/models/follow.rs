//! Waiting until every node has what was promoted.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

use clap::Args;
use ringrift_api::{
    Client, ClientError, DistributionPhase, ErrorCode, ManifestState, ModelChanged, ModelList, ModelProgress,
    ModelsProgress, NodeProgress,
};
use ringrift_blob::{Digest, ModelName};
use ringrift_config::NodeId;
use serde_json::{Value, json};

use super::{list::missing, which::short};
use crate::{
    cli::seconds,
    context::{Context, Fetched},
    exit::Exit,
    failure::Failure,
    progress::{Progress, remark},
    report::Report,
};

/// Whether to wait.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Wait until every node has it, and end with 0 only then; the default on a terminal
    #[arg(long, overrides_with = "no_wait")]
    wait: bool,

    /// Do not wait: the cluster goes on by itself
    #[arg(long, overrides_with = "wait")]
    no_wait: bool,

    /// Give up waiting after so many seconds; what was started goes on
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    wait_limit: Duration,
}

/// A distribution to wait for.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: ModelName,
    pub(super) sha256: Digest,
    pub(super) generation: u64,
    /// Only on this node.
    pub(super) host: Option<NodeId>,
}

/// How they ended.
#[derive(Debug, Default)]
pub(super) struct Ended {
    pub(super) text: String,
    pub(super) json: Vec<Value>,
    pub(super) exit: Option<Exit>,
}

/// How one stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Standing {
    Running,
    Complete {
        nodes: u32,
    },
    Failed,
    /// On the one node that was asked for, and why.
    FailedThere(String),
    Superseded(Digest),
    Removed,
}

/// Between two questions.
const POLL: Duration = Duration::from_millis(250);

impl WaitArgs {
    pub(super) fn applies(&self, context: &Context) -> bool {
        self.wait || (!self.no_wait && context.is_interactive())
    }

    /// What is told of a change of what is current: what the daemon said, and how its distribution ended, if that is waited for.
    pub(super) async fn changed(
        &self,
        context: &Context,
        client: &Client,
        changed: Fetched<ModelChanged>,
        mut json: Value,
    ) -> Result<Report, Failure> {
        let ModelChanged { name, sha256, distribution_generation: generation, message, .. } = changed.typed;
        let mut text = format!("{message}\n");
        json["success"] = true.into();
        json["waited"] = false.into();
        if !self.applies(context) {
            return Ok(Report::ok(text, json));
        }
        let ended = self.follow(context, client, &[Wanted { name, sha256, generation, host: None }]).await?;
        text.push_str(&ended.text);
        json["success"] = ended.exit.is_none().into();
        json["waited"] = true.into();
        json["distributions"] = ended.json.into();
        Ok(Report::ok(text, json).exit(ended.exit.unwrap_or(Exit::Ok)))
    }

    /// Follows them to their end. Ctrl-C ends the waiting, not the distribution.
    pub(super) async fn follow(&self, context: &Context, client: &Client, wanted: &[Wanted]) -> Result<Ended, Failure> {
        tokio::select! {
            ended = follow(context, client, wanted) => ended,
            _ = tokio::signal::ctrl_c() => Err(left("not waited for any longer")),
            () = tokio::time::sleep(self.wait_limit) => {
                Err(left(&format!("not done after {} s", self.wait_limit.as_secs())))
            }
        }
    }
}

fn left(why: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{why}: the distribution goes on by itself"))
        .advise("`ringriftctl models list` shows how it stands.")
}

async fn follow(context: &Context, client: &Client, wanted: &[Wanted]) -> Result<Ended, Failure> {
    let one = match wanted {
        [one] => Some(&one.name),
        _ => None,
    };
    let mut bar: Option<Progress> = None;
    let mut said = String::new();
    let mut lost_since: Option<Instant> = None;
    loop {
        match client.models_progress(one).await {
            Ok(progress) => {
                lost_since = None;
                let standings: Vec<Standing> = wanted.iter().map(|wanted| standing(wanted, &progress)).collect();
                // The asked node may not have heard of it yet: what it says then is about the version before.
                let models = current(wanted, &progress);
                if models.len() == wanted.len() {
                    let (have, of) = amounts(wanted, &models);
                    let bar = bar.get_or_insert_with(|| Progress::of_bytes(context, "", of));
                    let says = sentence(wanted, &models);
                    if says != said {
                        bar.says(&says);
                        said = says;
                    }
                    bar.of(of);
                    bar.at(have);
                }
                if !standings.contains(&Standing::Running) {
                    return ended(client, wanted, &standings).await;
                }
            }
            Err(error) if may_pass(&error) => {
                let since = *lost_since.get_or_insert_with(|| {
                    remark(context, bar.as_ref(), &format!("{error}; asking again"));
                    Instant::now()
                });
                // The daemon may be restarting, or an election be going on; a minute by default is enough for both.
                if since.elapsed() > 6 * context.timeout() {
                    return Err(Failure::from(error).advise(
                        "The distribution goes on by itself: `ringriftctl --api NODE models list` asks another node.",
                    ));
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(POLL).await;
    }
}

fn may_pass(error: &ClientError) -> bool {
    error.is_passing() || error.code() == Some(ErrorCode::NoLeader)
}

fn standing(wanted: &Wanted, progress: &ModelsProgress) -> Standing {
    let Some(model) = progress.models.iter().find(|model| model.name == wanted.name) else {
        // A node that is behind may not know it yet.
        return if progress.state_index < wanted.generation { Standing::Running } else { Standing::Removed };
    };
    if model.distribution_generation < wanted.generation {
        return Standing::Running;
    }
    if model.sha256 != wanted.sha256 {
        return Standing::Superseded(model.sha256);
    }
    if let Some(host) = &wanted.host {
        return match model.nodes.iter().find(|node| node.node_id == *host) {
            None => Standing::FailedThere("it is not a node that shall have models".to_owned()),
            Some(node) => match node.state {
                ManifestState::Verified => Standing::Complete { nodes: 1 },
                ManifestState::NoSpace => Standing::FailedThere(node.message.clone()),
                ManifestState::Kept
                | ManifestState::Fetching
                | ManifestState::Missing
                | ManifestState::Outdated
                | ManifestState::Damaged => Standing::Running,
            },
        };
    }
    match model.state {
        DistributionPhase::Running => Standing::Running,
        DistributionPhase::Complete => Standing::Complete { nodes: model.nodes_eligible },
        DistributionPhase::Failed => Standing::Failed,
    }
}

/// The wanted models, as far as the asked node knows of these distributions.
fn current<'a>(wanted: &[Wanted], progress: &'a ModelsProgress) -> Vec<&'a ModelProgress> {
    let of = |wanted: &Wanted, model: &ModelProgress| {
        model.name == wanted.name && model.distribution_generation >= wanted.generation
    };
    wanted.iter().filter_map(|wanted| progress.models.iter().find(|model| of(wanted, model))).collect()
}

/// Bytes that are where they shall be, and bytes that shall.
fn amounts(wanted: &[Wanted], models: &[&ModelProgress]) -> (u64, u64) {
    let counts = |node: &&NodeProgress, wanted: &Wanted| wanted.host.as_ref().is_none_or(|host| *host == node.node_id);
    wanted
        .iter()
        .zip(models)
        .flat_map(|(wanted, model)| model.nodes.iter().filter(move |node| counts(node, wanted)))
        .fold((0, 0), |(have, of), node| (have + node.have_bytes, of + node.of_bytes))
}

fn sentence(wanted: &[Wanted], models: &[&ModelProgress]) -> String {
    if let [Wanted { name, host: Some(host), .. }] = wanted {
        return format!("{name} to {host}");
    }
    let verified: u32 = models.iter().map(|model| model.nodes_verified).sum();
    let eligible: u32 = models.iter().map(|model| model.nodes_eligible).sum();
    let mut text = match wanted {
        [one] => format!("{} is on {verified} of {eligible} nodes", one.name),
        _ => format!("{verified} of {eligible} copies of {} models are there", wanted.len()),
    };
    // Whoever waits wants to know for whom.
    let late = models.iter().flat_map(|model| &model.nodes);
    let late = late.filter(|node| node.state != ManifestState::Verified && !node.message.is_empty());
    let late: BTreeMap<&NodeId, &str> = late.map(|node| (&node.node_id, node.message.as_str())).collect();
    for (node, why) in late.iter().take(NAMED) {
        let why: String = why.chars().take(WHY).collect();
        let _ = write!(text, "; {node}: {why}");
    }
    if late.len() > NAMED {
        let _ = write!(text, "; and {} more", late.len() - NAMED);
    }
    text
}

/// Nodes that something is wrong with, of those that are waited for: as many are named in the line of progress.
const NAMED: usize = 2;
/// And so many characters of what is wrong.
const WHY: usize = 60;

async fn ended(client: &Client, wanted: &[Wanted], standings: &[Standing]) -> Result<Ended, Failure> {
    // It knows why a distribution failed.
    let list: ModelList = client.models().await?;
    let mut ended = Ended::default();
    for (wanted, standing) in wanted.iter().zip(standings) {
        let Wanted { name, sha256, host, .. } = wanted;
        let version = short(sha256);
        let report = list.models.iter().find(|model| model.name == *name && model.sha256 == *sha256);
        let (text, state) = match (standing, host) {
            (Standing::Complete { .. }, Some(host)) => (format!("{name} {version} is on {host}.\n"), "complete"),
            (Standing::Complete { nodes }, None) => {
                let took = report.and_then(|model| model.distribution.duration_seconds);
                let took = took.map(|seconds| format!(", after {seconds:.1} s")).unwrap_or_default();
                (format!("{name} {version} is on all {nodes} nodes{took}.\n"), "complete")
            }
            (Standing::Superseded(by), _) => {
                let by = short(by);
                (format!("{name} {version} is not current any more: {by} was promoted meanwhile.\n"), "superseded")
            }
            (Standing::Removed, _) => {
                (format!("{name} is no model any more: its name was removed meanwhile.\n"), "removed")
            }
            (Standing::FailedThere(reason), host) => {
                let host = host.as_ref().map_or("-", |host| host.as_str());
                (format!("{name} {version} is not on {host}: {reason}.\n"), "failed")
            }
            // Nobody asks for the end of what runs.
            (Standing::Failed | Standing::Running, _) => {
                let text = report.map_or_else(|| format!("{name} {version} is not on every node.\n"), missing);
                (text, "failed")
            }
        };
        if state != "complete" {
            ended.exit = Some(Exit::Failed);
        }
        let _ = write!(ended.text, "{text}");
        ended.json.push(json!({
            "name": name,
            "sha256": sha256,
            "state": state,
            "distribution": report.map(|model| &model.distribution),
        }));
    }
    Ok(ended)
}
