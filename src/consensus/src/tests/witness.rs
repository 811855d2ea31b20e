//! Sees what the voters of a life do, all of them over all their lives, and says what must never be.

mod jobs;
mod members;
mod workers;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use ringrift_state::{EntryMeta, Update, encode};

use self::{jobs::Jobs, workers::Workers};
use super::cluster::{Cluster, number};
use crate::{Committed, Consensus, RaftStatus, Role};

/// What somebody has applied at an index.
#[derive(PartialEq)]
struct Entry {
    term: u64,
    /// The command's encoding; empty where there is none.
    command: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    entries: BTreeMap<u64, (Entry, String)>,
    /// Where each number was applied.
    numbers: BTreeMap<u64, u64>,
    /// Numbers that were confirmed, with their terms and indexes.
    confirmed: BTreeMap<u64, (u64, u64)>,
    leaders: BTreeMap<u64, String>,
    /// The newest term that each voter has told of, which its disk keeps.
    terms: BTreeMap<String, u64>,
    /// The newest run of each voter.
    voters: BTreeMap<String, Consensus>,
    workers: Workers,
    jobs: Jobs,
    broken: Option<String>,
}

/// The term in which a voter is. It tells of it a moment later.
fn term(voter: &Consensus) -> u64 {
    voter.inner.service.store.mirror().vote.as_ref().map_or(0, |vote| vote.leader_id.term)
}

impl Seen {
    fn broken(&mut self, what: impl FnOnce() -> String) {
        self.broken.get_or_insert_with(what);
    }

    fn applied(&mut self, who: &str, EntryMeta { term, index }: EntryMeta, number: Option<u64>, command: Vec<u8>) {
        let entry = Entry { term, command };
        match self.entries.get(&index) {
            Some((known, other)) if *known != entry => {
                let what = format!("{who} and {other} applied different entries at {index}");
                self.broken(|| what);
            }
            Some(_) => {}
            None => drop(self.entries.insert(index, (entry, who.to_owned()))),
        }
        let Some(number) = number else { return };
        let first = *self.numbers.entry(number).or_insert(index);
        if first != index {
            self.broken(|| format!("{who} applied {number} at {index}, and it was applied at {first} before"));
        }
        if let Some(confirmed) = self.confirmed.get(&number).filter(|at| **at != (term, index)).copied() {
            self.broken(|| format!("{number} was confirmed at {confirmed:?}, and {who} has it at {:?}", (term, index)));
        }
    }
}

/// What was seen. Clones see the same.
#[derive(Clone, Default)]
pub(crate) struct Witness(Arc<Mutex<Seen>>);

impl Witness {
    /// What must never be and was.
    pub(crate) fn broken(&self) -> Option<String> {
        self.0.lock().unwrap().broken.clone()
    }

    pub(crate) fn confirmed(&self, n: u64, done: &Committed) {
        let mut seen = self.0.lock().unwrap();
        seen.confirmed.insert(n, (done.term, done.index));
        if let Some(at) = seen.numbers.get(&n).filter(|at| **at != done.index).copied() {
            seen.broken(|| format!("{n} was confirmed at {}, and it was applied at {at}", done.index));
        }
    }

    /// How many numbers were confirmed.
    pub(crate) fn confirmations(&self) -> usize {
        self.0.lock().unwrap().confirmed.len()
    }

    /// Every number that was confirmed has been applied, unless a snapshot carried it past all who looked.
    pub(crate) fn nothing_confirmed_is_lost(&self) {
        let mut seen = self.0.lock().unwrap();
        let lost = seen.confirmed.iter().find_map(|(n, (_, index))| {
            let (entry, who) = seen.entries.get(index)?;
            (seen.numbers.get(n) != Some(index))
                .then(|| format!("{n} was confirmed at {index}, where {who} has something else of term {}", entry.term))
        });
        if let Some(lost) = lost {
            seen.broken(|| lost);
        }
    }

    /// A voter lost its disk, and with it its term.
    pub(crate) fn wiped(&self, name: &str) {
        self.0.lock().unwrap().terms.remove(name);
    }

    /// Looks at a voter until it ends.
    pub(crate) fn watch(&self, cluster: &Cluster, name: &str) {
        let node = cluster.node(name);
        let promised = term(&node);
        let known = {
            let mut seen = self.0.lock().unwrap();
            seen.voters.insert(name.to_owned(), node.clone());
            seen.terms.get(name).copied().unwrap_or_default()
        };
        if promised < known {
            self.0
                .lock()
                .unwrap()
                .broken(|| format!("{name} was in term {known}, and its disk knows of {promised} only"));
        }
        let (mut stream, mut status) = (node.subscribe(1), node.status());
        let (this, who) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            let mut last: Option<u64> = None;
            while let Some(update) = stream.next().await {
                let mut seen = this.0.lock().unwrap();
                let n = number(&update);
                seen.expect(&update, &who);
                let (meta, command) = match &update {
                    Update::Snapshot(agreed) => {
                        if let Some((entry, _)) = seen.entries.get(&agreed.index).filter(|(e, _)| e.term != agreed.term)
                        {
                            let what = format!(
                                "{who} has a snapshot of term {} at {}, the entry is of {}",
                                agreed.term, agreed.index, entry.term
                            );
                            seen.broken(|| what);
                        }
                        last = Some(agreed.index);
                        continue;
                    }
                    Update::Entry { meta, command } => (*meta, encode(command).unwrap()),
                    Update::Blank(meta) => (*meta, Vec::new()),
                };
                if last.is_some_and(|last| meta.index != last + 1) {
                    seen.broken(|| format!("{who} went from entry {last:?} to {}", meta.index));
                }
                last = Some(meta.index);
                seen.applied(&who, meta, n, command);
            }
        });
        let (this, who) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            loop {
                let now: RaftStatus = status.borrow_and_update().clone();
                this.status(&who, &now);
                if now.stopped.is_some() || status.changed().await.is_err() {
                    return;
                }
            }
        });
    }

    fn status(&self, who: &str, now: &RaftStatus) {
        let mut seen = self.0.lock().unwrap();
        // A voter that has just started says 0 before it says what its disk knows.
        if now.stopped.is_none() && now.term > 0 {
            let term = seen.terms.get(who).copied().unwrap_or_default();
            if now.term < term {
                seen.broken(|| format!("{who} went from term {term} back to {}", now.term));
            }
            seen.terms.insert(who.to_owned(), now.term);
        }
        if now.role == Role::Leader {
            let leader = seen.leaders.entry(now.term).or_insert_with(|| who.to_owned()).clone();
            if leader != who {
                seen.broken(|| format!("{leader} and {who} both lead in term {}", now.term));
            }
        }
    }
}
