//! What happens to the workers of a life.

use std::time::Duration;

use rand::{RngExt, seq::IndexedRandom};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Event, Life};
use crate::tests::{cluster::id, worker::CopyOnDisk};

/// When the last fault is over each worker holds what is written then within this: a voter that gave no answer costs it up to 10 s, and
/// between two attempts it waits for up to 5 s.
const CAUGHT_UP: Duration = Duration::from_secs(40);

impl Life {
    pub(super) fn start_worker(&mut self, worker: usize) -> Result<(), String> {
        let starting = &mut self.workers[worker];
        let follower = starting.start(&self.cluster.net, &self.genesis)?.follower.clone();
        self.witness.watch_worker(&starting.name, &follower, self.began);
        let node = id(&starting.name);
        self.watch_member(&node);
        self.keep(worker);
        Ok(())
    }

    pub(super) async fn happens_to_workers(&mut self, event: Event) -> Result<(), String> {
        let one = self.rng.random_range(0..self.workers.len());
        let (name, running) = (self.workers[one].name.clone(), self.workers[one].running.is_some());
        if !running && !matches!(event, Event::WorkersCut) {
            self.tell(format!("{name} starts"));
            return self.start_worker(one);
        }
        match event {
            Event::WorkerPower => {
                let copy = *[CopyOnDisk::Whole, CopyOnDisk::WithARest, CopyOnDisk::Damaged, CopyOnDisk::Lost]
                    .choose(&mut self.rng)
                    .unwrap();
                self.tell(format!("{name} has no power, its copy is {copy:?}"));
                self.witness.worker_ends(&name, false);
                if matches!(copy, CopyOnDisk::Damaged | CopyOnDisk::Lost) {
                    self.witness.worker_forgot(&name);
                }
                self.workers[one].lose_power(&self.cluster.net, copy).await;
            }
            Event::WorkerKilled => {
                self.tell(format!("{name} is killed"));
                self.witness.worker_ends(&name, false);
                self.workers[one].kill(&self.cluster.net).await;
                return self.start_worker(one);
            }
            Event::WorkerRestarted => {
                self.tell(format!("{name} restarts"));
                self.workers[one].stop(&self.cluster.net).await?;
                self.witness.worker_ends(&name, true);
                return self.start_worker(one);
            }
            Event::WorkerFrozen => {
                let time = Duration::from_millis(self.rng.random_range(100..20_000));
                self.tell(format!("{name} stands still for {time:?}"));
                let process = self.workers[one].running.as_ref().expect("it runs").process.clone();
                process.freeze();
                let run = self.witness.worker_stands_still(&name);
                let witness = self.witness.clone();
                tokio::spawn(async move {
                    sleep(time).await;
                    witness.worker_goes_on(&name, run);
                    process.go_on();
                });
            }
            Event::WorkersCut => {
                let count = if self.rng.random() { 1 } else { self.workers.len().div_ceil(3) };
                let some: Vec<_> =
                    self.workers.sample(&mut self.rng, count).map(|worker| worker.name.clone()).collect();
                let (some, voters) = (some.join(" "), self.rng.random_range(1..=self.names.len()));
                let voters = self.some(voters).join(" ");
                let way = self.rng.random_range(0..3);
                self.tell(format!(
                    "{some} and {voters} are cut, {}",
                    ["both ways", "to the voters", "from the voters"][way]
                ));
                match way {
                    0 => self.cluster.net.cut(&some, &voters),
                    1 => self.cluster.net.cut_one_way(&some, &voters),
                    _ => self.cluster.net.cut_one_way(&voters, &some),
                }
            }
            _ => unreachable!("{event:?} happens to voters"),
        }
        Ok(())
    }

    /// Every worker runs.
    pub(super) fn repair_workers(&mut self) -> Result<(), String> {
        for worker in 0..self.workers.len() {
            match &self.workers[worker].running {
                Some(running) => running.process.go_on(),
                None => self.start_worker(worker)?,
            }
        }
        Ok(())
    }

    /// Waits until each worker has applied this entry.
    pub(super) async fn workers_catch_up(&self, index: u64, since: Instant) -> Result<(), String> {
        for worker in &self.workers {
            let follower = &worker.running.as_ref().expect("all were started").follower;
            let mut changes = follower.changes();
            if timeout_at(since + CAUGHT_UP, changes.wait_for(|applied| *applied >= index)).await.is_err() {
                let status = follower.status().borrow().clone();
                return Err(format!("{} did not catch up with {index} within {CAUGHT_UP:?}: {status:?}", worker.name));
            }
        }
        Ok(())
    }
}
