use std::{collections::BTreeMap, fmt::Write as _};

use clap::Args;
use ringrift_api::Status;
use ringrift_config::{Host, NodeId};
use ringrift_fleet::{Line, Outcome};
use serde_json::json;

use super::{
    ask::{Api, over_ssh},
    check, report, script,
    state::State,
};
use crate::{
    confirm::confirm,
    context::Context,
    failure::Failure,
    fleet::{Fleet, FleetArgs},
    report::Report,
};

/// Which nodes, and whether it is meant.
#[derive(Debug, Args)]
pub(crate) struct ActArgs {
    #[command(flatten)]
    pub(super) fleet: FleetArgs,

    /// Only say what would be done
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Do not ask whether it is meant, also where the cluster loses its quorum by it
    #[arg(long)]
    pub(super) yes: bool,
}

pub(super) async fn start(context: &Context, args: &ActArgs) -> Result<Report, Failure> {
    let (fleet, api, states) = looked(context, args).await?;
    let wanted: Vec<&Host> = fleet
        .hosts
        .iter()
        .zip(&states)
        .filter(|(_, state)| matches!(state, State::Stopped | State::Failed(_)))
        .map(|(host, _)| host)
        .collect();
    if args.dry_run {
        return Ok(planned("started", &wanted, &fleet, &states));
    }
    let act =
        async |host: &Host, line: &Line| over_ssh(&fleet.ssh, host, line, &script::start("start", &host.id)).await;
    let outcomes = fleet.each("starting", &wanted, act, ToString::to_string).await;
    let mut started: BTreeMap<&NodeId, State> =
        wanted.iter().map(|host| &host.id).zip(outcomes.into_iter().map(State::from)).collect();
    let results = fleet.hosts.iter().zip(states).map(|(host, before)| {
        if let Some(state) = started.remove(&host.id) {
            let well = state.is_running();
            return report::Result { host, state, done: well.then_some("Started"), well };
        }
        let done = before.is_running().then_some("Already running");
        report::Result { done, ..report::Result::of(host, before) }
    });
    Ok(report::report(context, "starting P2P", api.remark(), &results.collect::<Vec<_>>()))
}

pub(super) async fn stop(context: &Context, args: &ActArgs) -> Result<Report, Failure> {
    let (fleet, api, states) = looked(context, args).await?;
    let wanted: Vec<&Host> = fleet
        .hosts
        .iter()
        .zip(&states)
        .filter(|(_, state)| matches!(state, State::Running(_) | State::Starting(_)))
        .map(|(host, _)| host)
        .collect();
    if args.dry_run {
        return Ok(planned("stopped", &wanted, &fleet, &states));
    }
    mind_the_quorum(api.status.as_ref(), &wanted, args.yes, "stopped")?;
    // The leader last: so long there is one to tell the workers that their jobs go on.
    let votes = |host: &&&Host| fleet.file.is_voter(&host.id);
    let mut stopped: BTreeMap<&NodeId, State> = BTreeMap::new();
    for wave in [
        wanted.iter().filter(|h| !votes(h)).copied().collect::<Vec<_>>(),
        wanted.iter().filter(votes).copied().collect(),
    ] {
        let act = async |host: &Host, line: &Line| over_ssh(&fleet.ssh, host, line, &script::stop()).await;
        let outcomes = fleet.each("stopping", &wave, act, ToString::to_string).await;
        let interrupted = outcomes.iter().any(|o| matches!(o, Outcome::Interrupted | Outcome::NotBegun));
        stopped.extend(wave.iter().map(|host| &host.id).zip(outcomes.into_iter().map(State::from)));
        if interrupted {
            break;
        }
    }
    let wanted: Vec<&NodeId> = wanted.iter().map(|host| &host.id).collect();
    let results = fleet.hosts.iter().zip(states).map(|(host, before)| {
        if let Some(state) = stopped.remove(&host.id) {
            let well = state == State::Stopped;
            return report::Result { host, state, done: well.then_some("Stopped"), well };
        }
        let runs_not = matches!(before, State::Stopped | State::Failed(_) | State::NotInstalled(_) | State::Skipped(_));
        let well = runs_not && !wanted.contains(&&host.id);
        report::Result { host, done: (before == State::Stopped).then_some("Already stopped"), state: before, well }
    });
    Ok(report::report(context, "stopping P2P", api.remark(), &results.collect::<Vec<_>>()))
}

async fn looked(context: &Context, args: &ActArgs) -> Result<(Fleet, Api, Vec<State>), Failure> {
    let fleet = args.fleet.open(context)?;
    let api = Api::open(context).await?;
    let states = check::states(&fleet, &api, "looking").await;
    Ok((fleet, api, states))
}

/// Without these voters, would there be a quorum? If not, somebody must mean it.
pub(super) fn mind_the_quorum(status: Option<&Status>, hosts: &[&Host], yes: bool, done: &str) -> Result<(), Failure> {
    let Some(status) = status.filter(|status| status.voter_quorum_ok) else { return Ok(()) };
    let alive = &status.voter_health.voter_status;
    let lost: Vec<&str> = hosts
        .iter()
        .map(|host| &host.id)
        .filter(|id| alive.get(*id).is_some_and(|voter| voter.alive))
        .map(NodeId::as_str)
        .collect();
    let left = (status.voters_alive as usize).saturating_sub(lost.len());
    if lost.is_empty() || left >= status.voter_quorum_size as usize || yes {
        return Ok(());
    }
    confirm(
        &format!(
            "Without {} only {left} of {} voters are alive and {} are needed: the cluster has no leader then. Go on?",
            lost.join(", "),
            status.voter_health.voters_total,
            status.voter_quorum_size
        ),
        done,
    )
}

/// What would be done.
fn planned(done: &str, wanted: &[&Host], fleet: &Fleet, states: &[State]) -> Report {
    let mut text = String::new();
    for host in wanted {
        let _ = writeln!(text, "{} would be {done}", host.id);
    }
    for (host, state) in fleet.hosts.iter().zip(states).filter(|(host, _)| !wanted.iter().any(|w| w.id == host.id)) {
        let _ = writeln!(text, "{} would be left alone: {state}", host.id);
    }
    let names: Vec<&NodeId> = wanted.iter().map(|host| &host.id).collect();
    Report::ok(text, json!({ "success": true, "dry_run": true, "would_be": done, "nodes": names }))
}
