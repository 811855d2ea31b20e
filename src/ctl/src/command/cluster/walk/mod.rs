//! A walk through the fleet that keeps the quorum: workers in batches, then the voters one by one, the leader last. Each step
//! waits until its nodes are back; the first that is not ends it.

mod back;
mod plan;
mod voters;

use std::{cell::RefCell, collections::BTreeMap};

use ringrift_config::{Host, NodeId};
use ringrift_fleet::{Line, Outcome};

pub(crate) use self::{
    back::Back,
    plan::{Plan, Words},
};
use super::state::State;
use crate::fleet::Fleet;

/// What is done to each node of a walk.
pub(crate) trait Work {
    /// What the lines say, such as `restarting`.
    fn doing(&self) -> &'static str;

    /// What is said of a node that is given up in the middle, such as `was being restarted`.
    fn begun(&self) -> &'static str;

    /// Does it to one node.
    async fn act(&self, host: &Host, line: &Line<'_>) -> Acted;

    /// Notes that it is done to a node, and that the node is back. The sentence is why that could not be noted.
    fn done(&self, node: &NodeId) -> Result<(), String>;
}

/// How the daemon of a node is when something was done to the node.
#[derive(Debug)]
pub(crate) enum Acted {
    /// It was started anew, and has to come back.
    Anew(State),
    /// It was left as it was; if it runs, it has to be well.
    Left(State),
    /// It was not done. This ends the walk.
    Failed(State),
}

/// What became of a node whose turn came.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) state: State,
    /// Done to it, and it is back.
    pub(crate) done: bool,
}

/// What became of nodes whose turn came; the first sentence that ended the walk, if one did.
#[derive(Debug, Default)]
pub(crate) struct Course {
    pub(crate) turns: BTreeMap<NodeId, Turn>,
    pub(crate) stopped: Option<String>,
}

/// What is done where the quorum can spare no voter although all of them are alive: there are only one or two.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FewVoters {
    /// The walk ends there; this says what else can be done.
    Stop(&'static str),
    /// The cluster is without a leader for a moment.
    GoOn,
}

/// Walks a plan.
pub(crate) struct Walk<'a, W> {
    pub(crate) fleet: &'a Fleet,
    /// `None` where no daemon can be asked: then there are no voters in the plan, and nothing is waited for.
    pub(crate) back: Option<Back>,
    pub(crate) work: &'a W,
    pub(crate) few_voters: FewVoters,
}

impl<W: Work> Walk<'_, W> {
    /// Until the end, the first failure, or Ctrl-C.
    pub(crate) async fn go(self, plan: &Plan) -> Course {
        let course = RefCell::new(Course::default());
        let ended = tokio::select! {
            // A step that is under way hears of it too, and knows what of it was done.
            biased;
            ended = self.all(plan, &course) => ended,
            _ = tokio::signal::ctrl_c() => Err("it was interrupted".to_owned()),
        };
        let mut course = course.into_inner();
        course.stopped = ended.err();
        course
    }

    async fn all(&self, plan: &Plan, course: &RefCell<Course>) -> Result<(), String> {
        for batch in plan.missing_voters.iter().map(std::slice::from_ref).chain(plan.workers.iter().map(Vec::as_slice))
        {
            self.step(batch, course).await?;
        }
        self.voters(plan, course).await
    }

    /// Does it to these at the same time, and waits until all of them are back.
    async fn step(&self, nodes: &[NodeId], course: &RefCell<Course>) -> Result<(), String> {
        let hosts: Vec<&Host> = self.fleet.hosts.iter().filter(|host| nodes.contains(&host.id)).collect();
        let turn = |host: &Host, state: State, done: bool| {
            course.borrow_mut().turns.insert(host.id.clone(), Turn { state, done });
        };
        for host in &hosts {
            // What is seen if it is given up in the middle.
            turn(host, State::Unknown(self.work.begun().to_owned()), false);
        }
        let act = async |host: &Host, line: &Line| self.one(host, line).await;
        let told = |ended: &Result<State, State>| match ended {
            Ok(state) | Err(state) => state.to_string(),
        };
        let outcomes = self.fleet.each(self.work.doing(), &hosts, act, told).await;
        let interrupted = outcomes.iter().any(|o| matches!(o, Outcome::Interrupted | Outcome::NotBegun));
        let mut failed = None;
        for (host, outcome) in hosts.iter().zip(outcomes) {
            let (state, done) = match outcome {
                Outcome::Done(Ok(state)) => (state, true),
                Outcome::Done(Err(state)) => (state, false),
                Outcome::Overdue(after) => (State::from(Outcome::Overdue(after)), false),
                Outcome::Interrupted => (State::from(Outcome::Interrupted), false),
                Outcome::NotBegun => (State::from(Outcome::NotBegun), false),
            };
            if done {
                // What was done is shown, whether or not it can be noted.
                if let Err(why) = self.work.done(&host.id) {
                    failed.get_or_insert(why);
                }
            } else {
                failed.get_or_insert_with(|| format!("{}: {state}", host.id));
            }
            turn(host, state, done);
        }
        match failed {
            _ if interrupted => Err("it was interrupted".to_owned()),
            Some(why) => Err(why),
            None => Ok(()),
        }
    }

    /// Does it to one node, and waits until it is back. Otherwise the error is how it is.
    async fn one(&self, host: &Host, line: &Line<'_>) -> Result<State, State> {
        let before = match &self.back {
            Some(back) => Some((back, back.before(&host.id).await)),
            None => None,
        };
        let asked = tokio::time::Instant::now();
        let (state, anew) = match self.work.act(host, line).await {
            Acted::Anew(state) if state.is_running() => (state, Some(asked)),
            Acted::Left(state) => (state, None),
            Acted::Anew(state) | Acted::Failed(state) => return Err(state),
        };
        match before {
            Some((back, before)) if state.is_running() => match back.wait(&host.id, before, anew, line).await {
                Ok(()) => Ok(state),
                Err(why) if anew.is_some() => Err(State::Failed(format!("restarted, and not back: {why}"))),
                Err(why) => Err(State::Failed(format!("not well: {why}"))),
            },
            _ => Ok(state),
        }
    }
}
