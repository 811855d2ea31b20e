//! Who is who.

use std::time::Duration;

use ringrift_members::{Event, Input, State};

use crate::{
    node::{Death, Network},
    seeds,
    world::World,
};

#[test]
fn a_restarted_node_takes_over_its_id_and_its_new_facts_replace_the_old_ones() {
    for size in [2, 5, 43] {
        for seed in seeds(if size == 43 { 2 } else { 10 }) {
            for (down_s, death) in [(0, Death::Kill), (2, Death::Kill), (15, Death::PowerCut)] {
                let mut world = World::formed(size, seed, Network::losing(0.02));
                // The old instance has told many versions, and its wall clock was ahead of the new one's.
                (1..40).for_each(|value| world.set_card(1, value));
                world.nodes[1].clock_off_ms = 3_600_000;
                world.run(Duration::from_secs(8));
                world.end(1, death);
                world.run(Duration::from_secs(down_s));
                world.nodes[1].clock_off_ms = 0;
                world.start(1);
                world.set_card(1, 1000);
                let back = world.wait(Duration::from_secs(30), |w| {
                    w.all_see_all() && w.running().all(|o| w.card(o, 1) == Some(1000))
                });
                assert!(
                    back.is_some_and(|b| b < Duration::from_secs(8)),
                    "{size} nodes, seed {seed}, down for {down_s} s: {back:?}"
                );
                world.reports.clear();
                world.run(Duration::from_secs(20));
                assert_eq!(world.changes_to(State::Dead), 0, "{size} nodes, seed {seed}, down for {down_s} s");
                assert!(!has_conflict(&world), "{size} nodes, seed {seed}: a restart is no conflict");
            }
        }
    }
}

#[test]
fn a_dead_node_that_comes_back_is_alive_everywhere_at_once() {
    for seed in seeds(3) {
        let mut world = World::formed(43, seed, Network::losing(0.05));
        world.end(9, Death::PowerCut);
        world.wait(Duration::from_secs(10), |w| w.all_see(9, State::Dead)).unwrap();
        world.start(9);
        let back = world.wait(Duration::from_secs(10), World::all_see_all);
        assert!(back.is_some_and(|b| b < Duration::from_secs(3)), "seed {seed}: {back:?}");
    }
}

fn has_conflict(world: &World) -> bool {
    world.reports.iter().any(|r| matches!(r.event, Event::Conflict { .. }))
}

#[test]
fn two_programs_with_one_id_are_reported_by_both_and_do_not_outbid_each_other_for_ever() {
    for size in [2, 5, 43] {
        for seed in seeds(if size == 43 { 2 } else { 10 }) {
            let mut world = World::formed(size, seed, Network::GOOD);
            let double = world.add_double(0);
            world.run(Duration::from_mins(1));
            for by in [0, double] {
                let other = world.instance(if by == 0 { double } else { 0 });
                let reported = world.reports.iter().any(|r| {
                    r.by == by && matches!(r.event, Event::Conflict { other_instance, .. } if other_instance == other)
                });
                assert!(reported, "{size} nodes, seed {seed}: {by} does not report instance {other:x}");
            }
            let restarts = |w: &World| w.reports.iter().filter(|r| matches!(r.event, Event::Restarted { .. })).count();
            let before = restarts(&world);
            let reports = world.reports.len();
            world.run(Duration::from_secs(30));
            assert_eq!(restarts(&world), before, "{size} nodes, seed {seed}: the race goes on");
            assert!(world.reports.len() - reports <= 2, "{size} nodes, seed {seed}: conflicts are reported too often");
        }
    }
}

#[test]
fn a_peer_whose_clock_is_5_minutes_off_is_named_and_otherwise_an_ordinary_member() {
    let mut world = World::formed(7, 3, Network::GOOD);
    world.nodes[4].clock_off_ms = -300_000;
    world.run(Duration::from_mins(2));
    let named: Vec<_> = world.reports.iter().filter(|r| matches!(r.event, Event::ClockSkew { .. })).collect();
    let expected = world.nodes[4].id.clone();
    for report in &named {
        let Event::ClockSkew { node, offset_ms } = &report.event else { unreachable!() };
        assert_eq!(*node, expected, "reported by {}", report.by);
        assert!((offset_ms + 300_000).abs() < 200, "behind, in everybody's eyes: {report:?}");
    }
    assert_eq!(named.len(), 7, "everybody reports it once, itself included: {named:?}");
    assert!(world.all_see_all());

    world.nodes[4].clock_off_ms = 0;
    world.run(Duration::from_mins(2));
    let right = world.reports.iter().filter(|r| r.event == Event::ClockRight { node: expected.clone() }).count();
    assert_eq!(right, 7, "and once that it is right again");
    assert_eq!(world.changes_to(State::Dead) + world.changes_to(State::Suspect), 0);
}

#[test]
fn nodes_that_no_hosts_file_names_are_found_through_one_seed_and_forgotten_some_time_after_their_death() {
    let mut world = World::new(6, 11, Network::GOOD);
    world.hosts_file_names_nobody = true;
    world.timing.forget_after = Duration::from_mins(10);
    (0..6).for_each(|i| world.start(i));
    world.run(Duration::from_secs(5));
    assert!((0..6).all(|i| world.view(i, (i + 1) % 6).is_none()), "nobody can know anybody");
    let seed = world.nodes[0].id.clone();
    (1..6).for_each(|i| world.input(i, Input::Meet(seed.clone())));
    assert!(world.wait(Duration::from_secs(5), World::all_see_all).is_some());

    world.end(5, Death::PowerCut);
    world.wait(Duration::from_secs(10), |w| w.all_see(5, State::Dead)).unwrap();
    world.run(Duration::from_mins(9));
    assert!(world.all_see(5, State::Dead));
    // The last one to forget must not bring it back to those who have forgotten it.
    world.run(Duration::from_mins(4));
    assert!((0..5).all(|i| world.view(i, 5).is_none()), "forgotten");
    world.start(5);
    world.input(5, Input::Meet(seed));
    assert!(world.wait(Duration::from_secs(10), World::all_see_all).is_some(), "and welcome again");
}
