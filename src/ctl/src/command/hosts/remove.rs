use std::{fmt::Write as _, time::Duration};

use clap::Args;
use ringrift_api::{
    Client, CordonRequest, EligibilityChanged, LeaderTransferred, Liveness, Status, TransferRequest, VotersReport,
};
use ringrift_config::{HostsDraft, NodeId};

use super::{
    cluster::{self, Over, Steps, until},
    edit::{self, Change},
};
use crate::{
    cli::seconds,
    command::{
        cluster::{Deed, act_on},
        nodes::operator,
    },
    confirm::confirm,
    context::Context,
    exit::Exit,
    failure::Failure,
    report::Report,
};

/// Why a node that is removed was drained, as the events tell it.
pub(super) const REASON: &str = "removed from the hosts file";

/// With fewer voters the loss of one would end the quorum.
const FEWEST_VOTERS: usize = 3;

/// Which host.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Its name in the file
    #[arg(value_name = "NAME")]
    name: NodeId,

    /// Only change the file; ask no daemon
    #[arg(long)]
    file_only: bool,

    /// Do not ask whether it is meant
    #[arg(long, short)]
    yes: bool,

    /// Only say what would be done
    #[arg(long, short = 'n')]
    dry_run: bool,

    #[command(flatten)]
    over: Over,

    /// Give up waiting for jobs to leave and for the daemon to stop after so many seconds
    #[arg(long, value_name = "SECONDS", default_value = "3600", value_parser = seconds)]
    wait_limit: Duration,
}

pub(super) async fn run(context: &Context, args: Remove) -> Result<Report, Failure> {
    let Remove { name, file_only, yes, dry_run, over, wait_limit } = args;
    let mut draft = edit::open(context)?;
    // What is left of the file must be usable: known before anything is done.
    let mut rest = draft.clone();
    let left = rest.remove(&name).map_err(|error| edit::failure(&error))?;
    let votes_in_file = draft.file().is_ok_and(|file| file.is_voter(&name));
    let client = if file_only { None } else { Some(context.client(None)?) };
    match &client {
        Some(client) => allowed(client, &name).await?,
        None if votes_in_file => {
            let voters = rest.file().ok().and_then(|file| file.voters).unwrap_or_default();
            enough(&name, voters.len(), voters.len())?;
        }
        None => {}
    }
    let change = Change::of(&rest);
    let mut head = if dry_run { change.text() } else { String::new() };
    for key in &left {
        let _ = writeln!(head, "warning: {key} still names {name}: say who comes after it");
    }
    let mut json = change.json();
    json["dry_run"] = dry_run.into();
    json["still_named_by"] = left.into();
    let mut steps = Steps::new(context);
    if dry_run {
        let vote = if votes_in_file { "take its vote away, " } else { "" };
        let plan = if file_only {
            format!("Would delete {name} from the file. Nothing was done.")
        } else {
            format!(
                "Would mark {name} as disabled, drain it, {vote}{}. Nothing was done.",
                if over.is_wanted() {
                    "stop its daemon, delete it, and copy the file to the other nodes"
                } else {
                    "wait for its daemon to stop, and delete it"
                }
            )
        };
        return Ok(steps.report(head, json, Ok(plan)));
    }
    if !yes {
        confirm(&format!("Remove {name} from the cluster?"), "removed")?;
    }
    let ended = match &client {
        Some(client) => leave(context, client, &mut draft, &name, &over, wait_limit, &mut steps).await,
        None => Ok(()),
    };
    let ended = match ended {
        Ok(()) => delete(client.as_ref(), &mut draft, &name, &over, &mut steps).await,
        Err(failure) => Err(failure),
    };
    Ok(steps.report(head, json, ended))
}

/// Whether the cluster can do without this node.
async fn allowed(client: &Client, name: &NodeId) -> Result<(), Failure> {
    let status: Status = client.get_json("/status").await?;
    if status.node_id == *name {
        let message = format!("the daemon at --api is {name} itself, and would have to forget itself");
        return Err(Failure::new(Exit::Failed, message).advise("Ask another node: --api http://NODE:8770."));
    }
    let report: VotersReport = client.get_json("/api/voters").await?;
    if !report.voters.iter().any(|voter| voter.node_id == *name) {
        return Ok(());
    }
    let others = report.voters.iter().filter(|voter| voter.node_id != *name);
    enough(name, others.clone().count(), others.filter(|voter| voter.alive).count())
}

/// Whether so many voters, of whom so many are alive, are enough.
fn enough(name: &NodeId, voters: usize, alive: usize) -> Result<(), Failure> {
    let advice =
        "Name another stable host as a voter first: `ringriftctl hosts set HOST --voter`, then `ringriftctl reload`.";
    if voters < FEWEST_VOTERS {
        let message = format!("without {name} there would be {voters} voters, of whom none could be lost");
        return Err(Failure::new(Exit::Failed, message).advise(advice));
    }
    let quorum = voters / 2 + 1;
    if alive < quorum {
        let message =
            format!("without {name} there would be {voters} voters, {alive} of them alive, and {quorum} are needed");
        return Err(Failure::new(Exit::NoLeader, message).advise("`ringriftctl voters` shows which are missing."));
    }
    Ok(())
}

/// Marks, drains, and lets the node leave. Each step is skipped where it is done already.
async fn leave(
    context: &Context,
    client: &Client,
    draft: &mut HostsDraft,
    name: &NodeId,
    over: &Over,
    limit: Duration,
    steps: &mut Steps<'_>,
) -> Result<(), Failure> {
    draft.set(name, "status", "disabled").map_err(|error| edit::failure(&error))?;
    steps.take_over(client, draft).await?;
    steps.done("marked", format!("{name} is disabled"));

    if cluster::entry(client, name).await?.is_some() {
        let body = CordonRequest { reason: Some(REASON.to_owned()), by: Some(operator()) };
        let drained: EligibilityChanged = client.post_json(&format!("/api/nodes/{name}/drain"), &body).await?;
        until(context, limit, &format!("waiting for the jobs of {name} to leave"), async || {
            let jobs = client.jobs(&format!("?status=open&limit=1&node={name}")).await?;
            Ok(if jobs.total == 0 { Ok(()) } else { Err(format!("jobs left on {name}: {}", jobs.total)) })
        })
        .await?;
        steps.done("drained", drained.message);
    }

    let voters: VotersReport = client.get_json("/api/voters").await?;
    if voters.leader_id.as_ref() == Some(name) {
        let moved: LeaderTransferred = client.post_json("/api/leader/transfer", &TransferRequest::default()).await?;
        steps.done("leader", format!("{} leads now", moved.leader_id));
    }
    draft.set_voter(name, false).map_err(|error| edit::failure(&error))?;
    if draft.is_changed() || voters.voters.iter().any(|voter| voter.node_id == *name) {
        steps.take_over(client, draft).await?;
        until(context, limit, &format!("waiting for {name} to vote no longer"), async || {
            let report: VotersReport = client.get_json("/api/voters").await?;
            let still = report.voters.iter().any(|voter| voter.node_id == *name);
            Ok(if still { Err(format!("{name} still votes")) } else { Ok(()) })
        })
        .await?;
        steps.done("left", format!("{name} votes no longer"));
    }
    let alive = cluster::entry(client, name).await?.is_some_and(|entry| entry.state.is_alive());
    if alive && over.is_wanted() {
        let fleet = over.fleet(context, draft, |host| host.id == *name)?;
        if let Some(host) = fleet.hosts.first() {
            let (_, state) = act_on(&fleet, host, Deed::Stop).await;
            steps.done("daemon", format!("the daemon of {name} is {state}"));
        }
    }
    let state = until(context, limit, &format!("waiting for the daemon of {name} to stop"), async || {
        let found = cluster::entry(client, name).await?;
        let state = found.map_or(Liveness::Unseen, |entry| entry.state);
        let waiting = format!("{name} is {state}: stop its daemon: `systemctl disable --now ringrift-p2p` there");
        Ok(if state.is_alive() { Err(waiting) } else { Ok(state) })
    })
    .await?;
    steps.done("stopped", format!("{name} is {state}"));
    Ok(())
}

async fn delete(
    client: Option<&Client>,
    draft: &mut HostsDraft,
    name: &NodeId,
    over: &Over,
    steps: &mut Steps<'_>,
) -> Result<String, Failure> {
    draft.remove(name).map_err(|error| edit::failure(&error))?;
    let Some(client) = client else {
        steps.backup = edit::save(draft)?;
        return Ok(format!(
            "Deleted {name} from the file. In force after `ringriftctl reload`, on each node with its copy."
        ));
    };
    steps.take_over(client, draft).await?;
    let spread = steps.distribute(over, draft).await?;
    cluster::ended(&format!("Deleted {name}."), &spread)
}
