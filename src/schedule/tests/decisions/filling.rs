//! How idle slots are filled without standing in the way.

use super::*;

#[test]
fn idle_slots_are_filled_evenly_and_never_instead_of_what_was_asked_for() {
    let mut bench = Bench::new(vec![NodeView { slots: 26, memory_bytes: 0, ..node("a") }]);
    bench.fill_with(&["gpu_selfplay", "selfplay"]);
    bench.settings.fill.weights = [(game("hex8_2p"), 2), (game("hex8_3p"), 0)].into();
    bench.underserved = vec![game("square8_2p")];
    bench.submit(vec![job("s", "selfplay")]);
    bench.step();
    let count = |bench: &Bench, config: &str| {
        bench
            .agreed
            .state
            .jobs
            .live()
            .filter(|job| job.game == Some(game(config)) && job.assignment().is_some())
            .count()
    };
    let counts = ["hex8_2p", "hex8_3p", "square8_2p", "square8_3p", "square19_4p"].map(|config| count(&bench, config));
    // 25 slots for weights 2, 0, 4 and nine times 1; what was asked for counts as service.
    assert_eq!(counts[1], 0);
    assert!((3..=5).contains(&counts[0]) && (6..=8).contains(&counts[2]), "{counts:?}");
    assert!((1..=2).contains(&counts[3]) && (1..=2).contains(&counts[4]), "{counts:?}");
    assert_eq!(bench.agreed.state.jobs.live().len(), 26);
    let filled = bench.agreed.state.jobs.live().find(|job| job.origin == Origin::Fill).unwrap();
    assert_eq!(filled.params["num_games"].to_string(), "100", "with the class's defaults");
    assert!(bench.step().is_empty());
    bench.settings.fill.enabled = false;
    bench.ended("s", How::Exited { code: 0 });
    assert!(bench.step().is_empty());
}

#[test]
fn filled_jobs_that_fail_at_once_do_not_go_round_and_round() {
    let mut bench = Bench::new(vec![NodeView { slots: 1, ..node("a") }]);
    bench.fill_with(&["selfplay"]);
    let mut events = Vec::new();
    for _ in 0..3 {
        events.extend(bench.step().events);
        let name = bench.agreed.state.jobs.live().next().unwrap().id.to_string();
        bench.started(&name);
        bench.ended(&name, How::Exited { code: 1 });
    }
    events.extend(bench.step().events);
    assert_eq!((events.len(), bench.agreed.state.jobs.live().len()), (1, 0));
}

#[test]
fn filled_jobs_make_room_for_queued_work_that_has_waited_long_enough() {
    let mut bench = Bench::new(vec![with_gpus("g", 2)]);
    bench.fill_with(&["gpu_selfplay"]);
    bench.step();
    let filled: Vec<String> = bench.agreed.state.jobs.live().map(|job| job.id.to_string()).collect();
    assert_eq!(filled.len(), 2);
    for name in &filled {
        bench.started(name);
    }
    bench.nodes[0].offer.get_mut("training").unwrap().gpu = GpuNeed::Whole(2);
    bench.submit(vec![job("t", "training")]);
    bench.step();
    bench.ended(&filled[0], How::Exited { code: 0 });
    assert!(bench.step().is_empty(), "the GPU is not filled again, but kept for the second to come free");
    bench.wait(300);
    let decisions = bench.step();
    assert_eq!(changed(&decisions), [&filled[1]]);
    assert!(matches!(decisions.changes[..], [JobChange::Recall { .. }]));
    bench.ended(&filled[1], How::Stopped);
    assert_eq!(changed(&bench.step()), ["t"]);
}

#[test]
fn a_lost_placement_of_a_filled_job_is_made_again_or_given_up() {
    let mut bench = Bench::new(vec![node("a")]);
    bench.fill_with(&["selfplay"]);
    let decisions = bench.decide();
    bench.submit(decisions.submit);
    assert!(bench.decide().is_empty(), "they are under way");
    bench.wait(3);
    let again = bench.decide();
    assert_eq!((again.submit.len(), again.changes.len()), (0, 2));
    bench.wait(3);
    bench.nodes[0].ready = false;
    bench.step();
    assert_eq!(bench.agreed.state.jobs.live().len(), 0);
}

#[test]
fn nothing_is_filled_before_the_queue_has_come_to_its_end() {
    let mut bench = Bench::new(vec![NodeView { slots: 6, memory_bytes: 0, ..node("a") }]);
    bench.fill_with(&["selfplay"]);
    bench.settings.max_placements = 2;
    bench.submit((0..5).map(|n| job(&format!("s{n}"), "selfplay")).collect());
    let filled: Vec<usize> = (0..3).map(|_| bench.step().submit.len()).collect();
    assert_eq!((filled, bench.agreed.state.jobs.live().len()), (vec![0, 0, 1], 6));
}

#[test]
fn a_node_whose_slots_may_not_be_filled_gets_what_was_asked_for_alone() {
    let mut bench = Bench::new(vec![NodeView { fill: false, ..node("a") }]);
    bench.fill_with(&["selfplay"]);
    assert!(bench.step().is_empty());
    bench.submit(vec![job("s", "selfplay")]);
    assert_eq!(changed(&bench.step()), ["s"]);
}
