//! A restart that keeps the quorum: workers in batches, then the voters one by one, the leader last.

mod back;
mod book;
mod plan;
mod voters;

use std::{cell::RefCell, collections::BTreeMap, fmt::Write as _};

use clap::Args;
use ringrift_api::Status;
use ringrift_config::{Host, NodeId};
use ringrift_fleet::{Line, Outcome};
use serde_json::json;

use self::{back::Back, book::Book, plan::Plan};
use super::{
    act::{ActArgs, mind_the_quorum},
    ask::{Api, over_ssh},
    check, report, script,
    state::State,
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

/// What became of nodes whose turn came; the first sentence that ended it, if one did.
#[derive(Debug, Default)]
struct Course {
    states: BTreeMap<NodeId, State>,
    stopped: Option<String>,
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
    let plan = Plan::new(&fleet.hosts, &states, seen, args.batch, &book);
    if args.act.dry_run {
        return Ok(planned(&plan, &fleet, &states));
    }
    let course = RefCell::new(Course::default());
    let book = RefCell::new(book);
    let walk = Walk { fleet: &fleet, back: Back::new(context, seen)?, course: &course, book: &book };
    let interrupted = tokio::select! {
        () = walk.all(&plan) => false,
        _ = tokio::signal::ctrl_c() => true,
    };
    drop(walk);
    let mut course = course.into_inner();
    if interrupted {
        course.stopped.get_or_insert_with(|| "it was interrupted".to_owned());
    }
    book.into_inner().close(course.stopped.is_none())?;
    Ok(told(context, &fleet, &plan, course, states))
}

/// Walks the plan.
struct Walk<'a> {
    fleet: &'a Fleet,
    back: Back,
    course: &'a RefCell<Course>,
    book: &'a RefCell<Book>,
}

impl Walk<'_> {
    async fn all(&self, plan: &Plan) {
        for batch in plan.missing_voters.iter().map(std::slice::from_ref).chain(plan.workers.iter().map(Vec::as_slice))
        {
            if let Err(why) = self.step(batch).await {
                self.stop(why);
                return;
            }
        }
        if let Err(why) = self.voters(plan).await {
            self.stop(why);
        }
    }

    fn stop(&self, why: String) {
        self.course.borrow_mut().stopped = Some(why);
    }

    /// Restarts these at the same time, and waits until all of them are back.
    async fn step(&self, nodes: &[NodeId]) -> Result<(), String> {
        let hosts: Vec<&Host> = self.fleet.hosts.iter().filter(|host| nodes.contains(&host.id)).collect();
        for host in &hosts {
            // What is seen if it is given up in the middle.
            let begun = State::Unknown("was being restarted".to_owned());
            self.course.borrow_mut().states.insert(host.id.clone(), begun);
        }
        let act = async |host: &Host, line: &Line| {
            let before = self.back.before(&host.id).await;
            let asked = tokio::time::Instant::now();
            let state = over_ssh(&self.fleet.ssh, host, line, &script::start("restart", &host.id)).await;
            if !state.is_running() {
                return state;
            }
            match self.back.wait(&host.id, before, asked, line).await {
                Ok(()) => state,
                Err(why) => State::Failed(format!("restarted, and not back: {why}")),
            }
        };
        let outcomes = self.fleet.each("restarting", &hosts, act, ToString::to_string).await;
        let interrupted = outcomes.iter().any(|o| matches!(o, Outcome::Interrupted | Outcome::NotBegun));
        let mut failed = None;
        for (host, outcome) in hosts.iter().zip(outcomes) {
            let state = State::from(outcome);
            if state.is_running() {
                self.book.borrow_mut().done(&host.id)?;
            } else {
                failed.get_or_insert_with(|| format!("{}: {state}", host.id));
            }
            self.course.borrow_mut().states.insert(host.id.clone(), state);
        }
        match failed {
            _ if interrupted => Err("it was interrupted".to_owned()),
            Some(why) => Err(why),
            None => Ok(()),
        }
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
        fleet.hosts.iter().zip(&states).filter(|(_, state)| plan::is_restarted(state)).map(|(host, _)| host).collect();
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
    let course = Course {
        states: wanted.iter().map(|host| host.id.clone()).zip(outcomes.into_iter().map(State::from)).collect(),
        stopped: None,
    };
    Ok(finished(context, fleet, course, states, api.remark()))
}

fn planned(plan: &Plan, fleet: &Fleet, states: &[State]) -> Report {
    let mut text = String::new();
    let steps = plan.steps();
    for (number, (what, nodes)) in steps.iter().enumerate() {
        let names: Vec<&str> = nodes.iter().map(|id| id.as_str()).collect();
        let _ = writeln!(text, "{}. {what}: {}", number + 1, names.join(", "));
    }
    for (host, state) in fleet.hosts.iter().zip(states).filter(|(host, _)| !plan.has(&host.id)) {
        let done = if plan.done.contains(&host.id) { "restarted before".to_owned() } else { state.to_string() };
        let _ = writeln!(text, "left alone: {}: {done}", host.id);
    }
    let steps: Vec<_> = steps.iter().map(|(what, nodes)| json!({ "step": what, "nodes": nodes })).collect();
    Report::ok(text, json!({ "success": true, "dry_run": true, "would_be": "restarted", "steps": steps }))
}

fn told(context: &Context, fleet: &Fleet, plan: &Plan, mut course: Course, states: Vec<State>) -> Report {
    let stopped = course.stopped.take();
    let mut remark = None;
    if let Some(why) = &stopped {
        let left: Vec<&str> = plan.all().filter(|id| !course.states.contains_key(*id)).map(NodeId::as_str).collect();
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
    let results = fleet.hosts.iter().zip(states).map(|(host, before)| match course.states.remove(&host.id) {
        Some(state) => {
            report::Result { host, well: state.is_running(), done: state.is_running().then_some("Restarted"), state }
        }
        None => report::Result::of(host, before),
    });
    report::report(context, "restarting P2P", remark, &results.collect::<Vec<_>>())
}

/// Names the leader as this node knows it.
fn leads(status: &Status, node: &NodeId) -> bool {
    status.leader_id.as_ref() == Some(node)
}
