use std::{cell::RefCell, collections::BTreeMap};

use ringrift_config::{Host, NodeId};
use ringrift_fleet::{Line, Ssh};

use super::{
    look::{self, Found, pid},
    record::Record,
    task::Goal,
    version::{Version, Way},
};
use crate::command::cluster::{
    State, over_ssh, script,
    walk::{Acted, Work},
};

/// Brings every node what it is to have.
#[derive(Debug)]
pub(super) struct Updating<'a> {
    pub(super) ssh: &'a Ssh,
    pub(super) goals: BTreeMap<NodeId, Goal>,
    pub(super) record: RefCell<Record>,
    pub(super) back: bool,
    /// What nodes were seen to have after their turn.
    pub(super) after: RefCell<BTreeMap<NodeId, Version>>,
}

impl Work for Updating<'_> {
    fn doing(&self) -> &'static str {
        if self.back { "rolling back" } else { "updating" }
    }

    fn begun(&self) -> &'static str {
        if self.back { "was being rolled back" } else { "was being updated" }
    }

    async fn act(&self, host: &Host, line: &Line<'_>) -> Acted {
        self.one(host, line).await.unwrap_or_else(Acted::Failed)
    }

    fn done(&self, node: &NodeId) -> Result<(), String> {
        let mut record = self.record.borrow_mut();
        if self.back {
            return record.forget(node, self.goals[node].way());
        }
        match self.after.borrow().get(node) {
            Some(after) => record.done(node, after),
            None => Ok(()),
        }
    }
}

impl Updating<'_> {
    /// The error is how the daemon of a node is where it was not done.
    async fn one(&self, host: &Host, line: &Line<'_>) -> Result<Acted, State> {
        let goal = &self.goals[&host.id];
        line.says("looking");
        let found = look::at(self.ssh, host).await.map_err(State::Unreachable)?;
        let here = found.version(goal.way()).cloned();
        let was = (found.pid(), matches!(found.state, State::Running(_) | State::Starting(_) | State::Failed(_)));
        let now = if goal.is_met(&found) == Some(true) {
            self.saw(host, here.clone());
            found
        } else {
            self.bring(host, line, goal, found.state.is_running(), here.as_ref()).await?
        };
        if goal.way() == Way::Git {
            // The daemon is not of the checkout.
            return Ok(Acted::Left(now.state));
        }
        let wanted = was.1 || self.ran(host);
        // A package restarts a daemon that runs under systemd; a switch restarts one whose unit is another now.
        let is_old =
            goal.way() == Way::Debian && now.pid() == was.0 && self.after.borrow().get(&host.id) != here.as_ref();
        let state = if wanted && (is_old || !now.state.is_running()) {
            over_ssh(self.ssh, host, line, &script::start("restart", &host.id)).await
        } else {
            now.state
        };
        if wanted && !state.is_running() {
            return Err(state);
        }
        Ok(if pid(&state) == was.0 { Acted::Left(state) } else { Acted::Anew(state) })
    }

    /// Brings it, and looks again.
    async fn bring(
        &self,
        host: &Host,
        line: &Line<'_>,
        goal: &Goal,
        runs: bool,
        here: Option<&Version>,
    ) -> Result<Found, State> {
        let before = match (goal, here) {
            (Goal::Before(version), _) => version.clone(),
            (_, Some(here)) => {
                let entry = self.record.borrow_mut().begin(&host.id, here, runs).map_err(State::Failed)?;
                entry.before
            }
            (_, None) => return Err(State::Failed(format!("there is no {} any more", goal.way()))),
        };
        line.says(self.doing());
        let brought = goal.bring(self.ssh, host, here, &before).await;
        // Also where it failed: it is told what is there now.
        line.says("looking at it again");
        let now = look::at(self.ssh, host).await;
        self.saw(host, now.as_ref().ok().and_then(|now| now.version(goal.way())).cloned());
        if let Err(why) = brought {
            // Only where nothing is half done.
            if let (Ok(now), Some(here), false) = (&now, here, self.back)
                && now.has(here)
            {
                self.record.borrow_mut().unchanged(&host.id, here).map_err(State::Failed)?;
            }
            return Err(State::Failed(why));
        }
        let now = now.map_err(State::Unreachable)?;
        if goal.is_met(&now) == Some(false) {
            let has = now.version(goal.way()).map_or_else(|| "nothing".to_owned(), ToString::to_string);
            return Err(State::Failed(format!("it has {has} now, and not {goal}")));
        }
        Ok(now)
    }

    fn saw(&self, host: &Host, version: Option<Version>) {
        let mut after = self.after.borrow_mut();
        match version {
            Some(version) => after.insert(host.id.clone(), version),
            None => after.remove(&host.id),
        };
    }

    /// Whether its daemon ran before it was updated, where that is to be undone or did not come to its end.
    fn ran(&self, host: &Host) -> bool {
        let record = self.record.borrow();
        record
            .entry(&host.id, Some(self.goals[&host.id].way()))
            .is_some_and(|entry| entry.ran && (self.back || entry.after.is_none()))
    }
}
