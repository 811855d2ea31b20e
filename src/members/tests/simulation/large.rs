//! A cluster of the size we plan for, and what it costs.

use std::time::Duration;

use ringrift_members::State;

use crate::{
    node::{Death, Network},
    world::World,
};

/// Messages and bytes that each node sends per second, and the microseconds of CPU that this takes; the
/// simulation of the network is part of them.
fn cost(world: &mut World, seconds: u64) -> (f64, f64, f64) {
    let (before, cpu) = (world.traffic, thread_cpu());
    let size = world.nodes.len();
    for second in 0..seconds {
        // The daemon samples its host every five seconds; almost every sample differs.
        for node in (0..size).filter(|n| *n as u64 % 5 == second % 5) {
            world.set_card(node, second + 1);
        }
        world.run(Duration::from_secs(1));
    }
    let node_seconds = (size as u64 * seconds) as f64;
    let messages = (world.traffic.messages - before.messages) as f64 / node_seconds;
    let micros = thread_cpu().saturating_sub(cpu).as_secs_f64() * 1e6 / node_seconds;
    (messages, (world.traffic.bytes - before.bytes) as f64 / node_seconds, micros)
}

pub fn thread_cpu() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().unwrap()
}

#[test]
fn an_idle_cluster_costs_little() {
    for (size, seconds, most_messages, most_kilobytes) in [(5, 300, 18.0, 5.0), (43, 60, 18.0, 25.0)] {
        let mut world = World::formed(size, 1, Network::GOOD);
        let (messages, bytes, micros) = cost(&mut world, seconds);
        println!(
            "{size} nodes, facts change every 5 s: {messages:.1} messages, {bytes:.0} bytes, {micros:.0} µs of CPU per node and second"
        );
        assert!(messages < most_messages, "{size} nodes: {messages}");
        assert!(bytes < most_kilobytes * 1000.0, "{size} nodes: {bytes}");
    }
}

#[test]
fn a_thousand_nodes_see_a_death_within_8_seconds_at_10_percent_loss() {
    let mut world = World::new(1000, 1, Network::losing(0.1));
    (0..1000).for_each(|n| world.start(n));
    let formed = world.wait(Duration::from_mins(1), World::all_see_all).expect("1000 nodes find each other");
    world.run(Duration::from_secs(2));
    world.reports.clear();
    world.end(500, Death::PowerCut);
    let seen = world.wait(Duration::from_secs(20), |w| w.all_see(500, State::Dead)).expect("its death is seen by all");
    println!("1000 nodes, 10 % loss: formed after {formed:.2?}; a death is seen by all after {seen:.2?}");
    assert!(seen < Duration::from_secs(8), "{seen:?}");
    assert!(world.false_deaths().is_empty(), "{:?}", world.false_deaths());
}
