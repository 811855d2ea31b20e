use std::{cell::Cell, collections::BTreeSet, time::Duration};

use ringrift_api::{Client, ClientError, JobList, LeaderTransferred, Liveness, Status, TransferRequest, VotersReport};
use ringrift_config::NodeId;
use ringrift_fleet::Line;
use ringrift_job::JobId;
use tokio::time::{Instant, sleep};

use crate::{command::status, context::Context, failure::Failure};

/// Knows whether a node is back after something was done to it: it runs, anew if it was restarted, has caught up, and has its
/// jobs.
#[derive(Debug)]
pub(crate) struct Back {
    client: Client,
    own: NodeId,
    voters: Vec<NodeId>,
}

/// How a node was before something was done to it.
#[derive(Debug)]
pub(super) struct Before {
    /// Index up to which everything was agreed.
    committed: u64,
    /// What ran there; `None` where the node did not answer, and so has nothing to show.
    jobs: Vec<JobId>,
}

/// Between two questions.
const POLL: Duration = Duration::from_millis(250);
/// For an election, and for a request that meets one. Below it nothing is wrong yet.
const ELECTION: Duration = Duration::from_mins(1);
/// The agreed state counts as current up to here, seconds (see `status::state`).
const CURRENT: f64 = 3.0;

impl Back {
    pub(crate) fn new(context: &Context, status: &Status) -> Result<Self, Failure> {
        let (own, voters) = (status.node_id.clone(), status.voter_node_ids.clone());
        Ok(Self { client: context.client(None)?, own, voters })
    }

    /// To be asked before something is done.
    pub(super) async fn before(&self, node: &NodeId) -> Before {
        let status = self.client.get_json::<Status>(status::PATH).await;
        let jobs = self.client_of(node).jobs_here().await;
        Before {
            committed: status.map(|status| status.state_index).unwrap_or_default(),
            jobs: jobs
                .map(|here| here.jobs.into_iter().filter(|job| job.status == "running").map(|job| job.job_id).collect())
                .unwrap_or_default(),
        }
    }

    /// Waits until it is back, with a daemon that began after `anew`, if one was asked for then; for how long, the caller says.
    /// The sentence is why it waits.
    pub(super) async fn wait(
        &self,
        node: &NodeId,
        before: Before,
        anew: Option<Instant>,
        line: &Line<'_>,
    ) -> Result<(), String> {
        let said = Cell::new(Instant::now());
        loop {
            let missing = match self.missing(node, &before, anew).await {
                Ok(None) => return Ok(()),
                Ok(Some(missing)) => missing,
                Err(error) if error.is_passing() => format!("it is not reached: {error}"),
                Err(error) => return Err(error.to_string()),
            };
            line.says(&missing);
            // A node that waits longer than any election, and for a reason that does not pass, is not coming back.
            if said.get().elapsed() > ELECTION {
                return Err(missing);
            }
            sleep(POLL).await;
        }
    }

    /// What it lacks.
    async fn missing(
        &self,
        node: &NodeId,
        before: &Before,
        anew: Option<Instant>,
    ) -> Result<Option<String>, ClientError> {
        let status: Status = self.client_of(node).get_json(status::PATH).await?;
        if anew.is_some_and(|anew| status.uptime_seconds > anew.elapsed().as_secs_f64()) {
            return Ok(Some("its old daemon still answers".to_owned()));
        }
        if status.leader_id.is_none() {
            return Ok(Some("it knows no leader".to_owned()));
        }
        let seen: Status = self.client.get_json(status::PATH).await?;
        if *node != self.own && seen.peers.get(node).is_none_or(|peer| peer.state != Liveness::Alive) {
            return Ok(Some(format!("{} does not see it alive", self.own)));
        }
        if self.voters.contains(node) {
            let report: VotersReport = self.client.get_json("/api/voters").await?;
            let Some(voter) = report.voters.iter().find(|voter| voter.node_id == *node) else {
                return Ok(Some("it does not vote any more".to_owned()));
            };
            if !voter.alive || voter.matched.is_none_or(|matched| matched < before.committed) {
                let behind = voter.lag.map(|lag| format!(", {lag} entries behind")).unwrap_or_default();
                return Ok(Some(format!("it has not caught up{behind}")));
            }
            if let Some(leader) = &report.leader_id
                && !self.voting(leader).await?.contains(node)
            {
                return Ok(Some(format!("{leader} does not count its vote yet")));
            }
        }
        if status.state_index < before.committed || status.state_age_seconds.is_none_or(|age| age > CURRENT) {
            return Ok(Some(format!("it has not caught up: at {} of {}", status.state_index, before.committed)));
        }
        let here = self.client_of(node).jobs_here().await?;
        for job in &before.jobs {
            let adopted = here.jobs.iter().any(|here| here.job_id == *job);
            if !adopted && self.still_there(node, job).await? {
                return Ok(Some(format!("it has not found {job} again")));
            }
        }
        Ok(None)
    }

    /// Whether the cluster believes that the job is open on the node. One that ended or moved on is nobody's to adopt.
    async fn still_there(&self, node: &NodeId, job: &JobId) -> Result<bool, ClientError> {
        let open: JobList = self.client.jobs(&format!("?status=open&limit=1000&node={node}")).await?;
        Ok(open.jobs.iter().any(|open| open.job_id == *job))
    }

    /// Who votes, as the leader sees it: asked until one answers. Whoever is alive and does not vote is waited for as long as an
    /// election takes, and is then no voter that anybody can count on.
    pub(super) async fn voters(&self) -> Result<VotersReport, String> {
        let began = Instant::now();
        loop {
            let why = match self.counted().await {
                Ok(Some((report, silent))) if silent.is_empty() => return Ok(report),
                Ok(Some((report, silent))) if began.elapsed() > ELECTION => return Ok(without(report, &silent)),
                Ok(Some(_)) => "an alive voter does not vote".to_owned(),
                Ok(None) => "there is no leader".to_owned(),
                Err(error) if error.is_passing() => error.to_string(),
                Err(error) => return Err(error.to_string()),
            };
            if began.elapsed() > ELECTION {
                return Err(why);
            }
            sleep(POLL).await;
        }
    }

    /// The leader's report, and who in it is alive and does not vote; `None` without a leader.
    async fn counted(&self) -> Result<Option<(VotersReport, Vec<NodeId>)>, ClientError> {
        let report: VotersReport = self.client.get_json("/api/voters").await?;
        let Some(leader) = &report.leader_id else { return Ok(None) };
        let voting = self.voting(leader).await?;
        let silent = report.voters.iter().filter(|voter| voter.alive && !voting.contains(&voter.node_id));
        let silent = silent.map(|voter| voter.node_id.clone()).collect();
        Ok(Some((report, silent)))
    }

    /// Whose votes the leader counts: a voter is alive for a moment, or with a new disk for long, before it votes.
    async fn voting(&self, leader: &NodeId) -> Result<BTreeSet<NodeId>, ClientError> {
        let status: Status = self.client_of(leader).get_json(status::PATH).await?;
        let voters = status.voter_health.voter_status.into_iter();
        Ok(voters.filter(|(_, voter)| voter.votes).map(|(id, _)| id).collect())
    }

    /// Hands the leadership to whoever is furthest, and waits until this node does not lead any more.
    pub(super) async fn give_up_leadership(&self, node: &NodeId) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let asked: Result<LeaderTransferred, _> =
                self.client.post_json("/api/leader/transfer", &TransferRequest { to: None }).await;
            let why = match asked {
                Ok(_) => "it still leads".to_owned(),
                Err(error) if error.is_passing() => error.to_string(),
                Err(error) => return Err(format!("the leadership was not handed over: {error}")),
            };
            match self.client.get_json::<Status>(status::PATH).await {
                Ok(status) if status.leader_id.is_some() && status.leader_id.as_ref() != Some(node) => return Ok(()),
                _ if began.elapsed() > ELECTION => return Err(format!("the leadership was not handed over: {why}")),
                _ => sleep(POLL).await,
            }
        }
    }

    fn client_of(&self, node: &NodeId) -> Client {
        if *node == self.own { self.client.clone() } else { self.client.through(node) }
    }
}

/// The same report, in which these are not alive.
fn without(mut report: VotersReport, silent: &[NodeId]) -> VotersReport {
    for voter in report.voters.iter_mut().filter(|voter| silent.contains(&voter.node_id)) {
        voter.alive = false;
        report.voters_alive = report.voters_alive.saturating_sub(1);
    }
    report
}
