//! Who is gone is seen to be gone, soon and for good.

use std::time::Duration;

use ringrift_members::{Input, State};

use crate::{
    node::{Death, Network},
    seeds,
    world::World,
};

/// Kills one node in each of many clusters and returns how long it took until everybody saw it dead, sorted.
fn detections(size: usize, amount: u64, network: Network, death: Death) -> Vec<Duration> {
    let mut times = Vec::new();
    for seed in seeds(amount) {
        let mut world = World::formed(size, seed, network);
        let victim = seed as usize % size;
        world.end(victim, death);
        let seen = world.wait(Duration::from_secs(20), |w| w.all_see(victim, State::Dead));
        let seen = seen.unwrap_or_else(|| panic!("{size} nodes, seed {seed}: not seen dead within 20 s"));
        assert!(world.false_deaths().is_empty(), "{size} nodes, seed {seed}: {:?}", world.false_deaths());
        times.push(seen);
    }
    times.sort();
    times
}

#[test]
fn a_killed_node_is_seen_dead_by_all_within_8_seconds() {
    let lossy = Network::losing(0.1);
    for (size, amount, network, death) in [
        (2, 20, Network::GOOD, Death::PowerCut),
        (5, 20, Network::GOOD, Death::PowerCut),
        (5, 20, lossy, Death::PowerCut),
        (5, 20, Network::GOOD, Death::Kill),
        (43, 6, Network::GOOD, Death::PowerCut),
        (43, 6, lossy, Death::PowerCut),
        (43, 6, lossy, Death::Kill),
    ] {
        let times = detections(size, amount, network, death);
        let (p50, p99, max) = (times[times.len() / 2], times[times.len() * 99 / 100], times[times.len() - 1]);
        println!(
            "{size} nodes, {} % loss, {death:?}: seen dead by all after p50 {p50:.2?}, p99 {p99:.2?}, max {max:.2?}",
            network.loss * 100.0
        );
        assert!(max < Duration::from_secs(8), "{size} nodes, {network:?}, {death:?}: {max:?}");
    }
}

#[test]
fn a_third_of_the_cluster_that_dies_at_once_is_seen_dead_within_20_seconds() {
    for seed in seeds(4) {
        let mut world = World::formed(43, seed, Network::losing(0.05));
        (0..14).for_each(|victim| world.end(victim * 3, Death::PowerCut));
        let seen = world.wait(Duration::from_secs(20), |w| (0..14).all(|victim| w.all_see(victim * 3, State::Dead)));
        println!("14 of 43 nodes at once, seed {seed}: seen dead by all after {seen:.2?}");
        assert!(seen.is_some(), "seed {seed}");
        assert!(world.false_deaths().is_empty(), "seed {seed}: {:?}", world.false_deaths());
    }
}

#[test]
fn the_dead_stay_dead_and_the_living_are_not_troubled() {
    let mut world = World::formed(43, 7, Network::losing(0.02));
    world.end(20, Death::PowerCut);
    world.wait(Duration::from_secs(10), |w| w.all_see(20, State::Dead)).unwrap();
    world.reports.clear();
    world.run(Duration::from_mins(3));
    assert_eq!(world.changes_to(State::Dead), 0);
    assert!(world.all_see(20, State::Dead));
    assert!(world.all_see_all());
}

#[test]
fn a_node_that_leaves_is_left_at_once_and_never_suspected_or_buried() {
    for seed in seeds(5) {
        let mut world = World::formed(43, seed, Network::losing(0.1));
        world.input(5, Input::Leave);
        let seen = world.wait(Duration::from_secs(5), |w| w.all_see(5, State::Left));
        assert!(seen.is_some_and(|s| s < Duration::from_secs(3)), "seed {seed}: {seen:?}");
        world.end(5, Death::Kill);
        world.run(Duration::from_mins(1));
        assert!(world.all_see(5, State::Left), "seed {seed}");
        assert_eq!(world.changes_to(State::Dead), 0, "seed {seed}");

        world.start(5);
        let back = world.wait(Duration::from_secs(10), World::all_see_all);
        assert!(back.is_some_and(|b| b < Duration::from_secs(3)), "seed {seed}: {back:?}");
    }
}
