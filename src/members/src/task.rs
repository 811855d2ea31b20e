use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use bytes::Bytes;
use ringrift_config::NodeId;
use tokio::{
    sync::{mpsc, oneshot},
    task::{self, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Facts, Failure, Input, Machine, Output, Transport,
    driver::{Request, Shared},
    publish::Publisher,
    uptime::Uptime,
};

/// Calls under way at the same time. Those beyond it are not made, which proves nothing about anybody.
const MAX_CALLS: usize = 256;

/// A call and what came of it.
pub(crate) type Ended = (u64, Result<Bytes, Failure>);

/// The one task that owns the machine and does what it says.
pub(crate) struct Task<F> {
    pub(crate) machine: Machine<F>,
    pub(crate) publisher: Publisher,
    pub(crate) uptime: Uptime,
    pub(crate) shared: Arc<Shared<F>>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) calls: JoinSet<Ended>,
    /// A call whose task panicked has no result but must come to an end.
    pub(crate) call_ids: HashMap<task::Id, u64>,
    pub(crate) replies: BTreeMap<u64, oneshot::Sender<Result<Bytes, String>>>,
    pub(crate) last_ticket: u64,
    pub(crate) farewells: Vec<oneshot::Sender<()>>,
    pub(crate) not_made: Vec<u64>,
}

impl<F: Facts> Task<F> {
    /// Runs until `shutdown`; calls under way end with it.
    pub(crate) async fn run(
        mut self,
        mut outputs: Vec<Output>,
        mut requests: mpsc::Receiver<Request>,
        mut goodbyes: mpsc::Receiver<oneshot::Sender<()>>,
        shutdown: CancellationToken,
    ) {
        let shared = Arc::clone(&self.shared);
        self.carry_out(&mut outputs);
        loop {
            if shared.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let wake = self.uptime.timer(self.machine.wake_at());
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(done) = self.calls.join_next_with_id() => self.call_ended(done, &mut outputs),
                () = shared.wished.notified() => self.take_wishes(&mut outputs),
                Some(told) = goodbyes.recv() => {
                    self.farewells.push(told);
                    self.step(Input::Leave, &mut outputs);
                }
                Some(request) = requests.recv() => {
                    self.last_ticket += 1;
                    self.replies.insert(self.last_ticket, request.reply);
                    let (ticket, from, payload) = (self.last_ticket, request.from, request.payload);
                    self.step(Input::Request { ticket, from, payload }, &mut outputs);
                }
                () = wait_until(wake) => self.step(Input::Tick, &mut outputs),
            }
            self.carry_out(&mut outputs);
            while let Some(call) = self.not_made.pop() {
                self.step(Input::Answer { call, outcome: Err(Failure::NotMade) }, &mut outputs);
                self.carry_out(&mut outputs);
            }
            self.publish();
            self.shared.progress.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn step(&mut self, input: Input<F>, outputs: &mut Vec<Output>) {
        self.machine.step(self.uptime.now(), input, outputs);
    }

    fn take_wishes(&mut self, outputs: &mut Vec<Output>) {
        let wishes = std::mem::take(&mut *self.shared.wishes.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(known) = wishes.known {
            self.step(Input::Known(known), outputs);
        }
        if let Some(facts) = wishes.local {
            self.step(Input::Local(facts), outputs);
        }
        for node in wishes.meet {
            self.step(Input::Meet(node), outputs);
        }
        for node in wishes.lost {
            self.step(Input::LinkLost(node), outputs);
        }
    }

    fn call_ended(&mut self, done: Result<(task::Id, Ended), JoinError>, outputs: &mut Vec<Output>) {
        let (call, outcome) = match done {
            Ok((id, ended)) => {
                self.call_ids.remove(&id);
                ended
            }
            Err(error) => {
                let Some(call) = self.call_ids.remove(&error.id()) else { return };
                (call, Err(Failure::NotMade))
            }
        };
        self.step(Input::Answer { call, outcome }, outputs);
    }

    fn carry_out(&mut self, outputs: &mut Vec<Output>) {
        for output in outputs.drain(..) {
            match output {
                Output::Send { call, to, payload, deadline } => self.call(call, to, payload, deadline),
                Output::Reply { ticket, answer } => {
                    if let Some(reply) = self.replies.remove(&ticket) {
                        // Whoever asked may have given up; then nobody needs the answer.
                        let _ = reply.send(answer);
                    }
                }
                Output::Event(event) => {
                    let _ = self.shared.events.send(event);
                }
                Output::Left => self.farewells.drain(..).for_each(|told| {
                    let _ = told.send(());
                }),
            }
        }
    }

    fn call(&mut self, call: u64, to: NodeId, payload: Bytes, deadline: Duration) {
        if self.calls.len() >= MAX_CALLS {
            return self.not_made.push(call);
        }
        let transport = Arc::clone(&self.transport);
        let task = self.calls.spawn(async move {
            let answer = timeout(deadline, transport.exchange(&to, payload, deadline)).await;
            match answer {
                Ok(Ok(answer)) => (call, Ok(answer)),
                Ok(Err(reason)) => {
                    tracing::debug!(peer = %to, "{to} cannot be reached: {reason}");
                    (call, Err(Failure::NoAnswer))
                }
                Err(_) => (call, Err(Failure::NoAnswer)),
            }
        });
        self.call_ids.insert(task.id(), call);
    }

    fn publish(&mut self) {
        let last = self.shared.table.load();
        if let Some((table, revision)) =
            self.publisher.next((self.uptime.now().at, Instant::now().into_std()), &self.machine, &last)
        {
            self.shared.table.store(Arc::new(table));
            if let Some(revision) = revision {
                self.shared.changes.send_replace(revision);
            }
        }
    }
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
