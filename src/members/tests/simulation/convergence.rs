//! What one knows all know, soon.

use std::{
    env,
    num::NonZero,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, available_parallelism},
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};
use ringrift_members::{Event, Input, State};

use crate::{
    large::thread_cpu,
    node::{Card, Death, Network},
    seeds,
    world::World,
};

#[test]
fn a_changed_fact_reaches_all_43_nodes_within_6_seconds() {
    let mut times = Vec::new();
    for seed in seeds(3) {
        let mut world = World::formed(43, seed, Network::losing(0.05));
        for value in 1..15 {
            let node = world.rng.random_range(0..43);
            world.set_card(node, value);
            let known = world.wait(Duration::from_secs(20), |w| (0..43).all(|o| w.card(o, node) == Some(value)));
            times.push(known.unwrap_or_else(|| panic!("seed {seed}: {value} did not reach everybody")));
        }
    }
    times.sort();
    let (p50, max) = (times[times.len() / 2], times[times.len() - 1]);
    println!("43 nodes, 5 % loss: a changed fact is known to all after p50 {p50:.2?}, max {max:.2?}");
    assert!(max < Duration::from_secs(6), "{max:?}");
}

#[test]
fn each_version_is_seen_once_and_never_an_older_one_after_a_newer() {
    let mut world = World::formed(9, 5, Network { duplication: 0.3, ..Network::losing(0.1) });
    let mut last = [0; 9];
    for value in 1..200 {
        world.set_card(0, value);
        for _ in 0..5 {
            world.run(Duration::from_millis(100));
            for (observer, last) in last.iter_mut().enumerate() {
                let seen = world.card(observer, 0).unwrap();
                assert!(seen >= *last && seen <= value, "node {observer} went from {last} to {seen}");
                *last = seen;
            }
        }
    }
    world.run(Duration::from_secs(10));
    assert!((0..9).all(|o| world.card(o, 0) == Some(199)));
    let revisions: Vec<u64> = (0..9).map(|o| world.revision(o)).collect();
    world.run(Duration::from_mins(1));
    let moved: Vec<u64> = (0..9).map(|o| world.revision(o) - revisions[o]).collect();
    assert_eq!(moved, vec![0; 9], "nothing changes, so nobody must see a change");
}

#[test]
fn facts_that_do_not_fit_into_one_message_come_in_several() {
    let mut world = World::formed(16, 2, Network::losing(0.05));
    for node in 0..16 {
        world.input(node, Input::Local(Card { value: 1, padding: "x".repeat(60_000) }));
    }
    let known = world.wait(Duration::from_secs(30), |w| (0..16).all(|s| (0..16).all(|o| w.card(o, s) == Some(1))));
    println!(
        "16 nodes with 60 kB of facts each: known to all after {known:.2?}, longest message {}",
        world.traffic.longest
    );
    assert!(known.is_some());
    assert!(world.traffic.longest < 256 << 10, "{}", world.traffic.longest);

    let refused = world.reports.len();
    world.input(3, Input::Local(Card { value: 2, padding: "x".repeat(70_000) }));
    let Event::BadFacts { node, error } = &world.reports[refused].event else { panic!("{:?}", world.reports[refused]) };
    assert_eq!((node.as_str(), error.contains("more than 65536")), ("node-003", true), "{error}");
    assert_eq!(world.card(3, 3), Some(1), "the old ones stay");
}

/// A life at random; how long it was, in simulated time.
fn life(seed: u64) -> Duration {
    let mut dice = SmallRng::seed_from_u64(seed);
    // Mostly few: most of what can go wrong needs no more, and more of it fits into an hour.
    let size = dice.random_range(5..=12).min(dice.random_range(5..=12));
    let mut world = World::new(size, seed, Network { duplication: 0.1, ..Network::losing(0.15) });
    let began = world.now;
    (0..size).for_each(|node| world.start(node));
    for step in 0..25 {
        let node = world.rng.random_range(0..size);
        match world.rng.random_range(0..6) {
            0 if world.running().count() > size / 2 => world.end(node, Death::Kill),
            1 if world.running().count() > size / 2 => world.end(node, Death::PowerCut),
            2 => world.freeze(node, Duration::from_secs(step % 12)),
            3 => world.partition(|i| u32::from(i % 3 == node % 3)),
            4 => world.heal(),
            _ if world.nodes[node].machine.is_none() => world.start(node),
            _ => world.set_card(node, step),
        }
        let pause = world.rng.random_range(0..6000);
        world.run(Duration::from_millis(pause));
    }
    world.heal();
    world.network = Network::losing(0.01);
    (0..size).for_each(|n| world.freeze(n, Duration::ZERO));
    let settled = world.wait(Duration::from_secs(40), |w| {
        let gone = (0..size).filter(|n| w.nodes[*n].machine.is_none());
        w.all_see_all() && gone.into_iter().all(|n| w.all_see(n, State::Dead) || w.all_see(n, State::Unseen))
    });
    assert!(settled.is_some(), "SIMULATION_SEED={seed} repeats this: the views of {size} nodes differ");
    world.run(Duration::from_secs(5));
    for subject in world.running().collect::<Vec<_>>() {
        let card = world.card(subject, subject);
        let same = world.running().all(|o| world.card(o, subject) == card);
        assert!(same, "SIMULATION_SEED={seed} repeats this: facts differ");
    }
    assert!(world.calls_under_way() < 100 * size, "SIMULATION_SEED={seed} repeats this: calls pile up");
    world.now.saturating_sub(began)
}

/// How many lives there are when nobody says.
const LIVES: u32 = 450;

/// `SIMULATION_HOURS` goes on until so many hours are simulated, on all processors, but no longer than `SIMULATION_SECONDS`.
#[test]
fn everything_ends_in_the_same_whatever_happens() {
    if let Some(seed) = variable("SIMULATION_SEED") {
        life(seed);
        return;
    }
    let hours = variable("SIMULATION_HOURS");
    let until = variable("SIMULATION_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let threads = hours.map_or(1, |_| available_parallelism().map_or(1, NonZero::get));
    let (begun, simulated, spent) = (AtomicU32::new(0), Mutex::new(Duration::ZERO), Mutex::new(Duration::ZERO));
    let goes_on = || {
        let enough = hours.is_none_or(|hours| *simulated.lock().unwrap() >= Duration::from_hours(hours));
        begun.fetch_add(1, Ordering::Relaxed) < LIVES || !enough && until.is_none_or(|until| Instant::now() < until)
    };
    let lives = || {
        let before = thread_cpu();
        while goes_on() {
            // Short ones are easier to type.
            let lasted = life(rand::random::<u32>().into());
            *simulated.lock().unwrap() += lasted;
        }
        *spent.lock().unwrap() += thread_cpu().saturating_sub(before);
    };
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(lives)).collect();
        lives();
        for other in others {
            other.join().expect("a life that broke was told of");
        }
    });
    let (simulated, spent) = (simulated.into_inner().unwrap(), spent.into_inner().unwrap());
    println!("lives of {:.1} hours in {spent:.1?} of processor time", simulated.as_secs_f64() / 3600.0);
}

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}: expected a number")))
}
