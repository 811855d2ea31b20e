//! Self-play for slots that nothing else wants.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use ringrift_job::{Class, GameConfig, JobId, Kind, Limits, ParamValue, Params};
use ringrift_state::{Assignment, Job, JobChange, JobOutcome, NewJob, Origin, Phase};

use crate::fit::Shape;
use crate::ledger::{Ledger, fills};
use crate::queue::slots;
use crate::scheduler::Decisions;
use crate::{NodeView, Scheduler, Settings, View};

/// How much of the filling each configuration has had.
struct Served(HashMap<GameConfig, u32>);

impl Served {
    /// Self-play that runs, or was done lately.
    fn of(view: &View<'_>) -> Self {
        let mut served = HashMap::new();
        let done =
            view.jobs.ended().filter(|job| matches!(job.phase, Phase::Ended { outcome: JobOutcome::Succeeded, .. }));
        for job in view.jobs.live().chain(done).filter(|job| job.kind == Kind::Selfplay) {
            if let Some(game) = job.game {
                *served.entry(game).or_default() += 1;
            }
        }
        Self(served)
    }

    /// The one that has had the least for its weight.
    fn neediest(&self, games: impl Iterator<Item = GameConfig>, view: &View<'_>) -> Option<GameConfig> {
        let weight = |game: GameConfig| {
            let weight = u64::from(view.settings.fill.weight(game));
            if view.underserved.contains(&game) { weight * u64::from(Settings::UNDERSERVED) } else { weight }
        };
        // a/x < b/y is a·y < b·x; one more job is what it would then have.
        let had = |game: GameConfig| u64::from(self.0.get(&game).copied().unwrap_or(0)) + 1;
        games.filter(|game| weight(*game) > 0).min_by(|a, b| (had(*a) * weight(*b)).cmp(&(had(*b) * weight(*a))))
    }
}

impl Scheduler {
    /// Fills the idle slots of all nodes but those that are kept back.
    pub(crate) fn fill<'v>(
        &mut self,
        now: Duration,
        view: &View<'v>,
        ledger: &mut Ledger<'v>,
        kept: &HashSet<usize>,
        out: &mut Decisions,
    ) {
        self.settle_pending(now, view, ledger, kept, out);
        let policy = &view.settings.fill;
        let idle = |at: usize, node: &NodeView| node.fill && ledger.used(at).slots < node.slots && !kept.contains(&at);
        let idle: Vec<usize> =
            view.nodes.iter().enumerate().filter(|(at, node)| idle(*at, node)).map(|(at, _)| at).collect();
        if !policy.enabled || policy.classes.is_empty() || idle.is_empty() {
            return;
        }
        let mut served = Served::of(view);
        for at in idle {
            let node = &view.nodes[at];
            while out.submit.len() < NewJob::MAX_BATCH.min(view.settings.max_placements) {
                let Some((job, assignment)) = self.filling(now, node, at, view, ledger, &served) else { break };
                if let Some(game) = job.game {
                    *served.0.entry(game).or_default() += 1;
                }
                ledger.add(&assignment);
                self.place(now, (&job.id, 1), assignment, node.slots, Arc::default(), out);
                out.submit.push(job);
            }
        }
    }

    /// A job for one more slot of the node.
    fn filling(
        &mut self,
        now: Duration,
        node: &NodeView,
        at: usize,
        view: &View<'_>,
        ledger: &Ledger<'_>,
        served: &Served,
    ) -> Option<(NewJob, Assignment)> {
        for class in &view.settings.fill.classes {
            let shape = Shape { class: class.name.clone(), kind: class.kind, game: None };
            let Ok((needs, assignment)) = shape.fits(node, ledger.used(at), &self.strikes, now) else { continue };
            let game = if has_game(class) {
                let there = |game: &GameConfig| !needs.model || node.models.contains(game);
                let Some(game) = served.neediest(GameConfig::all().filter(there), view) else { continue };
                Some(game)
            } else {
                None
            };
            // A class that wants more than a game says so in its settings' check; it fills nothing.
            let Ok(params) = class.params(&game.map(params_of).unwrap_or_default()) else { continue };
            let job = NewJob {
                id: JobId::new(&class.name, self.chance()),
                class: class.name.clone(),
                kind: class.kind,
                params,
                game,
                priority: 0,
                depends_on: Vec::new(),
                timeout_s: 0,
                max_attempts: 1,
                pinned: Some(node.id.clone()),
                origin: Origin::Fill,
                by: "the scheduler".to_owned(),
                limits: Limits::default(),
            };
            return Some((job, assignment));
        }
        None
    }

    /// Filled jobs whose placement was lost: they get their slot if it is still idle, and are dropped if not.
    fn settle_pending(
        &mut self,
        now: Duration,
        view: &View<'_>,
        ledger: &mut Ledger<'_>,
        kept: &HashSet<usize>,
        out: &mut Decisions,
    ) {
        let pending: Vec<&Arc<Job>> =
            view.jobs.live().filter(|job| fills(job) && job.is_pending() && !self.in_flight.has(&job.id)).collect();
        for job in pending {
            let at = job.pinned.as_ref().and_then(|id| ledger.at(id)).filter(|at| !kept.contains(at));
            let found = at.filter(|_| view.settings.fill.enabled).and_then(|at| {
                let fit = Shape::of(job).fits(&view.nodes[at], ledger.used(at), &self.strikes, now);
                fit.ok().map(|(_, assignment)| assignment)
            });
            let attempt = job.attempt;
            if let Some(assignment) = found {
                let slots = slots(view, ledger, &assignment);
                ledger.add(&assignment);
                self.place(now, (&job.id, attempt.saturating_add(1)), assignment, slots, Arc::default(), out);
            } else {
                let (outcome, reason) = (JobOutcome::Cancelled, "its slot is not idle any more".to_owned());
                self.in_flight.changed(job, now);
                out.changes.push(JobChange::GiveUp { job: job.id.clone(), attempt, outcome, reason });
            }
        }
    }
}

fn has_game(class: &Class) -> bool {
    ["board_type", "num_players"].iter().all(|name| class.params.contains_key(*name))
}

fn params_of(game: GameConfig) -> Params {
    let board = ParamValue::Text(game.board.as_str().to_owned());
    let players = ParamValue::Integer(i64::from(game.players()));
    [("board_type".to_owned(), board), ("num_players".to_owned(), players)].into_iter().collect()
}
