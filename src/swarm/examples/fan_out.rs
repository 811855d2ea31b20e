//! Fan-outs in virtual time: how long until the last node has everything, over the fluid limit.
//!
//! `cargo run --release -p ringrift-swarm --example fan_out [part of a name]`
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../tests/simulation/sim/mod.rs"]
mod sim;

use ringrift_swarm::Order;
use sim::{Case, cases, chain, slow_chain, star, thousand, twelfth, twelve};

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let seeds: u64 = std::env::args().nth(2).and_then(|seeds| seeds.parse().ok()).unwrap_or(3);
    println!("| Case | limit | last | median | seed copies | twice | refused | per step |");
    println!("|---|---|---|---|---|---|---|---|");
    let compared = [star(), chain(), slow_chain(), thousand()];
    for case in cases().into_iter().chain(compared).chain(orders()).filter(|case| case.name.contains(&only)) {
        let big = case.specs.len() > 100;
        row(&case, if big { 1 } else { seeds });
    }
}

fn orders() -> Vec<Case> {
    let orders = [Order::SmallestRemaining, Order::Newest, Order::Rarest];
    orders.into_iter().flat_map(|order| [twelve(42).order(order), twelfth(42).order(order)]).collect()
}

/// The worst of some seeds, but the mean of what is not a target.
fn row(case: &Case, seeds: u64) {
    let (mut last, mut median, mut copies, mut twice, mut refused, mut step) =
        (0_f64, 0_f64, 0_f64, 0_f64, 0_f64, 0_f64);
    let mut blobs = 0.0;
    let mut newest = 0.0;
    for seed in 0..seeds {
        let (world, outcome) = case.run(seed, true);
        last = last.max(outcome.last);
        median = median.max(outcome.median);
        copies = copies.max(outcome.seed_copies);
        twice = twice.max(outcome.duplicates);
        refused = refused.max(outcome.refused);
        step += world.in_steps.as_nanos() as f64 / world.steps as f64 / seeds as f64;
        blobs += outcome.mean / seeds as f64;
        newest += outcome.newest / seeds as f64;
    }
    println!(
        "| {}{} | {:.1} s | {last:.3} | {median:.3} | {copies:.2} | {:.2} % | {:.1} % | {step:.0} ns |",
        case.name,
        if case.sizes.len() > 1 {
            format!(", {:?}: a model after {blobs:.3}, the newest after {newest:.3}", case.order)
        } else {
            String::new()
        },
        case.limit(),
        twice * 100.0,
        refused * 100.0,
    );
}
