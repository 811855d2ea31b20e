use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ringrift_config::NodeId;

/// What a node says about the current version of a model. One that says nothing is not in the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldState {
    /// It has verified all bytes and shows them under the model's name.
    Verified,
    /// Some are missing.
    Fetching {
        /// Bytes that it has verified.
        have: u64,
        /// Bytes of the model.
        of: u64,
    },
    /// It cannot go on without somebody's help, for example because its disk is full.
    Stuck {
        /// Why, in a few words.
        reason: String,
    },
}

/// How a distribution stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Not everybody has it yet.
    Running {
        /// Eligible nodes that have.
        verified: usize,
        /// Eligible nodes.
        eligible: usize,
    },
    /// Every eligible node has verified it.
    Complete {
        /// These nodes.
        succeeded: BTreeSet<NodeId>,
    },
    /// Somebody has not, and waiting longer is no use or took too long.
    Failed {
        /// Who has.
        succeeded: BTreeSet<NodeId>,
        /// Who has not, and why.
        failed: BTreeMap<NodeId, String>,
    },
}

/// How a distribution stands at `now` that began at `started`; both on the leader's monotonic clock, from any epoch.
///
/// It is complete when **every** eligible node has verified the digest, however late. It has failed when one has not after
/// `deadline`, or sooner when all that have not are stuck. While no eligible node is known it runs: a leader that has just been
/// elected has not heard of anybody yet.
pub fn distribution_verdict(
    now: Duration,
    started: Duration,
    eligible: &BTreeSet<NodeId>,
    holdings: &BTreeMap<NodeId, HeldState>,
    deadline: Duration,
) -> Verdict {
    let mut succeeded = BTreeSet::new();
    let mut failed = BTreeMap::new();
    let mut all_stuck = true;
    for node in eligible {
        let reason = match holdings.get(node) {
            Some(HeldState::Verified) => {
                succeeded.insert(node.clone());
                continue;
            }
            Some(HeldState::Stuck { reason }) => reason.clone(),
            Some(HeldState::Fetching { have, of }) => {
                all_stuck = false;
                format!("has {have} of {of} bytes")
            }
            None => {
                all_stuck = false;
                "has not said that it has it".to_owned()
            }
        };
        failed.insert(node.clone(), reason);
    }
    let late = now.saturating_sub(started) >= deadline;
    if eligible.is_empty() || !(failed.is_empty() || all_stuck || late) {
        return Verdict::Running { verified: succeeded.len(), eligible: eligible.len() };
    }
    if failed.is_empty() { Verdict::Complete { succeeded } } else { Verdict::Failed { succeeded, failed } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> NodeId {
        text.parse().unwrap()
    }

    fn verdict(seconds: u64, eligible: &[&str], holdings: &[(&str, HeldState)]) -> Verdict {
        let eligible = eligible.iter().map(|node| id(node)).collect();
        let holdings = holdings.iter().map(|(node, held)| (id(node), held.clone())).collect();
        let started = Duration::from_secs(1000);
        let deadline = Duration::from_mins(10);
        distribution_verdict(started + Duration::from_secs(seconds), started, &eligible, &holdings, deadline)
    }

    #[test]
    fn complete_means_every_eligible_node() {
        use HeldState::{Fetching, Stuck, Verified};
        let nodes = &["a", "b", "c"][..];
        let half = Fetching { have: 5, of: 10 };
        let full = Stuck { reason: "its disk is full".to_owned() };
        let all = [("a", Verified), ("b", Verified), ("c", Verified), ("stranger", half.clone())];
        assert_eq!(verdict(1, nodes, &all), Verdict::Complete { succeeded: nodes.iter().map(|n| id(n)).collect() });
        // However late.
        assert!(matches!(verdict(9999, nodes, &all), Verdict::Complete { .. }));
        let running = Verdict::Running { verified: 2, eligible: 3 };
        let without = |state: HeldState| [("a", Verified), ("b", Verified), ("c", state)];
        assert_eq!(verdict(599, nodes, &all[..2]), running);
        assert_eq!(verdict(599, nodes, &without(half.clone())), running);
        for (seconds, holdings, why) in [
            (600, &all[..2], "has not said that it has it"),
            (600, &without(half.clone())[..], "has 5 of 10 bytes"),
            (1, &without(full.clone())[..], "its disk is full"),
        ] {
            let expected =
                Verdict::Failed { succeeded: [id("a"), id("b")].into(), failed: [(id("c"), why.to_owned())].into() };
            assert_eq!(verdict(seconds, nodes, holdings), expected);
        }
        // One that is stuck does not end it while another still fetches.
        let mixed = [("a", Verified), ("b", half), ("c", full)];
        assert_eq!(verdict(1, nodes, &mixed), Verdict::Running { verified: 1, eligible: 3 });
    }

    #[test]
    fn without_a_known_node_nothing_is_complete_or_failed() {
        assert_eq!(verdict(9999, &[], &[("a", HeldState::Verified)]), Verdict::Running { verified: 0, eligible: 0 });
    }

    #[test]
    fn a_clock_that_steps_back_fails_nobody() {
        let eligible = [id("a")].into();
        let second = Duration::from_secs(1);
        let verdict = distribution_verdict(second, 9 * second, &eligible, &BTreeMap::new(), second);
        assert_eq!(verdict, Verdict::Running { verified: 0, eligible: 1 });
    }
}
