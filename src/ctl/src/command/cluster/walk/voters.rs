use std::cell::RefCell;

use ringrift_api::VotersReport;
use ringrift_config::NodeId;

use super::{Course, FewVoters, Plan, Walk, Work};

impl<W: Work> Walk<'_, W> {
    /// One by one, whoever leads at that moment last, and only while the quorum has one to spare.
    pub(super) async fn voters(&self, plan: &Plan, course: &RefCell<Course>) -> Result<(), String> {
        let mut left = plan.voters.clone();
        while !left.is_empty() {
            let back = self.back.as_ref().ok_or("no daemon says how far the voters are")?;
            let report = back.voters().await?;
            let place = left.iter().position(|id| report.leader_id.as_ref() != Some(id)).unwrap_or(0);
            let node = left.remove(place);
            match (margin(&report, &node), self.few_voters) {
                (Ok(()), _) | (Err(Lacking { few: true, .. }), FewVoters::GoOn) => {}
                (Err(Lacking { few: true, why }), FewVoters::Stop(advice)) => return Err(format!("{why}; {advice}")),
                (Err(lacking), _) => return Err(lacking.why),
            }
            // A single voter has nobody to hand it to.
            if report.leader_id.as_ref() == Some(&node) && report.voters.len() > 1 {
                back.give_up_leadership(&node).await?;
            }
            self.step(std::slice::from_ref(&node), course).await?;
        }
        Ok(())
    }
}

/// The quorum cannot spare a voter.
#[derive(Debug, PartialEq, Eq)]
struct Lacking {
    why: String,
    /// All voters are alive and there is a quorum: there are just so few of them.
    few: bool,
}

/// Whether the quorum outlives the loss of this voter.
fn margin(report: &VotersReport, node: &NodeId) -> Result<(), Lacking> {
    let counted = report.voters.iter().any(|voter| voter.node_id == *node && voter.alive);
    let left = report.voters_alive.saturating_sub(u32::from(counted));
    let led = report.leader_id.is_some() && report.quorum_ok;
    if led && left >= report.quorum_size {
        return Ok(());
    }
    let dead: Vec<&str> =
        report.voters.iter().filter(|voter| !voter.alive).map(|voter| voter.node_id.as_str()).collect();
    let missing = if dead.is_empty() { String::new() } else { format!("; missing already: {}", dead.join(", ")) };
    let why = format!(
        "without {node} only {left} of {} voters would be alive, and {} are needed{missing}",
        report.voters.len(),
        report.quorum_size,
    );
    Err(Lacking { why, few: led && dead.is_empty() })
}

#[cfg(test)]
mod tests {
    use ringrift_api::VoterEntry;

    use super::*;

    fn report(alive: &[bool], leader: bool) -> VotersReport {
        let id = |place: usize| -> NodeId { format!("v{place}").parse().unwrap_or_else(|_| unreachable!("a name")) };
        let count = alive.iter().filter(|alive| **alive).count() as u32;
        let quorum_size = alive.len() as u32 / 2 + 1;
        VotersReport {
            success: true,
            node_id: id(0),
            leader_id: leader.then(|| id(0)),
            term: 1,
            committed: 9,
            config_index: 1,
            quorum_size,
            voters_alive: count,
            quorum_ok: count >= quorum_size,
            quorum_threatened: count <= quorum_size,
            voters: alive
                .iter()
                .enumerate()
                .map(|(place, alive)| VoterEntry {
                    node_id: id(place),
                    alive: *alive,
                    is_leader: place == 0,
                    matched: Some(9),
                    lag: Some(0),
                    detail: String::new(),
                })
                .collect(),
            pending: Vec::new(),
        }
    }

    #[test]
    fn a_voter_is_restarted_only_while_the_quorum_can_spare_it() {
        let (f, t) = (false, true);
        for (alive, node, leader, allowed) in [
            (vec![t, t, t], "v1", t, t),
            (vec![t, t, f], "v1", t, f),
            // One that is not counted takes nothing away.
            (vec![t, t, f], "v2", t, t),
            (vec![t, t, t, t, f], "v1", t, t),
            (vec![t, t, t, f, f], "v1", t, f),
            (vec![t, t, t], "v1", f, f),
            (vec![t], "v0", t, f),
            (vec![t, t], "v1", t, f),
        ] {
            let found = margin(&report(&alive, leader), &node.parse().unwrap_or_else(|_| unreachable!("a name")));
            assert_eq!(found.is_ok(), allowed, "{alive:?} {node}: {found:?}");
        }
        let why = margin(&report(&[t, t, f], t), &"v1".parse().unwrap_or_else(|_| unreachable!("a name")));
        let why = why.map_err(|lacking| (lacking.why, lacking.few));
        let sentence = "without v1 only 1 of 3 voters would be alive, and 2 are needed; missing already: v2";
        assert_eq!(why, Err((sentence.to_owned(), false)));
        let few = margin(&report(&[t, t], t), &"v1".parse().unwrap_or_else(|_| unreachable!("a name")));
        assert!(few.is_err_and(|lacking| lacking.few), "two voters are all there");
    }
}
