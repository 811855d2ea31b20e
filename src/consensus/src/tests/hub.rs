//! What a voter serves its workers from, joined to its consensus as the daemon does it.

use std::sync::Arc;

use ringrift_config::NodeId;
use ringrift_watch::{Hub, HubConfig};
use tokio_util::sync::CancellationToken;

use super::runtime::Process;
use crate::{Consensus, WatchSource};

/// The hub of a voter; it ends with the voter.
pub(crate) fn start(node: NodeId, consensus: &Consensus, process: &Process) -> Hub {
    let (source, translation) = WatchSource::prepare(consensus.clone());
    tokio::spawn(process.clone().run(translation));
    let (hub, work) = Hub::prepare(HubConfig::new(node), Arc::new(source), CancellationToken::new());
    tokio::spawn(process.clone().run(work));
    hub
}
