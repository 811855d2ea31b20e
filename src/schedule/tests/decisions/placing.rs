//! Who gets what, and why others do not.

use super::*;

#[test]
fn priority_goes_first_then_underserved_configurations_then_each_in_turn() {
    let mut bench = Bench::new(vec![]);
    let of =
        |name: &str, config: &str, priority| NewJob { game: Some(game(config)), priority, ..job(name, "selfplay") };
    bench.submit(vec![
        of("a1", "hex8_2p", 0),
        of("a2", "hex8_2p", 0),
        of("b1", "hex8_3p", 0),
        of("c1", "square8_2p", 0),
        of("d1", "hex8_2p", 9),
        NewJob { depends_on: vec![job_id("a1")], ..of("e1", "hex8_2p", 99) },
    ]);
    bench.underserved = vec![game("square8_2p")];
    bench.nodes = vec![NodeView { slots: 9, ..node("n") }];
    assert_eq!(changed(&bench.step()), ["d1", "c1", "a1", "b1", "a2"]);
    assert_eq!(bench.why("e1").summary, "it waits for a1, which is placed");
    bench.ended("a1", How::Exited { code: 0 });
    assert_eq!(changed(&bench.step()), ["e1"]);
}

#[test]
fn each_node_that_is_passed_over_has_its_reason() {
    let full = NodeView { slots: 0, ..with_gpus("full", 1) };
    let few = with_gpus("few", 1);
    let old =
        NodeView { gpus: vec![GpuView { index: 0, vram_bytes: 4 << 30, usable: true }; 2], ..with_gpus("old", 0) };
    let mut offered = with_gpus("offered", 4);
    offered.offer.clear();
    let cases = vec![
        (NodeView { presence: Presence::Dead { since: Duration::ZERO }, ..node("dead") }, "it is dead, or has left"),
        (NodeView { presence: Presence::Suspect, ..node("suspect") }, "it does not answer at the moment"),
        (NodeView { ready: false, ..node("retired") }, "the hosts file does not call it ready"),
        (NodeView { eligibility: Eligibility::Cordoned, ..node("cordoned") }, "it is cordoned"),
        (NodeView { eligibility: Eligibility::Draining, ..node("draining") }, "it is draining"),
        (
            NodeView { capabilities: vec![Capability::Selfplay], ..node("player") },
            "it is not for training, by its role and switches in the hosts file",
        ),
        (NodeView { refuses: Some("its disk is full".into()), ..node("sick") }, "it takes no work: its disk is full"),
        (offered, "it has no class training in its settings"),
        (full, "all its 0 slots are taken"),
        (
            NodeView { memory_bytes: 31 << 30, ..few.clone() },
            "31G of its memory are not set aside for others, and the job needs 32G",
        ),
        (node("bare"), "it has 0 fitting GPUs free, and the job needs 1"),
        (old, "it has 0 fitting GPUs free, and the job needs 1"),
    ];
    let mut bench = Bench::new(cases.iter().map(|(node, _)| node.clone()).collect());
    bench.submit(vec![job("t", "training")]);
    assert!(bench.step().is_empty());
    let why = bench.why("t");
    assert_eq!(why.summary, "none of 12 nodes can have it at present");
    let told: Vec<String> = why
        .nodes
        .iter()
        .map(|(_, verdict)| match verdict {
            Verdict::PassedOver(why) => why.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, cases.iter().map(|(_, why)| *why).collect::<Vec<_>>());

    bench.nodes = vec![node("bare"), with_gpus("good", 1), with_gpus("fine", 1)];
    bench.nodes[2].load = 0.5;
    bench.step();
    let why = bench.why("t");
    assert_eq!(why.nodes[0], (id("good"), Verdict::Chosen), "the less busy one");
    assert_eq!(why.nodes[1].0, id("bare"));
    assert_eq!(why.summary, "attempt 1 goes to good: it had the most room of 2 that fit");
}

#[test]
fn gpus_are_given_whole_or_in_shares_and_no_more_than_there_are() {
    let mut bench = Bench::new(vec![with_gpus("g", 3)]);
    let offer = &mut bench.nodes[0].offer;
    offer.get_mut("evaluation").unwrap().gpu = GpuNeed::Share(40);
    offer.get_mut("training").unwrap().gpu = GpuNeed::Whole(2);
    let names = ["e1", "e2", "e3", "e4"];
    bench.submit(names.iter().map(|name| job(name, "evaluation")).collect());
    bench.submit(vec![NewJob { priority: 5, ..job("t", "training") }]);
    bench.step();
    let gpus = |bench: &Bench, name: &str| bench.job(name).assignment().map(|a| (a.gpus.clone(), a.gpu_share));
    assert_eq!(gpus(&bench, "t"), Some((vec![0, 1], 100)));
    assert_eq!((gpus(&bench, "e1"), gpus(&bench, "e2")), (Some((vec![2], 40)), Some((vec![2], 40))));
    assert_eq!((gpus(&bench, "e3"), gpus(&bench, "e4")), (None, None), "80 % of the third are taken");
    bench.nodes[0].gpus[1].usable = false;
    bench.ended("t", How::Exited { code: 0 });
    bench.step();
    assert_eq!((gpus(&bench, "e3"), gpus(&bench, "e4")), (Some((vec![0], 40)), Some((vec![0], 40))));
}

#[test]
fn work_without_a_gpu_keeps_away_from_gpus_and_a_model_must_be_there() {
    let mut bench = Bench::new(vec![with_gpus("g", 2), node("c")]);
    bench.submit(vec![job("s", "selfplay"), NewJob { game: Some(game("hex8_3p")), ..job("p", "gpu_selfplay") }]);
    bench.nodes[0].models.remove(&game("hex8_3p"));
    bench.step();
    assert_eq!((bench.place_of("s").as_deref(), bench.place_of("p")), (Some("c"), None));
    let model = Verdict::PassedOver(PassedOver::Model(game("hex8_3p")));
    assert_eq!(bench.why("p").nodes[0], (id("g"), model));
    bench.nodes[0].models.insert(game("hex8_3p"));
    bench.step();
    assert_eq!(bench.place_of("p").as_deref(), Some("g"));
}

#[test]
fn a_worker_that_comes_gets_what_it_can_do_and_loses_it_with_its_lease() {
    let mut bench = Bench::new(vec![]);
    bench.submit(vec![job("t", "training"), NewJob { timeout_s: 100, ..job("s", "selfplay") }]);
    let claim = Claim {
        worker: "w1".into(),
        node: None,
        kinds: [ringrift_job::Kind::Selfplay].into(),
        classes: BTreeSet::new(),
    };
    let claimed = |bench: &mut Bench| {
        let view = View {
            jobs: &bench.agreed.state.jobs,
            nodes: &bench.nodes,
            led_for: bench.led_for,
            underserved: &[],
            settings: &bench.settings,
        };
        bench.scheduler.claim(bench.now, &view, &claim)
    };
    let change = claimed(&mut bench).unwrap();
    assert_eq!(claimed(&mut bench), None, "two claims at once do not get the same job");
    bench.change(change);
    assert_eq!(bench.job("s").holder(), Some(&Holder::Pull { worker: "w1".into(), node: None }));
    bench.step();
    bench.wait(99);
    assert!(bench.step().is_empty());
    bench.wait(1);
    bench.step();
    assert!(bench.job("s").is_pending() && bench.job("s").failures == 1);
    assert!(matches!(bench.job("t").phase, Phase::Pending));
}
