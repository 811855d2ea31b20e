//! How a life ends, when the last fault is over.

use std::time::Duration;

use ringrift_config::NodeId;
use tokio::time::{Instant, sleep, timeout};

use super::{Life, Recovered};
use crate::tests::cluster::until;

/// When the last fault is over somebody leads and writes within this, in simulated time: see [`super::faults`].
const RECOVERED: Duration = Duration::from_secs(30);

/// Whatever a fault left behind has ended by then: streams to a machine without power are the last.
const PAST: Duration = Duration::from_secs(20);

/// Tasks of a voter and of a worker and those that look at them, at most: twice what is seen.
const VOTER_TASKS: usize = 25;
const WORKER_TASKS: usize = 16;

impl Life {
    /// Everything works again; whatever was confirmed is there, and all have the same.
    pub(super) async fn ends_well(&mut self) -> Result<Recovered, String> {
        self.tell("everything works again");
        self.cluster.net.heal();
        self.cluster.net.faults(|faults| (faults.lost, faults.doubled, faults.delay) = (0, 0, Duration::ZERO));
        for name in self.names.clone() {
            self.cluster.platter(name).set_full(false);
            self.full.remove(name);
            if self.down.contains(name) {
                self.start(name).await?;
            } else {
                self.cluster.process(name).go_on();
                // Its disk may be about to die, which is a fault.
                let stopped = self.cluster.status(name).stopped.is_some();
                self.tell(format!("{name} is up, stopped: {stopped}"));
                self.end(name, true).await;
                self.start(name).await?;
            }
        }
        self.repair_workers()?;
        let last_fault = Instant::now();
        let Ok(last) = timeout(RECOVERED, self.cluster.write(u64::MAX)).await else {
            return Err(format!("nobody led and wrote within {RECOVERED:?}: {}", self.all_status()));
        };
        let recovered = last_fault.elapsed();
        self.workers_catch_up(last.index, last_fault).await?;
        let caught_up = last_fault.elapsed();
        self.all_see_all(last_fault).await?;
        let alive = last_fault.elapsed();
        while self.tasks.join_next().await.is_some() {}
        let last = if self.also.jobs {
            self.jobs_end().await?;
            self.cluster.write(u64::MAX - 1).await
        } else {
            last
        };
        let voters = until("the voters stay as they are", || {
            let status = self.cluster.status(&self.leader()?);
            (!status.changing).then_some(status.voters)
        })
        .await;
        let state = |name: &NodeId| self.cluster.node(name.as_str()).agreed().state.clone();
        for voter in &voters {
            if timeout(RECOVERED, self.cluster.applied(voter.as_str(), last.index)).await.is_err() {
                return Err(format!(
                    "{voter} has not applied {} within {RECOVERED:?}: {}",
                    last.index,
                    self.all_status()
                ));
            }
        }
        // The states go on; what they hold of this test's commands no longer changes.
        for voter in &voters {
            if state(voter).eligibility != state(voters.first().unwrap()).eligibility {
                return Err(format!("{voter} has another state than the others"));
            }
        }
        self.witness.nothing_confirmed_is_lost();
        self.nothing_is_left_behind().await?;
        self.holds().map(|()| Recovered { written: recovered, caught_up, alive })
    }

    fn all_status(&self) -> String {
        let status: Vec<_> = self.names.iter().map(|name| format!("{name}: {:?}", self.cluster.status(name))).collect();
        status.join("\n")
    }

    /// What streams, calls and runs of the past needed has ended.
    async fn nothing_is_left_behind(&mut self) -> Result<(), String> {
        sleep(PAST).await;
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let most = VOTER_TASKS * self.names.len() + WORKER_TASKS * self.workers.len();
        if tasks > most { Err(format!("{tasks} tasks are left, more than {most}")) } else { Ok(()) }
    }
}
