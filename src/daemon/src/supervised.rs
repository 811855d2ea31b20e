//! The subsystems that the watchdog sees, and how tests make each of them hang.

use std::time::Duration;

use anyhow::{Result, bail};
use ringrift_systemd::{Hang, fault::HANG_VARIABLE};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::node::Shared;

pub(crate) const CONSENSUS: &str = "consensus";
pub(crate) const FOLLOWER: &str = "follower";
pub(crate) const GOSSIP: &str = "gossip";
pub(crate) const HEALTH: &str = "health";
pub(crate) const HTTP: &str = "http";
pub(crate) const JOBS: &str = "jobs";
pub(crate) const LEADER: &str = "leader";
pub(crate) const LINKS: &str = "links";
pub(crate) const MODELS: &str = "models";
pub(crate) const EXCHANGE: &str = "exchange";
pub(crate) const PUBLISHER: &str = "publisher";
pub(crate) const SCHEDULER: &str = "scheduler";

const ALL: [&str; 12] =
    [CONSENSUS, EXCHANGE, FOLLOWER, GOSSIP, HEALTH, HTTP, JOBS, LEADER, LINKS, MODELS, PUBLISHER, SCHEDULER];

/// The silence that each of them is allowed; all go round at least once a second.
pub(crate) const LIMIT: Duration = Duration::from_secs(15);

/// The fault that the environment asks for, said aloud.
pub(crate) fn fault() -> Result<Hang> {
    let hang = Hang::from_environment()?;
    if let Some(subsystem) = hang.subsystem() {
        if !ALL.contains(&subsystem) {
            bail!("{HANG_VARIABLE}: there is no subsystem `{subsystem}`; there are {}", ALL.join(", "));
        }
        warn!("fault injection: {subsystem} is going to hang");
    }
    Ok(hang)
}

/// Makes one of the subsystems that other crates run hang when it is due; the daemon's own loops ask by themselves.
pub(crate) async fn inject(shared: Shared, hang: Hang, shutdown: CancellationToken) {
    tokio::select! {
        () = hang.due(CONSENSUS) => if let Some(consensus) = shared.agreement.consensus() {
            consensus.hang();
        },
        () = hang.due(EXCHANGE) => if let Ok(models) = &shared.models {
            models.engine.hang();
        },
        () = hang.due(FOLLOWER) => shared.agreement.follower().hang(),
        () = hang.due(GOSSIP) => shared.members.hang(),
        () = hang.due(LINKS) => shared.links.hang(),
        () = shutdown.cancelled() => {}
    }
}
