//! Whatever goes wrong, nothing that was confirmed is lost and no two voters disagree.
//!
//! Each test lives a few random lives. A failure names its seed, and `SIMULATION_SEED` repeats that life exactly. `SIMULATION_LIVES` says
//! how many there are, `SIMULATION_SECONDS` how long to go on with new ones, for a night.

use std::{
    env,
    time::{Duration, Instant},
};

use super::life::{Also, live};

/// How many lives each test has when nobody says.
const LIVES: u32 = 4;

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}: expected a number")))
}

/// Lives with so many voters.
fn lives(voters: std::ops::RangeInclusive<usize>, also: Also) {
    let of = |seed: u64| voters.start() + (seed % voters.clone().count() as u64) as usize;
    let one = |seed: u64| {
        let story = live(seed, of(seed), also);
        story.unwrap_or_else(|error| panic!("SIMULATION_SEED={seed} repeats this with {} voters: {error}", of(seed)))
    };
    if let Some(seed) = variable("SIMULATION_SEED") {
        let story = one(seed);
        println!("{}\n{story:?}", story.told.join("\n"));
        return;
    }
    let count = variable("SIMULATION_LIVES").map_or(LIVES, |count| count as u32);
    let until = variable("SIMULATION_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (mut lived, mut confirmed, mut slowest, mut simulated) = (0, 0, Duration::ZERO, Duration::ZERO);
    let (mut caught_up, mut alive) = (Duration::ZERO, Duration::ZERO);
    while lived < count || until.is_some_and(|until| Instant::now() < until) {
        // Short ones are easier to type.
        let story = one(rand::random::<u32>().into());
        lived += 1;
        confirmed += story.confirmed;
        slowest = slowest.max(story.recovered);
        caught_up = caught_up.max(story.caught_up);
        alive = alive.max(story.alive);
        simulated += story.lasted;
    }
    println!(
        "{lived} lives of {simulated:?}, {confirmed} writes confirmed, recovered within {slowest:?}, all caught up within {caught_up:?}, \
         all alive within {alive:?}"
    );
}

#[test]
fn voters_never_disagree_and_lose_nothing_that_was_confirmed() {
    lives(3..=7, Also::default());
}

#[test]
fn nor_when_disks_are_lost_one_at_a_time() {
    lives(3..=5, Also { wiped: true, ..Also::default() });
}

#[test]
fn nor_when_the_voters_are_changed_all_the_time() {
    lives(5..=9, Also { changed: true, ..Also::default() });
}

#[test]
fn nor_do_workers_whatever_happens_to_them_and_to_the_voters() {
    lives(3..=7, Also { workers: 8, ..Also::default() });
}

#[test]
fn whole_clusters_whose_nodes_move_end_with_everybody_alive_to_everybody() {
    lives(3..=7, Also { workers: 8, members: true, ..Also::default() });
}

#[test]
fn a_life_with_workers_is_repeated_exactly_from_its_seed() {
    let seed = rand::random::<u32>().into();
    let also = Also { changed: true, workers: 12, members: true, ..Also::default() };
    let (first, second) = (live(seed, 5, also), live(seed, 5, also));
    assert_eq!(first, second, "SIMULATION_SEED={seed}");
}

#[test]
fn a_life_is_repeated_exactly_from_its_seed() {
    let seed = rand::random::<u32>().into();
    let also = Also { changed: true, wiped: true, ..Also::default() };
    let (first, second) = (live(seed, 5, also), live(seed, 5, also));
    assert_eq!(first, second, "SIMULATION_SEED={seed}");
}
