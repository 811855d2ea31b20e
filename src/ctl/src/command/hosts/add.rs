use std::{fmt::Write as _, time::Duration};

use clap::Args;
use ringrift_api::{
    Client, CordonRequest, EligibilityChanged, EligibilityState, ManifestState, ModelsProgress, VerifyReport,
    VerifyRequest,
};
use ringrift_config::{Host, HostsDraft, NodeId};

use super::{
    cluster::{self, Over, Steps, until},
    edit::{self, Change},
    remove::REASON,
};
use crate::{
    cli::seconds,
    command::{
        cluster::{Deed, act_on},
        nodes::operator,
    },
    context::Context,
    failure::Failure,
    report::Report,
};

/// Which host, and what it is.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// Its name
    #[arg(value_name = "NAME")]
    name: NodeId,

    /// What the file shall say of it; status is ready unless you say otherwise
    #[arg(value_name = "KEY=VALUE", value_parser = edit::setting)]
    settings: Vec<(String, String)>,

    /// Name it as a voter
    #[arg(long)]
    voter: bool,

    /// Only change the file; ask no daemon
    #[arg(long)]
    file_only: bool,

    /// Only show what would be written
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// Do not wait until it has joined and has every model
    #[arg(long)]
    no_wait: bool,

    #[command(flatten)]
    over: Over,

    /// Give up waiting after so many seconds; the host stays in the file
    #[arg(long, value_name = "SECONDS", default_value = "1800", value_parser = seconds)]
    wait_limit: Duration,
}

pub(super) async fn run(context: &Context, args: Add) -> Result<Report, Failure> {
    let Add { name, mut settings, voter, file_only, dry_run, no_wait, over, wait_limit } = args;
    let mut draft = edit::open(context)?;
    let known = edit::warnings(&draft);
    if !settings.iter().any(|(key, _)| key == "status") {
        settings.push(("status".to_owned(), "ready".to_owned()));
    }
    let added = draft.add(&name, &settings).and_then(|()| if voter { draft.set_voter(&name, true) } else { Ok(()) });
    added.map_err(|error| edit::failure(&error))?;

    let change = Change::of(&draft);
    let mut head = change.text();
    for warning in edit::news(&draft, &known) {
        let _ = writeln!(head, "warning: {warning}");
    }
    let mut json = change.json();
    json["dry_run"] = dry_run.into();
    let mut steps = Steps::new(context);
    if dry_run {
        return Ok(steps.report(head, json, Ok(change.outcome(None, true).trim_end().to_owned())));
    }
    if file_only {
        steps.backup = edit::save(&mut draft)?;
        let last =
            format!("Added {name} to the file. In force after `ringriftctl reload`, on each node with its copy.");
        return Ok(steps.report(head, json, Ok(last)));
    }
    let client = context.client(None)?;
    let limit = (!no_wait).then_some(wait_limit);
    let ended = join(context, &client, &mut draft, &name, &over, limit, &mut steps).await;
    Ok(steps.report(head, json, ended))
}

/// Gives the file to all, starts the host's daemon, and sees it alive, with every model, each of them right.
async fn join(
    context: &Context,
    client: &Client,
    draft: &mut HostsDraft,
    name: &NodeId,
    over: &Over,
    limit: Option<Duration>,
    steps: &mut Steps<'_>,
) -> Result<String, Failure> {
    steps.take_over(client, draft).await?;
    let spread = steps.distribute(over, draft).await?;
    let file = draft.file().ok();
    let runs = file.as_ref().and_then(|file| file.hosts.get(name)).is_some_and(Host::runs_daemon);
    if !runs {
        let last = format!("Added {name}. No daemon is expected to run there, so there is nothing to wait for.");
        return cluster::ended(&last, &spread);
    }
    if over.is_wanted() {
        let fleet = over.fleet(context, draft, |host| host.id == *name)?;
        if let Some(host) = fleet.hosts.first() {
            // Where this fails somebody may still start it by hand: it is waited for in any case.
            let (_, state) = act_on(&fleet, host, Deed::Start).await;
            steps.done("started", format!("the daemon of {name} is {state}"));
        }
    }
    let Some(limit) = limit else {
        return cluster::ended(&format!("Added {name}. Nothing was waited for."), &spread);
    };
    let entry = until(context, limit, &format!("waiting for {name} to join"), async || {
        let found = cluster::entry(client, name).await?;
        let state = found.as_ref().map_or("unseen", |entry| entry.state.as_str());
        let waiting = format!(
            "{name} is {state}: start its daemon, with this hosts file and the token: `ringriftctl cluster start --node {name}`"
        );
        Ok(found.filter(|entry| entry.state.is_alive()).ok_or(waiting))
    })
    .await?;
    steps.done("joined", format!("{name} is {}", entry.state));
    let by_us = entry.eligibility.reason.as_deref() == Some(REASON);
    if by_us && entry.eligibility.state != EligibilityState::Eligible {
        let body = CordonRequest { reason: Some("added again".to_owned()), by: Some(operator()) };
        let changed: EligibilityChanged = client.post_json(&format!("/api/nodes/{name}/uncordon"), &body).await?;
        steps.done("uncordon", changed.message);
    }
    let count = until(context, limit, &format!("waiting for {name} to get the models"), async || {
        Ok(models(&client.models_progress(None).await?, name))
    })
    .await?;
    steps.done("models", format!("{name} has {count} of {count}"));
    if count > 0 {
        let verified = client.through(name).with_timeout(limit).verify_models(&VerifyRequest::default()).await?;
        check(&verified)?;
        steps.done("verified", format!("{} files of {name} are right", verified.files.len()));
    }
    cluster::ended(&format!("{name} is a part of the cluster."), &spread)
}

/// How many promoted models the node has, if it has all; else what it lacks.
fn models(progress: &ModelsProgress, name: &NodeId) -> Result<usize, String> {
    let mut lacking = Vec::new();
    for model in &progress.models {
        let there = model.nodes.iter().find(|node| node.node_id == *name);
        match there {
            Some(node) if node.state == ManifestState::Verified => {}
            Some(node) if !node.message.is_empty() => lacking.push(format!("{} ({})", model.name, node.message)),
            Some(node) => lacking.push(format!("{} ({})", model.name, node.state.as_str())),
            None => lacking.push(format!("{} (not there)", model.name)),
        }
    }
    if lacking.is_empty() { Ok(progress.models.len()) } else { Err(format!("{name} lacks {}", lacking.join(", "))) }
}

fn check(verified: &VerifyReport) -> Result<(), Failure> {
    if verified.success {
        return Ok(());
    }
    let message = format!("not every model of {} is right", verified.node_id);
    Err(Failure::new(crate::exit::Exit::Failed, message)
        .advise(format!("`ringriftctl models verify --host {}` shows which.", verified.node_id)))
}
