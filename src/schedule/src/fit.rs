use std::cmp::Reverse;
use std::time::Duration;

use ringrift_config::Capability;
use ringrift_job::{Bytes, ClassName, GameConfig, GpuNeed, Kind, Needs};
use ringrift_state::{Assignment, Eligibility, Holder, Job};

use crate::ledger::Used;
use crate::strikes::Strikes;
use crate::{NodeView, PassedOver, Presence};

/// What decides where a job fits, besides its own wishes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) class: ClassName,
    pub(crate) kind: Kind,
    pub(crate) game: Option<GameConfig>,
}

impl Shape {
    pub(crate) fn of(job: &Job) -> Self {
        Self { class: job.class.clone(), kind: job.kind, game: job.game }
    }

    /// Whether the node may have such a job at all, and what the job then needs there.
    pub(crate) fn standing<'n>(
        &self,
        node: &'n NodeView,
        strikes: &Strikes,
        now: Duration,
    ) -> Result<&'n Needs, PassedOver> {
        takes_work(node)?;
        self.suits(node, strikes, now)
    }

    /// The same, with what the node would give. Whatever costs least is asked first: most nodes of a busy cluster are full.
    pub(crate) fn fits<'n>(
        &self,
        node: &'n NodeView,
        used: &Used,
        strikes: &Strikes,
        now: Duration,
    ) -> Result<(&'n Needs, Assignment), PassedOver> {
        takes_work(node)?;
        if used.slots >= node.slots {
            return Err(PassedOver::NoSlot { slots: node.slots });
        }
        let needs = self.suits(node, strikes, now)?;
        room(node, used, needs).map(|assignment| (needs, assignment))
    }

    fn suits<'n>(&self, node: &'n NodeView, strikes: &Strikes, now: Duration) -> Result<&'n Needs, PassedOver> {
        if !capable(&node.capabilities, self.kind) {
            return Err(PassedOver::Kind(self.kind));
        }
        if let Some(why) = &node.refuses {
            return Err(PassedOver::Refuses(why.clone()));
        }
        let Some(needs) = node.offer.get(&self.class) else {
            return Err(PassedOver::NotOffered(self.class.clone()));
        };
        if let Some(game) = self.game.filter(|game| needs.model && !node.models.contains(game)) {
            return Err(PassedOver::Model(game));
        }
        match strikes.blocked(&node.id, &self.class, now) {
            Some((why, left)) => Err(PassedOver::Blocked { why: why.to_owned(), left }),
            None => Ok(needs),
        }
    }
}

/// Whether it takes any work.
fn takes_work(node: &NodeView) -> Result<(), PassedOver> {
    match node.presence {
        Presence::Alive => {}
        Presence::Suspect => return Err(PassedOver::Suspect),
        Presence::Dead { .. } => return Err(PassedOver::Dead),
    }
    if !node.ready {
        return Err(PassedOver::NotReady);
    }
    match node.eligibility {
        Eligibility::Eligible => Ok(()),
        Eligibility::Cordoned => Err(PassedOver::Cordoned),
        Eligibility::Draining => Err(PassedOver::Draining),
    }
}

fn capable(capabilities: &[Capability], kind: Kind) -> bool {
    capabilities.iter().any(|capability| {
        matches!(
            (capability, kind),
            (Capability::Selfplay, Kind::Selfplay | Kind::Evaluation)
                | (Capability::Training, Kind::Training | Kind::Evaluation)
        )
    })
}

/// What the job would get of the node, if there is room.
pub(crate) fn room(node: &NodeView, used: &Used, needs: &Needs) -> Result<Assignment, PassedOver> {
    if used.slots >= node.slots {
        return Err(PassedOver::NoSlot { slots: node.slots });
    }
    let free = Bytes(node.memory_bytes.saturating_sub(used.memory));
    if node.memory_bytes > 0 && free < needs.memory {
        return Err(PassedOver::Memory { needs: needs.memory, free });
    }
    let (gpus, gpu_share) = used.gpus(node, needs.gpu, needs.vram.0).map_err(|free| PassedOver::Gpus {
        needs: if let GpuNeed::Whole(count) = needs.gpu { count } else { 1 },
        free,
    })?;
    Ok(Assignment { holder: Holder::Node(node.id.clone()), gpus, gpu_share, memory: needs.memory.0 })
}

/// How well a node suits: the larger, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Score {
    /// It has not given back any of the class lately.
    pub(crate) trusted: bool,
    /// Work without a GPU keeps away from nodes that have some.
    leaves_gpus: bool,
    /// Free slots in a thousand.
    free: u32,
    idle: Reverse<u32>,
    /// Among equals the first in the view.
    first: Reverse<usize>,
}

impl Score {
    pub(crate) fn of(node: &NodeView, at: usize, used: &Used, needs: &Needs, trusted: bool) -> Self {
        let free = node.slots.saturating_sub(used.slots).saturating_mul(1000) / node.slots.max(1);
        Self {
            trusted,
            leaves_gpus: needs.gpu != GpuNeed::None || node.gpus.is_empty(),
            free,
            idle: Reverse((node.load.clamp(0.0, 1.0) * 100.0) as u32),
            first: Reverse(at),
        }
    }
}
