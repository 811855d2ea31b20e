//! How a voter without a log comes into its cluster: it founds one with the others, or joins the one that there is.
//!
//! The danger is a voter that lost its disk. Raft counts on every voter keeping its promises (votes given, entries taken
//! in); one that forgot them can make a second leader in a term, or lose what was agreed. So a voter with an empty disk
//!
//! - first asks the others. If one of them belongs to a cluster, it never founds another one;
//! - joins as one that may have forgotten something. A promise that mattered was made together with a quorum, so
//!   every quorum's worth of the others less one knows of it: once `n - quorum + 1` of them have answered, no leader of a term
//!   before the newest that they know can still need it, and nothing behind the furthest end of their logs can have
//!   been agreed on with its help. Until it holds that much, from a leader of that term or later, it does not vote. And not before
//!   two election timeouts have passed either: a candidate of its forgotten vote has given up by then;
//! - does not found either when one of the others holds a leader's entries already: it may have helped to elect that one;
//! - founds only together with a majority of the founding set that knows of no cluster, and, as long as there is any
//!   hope that the rest will answer, together with all.
//!
//! A founder that is a moment late finds the others with a log already, and looks like one that lost its disk. It is told apart by
//! the others' word: each voter has a number for its life, from the start of its process to its end, and remembers
//! whose lives it met before it had promised anything. Whoever says "I met this life of yours" has had an empty log since
//! then, so nothing that it holds can rest on a promise of an earlier life. When all the others say so, or are empty still,
//! there is nothing to have forgotten, and the late founder votes at once.

use std::collections::{BTreeMap, BTreeSet};

use ringrift_config::NodeId;

use crate::{
    error::list,
    gate::founding_name,
    wire::{Greeting, Part},
};

/// What the others have answered.
pub(crate) type Answers = BTreeMap<NodeId, Greeting>;

/// What a voter with an empty disk does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Founds the cluster.
    Found,
    /// Joins this one.
    Join(String),
    /// Asks again; says what it waits for.
    Wait(String),
    /// Asks again, but somebody must correct something first; says what.
    Refuse(String),
}

/// A voter with an empty disk that looks for its way into a cluster.
#[derive(Debug)]
pub(crate) struct Newcomer<'a> {
    node: &'a NodeId,
    life: u64,
    genesis: &'a BTreeSet<NodeId>,
    founding: String,
    /// Others that have had an empty log at some time since this life began: nothing that they hold can rest on a promise of
    /// an earlier life.
    clean: BTreeSet<NodeId>,
}

impl<'a> Newcomer<'a> {
    /// `life` tells this process from an earlier one of the same name; `genesis` is whom it would found a cluster with,
    /// itself included.
    pub(crate) fn new(node: &'a NodeId, life: u64, genesis: &'a BTreeSet<NodeId>) -> Self {
        Self { node, life, genesis, founding: founding_name(genesis), clean: BTreeSet::new() }
    }

    /// What to do next. `patient` as long as those who did not answer may still do so.
    pub(crate) fn next_step(&mut self, answers: &Answers, patient: bool) -> Step {
        let begins_alike = |greeting: &Greeting| greeting.cluster.split('-').next() == Some(&*self.founding);
        for (who, greeting) in answers {
            let empty = greeting.part == Part::Fresh || greeting.met.get(self.node) == Some(&self.life);
            if empty && begins_alike(greeting) && greeting.genesis == *self.genesis {
                self.clean.insert(who.clone());
            }
        }
        let owes_nothing = self.genesis.iter().all(|voter| voter == self.node || self.clean.contains(voter));
        if owes_nothing && answers.values().all(begins_alike) {
            return Step::Found;
        }
        from_outside(self.node, self.genesis, answers, patient)
    }
}

/// What a voter does next that may have lost its disk, for all that the others know.
fn from_outside(node: &NodeId, genesis: &BTreeSet<NodeId>, answers: &Answers, patient: bool) -> Step {
    let clusters: BTreeMap<&str, BTreeSet<NodeId>> = answers
        .iter()
        .filter(|(_, greeting)| greeting.part == Part::Member)
        .fold(BTreeMap::new(), |mut clusters, (who, greeting)| {
            clusters.entry(&*greeting.cluster).or_default().insert(who.clone());
            clusters
        });
    match &*clusters.iter().collect::<Vec<_>>() {
        [] => {}
        [(cluster, _)] => return Step::Join((**cluster).to_owned()),
        [(one, of_one), (other, of_other), ..] => {
            return Step::Refuse(format!(
                "the other voters belong to different clusters: {} to {one}, {} to {other}; remove the state of the voters \
                 of the wrong one (see docs/operations.md)",
                list(of_one),
                list(of_other)
            ));
        }
    }
    let differs =
        |greeting: &&Greeting| matches!(greeting.part, Part::Fresh | Part::Founder) && greeting.genesis != *genesis;
    if let Some((who, greeting)) = answers.iter().find(|(_, greeting)| differs(greeting)) {
        return Step::Refuse(format!(
            "the hosts files differ: here the voters are {}, on {who} they are {}; give all voters the same p2p_voters",
            list(genesis),
            list(&greeting.genesis)
        ));
    }
    let begun =
        |greeting: &Greeting| greeting.part == Part::Founder && greeting.last.is_some_and(|last| last.index > 0);
    if let Some((who, _)) = answers.iter().find(|(_, greeting)| begun(greeting)) {
        return Step::Wait(format!(
            "waiting for the cluster to agree on its name: {who} has heard of a leader already"
        ));
    }
    let with: BTreeSet<NodeId> = answers
        .iter()
        .filter(|(who, greeting)| genesis.contains(*who) && matches!(greeting.part, Part::Fresh | Part::Founder))
        .map(|(who, _)| who.clone())
        .chain([node.clone()])
        .collect();
    let needed = genesis.len() / 2 + 1;
    let missing = genesis - &with;
    if missing.is_empty() || (with.len() >= needed && !patient) {
        return Step::Found;
    }
    Step::Wait(format!(
        "waiting for the founding voters {}: {} of {} are here",
        list(&missing),
        with.len(),
        genesis.len()
    ))
}

/// Until where a joining voter must have caught up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Floor {
    /// Leaders of earlier terms may be outdated.
    pub(crate) term: u64,
    /// Entries up to here may have been agreed on with its forgotten help.
    pub(crate) index: u64,
}

/// Until where a voter that joins `cluster` must have caught up, or whose answers are missing, as a sentence.
pub(crate) fn floor(node: &NodeId, cluster: &str, answers: &Answers) -> Result<Floor, String> {
    let founders = cluster.split('-').next();
    let knowing: BTreeMap<&NodeId, &Greeting> = answers
        .iter()
        .filter(|(_, greeting)| match greeting.part {
            Part::Member => greeting.cluster == cluster,
            Part::Founder => greeting.cluster.split('-').next() == founders,
            Part::Fresh | Part::Joining => false,
        })
        .collect();
    let Some(newest) = knowing.values().max_by_key(|greeting| greeting.voters_at) else {
        return Err(format!("catching up: no member of cluster {cluster} answers"));
    };
    for set in &newest.voters.sets {
        let others: BTreeSet<NodeId> = set.iter().filter(|voter| *voter != node).cloned().collect();
        let silent: BTreeSet<NodeId> = others.iter().filter(|voter| !knowing.contains_key(voter)).cloned().collect();
        // Any quorum less this node meets those who answered.
        let needed = set.len() - (set.len() / 2 + 1) + 1;
        if others.len() - silent.len() < needed {
            return Err(format!(
                "catching up: {needed} of the voters {} must answer before this one may vote again; {} do not",
                list(&others),
                list(&silent)
            ));
        }
    }
    let term = knowing.values().map(|greeting| greeting.term).max().unwrap_or(0);
    let index = knowing.values().filter_map(|greeting| greeting.last).map(|last| last.index).max().unwrap_or(0);
    Ok(Floor { term, index })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{LogPos, VoterSets};

    fn id(name: &str) -> NodeId {
        name.parse().unwrap()
    }

    fn set(names: &str) -> BTreeSet<NodeId> {
        names.split_whitespace().map(id).collect()
    }

    fn greeting(part: Part, genesis: &str, cluster: &str) -> Greeting {
        Greeting {
            part,
            genesis: set(genesis),
            cluster: cluster.into(),
            term: 0,
            last: None,
            voters: VoterSets::default(),
            voters_at: None,
            life: 0,
            met: BTreeMap::new(),
        }
    }

    fn member(term: u64, last: u64, voters: &[&str], at: u64) -> Greeting {
        Greeting {
            term,
            last: Some(LogPos { term, index: last }),
            voters: VoterSets { sets: voters.iter().map(|v| set(v)).collect(), learners: BTreeSet::new() },
            voters_at: Some(LogPos { term: 0, index: at }),
            ..greeting(Part::Member, "a b c", "f-1")
        }
    }

    fn answers(list: &[(&str, Greeting)]) -> Answers {
        list.iter().map(|(who, greeting)| (id(who), greeting.clone())).collect()
    }

    fn step(genesis: &str, list: &[(&str, Greeting)], patient: bool) -> Step {
        Newcomer::new(&id("a"), 7, &set(genesis)).next_step(&answers(list), patient)
    }

    #[test]
    fn all_fresh_founders_found_at_once_and_a_majority_after_its_patience() {
        let fresh = || greeting(Part::Fresh, "a b c", "f");
        assert_eq!(step("a", &[], true), Step::Found);
        assert_eq!(step("a b c", &[("b", fresh()), ("c", fresh())], true), Step::Found);
        assert!(matches!(step("a b c", &[("b", fresh())], true), Step::Wait(_)));
        assert_eq!(step("a b c", &[("b", fresh())], false), Step::Found);
        assert!(matches!(step("a b c", &[], false), Step::Wait(_)));
        let four = || greeting(Part::Founder, "a b c d", "f");
        assert!(matches!(step("a b c d", &[("b", four())], false), Step::Wait(_)), "two of four are no majority");
        assert_eq!(step("a b c d", &[("b", four()), ("d", four())], false), Step::Found);
    }

    #[test]
    fn who_only_catches_up_or_is_no_founder_does_not_count_as_a_founder() {
        let joining = greeting(Part::Joining, "a b c", "f-1");
        assert!(matches!(step("a b c", &[("b", joining)], false), Step::Wait(_)));
        let stranger = greeting(Part::Fresh, "a b c", "f");
        assert!(matches!(step("a b c", &[("x", stranger)], false), Step::Wait(_)));
    }

    #[test]
    fn a_founder_that_holds_a_leaders_entries_is_not_founded_with() {
        let begun = Greeting { last: Some(LogPos { term: 1, index: 1 }), ..greeting(Part::Founder, "a b c", "f") };
        let fresh = || greeting(Part::Fresh, "a b c", "f");
        assert!(matches!(step("a b c", &[("b", begun), ("c", fresh())], false), Step::Wait(_)));
        let begun = Greeting { last: Some(LogPos { term: 0, index: 0 }), ..greeting(Part::Founder, "a b c", "f") };
        assert_eq!(step("a b c", &[("b", begun), ("c", fresh())], false), Step::Found);
    }

    #[test]
    fn a_late_founder_is_told_from_one_that_lost_its_disk_by_all_others_that_met_it_before_they_began() {
        let name = format!("{}-1", founding_name(&set("a b c")));
        let begun = |life| Greeting {
            cluster: name.clone(),
            met: BTreeMap::from([(id("a"), life)]),
            ..member(1, 5, &["a b c"], 0)
        };
        let fresh = || greeting(Part::Fresh, "a b c", &founding_name(&set("a b c")));
        assert_eq!(step("a b c", &[("b", begun(7)), ("c", begun(7))], true), Step::Found);
        assert_eq!(step("a b c", &[("b", begun(7)), ("c", fresh())], true), Step::Found);
        let join = || Step::Join(name.clone());
        assert_eq!(step("a b c", &[("b", begun(7)), ("c", begun(6))], true), join(), "c met an earlier life");
        assert_eq!(step("a b c", &[("b", begun(7))], false), join(), "c may hold what an earlier life promised");
        let unmet = Greeting { met: BTreeMap::new(), ..begun(7) };
        assert_eq!(step("a b c", &[("b", begun(7)), ("c", unmet)], true), join());
        let grown = Greeting { genesis: set("a b d"), ..begun(7) };
        assert_eq!(step("a b c", &[("b", begun(7)), ("c", grown)], true), join(), "c began with others");

        let (a, genesis) = (id("a"), set("a b c"));
        let mut a = Newcomer::new(&a, 7, &genesis);
        assert!(matches!(a.next_step(&answers(&[("b", fresh())]), true), Step::Wait(_)));
        let later = answers(&[("b", Greeting { met: BTreeMap::new(), ..begun(7) }), ("c", begun(7))]);
        assert_eq!(a.next_step(&later, true), Step::Found, "b was empty a moment ago");

        let other = Greeting { cluster: "g-1".into(), ..begun(7) };
        assert!(matches!(step("a b c", &[("b", begun(7)), ("c", other)], true), Step::Refuse(_)));
    }

    #[test]
    fn a_cluster_that_exists_is_joined_whatever_the_others_say() {
        let list = [("b", greeting(Part::Member, "b", "f-1")), ("c", greeting(Part::Fresh, "a b c", "g"))];
        assert_eq!(step("a b c", &list, false), Step::Join("f-1".into()));
    }

    #[test]
    fn different_founding_sets_and_different_clusters_are_refused_by_name() {
        let Step::Refuse(why) = step("a b c", &[("b", greeting(Part::Fresh, "b c d", "g"))], false) else { panic!() };
        assert!(why.contains("a, b, c") && why.contains("b, c, d") && why.contains("on b"), "{why}");
        let two = [("b", greeting(Part::Member, "", "f-1")), ("c", greeting(Part::Member, "", "g-2"))];
        let Step::Refuse(why) = step("a b c", &two, false) else { panic!() };
        assert!(why.contains("b to f-1") && why.contains("c to g-2"), "{why}");
    }

    #[test]
    fn a_voter_that_lost_its_disk_needs_every_quorum_less_itself_to_have_answered() {
        let three = |term, last| member(term, last, &["a b c"], 0);
        assert!(floor(&id("a"), "f-1", &answers(&[("b", three(3, 9))])).is_err(), "c may know more");
        let both = answers(&[("b", three(3, 9)), ("c", three(4, 7))]);
        assert_eq!(floor(&id("a"), "f-1", &both), Ok(Floor { term: 4, index: 9 }));

        let five = |term, last| member(term, last, &["a b c d e"], 0);
        let two = answers(&[("b", five(1, 1)), ("c", five(1, 1))]);
        assert!(floor(&id("a"), "f-1", &two).is_err());
        let three = answers(&[("b", five(1, 1)), ("c", five(1, 1)), ("d", five(2, 8))]);
        assert_eq!(floor(&id("a"), "f-1", &three), Ok(Floor { term: 2, index: 8 }));
    }

    #[test]
    fn the_newest_voter_sets_decide_who_must_answer() {
        let old = member(1, 5, &["a b c"], 0);
        let joint = member(1, 6, &["a b c", "a d e"], 6);
        let list = answers(&[("b", old), ("c", joint.clone())]);
        assert!(floor(&id("a"), "f-1", &list).unwrap_err().contains("d, e"));
        let list = answers(&[("b", joint.clone()), ("c", joint.clone()), ("d", joint.clone()), ("e", joint)]);
        assert_eq!(floor(&id("a"), "f-1", &list), Ok(Floor { term: 1, index: 6 }));
    }

    #[test]
    fn answers_of_other_clusters_and_of_those_who_catch_up_themselves_count_for_nothing() {
        let foreign = Greeting { cluster: "g-9".into(), ..member(9, 9, &["a b c"], 0) };
        let joining = Greeting { part: Part::Joining, ..member(9, 9, &["a b c"], 0) };
        assert!(floor(&id("a"), "f-1", &answers(&[("b", foreign), ("c", joining)])).is_err());
    }
}
