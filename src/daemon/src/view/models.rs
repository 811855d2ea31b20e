use ringrift_api::{
    ClusterManifest, DistributionPhase, DistributionReport, Liveness, ManifestFile, ManifestState, ModelEntry,
    ModelList, ModelProgress, ModelVersion, ModelsProgress, NodeFailure, NodeManifest, NodeProgress,
};
use ringrift_blob::ModelName;
use ringrift_config::NodeId;
use ringrift_state::{Distribution, DistributionState, HeldState, ModelRecord, Promotion};

use super::{Picture, node};
use crate::models::{ModelFact, ModelFacts, ModelState, distribution::eligible};

/// `GET /api/models`.
pub(crate) fn model_list(picture: &Picture) -> ModelList {
    let eligible = eligible(picture);
    let state = &picture.agreed.state;
    let entry = |(name, record): (&ModelName, &std::sync::Arc<ModelRecord>)| {
        let (board_type, num_players) = name.board_and_players().unzip();
        let current = &record.current;
        ModelEntry {
            name: name.clone(),
            config_key: name.config_key().map(str::to_owned),
            board_type: board_type.map(str::to_owned),
            num_players,
            sha256: current.sha256,
            size: current.size,
            elo: current.elo.map(Into::into),
            generation: current.generation,
            promoted_at: seconds(current.at_ms),
            by: current.by.clone(),
            source: current.source.clone(),
            nodes_holding: eligible.iter().filter(|node| holds(picture, node, name, record)).count() as u32,
            nodes_eligible: eligible.len() as u32,
            distribution: report(&record.distribution),
            history: record
                .history
                .iter()
                .rev()
                .map(|promotion| version(promotion, state.blobs.contains_key(&promotion.sha256)))
                .collect(),
        }
    };
    ModelList {
        success: true,
        models: state.models.iter().map(entry).collect(),
        leader_id: picture.leadership.leader.clone(),
        state_index: picture.leadership.applied,
    }
}

fn version(promotion: &Promotion, available: bool) -> ModelVersion {
    ModelVersion {
        sha256: promotion.sha256,
        size: promotion.size,
        elo: promotion.elo.map(Into::into),
        generation: promotion.generation,
        promoted_at: seconds(promotion.at_ms),
        by: promotion.by.clone(),
        source: promotion.source.clone(),
        available,
    }
}

/// How a distribution stands, in one word.
pub(crate) fn phase(state: &DistributionState) -> DistributionPhase {
    match state {
        DistributionState::Running => DistributionPhase::Running,
        DistributionState::Complete { .. } => DistributionPhase::Complete,
        DistributionState::Failed { .. } => DistributionPhase::Failed,
    }
}

fn report(distribution: &Distribution) -> DistributionReport {
    let (ended, succeeded, failed, omitted) = match &distribution.state {
        DistributionState::Running => (None, 0, Vec::new(), 0),
        DistributionState::Complete { nodes, duration_ms, at_ms } => {
            (Some((*at_ms, *duration_ms)), *nodes, Vec::new(), 0)
        }
        DistributionState::Failed { succeeded, failed, more, duration_ms, at_ms } => {
            let failed = failed.iter().map(|(node, why)| NodeFailure { node_id: node.clone(), reason: why.clone() });
            (Some((*at_ms, *duration_ms)), *succeeded, failed.collect(), *more)
        }
    };
    DistributionReport {
        state: phase(&distribution.state),
        generation: distribution.generation,
        by: distribution.by.clone(),
        force: distribution.force,
        started_at: seconds(distribution.started_at_ms),
        ended_at: ended.map(|(at_ms, _)| seconds(at_ms)),
        duration_seconds: ended.map(|(_, duration_ms)| seconds(duration_ms)),
        nodes_succeeded: succeeded,
        nodes_failed: failed,
        nodes_failed_omitted: omitted,
    }
}

/// `GET /api/models/manifest`.
pub(crate) fn manifest(picture: &Picture) -> ClusterManifest {
    let eligible = eligible(picture);
    let mut nodes = vec![node_manifest(picture, &picture.node, Liveness::Alive, true, Some(picture.now))];
    for member in picture.others() {
        let (id, state) = (&member.id, node::liveness(member.state));
        nodes.push(node_manifest(picture, id, state, eligible.contains(id), picture.last_seen(member)));
    }
    if let Some(own) = nodes.first_mut() {
        own.eligible = eligible.contains(&picture.node);
    }
    nodes.sort_by(|one, other| one.node_id.cmp(&other.node_id));
    ClusterManifest {
        success: true,
        nodes,
        leader_id: picture.leadership.leader.clone(),
        state_index: picture.leadership.applied,
        timestamp: picture.now,
    }
}

fn node_manifest(
    picture: &Picture,
    id: &NodeId,
    state: Liveness,
    eligible: bool,
    reported_at: Option<f64>,
) -> NodeManifest {
    let facts = picture.model_facts(id);
    let mut files: Vec<ManifestFile> = Vec::new();
    for (name, record) in picture.agreed.state.models.iter().filter(|_| eligible || facts.is_some()) {
        let standing = Standing::of(facts, name, record);
        files.push(ManifestFile {
            name: Some(name.clone()),
            sha256: record.current.sha256,
            size: record.current.size,
            state: standing.state,
            verified_at: standing.fact.filter(|fact| fact.verified_at_ms > 0).map(|fact| seconds(fact.verified_at_ms)),
            have_bytes: standing.fact.map_or(0, |fact| fact.have),
            message: standing.message,
        });
    }
    let kept = facts.map(|facts| facts.kept.as_slice()).unwrap_or_default();
    files.extend(kept.iter().map(|kept| {
        let mut once = picture.agreed.state.models.iter();
        ManifestFile {
            name: once.find(|(_, record)| record.promotion_of(&kept.sha256).is_some()).map(|(name, _)| name.clone()),
            sha256: kept.sha256,
            size: kept.size,
            state: ManifestState::Kept,
            verified_at: Some(seconds(kept.verified_at_ms)),
            have_bytes: kept.size,
            message: String::new(),
        }
    }));
    files.sort_by(|one, other| (&one.name, one.sha256).cmp(&(&other.name, other.sha256)));
    NodeManifest {
        node_id: id.clone(),
        state,
        eligible,
        reported_at: facts.and(reported_at),
        free_bytes: facts.and_then(|facts| facts.free_bytes),
        files,
    }
}

/// How the current version of a model is on a node.
struct Standing<'a> {
    fact: Option<&'a ModelFact>,
    state: ManifestState,
    message: String,
}

impl<'a> Standing<'a> {
    fn of(facts: Option<&'a ModelFacts>, name: &ModelName, record: &ModelRecord) -> Self {
        let trouble = facts.map(|facts| facts.trouble.clone()).unwrap_or_default();
        let fact = facts.and_then(|facts| {
            facts.files.iter().find(|file| file.name == *name && file.sha256 == record.current.sha256)
        });
        let Some(fact) = fact else { return Self { fact: None, state: ManifestState::Missing, message: trouble } };
        let state = match fact.state {
            ModelState::Verified => ManifestState::Verified,
            ModelState::Fetching if fact.have == 0 && fact.sources == 0 => ManifestState::Missing,
            ModelState::Fetching => ManifestState::Fetching,
            ModelState::Outdated => ManifestState::Outdated,
            ModelState::NoSpace => ManifestState::NoSpace,
            ModelState::Stuck => ManifestState::Damaged,
        };
        Self { fact: Some(fact), state, message: fact.trouble.clone() }
    }
}

/// `GET /api/models/progress`.
pub(crate) fn models_progress(picture: &Picture, only: Option<&ModelName>) -> ModelsProgress {
    let eligible = eligible(picture);
    let models = picture.agreed.state.models.iter().filter(|(name, _)| only.is_none_or(|only| only == *name));
    let models = models.map(|(name, record)| {
        let nodes: Vec<NodeProgress> = eligible
            .iter()
            .map(|id| {
                let standing = Standing::of(picture.model_facts(id), name, record);
                let alive = picture.is_alive(id);
                NodeProgress {
                    node_id: id.clone(),
                    state: standing.state,
                    have_bytes: standing.fact.map_or(0, |fact| fact.have),
                    of_bytes: record.current.size,
                    bytes_per_second: standing.fact.map_or(0.0, |fact| fact.bytes_per_second as f64),
                    sources: standing.fact.map_or(0, |fact| fact.sources),
                    message: if alive { standing.message } else { "it is not alive".to_owned() },
                }
            })
            .collect();
        ModelProgress {
            name: name.clone(),
            sha256: record.current.sha256,
            size: record.current.size,
            generation: record.current.generation,
            distribution_generation: record.distribution.generation,
            state: phase(&record.distribution.state),
            started_at: seconds(record.distribution.started_at_ms),
            nodes_verified: eligible.iter().filter(|node| holds(picture, node, name, record)).count() as u32,
            nodes_eligible: eligible.len() as u32,
            nodes,
        }
    });
    ModelsProgress {
        success: true,
        models: models.collect(),
        state_index: picture.leadership.applied,
        timestamp: picture.now,
    }
}

fn holds(picture: &Picture, id: &NodeId, name: &ModelName, record: &ModelRecord) -> bool {
    picture.model_facts(id).and_then(|facts| facts.held(name, record)) == Some(HeldState::Verified)
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}
