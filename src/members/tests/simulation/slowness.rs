//! Who is merely slow is not dead.

use std::time::Duration;

use rand::RngExt;
use ringrift_members::{Event, State};

use crate::{node::Network, seeds, world::World};

#[test]
fn a_node_frozen_for_3_seconds_is_never_declared_dead_and_declares_nobody_dead() {
    for size in [2, 5, 43] {
        for seed in seeds(if size == 43 { 3 } else { 10 }) {
            let mut world = World::formed(size, seed, Network::losing(0.01));
            for _ in 0..6 {
                let victim = world.rng.random_range(0..size);
                world.freeze(victim, Duration::from_secs(3));
                let pause = world.rng.random_range(4000..9000);
                world.run(Duration::from_millis(pause));
            }
            assert!(world.false_deaths().is_empty(), "{size} nodes, seed {seed}: {:?}", world.false_deaths());
            let recovered = world.wait(Duration::from_secs(5), World::all_see_all);
            assert!(recovered.is_some(), "{size} nodes, seed {seed}: somebody is still suspect");
        }
    }
}

#[test]
fn a_node_frozen_for_a_minute_buries_nobody_when_it_wakes_up_and_is_alive_at_once() {
    for seed in seeds(5) {
        let mut world = World::formed(12, seed, Network::GOOD);
        world.freeze(3, Duration::from_mins(1));
        world.run(Duration::from_secs(59));
        assert!((0..12).filter(|o| *o != 3).all(|o| world.view(o, 3) == Some(State::Dead)), "seed {seed}");
        world.run(Duration::from_secs(1));
        let back = world.wait(Duration::from_secs(5), World::all_see_all);
        assert!(back.is_some_and(|b| b < Duration::from_secs(2)), "seed {seed}: {back:?}");
        let by_sleeper = |e: &Event| matches!(e, Event::Changed { to: State::Dead, .. });
        assert!(!world.reports.iter().any(|r| r.by == 3 && by_sleeper(&r.event)), "seed {seed}");
        assert!(world.reports.iter().any(|r| r.by == 3 && matches!(r.event, Event::StoodStill { .. })), "seed {seed}");
    }
}

#[test]
fn nodes_that_do_everything_900_ms_late_are_never_declared_dead() {
    for (size, slow, minutes) in [(5, 1, 5), (5, 5, 5), (43, 10, 1), (43, 43, 1)] {
        for seed in seeds(1) {
            let mut world = World::formed(size, seed, Network::GOOD);
            (0..slow).for_each(|i| world.nodes[i].slowness = Duration::from_millis(900));
            world.run(Duration::from_mins(minutes));
            println!(
                "{slow} of {size} nodes 900 ms late for {minutes} minutes, seed {seed}: {} times suspected by somebody",
                world.changes_to(State::Suspect)
            );
            assert_eq!(world.changes_to(State::Dead), 0, "{slow} of {size}, seed {seed}");
        }
    }
}

#[test]
fn a_fifth_of_all_messages_lost_for_hours_kills_nobody() {
    for (size, amount, minutes) in [(5, 2, 60), (43, 1, 5)] {
        for seed in seeds(amount) {
            let mut world = World::formed(size, seed, Network::losing(0.2));
            world.run(Duration::from_mins(minutes));
            println!(
                "{size} nodes, 20 % loss for {minutes} minutes, seed {seed}: {} times suspected by somebody",
                world.changes_to(State::Suspect)
            );
            assert_eq!(world.changes_to(State::Dead), 0, "{size} nodes, seed {seed}: {:?}", world.false_deaths());
        }
    }
}

#[test]
fn on_a_good_network_nobody_is_even_suspected() {
    let mut world = World::formed(43, 1, Network::GOOD);
    world.run(Duration::from_mins(2));
    assert_eq!(world.reports.iter().map(|r| &r.event).collect::<Vec<_>>(), Vec::<&Event>::new());
}
