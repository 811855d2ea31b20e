//! `systemctl reload`, SIGHUP and `ringriftctl reload`: the hosts file is read again.

use std::{collections::BTreeSet, sync::Arc};

use ringrift_api::Reloaded;
use ringrift_config::{HostsFile, NodeId};
use tracing::{info, warn};

use crate::{http::error::ApiError, node::Shared, voters};

/// Loads the file, puts it in force here, and asks the leader for its voters. A file that is wrong changes nothing.
pub(crate) async fn reload(shared: &Shared) -> Result<Reloaded, ApiError> {
    let Ok(_one_at_a_time) = shared.reloading.try_lock() else {
        return Err(ApiError::Refused("another reload is under way".into()));
    };
    let old = shared.hosts();
    let Some(path) = shared.settings().hosts_file.value.clone() else {
        return Err(ApiError::Refused("this node runs without a hosts file: there is nothing to reload".into()));
    };
    let new = tokio::task::spawn_blocking(move || HostsFile::load(&path))
        .await
        .map_err(|e| ApiError::Internal(e.to_string()))?
        .map_err(|e| ApiError::Refused(format!("{e}; the file in force stays in force")))?;
    let new = Arc::new(new);
    if !new.hosts.contains_key(shared.node()) {
        return Err(ApiError::Refused(format!(
            "{}: hosts: no entry for this node, {}; the file in force stays in force",
            new.path.display(),
            shared.node()
        )));
    }
    let changes = old.as_ref().map(|old| differences(old, &new)).unwrap_or_default();
    let mut warnings: Vec<String> = new.warnings.iter().map(ToString::to_string).collect();
    shared.set_hosts(new.clone());
    crate::start::begin_to_vote(shared).await;

    let named = shared.settings().voters.value.clone().or_else(|| new.voters.clone());
    let voters = match named {
        None => {
            warnings.push(format!("{}: p2p_voters: missing: the voters stay as they are", new.path.display()));
            None
        }
        Some(named) => match voters::propose_list(shared, &named, &new.revision).await {
            Ok(change) if change.from == change.to => None,
            Ok(change) => Some(change),
            // The rest of the file is in force; the caller must still learn that its voters are not.
            Err(error) => {
                warn!(%error, "the voters of the hosts file were not put in force");
                return Err(error);
            }
        },
    };
    info!(revision = %new.revision, ?changes, "reloaded {}", new.path.display());
    let message = if changes.is_empty() && voters.is_none() {
        "reloaded; nothing changed".to_owned()
    } else {
        format!("reloaded: {}", if changes.is_empty() { "the voters changed".to_owned() } else { changes.join("; ") })
    };
    Ok(Reloaded {
        success: true,
        node_id: shared.node().clone(),
        hosts_revision: new.revision.clone(),
        changes,
        warnings,
        voters,
        message,
    })
}

/// What two revisions of the file have different, for people.
fn differences(old: &HostsFile, new: &HostsFile) -> Vec<String> {
    let mut changes = Vec::new();
    let ids = |f: &HostsFile| f.hosts.keys().cloned().collect::<BTreeSet<NodeId>>();
    let (before, after) = (ids(old), ids(new));
    changes.extend(after.difference(&before).map(|id| format!("{id} added")));
    changes.extend(before.difference(&after).map(|id| format!("{id} removed")));
    for id in before.intersection(&after) {
        let (a, b) = (&old.hosts[id], &new.hosts[id]);
        if a.status != b.status {
            changes.push(format!("{id}: status {} → {}", a.status, b.status));
        } else if a != b {
            changes.push(format!("{id} changed"));
        }
    }
    let voters = |f: &HostsFile| f.voters.clone().unwrap_or_default().into_iter().collect::<BTreeSet<NodeId>>();
    let (before, after) = (voters(old), voters(new));
    changes.extend(after.difference(&before).map(|id| format!("voter {id} added")));
    changes.extend(before.difference(&after).map(|id| format!("voter {id} removed")));
    changes
}
