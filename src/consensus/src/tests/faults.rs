//! Whatever goes wrong, nothing that was confirmed is lost and no two voters disagree.
//!
//! Each test lives a few random lives. A failure names its seed, and `SIMULATION_SEED` repeats that life exactly. `SIMULATION_LIVES` says
//! how many there are, `SIMULATION_SECONDS` how long to go on with new ones, for a night.

use std::{
    env,
    panic::{self, AssertUnwindSafe},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::life::{Also, live};

/// How many lives each test has when nobody says.
const LIVES: u32 = 30;

/// No life takes so long of real time but on a machine that does much else.
const UNDECIDED: Duration = Duration::from_mins(2);

fn variable(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}: expected a number")))
}

/// Lives with so many voters.
fn lives(voters: std::ops::RangeInclusive<usize>, also: Also) {
    let of = |seed: u64| voters.start() + (seed % voters.clone().count() as u64) as usize;
    each(LIVES, |seed| (of(seed), also));
}

/// Lives, each of so many voters and with what else may happen as follows from its seed.
fn each(count: u32, of: impl Fn(u64) -> (usize, Also)) {
    let one = |seed: u64| {
        let (voters, also) = of(seed);
        let story = with_its_seed(seed, || live(seed, voters, also));
        story.unwrap_or_else(|error| {
            panic!("SIMULATION_SEED={seed} repeats this with {voters} voters and {} workers: {error}", also.workers)
        })
    };
    if let Some(seed) = variable("SIMULATION_SEED") {
        let story = one(seed);
        println!("{}\n{story:?}", story.told.join("\n"));
        return;
    }
    let count = variable("SIMULATION_LIVES").map_or(count, |count| count as u32);
    let until = variable("SIMULATION_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (mut lived, mut confirmed, mut simulated) = (0, 0, Duration::ZERO);
    let (mut jobs, mut attempts) = (0, 0);
    let (mut slowest, mut caught_up, mut alive) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let before = processor_time();
    while lived < count || until.is_some_and(|until| Instant::now() < until) {
        // Short ones are easier to type.
        let story = one(rand::random::<u32>().into());
        lived += 1;
        confirmed += story.confirmed;
        jobs += story.jobs.0;
        attempts += story.jobs.1;
        slowest = slowest.max(story.recovered);
        caught_up = caught_up.max(story.caught_up);
        alive = alive.max(story.alive);
        simulated += story.lasted;
    }
    let spent = processor_time().saturating_sub(before);
    println!(
        "{lived} lives of {simulated:.0?} in {spent:.1?} of processor time, {confirmed} writes confirmed, {jobs} jobs done in \
         {attempts} attempts, recovered within {slowest:.1?}, \
         all caught up within {caught_up:.1?}, all alive within {alive:.1?}"
    );
}

/// A life that panics fails the test by itself, and one that does not end never does: what repeats it must be known then as well.
fn with_its_seed<T>(seed: u64, live: impl FnOnce() -> T) -> T {
    let (_over, ended) = mpsc::channel::<()>();
    thread::spawn(move || {
        if ended.recv_timeout(UNDECIDED) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("a life has not ended for {UNDECIDED:?}: SIMULATION_SEED={seed} repeats it");
        }
    });
    panic::catch_unwind(AssertUnwindSafe(live)).unwrap_or_else(|cause| {
        eprintln!("SIMULATION_SEED={seed} repeats this");
        panic::resume_unwind(cause)
    })
}

/// What this thread has used, and almost all is done on it.
fn processor_time() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().unwrap()
}

/// A whole cluster of 5 to 50 nodes, mostly of a few.
fn whole(seed: u64) -> (usize, Also) {
    let mut dice = StdRng::seed_from_u64(seed);
    let voters = dice.random_range(3..=7);
    let most = 50 - voters;
    let workers = (2.0 * (most as f64 / 2.0).powf(dice.random::<f64>().powi(2))) as usize;
    let (changed, wiped) = *[(false, false), (true, false), (false, true)].choose(&mut dice).unwrap();
    (voters, Also { workers, members: true, jobs: dice.random(), changed, wiped })
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
fn whole_clusters_whose_nodes_move_end_with_everybody_alive_to_everybody() {
    each(LIVES / 2, whole);
}

/// The largest, which take as long as ten others.
#[test]
fn so_do_those_of_50_nodes() {
    each(2, |_| (7, Also { workers: 43, members: true, ..Also::default() }));
}

#[test]
fn a_life_of_a_whole_cluster_is_repeated_exactly_from_its_seed() {
    let seed = rand::random::<u32>().into();
    let also = Also { changed: true, workers: 6, members: true, jobs: true, ..Also::default() };
    let (first, second) = (live(seed, 3, also), live(seed, 3, also));
    assert_eq!(first, second, "SIMULATION_SEED={seed}");
}

#[test]
fn a_life_is_repeated_exactly_from_its_seed() {
    let seed = rand::random::<u32>().into();
    let also = Also { changed: true, wiped: true, ..Also::default() };
    let (first, second) = (live(seed, 5, also), live(seed, 5, also));
    assert_eq!(first, second, "SIMULATION_SEED={seed}");
}
