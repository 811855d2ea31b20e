use std::{fmt, time::Duration};

use super::{
    node::{Behaviour, Spec},
    world::World,
};

/// What a run came to. Times are over the fluid limit, bytes over those that were needed.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    pub last: f64,
    pub median: f64,
    /// From the promotion of a blob to its completion, mean over blobs and nodes.
    pub mean: f64,
    /// The same of the last blob alone.
    pub newest: f64,
    /// Seconds.
    pub limit: f64,
    pub seed_copies: f64,
    pub duplicates: f64,
    /// Requests that were refused, of all.
    pub refused: f64,
}

/// The shortest time, seconds, in which node 0 can bring so many bytes to all others, if bytes could be cut as fine as one likes.
pub fn fluid(specs: &[Spec], bytes: u64) -> f64 {
    let size = bytes as f64;
    let others = &specs[1..];
    let slowest = others.iter().map(|spec| spec.down).fold(f64::INFINITY, f64::min);
    let up: f64 = specs.iter().map(|spec| spec.up).sum();
    (size / specs[0].up).max(size / slowest).max(others.len() as f64 * size / up)
}

impl Outcome {
    /// Of all blobs of a world in which everybody is done, over a limit in seconds. Who started later counts from then.
    pub fn of(world: &World, since: Duration, limit: f64) -> Self {
        let size: u64 = world.blobs.iter().map(|blob| blob.size).sum();
        let honest =
            world.nodes[1..].iter().filter(|node| node.planner.is_some() && node.spec.behaviour == Behaviour::Honest);
        let mut times: Vec<f64> = honest
            .filter_map(|node| Some((node, node.done.iter().copied().flatten().max()?)))
            .map(|(node, done)| done.saturating_sub(since.max(node.started)).as_secs_f64() / limit)
            .collect();
        let mut mean = (0.0, 0);
        for node in &world.nodes[1..] {
            for (done, promoted) in node.done.iter().zip(&world.promoted) {
                if let (Some(done), Some(promoted)) = (done, promoted) {
                    mean = (mean.0 + done.saturating_sub(*promoted).as_secs_f64() / limit, mean.1 + 1);
                }
            }
        }
        times.sort_by(f64::total_cmp);
        let received: u64 = world.nodes.iter().map(|node| node.received).sum();
        let wasted: u64 = world.nodes.iter().map(|node| node.wasted).sum();
        let refused: u64 = world.nodes.iter().map(|node| node.refused).sum();
        Self {
            last: times.last().copied().unwrap_or(f64::NAN),
            median: times.get(times.len() / 2).copied().unwrap_or(f64::NAN),
            mean: mean.0 / f64::from(mean.1),
            newest: node_mean(world, limit),
            limit,
            seed_copies: world.nodes[0].sent as f64 / size as f64,
            duplicates: wasted as f64 / (received - wasted).max(1) as f64,
            refused: refused as f64 / world.requests.max(1) as f64,
        }
    }
}

fn node_mean(world: &World, limit: f64) -> f64 {
    let promoted = world.promoted.iter().copied().flatten().max().unwrap_or_default();
    let done: Vec<f64> = world.nodes[1..]
        .iter()
        .filter_map(|node| node.done.last().copied().flatten())
        .map(|done| done.saturating_sub(promoted).as_secs_f64() / limit)
        .collect();
    done.iter().sum::<f64>() / done.len() as f64
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { last, median, limit, seed_copies, duplicates, refused, .. } = self;
        write!(
            f,
            "last {last:.3}, median {median:.3} of {limit:.2} s; seed {seed_copies:.3} copies; {:.2} % twice; {:.1} % refused",
            duplicates * 100.0,
            refused * 100.0
        )
    }
}
