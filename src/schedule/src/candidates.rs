use std::collections::BinaryHeap;
use std::sync::Arc;

use ringrift_config::NodeId;
use ringrift_job::Needs;
use ringrift_state::Assignment;

use crate::fit::{Score, Shape, room};
use crate::ledger::Ledger;
use crate::strikes::Strikes;
use crate::{NodeView, PassedOver};

/// The nodes for one shape of jobs, best first.
///
/// All nodes are looked at once in a step; after that each placement costs what it takes to keep a heap in order. What was
/// computed of a node is computed anew when the node has got something meanwhile.
pub(crate) struct Candidates<'n> {
    heap: BinaryHeap<Candidate<'n>>,
    table: Arc<Table>,
}

/// Which nodes were passed over when a job was placed.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) passed: Vec<(NodeId, PassedOver)>,
    /// How many more were.
    pub(crate) more: usize,
    /// How many could have been chosen.
    pub(crate) possible: usize,
}

struct Candidate<'n> {
    score: Score,
    at: usize,
    version: u32,
    needs: &'n Needs,
}

impl Table {
    /// So many nodes are remembered by name with each decision.
    const MAX_NAMED: usize = 64;
}

impl<'n> Candidates<'n> {
    pub(crate) fn of(
        shape: &Shape,
        nodes: &'n [NodeView],
        ledger: &Ledger<'_>,
        strikes: &Strikes,
        now: std::time::Duration,
    ) -> Self {
        let mut table = Table::default();
        let mut found = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            let used = ledger.used(at);
            match shape.fits(node, used, strikes, now) {
                Ok((needs, _)) => {
                    let score = Score::of(node, at, used, needs, strikes.none(&node.id, &shape.class));
                    found.push(Candidate { score, at, version: ledger.version(at), needs });
                }
                Err(why) if table.passed.len() < Table::MAX_NAMED => table.passed.push((node.id.clone(), why)),
                Err(_) => table.more += 1,
            }
        }
        table.possible = found.len();
        Self { heap: found.into(), table: Arc::new(table) }
    }

    /// The best node that may have the job, and what it gets there.
    pub(crate) fn pick(
        &mut self,
        nodes: &[NodeView],
        ledger: &Ledger<'_>,
        may: impl Fn(&NodeId) -> bool,
    ) -> Option<Assignment> {
        let mut put_aside = Vec::new();
        let mut picked = None;
        while let Some(candidate) = self.heap.pop() {
            let (node, used) = (&nodes[candidate.at], ledger.used(candidate.at));
            let version = ledger.version(candidate.at);
            let Ok(assignment) = room(node, used, candidate.needs) else { continue };
            if candidate.version != version {
                let score = Score::of(node, candidate.at, used, candidate.needs, candidate.score.trusted);
                self.heap.push(Candidate { score, version, ..candidate });
                continue;
            }
            let suits = may(&node.id);
            put_aside.push(candidate);
            if suits {
                picked = Some(assignment);
                break;
            }
        }
        self.heap.extend(put_aside);
        picked
    }

    pub(crate) fn table(&self) -> &Arc<Table> {
        &self.table
    }
}

impl PartialEq for Candidate<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.score == other.score
    }
}

impl Eq for Candidate<'_> {}

impl PartialOrd for Candidate<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.score.cmp(&other.score)
    }
}
