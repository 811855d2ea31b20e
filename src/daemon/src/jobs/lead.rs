//! What the leader alone does about jobs: it decides what runs where, and has that agreed on.

use std::time::Duration;

use ringrift_state::{Command, NewEvent, kind};
use ringrift_systemd::Hang;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    agreement::Part,
    node::Shared,
    supervised::SCHEDULER,
    view::{self, epoch_ms},
};

/// How often it is decided when nothing happens.
const DECIDE_EVERY: Duration = Duration::from_millis(500);

/// After a change it is decided at once, but not more often than this: many changes come together.
const NOT_BEFORE: Duration = Duration::from_millis(50);

/// Runs on every node and acts on the one that leads.
pub(crate) async fn lead(shared: Shared, hang: Hang, shutdown: CancellationToken) {
    let mut tick = ringrift_tick::every(DECIDE_EVERY);
    let mut changes = shared.changes();
    let mut last = Instant::now();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = changes.changed() => tokio::time::sleep_until(last + NOT_BEFORE).await,
            () = shutdown.cancelled() => return,
        }
        last = Instant::now();
        hang.point(SCHEDULER).await;
        shared.heartbeats.scheduler.beat();
        if shared.agreement.leadership().part == Part::Leader {
            decide(&shared).await;
        }
    }
}

async fn decide(shared: &Shared) {
    let Some((consensus, status)) = shared.agreement.voting() else { return };
    let led_for = status.led_since.map(|at| at.elapsed()).unwrap_or_default();
    let tally = &shared.jobs.tally;
    let decisions = {
        let (picture, agreed) = (shared.picture(), consensus.agreed());
        let queue = view::backpressure(&agreed.state.jobs, &picture.settings);
        let mut desk = shared.desk.open();
        let desk = desk.in_term(status.term);
        let sight = desk.sight(&picture, agreed, led_for);
        let now = desk.now();
        let mut decisions = desk.scheduler().step(now, &sight.view());
        tally
            .dispatch_failed
            .add(decisions.events.iter().filter(|e| e.kind == kind::JOB_DISPATCH_FAILED).count() as u64);
        decisions.events.extend(desk.backlog().step(&queue, tally.queue_refused.get()));
        decisions
    };
    if decisions.is_empty() {
        return;
    }
    debug!(
        new = decisions.submit.len(),
        changes = decisions.changes.len(),
        events = decisions.events.len(),
        "the scheduler has decided"
    );
    let at_ms = epoch_ms();
    let submit = (!decisions.submit.is_empty()).then(|| Command::SubmitJobs {
        jobs: decisions.submit,
        hard_limit: *shared.settings().limits.queue_hard,
        at_ms,
    });
    let change = (!decisions.changes.is_empty()).then_some(Command::ChangeJobs { changes: decisions.changes, at_ms });
    let events = decisions.events.into_iter().map(|event| Command::Record { event: NewEvent { at_ms, ..event } });
    for command in submit.into_iter().chain(change).chain(events) {
        // What does not get through is decided again at the next look, here or on the next leader.
        if let Err(error) = consensus.propose(command).await {
            warn!(%error, "a decision about jobs could not be agreed on");
            return;
        }
        shared.heartbeats.scheduler.beat();
    }
    shared.note_change();
}
