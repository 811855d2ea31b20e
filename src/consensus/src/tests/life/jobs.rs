//! What happens to the jobs of a life.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::{RngExt, seq::IndexedRandom};
use ringrift_config::NodeId;
use ringrift_job::RunId;
use ringrift_state::{Agreed, Command, Eligibility, JobOutcome, Outcome, Phase};
use tokio::time::{Instant, sleep, timeout_at};

use super::Life;
use crate::{
    Role,
    tests::{
        cluster::id,
        jobs::{Keeper, SLOTS, is_current},
    },
};

/// When the last fault is over every job is over within this. A new leader judges nobody for half a minute, a node that was lost keeps its
/// jobs for as long, one that gave back what it got gets none for so long; then one waits for up to 20 s and runs for up to 45 s, in
/// a queue.
const DONE: Duration = Duration::from_mins(10);

/// A worker that knows that a run is not its own any more has stopped it by then.
const STOPPED: Duration = Duration::from_secs(6);

fn eligibility(node: NodeId, eligibility: Eligibility) -> Command {
    Command::SetEligibility { node, eligibility, by: String::new(), reason: String::new(), at_ms: 1 }
}

impl Life {
    /// Has a worker's machine kept.
    pub(super) fn keep(&mut self, worker: usize) {
        let (Some(plant), worker) = (&self.cluster.jobs, &self.workers[worker]) else { return };
        let running = worker.running.as_ref().expect("it runs");
        let keeper = Keeper::new(
            (self.cluster.net.clone(), plant.clone()),
            id(&worker.name),
            worker.machine.clone(),
            running.follower.clone(),
            self.witness.clone(),
        );
        tokio::spawn(running.process.clone().run(keeper.run()));
    }

    /// A few jobs are asked of whoever leads.
    pub(super) fn submit(&mut self) {
        let (Some(leader), Some(plant)) = (self.leader(), self.cluster.jobs.clone()) else { return };
        let numbers = self.submitted..self.submitted + self.rng.random_range(1..=4);
        self.submitted = numbers.end;
        self.tell(format!("jobs {numbers:?} are asked of {leader}"));
        let (node, witness) = (self.cluster.node(&leader), self.witness.clone());
        let command = plant.submit(numbers);
        self.tasks.spawn(async move {
            let Command::SubmitJobs { jobs, .. } = &command else { return };
            let asked: Vec<_> = jobs.iter().map(|job| job.id.clone()).collect();
            if let Ok(done) = node.propose(command).await {
                witness.asked(asked, done.outcome == Outcome::Done);
            }
        });
    }

    /// A worker gets no work any more, or is to give back what it has; or gets work again.
    pub(super) fn drain(&mut self) {
        let Some(leader) = self.leader() else { return };
        let worker = id(&self.workers.choose(&mut self.rng).expect("there are workers").name);
        let will = *[Eligibility::Cordoned, Eligibility::Draining, Eligibility::Eligible, Eligibility::Eligible]
            .choose(&mut self.rng)
            .unwrap();
        self.tell(format!("{worker} is to be {will:?}"));
        let node = self.cluster.node(&leader);
        self.tasks.spawn(async move { drop(node.propose(eligibility(worker, will)).await) });
    }

    /// What holds of jobs at every step.
    pub(super) fn jobs_hold(&mut self) -> Result<(), String> {
        let mut knows = BTreeMap::new();
        for worker in &self.workers {
            let alive = worker.machine.alive();
            if alive.len() > SLOTS as usize {
                return Err(format!("{} runs {alive:?} in {SLOTS} slots", worker.name));
            }
            let Some(running) = worker.running.as_ref().filter(|running| !running.process.is_frozen()) else {
                continue;
            };
            if !is_current(&running.follower) {
                continue;
            }
            let agreed = running.follower.agreed();
            for run in alive {
                let job = agreed.state.jobs.get(&run.job);
                if !job.is_some_and(|job| job.is_wanted() && job.run().as_ref() == Some(&run)) {
                    let key = (worker.name.clone(), run);
                    let since = self.unwanted.get(&key).copied().unwrap_or_else(Instant::now);
                    knows.insert(key, since);
                }
            }
        }
        self.unwanted = knows;
        let late = self.unwanted.iter().find(|(_, since)| since.elapsed() > STOPPED);
        late.map_or(Ok(()), |((worker, run), since)| {
            Err(format!(
                "{worker} has known for {:?} that {run} is not its own, and it still runs there",
                since.elapsed()
            ))
        })
    }

    /// All that was asked for is done, once, and nothing is left of it.
    pub(super) async fn jobs_end(&mut self) -> Result<(), String> {
        if self.cluster.jobs.is_none() {
            return Ok(());
        }
        let until = Instant::now() + DONE;
        let mut open = Vec::new();
        while Instant::now() < until {
            sleep(Duration::from_secs(1)).await;
            self.holds()?;
            let Some(leader) = self.leader() else { continue };
            let node = self.cluster.node(&leader);
            let agreed = node.agreed();
            let away = |worker: &NodeId| agreed.state.eligibility_of(worker) != Eligibility::Eligible;
            for worker in self.workers.iter().map(|worker| id(&worker.name)).filter(away) {
                let again = node.propose(eligibility(worker, Eligibility::Eligible));
                // It may have lost the lead; then the next one is asked.
                let _ = timeout_at(until, again).await;
            }
            open = agreed.state.jobs.live().map(|job| format!("{}: {:?}", job.id, job.phase)).collect();
            let left: BTreeSet<RunId> =
                self.workers.iter().flat_map(|worker| worker.machine.list()).map(|found| found.run).collect();
            open.extend(left.iter().map(|run| format!("{run} is kept")));
            if open.is_empty() {
                return self.jobs_are_done(&agreed);
            }
        }
        Err(format!("not all jobs are over within {DONE:?}: {}", open.join("; ")))
    }

    fn jobs_are_done(&self, agreed: &Agreed) -> Result<(), String> {
        let asked = self.witness.jobs();
        let known: BTreeSet<_> = agreed.state.jobs.ended().map(|job| job.id.clone()).collect();
        if let Some(lost) = asked.difference(&known).next() {
            return Err(format!("{lost} was asked for, and nothing is known of it"));
        }
        let failed = agreed
            .state
            .jobs
            .ended()
            .find(|job| !matches!(job.phase, Phase::Ended { outcome: JobOutcome::Succeeded, .. }));
        if let Some(job) = failed {
            return Err(format!("{} ended as {:?} after {:?}", job.id, job.phase, job.attempts));
        }
        let leads = self.leader().is_some_and(|leader| self.cluster.status(&leader).role == Role::Leader);
        if leads { Ok(()) } else { Err("nobody leads at the end".to_owned()) }
    }
}
