//! A restart that keeps the quorum: workers in batches, then the voters one by one, the leader last.

mod book;

use std::{cell::RefCell, fmt::Write as _};

use clap::Args;
use ringrift_config::{Host, NodeId};
use ringrift_fleet::Line;
use serde_json::json;

use self::book::Book;
use super::{
    act::{ActArgs, mind_the_quorum},
    ask::{Api, over_ssh},
    check, report, script,
    state::State,
    walk::{Acted, Back, Course, FewVoters, Plan, Turn, Walk, Words, Work},
};
use crate::{context::Context, exit::Exit, failure::Failure, fleet::Fleet, report::Report};

/// Which nodes, and how carefully.
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    act: ActArgs,

    /// All at the same time: faster, and the cluster has no leader meanwhile
    #[arg(long, conflicts_with_all = ["batch", "resume"])]
    all_at_once: bool,

    /// How many workers at the same time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = crate::fleet::at_least_one)]
    batch: usize,

    /// Go on where the last rolling restart stopped, without the nodes that it had restarted
    #[arg(long)]
    resume: bool,
}

pub(super) async fn run(context: &Context, args: &RestartArgs) -> Result<Report, Failure> {
    let fleet = args.act.fleet.open(context)?;
    let api = Api::open(context).await?;
    let states = check::states(&fleet, &api, "looking").await;
    if args.all_at_once {
        return at_once(context, args, &fleet, &api, states).await;
    }
    let Some(seen) = &api.status else {
        return Err(api.unasked.unwrap_or_else(|| Failure::new(Exit::Unreachable, "no daemon was asked")).advise(
            "A rolling restart asks a daemon how far the others are: name one with --api, or restart with --all-at-once.",
        ));
    };
    let book = Book::of(&seen.cluster_id, args.resume)?;
    let meant = fleet.hosts.iter().zip(&states).filter(|(_, state)| is_restarted(state));
    let (done, left): (Vec<_>, Vec<_>) = meant.partition(|(host, state)| book.has(&host.id) && state.is_running());
    let done: Vec<&NodeId> = done.into_iter().map(|(host, _)| &host.id).collect();
    // Those that are agreed, not those of a file: they are the quorum.
    let votes = |id: &NodeId| seen.voter_node_ids.contains(id);
    let plan = Plan::new(&left, votes, seen.leader_id.as_ref(), args.batch);
    if args.act.dry_run {
        return Ok(planned(&plan, &done, &fleet, &states));
    }
    let restart = Restart { fleet: &fleet, book: RefCell::new(book) };
    let few_voters = FewVoters::Stop("so few voters can only be restarted with --all-at-once");
    let back = Some(Back::new(context, seen)?);
    let course = Walk { fleet: &fleet, back, work: &restart, few_voters }.go(&plan).await;
    restart.book.into_inner().close(course.stopped.is_none())?;
    Ok(told(context, &fleet, &plan, course, states))
}

/// What is done to each node.
struct Restart<'a> {
    fleet: &'a Fleet,
    book: RefCell<Book>,
}

impl Work for Restart<'_> {
    fn doing(&self) -> &'static str {
        "restarting"
    }

    fn begun(&self) -> &'static str {
        "was being restarted"
    }

    async fn act(&self, host: &Host, line: &Line<'_>) -> Acted {
        Acted::Anew(over_ssh(&self.fleet.ssh, host, line, &script::start("restart", &host.id)).await)
    }

    fn done(&self, node: &NodeId) -> Result<(), String> {
        self.book.borrow_mut().done(node)
    }
}

/// Whether a restart is for nodes that are so.
fn is_restarted(state: &State) -> bool {
    match state {
        State::Running(_) | State::Starting(_) | State::Stopped | State::Failed(_) => true,
        State::NotInstalled(_) | State::Unreachable(_) | State::Unknown(_) | State::Skipped(_) => false,
    }
}

async fn at_once(
    context: &Context,
    args: &RestartArgs,
    fleet: &Fleet,
    api: &Api,
    states: Vec<State>,
) -> Result<Report, Failure> {
    let wanted: Vec<&Host> =
        fleet.hosts.iter().zip(&states).filter(|(_, state)| is_restarted(state)).map(|(host, _)| host).collect();
    if args.act.dry_run {
        let names: Vec<&NodeId> = wanted.iter().map(|host| &host.id).collect();
        let text = wanted.iter().fold(String::new(), |text, host| text + host.id.as_str() + " would be restarted\n");
        return Ok(Report::ok(
            text,
            json!({ "success": true, "dry_run": true, "would_be": "restarted", "nodes": names }),
        ));
    }
    mind_the_quorum(api.status.as_ref(), &wanted, args.act.yes, "restarted")?;
    let act =
        async |host: &Host, line: &Line| over_ssh(&fleet.ssh, host, line, &script::start("restart", &host.id)).await;
    let outcomes = fleet.each("restarting", &wanted, act, ToString::to_string).await;
    let turns = wanted.iter().zip(outcomes).map(|(host, outcome)| {
        let state = State::from(outcome);
        (host.id.clone(), Turn { done: state.is_running(), state })
    });
    let course = Course { turns: turns.collect(), stopped: None };
    Ok(finished(context, fleet, course, states, api.remark()))
}

fn planned(plan: &Plan, done: &[&NodeId], fleet: &Fleet, states: &[State]) -> Report {
    let mut text = String::new();
    let words = Words { missing: "start the voter", workers: "restart the workers", voter: "restart the voter" };
    let steps = plan.steps(words);
    for (number, (what, nodes)) in steps.iter().enumerate() {
        let names: Vec<&str> = nodes.iter().map(|id| id.as_str()).collect();
        let _ = writeln!(text, "{}. {what}: {}", number + 1, names.join(", "));
    }
    for (host, state) in fleet.hosts.iter().zip(states).filter(|(host, _)| !plan.has(&host.id)) {
        let why = if done.contains(&&host.id) { "restarted before".to_owned() } else { state.to_string() };
        let _ = writeln!(text, "left alone: {}: {why}", host.id);
    }
    let steps: Vec<_> = steps.iter().map(|(what, nodes)| json!({ "step": what, "nodes": nodes })).collect();
    Report::ok(text, json!({ "success": true, "dry_run": true, "would_be": "restarted", "steps": steps }))
}

fn told(context: &Context, fleet: &Fleet, plan: &Plan, mut course: Course, states: Vec<State>) -> Report {
    let stopped = course.stopped.take();
    let mut remark = None;
    if let Some(why) = &stopped {
        let left: Vec<&str> = plan.all().filter(|id| !course.turns.contains_key(*id)).map(NodeId::as_str).collect();
        remark = Some(format!(
            "The rolling restart stopped: {why}\nNot restarted: {}\nOnce that is mended: `ringriftctl cluster restart --resume`\n",
            if left.is_empty() { "none".to_owned() } else { left.join(", ") }
        ));
    }
    let mut report = finished(context, fleet, course, states, remark);
    if let Some(why) = stopped {
        report.json["success"] = json!(false);
        report.json["stopped"] = json!(why);
        report = report.exit(Exit::Failed);
    }
    report
}

fn finished(
    context: &Context,
    fleet: &Fleet,
    mut course: Course,
    states: Vec<State>,
    remark: Option<String>,
) -> Report {
    let results = fleet.hosts.iter().zip(states).map(|(host, before)| match course.turns.remove(&host.id) {
        Some(Turn { state, done }) => report::Result { host, well: done, done: done.then_some("Restarted"), state },
        None => report::Result::of(host, before),
    });
    report::report(context, "restarting P2P", remark, &results.collect::<Vec<_>>())
}
