//! How Raft itself is set up.

use std::{sync::Arc, time::Duration};

use openraft::{Config, SnapshotPolicy, StepDownPolicy};

use crate::{error::StartError, settings::Timers};

/// What only tests change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tuning {
    /// Whether a voter asks before it stands for election. Without it a voter that was cut off comes back with a higher
    /// term and brings a healthy leader down.
    pub(crate) pre_vote: bool,
    /// Whether a voter stands at the end of the lease when its leader has died ([`crate::campaign`]).
    pub(crate) campaign: bool,
    /// Whether a leader without a quorum falls silent now and then. Without it a leader that still reaches one of the
    /// others keeps that one from electing anybody else, and a majority that is connected stays without a leader.
    pub(crate) quorum_loss_probe: bool,
    /// A snapshot is made after so many entries.
    pub(crate) snapshot_after: u64,
    /// Whether the log is written where it is appended, not by a thread of its own: for simulated time.
    pub(crate) inline_writes: bool,
    /// So many entries are kept although a snapshot holds them, for those who are a little behind.
    pub(crate) keep: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            pre_vote: true,
            campaign: true,
            quorum_loss_probe: true,
            snapshot_after: 2000,
            keep: 1000,
            inline_writes: false,
        }
    }
}

pub(crate) fn raft_config(timers: Timers, tuning: Tuning) -> Result<Arc<Config>, StartError> {
    let ms = |duration: Duration| duration.as_millis() as u64;
    let (heartbeat, min, max) = (ms(timers.heartbeat), ms(timers.election_min), ms(timers.election_max));
    let config = Config {
        cluster_name: "ringrift".into(),
        heartbeat_interval: heartbeat,
        election_timeout_min: min,
        election_timeout_max: max,
        max_payload_entries: 256,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(tuning.snapshot_after),
        max_in_snapshot_log_to_keep: tuning.keep,
        replication_lag_threshold: tuning.snapshot_after + tuning.keep,
        purge_batch_size: 64,
        // Proposals beyond this wait outside.
        api_channel_size: Some(4096),
        backoff: format!("{heartbeat}ms ...{min}ms"),
        removed_leader_step_down: StepDownPolicy::After(heartbeat),
        enable_pre_vote: Some(tuning.pre_vote),
        // At least the lease and one election; see docs/protocol/check_quorum.md of openraft.
        quorum_loss_probe_interval: tuning.quorum_loss_probe.then_some(max * 2),
        // Elections begin when this voter takes part (`Enter::open`).
        enable_elect: false,
        // A leader that restarts could otherwise go on in its old term, without the entries that it had sent to others
        // but not yet written itself, and put different ones in their place.
        enable_leader_restore: Some(false),
        // A voter may come back with an empty disk. The leader must then forget what it knew to be there; not to
        // allow that would leave the lost entries counted. The voter's own side of it is in `formation`.
        allow_log_reversion: Some(true),
        ..Config::default()
    };
    config.validate().map(Arc::new).map_err(|error| StartError::Timers(error.to_string()))
}
