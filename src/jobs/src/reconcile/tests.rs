mod simulation;

use ringrift_job::{Ending, Usage};

use super::*;
use crate::Found;

const SECOND: Duration = Duration::from_secs(1);

fn run(job: &str, attempt: u32) -> RunId {
    RunId { kind: Kind::Selfplay, job: job.parse().unwrap(), attempt }
}

fn wanted(run: &RunId) -> WantedRun {
    WantedRun { run: run.clone(), class: "selfplay".parse().unwrap(), deadline: None, tasks_max: None }
}

fn found(run: &RunId, state: RunState) -> Found {
    Found { run: run.clone(), state }
}

fn running(ran: Duration) -> RunState {
    RunState::Running { since_ms: 7, ran_ms: ran.as_millis() as u64, pid: 1 }
}

fn ended(how: How, ran: Duration) -> RunState {
    RunState::Ended(Ending { how, ran_ms: ran.as_millis() as u64, usage: Usage::default() })
}

/// A reconciler with a clock and what it sees.
struct Node {
    reconciler: Reconciler,
    now: Instant,
    wanted: Vec<WantedRun>,
    current: bool,
    held: usize,
    found: Vec<Found>,
    tasks: BTreeMap<RunId, u64>,
    processes: BTreeMap<RunId, u64>,
    gpu_idle: BTreeSet<RunId>,
    closed: Option<&'static str>,
}

impl Node {
    fn new(settings: ReconcileSettings) -> Self {
        Self {
            reconciler: Reconciler::new(settings),
            now: Instant::now(),
            wanted: Vec::new(),
            current: true,
            held: usize::MAX,
            found: Vec::new(),
            tasks: BTreeMap::new(),
            processes: BTreeMap::new(),
            gpu_idle: BTreeSet::new(),
            closed: None,
        }
    }

    fn wanting(runs: &[RunId]) -> Self {
        Self { wanted: runs.iter().map(wanted).collect(), ..Self::new(ReconcileSettings::default()) }
    }

    fn step(&mut self) -> Outcome {
        let picture = Picture {
            wanted: &self.wanted,
            wanted_is_current: self.current,
            held: self.held,
            found: &self.found,
            tasks: &self.tasks,
            processes: &self.processes,
            gpu_idle: &self.gpu_idle,
            closed: self.closed,
        };
        self.reconciler.step(self.now, &picture)
    }

    fn refusals(&mut self) -> Vec<String> {
        let reasons = self.step().reports.into_iter().filter_map(|report| match report.what {
            Reported::Refused { reason } => Some(reason),
            _ => None,
        });
        reasons.collect()
    }
}

#[test]
fn what_is_wanted_is_started_and_what_is_not_wanted_is_stopped_and_then_forgotten() {
    let (a, b) = (run("a", 1), run("b", 1));
    let mut node = Node::wanting(std::slice::from_ref(&a));
    node.found = vec![found(&b, running(SECOND))];
    let actions = node.step().actions;
    assert_eq!(actions, [Action::Stop(b.clone(), StopReason::Unwanted), Action::Start(a.clone())]);
    node.reconciler.answer(node.now, &a, Ok(()));
    node.found = vec![found(&a, running(SECOND)), found(&b, RunState::Stopping)];
    let outcome = node.step();
    assert_eq!(outcome.actions, []);
    assert_eq!(outcome.reports, [Report { run: a, what: Reported::Started { since_ms: 7 } }]);
    node.found[1].state = ended(How::Stopped, SECOND);
    assert_eq!(node.step().actions, [Action::Forget(b)]);
}

/// Found by lives of whole clusters: a node that came back began with what it was given beside what it still had, three runs in two slots.
#[test]
fn what_has_become_another_node_s_ends_before_others_take_its_place() {
    let runs = ["lost", "a", "b"].map(|job| run(job, 1));
    let mut node = Node::wanting(&runs[1..]);
    node.held = 2;
    node.found = vec![found(&runs[0], running(SECOND))];
    let stop = Action::Stop(runs[0].clone(), StopReason::Unwanted);
    assert_eq!(node.step().actions, [stop, Action::Start(runs[1].clone())]);
    node.reconciler.answer(node.now, &runs[1], Ok(()));
    node.found = vec![found(&runs[0], RunState::Stopping), found(&runs[1], running(SECOND))];
    assert_eq!(node.step().actions, []);
    node.found[0].state = ended(How::Stopped, SECOND);
    assert_eq!(node.step().actions, [Action::Forget(runs[0].clone()), Action::Start(runs[2].clone())]);
}

/// The leader reckons with it until it has ended, and with what it gave the node meanwhile.
#[test]
fn what_is_to_stop_and_still_agreed_to_be_here_keeps_nobody_from_starting() {
    let runs = ["cancelled", "a"].map(|job| run(job, 1));
    let mut node = Node::wanting(&runs[1..]);
    node.held = 2;
    node.found = vec![found(&runs[0], RunState::Stopping)];
    assert_eq!(node.step().actions, [Action::Start(runs[1].clone())]);
}

#[test]
fn a_node_that_has_lost_touch_starts_stops_and_forgets_nothing_but_keeps_deadlines() {
    let runs = ["a", "b", "c", "d"].map(|job| run(job, 1));
    let mut node = Node::wanting(&runs[..2]);
    node.current = false;
    node.wanted[0].deadline = Some(2 * SECOND);
    let states = [running(2 * SECOND), running(SECOND), ended(How::Vanished, SECOND)];
    let there = [&runs[0], &runs[2], &runs[3]];
    node.found = there.into_iter().zip(states).map(|(run, state)| found(run, state)).collect();
    assert_eq!(node.step().actions, [Action::Stop(runs[0].clone(), StopReason::Deadline)]);
}

#[test]
fn an_older_attempt_is_gone_before_the_newer_one_starts() {
    let (old, new) = (run("a", 1), run("a", 2));
    let mut node = Node::wanting(&[old.clone(), new.clone()]);
    for state in [RunState::Starting, running(SECOND)] {
        node.found = vec![found(&old, state)];
        assert_eq!(node.step().actions, [Action::Stop(old.clone(), StopReason::Unwanted)]);
    }
    node.found = vec![found(&old, RunState::Stopping)];
    assert_eq!(node.step().actions, []);
    node.found = vec![found(&old, ended(How::Stopped, SECOND))];
    assert_eq!(node.step().actions, [Action::Forget(old.clone()), Action::Start(new)]);
}

#[test]
fn a_newer_attempt_waits_for_a_start_of_the_older_one_that_is_under_way() {
    let (old, new) = (run("a", 1), run("a", 2));
    let mut node = Node::wanting(std::slice::from_ref(&old));
    assert_eq!(node.step().actions, [Action::Start(old.clone())]);
    node.wanted = vec![wanted(&new)];
    node.now += 300 * SECOND;
    assert_eq!(node.step().actions, []);
    node.reconciler.answer(node.now, &old, Ok(()));
    assert_eq!(node.step().actions, []);
    node.found = vec![found(&old, running(SECOND))];
    assert_eq!(node.step().actions, [Action::Stop(old, StopReason::Unwanted)]);
}

#[test]
fn an_ending_is_told_until_nobody_wants_the_run() {
    let a = run("a", 1);
    let mut node = Node::wanting(std::slice::from_ref(&a));
    node.found = vec![found(&a, ended(How::Exited { code: 0 }, SECOND))];
    for _ in 0..3 {
        let outcome = node.step();
        assert_eq!(outcome.actions, []);
        assert!(matches!(&outcome.reports[..], [Report { what: Reported::Ended { cause: None, .. }, .. }]));
    }
    node.wanted.clear();
    let outcome = node.step();
    assert_eq!((outcome.actions, outcome.reports), (vec![Action::Forget(a)], vec![]));
}

#[test]
fn starts_keep_the_pace_and_the_number_in_flight() {
    let runs: Vec<RunId> = (0..30).map(|n| run(&format!("j{n}"), 1)).collect();
    let mut node = Node::wanting(&runs);
    let mut started: Vec<RunId> = Vec::new();
    let outcome = node.step();
    assert_eq!(outcome.actions.len(), 4, "in the first second");
    assert_eq!(outcome.nets, [Net::SpawnLimited { waiting: 26 }]);
    assert_eq!(node.step(), Outcome::default(), "told once, and no more in the same second");
    node.now += SECOND;
    assert_eq!(node.step().actions.len(), 4);
    node.now += SECOND;
    assert_eq!(node.step().actions.len(), 0, "8 are in flight");
    for run in &runs[..8] {
        started.push(run.clone());
        node.reconciler.answer(node.now, run, Ok(()));
    }
    node.found = started.iter().map(|run| found(run, running(SECOND))).collect();
    assert_eq!(node.step().actions.len(), 4);
}

#[test]
fn a_class_that_crashes_pauses_ever_longer_is_refused_and_comes_back_one_by_one() {
    let mut node = Node::wanting(&[]);
    let mut pauses = Vec::new();
    for attempt in 1..=12 {
        let crashed = run("a", attempt);
        node.wanted = vec![wanted(&crashed)];
        node.found = vec![found(&crashed, ended(How::Exited { code: 1 }, SECOND))];
        let nets = node.step().nets;
        assert_eq!(nets.len(), usize::from(attempt >= 3), "a loop is told with each longer pause: {nets:?}");
        assert_eq!(node.step().nets, [], "and once");
        let [BackingOff { left, failures, .. }] = &node.reconciler.backing_off(node.now)[..] else { panic!() };
        assert_eq!(*failures, attempt);
        pauses.push(left.as_secs());
        node.now += *left;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(node.reconciler.backing_off(node.now), []);

    let (b, c) = (run("b", 1), run("c", 1));
    (node.wanted, node.found) = (vec![wanted(&b), wanted(&c)], Vec::new());
    assert_eq!(node.step().actions, [Action::Start(b.clone())], "one tries whether it is over");
    node.reconciler.answer(node.now, &b, Ok(()));
    node.found = vec![found(&b, running(9 * SECOND))];
    assert_eq!(node.step().actions, []);
    node.found = vec![found(&b, running(10 * SECOND))];
    assert_eq!(node.step().actions, [Action::Start(c.clone())], "it is over");
}

#[test]
fn what_waits_behind_a_crash_loop_is_refused_and_stays_refused() {
    let mut node = Node::wanting(&[]);
    for attempt in 1..=3 {
        let crashed = run("a", attempt);
        node.wanted = vec![wanted(&crashed)];
        node.found = vec![found(&crashed, ended(How::NotStarted { reason: "no such file".to_owned() }, SECOND))];
        node.step();
        node.now += SECOND * if attempt < 3 { 1 << attempt } else { 0 };
    }
    node.wanted.push(wanted(&run("b", 1)));
    let refusals = node.refusals();
    assert!(refusals[0].contains("failed 3 times in a row") && refusals[0].contains("no such file"), "{refusals:?}");
    node.now += 3600 * SECOND;
    assert_eq!(node.refusals(), refusals, "the leader may have moved it already");
    node.wanted = vec![wanted(&run("c", 1))];
    assert_eq!(node.refusals(), [""; 0]);
}

#[test]
fn runs_that_crash_together_count_as_one_and_stopped_runs_not_at_all() {
    let runs: Vec<RunId> = (0..5).map(|n| run(&format!("j{n}"), 1)).collect();
    let mut node = Node::wanting(&runs);
    node.found = runs.iter().map(|run| found(run, ended(How::Stopped, SECOND))).collect();
    node.step();
    assert_eq!(node.reconciler.backing_off(node.now), []);
    node.found = runs.iter().map(|run| found(run, ended(How::Signalled { signal: 11 }, SECOND))).collect();
    node.step();
    assert_eq!(node.reconciler.backing_off(node.now)[0].failures, 1);
}

#[test]
fn a_start_that_fails_is_refused_with_its_reason() {
    let a = run("a", 1);
    let mut node = Node::wanting(std::slice::from_ref(&a));
    assert_eq!(node.step().actions, [Action::Start(a.clone())]);
    node.reconciler.answer(node.now, &a, Err("no unit".to_owned()));
    assert_eq!(node.refusals(), ["no unit"]);
    assert_eq!(node.reconciler.backing_off(node.now)[0].failures, 1);
}

#[test]
fn a_run_with_too_many_tasks_is_stopped_and_tried_elsewhere() {
    let a = run("a", 1);
    let mut node = Node::wanting(std::slice::from_ref(&a));
    node.wanted[0].tasks_max = Some(10);
    node.found = vec![found(&a, running(SECOND))];
    node.tasks.insert(a.clone(), 10);
    assert_eq!(node.step().actions, []);
    node.tasks.insert(a.clone(), 11);
    let outcome = node.step();
    assert_eq!(outcome.actions, [Action::Stop(a.clone(), StopReason::Unwanted)]);
    assert_eq!(outcome.nets, [Net::Runaway { run: a.clone(), tasks: 11, limit: 10 }]);
    node.tasks.clear();
    let outcome = node.step();
    assert_eq!((outcome.actions.len(), outcome.nets.len()), (1, 0), "once condemned, for ever");
    node.found = vec![found(&a, ended(How::Stopped, SECOND))];
    let [Report { what: Reported::Ended { cause: Some(cause), .. }, .. }] = &node.step().reports[..] else { panic!() };
    assert!(cause.contains("11") && cause.contains("10"), "{cause}");
}

#[test]
fn too_much_selfplay_stops_admission_of_selfplay_alone() {
    let (a, b) = (run("a", 1), run("b", 1));
    let training = RunId { kind: Kind::Training, ..run("t", 1) };
    let mut node = Node::wanting(&[a.clone(), b, training.clone()]);
    node.found = vec![found(&a, running(SECOND))];
    // A thread for each processor of a large machine is nothing to worry about.
    node.tasks = BTreeMap::from([(a.clone(), 5000)]);
    node.processes = BTreeMap::from([(a, 129)]);
    let outcome = node.step();
    assert_eq!(outcome.actions, [Action::Start(training)]);
    assert_eq!(outcome.nets, [Net::TooManyProcesses { processes: 129, threshold: 128 }]);
    assert!(outcome.reports.iter().any(|report| matches!(report.what, Reported::Refused { .. })));
}

#[test]
fn an_idle_gpu_and_a_full_disk_have_their_consequences() {
    let (a, b) = (run("a", 1), run("b", 1));
    let mut node = Node::wanting(&[a.clone(), b]);
    node.found = vec![found(&a, running(SECOND))];
    node.gpu_idle.insert(a.clone());
    node.closed = Some("the disk is nearly full");
    let outcome = node.step();
    assert_eq!(outcome.actions, [Action::Stop(a.clone(), StopReason::Unwanted)]);
    assert_eq!(outcome.nets, [Net::GpuIdle { run: a }]);
    assert_eq!(node.refusals(), ["the disk is nearly full"]);
}
