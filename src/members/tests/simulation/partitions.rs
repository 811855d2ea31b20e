//! What was cut in two grows together again.

use std::time::Duration;

use ringrift_members::State;

use crate::{
    node::{Death, Network},
    seeds,
    world::World,
};

#[test]
fn a_partition_of_30_seconds_heals_within_seconds() {
    for (size, cut, amount) in [(2, 1, 10), (5, 1, 10), (5, 2, 10), (43, 1, 3), (43, 21, 3)] {
        for seed in seeds(amount) {
            let mut world = World::formed(size, seed, Network::losing(0.01));
            world.partition(|i| u32::from(i < cut));
            world.run(Duration::from_secs(30));
            for (one, other) in [(0, size - 1), (size - 1, 0)] {
                assert_eq!(world.view(one, other), Some(State::Dead), "{cut} of {size}, seed {seed}");
            }
            world.heal();
            let deaths = world.changes_to(State::Dead);
            let healed = world.wait(Duration::from_secs(30), World::all_see_all);
            println!("{cut} of {size} nodes cut off for 30 s, seed {seed}: all alive again after {healed:.2?}");
            assert!(healed.is_some_and(|h| h < Duration::from_secs(10)), "{cut} of {size}, seed {seed}: {healed:?}");
            world.run(Duration::from_secs(20));
            assert_eq!(world.changes_to(State::Dead), deaths, "{cut} of {size}, seed {seed}: a living one was buried");
            assert!(world.all_see_all(), "{cut} of {size}, seed {seed}");
        }
    }
}

#[test]
fn a_node_that_died_during_a_partition_is_dead_on_both_sides_afterwards() {
    for seed in seeds(5) {
        let mut world = World::formed(10, seed, Network::GOOD);
        world.partition(|i| u32::from(i < 4));
        world.run(Duration::from_secs(3));
        world.end(2, Death::PowerCut);
        world.run(Duration::from_secs(15));
        world.heal();
        let settled = world.wait(Duration::from_secs(20), |w| w.all_see(2, State::Dead) && w.all_see_all());
        assert!(settled.is_some(), "seed {seed}");
    }
}

#[test]
fn flapping_links_do_not_make_flapping_members() {
    for seed in seeds(5) {
        let mut world = World::formed(7, seed, Network::GOOD);
        for second in 0..60 {
            // Two nodes cannot reach each other every other second; all others reach both.
            world.cut(1, 2, second % 2 == 0);
            world.run(Duration::from_secs(1));
        }
        world.cut(1, 2, false);
        assert_eq!(world.changes_to(State::Dead), 0, "seed {seed}");
        assert_eq!(world.changes_to(State::Suspect), 0, "seed {seed}: others could have vouched");
    }
}
