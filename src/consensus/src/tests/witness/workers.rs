//! What workers hold and whom they obey, held against what the voters have agreed on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use ringrift_state::{Agreed, Update};
use ringrift_watch::{FollowStatus, Follower};
use tokio::time::Instant;

use super::{Seen, Witness};

/// What a worker has held for so long is on its disk: it is written every 5 s, when the follower next goes round.
const WRITTEN: Duration = Duration::from_secs(7);

#[derive(Default)]
pub(super) struct Workers {
    /// What whoever has applied all entries up to an index holds.
    expected: BTreeMap<u64, Arc<Agreed>>,
    /// What workers held before a voter was seen to.
    early: Vec<(String, Arc<Agreed>)>,
    held: BTreeMap<String, Held>,
    /// Each change of what a worker follows.
    pub(super) followed: Vec<String>,
}

/// What a worker has heard of.
#[derive(Default)]
struct Held {
    /// Counts its runs.
    run: u32,
    /// Term and index of the newest entry applied in this run.
    applied: (u64, u64),
    term: u64,
    /// Since when it has known of which term, oldest first.
    terms: Vec<(Instant, u64)>,
    /// The term that must be on its disk.
    on_disk: u64,
    /// Since when it stands still.
    still: Option<Instant>,
}

impl Seen {
    /// Learns what the state is after an update of a voter.
    pub(super) fn expect(&mut self, update: &Update, who: &str) {
        let after = |index: u64| match index {
            0 => Some(Arc::default()),
            _ => self.workers.expected.get(&index).cloned(),
        };
        let agreed = match update {
            Update::Snapshot(agreed) => agreed.clone(),
            Update::Entry { meta, command } => {
                let Some(mut agreed) = after(meta.index - 1) else { return };
                Arc::make_mut(&mut agreed).apply(*meta, command).unwrap();
                agreed
            }
            Update::Blank(meta) => {
                let Some(mut agreed) = after(meta.index - 1) else { return };
                Arc::make_mut(&mut agreed).advance(*meta).unwrap();
                agreed
            }
        };
        match self.workers.expected.get(&agreed.index) {
            Some(known) if known.state != agreed.state || known.term != agreed.term => {
                self.broken(|| {
                    format!("{who} has another state at {} than those who applied each entry", agreed.index)
                });
            }
            Some(_) => {}
            None => {
                self.workers.expected.insert(agreed.index, agreed.clone());
                let early = std::mem::take(&mut self.workers.early);
                for (worker, held) in early {
                    self.held(&worker, &held);
                }
            }
        }
    }

    /// A worker holds this: exactly what the voters hold at that index.
    fn held(&mut self, who: &str, agreed: &Arc<Agreed>) {
        match self.workers.expected.get(&agreed.index) {
            _ if agreed.index == 0 => {}
            None => self.workers.early.push((who.to_owned(), agreed.clone())),
            Some(expected) if expected.state != agreed.state || expected.term != agreed.term => {
                let what = format!(
                    "{who} holds another state at {} of term {} than the voters, who have it of term {}",
                    agreed.index, agreed.term, expected.term
                );
                self.broken(|| what);
            }
            Some(_) => {}
        }
    }

    fn worker_applied(&mut self, who: &str, agreed: &Arc<Agreed>) {
        let held = self.workers.held.entry(who.to_owned()).or_default();
        let (before, now) = (held.applied, (agreed.term, agreed.index));
        held.applied = now;
        if now.0 < before.0 || now.1 < before.1 {
            self.broken(|| format!("{who} went back from {before:?} to {now:?}"));
        }
        self.held(who, agreed);
    }

    fn follows(&mut self, who: &str, moment: Duration, now: &FollowStatus) {
        let held = self.workers.held.entry(who.to_owned()).or_default();
        let before = held.term;
        if now.term > before {
            held.term = now.term;
            held.terms.push((Instant::now(), now.term));
        }
        self.workers.followed.push(format!(
            "{:>7} ms: {who} follows {:?} in term {} of {:?}, {} of {}, {:?}",
            moment.as_millis(),
            now.connected_to.as_ref().map(ToString::to_string),
            now.term,
            now.leader.as_ref().map(ToString::to_string),
            now.applied,
            now.committed,
            now.trouble,
        ));
        if now.term < before {
            self.broken(|| format!("{who} obeys term {}, and it heard of {before} before", now.term));
        }
        // Terms only grow: a voter that is behind now was so when it spoke.
        let behind = now.connected_to.as_ref().and_then(|voter| {
            let term = Some(super::term(self.voters.get(voter.as_str())?)).filter(|term| *term < now.term)?;
            Some(format!("{who} listens to {voter} in term {term}, and it heard of {} before", now.term))
        });
        if let Some(behind) = behind {
            self.broken(|| behind);
        }
        // Whom a worker takes for the leader of a term led in it, and nobody else ever does.
        if let (Some(_), Some(leader)) = (&now.connected_to, &now.leader) {
            let known = self.leaders.entry(now.term).or_insert_with(|| leader.to_string()).clone();
            if known != leader.as_str() {
                self.broken(|| format!("{who} obeys {leader} in term {}, which {known} leads", now.term));
            }
        }
    }
}

impl Witness {
    /// Looks at a worker until it ends.
    pub(crate) fn watch_worker(&self, name: &str, follower: &Follower, began: Instant) {
        {
            let mut seen = self.0.lock().unwrap();
            let held = seen.workers.held.entry(name.to_owned()).or_default();
            let (knows, must) = (follower.status().borrow().term, held.on_disk);
            let (run, terms) = (held.run + 1, vec![(Instant::now(), knows)]);
            *held = Held { run, term: knows, terms, on_disk: must, ..Held::default() };
            if knows < must {
                seen.broken(|| format!("{name} starts with term {knows}, and its disk had {must}"));
            }
            seen.worker_applied(name, &follower.agreed());
        }
        let (this, who, of) = (self.clone(), name.to_owned(), follower.clone());
        tokio::spawn(async move {
            let mut news = of.changes();
            loop {
                this.0.lock().unwrap().worker_applied(&who, &of.agreed());
                tokio::select! {
                    biased;
                    changed = news.changed() => if changed.is_err() { return },
                    () = of.stopped() => return,
                }
            }
        });
        let (this, who, of) = (self.clone(), name.to_owned(), follower.clone());
        tokio::spawn(async move {
            let mut status = of.status();
            let mut last = FollowStatus::default();
            loop {
                let now = status.borrow_and_update().clone();
                let said = |status: &FollowStatus| {
                    let FollowStatus { connected_to, term, leader, trouble, .. } = status;
                    (connected_to.clone(), *term, leader.clone(), trouble.clone())
                };
                if said(&now) != said(&last) {
                    this.0.lock().unwrap().follows(&who, began.elapsed(), &now);
                }
                last = now;
                tokio::select! {
                    biased;
                    changed = status.changed() => if changed.is_err() { return },
                    () = of.stopped() => return,
                }
            }
        });
    }

    /// A worker is about to end; what must be on its disk then: all of it after an orderly stop.
    pub(crate) fn worker_ends(&self, name: &str, orderly: bool) {
        let mut seen = self.0.lock().unwrap();
        let Some(held) = seen.workers.held.get_mut(name) else { return };
        let worked = held.still.unwrap_or_else(Instant::now);
        let old = |(since, _): &&(Instant, u64)| orderly || worked.saturating_duration_since(*since) >= WRITTEN;
        let written = held.terms.iter().filter(old).map(|(_, term)| *term).max();
        held.on_disk = held.on_disk.max(written.unwrap_or_default());
        held.terms.clear();
    }

    /// A worker stands still in this run, and cannot write.
    pub(crate) fn worker_stands_still(&self, name: &str) -> u32 {
        let mut seen = self.0.lock().unwrap();
        let held = seen.workers.held.entry(name.to_owned()).or_default();
        held.still.get_or_insert_with(Instant::now);
        held.run
    }

    /// A worker goes on, if it still is in that run.
    pub(crate) fn worker_goes_on(&self, name: &str, run: u32) {
        let mut seen = self.0.lock().unwrap();
        let Some(held) = seen.workers.held.get_mut(name).filter(|held| held.run == run) else { return };
        held.still = None;
        held.terms.iter_mut().for_each(|(since, _)| *since = Instant::now());
    }

    /// A worker lost its copy.
    pub(crate) fn worker_forgot(&self, name: &str) {
        if let Some(held) = self.0.lock().unwrap().workers.held.get_mut(name) {
            held.on_disk = 0;
        }
    }

    /// Whatever workers held voters have held too; what they followed, in order.
    pub(crate) fn followed(&self) -> Result<Vec<String>, String> {
        let mut seen = self.0.lock().unwrap();
        if let Some((who, agreed)) = seen.workers.early.first() {
            return Err(format!("{who} holds entry {}, which no voter was seen to apply", agreed.index));
        }
        let mut followed = std::mem::take(&mut seen.workers.followed);
        followed.sort();
        Ok(followed)
    }
}
