use proptest::prelude::*;

use super::*;

/// What may happen to a simulated node.
#[derive(Debug, Clone)]
enum Event {
    Want(u8, u32),
    Drop(u8),
    Current(bool),
    Tick(u16),
    End(u8, u8),
    StartFails(bool),
    Idle(u8),
    Tasks(u8, u64),
    Closed(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..6_u8, 1..4_u32).prop_map(|(job, attempt)| Event::Want(job, attempt)),
        2 => (0..6_u8).prop_map(Event::Drop),
        1 => any::<bool>().prop_map(Event::Current),
        4 => (0..20_000_u16).prop_map(Event::Tick),
        3 => (any::<u8>(), 0..5_u8).prop_map(|(which, how)| Event::End(which, how)),
        1 => any::<bool>().prop_map(Event::StartFails),
        1 => any::<u8>().prop_map(Event::Idle),
        1 => (any::<u8>(), 0..300_u64).prop_map(|(which, tasks)| Event::Tasks(which, tasks)),
        1 => any::<bool>().prop_map(Event::Closed),
    ]
}

/// A runner as simple as can be, which notices when it is asked for what must not be.
struct Simulation {
    node: Node,
    start_fails: bool,
}

impl Simulation {
    fn happen(&mut self, event: &Event) {
        let node = &mut self.node;
        let nth = |found: &[Found], which: u8| (!found.is_empty()).then(|| usize::from(which) % found.len());
        match *event {
            Event::Want(job, attempt) => node.wanted.push(wanted(&run(&format!("j{job}"), attempt))),
            Event::Drop(job) => node.wanted.retain(|wanted| wanted.run.job.as_str() != format!("j{job}")),
            Event::Current(current) => node.current = current,
            Event::StartFails(fails) => self.start_fails = fails,
            Event::Closed(closed) => node.closed = closed.then_some("full"),
            Event::Idle(which) => {
                let idle = nth(&node.found, which).map(|nth| node.found[nth].run.clone());
                node.gpu_idle.extend(idle);
            }
            Event::Tasks(which, tasks) => {
                let run = nth(&node.found, which).map(|nth| node.found[nth].run.clone());
                node.tasks = run.map(|run| (run, tasks)).into_iter().collect();
            }
            Event::End(which, how) => {
                let Some(nth) = nth(&node.found, which) else { return };
                let state = &mut node.found[nth].state;
                let ran = if let RunState::Running { ran_ms, .. } = state { *ran_ms } else { 0 };
                let how = match how {
                    0 => How::Exited { code: 0 },
                    1 => How::Exited { code: 1 },
                    2 => How::Vanished,
                    3 => How::OutOfMemory,
                    _ => How::NotStarted { reason: "it would not".to_owned() },
                };
                if !matches!(state, RunState::Ended(_)) {
                    *state = ended(how, Duration::from_millis(ran));
                }
            }
            Event::Tick(ms) => {
                node.now += Duration::from_millis(u64::from(ms));
                for found in &mut node.found {
                    found.state = match &found.state {
                        RunState::Starting => running(Duration::ZERO),
                        RunState::Running { ran_ms, .. } => running(Duration::from_millis(*ran_ms + u64::from(ms))),
                        RunState::Stopping => ended(How::Stopped, SECOND),
                        RunState::Ended(ending) => RunState::Ended(ending.clone()),
                    };
                }
            }
        }
    }

    fn reconcile(&mut self) -> Outcome {
        let outcome = self.node.step();
        let node = &mut self.node;
        for action in &outcome.actions {
            match action {
                Action::Start(run) => {
                    assert!(node.current, "{run} is started by a node that has lost touch");
                    assert!(node.wanted.iter().any(|wanted| wanted.run == *run), "{run} is started and not wanted");
                    let newer =
                        node.wanted.iter().any(|other| other.run.job == run.job && other.run.attempt > run.attempt);
                    assert!(!newer, "{run} is started, and a newer attempt is wanted");
                    let alive = |found: &&Found| !matches!(found.state, RunState::Ended(_));
                    let twice = node.found.iter().filter(alive).any(|found| found.run.job == run.job);
                    assert!(!twice, "{run} is started beside another attempt");
                    assert!(node.found.iter().all(|found| found.run != *run), "{run} is started twice");
                    if self.start_fails {
                        node.reconciler.answer(node.now, run, Err("it would not".to_owned()));
                    } else {
                        node.reconciler.answer(node.now, run, Ok(()));
                        node.found.push(found(run, RunState::Starting));
                    }
                }
                Action::Stop(run, _) => {
                    let found = node.found.iter_mut().find(|found| found.run == *run).unwrap();
                    found.state = RunState::Stopping;
                }
                Action::Forget(run) => {
                    assert!(node.current, "{run} is forgotten by a node that has lost touch");
                    assert!(
                        newest(&node.wanted).iter().all(|wanted| wanted.run != *run),
                        "{run} is wanted and forgotten"
                    );
                    node.found.retain(|found| found.run != *run);
                }
            }
        }
        outcome
    }
}

proptest! {
    #[test]
    fn no_job_runs_twice_and_all_settles(events in proptest::collection::vec(event(), 1..120)) {
        let mut simulation = Simulation { node: Node::new(ReconcileSettings::default()), start_fails: false };
        for event in &events {
            simulation.happen(event);
            let outcome = simulation.reconcile();
            let node = &simulation.node;
            let size = node.wanted.len() + node.found.len() + outcome.actions.len();
            let reconciler = &node.reconciler;
            prop_assert!(outcome.actions.len() <= size && outcome.reports.len() <= size);
            for kept in [
                reconciler.under_way.len(),
                reconciler.refused.len(),
                reconciler.condemned.len(),
                reconciler.judged.len(),
                reconciler.classes.len(),
            ] {
                prop_assert!(kept <= size, "{reconciler:?} keeps more than {size}");
            }
        }

        // Left alone, it settles: each wanted run is there or refused, and nothing else is.
        simulation.node.current = true;
        simulation.start_fails = false;
        simulation.node.tasks.clear();
        simulation.node.gpu_idle.clear();
        for _ in 0..80 {
            simulation.happen(&Event::Tick(11_000));
            simulation.reconcile();
        }
        let outcome = simulation.reconcile();
        prop_assert_eq!(&outcome.actions, &[]);
        let node = &simulation.node;
        let mut settled: Vec<&RunId> = outcome.reports.iter().map(|report| &report.run).collect();
        let newest = newest(&node.wanted);
        let mut all: Vec<&RunId> = newest.iter().map(|wanted| &wanted.run).collect();
        settled.sort();
        all.sort();
        prop_assert_eq!(settled, all);
        prop_assert!(node.found.iter().all(|found| newest.iter().any(|wanted| wanted.run == found.run)));
    }
}
