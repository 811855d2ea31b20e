//! A daemon that reads a hosts file, and what has become of a node meanwhile.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use ringrift_api::{
    DistributionPhase, EligibilityState, Liveness, ManifestState, ModelProgress, ModelsProgress, NodeProgress,
    VerifyReport, VoterEntry, VotersReport,
};
use ringrift_config::HostsFile;
use serde_json::{Value, json};

use crate::{
    cluster::{healthy, id},
    fake::{Answer, Fake, Seen},
};

/// A daemon that reads `path`, and what has become of the node in question.
#[derive(Debug, Clone)]
pub(super) struct Daemon {
    pub(super) path: PathBuf,
    pub(super) node: &'static str,
    pub(super) state: Liveness,
    pub(super) drained: bool,
    pub(super) jobs: u64,
    pub(super) models: ManifestState,
    pub(super) leader: &'static str,
    pub(super) dead: &'static [&'static str],
}

impl Daemon {
    pub(super) fn new(path: &Path, node: &'static str) -> Self {
        let path = path.to_owned();
        let (state, models) = (Liveness::Unseen, ManifestState::Missing);
        Self { path, node, state, drained: true, jobs: 2, models, leader: "alpha", dead: &[] }
    }

    /// Answers, and is a little further with each question.
    fn answer(&mut self, seen: &Seen) -> Answer {
        let path = seen.path.split('?').next().unwrap();
        let node_path = format!("/api/nodes/{}", self.node);
        if let Some(deed) = path.strip_prefix(&node_path) {
            self.drained = deed == "/drain";
            let state = if self.drained { "draining" } else { "eligible" };
            let message = format!("{}: {state}", self.node);
            return Answer::json(
                &json!({"success": true, "node_id": self.node, "state": state, "changed": true, "message": message}),
            );
        }
        let file = HostsFile::load(&self.path).unwrap();
        match path {
            "/status" => Answer::json(&healthy()),
            "/api/reload" => Answer::json(&json!({
                "success": true, "node_id": "alpha", "hosts_revision": file.revision, "changes": [], "warnings": [],
                "voters": null, "message": "reloaded",
            })),
            "/api/voters" => {
                let voters = file.voters.unwrap().into_iter().map(|node_id| VoterEntry {
                    alive: !self.dead.contains(&node_id.as_str()),
                    is_leader: node_id.as_str() == self.leader,
                    matched: None,
                    lag: None,
                    detail: String::new(),
                    node_id,
                });
                Answer::json(&VotersReport {
                    success: true,
                    node_id: id("alpha"),
                    leader_id: Some(id(self.leader)),
                    term: 1,
                    committed: 1,
                    config_index: 1,
                    quorum_size: 3,
                    voters_alive: 5,
                    quorum_ok: true,
                    quorum_threatened: false,
                    voters: voters.collect(),
                    pending: Vec::new(),
                })
            }
            "/api/leader/transfer" => {
                let from = std::mem::replace(&mut self.leader, "alpha");
                Answer::json(
                    &json!({"success": true, "from": from, "leader_id": "alpha", "term": 2, "message": "done"}),
                )
            }
            "/api/jobs" => {
                let left = self.jobs;
                self.jobs = self.jobs.saturating_sub(1);
                Answer::json(&json!({"success": true, "jobs": [], "total": left}))
            }
            "/api/nodes" => {
                let state = self.state;
                // Somebody stopped it over SSH.
                let stopped = self.path.with_file_name("stopped").exists();
                self.state = match state {
                    Liveness::Alive if stopped => Liveness::Left,
                    Liveness::Unseen => Liveness::Alive,
                    Liveness::Suspect => Liveness::Left,
                    other => other,
                };
                Answer::json(
                    &json!({"success": true, "leader_id": "alpha", "state_index": 1, "nodes": [self.entry(state)]}),
                )
            }
            "/api/models/progress" => {
                let state = std::mem::replace(&mut self.models, ManifestState::Verified);
                Answer::json(&self.progress(state))
            }
            path if path.ends_with("/api/models/verify") => {
                let node_id = id(self.node);
                Answer::json(&VerifyReport { success: true, node_id, files: Vec::new(), timestamp: 1.0 })
            }
            other => panic!("{other}"),
        }
    }

    fn entry(&self, state: Liveness) -> Value {
        let eligibility = if self.drained { EligibilityState::Draining } else { EligibilityState::Eligible };
        json!({
            "node_id": self.node, "state": state, "role": "worker", "is_voter": false, "is_leader": false, "host": "", "port": 0,
            "eligibility": {"state": eligibility, "by": "op", "reason": "removed from the hosts file", "since": 1.0},
            "host_status": "ready", "capabilities": [], "active_job_count": 0, "last_seen": 1.0, "version": "",
        })
    }

    fn progress(&self, state: ManifestState) -> ModelsProgress {
        let node = NodeProgress {
            node_id: id(self.node),
            state,
            have_bytes: 0,
            of_bytes: 1,
            bytes_per_second: 0.0,
            sources: 0,
            message: String::new(),
        };
        let model = ModelProgress {
            name: "canonical_hex8_2p.pth".parse().unwrap(),
            sha256: "00".repeat(32).parse().unwrap(),
            size: 1,
            generation: 1,
            distribution_generation: 1,
            state: DistributionPhase::Complete,
            started_at: 1.0,
            nodes_verified: 1,
            nodes_eligible: 1,
            nodes: vec![node],
        };
        ModelsProgress { success: true, models: vec![model], state_index: 1, timestamp: 1.0 }
    }

    pub(super) async fn serve(self) -> Fake {
        let daemon = Arc::new(Mutex::new(self));
        Fake::start(move |seen: &Seen| daemon.lock().unwrap().answer(seen)).await
    }
}
