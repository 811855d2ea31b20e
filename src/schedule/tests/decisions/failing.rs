//! What becomes of work whose node, run or leader fails.

use super::*;

#[test]
fn a_dead_node_keeps_its_jobs_for_its_window_and_a_new_leader_looks_on_first() {
    let mut bench = Bench::new(vec![node("a")]);
    bench.submit(vec![job("s", "selfplay")]);
    bench.step();
    bench.started("s");
    bench.nodes.push(node("b"));
    bench.nodes[0].presence = Presence::Dead { since: Duration::from_secs(59) };
    assert!(bench.decide().is_empty());
    bench.nodes[0].presence = Presence::Dead { since: Duration::from_mins(1) };
    bench.led_for = Duration::from_secs(69);
    assert!(bench.decide().is_empty(), "it has led for too short a time to judge anybody");
    bench.led_for = Duration::from_secs(70);
    bench.step();
    assert_eq!(bench.job("s").attempts[0].why, "is lost: a has been gone for 60 s");
    assert!(bench.step().is_empty(), "it is not hurried");
    bench.wait(5);
    bench.step();
    assert_eq!((bench.place_of("s").as_deref(), bench.job("s").attempt), (Some("b"), 2));
}

#[test]
fn a_node_that_nobody_knows_is_one_that_is_gone() {
    let mut bench = Bench::new(vec![node("a")]);
    bench.submit(vec![job("s", "selfplay")]);
    bench.step();
    bench.started("s");
    bench.nodes = vec![node("b")];
    assert!(bench.step().is_empty());
    bench.wait(59);
    assert!(bench.step().is_empty());
    bench.wait(1);
    assert!(matches!(bench.step().changes[..], [JobChange::Lost { .. }]));
}

#[test]
fn a_failed_job_waits_longer_each_time() {
    let mut bench = Bench::new(vec![node("a")]);
    bench.submit(vec![NewJob { max_attempts: 9, ..job("s", "selfplay") }]);
    bench.step();
    for wait in [5, 10, 20, 40] {
        bench.started("s");
        bench.ended("s", How::Exited { code: 1 });
        assert!(bench.step().is_empty());
        assert!(
            bench.why("s").summary.ends_with(&format!("the next attempt begins in {wait} s")),
            "{:?}",
            bench.why("s")
        );
        bench.wait(wait - 1);
        assert!(bench.step().is_empty());
        bench.wait(1);
        assert_eq!(changed(&bench.step()), ["s"]);
    }
}

#[test]
fn a_node_that_gives_back_three_jobs_is_passed_over_aloud() {
    let mut bench = Bench::new(vec![node("a")]);
    bench.settings.avoid = Duration::ZERO;
    bench.submit(vec![job("s", "selfplay")]);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.extend(bench.step().events);
        let attempt = bench.job("s").attempt;
        bench.change(JobChange::Refused { job: job_id("s"), attempt, reason: "no such file".into() });
        told.extend(bench.step().events);
        bench.wait(20);
    }
    let [event] = &told[..] else { panic!("{told:?}") };
    assert_eq!(event.kind, kind::JOB_DISPATCH_FAILED);
    assert_eq!(
        event.message,
        "a gets no selfplay jobs for 60 s: 3 in a row did not work out there; the last, s, was given back: no such file"
    );
    assert!(bench.step().is_empty());
    assert!(matches!(bench.why("s").nodes[0].1, Verdict::PassedOver(PassedOver::Blocked { .. })));
    // Another class is not its trouble.
    bench.submit(vec![job("e", "evaluation")]);
    assert_eq!(changed(&bench.step()), ["e"]);
    bench.wait(41);
    assert_eq!(changed(&bench.step()), ["s"]);
}

#[test]
fn a_job_keeps_away_from_the_node_that_gave_it_back_while_there_are_others() {
    let mut bench = Bench::new(vec![node("a"), NodeView { load: 0.9, ..node("b") }]);
    bench.submit(vec![job("s", "selfplay")]);
    bench.step();
    assert_eq!(bench.place_of("s").as_deref(), Some("a"));
    bench.change(JobChange::Refused { job: job_id("s"), attempt: 1, reason: "its disk is full".into() });
    bench.step();
    bench.wait(5);
    bench.step();
    assert_eq!(bench.place_of("s").as_deref(), Some("b"));
}

#[test]
fn a_job_goes_back_to_the_node_that_gave_it_back_when_no_other_could_have_it() {
    // Only the first has the class; the second is there, and is for other work.
    let other = NodeView { offer: [].into(), ..node("b") };
    let mut bench = Bench::new(vec![node("a"), other]);
    bench.submit(vec![job("s", "selfplay")]);
    bench.step();
    bench.change(JobChange::Refused { job: job_id("s"), attempt: 1, reason: "it was too busy to start".into() });
    bench.step();
    bench.wait(5);
    bench.step();
    assert_eq!((bench.place_of("s").as_deref(), bench.job("s").attempt), (Some("a"), 2));
    // One that is merely full is waited for.
    bench.change(JobChange::Refused { job: job_id("s"), attempt: 2, reason: "it was too busy to start".into() });
    bench.nodes[1] = NodeView { slots: 1, ..node("b") };
    bench.submit(vec![NewJob { pinned: Some(id("b")), ..job("t", "selfplay") }]);
    bench.step();
    assert_eq!(bench.place_of("t").as_deref(), Some("b"));
    bench.wait(60);
    bench.step();
    assert_eq!(bench.place_of("s"), None);
}

#[test]
fn a_node_that_says_nothing_about_a_job_loses_it() {
    let mut bench = Bench::new(vec![node("a")]);
    bench.submit(vec![job("s", "selfplay")]);
    bench.step();
    assert!(bench.step().is_empty());
    bench.wait(120);
    bench.step();
    assert!(bench.job("s").reason.contains("a did not say within 120 s that it runs"), "{}", bench.job("s").reason);
}

#[test]
fn a_drained_node_is_emptied_and_its_jobs_go_elsewhere() {
    let mut bench = Bench::new(vec![node("a")]);
    bench.submit(vec![job("s", "selfplay")]);
    bench.step();
    bench.started("s");
    bench.nodes.push(node("b"));
    bench.drain("a");
    assert!(matches!(bench.step().changes[..], [JobChange::Recall { .. }]));
    assert!(bench.step().is_empty(), "it is asked once");
    bench.ended("s", How::Stopped);
    bench.step();
    assert_eq!((bench.place_of("s").as_deref(), bench.job("s").failures), (Some("b"), 0));
}

#[test]
fn a_late_leader_repeats_nothing_that_is_under_way() {
    let mut bench = Bench::new(vec![node("a"), node("b")]);
    bench.submit((0..6).map(|n| job(&format!("s{n}"), "selfplay")).collect());
    let first = bench.decide();
    assert_eq!(first.changes.len(), 4, "as many as there are slots, however long it takes to agree");
    assert!(bench.decide().is_empty());
    bench.wait(3);
    assert_eq!(bench.decide().changes.len(), 4, "what was lost is proposed again");
}
