//! What a follower does next. Pure: the clock and the dice come from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::StdRng;
use ringrift_config::NodeId;
use ringrift_state::{Agreed, ClusterId, decode};

use crate::cache::Cache;
use crate::inbox::Inbox;
use crate::wire::{Entry, Hello, Kind, Report};
use crate::{FollowStatus, FollowerConfig};

/// What happened.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// Time passed; due at [`Machine::deadline`].
    Tick,
    /// A stream to this voter is open and the greeting is sent.
    Opened(NodeId),
    /// No stream was opened, perhaps because of this voter.
    NotOpened(Option<NodeId>, String),
    /// A frame came.
    Frame(&'a [u8]),
    /// The stream ended.
    Lost(String),
}

/// What to do about it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// Nothing.
    Wait,
    /// Open a stream to a voter, rather not one of these, and greet it.
    Dial(Hello, BTreeSet<NodeId>),
    /// Close the stream.
    HangUp,
}

/// A follower's state.
#[derive(Debug)]
pub(crate) struct Machine {
    config: FollowerConfig,
    rng: StdRng,
    agreed: Arc<Agreed>,
    status: FollowStatus,
    phase: Phase,
    /// Attempts since a stream last proved good.
    attempts: u32,
    /// Voters that gave no good answer, and until when others come first.
    avoid: BTreeMap<NodeId, Instant>,
    /// Whether the next stream must begin with a snapshot.
    anew: bool,
}

#[derive(Debug)]
enum Phase {
    Pausing { until: Instant },
    Dialling,
    Following(Following),
}

#[derive(Debug)]
struct Following {
    voter: NodeId,
    since: Instant,
    /// When a frame last came.
    heard: Instant,
    /// The cluster that the voter's first report named.
    cluster_id: Option<String>,
    /// Whether that is a recovered successor of ours, whose log need not go on from ours.
    recovered: bool,
    inbox: Inbox,
}

/// How long a voter that gave no good answer comes last.
const AVOIDED: Duration = Duration::from_secs(30);
/// A stream that lasted this long proves that the voter is well: the pauses begin small again.
const PROVEN: Duration = Duration::from_secs(5);

impl Machine {
    pub(crate) fn new(config: FollowerConfig, cache: Cache, rng: StdRng, now: Instant) -> Self {
        let Cache { agreed, term, voters } = cache;
        let status =
            FollowStatus { term: term.max(agreed.term), applied: agreed.index, voters, ..FollowStatus::default() };
        let phase = Phase::Pausing { until: now };
        Self { config, rng, agreed, status, phase, attempts: 0, avoid: BTreeMap::new(), anew: false }
    }

    pub(crate) fn agreed(&self) -> &Arc<Agreed> {
        &self.agreed
    }

    pub(crate) fn status(&self) -> &FollowStatus {
        &self.status
    }

    /// What belongs on disk.
    pub(crate) fn cache(&self) -> Cache {
        Cache { agreed: Arc::clone(&self.agreed), term: self.status.term, voters: self.status.voters.clone() }
    }

    /// When a tick is due; `None` while only the stream to come can change anything.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Pausing { until } => Some(*until),
            Phase::Dialling => None,
            Phase::Following(following) => Some(following.heard + self.config.silence),
        }
    }

    pub(crate) fn step(&mut self, now: Instant, input: Input<'_>) -> Output {
        match input {
            Input::Tick => self.tick(now),
            Input::Opened(voter) => {
                self.phase = Phase::Following(Following {
                    voter,
                    since: now,
                    heard: now,
                    cluster_id: None,
                    recovered: false,
                    inbox: Inbox::default(),
                });
                Output::Wait
            }
            Input::NotOpened(voter, reason) => self.pause(now, voter, reason),
            Input::Lost(reason) => match self.voter() {
                Some(voter) => {
                    let reason = format!("the stream from {voter} ended: {reason}");
                    self.pause(now, Some(voter), reason)
                }
                None => Output::HangUp,
            },
            Input::Frame(frame) => match self.frame(now, frame) {
                Ok(()) => Output::Wait,
                Err(reason) => self.pause(now, self.voter(), reason),
            },
        }
    }

    fn voter(&self) -> Option<NodeId> {
        match &self.phase {
            Phase::Following(following) => Some(following.voter.clone()),
            Phase::Pausing { .. } | Phase::Dialling => None,
        }
    }

    fn tick(&mut self, now: Instant) -> Output {
        match &self.phase {
            Phase::Pausing { until } if now >= *until => {
                self.avoid.retain(|_, until| now < *until);
                self.phase = Phase::Dialling;
                let hello = Hello {
                    node: self.config.node.clone(),
                    cluster_id: self.agreed.cluster_id.clone(),
                    from_index: if self.anew { 0 } else { self.agreed.index + 1 },
                    term: self.status.term,
                };
                Output::Dial(hello, self.avoid.keys().cloned().collect())
            }
            Phase::Following(following) if now >= following.heard + self.config.silence => {
                let (voter, silence) = (following.voter.clone(), self.config.silence);
                let reason = format!("{voter} said nothing for {silence:?}");
                self.pause(now, Some(voter), reason)
            }
            Phase::Pausing { .. } | Phase::Dialling | Phase::Following(_) => Output::Wait,
        }
    }

    /// Gives up the present attempt and waits for the next.
    fn pause(&mut self, now: Instant, voter: Option<NodeId>, reason: String) -> Output {
        if let Phase::Following(following) = &self.phase
            && self.status.connected_to.is_some()
            && now >= following.since + PROVEN
        {
            self.attempts = 0;
        }
        let (least, most) = self.config.backoff;
        self.attempts = self.attempts.saturating_add(1).min(16);
        let spread = least.saturating_mul(1 << self.attempts).min(most).saturating_sub(least);
        self.phase = Phase::Pausing { until: now + least + spread.mul_f64(self.rng.random_range(0.0..1.0)) };
        if let Some(voter) = voter {
            self.avoid.insert(voter, now + AVOIDED);
        }
        self.status.connected_to = None;
        self.status.trouble = Some(reason);
        Output::HangUp
    }

    /// Takes a frame, or says why the voter must be left.
    fn frame(&mut self, now: Instant, frame: &[u8]) -> Result<(), String> {
        let Phase::Following(following) = &mut self.phase else { return Ok(()) };
        following.heard = now;
        let voter = following.voter.clone();
        let Some((kind, content)) = frame.split_first() else { return Err(format!("{voter} sent an empty frame")) };
        let unreadable = |error| format!("{voter} sent a frame that cannot be read: {error}");
        let kind = Kind::of(*kind).ok_or_else(|| format!("{voter} sent a frame of the unknown kind {kind}"))?;
        if following.cluster_id.is_none() && !matches!(kind, Kind::Report | Kind::Refusal) {
            return Err(format!("{voter} did not say first who leads"));
        }
        match kind {
            Kind::Report => self.report(now, decode(content).map_err(unreadable)?),
            Kind::Entry => self.entry(&decode(content).map_err(unreadable)?),
            Kind::SnapshotPart => following.inbox.add(content).map_err(|what| format!("{voter}: {what}")),
            Kind::SnapshotEnd => {
                let inbox = &mut following.inbox;
                let snapshot =
                    inbox.add(content).and_then(|()| inbox.end()).map_err(|what| format!("{voter}: {what}"))?;
                self.snapshot(snapshot)
            }
            Kind::Refusal => Err(format!("{voter} does not serve this node: {}", String::from_utf8_lossy(content))),
        }
    }

    fn report(&mut self, now: Instant, report: Report) -> Result<(), String> {
        let Phase::Following(following) = &mut self.phase else { return Ok(()) };
        let voter = &following.voter;
        match following.cluster_id.as_deref() {
            // Before the cluster has its name a voter says the empty one.
            None | Some("") => {
                following.recovered = is_recovered(&self.config.cache, &self.agreed, voter, &report.cluster_id)?;
            }
            Some(known) if known == report.cluster_id => {}
            Some(known) => return Err(format!("{voter} changed from the cluster {known} to {}", report.cluster_id)),
        }
        let heard_of = self.status.term;
        // A term is heard of only with its leader, whom a majority elected; a candidate cut off from it may count on
        // alone. A recovered cluster begins with the term that its operator's voter had, whatever was heard before.
        if report.term < heard_of && !following.recovered {
            return Err(format!(
                "{voter} speaks for term {}, but a leader in term {heard_of} was heard of: {voter} is behind",
                report.term
            ));
        }
        let behind = report.leader_seen_ms.map(Duration::from_millis);
        let connected = now.saturating_duration_since(following.since);
        if connected >= self.config.leaderless && behind.is_none_or(|behind| behind >= self.config.leaderless) {
            return Err(format!("{voter} has known of no leader for {:?}", self.config.leaderless));
        }
        if report.leader.is_some() && !following.recovered {
            self.status.term = report.term;
        }
        if self.agreed.cluster_id.is_empty() && !report.cluster_id.is_empty() {
            Arc::make_mut(&mut self.agreed).cluster_id.clone_from(&report.cluster_id);
        }
        self.avoid.remove(voter);
        following.cluster_id = Some(report.cluster_id);
        self.status = FollowStatus {
            connected_to: Some(voter.clone()),
            term: self.status.term,
            leader: report.leader,
            voters: report.voters,
            applied: self.agreed.index,
            committed: report.committed,
            heard: Some(now),
            voter_behind: behind,
            trouble: None,
        };
        Ok(())
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), String> {
        let Phase::Following(following) = &self.phase else { return Ok(()) };
        let voter = &following.voter;
        if following.recovered || following.inbox.has_part() {
            self.anew = true;
            return Err(format!("{voter} sent a log entry where a snapshot was due"));
        }
        if entry.meta.term < self.agreed.term {
            self.anew = true;
            return Err(format!(
                "{voter} sent entry {} of term {} after term {}: that is another log",
                entry.meta.index, entry.meta.term, self.agreed.term
            ));
        }
        let agreed = Arc::make_mut(&mut self.agreed);
        let applied = match &entry.command {
            Some(command) => agreed.apply(entry.meta, command).map(drop),
            None => agreed.advance(entry.meta),
        };
        if let Err(gap) = applied {
            self.anew = true;
            return Err(format!("{voter}: {gap}"));
        }
        self.status.applied = self.agreed.index;
        self.hears_of(entry.meta.term);
        Ok(())
    }

    /// What was agreed shows that somebody led in this term. Who it was the next report says; it was not the leader of an older one.
    fn hears_of(&mut self, term: u64) {
        if term > self.status.term {
            self.status.term = term;
            self.status.leader = None;
        }
    }

    fn snapshot(&mut self, mut snapshot: Agreed) -> Result<(), String> {
        let Phase::Following(following) = &mut self.phase else { return Ok(()) };
        let voter = &following.voter;
        let said = following.cluster_id.as_deref().unwrap_or_default();
        if snapshot.cluster_id.is_empty() {
            said.clone_into(&mut snapshot.cluster_id);
        }
        if snapshot.cluster_id != said && !said.is_empty() {
            return Err(format!("{voter} sent a snapshot of the cluster {:?} for {said:?}", snapshot.cluster_id));
        }
        // What was agreed does not go back, unless an operator brought the cluster back from an older log.
        if snapshot.index < self.agreed.index && !following.recovered {
            return Err(format!(
                "{voter} is behind: its snapshot ends with entry {}, and {} was applied here",
                snapshot.index, self.agreed.index
            ));
        }
        if following.recovered {
            self.status.term = 0;
            following.recovered = false;
        }
        self.anew = false;
        self.hears_of(snapshot.term);
        self.status.applied = snapshot.index;
        self.agreed = Arc::new(snapshot);
        Ok(())
    }
}

/// Whether the voter's cluster is a recovered successor of the one followed so far; an error if it is a foreign one.
fn is_recovered(cache: &Path, agreed: &Agreed, voter: &NodeId, theirs: &str) -> Result<bool, String> {
    let ours = &agreed.cluster_id;
    if ours.is_empty() || ours == theirs {
        return Ok(false);
    }
    if theirs.is_empty() {
        return Err(format!("{voter} does not know yet to which cluster it belongs"));
    }
    if ClusterId::parse(theirs).succeeds(&ClusterId::parse(ours)) {
        return Ok(true);
    }
    Err(format!(
        "{voter} belongs to the cluster {theirs}, and this node follows {ours}: if it is to follow the other one, stop it, remove {} \
         and start it again",
        cache.display()
    ))
}

#[cfg(test)]
mod tests;
